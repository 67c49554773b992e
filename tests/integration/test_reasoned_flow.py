"""The form of a reasoned state: presets, steps, what it complains of, the preview, and saving."""

from typing import Any

import pytest
from custom_components.mlflow.reasoned_presets import PRESETS
from homeassistant.config_entries import SOURCE_RECONFIGURE, SOURCE_USER, SubentryFlowContext
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from pytest_homeassistant_custom_component.common import (  # type: ignore[import-untyped]
    MockConfigEntry,
)

from .conftest import Tracking
from .reasoned import ASLEEP, always, make_entry, says, tokens
from .standins import StandInGateway

QUESTION: dict[str, Any] = {
    "name": "AK asleep",
    "question": "Is AK asleep?",
    "kind": "yes_no",
    "endpoint": "home",
}
EVIDENCE: dict[str, Any] = {
    "evidence": [
        {"entities": ["binary_sensor.bed"], "look_back": {"hours": 2}},
        {"entities": ["sensor.power"], "attributes": ["device_class"]},
    ],
    "facts": "AK sleeps upstairs.",
}
THINKING: dict[str, Any] = {
    "when": {
        "quiet": {"seconds": 30},
        "at_most_every": {"minutes": 5},
        "at_least_every": {"hours": 1},
    },
    "sure": {"threshold": 70, "agreeing": 2, "below": "keep", "examples": 3},
}


@pytest.fixture(autouse=True)
def evidence(home: HomeAssistant) -> None:
    home.states.async_set(
        "binary_sensor.bed", "on", {"device_class": "occupancy", "friendly_name": "Bed"}
    )
    home.states.async_set(
        "sensor.power", "41.3", {"device_class": "power", "unit_of_measurement": "W"}
    )


class Form:
    """The form as the frontend drives it; `shown` is what it shows now."""

    def __init__(self, home: HomeAssistant, entry: MockConfigEntry) -> None:
        self._home = home
        self._entry = entry
        self.shown: Any = None

    async def open(self, subentry_id: str | None = None) -> None:
        """Open it for a new state, or for one that is there."""
        context = SubentryFlowContext(source=SOURCE_USER)
        if subentry_id:
            context = SubentryFlowContext(source=SOURCE_RECONFIGURE, subentry_id=subentry_id)
        self.shown = await self._home.config_entries.subentries.async_init(
            (self._entry.entry_id, "reasoned_state"), context=context
        )

    async def choose(self, item: str) -> None:
        assert item in self.shown["menu_options"]
        await self.fill({"next_step_id": item})

    async def fill(self, user_input: dict[str, Any] | None = None) -> None:
        flows = self._home.config_entries.subentries
        self.shown = await flows.async_configure(self.shown["flow_id"], user_input)
        while self.shown["type"] in (FlowResultType.SHOW_PROGRESS, "progress_done"):
            await self._home.async_block_till_done()
            self.shown = await flows.async_configure(self.shown["flow_id"])

    @property
    def suggested(self) -> dict[str, Any]:
        """What stands in the fields, those of sections among them."""
        return _suggested(self.shown["data_schema"])

    @property
    def placeholders(self) -> dict[str, str]:
        return dict(self.shown["description_placeholders"])


