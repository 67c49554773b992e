"""What the integration and the interface do with MLflow: traces, prompts and PromptLab."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any

import aiohttp
import pytest
from tests.tracking.process import App
from tests.tracking.standin import StandInGateway


def otlp_trace(
    trace: str, *, text: str = "turn on the kitchen lights", days_ago: float = 0
) -> dict[str, Any]:
    """A two-span trace in OTLP's JSON encoding."""
    now = time.time_ns() - int(days_ago * 86400 * 10**9)

    def attributes(**values: str) -> list[dict[str, Any]]:
        named = {name.replace("_", "."): value for name, value in values.items()}
        return [{"key": key, "value": {"stringValue": value}} for key, value in named.items()]

    root, child = secrets.token_hex(8), secrets.token_hex(8)
    times = {"startTimeUnixNano": str(now), "endTimeUnixNano": str(now + 10**9)}
    said = json.dumps({"text": text})
    spans = [
        {
            "traceId": trace,
            "spanId": root,
            "name": "conversation",
            **times,
            "attributes": attributes(
                mlflow_spanType='"AGENT"', mlflow_spanInputs=said, mlflow_spanOutputs=said
            ),
        },
        {
            "traceId": trace,
            "spanId": child,
            "parentSpanId": root,
            "name": "light.turn_on",
            **times,
            "attributes": attributes(mlflow_spanType='"TOOL"'),
        },
    ]
    resource = {"attributes": attributes(service_name="home")}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}


async def test_a_trace_sent_as_otlp_json_can_be_read(app: App) -> None:
    trace = secrets.token_hex(16)
    async with app.ingress_client() as client:
        headers = {"x-mlflow-experiment-id": "0"}
        async with client.post("/v1/traces", json=otlp_trace(trace), headers=headers) as answer:
            assert answer.status == 200, await answer.text()
        path = f"/api/3.0/mlflow/traces/tr-{trace}"
        async with client.get(path) as answer:
            info = (await answer.json())["trace"]["trace_info"]
        assert info["state"] == "OK"
        assert "kitchen lights" in info["request_preview"]
        async with client.get(
            "/ajax-api/3.0/mlflow/get-trace-artifact", params={"request_id": f"tr-{trace}"}
        ) as answer:
            spans = (await answer.json(content_type=None))["spans"]
        assert {span["name"] for span in spans} == {"conversation", "light.turn_on"}


async def call(
    client: aiohttp.ClientSession, method: str, path: str, **kwargs: Any
) -> dict[str, Any]:
    async with client.request(method, f"/api/2.0/mlflow/{path}", **kwargs) as answer:
        body: dict[str, Any] = await answer.json()
        assert answer.status == 200, body
        return body


async def test_a_prompt_version_goes_in_and_comes_back_by_its_alias(app: App) -> None:
    name = f"home-{secrets.token_hex(3)}"
    is_prompt = {"key": "mlflow.prompt.is_prompt", "value": "true"}
    text = {"key": "mlflow.prompt.text", "value": "You live in {{ home }}."}
    async with app.ingress_client() as client:
        await call(
            client, "POST", "registered-models/create", json={"name": name, "tags": [is_prompt]}
        )
        version = {"name": name, "source": "dummy-source", "tags": [is_prompt, text]}
        await call(client, "POST", "model-versions/create", json=version)
        alias = {"name": name, "alias": "production", "version": "1"}
        await call(client, "POST", "registered-models/alias", json=alias)
        found = await call(
            client,
            "GET",
            "registered-models/alias",
            params={"name": name, "alias": "production"},
        )
    assert text in found["model_version"]["tags"]
    assert found["model_version"]["version"] == "1"


PROXY = "/ajax-api/2.0/mlflow/gateway-proxy"


