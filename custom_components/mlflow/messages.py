"""Tells a chat log of Home Assistant, and the tools that go with it, as OpenAI messages."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import probatio
from homeassistant.components import conversation
from homeassistant.helpers import llm

from .circumstances import Circumstances, without_clock
from .encoding import to_json


@dataclass(frozen=True, slots=True)
class Telling:
    """How a chat log is told to the model.

    `turns` and `tokens` limit what is told again of earlier turns (a token is taken for four
    characters); `tokens` 0 is no limit.
    """

    turns: int
    tokens: int = 0
    examples: tuple[dict[str, Any], ...] = ()
    circumstances: Circumstances = field(default_factory=Circumstances)
    files: Mapping[Path, dict[str, Any]] = field(default_factory=dict)

    def messages_of(self, contents: Iterable[conversation.Content]) -> list[dict[str, Any]]:
        """Return the system message, the examples, earlier turns and the one that is now.

        A turn begins with the user and is kept whole, so that no tool result loses its call.
        """
        system: list[dict[str, Any]] = []
        turns: list[list[dict[str, Any]]] = [[]]
        for content in contents:
            message = self._message_of(content)
            if message["role"] == "system":
                system.append(message)
                continue
            if message["role"] == "user":
                turns.append([])
            turns[-1].append(message)
        kept = self._kept([turn for turn in turns if turn])
        return [*system, *self.examples, *(message for turn in kept for message in turn)]

    def _kept(self, turns: list[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
        *earlier, now = turns
        earlier = earlier[-self.turns :] if self.turns else []
        if not self.tokens:
            return [*earlier, now]
        room = self.tokens * 4
        kept = [now]
        for turn in reversed(earlier):
            room -= sum(len(to_json(message)) for message in turn)
            if room < 0:
                break
            kept.insert(0, turn)
        return kept

    def _message_of(self, content: conversation.Content) -> dict[str, Any]:
        match content:
            case conversation.SystemContent():
                return {"role": "system", "content": without_clock(content.content)}
            case conversation.UserContent():
                return {"role": "user", "content": self._said(content)}
            case conversation.ToolResultContent():
                return {
                    "role": "tool",
                    "tool_call_id": content.tool_call_id,
                    "content": to_json(content.result.data),
                }
        message: dict[str, Any] = {"role": "assistant", "content": content.content or ""}
        if content.tool_calls:
            message["content"] = content.content or None
            message["tool_calls"] = [_call_of(call) for call in content.tool_calls]
        return message

    def _said(self, content: conversation.UserContent) -> str | list[dict[str, Any]]:
        text = f"{content.content}\n\n{self.circumstances.note(content.created)}"
        if not content.attachments:
            return text
        files = [self.files[attachment.path] for attachment in content.attachments]
        return [{"type": "text", "text": text}, *files]


def _call_of(call: llm.ToolInput) -> dict[str, Any]:
    function = {"name": call.tool_name, "arguments": to_json(call.tool_args)}
    return {"id": call.id, "type": "function", "function": function}


def tools_of(api: llm.APIInstance | None) -> list[dict[str, Any]]:
    """Return the tools of an LLM API with their whole JSON schema."""
    if api is None:
        return []
    return [_tool(tool, api.custom_serializer) for tool in api.tools]


def _tool(tool: llm.Tool, serializer: Callable[[Any], Any] | None) -> dict[str, Any]:
    parameters = probatio.to_openapi(
        tool.parameters, custom_serializer=serializer, openapi_version="3.1.0"
    )
    parameters.setdefault("type", "object")
    parameters.setdefault("properties", {})
    function: dict[str, Any] = {"name": tool.name, "parameters": parameters}
    if tool.description:
        function["description"] = tool.description
    return {"type": "function", "function": function}
