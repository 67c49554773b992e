"""The running demo, and a browser in front of it."""

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright
from tests.house.stage import ARTEFACTS, ROOT, Demo, Watched, eventually

CHROMIUM = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
# Chromium's own calls to its maker, which have nothing to do with the pages
QUIET = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """`./scripts/demo`, ready for its user."""
    directory = tmp_path_factory.mktemp("demo")
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (directory / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            [ROOT / "scripts/demo", "--keep", directory, "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    note = directory / "demo.json"
    try:
        eventually(lambda: note.exists() or process.poll() is not None, 180, "the demo is ready")
        if process.poll() is not None:
            pytest.fail("the demo ended:\n" + (directory / "output.txt").read_text())
        running = Demo(directory, json.loads(note.read_text()))
        yield running
        for name, text in running.logs().items():
            (
                ARTEFACTS / Path(name).name.replace("log.txt", Path(name).parent.name + ".txt")
            ).write_text(text)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = next(
        (path for path in (*CHROMIUM, shutil.which("chromium")) if path and Path(path).exists()),
        None,
    )
    if program is None:
        pytest.fail("there is no Chromium; ./scripts/setup house installs Debian's")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=QUIET)
        yield started
        started.close()


@pytest.fixture
def anonymous(browser: Browser, demo: Demo) -> Iterator[Watched]:
    """A browser that has never been here."""
    context = _context(browser)
    watched = Watched(context.new_page(), demo.base)
    watched.watch()
    yield watched
    context.close()


@pytest.fixture
def home(browser: Browser, demo: Demo) -> Iterator[Watched]:
    """A browser that is logged in, at the overview."""
    context = _context(browser)
    tokens = json.dumps(demo.note["tokens"])
    context.add_init_script(
        "localStorage.setItem('hassTokens', JSON.stringify("
        f"Object.assign({tokens}, {{expires: Date.now() + 1500000}})))"
    )
    watched = Watched(context.new_page(), demo.base)
    watched.watch()
    watched.page.goto(f"{demo.base}/home/overview")
    watched.page.locator("hui-view").first.wait_for(timeout=60_000)
    yield watched
    context.close()


def _context(browser: Browser) -> BrowserContext:
    context = browser.new_context(viewport={"width": 1400, "height": 900}, locale="en-US")
    context.set_default_timeout(30_000)
    expect.set_options(timeout=15_000)
    return context
