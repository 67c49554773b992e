"""What the tests of the house stand on: the running demo's note, a watched page, waiting."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import FrameLocator, Page

ROOT = Path(__file__).parents[2]
ARTEFACTS = ROOT / "artefacts" / "house"
# Home Assistant's own: the picture of an integration that it only ships for the others
STOCK_FAILURES = ("/api/brands/",)


@dataclass
class Demo:
    """What `demo.json` tells of the running demo."""

    directory: Path
    note: dict[str, Any]

    @property
    def base(self) -> str:
        return str(self.note["base"])

    def app(self, name: str) -> dict[str, Any]:
        return dict(self.note["apps"][name])

    def logs(self) -> dict[str, str]:
        """Every line that anything of the home has logged."""
        home = Path(self.note["home_directory"])
        files = [home / "home-assistant.log", home / "output.txt", self.directory / "output.txt"]
        files += [Path(app["log"]) for app in self.note["apps"].values()]
        return {str(file): file.read_text(errors="replace") for file in files if file.exists()}


@dataclass
class Watched:
    """A page of which every failed and every outside request is noted."""

    page: Page
    base: str
    failed: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    def watch(self) -> None:
        def response(answer: Any) -> None:
            if answer.status >= 400 and not any(part in answer.url for part in STOCK_FAILURES):
                self.failed.append(f"{answer.status} {answer.request.method} {answer.url}")

        def request(asked: Any) -> None:
            if not asked.url.startswith((self.base, "data:", "blob:")):
                self.outside.append(asked.url)

        def broken(asked: Any) -> None:
            # a page that is left while it loads ends its own requests
            if asked.failure != "net::ERR_ABORTED":
                self.failed.append(f"{asked.failure} {asked.method} {asked.url}")

        self.page.on("response", response)
        self.page.on("request", request)
        self.page.on("requestfailed", broken)

    def shot(self, name: str) -> None:
        """Keep a screenshot as a test artefact."""
        self.page.screenshot(path=ARTEFACTS / f"{name}.png")

    @property
    def frame(self) -> FrameLocator:
        """The app that the sidebar has opened."""
        return self.page.frame_locator("iframe").first

    def call(self, command: dict[str, Any]) -> Any:
        """Call Home Assistant over the frontend's own connection."""
        return self.page.evaluate(
            "command => document.querySelector('home-assistant').hass.callWS(command)", command
        )


def eventually(ask: Callable[[], Any], within: float, what: str) -> Any:
    """Ask until the answer is true; fails naming `what`."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        answer = ask()
        if answer:
            return answer
        time.sleep(0.1)
    pytest.fail(f"{what}: not within {within:.0f} s")


def app_state(home: Watched, slug: str) -> str:
    """Whether an app is stopped, starting or healthy, as the Supervisor says."""
    info = home.call(
        {"type": "supervisor/api", "endpoint": f"/addons/{slug}/info", "method": "get"}
    )
    return str(info["state"])
