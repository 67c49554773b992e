"""Looking back: the recorder's real database, read by its own threads."""

import threading
from datetime import timedelta
from pathlib import Path

import pytest
from custom_components.mlflow.reasoning import history as history_room
from custom_components.mlflow.reasoning.history import Past, look_back
from custom_components.mlflow.reasoning.recent import RecentPast
from custom_components.mlflow.reasoning.selection import Want
from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.recorder import history as recorder_history
from homeassistant.core import HomeAssistant
from homeassistant.helpers.recorder import async_initialize_recorder, get_instance
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util

from .conftest import eventually
from .reasoned import always, load, says
from .standins import StandInGateway

TWO_HOURS = {"binary_sensor.bed": Want(look_back=timedelta(hours=2))}


@pytest.fixture(autouse=True)
async def home(
    socket_enabled: None, enable_custom_integrations: None, hass: HomeAssistant, tmp_path: Path
) -> HomeAssistant:
    """A home whose recorder was there first, as in life."""
    hass.config.config_dir = str(tmp_path)
    async_initialize_recorder(hass)
    assert await async_setup_component(hass, "recorder", {"recorder": {"commit_interval": 0}})
    assert await async_setup_component(hass, "homeassistant", {})
    await hass.async_block_till_done()
    return hass


async def live(hass: HomeAssistant, freezer: FrozenDateTimeFactory, *states: str) -> None:
    """Give the bed states, a minute apart, and wait until they are in the database."""
    for state in states:
        hass.states.async_set("binary_sensor.bed", state, {"device_class": "occupancy"})
        freezer.tick(timedelta(minutes=1))
    await get_instance(hass).async_block_till_done()


