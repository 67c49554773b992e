"""A client that does next to nothing itself, so that its own time hardly counts.

`python load.py PORT PATH CLIENTS CALLS STREAM BODY` prints JSON: p50 and p95 in ms, calls a second.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time


class _Client(asyncio.Protocol):
    """One connection that sends the next request when the last one is answered.

    Times the whole answer, or the first event of a stream.
    """

    def __init__(self, request: bytes, calls: int, *, stream: bool) -> None:
        self._request = request
        self._left = calls
        self._stream = stream
        self._received = b""
        self._begun = 0.0
        self._timed = False
        self._transport: asyncio.Transport
        self.seconds: list[float] = []
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def _send(self) -> None:
        self._received, self._timed = b"", False
        self._begun = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._timed and (b"data:" in self._received if self._stream else self._is_whole()):
            self.seconds.append(time.perf_counter() - self._begun)
            self._timed = True
        if self._timed and self._is_whole():
            if not self._received.startswith(b"HTTP/1.1 200"):
                self.done.set_exception(RuntimeError(self._received[:400].decode()))
                return
            self._left -= 1
            if self._left:
                self._send()
            else:
                self._transport.close()
                self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("closed too early"))

    def _is_whole(self) -> bool:
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = self._received[:end].lower()
        if b"content-length:" in head:
            length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
            return len(self._received) >= end + 4 + length
        return self._received.endswith(b"0\r\n\r\n")


async def _main(port: int, path: str, clients: int, calls: int, body: bytes, stream: bool) -> None:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer sk-bench-bench-bench\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    loop = asyncio.get_running_loop()
    begun = time.perf_counter()
    connections = [
        (
            await loop.create_connection(
                lambda: _Client(head.encode() + body, calls // clients, stream=stream),
                "127.0.0.1",
                port,
            )
        )[1]
        for _ in range(clients)
    ]
    await asyncio.gather(*(connection.done for connection in connections))
    elapsed = time.perf_counter() - begun
    seconds = sorted(s for connection in connections for s in connection.seconds)
    result = {
        "p50": 1000 * seconds[len(seconds) // 2],
        "p95": 1000 * seconds[int(len(seconds) * 0.95)],
        "rate": len(seconds) / elapsed,
    }
    print(json.dumps(result))


def load(
    port: int, model: str, *, clients: int, calls: int, stream: bool = False
) -> dict[str, float]:
    """Ask for chat answers, in a process of its own; see the module for what comes back."""
    body = json.dumps(
        {
            "model": model,
            "messages": [{"role": "user", "content": "Turn on the lights in the kitchen."}],
            "temperature": 0.5,
            "stream": stream,
        }
    )
    kind = "stream" if stream else "plain"
    command = [
        sys.executable,
        __file__,
        *(str(port), "/v1/chat/completions", str(clients), str(calls), kind, body),
    ]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result = json.loads(output)
    assert isinstance(result, dict)
    return result


if __name__ == "__main__":
    port, path, clients, calls, stream, body = sys.argv[1:]
    asyncio.run(_main(int(port), path, int(clients), int(calls), body.encode(), stream == "stream"))
