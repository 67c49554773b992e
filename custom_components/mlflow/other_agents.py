"""Records what the home's other conversation agents are asked and answer, seen through chat logs.

A chat log tells neither model nor tokens, so these traces have an AGENT span and TOOL spans only.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from homeassistant.components import conversation
from homeassistant.components.conversation.chat_log import DATA_CHAT_LOGS, async_subscribe_chat_logs
from homeassistant.components.conversation.const import ChatLogEventType
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er

from .const import DOMAIN
from .coordinator import MlflowConfigEntry
from .recorder import TraceRecorder
from .tracing import Span, SpanType, Trace

# A turn is looked at this often until it is over. 2026.10 shows a log only when its turn is over.
_LOOK_SECONDS = 0.5
_LONGEST_TURN_SECONDS = 300


@callback
def async_watch_other_agents(hass: HomeAssistant, entry: MlflowConfigEntry) -> None:
    """Follow every turn that begins, for as long as the entry is loaded."""

    @callback
    def heard(conversation_id: str, event: ChatLogEventType, data: dict[str, Any]) -> None:
        content = data.get("content", {})
        if event is ChatLogEventType.CONTENT_ADDED and content.get("role") == "user":
            entry.async_create_background_task(
                hass,
                _follow(hass, entry.runtime_data.recorder, conversation_id, content["created"]),
                "mlflow other agent's turn",
            )

    entry.async_on_unload(async_subscribe_chat_logs(hass, heard))


async def _follow(
    hass: HomeAssistant, recorder: TraceRecorder, conversation_id: str, began: datetime
) -> None:
    """Wait for the end of a turn, and record it unless it was one of our own agents'."""
    for _ in range(int(_LONGEST_TURN_SECONDS / _LOOK_SECONDS)):
        await asyncio.sleep(_LOOK_SECONDS)
        log = hass.data.get(DATA_CHAT_LOGS, {}).get(conversation_id)
        if log is None:
            continue
        turn = _turn_of(log.content, began)
        last = turn[-1] if turn else None
        if not isinstance(last, conversation.AssistantContent) or last.tool_calls:
            continue
        agent = er.async_get(hass).async_get(last.agent_id)
        if agent is None or agent.platform != DOMAIN:
            state = hass.states.get(last.agent_id)
            name = state.name if state else last.agent_id
            recorder.take(_trace_of(turn, conversation_id, name, last.agent_id))
        return


def _turn_of(
    contents: Sequence[conversation.Content], began: datetime
) -> list[conversation.Content]:
    """Return a turn: what the user said at a time, and all up to what the user said next."""
    turn: list[conversation.Content] = []
    for content in contents:
        if isinstance(content, conversation.UserContent) and content.created != began:
            if turn:
                break
            continue
        if turn or content.created == began:
            turn.append(content)
    return turn


def _trace_of(
    turn: list[conversation.Content], conversation_id: str, agent: str, agent_id: str
) -> Trace:
    first, last = turn[0], turn[-1]
    root = Span(
        agent,
        SpanType.AGENT,
        {"messages": [{"role": "user", "content": first.content}]}
        if isinstance(first, conversation.UserContent)
        else None,
        started=_nanoseconds(first.created),
    )
    trace = Trace(
        root=root,
        session=conversation_id,
        tags={"agent": agent, "kind": "other_agent"},
        found_by={"session": conversation_id, "agent": agent_id},
    )
    tools: dict[str, Span] = {}
    for content in turn:
        match content:
            case conversation.AssistantContent():
                for call in content.tool_calls or []:
                    span = trace.start(call.tool_name, SpanType.TOOL, call.tool_args)
                    span.started = _nanoseconds(content.created)
                    tools[call.id] = span
            case conversation.ToolResultContent() if content.tool_call_id in tools:
                tools[content.tool_call_id].end_with(content.result)
                tools[content.tool_call_id].ended = _nanoseconds(content.created)
    spoken = last.content if isinstance(last, conversation.AssistantContent) else None
    root.end({"messages": [{"role": "assistant", "content": spoken}]})
    root.ended = _nanoseconds(last.created)
    return trace


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1e9)
