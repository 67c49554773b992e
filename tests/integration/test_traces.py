"""What MLflow knows of a turn afterwards, whatever happened to MLflow meanwhile."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from custom_components.mlflow.tracking import PromptReference, TrackingClient
from homeassistant.components import conversation
from homeassistant.core import Context, HomeAssistant

from .conftest import Ask, MakeEntry, Tracking, eventually
from .standins import StandInGateway, calls, says

type Mlflow = Callable[[Tracking], TrackingClient]


async def traces_of(client: TrackingClient, session: str | None) -> list[dict[str, Any]]:
    """Return the traces of a conversation, whole."""
    experiment = {"experiment_id": await client.experiment_id("Home Assistant")}
    body = {
        "locations": [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": experiment}],
        "filter": f"metadata.`mlflow.trace.session` = '{session}'",
        "max_results": 100,
    }
    rest = client._transport
    found = await rest.json("POST", "api/3.0/mlflow/traces/search", body=body)
    return [
        (await rest.json("GET", "api/3.0/mlflow/traces/get", params={"trace_id": t["trace_id"]}))[
            "trace"
        ]
        for t in found.get("traces", [])
    ]


def attributes_of(span: dict[str, Any]) -> dict[str, Any]:
    """Return a span's attributes, as MLflow gives them: protobuf values in JSON."""

    def plain(value: dict[str, Any] | None) -> Any:
        if not value:
            return None
        kind, inner = next(iter(value.items()))
        if kind == "kvlist_value":
            return {item["key"]: plain(item.get("value")) for item in inner.get("values", [])}
        if kind == "array_value":
            return [plain(item) for item in inner.get("values", [])]
        return inner

    return {a["key"]: plain(a["value"]) for a in span["attributes"]}


async def test_a_turn_is_one_trace_with_a_span_for_each_step(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    shared_tracking: Tracking,
    mlflow: Mlflow,
    ask: Ask,
) -> None:
    entry = make_entry(shared_tracking)
    assert await home.config_entries.async_setup(entry.entry_id)
    reference = PromptReference("home", alias="production")
    version = await eventually(lambda: entry.runtime_data.prompts.get(reference))
    gateway.script = [calls(("llm__GetDateTime", {})), says("It is late.")]

    session = (await ask("what time is it", language="nl")).conversation_id
    client = mlflow(shared_tracking)
    [trace] = await eventually(lambda: traces_of(client, session))

    info = trace["trace_info"]
    assert info["state"] == "OK"
    assert info["request_preview"] == "what time is it"
    assert info["response_preview"] == "It is late."
    assert info["tags"]["agent"] == "Butler"
    assert info["tags"]["language"] == "nl"
    assert info["tags"]["mlflow.traceName"] == "Butler"
    usage = json.loads(info["trace_metadata"]["mlflow.trace.tokenUsage"])
    assert usage["total_tokens"] == 214

    root, ask_model, tool, ask_again = trace["spans"]
    types = [attributes_of(span)["mlflow.spanType"] for span in trace["spans"]]
    assert types == ["AGENT", "CHAT_MODEL", "TOOL", "CHAT_MODEL"]
    assert {span.get("parent_span_id") for span in (ask_model, tool, ask_again)} == {
        root["span_id"]
    }
    assert tool["name"] == "llm__GetDateTime"
    model = attributes_of(ask_again)
    assert model["mlflow.llm.model"] == "scripted-model-1"
    assert model["mlflow.llm.provider"] == "openai"
    assert model["endpoint"] == "home"
    assert model["time_to_first_token_ms"] > 0
    assert model["mlflow.spanInputs"]["messages"][-1]["role"] == "tool"

    linked = await eventually(lambda: linked_prompts(client, info["trace_id"]))
    assert linked == [{"name": "home", "version": str(version.version)}]


async def linked_prompts(client: TrackingClient, trace_id: str) -> list[dict[str, Any]]:
    answer = await client._transport.json("GET", f"api/3.0/mlflow/traces/{trace_id}")
    info = answer["trace"]["trace_info"]
    tags = info["tags"]
    linked: list[dict[str, Any]] = json.loads(tags.get("mlflow.linkedPrompts", "[]"))
    return linked


async def test_a_turn_that_fails_is_a_trace_with_the_error(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    shared_tracking: Tracking,
    mlflow: Mlflow,
    ask: Ask,
) -> None:
    assert await home.config_entries.async_setup(make_entry(shared_tracking).entry_id)
    gateway.refusal = (429, "The budget is spent.")
    session = (await ask("hello")).conversation_id
    [trace] = await eventually(lambda: traces_of(mlflow(shared_tracking), session))
    assert trace["trace_info"]["state"] == "ERROR"
    assert "The budget is spent" in trace["trace_info"]["tags"]["error"]
    assert "The budget is spent" in trace["spans"][1]["status"]["message"]


