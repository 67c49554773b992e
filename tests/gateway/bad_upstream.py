"""A stand-in for providers that misbehave: a raw server whose paths each break in a way of their own."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tests.gateway.standin import chat_answer, event

ANSWER = json.dumps(chat_answer({"model": "m"})).encode()
HUGE = b'{"choices": [], "padding": "' + b"x" * 50_000_000 + b'", "usage": {"prompt_tokens": 7}}'

# Set by the client that has read the first event of `reset_in_stream`.
FIRST_EVENT_ARRIVED = asyncio.Event()

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def head(*lines: str, length: int | None = None, kind: str = "application/json") -> bytes:
    more = [f"Content-Type: {kind}", *lines]
    if length is not None:
        more.append(f"Content-Length: {length}")
    return "\r\n".join(["HTTP/1.1 200 OK", *more, "", ""]).encode()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST, as a crashed machine does."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    _reset(writer)


async def reset_in_body(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(head(length=len(ANSWER)) + ANSWER[:20])
    await writer.drain()
    _reset(writer)


async def reset_in_stream(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    first = event({"choices": [{"index": 0, "delta": {"content": "so"}}]})
    writer.write(head(kind="text/event-stream") + first + b'data: {"cho')
    await writer.drain()
    await FIRST_EVENT_ARRIVED.wait()  # a reset overtakes what was written and is not yet read
    _reset(writer)


async def never(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def stalled_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(head(kind="text/event-stream") + event({"n": 0}))
    await reader.read()


async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One byte a second, and so always in time for the next, until the total time is over."""
    writer.write(head(length=len(ANSWER)))
    for byte in ANSWER:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(1)


async def broken_json(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(head(length=20) + ANSWER[:20])


async def wrong_type(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(head(length=6, kind="text/html") + b"<html>")


async def zipped(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    body = gzip.compress(ANSWER)
    writer.write(head("Content-Encoding: gzip", length=len(body)) + body)


async def zipped_stream(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    body = gzip.compress(event({"n": 0}) + b"data: [DONE]\n\n")
    lines = head("Content-Encoding: gzip", length=len(body), kind="text/event-stream")
    writer.write(lines + body)


async def huge(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(head(length=len(HUGE)) + HUGE)
    await writer.drain()


async def nonsense(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"this is not HTTP\r\n\r\n")


async def redirect(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    lines = (
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/private\r\nContent-Length: 0\r\n\r\n"
    )
    writer.write(lines.encode())


async def zealous(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Refuses what is large before it has read it, and leaves the connection open."""
    head_of_request = (await reader.readuntil(b"\r\n\r\n")).lower()
    if int(head_of_request.partition(b"content-length:")[2].split()[0]) < 1_000_000:
        writer.write(head(length=len(ANSWER)) + ANSWER)
        return
    refusal = b'{"error": {"message": "too large for me"}}'
    writer.write(head(length=len(refusal)).replace(b"200 OK", b"413 Too Large") + refusal)
    await asyncio.Event().wait()


BEHAVIOURS: dict[str, Behaviour] = {
    each.__name__: each
    for each in (
        hang_up,
        reset_in_body,
        reset_in_stream,
        never,
        stalled_stream,
        drip,
        broken_json,
        wrong_type,
        zipped,
        zipped_stream,
        huge,
        nonsense,
        redirect,
        zealous,
    )
}


@asynccontextmanager
async def bad_upstream(context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve the behaviours at `/<name>/...`; gives the address."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        try:
            await reader.readuntil(b"/")
            name = (await reader.readuntil(b"/"))[:-1].decode()
            if name != zealous.__name__:
                lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                length = next(x for x in lines if x.lower().startswith("content-length:"))
                await reader.readexactly(int(length.partition(":")[2]))
            await BEHAVIOURS[name](reader, writer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{port}"
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
