"""The status page: what it tells, and that nothing on it can do harm."""

from __future__ import annotations

import base64
import hashlib
import re
import time

from mlflow_gateway import page
from mlflow_gateway.policy import Policy
from mlflow_gateway.providers import CHAT, EMBEDDINGS, PROVIDER_TYPES
from mlflow_gateway.routes import Route
from mlflow_gateway.usage import Row

NOW = time.time()


def _route(name: str, kind: str = CHAT, model: str = "m") -> Route:
    fields = {"api_key": "sk-never-shown"}
    return Route(name, kind, model, "My account", PROVIDER_TYPES["openai"], fields, Policy(), None)


def test_an_endpoint_shows_its_state_and_its_day() -> None:
    row = Row(calls=7, errors=2, input_tokens=1000, output_tokens=234, money=0.0123)
    text = page.render([page.Line(_route("chat"), row, (True, NOW))], [])
    for part in ("My account (openai)", "reachable", "7, 2 failed", "1,234", "$0.0123"):
        assert part in text
    assert time.strftime("%H:%M", time.localtime(NOW)) in text
    assert "sk-never-shown" not in text


def test_states_and_costs_in_plain_words() -> None:
    unknown = page.render([page.Line(_route("chat"), Row(), None)], [])
    assert "not tried yet" in unknown
    away = page.render([page.Line(_route("chat"), Row(money=0.00001), (False, NOW - 90_000))], [])
    assert "not reachable" in away
    assert time.strftime("%Y-%m-%d", time.localtime(NOW - 90_000)) in away
    assert "under $0.0001" in away


def test_only_chat_endpoints_can_be_tried() -> None:
    lines = [
        page.Line(_route("chat"), Row(), None),
        page.Line(_route("vectors", EMBEDDINGS), Row(), None),
    ]
    assert re.findall(r"<option>(.*?)</option>", page.render(lines, [])) == ["chat"]


def test_nothing_from_elsewhere_becomes_markup() -> None:
    evil = "<script>alert(1)</script>{{errors}}"
    line = page.Line(_route("chat", model=evil), Row(), None)
    text = page.render([line], [(NOW, "chat", evil)])
    assert text.count("<script>") == 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt;{{errors}}" in text


def test_only_the_pages_own_script_may_run() -> None:
    text = page.render([], [])
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page.HEADERS["Content-Security-Policy"]
    assert "unsafe-eval" not in page.HEADERS["Content-Security-Policy"]