class TestLookBack:
    async def test_changes_are_counted(
        self, home: HomeAssistant, freezer: FrozenDateTimeFactory
    ) -> None:
        await live(home, freezer, "off", "on", "off", "unavailable", "off", "on")
        past = (await look_back(home, TWO_HOURS, dt_util.utcnow()))["binary_sensor.bed"]
        on = next(stay for stay in past.stays if stay.state == "on")
        assert (on.count, on.total) == (2, timedelta(minutes=2))
        assert past.since == dt_util.utcnow() - timedelta(minutes=1)

    async def test_it_is_read_outside_of_the_event_loop(
        self,
        home: HomeAssistant,
        freezer: FrozenDateTimeFactory,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        await live(home, freezer, "off", "on")
        threads: list[str] = []
        read = recorder_history.state_changes_during_period

        def watched(*args: object, **kwargs: object) -> object:
            threads.append(threading.current_thread().name)
            return read(*args, **kwargs)  # type: ignore[arg-type]

        monkeypatch.setattr(recorder_history, "state_changes_during_period", watched)
        await look_back(home, TWO_HOURS, dt_util.utcnow())
        assert threads
        assert all(name != threading.main_thread().name for name in threads)

    async def test_a_busy_entity_is_looked_back_less_far(
        self,
        home: HomeAssistant,
        freezer: FrozenDateTimeFactory,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(history_room, "MAX_ROWS", 20)
        await live(home, freezer, *("on", "off") * 50)
        past = (await look_back(home, TWO_HOURS, dt_util.utcnow()))["binary_sensor.bed"]
        assert past.window < timedelta(hours=2)
        assert 0 < past.changes < 20

    async def test_what_the_recorder_does_not_know_has_no_past(self, home: HomeAssistant) -> None:
        assert await look_back(home, TWO_HOURS, dt_util.utcnow()) == {}

    async def test_the_model_is_told(
        self, home: HomeAssistant, gateway: StandInGateway, freezer: FrozenDateTimeFactory
    ) -> None:
        await live(home, freezer, "off", "on", "off", "on")
        gateway.script = always(says("yes"))
        target = {"entity_id": ["binary_sensor.bed"]}
        evidence = [{"target": target, "look_back": {"hours": 2}}]
        [state] = await load(home, gateway, {"evidence": evidence})
        await state.think_now()
        assert "last 2 h: detected twice" in gateway.requests[0]["messages"][-1]["content"]


class TestRecentPast:
    """What the states think with: read once, then noted as it happens."""

    async def test_the_recorder_is_read_once(
        self,
        home: HomeAssistant,
        freezer: FrozenDateTimeFactory,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        await live(home, freezer, "off", "on")
        recent = RecentPast(home)
        assert (await past_of_bed(recent)).changes == 2
        monkeypatch.setattr(recorder_history, "state_changes_during_period", None)
        note(home, recent, "off")
        freezer.tick(timedelta(minutes=1))
        past = await past_of_bed(recent)
        assert past.changes == 3
        assert past.since == dt_util.utcnow() - timedelta(minutes=1)

    async def test_it_tells_what_the_recorder_would(
        self, home: HomeAssistant, freezer: FrozenDateTimeFactory
    ) -> None:
        recent = RecentPast(home)
        await live(home, freezer, "on")
        await past_of_bed(recent)
        for state in ("off", "on", "unavailable", "on", "off") * 4:
            await live(home, freezer, state)
            recent.note("binary_sensor.bed", home.states.get("binary_sensor.bed"))
            freezer.tick(timedelta(minutes=4))
            noted = await past_of_bed(recent)

            async def is_read(noted: Past = noted) -> bool:
                read = await look_back(home, TWO_HOURS, dt_util.utcnow())
                return read["binary_sensor.bed"] == noted

            await eventually(is_read)

    async def test_a_longer_look_back_reads_again(
        self, home: HomeAssistant, freezer: FrozenDateTimeFactory
    ) -> None:
        await live(home, freezer, "off", "on", "off", "on")
        recent = RecentPast(home)
        short = {"binary_sensor.bed": Want(look_back=timedelta(seconds=90))}
        past = (await recent.look_back(short, dt_util.utcnow()))["binary_sensor.bed"]
        assert (past.changes, past.stays[0].total) == (1, timedelta(minutes=1))
        assert (await past_of_bed(recent)).changes == 4
        past = (await recent.look_back(short, dt_util.utcnow()))["binary_sensor.bed"]
        assert (past.changes, past.window) == (1, timedelta(seconds=90))

    async def test_a_busy_entity_takes_no_more_room_and_is_looked_back_less_far(
        self, home: HomeAssistant, freezer: FrozenDateTimeFactory
    ) -> None:
        await live(home, freezer, "off")
        recent = RecentPast(home)
        await past_of_bed(recent)
        for number in range(history_room.MAX_ROWS + 100):
            freezer.tick(timedelta(seconds=1))
            note(home, recent, ("on", "off")[number % 2])
        past = await past_of_bed(recent)
        assert past.window == timedelta(seconds=history_room.MAX_ROWS - 1)
        assert past.changes == history_room.MAX_ROWS - 1

    async def test_what_was_removed_is_read_again(
        self, home: HomeAssistant, freezer: FrozenDateTimeFactory
    ) -> None:
        await live(home, freezer, "off", "on")
        recent = RecentPast(home)
        await past_of_bed(recent)
        recent.note("binary_sensor.bed", None)
        await live(home, freezer, "off")
        assert (await past_of_bed(recent)).changes == 3


def note(hass: HomeAssistant, recent: RecentPast, state: str) -> None:
    """Let the bed change, as the listener to all evidence tells it."""
    hass.states.async_set("binary_sensor.bed", state, {"device_class": "occupancy"})
    recent.note("binary_sensor.bed", hass.states.get("binary_sensor.bed"))


async def past_of_bed(recent: RecentPast) -> Past:
    return (await recent.look_back(TWO_HOURS, dt_util.utcnow()))["binary_sensor.bed"]


async def test_without_a_recorder_there_is_no_past_and_no_error(home: HomeAssistant) -> None:
    home.config.components.remove("recorder")
    assert await look_back(home, TWO_HOURS, dt_util.utcnow()) == {}
    home.config.components.add("recorder")
