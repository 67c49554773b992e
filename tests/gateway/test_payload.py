"""A request passes byte for byte, but for the model's name."""

from __future__ import annotations

import json

import pytest

from mlflow_gateway.errors import GatewayError
from mlflow_gateway.payload import Payload


def _assert_replaced(body: bytes, old: bytes, new: str) -> None:
    """In the quick way and in the thorough one."""
    expected = body.replace(old, json.dumps(new).encode())
    assert expected != body
    assert Payload(body).with_model(new) == expected
    assert Payload(body).with_members({"model": new}) == expected


def test_only_the_model_changes() -> None:
    body = b'{ "temperature":1.0,\r\n "seed": 12345678901234567890,"model" : "chat", "x": 1e400 }'
    _assert_replaced(body, b'"chat"', "gpt-x")


def test_a_model_inside_another_member_stays() -> None:
    body = b'{"metadata": {"model": "chat"}, "model": "chat", "user": "model"}'
    changed = b'{"metadata": {"model": "chat"}, "model": "m", "user": "model"}'
    assert Payload(body).with_model("m") == changed
    assert Payload(body).with_members({"model": "m"}) == changed


def test_a_model_named_inside_a_text_stays() -> None:
    body = b'{"content": "say \\"model\\": \\"chat\\"", "model": "x"}'
    _assert_replaced(body, b'"x"', "m")


def test_escapes_and_other_scripts_survive() -> None:
    body = '{"messages": ["\\ud83d\\ude00 \u00e9 \\ud800 \U0001f600"], "model": "a"}'.encode()
    _assert_replaced(body, b'"a"', "b")


def test_an_escaped_name_and_a_second_one_are_found() -> None:
    body = b'{"mod\\u0065l": "first", "model": "second"}'
    payload = Payload(body)
    assert payload.get("model") == "second"
    assert payload.with_model("m") == b'{"mod\\u0065l": "m", "model": "m"}'
    nested = b'{"mod\\u0065l": "a", "metadata": {"model": "a"}}'
    assert Payload(nested).with_model("m") == nested.replace(b'"a"', b'"m"', 1)


@pytest.mark.parametrize(
    ("body", "expected"), [(b"{}", {"model": "m"}), (b' {"a": 1} ', {"model": "m", "a": 1})]
)
def test_a_missing_model_is_added(body: bytes, expected: dict[str, object]) -> None:
    assert json.loads(Payload(body).with_model("m")) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'"text"',
        b"{",
        b'{"a": 1',
        b'{"a": 1,}',
        b'{"a" 1}',
        b"{a: 1}",
        b'{"a": 1} x',
        b'{"a": 1 "b": 2}',
        b"\xff\xfe",
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(GatewayError) as caught:
        Payload(body)
    assert caught.value.status == 400
