"""What comes over the wire from a Gateway, and from servers that are none."""

import json

import pytest
from aiohttp import web
from custom_components.mlflow.errors import AppAnswerError, AppError, NotThisAppError
from custom_components.mlflow.gateway import GatewayClient
from custom_components.mlflow.transport import UrlTransport
from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import async_get_clientsession

from .standins import Server, running


class Wire(Server):
    """Sends exactly these bytes, a few at a time."""

    def __init__(self, body: bytes, content_type: str, status: int = 200) -> None:
        super().__init__()
        self._answer = (body, content_type, status)

    def routes(self) -> list[web.RouteDef]:
        return [web.route("*", "/{path:.*}", self._send)]

    async def _send(self, request: web.Request) -> web.StreamResponse:
        body, content_type, status = self._answer
        response = web.StreamResponse(status=status, headers={"Content-Type": content_type})
        await response.prepare(request)
        for start in range(0, len(body), 7):
            await response.write(body[start : start + 7])
        return response


def client(home: HomeAssistant, wire: Wire) -> GatewayClient:
    return GatewayClient(UrlTransport(async_get_clientsession(home), "gateway", wire.url, None))


async def heard(home: HomeAssistant, body: str, content_type: str = "text/event-stream") -> str:
    """Return the text of a streamed answer."""
    async with running(Wire(body.encode(), content_type)) as wire:
        chunks = [chunk async for chunk in client(home, wire).stream_chat({"model": "m"})]
    return "".join(
        choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"]
    )


def said(error: AppError) -> str:
    """The app's own sentence in an error."""
    return (error.translation_placeholders or {})["message"]


def chunk(text: str) -> str:
    return json.dumps({"choices": [{"delta": {"content": text}}]}, ensure_ascii=False)


@pytest.mark.parametrize(
    "body",
    [
        f"data: {chunk('Grüß')}\n\ndata: {chunk(' Gott 🙂')}\n\ndata: [DONE]\n\n",
        f"data:{chunk('Grüß')}\n\ndata:{chunk(' Gott 🙂')}\n\ndata:[DONE]\n\n",
        f": hello\n\nevent: x\r\ndata: {chunk('Grüß')}\r\n\r\ndata: {chunk(' Gott 🙂')}\r\n\r\n",
        f"data: {chunk('Grüß')}\n\ndata: {chunk(' Gott 🙂')}",
        'data: {"choices":\ndata: [{"delta": {"content": "Grüß Gott 🙂"}}]}\n\n',
    ],
)
async def test_every_way_to_write_a_stream_is_understood(home: HomeAssistant, body: str) -> None:
    assert await heard(home, body) == "Grüß Gott 🙂"


async def test_a_line_may_be_long(home: HomeAssistant) -> None:
    assert await heard(home, f"data: {chunk('x' * 300_000)}\n\n") == "x" * 300_000


async def test_an_answer_may_come_whole(home: HomeAssistant) -> None:
    whole = {"choices": [{"message": {"content": "All of it."}, "finish_reason": "stop"}]}
    assert await heard(home, json.dumps(whole), "application/json") == "All of it."


@pytest.mark.parametrize(
    ("body", "content_type", "sentence"),
    [
        ('data: {"error": {"message": "Spent."}}\n\n', "text/event-stream", "Spent."),
        ('data: {"error": "Spent."}\n\n', "text/event-stream", "Spent."),
        ("data: {nonsense\n\n", "text/event-stream", "cannot be read"),
        ('{"error": {"message": "Spent."}}', "application/json", "Spent."),
        ("[]", "application/json", "cannot be read"),
    ],
)
async def test_what_is_wrong_is_an_error_with_a_sentence(
    home: HomeAssistant, body: str, content_type: str, sentence: str
) -> None:
    with pytest.raises(AppAnswerError) as raised:
        await heard(home, body, content_type)
    assert sentence in said(raised.value)


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (404, '{"error": {"message": "No such endpoint."}}', "No such endpoint."),
        (422, '{"detail": "Not so."}', "Not so."),
        (400, '{"error_code": "BAD", "message": "MLflow says no."}', "MLflow says no."),
        (500, "<html>", "Internal Server Error"),
        (500, '["odd"]', "Internal Server Error"),
        (302, "", "Found"),
    ],
)
async def test_refusals_say_why(home: HomeAssistant, status: int, body: str, sentence: str) -> None:
    async with running(Wire(body.encode(), "application/json", status)) as wire:
        with pytest.raises(AppAnswerError) as raised:
            await client(home, wire).chat({"model": "m"})
    assert sentence in said(raised.value)


@pytest.mark.parametrize("body", ["{}", "[]", "null", '{"endpoints": [{"name": "x"}]}', "<html>"])
async def test_another_server_is_not_taken_for_a_gateway(home: HomeAssistant, body: str) -> None:
    async with running(Wire(body.encode(), "application/json")) as wire:
        with pytest.raises(NotThisAppError):
            await client(home, wire).endpoints()


async def test_a_gateway_that_does_not_count_yet(home: HomeAssistant) -> None:
    async with running(Wire(b"{}", "application/json", 404)) as wire:
        assert await client(home, wire).usage() is None


async def test_usage_of_a_gateway_in_trouble(home: HomeAssistant) -> None:
    async with running(Wire(b"{}", "application/json", 500)) as wire:
        with pytest.raises(AppError):
            await client(home, wire).usage()