async def test_promptlab_works_with_a_gateway_that_comes_later(app: App, gateway_port: int) -> None:
    """The app has been running without its Gateway; here the Gateway starts."""
    standin = StandInGateway(gateway_port)
    async with standin.running(), app.ingress_client() as browser:
        async with browser.get(PROXY, params={"gateway_path": "api/2.0/endpoints/"}) as answer:
            assert [e["name"] for e in (await answer.json())["endpoints"]] == ["chat"]
        message = {"role": "user", "content": "Say hello to the kitchen"}
        body = {
            "gateway_path": "gateway/chat/invocations",
            "json_data": {"messages": [message], "temperature": 0.1},
        }
        async with browser.post(PROXY, json=body) as answer:
            reply = (await answer.json())["choices"][0]["message"]["content"]
        assert reply == "you said: Say hello to the kitchen"
    assert not any("Cookie" in headers for _, headers, _ in standin.requests)


def promptlab_run(template: str = "Say hello to the {{ room }}") -> dict[str, Any]:
    """What the interface sends for `Create run`."""
    return {
        "experiment_id": "0",
        "run_name": "promptlab",
        "prompt_template": template,
        "prompt_parameters": [{"key": "room", "value": "kitchen"}],
        "model_route": "chat",
        "model_parameters": [{"key": "temperature", "value": "0.1"}],
        "model_input": "Say hello to the kitchen",
        "model_output": "Hello, kitchen",
        "model_output_parameters": [{"key": "latency", "value": "10"}],
        "mlflow_version": "3.18.0",
        "user_id": "resident",
        "start_time": str(int(time.time() * 1000)),
    }


CREATE_RUN = "/ajax-api/2.0/mlflow/runs/create-promptlab-run"


async def test_a_promptlab_run_is_kept_with_its_template_and_output(app: App) -> None:
    async with app.ingress_client() as browser:
        async with browser.post(CREATE_RUN, json=promptlab_run()) as answer:
            body = await answer.json()
            assert answer.status == 200, body
        kept = body["run"]
        params = {p["key"]: p["value"] for p in kept["data"]["params"]}
        assert params["prompt_template"] == "Say hello to the {{ room }}"
        assert params["model_route"] == "chat"
        table = {"run_uuid": kept["info"]["run_id"], "path": "eval_results_table.json"}
        async with browser.get("/get-artifact", params=table) as answer:
            assert "Hello, kitchen" in await answer.text()


async def make_prompt_version(
    client: aiohttp.ClientSession, body: dict[str, Any]
) -> tuple[int, dict[str, Any]]:
    async with client.post("/api/home-assistant/prompt-versions", json=body) as answer:
        return answer.status, await answer.json()


@pytest.mark.parametrize(
    "template", ["Say hello to the {{ room }}", "Long: " + "x" * 9000 + " {{ room }}"]
)
async def test_a_promptlab_run_becomes_a_version_of_a_prompt(app: App, template: str) -> None:
    name = f"lab-{secrets.token_hex(3)}"
    async with app.ingress_client() as browser:
        async with browser.post(CREATE_RUN, json=promptlab_run(template)) as answer:
            run = (await answer.json())["run"]["info"]["run_id"]
        asked = {"run_id": run, "name": name, "alias": "staging"}
        for number in ("1", "2"):
            status, made = await make_prompt_version(browser, asked)
            assert (status, made) == (200, {"name": name, "version": number, "run_id": run})
        alias = {"name": name, "alias": "staging"}
        found = await call(browser, "GET", "registered-models/alias", params=alias)
    version = found["model_version"]
    tags = {tag["key"]: tag["value"] for tag in version["tags"]}
    assert version["version"] == "2"
    assert version["run_id"] == run
    assert tags["mlflow.prompt.text"] == template
    config = json.loads(tags["_mlflow_prompt_model_config"])
    assert config == {"model_name": "chat", "temperature": 0.1}


async def test_only_a_promptlab_run_becomes_a_version(app: App) -> None:
    async with app.ingress_client() as browser:
        body = {"experiment_id": "0", "start_time": int(time.time() * 1000)}
        other = (await call(browser, "POST", "runs/create", json=body))["run"]["info"]["run_id"]
        status, said = await make_prompt_version(browser, {"run_id": other, "name": "x"})
        assert status == 400
        assert "was not made by PromptLab" in said["message"]
        status, said = await make_prompt_version(browser, {"run_id": "0" * 32, "name": "x"})
        assert status == 404
        status, said = await make_prompt_version(browser, {"name": "x"})
        assert status == 400
        assert "run_id and name" in said["message"]
