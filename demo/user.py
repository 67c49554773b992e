"""A user of Home Assistant, over its REST and WebSocket APIs."""

import json
from contextlib import suppress
from typing import Any, Self

import aiohttp


class User:
    """A logged-in user: REST and the WebSocket API."""

    def __init__(self, base: str) -> None:
        self.base = base
        self._client_id = f"{base}/"
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60))
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._message = 0
        self.tokens: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connections."""
        if self._socket is not None:
            await self._socket.close()
        await self._session.close()

    async def onboard(self, name: str, password: str) -> None:
        """Make the first user, who is the owner."""
        body = {
            "name": name.title(),
            "username": name,
            "password": password,
            "client_id": self._client_id,
            "language": "en",
        }
        _, made = await self.request("POST", "/api/onboarding/users", body, authorized=False)
        await self._tokens(made["auth_code"])

    async def login(self, name: str, password: str) -> None:
        """Log in as the frontend does."""
        start = {
            "client_id": self._client_id,
            "handler": ["homeassistant", None],
            "redirect_uri": self._client_id,
        }
        _, flow = await self.request("POST", "/auth/login_flow", start, authorized=False)
        answer = {"client_id": self._client_id, "username": name, "password": password}
        _, done = await self.request(
            "POST", f"/auth/login_flow/{flow['flow_id']}", answer, authorized=False
        )
        if done.get("type") != "create_entry":
            raise RuntimeError(
                f"the demo home was made with another password: {done.get('errors')}"
            )
        await self._tokens(done["result"])

    async def _tokens(self, code: str) -> None:
        form = {"grant_type": "authorization_code", "code": code, "client_id": self._client_id}
        async with self._session.post(f"{self.base}/auth/token", data=form) as response:
            response.raise_for_status()
            self.tokens = {
                **await response.json(),
                "hassUrl": self.base,
                "clientId": self._client_id,
            }

    async def request(
        self, method: str, path: str, body: Any = None, *, authorized: bool = True
    ) -> tuple[int, Any]:
        """Call the REST API; returns the status and the JSON answer (text when it is none)."""
        headers = {"Authorization": f"Bearer {self.tokens['access_token']}"} if authorized else {}
        async with self._session.request(
            method, self.base + path, json=body, headers=headers
        ) as response:
            text = await response.text()
            with suppress(ValueError):
                return response.status, json.loads(text or "null")
            return response.status, text

    async def call(self, kind: str, **fields: Any) -> Any:
        """Send one command over the WebSocket; raises RuntimeError with Home Assistant's message."""
        if self._socket is None or self._socket.closed:
            self._socket = await self._session.ws_connect(
                f"{self.base}/api/websocket", max_msg_size=0
            )
            await self._socket.receive_json()
            await self._socket.send_json(
                {"type": "auth", "access_token": self.tokens["access_token"]}
            )
            await self._socket.receive_json()
            self._message = 0
        self._message += 1
        await self._socket.send_json({"id": self._message, "type": kind, **fields})
        while True:
            answer = await self._socket.receive_json()
            if answer.get("id") == self._message and answer["type"] == "result":
                break
        if not answer["success"]:
            raise RuntimeError(f"{kind}: {answer['error']['message']}")
        return answer["result"]

    async def supervisor(
        self, method: str, endpoint: str, data: dict[str, Any] | None = None
    ) -> Any:
        """Call the Supervisor through Core, as the frontend does."""
        return await self.call(
            "supervisor/api", endpoint=endpoint, method=method, data=data or {}, timeout=60
        )

    async def state(self, entity_id: str) -> dict[str, Any]:
        """Give an entity's state."""
        _, state = await self.request("GET", f"/api/states/{entity_id}")
        return dict(state)
