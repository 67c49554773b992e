"""Stand-ins for what cannot run in a test: a paid model behind a Gateway, and the Supervisor."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

type Reply = Callable[[dict[str, Any]], list[dict[str, Any]]]


class Server:
    """A web server on a free loopback port, which can go away and come back there."""

    def __init__(self) -> None:
        self.app = web.Application()
        self._port = 0
        self._server: TestServer | None = None

    async def start(self) -> None:
        app = web.Application()
        app.add_routes(self.routes())
        self._server = TestServer(app, host="127.0.0.1", port=self._port or None)
        await self._server.start_server()
        self._port = self._server.port or 0

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.close()
            self._server = None

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def routes(self) -> list[web.RouteDef]:
        raise NotImplementedError


def says(*pieces: str) -> Reply:
    """The model says something, a piece at a time."""
    return lambda request: [{"content": piece} for piece in pieces]


def calls(*tools: tuple[str, dict[str, Any] | str]) -> Reply:
    """The model calls tools, whose arguments come in two pieces as they do in life."""

    def reply(request: dict[str, Any]) -> list[dict[str, Any]]:
        deltas: list[dict[str, Any]] = []
        for index, (name, arguments) in enumerate(tools):
            text = arguments if isinstance(arguments, str) else json.dumps(arguments)
            half = len(text) // 2
            first = {"name": name, "arguments": text[:half]}
            call = {"index": index, "id": f"call_{secrets.token_hex(4)}", "type": "function"}
            deltas.append({"tool_calls": [{**call, "function": first}]})
            rest = {"index": index, "function": {"arguments": text[half:]}}
            deltas.append({"tool_calls": [rest]})
        return deltas

    return reply


class StandInGateway(Server):
    """Answers as the Gateway does; the model behind it follows `script`, one reply per call."""

    def __init__(self) -> None:
        super().__init__()
        self.token = secrets.token_urlsafe(24)
        self.endpoints = [("home", "chat"), ("small", "chat"), ("vectors", "embeddings")]
        self.prices: dict[str, dict[str, float]] = {}
        self.falls_back_to: str | None = None
        self.script: list[Reply] = []
        self.requests: list[dict[str, Any]] = []
        self.usage: dict[str, Any] | None = None
        self.refusal: tuple[int, str] | None = None
        self.refuses_logprobs = False
        self.raw_answer: bytes | None = None
        self.pause: asyncio.Event | None = None
        self.breaks_after: int | None = None

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/2.0/endpoints/", self._list),
            web.get("/usage", self._usage),
            web.post("/v1/chat/completions", self._chat),
        ]

    def _check(self, request: web.Request) -> None:
        ingress = "X-Ingress-Path" in request.headers
        if not ingress and request.headers.get("Authorization") != f"Bearer {self.token}":
            raise web.HTTPUnauthorized(
                text=json.dumps({"error": {"message": "A token is needed."}}),
                content_type="application/json",
            )

    async def _list(self, request: web.Request) -> web.Response:
        self._check(request)
        endpoints = [
            {
                "name": name,
                "endpoint_type": f"llm/v1/{kind}",
                "model": {"name": f"scripted-{name}", "provider": "openai"},
                "endpoint_url": f"/gateway/{name}/invocations",
                "limit": None,
                "usd_per_million_tokens": self.prices.get(name),
            }
            for name, kind in self.endpoints
        ]
        return web.json_response({"endpoints": endpoints})

    async def _usage(self, request: web.Request) -> web.Response:
        self._check(request)
        if self.usage is None:
            return web.json_response({"error": {"message": "404: Not Found"}}, status=404)
        return web.json_response(self.usage)

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        self._check(request)
        body = await request.json()
        self.requests.append(body)
        if self.refusal is not None:
            status, message = self.refusal
            return web.json_response({"error": {"message": message}}, status=status)
        if self.raw_answer is not None:
            return web.Response(body=self.raw_answer, content_type="application/json")
        if self.refuses_logprobs and "logprobs" in body:
            refused = {"message": "logprobs are not supported with this model."}
            return web.json_response({"error": refused}, status=400)
        deltas = self.script.pop(0)(body)
        answered_by = {"X-Gateway-Endpoint": self.falls_back_to or body["model"]}
        if not body.get("stream"):
            return web.json_response(_completion(deltas), headers=answered_by)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **answered_by})
        await response.prepare(request)
        for number, delta in enumerate(deltas):
            if number == self.breaks_after:
                error = {"error": {"message": "The provider hung up."}}
                await response.write(f"data: {json.dumps(error)}\n\n".encode())
                return response
            if number and self.pause is not None:
                await self.pause.wait()
            await self._write(response, choices=[{"index": 0, "delta": delta}])
        reason = "tool_calls" if any("tool_calls" in delta for delta in deltas) else "stop"
        await self._write(response, choices=[{"index": 0, "delta": {}, "finish_reason": reason}])
        usage = {
            "prompt_tokens": 100,
            "completion_tokens": 7,
            "total_tokens": 107,
            "prompt_tokens_details": {"cached_tokens": 64},
        }
        await self._write(response, choices=[], usage=usage)
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _write(self, response: web.StreamResponse, **chunk: Any) -> None:
        chunk |= {"object": "chat.completion.chunk", "model": "scripted-model-1"}
        await response.write(f"data: {json.dumps(chunk)}\n\n".encode())


def _completion(deltas: list[dict[str, Any]]) -> dict[str, Any]:
    """A whole answer: the pieces in one, with the probabilities that one of them may bring."""
    text = "".join(delta.get("content", "") for delta in deltas)
    choice: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": text}}
    for delta in deltas:
        if "logprobs" in delta:
            choice["logprobs"] = delta["logprobs"]
    usage = {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107}
    return {"object": "chat.completion", "choices": [choice], "usage": usage}


class StandInSupervisor(Server):
    """The part of the Supervisor that the integration asks: apps, ingress sessions, ingress."""

    def __init__(self) -> None:
        super().__init__()
        self.apps: dict[str, str] = {}
        self.ingress_tokens: dict[str, str] = {}
        self.sessions: set[str] = set()
        self.stopped: set[str] = set()
        self.broken: set[str] = set()

    def install(self, slug: str, address: str) -> None:
        """Install an app whose process listens at an address; again means: anew."""
        self.apps[slug] = address
        self.ingress_tokens[slug] = secrets.token_urlsafe(16)

    def uninstall(self, slug: str) -> None:
        """Remove an app."""
        del self.apps[slug], self.ingress_tokens[slug]

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/addons", self._list),
            web.get("/addons/{slug}/info", self._info),
            web.post("/addons/{slug}/start", self._start),
            web.post("/ingress/session", self._session),
            web.route("*", "/ingress/{token}/{path:.*}", self._ingress),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        return _ok({"addons": [_addon(slug) for slug in self.apps]})

    async def _info(self, request: web.Request) -> web.Response:
        slug = request.match_info["slug"]
        if slug not in self.apps:
            message = f"App {slug} does not exist"
            return web.json_response({"result": "error", "message": message}, status=404)
        entry = f"/api/hassio_ingress/{self.ingress_tokens[slug]}"
        state = "stopped" if slug in self.stopped else "started"
        return _ok(_addon(slug) | _ADDON_DETAILS | {"ingress_entry": entry, "state": state})

    async def _start(self, request: web.Request) -> web.Response:
        slug = request.match_info["slug"]
        if slug in self.broken:
            message = f"App {slug} has invalid options: it has no endpoint"
            return web.json_response({"result": "error", "message": message}, status=400)
        self.stopped.discard(slug)
        return _ok({})

    async def _session(self, request: web.Request) -> web.Response:
        self.sessions.add(session := secrets.token_hex(16))
        return _ok({"session": session})

    async def _ingress(self, request: web.Request) -> web.StreamResponse:
        slugs = {token: slug for slug, token in self.ingress_tokens.items()}
        slug = slugs.get(request.match_info["token"])
        if slug is None:
            return web.Response(status=503, text="503: Service Unavailable")
        if request.cookies.get("ingress_session") not in self.sessions:
            return web.Response(status=401, text="401: Unauthorized")
        if slug in self.stopped:
            return web.Response(status=503, text="503: Service Unavailable")
        try:
            return await self._proxy(request, f"{self.apps[slug]}/{request.match_info['path']}")
        except OSError:
            return web.Response(status=502, text="502: Bad Gateway")

    async def _proxy(self, request: web.Request, url: str) -> web.StreamResponse:
        dropped = ("Host", "Content-Length", "Transfer-Encoding", "Content-Encoding")
        headers = {k: v for k, v in request.headers.items() if k not in dropped}
        async with (
            ClientSession() as session,
            session.request(
                request.method,
                url,
                params=request.query,
                headers=headers,
                data=await request.read(),
            ) as answer,
        ):
            kept = {k: v for k, v in answer.headers.items() if k not in dropped}
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            return response


def _ok(data: dict[str, Any]) -> web.Response:
    return web.json_response({"result": "ok", "data": data})


def _addon(slug: str) -> dict[str, Any]:
    return {
        "advanced": False,
        "available": True,
        "build": False,
        "description": slug,
        "homeassistant": None,
        "icon": False,
        "logo": False,
        "name": slug,
        "repository": slug.split("_", maxsplit=1)[0],
        "slug": slug,
        "stage": "stable",
        "update_available": False,
        "url": None,
        "version_latest": "0.1.0",
        "version": "0.1.0",
        "detached": False,
        "state": "started",
    }


# What aiohasupervisor's model of an installed app cannot do without.
_ADDON_DETAILS: dict[str, Any] = {
    **dict.fromkeys(
        [
            *("apparmor", "rating", "boot", "boot_config", "hostname", "long_description"),
            *("network", "network_description", "schema", "webui", "ingress_url", "ingress_port"),
            *("ingress_panel", "audio_input", "audio_output", "auto_update", "ip_address"),
            *("watchdog", "system_managed_config_entry"),
        ]
    ),
    **dict.fromkeys(
        [
            *("auth_api", "docker_api", "full_access", "homeassistant_api", "host_network"),
            *("host_pid", "ingress", "signed", "hassio_api", "documentation", "protected"),
            *("host_ipc", "host_uts", "host_dbus", "changelog", "stdin", "gpio", "usb", "uart"),
            *("kernel_modules", "devicetree", "udev", "video", "system_managed", "audio"),
        ],
        False,
    ),
    **{key: [] for key in ("arch", "dns", "machine", "privileged", "services", "discovery")},
    "devices": [],
    "options": {},
    "translations": {},
    "apparmor": "default",
    "boot": "auto",
    "boot_config": "auto",
    "hassio_role": "default",
    "hostname": "app",
    "ip_address": "127.0.0.1",
    "rating": 6,
    "startup": "application",
    "auto_update": False,
    "watchdog": False,
    "ingress": True,
    "ingress_port": 8099,
}


@asynccontextmanager
async def running[ServerT: Server](server: ServerT) -> AsyncIterator[ServerT]:
    """Run a stand-in for as long as a test needs it."""
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
