"""The Supervisor's REST API, as far as Home Assistant Core 2026.11, its frontend and bashio use it.

Replies are `{"result": "ok", "data": ...}` or `{"result": "error", "message": ...}`. Who calls is told by the bearer
token: Core's, or an app's, which may only see itself.
"""

import asyncio
import uuid
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from aiohttp import web

from demo.supervisor import describe, system
from demo.supervisor.app import App
from demo.supervisor.declaration import InvalidOptionError, validated
from demo.supervisor.discovery import Discovery
from demo.supervisor.ingress import Ingress
from demo.supervisor.reply import RefusedError, body_of, envelope, ok

_MAX_BODY = 16 * 1024 * 1024


class Supervisor:
    """The stand-in, as a web application on one address."""

    def __init__(
        self,
        *,
        address: str,
        core_token: str,
        core_version: str,
        core_port: int,
        core_socket: Path,
        core_restart: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        """`address` is the Supervisor's own, apps see calls come from it; `core_socket` is Core's socket for it."""
        self.address = address
        self.port = 0
        self.apps: dict[str, App] = {}
        self.installed: set[str] = set()
        self.discovery = Discovery(core_socket)
        self.ingress = Ingress(self._app_by_ingress_token, address)
        self._core_token = core_token
        self._core_restart = core_restart
        self._restarts: set[asyncio.Task[None]] = set()
        self._answers = system.answers(core_version, core_port)
        self._runner: web.AppRunner | None = None

    @property
    def host(self) -> str:
        """Address and port, as Core's SUPERVISOR variable wants them."""
        return f"{self.address}:{self.port}"

    def offer(self, app: App) -> None:
        """Put an app into the store."""
        self.apps[app.slug] = app

    async def start(self) -> None:
        """Serve on a free port."""
        application = web.Application(client_max_size=_MAX_BODY, middlewares=[envelope])
        router = application.router
        router.add_route(
            "*",
            "/ingress/{token:(?!session$|validate_session$|panels$)[^/]+}/{path:.*}",
            self.ingress.handle,
        )
        router.add_post("/ingress/session", self._create_session)
        router.add_post("/ingress/validate_session", self._validate_session)
        router.add_get("/ingress/panels", self._panels)
        router.add_get("/addons", self._installed)
        router.add_get("/store", self._store)
        router.add_get("/store/addons", self._store)
        router.add_post("/store/addons/{slug}/install", self._install)
        router.add_get("/store/addons/{slug}", self._store_entry)
        for prefix in ("", "/store"):
            router.add_get(
                prefix + "/addons/{slug}/{file:icon|logo|documentation|changelog}", self._file
            )
        router.add_get("/addons/{slug}/info", self._info)
        router.add_get("/addons/{slug}/stats", self._stats)
        router.add_get("/addons/{slug}/logs{rest:.*}", self._log)
        router.add_get("/addons/self/options/config", self._own_options)
        router.add_post("/addons/{slug}/options", self._save)
        router.add_post("/addons/{slug}/options/validate", self._validate)
        router.add_post("/addons/{slug}/{command:start|stop|restart|uninstall}", self._command)
        router.add_get("/discovery", self._discovery)
        router.add_post("/discovery", self._discover)
        router.add_get("/discovery/{uuid}", self._discovery_one)
        router.add_get("/services/{name}", self._service)
        router.add_route("*", "/{path:.*}", self._other)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.address, 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop the apps, then serving."""
        await asyncio.gather(*(app.stop() for app in self.apps.values()))
        await self.ingress.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def install(self, slug: str) -> None:
        """Install an app, start it and show its panel, as a user does from the store."""
        self.installed.add(slug)
        app = self.apps[slug]
        app.ingress_panel = True
        await app.start()

    # ---- who calls, and which app is meant

    def _app_by_ingress_token(self, token: str) -> App | None:
        return next((app for app in self._here() if app.ingress_token == token), None)

    def _here(self) -> list[App]:
        return [app for slug, app in self.apps.items() if slug in self.installed]

    def _caller(self, request: web.Request) -> App | None:
        """The app that calls; None for Core. Anybody else is refused."""
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token == self._core_token:
            return None
        for app in self._here():
            if app.token == token:
                return app
        raise web.HTTPUnauthorized

    def _core_only(self, request: web.Request) -> None:
        if self._caller(request) is not None:
            raise web.HTTPForbidden

    def _app(self, request: web.Request) -> App:
        slug = request.match_info["slug"]
        caller = self._caller(request)
        if caller is not None and slug in ("self", caller.slug):
            return caller
        if caller is not None:
            raise web.HTTPForbidden
        if slug not in self.installed:
            raise RefusedError(f"App {slug} does not exist", 404)
        return self.apps[slug]

    # ---- ingress

    async def _create_session(self, request: web.Request) -> web.Response:
        self._core_only(request)
        body = await body_of(request)
        return ok({"session": self.ingress.create_session(body.get("user_id"))})

    async def _validate_session(self, request: web.Request) -> web.Response:
        self._core_only(request)
        if not self.ingress.valid((await body_of(request)).get("session")):
            raise RefusedError("No such ingress session", 401)
        return ok()

    async def _panels(self, request: web.Request) -> web.Response:
        self._core_only(request)
        panels = {}
        for app in self._here():
            content = app.declaration.content
            if content.get("ingress"):
                panels[app.slug] = {
                    "title": content.get("panel_title", content["name"]),
                    "icon": content.get("panel_icon", "mdi:puzzle"),
                    "admin": content.get("panel_admin", True),
                    "enable": app.ingress_panel,
                }
        return ok({"panels": panels})

    # ---- store and apps

    async def _store(self, request: web.Request) -> web.Response:
        self._core_only(request)
        entries = [
            describe.store_entry(app, installed=slug in self.installed)
            for slug, app in self.apps.items()
        ]
        repository = {
            "slug": entries[0]["repository"] if entries else "local",
            **describe.REPOSITORY,
        }
        return ok({"addons": entries, "repositories": [repository]})

    async def _store_entry(self, request: web.Request) -> web.Response:
        self._core_only(request)
        app = self.apps.get(request.match_info["slug"])
        if app is None:
            raise RefusedError("App does not exist in the store", 404)
        details = describe.complete(app) | describe.store_entry(
            app, installed=app.slug in self.installed
        )
        return ok(details)

    async def _install(self, request: web.Request) -> web.Response:
        self._core_only(request)
        self.installed.add(request.match_info["slug"])
        return ok()

    async def _installed(self, request: web.Request) -> web.Response:
        self._core_only(request)
        return ok({"addons": [describe.installed_entry(app) for app in self._here()]})

    async def _info(self, request: web.Request) -> web.Response:
        return ok(describe.complete(self._app(request)))

    async def _stats(self, request: web.Request) -> web.Response:
        self._app(request)
        return ok(system.STATS)

    async def _log(self, request: web.Request) -> web.Response:
        app = self._app(request)
        return web.Response(
            text=app.log_file.read_text(errors="replace") if app.log_file.exists() else ""
        )

    async def _file(self, request: web.Request) -> web.Response:
        app = self.apps.get(request.match_info["slug"])
        if app is None:
            raise web.HTTPNotFound
        file = request.match_info["file"]
        if file in ("icon", "logo"):
            picture = app.declaration.folder / f"{file}.png"
            if not picture.exists():
                raise web.HTTPNotFound
            return web.Response(body=picture.read_bytes(), content_type="image/png")
        return web.Response(
            text=app.declaration.text(
                {"documentation": "DOCS.md", "changelog": "CHANGELOG.md"}[file]
            )
        )

    async def _command(self, request: web.Request) -> web.Response:
        app = self._app(request)
        command = request.match_info["command"]
        if command == "uninstall":
            await app.stop()
            self.installed.discard(app.slug)
            await self.discovery.forget(app.slug)
            return ok()
        try:
            await getattr(app, command)()
        except InvalidOptionError as fault:
            raise RefusedError(f"App {app.slug} has invalid options: {fault}", 400) from fault
        if app.state == "error":
            raise RefusedError(f"App {app.slug} did not start; its log says why", 400)
        return ok()

    # ---- options

    async def _own_options(self, request: web.Request) -> web.Response:
        app = self._caller(request)
        if app is None:
            raise web.HTTPForbidden
        return ok(validated(app.options, app.declaration.schema))

    async def _save(self, request: web.Request) -> web.Response:
        app, body = self._app(request), await body_of(request)
        if "options" in body:
            try:
                app.save_options(body["options"])
            except InvalidOptionError as fault:
                raise RefusedError(str(fault), 400) from fault
        app.boot = body.get("boot", app.boot)
        app.watchdog = body.get("watchdog", app.watchdog)
        if "ingress_panel" in body:
            app.ingress_panel = body["ingress_panel"]
            method = "POST" if app.ingress_panel else "DELETE"
            await self.discovery.push(method, "panel", app.slug, {})
        return ok()

    async def _validate(self, request: web.Request) -> web.Response:
        app, body = self._app(request), await body_of(request)
        try:
            validated(
                {**app.declaration.content.get("options", {}), **body}, app.declaration.schema
            )
        except InvalidOptionError as fault:
            return ok({"valid": False, "message": str(fault), "pwned": None})
        return ok({"valid": True, "message": "", "pwned": None})

    # ---- discovery and services

    async def _discovery(self, request: web.Request) -> web.Response:
        self._core_only(request)
        services: dict[str, list[str]] = {}
        for app in self._here():
            for service in app.declaration.content.get("discovery", []):
                services.setdefault(service, []).append(app.slug)
        return ok({"discovery": list(self.discovery.messages.values()), "services": services})

    async def _discovery_one(self, request: web.Request) -> web.Response:
        self._core_only(request)
        key = uuid.UUID(request.match_info["uuid"]).hex
        message = self.discovery.messages.get(key)
        if message is None:
            raise RefusedError("Discovery message not found", 404)
        return ok(message)

    async def _discover(self, request: web.Request) -> web.Response:
        app, body = self._caller(request), await body_of(request)
        if app is None or body.get("service") not in app.declaration.content.get("discovery", []):
            raise web.HTTPForbidden
        key = self.discovery.send(app.slug, body["service"], body.get("config", {}))
        return ok({"uuid": key})

    async def _service(self, request: web.Request) -> web.Response:
        self._caller(request)
        raise RefusedError("Service not enabled", 400)

    # ---- everything else that Core asks for

    async def _other(self, request: web.Request) -> web.Response:
        self._caller(request)
        path = request.path.rstrip("/")
        if request.method == "GET" and path in self._answers:
            return ok(self._answers[path])
        if path == "/supervisor/update":
            # an "ok" here would mean: wait for the update
            raise RefusedError("No supervisor update available", 400)
        if path == "/core/restart":
            # Core waits for this answer, so it comes before Core is stopped
            task = asyncio.create_task(self._core_restart())
            self._restarts.add(task)
            task.add_done_callback(self._restarts.discard)
            return ok()
        if path == "/host/logs/boots":
            return ok({"boots": {"0": "0" * 32}})
        if "/logs" in path:
            return web.Response(text="The stand-in Supervisor keeps no such log.\n")
        if request.method == "POST" and path in system.ACCEPTED:
            return ok()
        raise RefusedError(f"The stand-in Supervisor does not know {request.method} {path}", 404)
