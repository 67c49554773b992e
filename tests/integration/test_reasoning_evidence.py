"""The evidence as the model reads it, and by which marks unchanged evidence is known."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from custom_components.mlflow.reasoning import evidence as evidence_room
from custom_components.mlflow.reasoning.evidence import Teller
from custom_components.mlflow.reasoning.history import Past, sum_up
from custom_components.mlflow.reasoning.marks import Marks, take_marks, take_times
from custom_components.mlflow.reasoning.selection import Want
from custom_components.mlflow.reasoning.words import duration
from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util

EVENING = datetime(2026, 11, 20, 21, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
async def evening(home: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    await home.config.async_set_time_zone("Europe/Amsterdam")
    freezer.move_to(EVENING)  # 22:00 in the home


def tell(
    hass: HomeAssistant,
    wants: dict[str, Want] | None = None,
    pasts: dict[str, Past] | None = None,
    started: datetime | None = None,
) -> list[str]:
    wanted = wants or {
        entity_id: Want() for entity_id in hass.states.async_entity_ids() if "zone" not in entity_id
    }
    return Teller(hass, dt_util.utcnow(), started).tell(wanted, pasts or {}).split("\n")


class TestLines:
    async def test_a_state_is_said_in_words_with_its_name_and_since_when(
        self, home: HomeAssistant, freezer: FrozenDateTimeFactory
    ) -> None:
        home.states.async_set(
            "binary_sensor.door", "on", {"device_class": "door", "friendly_name": "Front door"}
        )
        freezer.tick(timedelta(hours=2, minutes=14))
        assert tell(home, {"binary_sensor.door": Want()}) == [
            '- binary_sensor.door "Front door": open since Fri 22:00, for 2 h 10 min',
            "It is now Saturday 2026-11-21 00:14.",
        ]

    async def test_the_area_stands_with_the_name(self, home: HomeAssistant) -> None:
        area = ar.async_get(home).async_create("Bedroom")
        registry = er.async_get(home)
        entry = registry.async_get_or_create("binary_sensor", "test", "bed")
        registry.async_update_entity(entry.entity_id, area_id=area.id)
        home.states.async_set(
            entry.entity_id, "on", {"device_class": "occupancy", "friendly_name": "Bed"}
        )
        assert '"Bed" (Bedroom): detected since 22:00' in tell(home, {entry.entity_id: Want()})[0]

    @pytest.mark.parametrize(
        ("entity_id", "state", "attributes", "said"),
        [
            ("person.ak", "not_home", {}, "away since"),
            ("person.ak", "Work", {}, "Work since"),
            ("lock.door", "locked", {}, "locked since"),
            ("light.hall", "off", {}, "off since"),
            ("sensor.mode", "heavy_duty", {}, "heavy duty since"),
            ("sensor.t", "21.4567", {"unit_of_measurement": "°C"}, "21.5 °C"),
            ("sensor.p", "1243.71", {"unit_of_measurement": "W"}, "1244 W"),
            ("sensor.tiny", "0.001234", {"unit_of_measurement": "g"}, "0.00123 g"),
            ("input_number.guests", "3.0", {}, "3"),
            ("sensor.p", "unavailable", {"unit_of_measurement": "W"}, "unavailable since 22:00"),
            ("sensor.mode", "unknown", {}, "unknown since 22:00"),
            (
                *("sensor.alarm", "2026-11-21T05:30:00+00:00", {"device_class": "timestamp"}),
                "Sat 06:30, in 8 h",
            ),
            ("button.bell", "2026-11-20T20:55:00+00:00", {}, "21:55, 5 min ago"),
        ],
    )
    async def test_states_of_all_kinds(
        self,
        home: HomeAssistant,
        entity_id: str,
        state: str,
        attributes: dict[str, Any],
        said: str,
    ) -> None:
        home.states.async_set(entity_id, state, attributes)
        line = tell(home, {entity_id: Want()})[0]
        assert f": {said}" in line

    async def test_a_number_is_rounded_as_the_home_shows_it(self, home: HomeAssistant) -> None:
        registry = er.async_get(home)
        entry = registry.async_get_or_create("sensor", "test", "t")
        registry.async_update_entity_options(entry.entity_id, "sensor", {"display_precision": 0})
        home.states.async_set(entry.entity_id, "21.6", {"unit_of_measurement": "°C"})
        assert ": 22 °C" in tell(home, {entry.entity_id: Want()})[0]

    async def test_a_number_that_keeps_still_says_for_how_long(
        self, home: HomeAssistant, freezer: FrozenDateTimeFactory
    ) -> None:
        home.states.async_set("sensor.power", "3", {"unit_of_measurement": "W"})
        freezer.tick(timedelta(minutes=44))
        assert tell(home, {"sensor.power": Want()})[0].endswith("3 W, unchanged for 40 min")

    async def test_attributes_that_are_asked_for_are_told_if_there_are_any(
        self, home: HomeAssistant
    ) -> None:
        attributes = {"brightness": 102, "source": "TV", "level": 0.51234, "busy": True}
        home.states.async_set("light.hall", "on", attributes)
        wanted = Want(attributes=("brightness", "source", "level", "busy", "color"))
        line = tell(home, {"light.hall": wanted})[0]
        assert line.endswith('; brightness 102; source "TV"; level 0.512; busy yes')

    async def test_what_is_not_there_is_said(self, home: HomeAssistant) -> None:
        line = tell(home, {"sensor.gone": Want()})[0]
        assert line == "- sensor.gone: does not exist, or is not loaded"

    async def test_a_state_as_old_as_the_start_may_be_older(
        self, home: HomeAssistant, freezer: FrozenDateTimeFactory
    ) -> None:
        home.states.async_set("light.hall", "on")
        freezer.tick(timedelta(minutes=20))
        line = tell(home, {"light.hall": Want()}, started=dt_util.utcnow())[0]
        assert line.endswith("for 20 min or longer (Home Assistant started then)")


class TestText:
    async def test_what_has_not_changed_for_longest_comes_first_and_the_clock_last(
        self, home: HomeAssistant, freezer: FrozenDateTimeFactory
    ) -> None:
        for entity_id in ("light.a", "light.b", "light.c"):
            home.states.async_set(entity_id, "off")
            freezer.tick(timedelta(minutes=1))
        home.states.async_set("light.a", "on")
        wants = {"light.c": Want(), "light.a": Want(), "light.b": Want()}
        *lines, last = tell(home, wants)
        assert [line.split()[1] for line in lines] == ["light.b", "light.c", "light.a"]
        assert last.startswith("It is now Friday")

    async def test_a_minute_later_most_of_it_is_the_same_to_the_letter(
        self, home: HomeAssistant, freezer: FrozenDateTimeFactory
    ) -> None:
        wants = {f"light.l{number}": Want() for number in range(10)}
        for entity_id in wants:
            home.states.async_set(entity_id, "off")
            freezer.tick(timedelta(minutes=50))
        before = "\n".join(tell(home, wants))
        freezer.tick(timedelta(minutes=1))
        after = "\n".join(tell(home, wants))
        same = next(i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b)
        assert same > len(before) / 2

    async def test_a_text_that_would_be_too_long_is_cut_and_says_so(
        self, home: HomeAssistant, freezer: FrozenDateTimeFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(evidence_room, "MAX_TEXT", 400)
        wants = {f"light.l{number}": Want() for number in range(50)}
        for entity_id in wants:
            home.states.async_set(entity_id, "off")
            freezer.tick(timedelta(seconds=1))
        cut, *lines, _ = tell(home, wants)
        assert (
            cut == f"- [cut here: {50 - len(lines)} entities, unchanged for longest, are left out]"
        )
        assert "light.l49" in lines[-1]
        assert sum(map(len, lines)) < 400

    async def test_a_long_state_and_a_long_attribute_are_cut(self, home: HomeAssistant) -> None:
        home.states.async_set("sensor.text", "x" * 250, {"list": list(range(500))})
        line = tell(home, {"sensor.text": Want(attributes=("list",))})[0]
        assert len(line) < 460
        assert line.endswith("... [cut]")


class TestPast:
    def test_durations_are_coarser_the_longer_they_are(self) -> None:
        said = [
            duration(timedelta(seconds=seconds))
            for seconds in (5, 61, 599, 3500, 3700, 4300, 8000, 25_000, 90_000, 200_000)
        ]
        assert said == [
            *("less than 1 min", "1 min", "9 min", "55 min", "1 h", "1 h 10 min"),
            *("2 h 10 min", "6 h", "1 day", "2 days"),
        ]

    async def test_changes_are_told_in_words(self, home: HomeAssistant) -> None:
        home.states.async_set("binary_sensor.door", "off", {"device_class": "door"})
        minutes = [(-180, "off"), (-100, "on"), (-99, "off"), (-60, "on"), (-58, "off")]
        minutes += [(-46, "on"), (-40, "off")]
        rows = [(EVENING + timedelta(minutes=at), state) for at, state in minutes]
        past = sum_up(rows, EVENING - timedelta(hours=2), EVENING)
        want = {"binary_sensor.door": Want(look_back=timedelta(hours=2))}
        assert tell(home, want, {"binary_sensor.door": past})[0] == (
            '- binary_sensor.door "door": closed since 21:20, for 40 min; last 2 h: '
            "opened 3 times, last 21:14, open for 9 min in all"
        )

    async def test_what_a_restart_set_anew_is_as_old_as_the_recorder_knows(
        self, home: HomeAssistant
    ) -> None:
        home.states.async_set("light.hall", "on")  # just now
        rows = [(EVENING - timedelta(minutes=50), "on"), (EVENING, "unavailable"), (EVENING, "on")]
        past = sum_up(rows, EVENING - timedelta(hours=1), EVENING)
        line = tell(home, {"light.hall": Want()}, {"light.hall": past})[0]
        assert "on since 21:10, for 50 min" in line

    async def test_a_state_older_than_the_window_is_said_to_be(self, home: HomeAssistant) -> None:
        home.states.async_set("light.hall", "on")  # set anew by a restart
        rows = [(EVENING - timedelta(hours=5), "on")]
        past = sum_up(rows, EVENING - timedelta(hours=1), EVENING)
        want = {"light.hall": Want(look_back=timedelta(hours=1))}
        line = tell(home, want, {"light.hall": past})[0]
        assert line.endswith("on for more than 1 h; last 1 h: no change")

    async def test_a_quantity_is_told_by_its_range(self, home: HomeAssistant) -> None:
        home.states.async_set("sensor.t", "19", {"unit_of_measurement": "°C"})
        rows = [(EVENING - timedelta(minutes=m), str(21 - m / 10)) for m in (50, 30, 10)]
        past = sum_up(rows, EVENING - timedelta(hours=1), EVENING)
        line = tell(home, {"sensor.t": Want()}, {"sensor.t": past})[0]
        assert line.endswith("19 °C; last 1 h: between 16 and 20, 16 at its beginning")

    def test_a_window_without_anything_known_is_empty(self) -> None:
        rows = [(EVENING, "unavailable")]
        assert sum_up(rows, EVENING - timedelta(hours=1), EVENING) == Past(timedelta(hours=1), 0)

    async def test_many_states_are_not_all_told(self, home: HomeAssistant) -> None:
        home.states.async_set("sensor.mode", "m9")
        rows = [(EVENING - timedelta(minutes=20 - n), f"m{n}") for n in range(10)]
        past = sum_up(rows, EVENING - timedelta(hours=1), EVENING)
        line = tell(home, {"sensor.mode": Want()}, {"sensor.mode": past})[0]
        assert line.endswith("; and 6 other states")


class TestMarks:
    def marks(self, hass: HomeAssistant, **attributes: tuple[str, ...]) -> Marks:
        wants = {
            state.entity_id: Want(attributes.get(state.object_id, ()))
            for state in hass.states.async_all()
        }
        return take_marks(hass, wants, "basis")

    async def test_time_alone_changes_nothing(
        self, home: HomeAssistant, freezer: FrozenDateTimeFactory
    ) -> None:
        home.states.async_set("light.hall", "on")
        before = self.marks(home)
        freezer.tick(timedelta(hours=3))
        assert not self.marks(home).differ_from(before.values)

    async def test_a_flicker_that_comes_back_changes_nothing(self, home: HomeAssistant) -> None:
        home.states.async_set("light.hall", "on")
        before = self.marks(home)
        home.states.async_set("light.hall", "off")
        assert self.marks(home).differ_from(before.values)
        home.states.async_set("light.hall", "on")
        assert not self.marks(home).differ_from(before.values)

    @pytest.mark.parametrize(
        ("device_class", "unit", "before", "same", "other"),
        [
            ("temperature", "°C", "21.24", "21.60", "21.8"),
            ("temperature", "°F", "70.0", "70.8", "71.0"),
            ("power", "W", "2000", "2150", "2250"),
            ("power", "W", "3", "12", "14"),
            ("power", "kW", "2.0", "2.15", "2.25"),
            ("illuminance", "lx", "400", "480", "540"),
            ("humidity", "%", "50", "52.5", "53"),
            (None, "%", "50", "52", "54"),
            (None, "ppb", "100", "104", "106"),
            (None, None, "1", "1.0", "2"),
        ],
    )
    async def test_a_number_must_move_by_a_step_that_matters(
        self,
        home: HomeAssistant,
        device_class: str | None,
        unit: str | None,
        before: str,
        same: str,
        other: str,
    ) -> None:
        attributes = {"state_class": "measurement", "device_class": device_class}
        if unit:
            attributes["unit_of_measurement"] = unit
        home.states.async_set("sensor.x", before, attributes)
        earlier = self.marks(home).values
        home.states.async_set("sensor.x", same, attributes)
        assert not self.marks(home).differ_from(earlier)
        home.states.async_set("sensor.x", other, attributes)
        assert self.marks(home).differ_from(earlier)

    async def test_attributes_count_when_they_are_told(self, home: HomeAssistant) -> None:
        home.states.async_set("light.hall", "on", {"brightness": 100, "effect": "none"})
        before, without = self.marks(home, hall=("brightness", "effect")), self.marks(home)
        home.states.async_set("light.hall", "on", {"brightness": 103, "effect": "none"})
        assert not self.marks(home, hall=("brightness", "effect")).differ_from(before.values)
        home.states.async_set("light.hall", "on", {"brightness": 110, "effect": "none"})
        assert self.marks(home, hall=("brightness", "effect")).differ_from(before.values)
        assert not self.marks(home).differ_from(without.values)

    async def test_what_becomes_unavailable_or_goes_away_is_a_change(
        self, home: HomeAssistant
    ) -> None:
        wants = {"sensor.t": Want()}
        home.states.async_set("sensor.t", "20", {"unit_of_measurement": "°C"})
        before = take_marks(home, wants, "basis").values
        home.states.async_set("sensor.t", "unavailable", {"unit_of_measurement": "°C"})
        assert take_marks(home, wants, "basis").differ_from(before)
        home.states.async_remove("sensor.t")
        assert take_marks(home, wants, "basis").differ_from(before)

    async def test_another_question_is_a_change(self, home: HomeAssistant) -> None:
        before = take_marks(home, {}, "one question").values
        assert take_marks(home, {}, "another").differ_from(before)

    async def test_times_are_coarse(
        self, home: HomeAssistant, freezer: FrozenDateTimeFactory
    ) -> None:
        home.states.async_set("light.hall", "on")
        freezer.tick(timedelta(minutes=31))
        before = take_times(home, {"light.hall": Want()}, dt_util.utcnow())
        freezer.tick(timedelta(minutes=3))
        assert take_times(home, {"light.hall": Want()}, dt_util.utcnow()) == before
        freezer.tick(timedelta(minutes=30))
        assert take_times(home, {"light.hall": Want()}, dt_util.utcnow()) != before
