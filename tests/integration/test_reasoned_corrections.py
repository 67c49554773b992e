"""A correction is shown at once, and ends in MLflow: on the trace, and in the state's dataset."""

import json
import secrets
from collections.abc import Callable
from typing import Any

import pytest
from custom_components.mlflow.tracking import TrackingClient
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

from .conftest import Tracking, eventually
from .reasoned import make_entry, runtime_of, says, settled
from .standins import StandInGateway

type Mlflow = Callable[[Tracking], TrackingClient]

MAIN = "binary_sensor.asleep"
DATASET = "Reasoned state: Asleep"


@pytest.fixture(autouse=True)
def evidence(home: HomeAssistant) -> None:
    home.states.async_set("binary_sensor.bed", "on", {"friendly_name": "Bed"})
    # no test has the evidence of another, so that each has records of its own
    home.states.async_set("sensor.power", "3", {"friendly_name": f"Power {secrets.token_hex(8)}"})


def place(tracking: Tracking) -> dict[str, Any]:
    return {"url": tracking.url, "token": tracking.token}


class Home:
    """A home with one reasoned state, and a look into its MLflow."""

    def __init__(self, home: HomeAssistant, gateway: StandInGateway, client: TrackingClient):
        self.hass = home
        self.gateway = gateway
        self.client = client

    async def set_up(self, tracking: Tracking, **state: Any) -> None:
        options = state.pop("options", None)
        self.entry = make_entry(
            self.hass, self.gateway, state, tracking=place(tracking), options=options
        )
        assert await self.hass.config_entries.async_setup(self.entry.entry_id)
        await self.hass.async_block_till_done()

    async def press(self, key: str, context: Context | None = None) -> None:
        await self.hass.services.async_call(
            "button", "press", {"entity_id": f"button.asleep_{key}"}, blocking=True, context=context
        )
        await settled(self.hass)

    async def think(self, *verdict: Any, **more: Any) -> str:
        """Think, and return the trace's id."""
        self.gateway.script = [says(*verdict, **more)]
        await self.press("think_now")
        state = runtime_of(self.entry).reasoned["state0"]
        assert state.verdict is not None
        return state.verdict.trace_id

    async def correct(self, **data: Any) -> dict[str, Any]:
        result = await self.hass.services.async_call(
            "mlflow", "correct_state", data, blocking=True, return_response=True
        )
        assert isinstance(result, dict)
        await settled(self.hass)
        return result

    def shown(self, entity_id: str = MAIN) -> str:
        state = self.hass.states.get(entity_id)
        assert state is not None
        return state.state

    def attribute(self, name: str) -> Any:
        state = self.hass.states.get(MAIN)
        assert state is not None
        return state.attributes[name]

    async def delivered(self) -> None:
        """Wait until MLflow has everything."""
        await eventually(lambda: runtime_of(self.entry).traces.waiting == 0)
        assert runtime_of(self.entry).traces.dropped == 0

    async def assessments(self, trace_id: str) -> list[dict[str, Any]]:
        path = "api/3.0/mlflow/traces/get"
        answer = await self.client._transport.json("GET", path, params={"trace_id": trace_id})
        found: list[dict[str, Any]] = answer["trace"]["trace_info"].get("assessments", [])
        return found

    async def datasets(self) -> list[dict[str, Any]]:
        experiment = await self.client.experiment_id("Home Assistant")
        answer = await self.client._datasets("search", {"experiment_ids": [experiment]})
        found: list[dict[str, Any]] = answer.get("datasets", [])
        return found

    async def records(self, trace_id: str) -> list[dict[str, Any]]:
        """Return the records that were made of a trace, in the only dataset of the state."""
        datasets = [one for one in await self.datasets() if one["name"] == DATASET]
        if not datasets:
            return []
        [dataset] = datasets
        answer = await self.client._transport.json(
            "GET", f"api/3.0/mlflow/datasets/{dataset['dataset_id']}/records"
        )
        return [one for one in json.loads(answer["records"]) if one["tags"]["trace_id"] == trace_id]


@pytest.fixture
def asleep(home: HomeAssistant, gateway: StandInGateway) -> Home:
    return Home(home, gateway, None)  # type: ignore[arg-type]


@pytest.fixture
async def own(asleep: Home, shared_tracking: Tracking, mlflow: Mlflow) -> Home:
    """With an MLflow that runs."""
    asleep.client = mlflow(shared_tracking)
    return asleep


