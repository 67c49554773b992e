"""One round of everything that a home does with the two apps, checked: what `./scripts/demo --smoke` prints."""

import asyncio
import json
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp

from demo.reasoned import think
from demo.stand import Stand
from demo.supervisor.app import App
from demo.user import User
from demo.waiting import until

SENTENCE = "turn on the kitchen lights"
LIGHT = "light.kitchen_lights"
EXPERIMENT = "Home Assistant"
# The House's figures: proportional memory of the process trees, idle, in MB.
GATEWAY_MB, TRACKING_MB = 125.0, 230.0


class AppClient:
    """An app as a browser reaches it: through Home Assistant's ingress, with a session of its own."""

    def __init__(self, user: User, app: App) -> None:
        self._user = user
        self._base = f"{user.base}/api/hassio_ingress/{app.ingress_token}/"
        self._cookies: dict[str, str] = {}

    async def request(self, method: str, path: str, body: Any = None, **params: str) -> Any:
        """Call the app and return its JSON; raises RuntimeError with the answer when it is no success."""
        return json.loads(await self.text(path, method, body, **params))

    async def text(self, path: str, method: str = "GET", body: Any = None, **params: str) -> str:
        """Call the app and return its answer as it is."""
        if not self._cookies:
            made = await self._user.supervisor("post", "/ingress/session")
            self._cookies = {"ingress_session": made["session"]}
        async with (
            aiohttp.ClientSession(cookies=self._cookies) as session,
            session.request(method, self._base + path, json=body, params=params) as response,
        ):
            text = await response.text()
            if response.status != 200:
                raise RuntimeError(f"{method} {path}: {response.status} {text[:300]}")
            return text


async def smoke(stand: Stand, user: User) -> tuple[dict[str, Any], list[str]]:
    """Give the figures, and a sentence for each thing that is not as it should be."""
    result: dict[str, Any] = {"ready_s": round(stand.ready_s, 1)}
    tracking = AppClient(user, stand.tracking)
    await user.request("POST", "/api/services/light/turn_off", {"entity_id": LIGHT})
    answer = await user.call(
        "conversation/process", text=SENTENCE, agent_id=stand.agent, language="en"
    )
    result["reply"] = answer["response"]["speech"].get("plain", {}).get("speech", "")
    result["light_is_on"] = (await user.state(LIGHT))["state"] == "on"
    result |= await _trace(tracking, answer["conversation_id"])
    result |= await _reasoned(stand, user, tracking)
    result["promptlab_run_id"] = await _promptlab_run(tracking)
    await asyncio.sleep(1)  # memory is an idle figure
    result["gateway_pss_mb"] = pss_mb(stand.gateway.pid)
    result["tracking_pss_mb"] = pss_mb(stand.tracking.pid)
    return result, faults(result)


def faults(result: dict[str, Any]) -> list[str]:
    """Say what of a result is wrong."""
    spans = result["trace_spans"]
    checks = {
        "the agent did not say that it turned the kitchen lights on": "kitchen lights"
        in result["reply"].lower()
        and "on" in result["reply"].lower().split(),
        f"{LIGHT} is not on": result["light_is_on"],
        "there is no trace of the conversation in MLflow": bool(result["trace_id"]),
        "the trace lacks a span of AGENT, CHAT_MODEL or TOOL": {"AGENT", "CHAT_MODEL", "TOOL"}
        <= {span.split(":")[0] for span in spans},
        "the trace has fewer than four spans": len(spans) >= 4,
        "no prompt version is linked to the trace": bool(result["prompt"]),
        "the reasoned state did not answer that AK is awake": result["reasoned"] == "off",
        "the reasoned state gives no reason": bool(result["reason"]),
        "there is no trace of the reasoned state in MLflow": bool(result["reasoned_trace_spans"]),
        "no PromptLab run was made": bool(result["promptlab_run_id"]),
        f"the Gateway takes more than {GATEWAY_MB} MB": result["gateway_pss_mb"] <= GATEWAY_MB,
        f"Tracking takes more than {TRACKING_MB} MB": result["tracking_pss_mb"] <= TRACKING_MB,
    }
    return [sentence for sentence, right in checks.items() if not right]