def _suggested(schema: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, field in schema.schema.items():
        if inner := getattr(field, "schema", None):
            found |= _suggested(inner)
        elif key.description:
            found[str(key)] = key.description["suggested_value"]
    return found


@pytest.fixture
async def form(home: HomeAssistant, gateway: StandInGateway) -> Form:
    gateway.script = always(says("yes", 0.93))
    return await _form(home, make_entry(home, gateway))


async def _form(home: HomeAssistant, entry: MockConfigEntry) -> Form:
    assert await home.config_entries.async_setup(entry.entry_id)
    await home.async_block_till_done()
    return Form(home, entry)


async def _up_to(form: Form, *inputs: dict[str, Any]) -> None:
    await form.open()
    await form.choose("own")
    for user_input in inputs:
        await form.fill(user_input)


async def test_all_steps_then_the_answer_then_saved(
    home: HomeAssistant, gateway: StandInGateway, form: Form
) -> None:
    await _up_to(form, QUESTION, {"device_class": "occupancy"}, EVIDENCE)
    assert gateway.requests == []
    await form.fill(THINKING)

    assert form.shown["step_id"] == "preview"
    assert len(gateway.requests) == 1
    told = form.placeholders
    assert (told["answer"], told["confidence"], told["tokens"]) == ("Yes", "93%", "107")
    assert told["sure"] == "sure, as the model itself says"
    assert told["reason"] == "The bed is occupied."
    assert told["decided_by"] == "Bed"
    assert told["cost"] == "cost unknown"
    assert r"binary\_sensor.bed" in told["evidence"]
    assert form._entry.subentries == {}, "nothing is saved before the user says so"

    await form.choose("save")
    assert form.shown["type"] is FlowResultType.CREATE_ENTRY
    [subentry] = form._entry.subentries.values()
    assert subentry.title == "AK asleep"
    assert dict(subentry.data) == {
        "question": "Is AK asleep?",
        "kind": "yes_no",
        "endpoint": "home",
        "device_class": "occupancy",
        "evidence": [
            {"target": {"entity_id": ["binary_sensor.bed"]}, "look_back": {"hours": 2}},
            {"target": {"entity_id": ["sensor.power"]}, "attributes": ["device_class"]},
        ],
        "facts": "AK sleeps upstairs.",
        **THINKING["when"],
        **THINKING["sure"],
    }
    await home.async_block_till_done()
    assert home.states.get("binary_sensor.ak_asleep") is not None


async def test_a_measured_confidence_is_called_so_and_one_that_is_too_low_is_said(
    gateway: StandInGateway, form: Form
) -> None:
    shares = tokens(('{"', {'{"': 1.0}), ("answer", {"answer": 1.0}), ('":"', {'":"': 1.0}))
    shares["content"] += tokens(("yes", {"yes": 0.6, "no": 0.4}))["content"]
    gateway.script = always(says("yes", 0.99, logprobs=shares))
    await _up_to(form, QUESTION, {}, EVIDENCE, THINKING)
    told = form.placeholders
    assert told["confidence"] == "60%"
    assert told["sure"].startswith("sure, measured from the probabilities")
    assert "less than the 70% that you ask for" in told["sure"]


async def test_ask_again_and_change_a_step_come_back_to_the_answer(
    gateway: StandInGateway, form: Form
) -> None:
    await _up_to(form, QUESTION, {}, EVIDENCE, THINKING)
    gateway.script = always(says("no", 0.8, reason="The *lamp* is on."))
    await form.choose("asking")
    assert form.shown["step_id"] == "preview"
    assert form.placeholders["answer"] == "No"
    assert form.placeholders["reason"] == r"The \*lamp\* is on.", "no Markdown of a model's"

    await form.choose("evidence")
    assert form.suggested["evidence"] == EVIDENCE["evidence"]
    await form.fill({"evidence": EVIDENCE["evidence"][:1]})
    assert form.shown["step_id"] == "preview"
    assert "sensor.power" not in form.placeholders["evidence"]
    assert "AK sleeps upstairs." not in str(gateway.requests[-1]), "emptied facts are gone"
    assert len(gateway.requests) == 3

    await form.choose("question")
    await form.fill(QUESTION | {"kind": "choice"})
    choices = [{"choice": "Asleep"}, {"choice": "Awake", "meaning": "Up and about"}]
    gateway.script = always(says("Awake"))
    await form.fill({"choices": choices})
    assert form.placeholders["answer"] == "Awake"
    await form.choose("save")
    [subentry] = form._entry.subentries.values()
    assert subentry.data["choices"] == choices
    assert "device_class" not in subentry.data


async def test_a_gateway_that_is_away_is_said_and_it_may_be_saved_all_the_same(
    gateway: StandInGateway, form: Form
) -> None:
    await _up_to(form, QUESTION, {})
    await gateway.stop()
    await form.fill(EVIDENCE)
    await form.fill(THINKING)
    assert form.shown["step_id"] == "preview_failed"
    assert "cannot be reached" in form.placeholders["problem"]
    await form.choose("question")
    await form.fill(QUESTION | {"name": "Night"})
    await form.fill({})
    assert form.shown["step_id"] == "preview_failed", "the form can be changed meanwhile"
    await form.choose("save")
    assert form.shown["title"] == "Night"


@pytest.mark.parametrize(
    ("answers", "field", "error"),
    [
        ([{**QUESTION, "name": "  "}], "name", "name_missing"),
        ([{**QUESTION, "question": " "}], "question", "question_missing"),
        ([{**QUESTION, "endpoint": "gone"}], "endpoint", "endpoint_gone"),
        ([{**QUESTION, "prompt_reference": "a"}], "prompt_reference", "prompt_reference_invalid"),
        ([{**QUESTION, "kind": "choice"}, {}], "choices", "choices_too_few"),
        (
            [{**QUESTION, "kind": "choice"}, {"choices": [{"choice": "A"}, {"choice": "a "}]}],
            "choices",
            "choice_twice",
        ),
        (
            [{**QUESTION, "kind": "choice"}, {"choices": [{"choice": "A"}, {"choice": " "}]}],
            "choices",
            "choice_blank",
        ),
        ([{**QUESTION, "kind": "number"}, {"minimum": 3, "maximum": 3}], "maximum", "range_empty"),
        ([QUESTION, {}, {}], "evidence", "evidence_missing"),
        (
            [QUESTION, {}, {"evidence": [*EVIDENCE["evidence"], {"entities": ["light.gone"]}]}],
            "evidence",
            "evidence_empty",
        ),
        ([QUESTION, {}, {"evidence": [{"look_back": {"hours": 1}}]}], "evidence", "evidence_empty"),
        (
            [
                QUESTION,
                {},
                EVIDENCE,
                {**THINKING, "when": {**THINKING["when"], "at_least_every": {"minutes": 1}}},
            ],
            "when",
            "intervals_crossed",
        ),
    ],
)
async def test_what_is_wrong_is_said_at_its_field(
    form: Form, answers: list[dict[str, Any]], field: str, error: str
) -> None:
    await _up_to(form, *answers)
    assert form.shown["errors"] == {field: error}
    if error == "evidence_empty":
        assert form.placeholders["items"] == str(len(answers[-1]["evidence"]))


async def test_a_condition_that_fails_is_said_with_its_line(form: Form) -> None:
    broken = "{# at night #}\n{{ unknown_name + 1 }}"
    await _up_to(form, QUESTION, {}, EVIDENCE, {**THINKING, "condition": broken})
    assert form.shown["errors"] == {"condition": "template_invalid"}
    assert form.placeholders["line"] == "2"
    assert "unknown_name" in form.placeholders["error"]
    assert form.suggested["condition"] == broken, "what was written stays"
    await form.fill({**THINKING, "condition": "{{ is_state('sun.sun', 'below_horizon') }}"})
    assert form.shown["step_id"] == "preview"


async def test_a_number_and_a_text(gateway: StandInGateway, form: Form) -> None:
    gateway.script = always(says(3))
    await _up_to(form, QUESTION | {"kind": "number"}, {"maximum": 9, "unit": "people"})
    await form.fill(EVIDENCE)
    await form.fill(THINKING)
    assert form.placeholders["answer"] == "3 people"

    gateway.script = always(says("All is quiet"))
    await form.choose("question")
    await form.fill(QUESTION | {"kind": "text"})
    assert form.placeholders["answer"] == "All is quiet"
    await form.choose("save")
    [subentry] = form._entry.subentries.values()
    assert {"minimum", "maximum", "unit"} & subentry.data.keys() == set()


async def test_a_prompt_of_the_registry_is_looked_up_and_used_at_once(
    home: HomeAssistant, gateway: StandInGateway, shared_tracking: Tracking
) -> None:
    gateway.script = always(says("yes"))
    place = {"url": shared_tracking.url, "token": shared_tracking.token}
    entry = make_entry(home, gateway, tracking=place)
    form = await _form(home, entry)
    client = entry.runtime_data.tracking.client
    experiment = await client.experiment_id("Nights")
    await client.create_prompt("night", experiment)
    await client.create_prompt_version("night", "Night watch: {{ facts }}", "")

    await _up_to(form, {**QUESTION, "question": "", "prompt_reference": "night/7"})
    assert form.shown["errors"] == {"prompt_reference": "prompt_unknown"}
    await form.fill({**QUESTION, "question": "", "prompt_reference": "night/1"})
    for user_input in ({}, EVIDENCE, THINKING):
        await form.fill(user_input)
    assert form.shown["step_id"] == "preview"
    assert "Night watch: AK sleeps upstairs." in str(gateway.requests[-1]["messages"])


async def test_reconfigure_goes_through_the_steps_with_what_is_there(
    home: HomeAssistant, gateway: StandInGateway
) -> None:
    gateway.script = always(says("yes"))
    look_back = {"target": {"area_id": ["bedroom"]}, "look_back": {"hours": 3}}
    data = {"evidence": [*ASLEEP["evidence"], look_back], "threshold": 85}
    form = await _form(home, make_entry(home, gateway, data))
    area = ar.async_get(home).async_create("Bedroom")
    lamp = er.async_get(home).async_get_or_create("light", "test", "lamp")
    er.async_get(home).async_update_entity(lamp.entity_id, area_id=area.id)

    await form.open("state0")
    assert form.suggested["question"] == "Is AK asleep?"
    await form.fill(QUESTION | {"name": "AK sleeps"})
    await form.fill({})
    kept = form.suggested["evidence"]
    assert kept == [
        {"entities": ["binary_sensor.bed", "sensor.power"]},
        {"areas": ["bedroom"], "look_back": {"hours": 3}},
    ]
    await form.fill({"evidence": kept})
    assert form.suggested["threshold"] == 85
    assert form.suggested["quiet"] == {"seconds": 30}
    await form.fill(THINKING)
    await form.choose("save")
    assert form.shown["type"] is FlowResultType.ABORT
    assert form.shown["reason"] == "reconfigure_successful"
    [subentry] = form._entry.subentries.values()
    assert (subentry.title, subentry.data["threshold"]) == ("AK sleeps", 70)
    assert subentry.data["evidence"] == data["evidence"]


async def test_an_entry_that_is_not_loaded_is_said(
    home: HomeAssistant, gateway: StandInGateway
) -> None:
    form = Form(home, make_entry(home, gateway))
    await form.open()
    assert (form.shown["type"], form.shown["reason"]) == (FlowResultType.ABORT, "entry_not_loaded")


def _furnish(home: HomeAssistant) -> None:
    """Two bedrooms in two languages, a kitchen, a person; a plug that names what hangs on it."""
    areas, entities, devices = ar.async_get(home), er.async_get(home), dr.async_get(home)
    home.states.async_set("person.ak", "home", {"friendly_name": "AK"})
    motion = {"device_class": "motion"}
    for room in ("Bedroom", "Chambre d'amis", "Kitchen"):
        area = areas.async_create(room)
        unique_id = room.casefold()[:4]
        entry = entities.async_get_or_create(
            "binary_sensor", "test", unique_id, suggested_object_id=f"pir_{unique_id}"
        )
        entities.async_update_entity(entry.entity_id, area_id=area.id)
        home.states.async_set(entry.entity_id, "off", motion)
    source = MockConfigEntry(domain="test")
    source.add_to_hass(home)
    plug = devices.async_get_or_create(
        config_entry_id=source.entry_id, identifiers={("test", "plug")}, name="Washing machine"
    )
    watts = entities.async_get_or_create(
        "sensor", "test", "watts", device_id=plug.id, suggested_object_id="plug_7"
    )
    home.states.async_set(watts.entity_id, "3", {"device_class": "power"})
    hidden = entities.async_get_or_create(
        "binary_sensor", "test", "hid", hidden_by=er.RegistryEntryHider.USER
    )
    home.states.async_set(hidden.entity_id, "off", motion | {"friendly_name": "Bedroom old"})


async def _filled_by(form: Form, preset: str) -> tuple[dict[str, Any], list[list[str]], str]:
    """Return the question step's fields, the entities of each piece of evidence, and the facts."""
    await form.open()
    await form.choose(preset)
    question = form.suggested
    await form.fill(
        {key: question[key] for key in QUESTION if key in question} | {"endpoint": "home"}
    )
    await form.fill({})
    found = form.suggested
    ids = [item["entities"] for item in found.get("evidence", [])]
    return question, ids, found.get("facts", "")


async def test_a_preset_finds_its_evidence_by_device_class_and_room(
    home: HomeAssistant, form: Form
) -> None:
    _furnish(home)
    question, evidence, facts = await _filled_by(form, "asleep")
    assert question["name"] == "Someone asleep"
    assert question["question"].startswith("Is anyone in this home asleep?")
    assert evidence[0] == ["binary_sensor.pir_bedr", "binary_sensor.pir_cham"]
    assert ["person.ak"] in evidence
    assert facts == "These people live here: AK."

    _, evidence, _ = await _filled_by(form, "cooking")
    assert evidence[0] == ["binary_sensor.pir_kitc"]
    _, evidence, facts = await _filled_by(form, "laundry")
    assert evidence[0] == ["sensor.plug_7"], "by the name of its device"
    assert facts == ""


async def test_a_home_without_such_rooms_is_given_what_it_has(
    home: HomeAssistant, form: Form
) -> None:
    _, evidence, facts = await _filled_by(form, "asleep")
    assert evidence[0] == ["binary_sensor.bed"]
    assert facts == ""


@pytest.mark.parametrize("language", ["en", "de", "es", "fr", "it", "nl"])
async def test_every_preset_fills_the_form_in_the_language_of_the_home(
    home: HomeAssistant, form: Form, language: str
) -> None:
    home.config.language = language
    _furnish(home)
    for preset in PRESETS:
        question, evidence, _ = await _filled_by(form, preset)
        assert question["name"]
        assert "?" in question["question"]
        assert evidence, preset


async def test_the_budget_of_the_day_is_an_option(
    home: HomeAssistant, gateway: StandInGateway, form: Form
) -> None:
    flows = home.config_entries.options
    shown = await flows.async_init(form._entry.entry_id)
    assert _suggested(shown["data_schema"])["reasoned_daily_calls"] == 1000
    await flows.async_configure(
        shown["flow_id"],
        {"record": "all", "reasoned_daily_calls": 1, "reasoned_daily_cost": 0.25},
    )
    await home.async_block_till_done()
    await _up_to(form, QUESTION, {}, EVIDENCE, THINKING)
    assert form.shown["step_id"] == "preview"
    await form.choose("asking")
    assert form.shown["step_id"] == "preview_failed"
    assert "budget of 1 calls" in form.placeholders["problem"]
    assert len(gateway.requests) == 1
