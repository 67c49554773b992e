"""What the model is told of its tools, and of what they gave."""

import json
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, override

import probatio
import pytest
from homeassistant.core import HomeAssistant
from homeassistant.helpers import llm
from homeassistant.helpers.selector import NumberSelector, SelectSelector

from .conftest import Ask, MakeEntry, speech
from .standins import StandInGateway, calls, says

RESULT: dict[Any, Any] = {
    "at": time(7, 30),
    "at_home": time(7, 30, tzinfo=UTC),
    "when": datetime(2026, 11, 20, 7, 30, tzinfo=UTC),
    "day": date(2026, 11, 20),
    "rooms": {"kitchen"},
    "pair": ("a", "b"),
    "lasts": timedelta(minutes=5),
    "thing": object,
    3: "a number for a key",
}


class Clock(llm.Tool):
    """A tool whose answer is whatever a test wants."""

    name = "test__Clock"
    description = "Tells everything about time."
    parameters = probatio.Schema(
        {
            probatio.Required("room", description="Which room"): SelectSelector(
                {"options": ["kitchen", "bedroom"]}
            ),
            probatio.Optional("level"): NumberSelector({"min": 0, "max": 9}),
            probatio.Optional("names", default=list): [str],
        }
    )
    result: Any = None

    @override
    async def async_call(
        self, hass: HomeAssistant, tool_input: llm.ToolInput, llm_context: llm.LLMContext
    ) -> llm.ToolResult:
        return llm.ToolResult(self.result)


class ClockAPI(llm.API):
    """An LLM API of another integration, as our agents may be given it."""

    def __init__(self, hass: HomeAssistant, tool: Clock) -> None:
        super().__init__(hass=hass, id="clock", name="Clock")
        self._tool = tool

    @override
    async def async_get_api_instance(self, llm_context: llm.LLMContext) -> llm.APIInstance:
        return llm.APIInstance(
            api=self,
            api_prompt="There is a clock.",
            llm_context=llm_context,
            tools=[self._tool],
            custom_serializer=llm.selector_serializer,
        )


@pytest.fixture
def clock(home: HomeAssistant) -> Clock:
    tool = Clock()
    llm.async_register_api(home, ClockAPI(home, tool))
    return tool


async def told(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry, ask: Ask, name: str
) -> str:
    """Let the model call the tool; return what it is told of the result."""
    assert await home.config_entries.async_setup(make_entry(llm_hass_api=["clock"]).entry_id)
    gateway.script = [calls((name, {"room": "kitchen"})), says("Done.")]
    assert speech(await ask("what time is it")) == "Done."
    return str(gateway.requests[-1]["messages"][-1]["content"])


async def test_results_are_written_as_home_assistant_writes_them(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry, ask: Ask, clock: Clock
) -> None:
    clock.result = {key: RESULT[key] for key in ("at", "when", "day", "rooms", "pair")}
    result = json.loads(await told(home, gateway, make_entry, ask, clock.name))
    assert result == {
        "at": "07:30:00",
        "when": "2026-11-20T07:30:00+00:00",
        "day": "2026-11-20",
        "rooms": ["kitchen"],
        "pair": ["a", "b"],
    }


async def test_a_result_that_is_no_json_at_all_does_not_end_the_conversation(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry, ask: Ask, clock: Clock
) -> None:
    clock.result = RESULT
    result = json.loads(await told(home, gateway, make_entry, ask, clock.name))
    assert result["lasts"]["total_seconds"] == 300
    assert "07:30:00" in str(result["at_home"])
    assert result["3"] == "a number for a key"
    clock.result = {("a", "pair"): "for a key"}
    gateway.script = [calls((clock.name, {"room": "kitchen"})), says("Done.")]
    assert speech(await ask("once more")) == "Done."
    assert "for a key" in gateway.requests[-1]["messages"][-1]["content"]


async def test_the_schema_of_a_tool_is_whole(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry, ask: Ask, clock: Clock
) -> None:
    clock.result = {}
    await told(home, gateway, make_entry, ask, clock.name)
    [tool] = gateway.requests[0]["tools"]
    assert tool["type"] == "function"
    assert tool["function"]["name"] == "test__Clock"
    assert tool["function"]["description"] == "Tells everything about time."
    schema = tool["function"]["parameters"]
    assert schema["type"] == "object"
    assert schema["required"] == ["room"]
    room, level, names = (schema["properties"][name] for name in ("room", "level", "names"))
    assert (room["description"], room["enum"]) == ("Which room", ["kitchen", "bedroom"])
    assert (level["minimum"], level["maximum"]) == (0, 9)
    assert (names["type"], names["items"]["type"]) == ("array", "string")


async def test_several_apis_stand_side_by_side(
    home: HomeAssistant, gateway: StandInGateway, make_entry: MakeEntry, ask: Ask, clock: Clock
) -> None:
    entry = make_entry(llm_hass_api=["assist", "clock", "gone"])
    assert await home.config_entries.async_setup(entry.entry_id)
    gateway.script = [says("Hello.")]
    await ask("hello")
    names = [tool["function"]["name"] for tool in gateway.requests[0]["tools"]]
    assert any(name.endswith("HassTurnOn") for name in names)
    assert any(name.endswith("test__Clock") for name in names)
    assert "There is a clock." in gateway.requests[0]["messages"][0]["content"]