async def test_what_happened_while_mlflow_was_away_is_there_afterwards_once(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    own_tracking: Tracking,
    mlflow: Mlflow,
    ask: Ask,
) -> None:
    await home.async_add_executor_job(own_tracking.start)
    entry = make_entry(own_tracking)
    assert await home.config_entries.async_setup(entry.entry_id)
    await eventually(lambda: entry.runtime_data.tracking.last_update_success)
    own_tracking.stop()
    gateway.script = [says(f"answer {n}") for n in range(20)]
    session = None
    for number in range(10):
        session = (await ask(f"question {number}", conversation_id=session)).conversation_id
    await eventually(lambda: entry.runtime_data.traces.waiting == 10)

    # a restart of Home Assistant in between
    assert await home.config_entries.async_reload(entry.entry_id)
    assert entry.runtime_data.traces.waiting == 10
    for number in range(10, 20):
        await ask(f"question {number}", conversation_id=session)

    await home.async_add_executor_job(own_tracking.start)
    await entry.runtime_data.tracking.async_refresh()
    await eventually(lambda: entry.runtime_data.traces.waiting == 0)
    traces = await traces_of(mlflow(own_tracking), session)
    asked = sorted(trace["trace_info"]["request_preview"] for trace in traces)
    assert asked == sorted(f"question {n}" for n in range(20))


async def test_without_content_a_trace_keeps_times_tokens_and_tools(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    shared_tracking: Tracking,
    mlflow: Mlflow,
    ask: Ask,
) -> None:
    entry = make_entry(shared_tracking, {"record": "no_content"})
    assert await home.config_entries.async_setup(entry.entry_id)
    gateway.script = [calls(("llm__GetDateTime", {"secret": 1})), says("A whispered answer.")]
    session = (await ask("a whispered question")).conversation_id
    [trace] = await eventually(lambda: traces_of(mlflow(shared_tracking), session))
    assert "whispered" not in json.dumps(trace)
    assert "secret" not in json.dumps(trace)
    assert trace["trace_info"]["tags"]["tools"] == "llm__GetDateTime"
    assert attributes_of(trace["spans"][1])["mlflow.chat.tokenUsage"]["input_tokens"] == 100


async def test_nothing_is_recorded_when_that_is_wanted(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    shared_tracking: Tracking,
    ask: Ask,
) -> None:
    entry = make_entry(shared_tracking, {"record": "off"})
    assert await home.config_entries.async_setup(entry.entry_id)
    gateway.script = [says("Hello.")]
    await ask("hello")
    assert entry.runtime_data.traces.waiting == 0


async def test_other_agents_are_recorded_when_that_is_wanted(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    shared_tracking: Tracking,
    mlflow: Mlflow,
    ask: Ask,
) -> None:
    entry = make_entry(shared_tracking, {"record": "all", "watch_other_agents": True})
    assert await home.config_entries.async_setup(entry.entry_id)
    other = await conversation.async_converse(
        home, "turn on the kitchen lights", None, Context(), language="en"
    )
    [trace] = await eventually(lambda: traces_of(mlflow(shared_tracking), other.conversation_id))
    assert trace["trace_info"]["request_preview"] == "turn on the kitchen lights"
    assert trace["trace_info"]["response_preview"]
    assert trace["trace_info"]["tags"]["kind"] == "other_agent"

    gateway.script = [says("Hello.")]
    own = (await ask("hello")).conversation_id
    await eventually(lambda: traces_of(mlflow(shared_tracking), own))
    await asyncio.sleep(1.5)  # longer than another agent's turn is looked for
    assert len(await traces_of(mlflow(shared_tracking), own)) == 1


async def test_long_texts_are_cut_and_say_so(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    shared_tracking: Tracking,
    mlflow: Mlflow,
    ask: Ask,
) -> None:
    assert await home.config_entries.async_setup(make_entry(shared_tracking).entry_id)
    gateway.script = [says("Fine.")]
    session = (await ask("blah " * 20_000)).conversation_id
    [trace] = await eventually(lambda: traces_of(mlflow(shared_tracking), session))
    told = attributes_of(trace["spans"][0])["mlflow.spanInputs"]["messages"][0]["content"]
    assert told.endswith("[cut here: 100000 characters in all]")
    assert len(told) < 40_000


async def test_a_trace_that_mlflow_never_takes_does_not_hold_up_the_others(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    shared_tracking: Tracking,
    mlflow: Mlflow,
    ask: Ask,
) -> None:
    entry = make_entry(shared_tracking)
    assert await home.config_entries.async_setup(entry.entry_id)
    spool = entry.runtime_data.traces
    spool.put_assessment("tr-" + "0" * 32, {"assessment_name": "x", "feedback": {"value": True}})
    gateway.script = [says("one"), says("two")]
    first = (await ask("one")).conversation_id
    await eventually(lambda: traces_of(mlflow(shared_tracking), first))
    await eventually(lambda: spool.waiting == 0)
    assert spool.dropped == 1
