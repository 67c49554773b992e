"""The form of an agent."""

from typing import Any

from homeassistant.config_entries import SOURCE_RECONFIGURE, SOURCE_USER
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType

from .conftest import Ask, MakeEntry, Tracking, eventually, speech
from .standins import StandInGateway, says

FORM: dict[str, Any] = {
    "name": "Cook",
    "endpoint": "small",
    "prompt_reference": "home@production",
    "llm_hass_api": ["assist"],
    "history_turns": 5,
}


def options_of(form: Any, field: str) -> list[str]:
    selector = next(value for key, value in form["data_schema"].schema.items() if key == field)
    return [o if isinstance(o, str) else o["value"] for o in selector.config["options"]]


async def test_an_agent_is_added(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    shared_tracking: Tracking,
) -> None:
    entry = make_entry(shared_tracking)
    assert await home.config_entries.async_setup(entry.entry_id)
    await eventually(lambda: entry.runtime_data.prompts.versions)
    flows = home.config_entries.subentries
    form = await flows.async_init((entry.entry_id, "conversation"), context={"source": SOURCE_USER})
    assert options_of(form, "endpoint") == ["home", "small"]
    assert "home@production" in options_of(form, "prompt_reference")
    assert "assist" in options_of(form, "llm_hass_api")

    done = await flows.async_configure(form["flow_id"], FORM)
    assert done["type"] is FlowResultType.CREATE_ENTRY
    await home.async_block_till_done()
    assert home.states.get("conversation.cook") is not None
    assert home.states.get("conversation.butler") is not None


async def test_a_prompt_is_needed_and_its_name_checked(
    home: HomeAssistant, make_entry: MakeEntry
) -> None:
    entry = make_entry()
    assert await home.config_entries.async_setup(entry.entry_id)
    flows = home.config_entries.subentries
    form = await flows.async_init((entry.entry_id, "conversation"), context={"source": SOURCE_USER})
    without = {key: value for key, value in FORM.items() if key != "prompt_reference"}
    form = await flows.async_configure(form["flow_id"], without)
    assert form["errors"] == {"prompt_reference": "prompt_missing"}
    form = await flows.async_configure(form["flow_id"], FORM | {"prompt_reference": "home"})
    assert form["errors"] == {"prompt_reference": "prompt_reference_invalid"}
    done = await flows.async_configure(form["flow_id"], without | {"prompt": "You cook."})
    assert done["type"] is FlowResultType.CREATE_ENTRY


async def test_an_agent_is_changed(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry, ask: Ask
) -> None:
    entry = make_entry(llm_hass_api=["assist", "gone"])
    assert await home.config_entries.async_setup(entry.entry_id)
    flows = home.config_entries.subentries
    form = await flows.async_init(
        (entry.entry_id, "conversation"),
        context={"source": SOURCE_RECONFIGURE, "subentry_id": "agent"},
    )
    assert form["data_schema"] is not None
    suggested = {
        str(key): key.description["suggested_value"]
        for key in form["data_schema"].schema
        if key.description and "suggested_value" in key.description
    }
    assert suggested["name"] == "Butler"
    assert suggested["llm_hass_api"] == ["assist"]

    done = await flows.async_configure(
        form["flow_id"], FORM | {"llm_hass_api": [], "temperature": 0.7}
    )
    assert (done["type"], done["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
    await home.async_block_till_done()
    gateway.script = [says("Hello.")]
    assert speech(await ask("hello")) == "Hello."
    request = gateway.requests[-1]
    assert (request["model"], request["temperature"]) == ("small", 0.7)
    assert "tools" not in request


async def test_the_form_says_when_the_gateway_is_away(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry
) -> None:
    entry = make_entry()
    assert await home.config_entries.async_setup(entry.entry_id)
    await gateway.stop()
    form = await home.config_entries.subentries.async_init(
        (entry.entry_id, "conversation"), context={"source": SOURCE_USER}
    )
    assert (form["type"], form["reason"]) == (FlowResultType.ABORT, "app_unreachable")


async def test_a_blank_name_and_a_prompt_that_mlflow_does_not_have_are_said_in_the_form(
    home: HomeAssistant, make_entry: MakeEntry, own_tracking: Tracking
) -> None:
    await home.async_add_executor_job(own_tracking.start)
    entry = make_entry(own_tracking)
    assert await home.config_entries.async_setup(entry.entry_id)
    await eventually(lambda: entry.runtime_data.prompts.versions)
    flows = home.config_entries.subentries
    form = await flows.async_init((entry.entry_id, "conversation"), context={"source": SOURCE_USER})
    form = await flows.async_configure(form["flow_id"], FORM | {"name": " "})
    assert form["errors"] == {"name": "name_missing"}
    mistyped = FORM | {"prompt_reference": "hoome@production"}
    form = await flows.async_configure(form["flow_id"], mistyped)
    assert form["errors"] == {"prompt_reference": "prompt_unknown"}
    own_tracking.stop()
    done = await flows.async_configure(form["flow_id"], mistyped)
    assert done["type"] is FlowResultType.CREATE_ENTRY, "believed while MLflow is away"
