"""What each provider type can do: the table in DOCS.md, tried out row by row."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from aiohttp import web
from tests.gateway.every_provider import ROWS, options_of_every_type, slug
from tests.gateway.formats import ARGUMENTS, TOKEN, answer
from tests.gateway.process import ROOT, Gateway, running
from tests.gateway.standin import ScriptedUpstream

SCHEMA = {
    "type": "object",
    "$defs": {"area": {"type": "string", "enum": ["kitchen", "hall"]}},
    "properties": {
        "area": {"$ref": "#/$defs/area"},
        "level": {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 100}, {"const": "auto"}]},
        "mode": {"enum": ["day", None]},
    },
    "required": ["area"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "turn_on", "parameters": SCHEMA}}
PIXEL = "iVBORw0KGgo="


@pytest.fixture(scope="module")
async def gateway(
    shared_upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Gateway]:
    options = options_of_every_type(shared_upstream.address)
    async with running(tmp_path_factory.mktemp("providers"), options) as process:
        yield process


class Client:
    """Asks one row's endpoint, and says what came back and what the provider was sent."""

    def __init__(self, gateway: Gateway, upstream: ScriptedUpstream, row: str) -> None:
        self.gateway = gateway
        self.upstream = upstream
        self.row = row
        self.sent: dict[str, Any] = {}

        async def script(request: web.Request) -> web.StreamResponse:
            body = upstream.calls[-1].body
            return await answer(request, json.loads(body) if body[:1] == b"{" else {})

        upstream.script = script

    async def ask(self, path: str, kind: str, **members: Any) -> tuple[int, str]:
        self.upstream.calls.clear()
        body = {"model": f"{slug(self.row)}-{kind}", **members}
        async with (
            self.gateway.client() as client,
            client.post(path, json=body) as response,
        ):
            text = await response.text()
        if self.upstream.calls:
            self.sent = self.upstream.calls[-1].json
        return response.status, text

    async def chat(self, **members: Any) -> tuple[int, str]:
        asked = {"messages": [{"role": "user", "content": "hello"}], **members}
        return await self.ask("/v1/chat/completions", "chat", **asked)

    async def message(self, **members: Any) -> dict[str, Any]:
        status, text = await self.chat(**members)
        if status != 200:
            return {}
        message = json.loads(text)["choices"][0]["message"]
        assert isinstance(message, dict)
        return message

    async def deltas(self, **members: Any) -> list[dict[str, Any]]:
        status, text = await self.chat(stream=True, **members)
        assert status == 200, text
        assert text.endswith("data: [DONE]\n\n")
        chunks = [json.loads(block[5:]) for block in text.split("\n\n") if "{" in block]
        return [choice["delta"] for chunk in chunks for choice in chunk["choices"]]


def _everything_in(document: Any) -> Iterator[Any]:
    yield document
    if isinstance(document, dict):
        document = list(document.values())
    if isinstance(document, list):
        for part in document:
            yield from _everything_in(part)


def _is_called(tool_calls: Any) -> bool:
    (call,) = tool_calls or [{"function": {"name": None}}]
    name, arguments = call["function"]["name"], call["function"].get("arguments")
    return name == "turn_on" and arguments is not None and json.loads(arguments) == ARGUMENTS


async def _chat(client: Client) -> str:
    return "yes" if (await client.message()).get("content", "").startswith("scripted") else "no"


async def _streamed(client: Client) -> str:
    texts = [delta["content"] for delta in await client.deltas() if delta.get("content")]
    assert "".join(texts).startswith("scripted")
    return "yes" if len(texts) > 1 else "in one piece"


async def _tools(client: Client) -> str:
    message = await client.message(tools=[TOOL])
    whole = SCHEMA in _everything_in(client.sent)
    return "yes" if whole and _is_called(message.get("tool_calls")) else "no"


async def _tools_streamed(client: Client) -> str:
    deltas = await client.deltas(tools=[TOOL])
    calls = [call for delta in deltas for call in delta.get("tool_calls") or ()]
    parts = [call["function"].get("arguments") or "" for call in calls]
    names = {call["function"].get("name") for call in calls} - {None}
    return "yes" if names == {"turn_on"} and json.loads("".join(parts)) == ARGUMENTS else "no"


async def _tool_choice(client: Client) -> str:
    await client.message(tools=[TOOL])
    free = client.sent
    forced = {"type": "function", "function": {"name": "turn_on"}}
    if not await client.message(tools=[TOOL], tool_choice=forced):
        return "no"
    return "yes" if client.sent != free else "dropped"


async def _schema(client: Client) -> str:
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": SCHEMA}}
    if not await client.message(response_format=wanted):
        return "no"
    return "yes" if SCHEMA in _everything_in(client.sent) else "dropped"


async def _images(client: Client) -> str:
    url = f"data:image/png;base64,{PIXEL}"
    parts = [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": url}}]
    if not await client.message(messages=[{"role": "user", "content": parts}]):
        return "no"
    texts = [each for each in _everything_in(client.sent) if isinstance(each, str)]
    return "yes" if any(text.endswith(PIXEL) for text in texts) else "dropped"


async def _other_fields(client: Client) -> str:
    await client.message(a_field_of_tomorrow={"deep": [1]}, seed=7)
    return "yes" if client.sent.get("a_field_of_tomorrow") == {"deep": [1]} else "no"


async def _completions(client: Client) -> str:
    status, text = await client.ask("/v1/completions", "completions", prompt="hello")
    return "yes" if status == 200 and "scripted" in text else "no"


async def _embeddings(client: Client) -> str:
    status, text = await client.ask("/v1/embeddings", "embeddings", input="hello")
    return "yes" if status == 200 and "-0.25" in text else "no"


CHECKS: dict[str, Callable[[Client], Awaitable[str]]] = {
    "Chat": _chat,
    "Streamed": _streamed,
    "Tools": _tools,
    "Tools streamed": _tools_streamed,
    "Tool choice": _tool_choice,
    "JSON schema": _schema,
    "Images": _images,
    "Other fields": _other_fields,
    "Completions": _completions,
    "Embeddings": _embeddings,
}


def _documented() -> dict[str, dict[str, str]]:
    """The table of DOCS.md whose head names these checks: row -> column -> cell."""
    lines = (ROOT / "mlflow-gateway/DOCS.md").read_text().splitlines()
    tables = [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]
    start = next(at for at, cells in enumerate(tables) if cells[1:] == list(CHECKS))
    rows = {}
    for cells in tables[start + 2 :]:
        if len(cells) != len(CHECKS) + 1:
            break
        for name in cells[0].split(", "):
            rows[name.strip("`")] = dict(zip(CHECKS, cells[1:], strict=True))
    return rows


def test_the_table_has_a_row_for_each_type() -> None:
    assert set(_documented()) == set(ROWS)


@pytest.mark.parametrize("row", list(ROWS))
async def test_a_type_can_do_what_the_table_says(
    gateway: Gateway, upstream: ScriptedUpstream, row: str
) -> None:
    client = Client(gateway, upstream, row)
    assert {name: await check(client) for name, check in CHECKS.items()} == _documented()[row]


async def test_vertex_gets_a_token_of_google(gateway: Gateway, upstream: ScriptedUpstream) -> None:
    await Client(gateway, upstream, "vertex_ai (Gemini)").chat()
    assert upstream.calls[-1].headers["Authorization"] == f"Bearer {TOKEN}"
    assert upstream.calls[-1].path.startswith("/v1/projects/home/locations/global/publishers/")