async def test_a_correction_is_shown_at_once_and_kept_with_trace_and_dataset(
    own: Home, shared_tracking: Tracking
) -> None:
    await own.set_up(shared_tracking)
    trace_id = await own.think("yes", 0.9)
    assert own.shown() == "on"

    said = await own.correct(
        entity_id=MAIN, answer="no", since="2026-01-02T03:04:05+00:00", comment="Only the cat."
    )

    assert said == {"answer": False, "trace_id": trace_id}
    assert own.shown() == "off"
    assert own.attribute("corrected_by") == "home"
    assert own.attribute("reason") == "Only the cat."
    await own.delivered()
    verdict, expected = sorted(
        await own.assessments(trace_id), key=lambda one: "expectation" in one
    )
    assert verdict["assessment_name"] == "user_feedback"
    assert verdict["feedback"]["value"] is False
    assert verdict["rationale"] == "Only the cat."
    assert verdict["source"] == {"source_type": "HUMAN", "source_id": "home"}
    assert expected["assessment_name"] == "answer"
    assert expected["expectation"]["value"] == "no"
    assert expected["metadata"] == {"since": "2026-01-02T03:04:05+00:00"}

    [record] = await own.records(trace_id)
    assert record["inputs"]["question"] == "Is AK asleep?"
    assert "Bed" in record["inputs"]["evidence"]
    assert record["expectations"] == {"answer": "no", "comment": "Only the cat."}
    assert record["tags"]["trace_id"] == trace_id
    assert record["source"]["source_type"] == "TRACE"
    assert record["source"]["source_data"] == {"trace_id": trace_id}


async def test_a_correction_waits_for_mlflow_and_is_a_record_only_once(
    asleep: Home, own_tracking: Tracking, mlflow: Mlflow
) -> None:
    own = asleep
    await own.hass.async_add_executor_job(own_tracking.start)
    own.client = mlflow(own_tracking)
    own_tracking.stop()
    await own.set_up(own_tracking)
    trace_id = await own.think("yes", 0.9)
    await own.correct(entity_id=MAIN, answer=False)
    await own.correct(entity_id=MAIN, answer=True, comment="It was not the cat.")
    assert await own.hass.config_entries.async_unload(own.entry.entry_id)
    assert await own.hass.config_entries.async_setup(own.entry.entry_id)

    await own.hass.async_add_executor_job(own_tracking.start)
    tracking = runtime_of(own.entry).tracking
    assert tracking is not None
    await tracking.async_refresh()
    await own.delivered()

    [record] = await own.records(trace_id)
    assert record["expectations"] == {"answer": "yes", "comment": "It was not the cat."}


async def test_states_have_a_dataset_each_and_states_of_one_name_share_it(
    own: Home, shared_tracking: Tracking
) -> None:
    experiment = await own.client.experiment_id("Home Assistant")
    name = """It's "odd" % _ – Asleep"""
    made = await own.client.dataset_id(name, experiment)
    assert await own.client.dataset_id("another", experiment) != made
    assert await own.client.dataset_id(name, experiment) == made


async def test_a_dataset_that_was_deleted_is_made_anew(
    own: Home, shared_tracking: Tracking
) -> None:
    await own.set_up(shared_tracking)
    trace_id = await own.think("yes", 0.9)
    await own.correct(entity_id=MAIN, answer=False)
    await own.delivered()
    [dataset] = [one for one in await own.datasets() if one["name"] == DATASET]
    path = f"api/3.0/mlflow/datasets/{dataset['dataset_id']}"
    await own.client._transport.json("DELETE", path)
    await own.correct(entity_id=MAIN, answer=False)
    await own.delivered()
    assert len(await own.records(trace_id)) == 1


async def test_the_button_right_confirms_what_is_shown(
    own: Home, shared_tracking: Tracking
) -> None:
    user = await own.hass.auth.async_create_user("AK")
    await own.set_up(shared_tracking)
    trace_id = await own.think("yes", 0.9)
    await own.press("right", Context(user_id=user.id))
    assert own.shown() == "on"
    assert own.attribute("reason") == "The bed is occupied."
    await own.delivered()
    found = {one["assessment_name"]: one for one in await own.assessments(trace_id)}
    assert found["user_feedback"]["feedback"]["value"] is True
    assert found["answer"]["expectation"]["value"] == "yes"
    assert found["answer"]["source"]["source_id"] == "AK"
    [record] = await own.records(trace_id)
    assert record["expectations"] == {"answer": "yes"}


async def test_the_button_wrong_turns_a_yes_into_a_no(own: Home, shared_tracking: Tracking) -> None:
    await own.set_up(shared_tracking)
    trace_id = await own.think("yes", 0.9)
    await own.press("wrong")
    assert own.shown() == "off"
    await own.delivered()
    found = {one["assessment_name"]: one for one in await own.assessments(trace_id)}
    assert found["user_feedback"]["feedback"]["value"] is False
    assert found["answer"]["expectation"]["value"] == "no"