async def _trace(tracking: AppClient, conversation_id: str) -> dict[str, Any]:
    """Wait for the conversation's trace: recording it must not delay the answer, so it comes a little later."""

    async def find() -> dict[str, Any] | None:
        place = await _place(tracking)
        if place is None:
            return None
        search = {"locations": [place], "max_results": 20}
        found = await tracking.request("POST", "ajax-api/3.0/mlflow/traces/search", search)
        for trace in found.get("traces", []):
            session = trace.get("trace_metadata", {}).get("mlflow.trace.session")
            if session == conversation_id and "mlflow.linkedPrompts" in trace.get("tags", {}):
                return dict(trace)
        return None

    try:
        trace = await until(find, 15, "the trace is in MLflow, with its prompt")
    except TimeoutError:
        return {"trace_id": None, "trace_spans": [], "prompt": None}
    spans = await tracking.request(
        "GET", "ajax-api/3.0/mlflow/traces/get", trace_id=trace["trace_id"]
    )
    linked = json.loads(trace["tags"]["mlflow.linkedPrompts"])
    return {
        "trace_id": trace["trace_id"],
        "trace_spans": [_kind(span) + ":" + span["name"] for span in spans["trace"]["spans"]],
        "prompt": {key: linked[0][key] for key in ("name", "version")} if linked else None,
    }


async def _reasoned(stand: Stand, user: User, tracking: AppClient) -> dict[str, Any]:
    """Let the reasoned state think while the light is on in the bedroom."""
    await user.request("POST", "/api/services/light/turn_on", {"entity_id": "light.bedroom_lights"})
    state = await think(user, stand.reasoned)
    trace_id = state["attributes"]["trace_id"] or ""

    async def find() -> list[str] | None:
        with suppress(RuntimeError):  # not there yet
            found = await tracking.request(
                "GET", "ajax-api/3.0/mlflow/traces/get", trace_id=trace_id
            )
            return [_kind(span) + ":" + span["name"] for span in found["trace"]["spans"]]
        return None

    spans: list[str] = []
    with suppress(TimeoutError):
        spans = await until(find, 15, "the trace of the reasoned state is in MLflow")
    return {
        "reasoned": state["state"],
        "reason": state["attributes"]["reason"],
        "reasoned_trace_id": trace_id,
        "reasoned_trace_spans": spans,
    }


async def _place(tracking: AppClient) -> dict[str, Any] | None:
    """Where the home's traces are: the experiment that the integration makes when it is set up."""
    search = {"filter": f"name = '{EXPERIMENT}'", "max_results": 1}
    found = await tracking.request("POST", "ajax-api/2.0/mlflow/experiments/search", search)
    for experiment in found.get("experiments", []):
        identifier = experiment["experiment_id"]
        return {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": identifier}}
    return None


def _kind(span: dict[str, Any]) -> str:
    for attribute in span.get("attributes", []):
        if attribute["key"] == "mlflow.spanType":
            return str(attribute["value"].get("string_value", "")).strip('"')
    return "UNKNOWN"


async def _promptlab_run(tracking: AppClient) -> str:
    """Make a PromptLab run by the calls that MLflow's page makes."""
    place = await until(lambda: _place(tracking), 15, f"the experiment {EXPERIMENT} is made")
    listed = await tracking.request(
        "GET", "ajax-api/2.0/mlflow/gateway-proxy", gateway_path="api/2.0/endpoints/"
    )
    endpoint = next(e["name"] for e in listed["endpoints"] if e["endpoint_type"] == "llm/v1/chat")
    prompt = "Say in one sentence what a thermostat does."
    request = {
        "messages": [{"role": "user", "content": prompt}],
        "temperature": 0.1,
        "max_tokens": 100,
    }
    reply = await tracking.request(
        "POST",
        "ajax-api/2.0/mlflow/gateway-proxy",
        {"gateway_path": f"gateway/{endpoint}/invocations", "json_data": request},
    )
    output = reply["choices"][0]["message"]["content"]
    made = await tracking.request(
        "POST",
        "ajax-api/2.0/mlflow/runs/create-promptlab-run",
        {
            "experiment_id": place["mlflow_experiment"]["experiment_id"],
            "run_name": "smoke",
            "prompt_template": "Say in one sentence what {{ thing }} does.",
            "prompt_parameters": [{"key": "thing", "value": "a thermostat"}],
            "model_route": endpoint,
            "model_parameters": [{"key": "temperature", "value": "0.1"}],
            "model_input": prompt,
            "model_output": output,
            "model_output_parameters": [],
            "mlflow_version": await tracking.text("version"),
        },
    )
    return str(made["run"]["info"]["run_id"])


def pss_mb(pid: int | None) -> float:
    """Proportional set size of a process and all below it, in MB (proc(5), smaps_rollup)."""
    if pid is None:
        return 0.0
    total = 0
    waiting = [pid]
    while waiting:
        process = waiting.pop()
        rollup = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii")
        total += next(
            int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")
        )
        listed = subprocess.run(
            ["ps", "--ppid", str(process), "-o", "pid="],
            capture_output=True,
            text=True,
            check=False,
        )
        waiting.extend(int(child) for child in listed.stdout.split())
    return round(total / 1024, 1)
