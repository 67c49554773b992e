"""Chat requests made to fit MLflow's provider classes, where these would lose or break something.

Each function takes and gives a request of OpenAI's chat API as a dict.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .errors import GatewayError

if TYPE_CHECKING:
    from .providers import ProviderType

# What the classes translate; a provider would refuse the request for the rest.
_MEMBERS = frozenset(
    {
        "messages",
        "stream",
        "temperature",
        "top_p",
        "top_k",
        "max_tokens",
        "max_completion_tokens",
        "stop",
        "n",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
    }
)

_NO_PARAMETERS: Mapping[str, Any] = {"type": "object", "properties": {}}


def chat_request(
    members: Mapping[str, Any], provider_type: ProviderType, *, is_claude: bool
) -> dict[str, Any]:
    """The request as the class of this provider type translates it without loss.

    Raises GatewayError 400 for what the class cannot translate.
    """
    for name in sorted(provider_type.lacks):
        if _asks_for(members, name):
            raise GatewayError(
                400,
                f'A provider of type "{provider_type.name}" takes no {name}; '
                "leave it out, or use another endpoint.",
                code="unsupported_value",
                param=name,
            )
    kept = {
        name: value for name, value in members.items() if name in _MEMBERS and value is not None
    }
    if isinstance(kept.get("stop"), str):
        kept["stop"] = [kept["stop"]]
    if not kept.get("stop"):
        kept.pop("stop", None)
    if isinstance(kept.get("tools"), list):
        kept["tools"] = [_tool(tool) for tool in kept["tools"]]
    messages = kept.get("messages")
    if isinstance(messages, list):
        kept["messages"] = [part for message in messages for part in _messages(message)]
    if is_claude:
        _sampling_for_anthropic(kept)
    if not is_claude:
        kept.pop("parallel_tool_calls", None)
    return kept


def _asks_for(members: Mapping[str, Any], name: str) -> bool:
    if name == "images":
        messages = members.get("messages")
        contents = [m.get("content") for m in messages or () if isinstance(m, dict)]
        parts = [part for content in contents if isinstance(content, list) for part in content]
        return any(isinstance(part, dict) and part.get("type") == "image_url" for part in parts)
    value = members.get(name)
    return value not in (None, "auto", {"type": "text"})  # what is so anyway is no wish


def _sampling_for_anthropic(request: dict[str, Any]) -> None:
    """Undo that MLflow halves the temperature; Anthropic's ends at 1, and excludes `top_p`."""
    temperature = request.get("temperature")
    if isinstance(temperature, int | float):
        request["temperature"] = 2 * min(temperature, 1.0)
        request.pop("top_p", None)


def _tool(tool: Any) -> Any:
    """A tool with the description and the parameters that the classes insist on."""
    if not isinstance(tool, dict) or not isinstance(tool.get("function"), dict):
        return tool
    function = tool["function"]
    return {
        **tool,
        "function": {
            **function,
            "description": function.get("description") or function.get("name", ""),
            "parameters": function.get("parameters") or dict(_NO_PARAMETERS),
        },
    }


def _messages(message: Any) -> Iterator[Any]:
    """One message as the classes take it: text in plain form, and text before tool calls kept."""
    if not isinstance(message, dict):
        yield message
        return
    role, content = message.get("role"), message.get("content")
    if role in ("system", "developer"):
        yield {"role": "system", "content": _plain(content)}
    elif role == "tool":
        yield {**message, "content": _plain(content)}
    elif role == "assistant" and message.get("tool_calls"):
        if text := _plain(content):
            yield {"role": "assistant", "content": text}
        calls = [_tool_call(call) for call in message["tool_calls"]]
        yield {"role": "assistant", "content": None, "tool_calls": calls}
    elif role == "assistant":
        yield {"role": "assistant", "content": _plain(content)}
    else:
        yield {key: value for key, value in message.items() if key != "name"}


def _plain(content: Any) -> str:
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(text for text in texts if isinstance(text, str))
    return "" if content is None else str(content)


def _tool_call(call: Any) -> Any:
    """A tool call whose arguments are JSON, where a model gave none at all."""
    if not isinstance(call, dict) or not isinstance(call.get("function"), dict):
        return call
    function = call["function"]
    return {**call, "function": {**function, "arguments": function.get("arguments") or "{}"}}
