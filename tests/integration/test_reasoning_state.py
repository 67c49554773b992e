"""A reasoned state on a real Home Assistant: it thinks when it should, and shows what it decided."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from custom_components.mlflow.reasoning.settings import Settings
from custom_components.mlflow.reasoning.state import Correction, ReasonedState, preview
from freezegun.api import FrozenDateTimeFactory
from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util

from .conftest import Tracking, eventually
from .reasoned import (
    ASLEEP,
    FaultyGateway,
    always,
    load,
    make_entry,
    pass_time,
    runtime_of,
    says,
    shows,
    tokens,
)
from .standins import StandInGateway, running


def bed(hass: HomeAssistant, state: str) -> None:
    hass.states.async_set("binary_sensor.bed", state, {"device_class": "occupancy"})


def power(hass: HomeAssistant, watts: float) -> None:
    attributes = {"device_class": "power", "unit_of_measurement": "W"}
    hass.states.async_set("sensor.power", str(watts), attributes)


@pytest.fixture(autouse=True)
def evidence(home: HomeAssistant) -> None:
    bed(home, "on")
    power(home, 41.3)


def evidence_in(request: dict[str, Any]) -> str:
    return str(request["messages"][-1]["content"])


class TestWhen:
    async def test_it_thinks_when_the_home_is_quiet(
        self, home: HomeAssistant, gateway: StandInGateway, freezer: FrozenDateTimeFactory
    ) -> None:
        gateway.script = always(says("yes", 0.93))
        [state] = await load(home, gateway, {})
        assert (state.value, state.verdict, gateway.requests) == (None, None, [])

        await pass_time(home, freezer, seconds=31)

        assert state.value is True
        assert state.shown is state.verdict is not None
        assert state.verdict.reason == "The bed is occupied."
        assert state.verdict.confidence == 0.93
        assert state.verdict.measured is False
        assert state.verdict.decided_by == ("binary_sensor.bed",)
        assert state.verdict.tokens == 107
        assert (state.calls_today, state.tokens_today) == (1, 107)
        assert state.problem is None

    async def test_not_before_home_assistant_has_started(
        self, home: HomeAssistant, gateway: StandInGateway, freezer: FrozenDateTimeFactory
    ) -> None:
        gateway.script = always(says("yes"))
        home.set_state(CoreState.starting)
        await load(home, gateway, {})
        await pass_time(home, freezer, minutes=10)
        assert gateway.requests == []

        home.set_state(CoreState.running)
        home.bus.async_fire("homeassistant_started")
        await pass_time(home, freezer, seconds=31)
        assert len(gateway.requests) == 1
        assert "Home Assistant started then" in evidence_in(gateway.requests[0])

    async def test_a_change_is_thought_about_after_quiet_and_not_too_often(
        self, home: HomeAssistant, gateway: StandInGateway, freezer: FrozenDateTimeFactory
    ) -> None:
        gateway.script = always(says("yes"), says("no"))
        [state] = await load(home, gateway, {})
        await pass_time(home, freezer, seconds=31)

        bed(home, "off")
        await pass_time(home, freezer, seconds=31)
        assert state.next_thought_not_before == dt_util.utcnow() + timedelta(seconds=300 - 31)
        assert len(gateway.requests) == 1
        await pass_time(home, freezer, seconds=270)
        assert len(gateway.requests) == 2
        assert state.value is False
        assert "clear since" in evidence_in(gateway.requests[1])

    async def test_a_flicker_that_comes_back_costs_nothing(
        self, home: HomeAssistant, gateway: StandInGateway, freezer: FrozenDateTimeFactory
    ) -> None:
        gateway.script = always(says("yes"))
        await load(home, gateway, {})
        await pass_time(home, freezer, minutes=6)
        for _ in range(20):
            bed(home, "off")
            power(home, 45)
            bed(home, "on")
            await pass_time(home, freezer, minutes=6)
        assert len(gateway.requests) == 1

    async def test_time_alone_is_thought_about_only_at_least_so_often(
        self, home: HomeAssistant, gateway: StandInGateway, freezer: FrozenDateTimeFactory
    ) -> None:
        gateway.script = always(says("yes"))
        await load(home, gateway, {"at_least_every": {"hours": 2}})
        await pass_time(home, freezer, seconds=31)
        await pass_time(home, freezer, minutes=100)
        assert len(gateway.requests) == 1
        await pass_time(home, freezer, minutes=21)
        assert len(gateway.requests) == 2

    async def test_an_answer_that_disagrees_is_asked_for_again(
        self, home: HomeAssistant, gateway: StandInGateway, freezer: FrozenDateTimeFactory
    ) -> None:
        gateway.script = always(says("yes"), says("no"))
        [state] = await load(home, gateway, {"agreeing": 3})
        await pass_time(home, freezer, seconds=31)
        bed(home, "off")
        values = []
        for _ in range(5):
            await pass_time(home, freezer, seconds=301)
            values.append((len(gateway.requests), state.value))
        assert values == [(2, True), (3, True), (4, False), (4, False), (4, False)]

    async def test_only_while_its_condition_holds(
        self, home: HomeAssistant, gateway: StandInGateway, freezer: FrozenDateTimeFactory
    ) -> None:
        gateway.script = always(says("yes"))
        condition = "{{ is_state('input_boolean.night', 'on') }}"
        [state] = await load(home, gateway, {"condition": condition})
        await pass_time(home, freezer, minutes=10)
        assert gateway.requests == []
        assert state.problem is None

        home.states.async_set("input_boolean.night", "on")
        await pass_time(home, freezer, seconds=31)
        assert len(gateway.requests) == 1

    async def test_a_condition_that_cannot_be_rendered_is_said(
        self, home: HomeAssistant, gateway: StandInGateway, freezer: FrozenDateTimeFactory
    ) -> None:
        [state] = await load(home, gateway, {"condition": "{{ 1 / 0 }}"})
        await pass_time(home, freezer, seconds=31)
        assert state.problem is not None
        assert "condition" in state.problem
        assert "division by zero" in state.problem
        assert gateway.requests == []

    async def test_evidence_by_area_follows_the_registries(
        self, home: HomeAssistant, gateway: StandInGateway, freezer: FrozenDateTimeFactory
    ) -> None:
        gateway.script = always(says("yes"))
        area = ar.async_get(home).async_create("Bedroom")
        registry = er.async_get(home)
        lamp = registry.async_get_or_create("light", "test", "lamp").entity_id
        home.states.async_set(lamp, "on")
        await load(home, gateway, {"evidence": [{"target": {"area_id": area.id}}]})
        await pass_time(home, freezer, seconds=31)
        assert lamp not in evidence_in(gateway.requests[0])

        registry.async_update_entity(lamp, area_id=area.id)
        await pass_time(home, freezer, seconds=2)
        await pass_time(home, freezer, seconds=301)
        assert lamp in evidence_in(gateway.requests[1])

    async def test_two_are_asked_at_a_time_however_many_there_are(
        self, home: HomeAssistant
    ) -> None:
        async with running(FaultyGateway()) as gateway:
            gateway.script = always(says("yes"))
            gateway.held = asyncio.Event()
            states = await load(home, gateway, *[{}] * 6)
            thoughts = asyncio.gather(*(state.think_now() for state in states))
            await eventually(lambda: gateway.arrived == 2)
            for _ in range(50):
                await asyncio.sleep(0.002)
            assert gateway.arrived == 2
            gateway.held.set()
            await thoughts
            assert gateway.arrived == 6


class TestByHand:
    async def test_think_now_waits_for_nothing(
        self, home: HomeAssistant, gateway: StandInGateway, freezer: FrozenDateTimeFactory
    ) -> None:
        gateway.script = always(says("yes"))
        [state] = await load(home, gateway, {"condition": "{{ false }}"})
        verdict = await state.think_now()
        assert verdict.answer is True
        assert await state.think_now() is not verdict
        assert len(gateway.requests) == 2

    async def test_two_who_ask_at_the_same_time_get_the_same_thought(
        self, home: HomeAssistant, gateway: StandInGateway
    ) -> None:
        gateway.script = always(says("yes"))
        [state] = await load(home, gateway, {})
        one, other = await asyncio.gather(state.think_now(), state.think_now())
        assert one is other
        assert len(gateway.requests) == 1

    async def test_a_paused_state_thinks_only_when_it_is_told_to(
        self, home: HomeAssistant, gateway: StandInGateway, freezer: FrozenDateTimeFactory
    ) -> None:
        gateway.script = always(says("yes"))
        [state] = await load(home, gateway, {})
        await state.set_paused(True)
        await pass_time(home, freezer, minutes=6)
        bed(home, "off")
        await pass_time(home, freezer, minutes=6)
        assert gateway.requests == []
        await state.think_now()
        bed(home, "on")
        await pass_time(home, freezer, minutes=6)
        assert len(gateway.requests) == 1

        await state.set_paused(False)
        await pass_time(home, freezer, seconds=31)
        assert len(gateway.requests) == 2

    async def test_it_rests_while_home_assistant_stops(
        self, home: HomeAssistant, gateway: StandInGateway, freezer: FrozenDateTimeFactory
    ) -> None:
        gateway.script = always(says("yes"))
        await load(home, gateway, {})
        home.bus.async_fire(EVENT_HOMEASSISTANT_STOP)
        bed(home, "off")
        await pass_time(home, freezer, minutes=6)
        assert gateway.requests == []

    async def test_listeners_are_told(self, home: HomeAssistant, gateway: StandInGateway) -> None:
        gateway.script = always(says("yes"))
        [state] = await load(home, gateway, {})
        told: list[Any] = []
        stop = state.listen(lambda: told.append((state.value, state.paused)))
        await state.think_now()
        await state.set_paused(True)
        stop()
        await state.set_paused(False)
        assert told == [(True, False), (True, True)]

    async def test_a_correction_is_recorded_shown_and_learned_from(
        self, home: HomeAssistant, gateway: StandInGateway, freezer: FrozenDateTimeFactory
    ) -> None:
        gateway.script = always(says("yes"), says("no"), says("yes"))
        [state] = await load(home, gateway, {})
        recorded: list[Correction] = []

        async def record(_: ReasonedState, correction: Correction) -> None:
            recorded.append(correction)

        state.record_correction = record
        verdict = await state.think_now()
        await state.correct(False, since=None, comment="I was reading", source="AK")

        assert state.value is False
        assert state.shown is None
        assert state.corrected is not None
        assert state.corrected.comment == "I was reading"
        [correction] = recorded
        assert correction.verdict is verdict
        assert "binary_sensor.bed" in correction.evidence
        await state.think_now()
        system = gateway.requests[-1]["messages"][0]["content"]
        assert 'Right answer: "no"\nBecause: I was reading' in system
        # an answer that agrees leaves the correction; a different, sure one takes its place
        assert state.value is False
        await state.think_now()
        assert (state.value, state.shown) == (True, state.verdict)

    async def test_a_preview_is_one_real_call_and_is_counted(
        self, home: HomeAssistant, gateway: StandInGateway
    ) -> None:
        gateway.script = always(says("yes", 0.8))
        entry = make_entry(home, gateway, options={"reasoned_daily_calls": 1})
        assert await home.config_entries.async_setup(entry.entry_id)
        runtime = runtime_of(entry)
        shown = await preview(home, runtime, Settings.of("Draft", ASLEEP))
        assert (shown.verdict.answer, shown.verdict.confidence) == (True, 0.8)
        assert "sensor.power" in shown.evidence
        assert shown.seconds >= 0
        with pytest.raises(Exception, match="budget of 1 calls"):
            await preview(home, runtime, Settings.of("Draft", ASLEEP))


class TestMeasured:
    async def test_confidence_is_measured_where_the_endpoint_gives_probabilities(
        self, home: HomeAssistant, gateway: StandInGateway
    ) -> None:
        likely = tokens(('{"answer": "', {'{"answer": "': 1.0}), ("yes", {"yes": 0.75, "no": 0.25}))
        gateway.script = [says("yes", 0.99, logprobs=likely)]
        [state] = await load(home, gateway, {})
        verdict = await state.think_now()
        assert (verdict.confidence, verdict.measured) == (0.75, True)
        assert gateway.requests[0]["logprobs"] is True


class TestBudget:
    async def test_what_a_thought_costs_is_known_by_the_gateway_s_prices(
        self, home: HomeAssistant, gateway: StandInGateway
    ) -> None:
        gateway.script = always(says("yes"))
        gateway.prices = {"home": {"input": 10.0, "cached": 1.0, "output": 40.0}}
        [state] = await load(home, gateway, {}, options={"reasoned_daily_cost": 0.002})
        verdict = await state.think_now()
        assert verdict.cost == pytest.approx((100 * 10 + 7 * 40) / 1e6)
        assert state.cost_today == verdict.cost
        await state.think_now()
        with pytest.raises(Exception, match=r"budget of 0\.002 US dollars"):
            await state.think_now()

    async def test_a_spent_budget_is_said_in_repairs_until_midnight(
        self, home: HomeAssistant, gateway: StandInGateway, freezer: FrozenDateTimeFactory
    ) -> None:
        await home.config.async_set_time_zone("Europe/Amsterdam")
        freezer.move_to("2026-11-20 20:00:00+00:00")
        gateway.script = always(says("yes"), says("no"))
        options = {"reasoned_daily_calls": 1}
        [state] = await load(home, gateway, {}, options=options)
        await pass_time(home, freezer, seconds=31)
        issues = ir.async_get(home)
        assert issues.async_get_issue("mlflow", "reasoned_budget_spent")

        bed(home, "off")
        await pass_time(home, freezer, minutes=6)
        assert len(gateway.requests) == 1
        assert state.problem is not None
        assert "budget of 1 calls" in state.problem
        assert state.next_thought_not_before == dt_util.parse_datetime("2026-11-20T23:00:00+00:00")

        freezer.move_to("2026-11-20 23:00:01+00:00")
        await pass_time(home, freezer, seconds=1)
        await pass_time(home, freezer, seconds=2)
        assert shows(state) == (False, None)
        assert state.calls_today == 1

    async def test_a_budget_that_is_raised_lets_it_think_again(
        self, home: HomeAssistant, gateway: StandInGateway, freezer: FrozenDateTimeFactory
    ) -> None:
        gateway.script = always(says("yes"))
        entry = make_entry(home, gateway, {}, options={"reasoned_daily_calls": 1})
        assert await home.config_entries.async_setup(entry.entry_id)
        state = runtime_of(entry).reasoned["state0"]
        await state.think_now()
        with pytest.raises(Exception, match="budget"):
            await state.think_now()

        home.config_entries.async_update_entry(entry, options={"reasoned_daily_calls": 2})
        await home.async_block_till_done()
        state = runtime_of(entry).reasoned["state0"]
        assert state.calls_today == 1
        assert not ir.async_get(home).async_get_issue("mlflow", "reasoned_budget_spent")
        await state.think_now()


class TestRestart:
    async def test_it_survives_with_its_last_answer_and_no_call(
        self, home: HomeAssistant, gateway: StandInGateway, freezer: FrozenDateTimeFactory
    ) -> None:
        gateway.script = always(says("yes", 0.9))
        entry = make_entry(home, gateway, {})
        assert await home.config_entries.async_setup(entry.entry_id)
        before = await runtime_of(entry).reasoned["state0"].think_now()
        assert await home.config_entries.async_unload(entry.entry_id)
        freezer.tick(timedelta(hours=3))
        assert await home.config_entries.async_setup(entry.entry_id)

        state = runtime_of(entry).reasoned["state0"]
        assert (state.value, state.restored) == (True, True)
        assert state.verdict == state.shown == before
        assert state.calls_today == 1
        await pass_time(home, freezer, minutes=30)
        assert len(gateway.requests) == 1
        assert state.restored

        bed(home, "off")
        await pass_time(home, freezer, seconds=31)
        assert len(gateway.requests) == 2
        assert not state.restored

    async def test_pause_and_corrections_survive(
        self, home: HomeAssistant, gateway: StandInGateway
    ) -> None:
        gateway.script = always(says("yes"))
        entry = make_entry(home, gateway, {})
        assert await home.config_entries.async_setup(entry.entry_id)
        state = runtime_of(entry).reasoned["state0"]
        await state.think_now()
        since = dt_util.utcnow() - timedelta(hours=1)
        await state.correct(False, since=since, comment=None, source="AK")
        await state.set_paused(True)
        examples = state.examples()
        assert await home.config_entries.async_reload(entry.entry_id)

        state = runtime_of(entry).reasoned["state0"]
        assert state.paused
        assert state.value is False
        assert state.examples() == examples != []
        assert state.corrected is not None
        assert state.corrected.since == since

    async def test_another_question_is_thought_about_and_other_answers_are_not_mixed(
        self, home: HomeAssistant, gateway: StandInGateway, freezer: FrozenDateTimeFactory
    ) -> None:
        gateway.script = always(says("yes"))
        entry = make_entry(home, gateway, {})
        assert await home.config_entries.async_setup(entry.entry_id)
        await runtime_of(entry).reasoned["state0"].think_now()

        subentry = entry.subentries["state0"]
        home.config_entries.async_update_subentry(
            entry, subentry, data={**subentry.data, "question": "Is AK awake?"}
        )
        await home.async_block_till_done()
        state = runtime_of(entry).reasoned["state0"]
        assert state.value is True
        await pass_time(home, freezer, seconds=301)
        assert len(gateway.requests) == 2

        home.config_entries.async_update_subentry(
            entry, subentry, data={**subentry.data, "kind": "text"}
        )
        await home.async_block_till_done()
        assert runtime_of(entry).reasoned["state0"].value is None

    async def test_a_removed_entry_leaves_nothing_on_disk(
        self, home: HomeAssistant, gateway: StandInGateway, hass_storage: dict[str, Any]
    ) -> None:
        gateway.script = always(says("yes"))
        entry = make_entry(home, gateway, {})
        assert await home.config_entries.async_setup(entry.entry_id)
        await runtime_of(entry).reasoned["state0"].think_now()
        await home.config_entries.async_unload(entry.entry_id)
        assert [key for key in hass_storage if key.startswith("mlflow.reasoned")]
        await home.config_entries.async_remove(entry.entry_id)
        assert not [key for key in hass_storage if key.startswith("mlflow.reasoned")]

    async def test_what_cannot_be_read_from_disk_does_not_stop_the_start(
        self, home: HomeAssistant, gateway: StandInGateway, hass_storage: dict[str, Any]
    ) -> None:
        entry = make_entry(home, gateway, {})
        hass_storage[f"mlflow.reasoned.{entry.entry_id}"] = {
            "version": 1,
            "key": f"mlflow.reasoned.{entry.entry_id}",
            "data": {"states": {"state0": {"verdict": "nonsense"}}, "budget": {}},
        }
        assert await home.config_entries.async_setup(entry.entry_id)
        assert runtime_of(entry).reasoned["state0"].value is None


async def test_every_thought_is_a_trace_in_mlflow(
    home: HomeAssistant, gateway: StandInGateway, shared_tracking: Tracking, mlflow: Any
) -> None:
    gateway.script = always(says("yes"))
    tracking = {"url": shared_tracking.url, "token": shared_tracking.token}
    [state] = await load(home, gateway, {}, tracking=tracking)
    verdict = await state.think_now()
    [entry] = home.config_entries.async_entries("mlflow")
    await eventually(lambda: entry.runtime_data.traces.sent)
    client = mlflow(shared_tracking)

    async def found() -> dict[str, Any] | None:
        traces = await client.search_traces(None, 100)
        ids = [trace for trace in traces if trace["trace_id"] == verdict.trace_id]
        return ids[0] if ids else None

    trace = await eventually(found)
    tags = trace["tags"]
    assert tags["kind"] == "reasoned_state"
    assert tags["agent"] == "Asleep"
    assert tags["entities"] == "binary_sensor.bed"
    assert tags["mlflow.traceName"] == "Asleep"
    assert "binary_sensor.bed" in trace["request_preview"]
    assert "The bed is occupied." in trace["response_preview"]


async def test_a_prompt_of_the_registry_is_asked_in_place_of_a_question(
    home: HomeAssistant, gateway: StandInGateway, shared_tracking: Tracking, mlflow: Any
) -> None:
    client = mlflow(shared_tracking)
    experiment_id = await client.experiment_id("Home Assistant")
    await client.create_prompt("asleep", experiment_id)
    text = "In {{ ha_name }}: does AK sleep? {{ facts }}\n{{ evidence }}"
    version = await client.create_prompt_version("asleep", text, "")
    await client.set_alias("asleep", "production", version)
    gateway.script = always(says("yes"))
    tracking = {"url": shared_tracking.url, "token": shared_tracking.token}
    prompt = {"question": "", "prompt_reference": "asleep@production", "facts": "AK is old."}
    [state] = await load(home, gateway, prompt, tracking=tracking)
    [entry] = home.config_entries.async_entries("mlflow")
    await eventually(lambda: entry.runtime_data.prompts.versions)

    verdict = await state.think_now()
    assert verdict.prompt_version == f"asleep/{version}"
    user = gateway.requests[0]["messages"][-1]["content"]
    assert user.startswith("In Test Home: does AK sleep? AK is old.\n- binary_sensor.bed")

    await client.create_prompt("awake", experiment_id)
    version = await client.create_prompt_version("awake", "Is AK awake?", "")
    draft = Settings.of("Draft", ASLEEP | {"question": "", "prompt_reference": f"awake/{version}"})
    shown = await preview(home, runtime_of(entry), draft)
    assert shown.verdict.prompt_version == f"awake/{version}"


async def test_an_unsure_answer_changes_nothing_of_what_is_shown(
    home: HomeAssistant, gateway: StandInGateway
) -> None:
    kept, unknown = await load(home, gateway, {"below": "keep"}, {"below": "unknown"})
    gateway.script = always(says("yes", 0.9), says("yes", 0.3))
    first = await kept.think_now()
    second = await kept.think_now()
    assert (kept.value, kept.shown, kept.verdict) == (True, first, second)
    gateway.script = always(says("yes", 0.9), says("yes", 0.3))
    await unknown.think_now()
    await unknown.think_now()
    assert (unknown.value, unknown.shown) == (None, None)
