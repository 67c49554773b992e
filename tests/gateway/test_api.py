"""Every route of the Gateway, as a client sees it."""

from __future__ import annotations

import io
import json
from typing import Any

import openai
import pytest
from tests.gateway.conftest import KEY
from tests.gateway.process import Gateway, running
from tests.gateway.standin import ScriptedUpstream

MESSAGES = [{"role": "user", "content": "hello"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "turn_on",
        "strict": True,
        "parameters": {
            "type": "object",
            "$defs": {"area": {"enum": ["kitchen", None], "const": "kitchen"}},
            "properties": {
                "area": {"$ref": "#/$defs/area"},
                "level": {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 100}]},
            },
            "required": ["area"],
        },
    },
}


async def _post(gateway: Gateway, path: str, body: Any) -> tuple[int, dict[str, Any]]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    async with (
        gateway.client() as client,
        client.post(path, data=data, headers=headers) as response,
    ):
        document = await response.json()
        assert isinstance(document, dict)
        return response.status, document


async def test_a_chat_request_arrives_whole(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    file = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf,AA"}}
    asked = {
        "model": "chat",
        "messages": [
            {"role": "developer", "content": "be brief"},
            {"role": "user", "name": "anna", "content": [picture, file]},
            {"role": "assistant", "content": None, "reasoning_content": "hm", "refusal": None},
        ],
        "reasoning_effort": "low",
        "seed": 7,
        "n": 2,
        "logprobs": True,
        "metadata": {"room": "kitchen"},
        "max_completion_tokens": 10,
        "tools": [TOOL],
        "tool_choice": {"type": "function", "function": {"name": "turn_on"}},
        "parallel_tool_calls": False,
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}},
        "stop": "END",
        "a_field_of_tomorrow": {"deep": [1, 2.0, None]},
    }
    status, document = await _post(gateway, "/v1/chat/completions", asked)
    assert status == 200
    assert document["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "turn_on"
    (call,) = upstream.calls
    assert call.path == "/v1/chat/completions"
    assert call.json == {**asked, "model": "gpt-x"}
    assert call.headers["Authorization"] == f"Bearer {KEY}"
    assert call.headers["OpenAI-Organization"] == "home"


async def test_an_answer_arrives_byte_for_byte(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    body = b'{"choices": [], "reasoning_content": "\\u00e9",  "x": 1.0, "extra": [null]}\n'
    upstream.answers(body, headers={"x-request-id": "r1", "Set-Cookie": "a=b"})
    async with (
        gateway.client() as client,
        client.post(
            "/v1/chat/completions", json={"model": "chat", "messages": MESSAGES}
        ) as response,
    ):
        assert await response.read() == body
        assert response.headers["x-request-id"] == "r1"
        assert "Set-Cookie" not in response.headers


async def test_completions(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    status, document = await _post(gateway, "/v1/completions", {"model": "text", "prompt": "hi"})
    assert (status, document["choices"][0]["text"]) == (200, "scripted text")
    assert upstream.calls[0].path == "/v1/completions"
    assert upstream.calls[0].json == {"model": "gpt-text", "prompt": "hi"}


async def test_embeddings(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    status, document = await _post(gateway, "/v1/embeddings", {"model": "vectors", "input": "hi"})
    assert (status, document["data"][0]["embedding"]) == (200, [0.5, -0.25])
    assert upstream.calls[0].json["model"] == "embed-x"


async def test_a_local_server_gets_its_v1_path_and_no_key(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    await _post(gateway, "/v1/chat/completions", {"model": "local", "messages": MESSAGES})
    assert upstream.calls[0].path == "/v1/chat/completions"
    assert upstream.calls[0].json["model"] == "llama3.2:3b"
    assert "Authorization" not in upstream.calls[0].headers


async def test_azure_gets_the_deployment_in_the_path(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    await _post(gateway, "/v1/chat/completions", {"model": "office", "messages": MESSAGES})
    (call,) = upstream.calls
    assert call.path == "/openai/deployments/my deployment/chat/completions"
    assert call.query == "api-version=2025-01-01"
    assert call.headers["api-key"] == KEY
    assert "Authorization" not in call.headers


@pytest.mark.parametrize("name", ["claude", "gemini"])
async def test_other_formats_are_translated(
    gateway: Gateway, upstream: ScriptedUpstream, name: str
) -> None:
    status, document = await _post(
        gateway, "/v1/chat/completions", {"model": name, "messages": MESSAGES, "max_tokens": 50}
    )
    assert status == 200, document
    content = document["choices"][0]["message"]["content"]
    assert content.startswith("scripted ")
    assert document["usage"]["total_tokens"] == 21
    assert KEY in upstream.calls[0].headers.values() or KEY in upstream.calls[0].query


async def test_a_translated_request_that_does_not_fit_is_a_sentence(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    status, document = await _post(gateway, "/v1/chat/completions", {"model": "claude"})
    assert status == 400
    assert document["error"]["param"] == "messages"
    assert not upstream.calls


async def test_models_are_the_endpoints(gateway: Gateway) -> None:
    async with gateway.client() as client:
        async with client.get("/v1/models") as response:
            listed = await response.json()
        async with client.get("/v1/models/chat") as response:
            one = await response.json()
    assert listed["object"] == "list"
    assert [model["id"] for model in listed["data"]][:3] == ["chat", "text", "vectors"]
    assert one == listed["data"][0]
    assert one["owned_by"] == "openai"


async def test_health(gateway: Gateway) -> None:
    async with gateway.client(token=None) as client, client.get("/health") as response:
        assert response.status == 200
        assert (await response.json())["status"] == "OK"


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/v1/chat/completions", {"model": "cha", "messages": []}, 404, "model_not_found"),
        ("/gateway/cha/invocations", {"messages": []}, 404, "model_not_found"),
        ("/v1/chat/completions", {"messages": []}, 400, "missing_model"),
        ("/v1/chat/completions", b"{not json", 400, "invalid_json"),
        ("/v1/chat/completions", {"model": "text"}, 400, "wrong_endpoint_type"),
        ("/v1/embeddings", {"model": "chat", "input": "x"}, 400, "wrong_endpoint_type"),
        ("/v1/nothing", {}, 404, None),
        ("/v1/models", {}, 405, None),
    ],
)
async def test_errors_have_openais_shape(
    gateway: Gateway, path: str, body: Any, status: int, code: str | None
) -> None:
    answered, document = await _post(gateway, path, body)
    assert answered == status
    assert set(document["error"]) == {"message", "type", "code", "param"}
    assert document["error"]["code"] == code
    assert document["error"]["message"].endswith(".")


async def test_an_oversized_request_is_413(gateway: Gateway) -> None:
    body = io.BytesIO(b" " * (64 * 2**20 + 1))
    async with gateway.client() as client, client.post("/v1/embeddings", data=body) as response:
        assert response.status == 413
        assert "64 MB" in (await response.json())["error"]["message"]


@pytest.mark.parametrize(
    ("status", "expected", "code"),
    [(400, 400, "bad"), (429, 429, "bad"), (500, 500, "bad"), (401, 502, "upstream_unauthorized")],
)
async def test_a_providers_refusal_is_passed_on_without_the_key(
    gateway: Gateway, upstream: ScriptedUpstream, status: int, expected: int, code: str
) -> None:
    error = {"error": {"message": f"No, {KEY} will not do", "code": "bad", "param": "x"}}
    upstream.answers(json.dumps(error).encode(), status=status, headers={"Retry-After": "7"})
    async with (
        gateway.client() as client,
        client.post("/v1/chat/completions", json={"model": "chat"}) as response,
    ):
        document = await response.json()
        assert response.status == expected
        assert document["error"]["code"] == code
        assert "No, *** will not do" in document["error"]["message"]
        if status == 429:
            assert response.headers["Retry-After"] == "7"


async def test_a_redirect_is_not_followed(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    upstream.answers(b"", status=307, headers={"Location": f"{upstream.address}/other"})
    status, document = await _post(gateway, "/v1/chat/completions", {"model": "chat"})
    assert (status, document["error"]["code"]) == (502, "upstream_redirect")
    assert len(upstream.calls) == 1


async def test_a_page_instead_of_json_is_502(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    upstream.answers(b"<html>", content_type="text/html")
    status, document = await _post(gateway, "/v1/chat/completions", {"model": "chat"})
    assert (status, document["error"]["code"]) == (502, "upstream_invalid_answer")


async def test_without_endpoints_it_starts_and_says_so(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("empty")
    async with running(folder, {"providers": [], "endpoints": []}) as empty:
        status, document = await _post(empty, "/v1/chat/completions", {"model": "chat"})
        assert status == 404
        assert document["error"]["message"].startswith("No endpoints are configured yet")
        assert "No endpoints are configured yet" in empty.log
        async with empty.ingress_client() as client, client.get("/") as response:
            assert "No endpoints are configured yet" in await response.text()


async def test_an_upstream_that_is_not_there_is_502(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    options = {
        "providers": [{"name": "Gone", "type": "ollama", "api_base": "http://127.0.0.1:9"}],
        "endpoints": [{"name": "chat", "provider": "Gone", "model": "m"}],
    }
    async with running(tmp_path_factory.mktemp("gone"), options) as gateway:
        status, document = await _post(gateway, "/v1/chat/completions", {"model": "chat"})
        assert (status, document["error"]["code"]) == (502, "upstream_refused")
        assert 'Provider "Gone" refused the connection' in document["error"]["message"]


async def test_the_official_client_works_unchanged(
    gateway: Gateway, upstream: ScriptedUpstream
) -> None:
    async with openai.AsyncOpenAI(
        base_url=f"{gateway.api}/v1", api_key=gateway.token, max_retries=0
    ) as client:
        answer = await client.chat.completions.create(
            model="chat", messages=[{"role": "user", "content": "hello"}]
        )
        assert answer.choices[0].message.content == "scripted answer"
        stream = await client.chat.completions.create(
            model="chat", messages=[{"role": "user", "content": "hello"}], stream=True
        )
        words = [chunk.choices[0].delta.content or "" async for chunk in stream]
        assert "".join(words) == "scripted streamed answer"
        vectors = await client.embeddings.create(
            model="vectors", input="x", encoding_format="float"
        )
        assert vectors.data[0].embedding == [0.5, -0.25]
        assert (await client.models.retrieve("chat")).id == "chat"
        with pytest.raises(openai.NotFoundError, match="There is no endpoint"):
            await client.chat.completions.create(model="nope", messages=[])
    assert upstream.calls[0].json["model"] == "gpt-x"
