"""What MLflow's provider classes would lose or break is mended before they see it."""

from __future__ import annotations

from typing import Any

import pytest

from mlflow_gateway.errors import GatewayError
from mlflow_gateway.mend import chat_request
from mlflow_gateway.providers import PROVIDER_TYPES


def _mended(kind: str = "anthropic", **members: Any) -> dict[str, Any]:
    return chat_request(members, PROVIDER_TYPES[kind], is_claude=kind == "anthropic")


def test_text_before_a_tool_call_is_kept() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}
    message = {"role": "assistant", "content": "I look.", "tool_calls": [call]}
    text, calls = _mended(messages=[message])["messages"]
    assert text == {"role": "assistant", "content": "I look."}
    assert calls["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}


def test_a_tool_may_lack_description_and_parameters() -> None:
    tool = {"type": "function", "function": {"name": "f"}}
    (mended,) = _mended(messages=[], tools=[tool])["tools"]
    assert mended["function"] == {
        "name": "f",
        "description": "f",
        "parameters": {"type": "object", "properties": {}},
    }


@pytest.mark.parametrize(
    ("role", "expected"), [("developer", "system"), ("system", "system"), ("tool", "tool")]
)
def test_text_in_parts_becomes_plain(role: str, expected: str) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    (message,) = _mended(messages=[{"role": role, "content": parts, "tool_call_id": "c"}])[
        "messages"
    ]
    assert (message["role"], message["content"]) == (expected, "ab")


@pytest.mark.parametrize(("stop", "expected"), [("END", ["END"]), (["a"], ["a"]), ([], None)])
def test_stop_in_all_its_forms(stop: Any, expected: Any) -> None:
    assert _mended(messages=[], stop=stop).get("stop") == expected


def test_anthropics_temperature_is_what_the_client_said() -> None:
    # MLflow halves it
    assert _mended(messages=[], temperature=0.7)["temperature"] == 1.4
    assert _mended(messages=[], temperature=1.8)["temperature"] == 2
    assert _mended("gemini", messages=[], temperature=0.7)["temperature"] == 0.7


def test_temperature_and_top_p_do_not_clash() -> None:
    assert "top_p" not in _mended(messages=[], temperature=0.5, top_p=0.9)
    assert _mended(messages=[], top_p=0.9)["top_p"] == 0.9


def test_what_would_be_dropped_in_silence_is_refused() -> None:
    for more in (
        {"response_format": {"type": "json_object"}},
        {"tool_choice": "required"},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
    ):
        with pytest.raises(GatewayError) as caught:
            _mended("bedrock", **{"messages": [], **more})
        assert caught.value.status == 400
    assert _mended("bedrock", messages=[], tool_choice="auto")
