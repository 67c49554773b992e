"""Reads what a model answers: a streamed completion becomes deltas of Home Assistant's chat log."""

import json
from collections.abc import AsyncGenerator, AsyncIterable
from dataclasses import dataclass, field
from typing import Any

from homeassistant.components import conversation
from homeassistant.helpers import llm
from homeassistant.helpers.json import json_dumps
from homeassistant.util.json import JsonObjectType
from homeassistant.util.ulid import ulid_now

type Delta = conversation.AssistantContentDeltaDict | conversation.ToolResultContentDeltaDict


@dataclass(slots=True)
class Completion:
    """What a streamed completion turned out to be, filled while it streams."""

    text: str = ""
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    finish_reason: str | None = None
    model: str | None = None
    endpoint: str | None = None
    usage: dict[str, Any] = field(default_factory=dict)

    @property
    def message(self) -> dict[str, Any]:
        """The assistant message, as the next request repeats it."""
        message: dict[str, Any] = {"role": "assistant", "content": self.text or None}
        if self.tool_calls:
            message["tool_calls"] = self.tool_calls
        return message

    @property
    def answer(self) -> dict[str, Any]:
        """The completion as if it had come whole (`chat.completion`, in its essentials)."""
        choice = {"message": self.message, "finish_reason": self.finish_reason}
        return {
            "choices": [choice],
            "model": self.model,
            "usage": self.usage,
            "endpoint": self.endpoint,
        }

    @property
    def is_empty(self) -> bool:
        """Whether the model had nothing to say and nothing to do."""
        return not self.text and not self.tool_calls


async def deltas_of(
    chunks: AsyncIterable[dict[str, Any]], completion: Completion, *, has_tools: bool
) -> AsyncGenerator[Delta]:
    """Turn the chunks of a completion into deltas of the chat log, and note it in `completion`.

    Tool calls are given when the stream has ended: their arguments come in pieces. A call that
    cannot be made (there are no tools, or its arguments are not a JSON object) is answered with an
    error that tells the model so.
    """
    begun = False
    calls: dict[int, dict[str, Any]] = {}
    async for chunk in chunks:
        completion.model = chunk.get("model") or completion.model
        completion.endpoint = chunk.get("endpoint") or completion.endpoint
        completion.usage = chunk.get("usage") or completion.usage
        for choice in chunk.get("choices") or []:
            completion.finish_reason = choice.get("finish_reason") or completion.finish_reason
            delta = choice.get("delta") or {}
            _collect(calls, delta.get("tool_calls") or [])
            if said := _said(delta, completion):
                if not begun:
                    begun = True
                    said["role"] = "assistant"
                yield said
    completion.tool_calls = list(calls.values())
    if not calls:
        return
    inputs, results = _inputs_of(completion.tool_calls, has_tools=has_tools)
    last: conversation.AssistantContentDeltaDict = {"tool_calls": inputs}
    if not begun:
        last["role"] = "assistant"
    yield last
    for result in results:
        yield result


def _said(
    delta: dict[str, Any], completion: Completion
) -> conversation.AssistantContentDeltaDict | None:
    said: conversation.AssistantContentDeltaDict = {}
    if text := delta.get("content"):
        completion.text += text
        said["content"] = text
    if thought := delta.get("reasoning_content") or delta.get("reasoning"):
        said["thinking_content"] = thought
    return said or None


def _collect(calls: dict[int, dict[str, Any]], pieces: list[dict[str, Any]]) -> None:
    """Add pieces of tool calls to what came before; some providers give no index or no id."""
    for piece in pieces:
        function = piece.get("function") or {}
        index = piece.get("index")
        if index is None:
            index = len(calls) if piece.get("id") or not calls else max(calls)
        call = calls.setdefault(
            index,
            {
                "id": piece.get("id") or ulid_now(),
                "type": "function",
                "function": {"name": "", "arguments": ""},
            },
        )
        call["function"]["name"] += function.get("name") or ""
        arguments = function.get("arguments") or ""
        call["function"]["arguments"] += (
            arguments if isinstance(arguments, str) else json_dumps(arguments)
        )


def _inputs_of(
    calls: list[dict[str, Any]], *, has_tools: bool
) -> tuple[list[llm.ToolInput], list[conversation.ToolResultContentDeltaDict]]:
    """Return what the chat log shall call, and the results of the calls that cannot be made."""
    inputs: list[llm.ToolInput] = []
    results: list[conversation.ToolResultContentDeltaDict] = []
    for call in calls:
        name = call["function"]["name"]
        arguments = _arguments_of(call)
        if has_tools and arguments is not None:
            inputs.append(llm.ToolInput(name, arguments, id=call["id"]))
            continue
        inputs.append(llm.ToolInput(name, arguments or {}, id=call["id"], external=True))
        data: JsonObjectType = (
            {"error": "InvalidArguments", "error_text": "The arguments are not a JSON object."}
            if has_tools
            else {"error": "NoTools", "error_text": "There are no tools in this conversation."}
        )
        results.append(
            {
                "role": "tool_result",
                "tool_call_id": call["id"],
                "tool_name": name,
                "result": llm.ToolResult(data, error=True),
            }
        )
    return inputs, results


def _arguments_of(call: dict[str, Any]) -> dict[str, Any] | None:
    try:
        arguments = json.loads(call["function"]["arguments"] or "{}")
    except ValueError:
        return None
    return arguments if isinstance(arguments, dict) else None
