"""Starting, stopping and failing: what the Supervisor and its watchdog see of an app, and what its user reads."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.images.conftest import Start
from tests.images.container import Container
from tests.images.supervisor import Supervisor

# a fault in each app's options, and the words by which its user finds the option
FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "gateway": (
        {"endpoints": [{"name": "fast", "provider": "nowhere", "model": "m", "type": "chat"}]},
        'endpoints[0] "fast"',
    ),
    "tracking": ({"log_level": "loud"}, "log_level"),
}


@pytest.fixture
def refusing(supervisor: Supervisor) -> Iterator[None]:
    supervisor.refuses_discovery = True
    yield
    supervisor.refuses_discovery = False


async def test_a_stop_ends_the_app_cleanly_and_in_time(start: Start) -> None:
    app = await start()
    await app.until_answering()
    await app.stop()

    state = await app.state()
    assert (state["ExitCode"], state["OOMKilled"], state["Error"]) == (0, False, "")
    log = await app.log()
    assert "killed" not in log.lower()
    assert "Traceback" not in log
    assert "the app stops" not in log


async def test_a_stop_while_the_app_is_starting_is_clean_too(start: Start) -> None:
    app = await start()
    await app.stop()
    assert (await app.state())["ExitCode"] == 0


@pytest.mark.usefixtures("provider")
@pytest.mark.parametrize("start", ["gateway"], indirect=True)
async def test_a_stop_does_not_wait_for_a_model_that_talks_on(start: Start) -> None:
    app = await start()
    await app.until_answering()
    question = {
        "model": "fast",
        "stream": True,
        "messages": [{"role": "user", "content": "Go on."}],
    }
    token = (app.data / "token").read_text().strip()
    async with app.call("/v1/chat/completions", body=question, token=token) as answer:
        assert (await answer.content.readline()).startswith(b"data: ")
        await app.stop()
    assert (await app.state())["ExitCode"] == 0


async def test_an_app_that_was_stopped_starts_again_with_the_same_token(start: Start) -> None:
    app = await start()
    await app.until_answering()
    token = (app.data / "token").read_text()
    await app.stop()
    await app.start_again()
    await app.until_answering()
    assert (app.data / "token").read_text() == token


async def test_a_crash_of_the_server_stops_the_container_as_failed(start: Start) -> None:
    app = await start()
    await app.until_answering()
    await _kill_server(app)
    assert await app.until_stopped() == 128 + 9
    assert "was killed" in await app.log()


async def test_faulty_options_stop_the_start_with_a_sentence_that_names_the_option(
    start: Start,
) -> None:
    app = await start()
    await app.remove()
    faults, words = FAULTS[app.app]

    app = await start(**faults)
    assert await app.until_stopped() == 1
    assert words in await app.log()
    assert "Traceback" not in await app.log()


@pytest.mark.usefixtures("refusing")
async def test_an_app_that_home_assistant_does_not_want_to_know_runs_all_the_same(
    start: Start,
) -> None:
    app = await start()
    await app.until_logged("Home Assistant could not be told about this app")
    assert await app.status("/health") == 200
    assert (await app.state())["Status"] == "running"


async def _kill_server(app: Container) -> None:
    """SIGKILL to the process that s6 supervises, as the kernel does when memory runs out."""
    pid = await app.run("s6-svstat", "-o", "pid", f"/run/service/{app.app}")
    await app.run("bash", "-c", f"kill -KILL {pid}")
