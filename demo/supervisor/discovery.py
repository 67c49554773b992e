"""Discovery: what apps tell Home Assistant about themselves, kept and pushed to Core.

One message for each app and service; Core is told over its socket for the Supervisor (2026.11), or
asks by itself when it starts.
"""

import asyncio
import uuid
from pathlib import Path
from typing import Any

import aiohttp


class Discovery:
    """The messages, by the id that Core knows them by."""

    def __init__(self, core_socket: Path) -> None:
        self.messages: dict[str, dict[str, Any]] = {}
        self._core_socket = core_socket
        self._pushes: set[asyncio.Task[None]] = set()

    def send(self, slug: str, service: str, config: dict[str, Any]) -> str:
        """Keep a message and tell Core; one that says nothing new keeps its id and is not told again."""
        message = {"addon": slug, "service": service, "config": config}
        known = next((old for old in self.messages.values() if _same(old, message)), None)
        key = known["uuid"] if known else uuid.uuid4().hex
        if known is None or known["config"] != config:
            self.messages[key] = {**message, "uuid": key}
            task = asyncio.create_task(self.push("POST", "discovery", key, self.messages[key]))
            self._pushes.add(task)
            task.add_done_callback(self._pushes.discard)
        return key

    async def forget(self, slug: str) -> None:
        """Drop the messages of an app that is uninstalled."""
        for key in [key for key, message in self.messages.items() if message["addon"] == slug]:
            await self.push("DELETE", "discovery", key, self.messages.pop(key))

    async def push(self, method: str, kind: str, key: str, body: dict[str, Any]) -> None:
        """Tell Core; when it is not up yet it will ask by itself."""
        if not self._core_socket.exists():
            return
        connector = aiohttp.UnixConnector(str(self._core_socket))
        try:
            async with aiohttp.ClientSession(connector=connector) as session:
                url = f"http://core/api/hassio_push/{kind}/{key}"
                async with session.request(method, url, json=body):
                    pass
        except aiohttp.ClientError, OSError:
            return


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return bool(one["addon"] == other["addon"] and one["service"] == other["service"])