async def test_the_button_wrong_knows_no_better_text(own: Home, shared_tracking: Tracking) -> None:
    await own.set_up(shared_tracking, kind="text")
    trace_id = await own.think("Soup", 0.9)
    await own.press("wrong")
    assert own.shown("sensor.asleep") == "Soup"
    await own.delivered()
    [found] = await own.assessments(trace_id)
    assert found["feedback"]["value"] is False
    assert await own.records(trace_id) == []

    await own.correct(entity_id="sensor.asleep", answer="Stew")
    with pytest.raises(HomeAssistantError, match="not an answer of the model but a correction"):
        await own.press("wrong")


@pytest.mark.parametrize("button", ["right", "wrong"])
async def test_where_nothing_is_shown_nothing_is_right_or_wrong(
    asleep: Home, shared_tracking: Tracking, button: str
) -> None:
    await asleep.set_up(shared_tracking)
    with pytest.raises(HomeAssistantError, match="Asleep shows no answer yet"):
        await asleep.press(button)


@pytest.mark.parametrize(
    ("record", "assessments", "records"), [("no_content", 2, 0), ("all", 2, 1), ("off", 0, 0)]
)
async def test_what_is_recorded_holds_for_corrections_too(
    own: Home, shared_tracking: Tracking, record: str, assessments: int, records: int
) -> None:
    await own.set_up(shared_tracking, options={"record": record})
    trace_id = await own.think("yes", 0.9)
    await own.correct(entity_id=MAIN, answer=False)
    assert own.shown() == "off"
    await own.delivered()
    assert len(await own.records(trace_id)) == records
    if assessments:
        assert len(await own.assessments(trace_id)) == assessments
    else:
        assert runtime_of(own.entry).traces.sent == 0


NAMES = [{"choice": "Awake"}, {"choice": "In bed"}]


@pytest.mark.parametrize(
    ("state", "answer", "shown"),
    [
        ({}, "on", "on"),
        ({}, "No", "off"),
        ({}, True, "on"),
        ({}, 0, "off"),
        ({"kind": "choice", "choices": NAMES}, "in bed", "In bed"),
        ({"kind": "number", "minimum": 0, "maximum": 5}, "2.5", "2.5"),
        ({"kind": "number"}, 12, "12"),
        ({"kind": "text"}, " Stew ", "Stew"),
    ],
)
async def test_answers_are_read_by_kind(
    asleep: Home, shared_tracking: Tracking, state: dict[str, Any], answer: Any, shown: str
) -> None:
    await asleep.set_up(shared_tracking, **state)
    entity_id = "sensor.asleep" if state else MAIN
    await asleep.correct(entity_id=entity_id, answer=answer)
    assert asleep.shown(entity_id) == shown


@pytest.mark.parametrize(
    ("state", "answer", "sentence"),
    [
        ({}, "perhaps", "is yes or no; perhaps is neither"),
        ({"kind": "choice", "choices": NAMES}, "Out", "Choose one of: Awake, In bed"),
        ({"kind": "number", "minimum": 0, "maximum": 5}, 6, "from 0 to 5; 6 is none"),
        ({"kind": "number", "minimum": 0}, "many", "from 0 to ∞; many is none"),
        ({"kind": "number"}, "nan", "nan is none"),
        ({"kind": "number"}, True, "True is none"),
        ({"kind": "text"}, " ", "a text of at most"),
    ],
)
async def test_answers_that_cannot_be_are_refused(
    asleep: Home, shared_tracking: Tracking, state: dict[str, Any], answer: Any, sentence: str
) -> None:
    await asleep.set_up(shared_tracking, **state)
    entity_id = "sensor.asleep" if state else MAIN
    with pytest.raises(ServiceValidationError, match=sentence):
        await asleep.correct(entity_id=entity_id, answer=answer)


async def test_the_action_says_what_is_wrong_with_it(
    asleep: Home, shared_tracking: Tracking
) -> None:
    await asleep.set_up(shared_tracking)
    with pytest.raises(ServiceValidationError, match="not an entity of a reasoned state"):
        await asleep.correct(entity_id="binary_sensor.bed", answer="no")
    with pytest.raises(ServiceValidationError, match="a time that has already been"):
        await asleep.correct(entity_id=MAIN, answer="no", since="2126-01-01 00:00:00")
    # any entity of its device will do
    await asleep.correct(entity_id="sensor.asleep_confidence", answer="yes")
    assert asleep.shown() == "on"
