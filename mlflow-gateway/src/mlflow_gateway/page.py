"""The status page, which Home Assistant shows through ingress."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from . import __version__
from .providers import CHAT, ENDPOINT_TYPES
from .server import NO_ENDPOINTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .routes import Route
    from .usage import Row

_TEMPLATE = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
_KINDS = {value: key for key, value in ENDPOINT_TYPES.items()}


def _script_hash() -> str:
    script = re.search(r"<script>(.*?)</script>", _TEMPLATE, re.DOTALL)
    digest = hashlib.sha256(script[1].encode() if script else b"").digest()
    return base64.b64encode(digest).decode()


HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'; "
    f"style-src 'unsafe-inline'; script-src 'sha256-{_script_hash()}'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One endpoint: what it is, what it did today, and whether it answers since which Unix time."""

    route: Route
    today: Row
    seen: tuple[bool, float] | None


def render(lines: list[Line], errors: list[tuple[float, str, str]]) -> str:
    """The page as HTML, with no secret and no address outside it.

    `errors` are the last ones, as (Unix time, endpoint, sentence).
    """
    parts = {
        "version": escape(__version__),
        "note": "" if lines else f'<p class="note">{escape(NO_ENDPOINTS)}</p>',
        "table": _table(lines) if lines else "",
        "errors": _errors(errors),
        "choices": "".join(
            f"<option>{escape(line.route.name)}</option>"
            for line in lines
            if line.route.endpoint_type == CHAT
        ),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _TEMPLATE)


def _table(lines: Iterable[Line]) -> str:
    heads = ("Endpoint", "Model", "State", "Calls today", "Tokens today", "Cost today")
    head = "".join(f"<th>{text}</th>" for text in heads)
    body = "".join(_row(line, heads) for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _row(line: Line, heads: tuple[str, ...]) -> str:
    route, today = line.route, line.today
    kind = route.provider_type.name
    provider = route.provider if route.provider == kind else f"{route.provider} ({kind})"
    failed = f", {today.errors} failed" if today.errors else ""
    cells = (
        f"<b>{escape(route.name)}</b><small>{_KINDS[route.endpoint_type]}</small>",
        f"{escape(route.model)}<small>{escape(provider)}</small>",
        _state(line.seen),
        f"{today.calls}{failed}",
        f"{today.input_tokens + today.output_tokens:,}",
        _money(today.money),
    )
    inner = "".join(
        f'<td data-head="{head}"><span>{cell}</span></td>'
        for head, cell in zip(heads, cells, strict=True)
    )
    return f"<tr>{inner}</tr>"


def _state(seen: tuple[bool, float] | None) -> str:
    if seen is None:
        return '<span class="unknown">not tried yet</span>'
    reachable, since = seen
    kind, text = ("good", "reachable") if reachable else ("bad", "not reachable")
    return f'<span class="{kind}">{text}</span><small>since {_clock(since)}</small>'


def _money(dollars: float | None) -> str:
    if dollars is None:
        return "–"
    if 0 < dollars < 0.0001:
        return "under $0.0001"
    return "$0" if dollars == 0 else f"${dollars:.4f}" if dollars < 1 else f"${dollars:.2f}"


def _errors(errors: list[tuple[float, str, str]]) -> str:
    if not errors:
        return "<p>No errors since the app started.</p>"
    items = "".join(
        f"<li><small>{_clock(at)}, {escape(endpoint)}</small>{escape(text)}</li>"
        for at, endpoint, text in errors
    )
    return f"<ul>{items}</ul>"


def _clock(moment: float) -> str:
    """A time of today as a time, another one with its day; in the home's time zone."""
    local, now = time.localtime(moment), time.localtime()
    same_day = local[:3] == now[:3]
    return time.strftime("%H:%M" if same_day else "%Y-%m-%d %H:%M", local)
