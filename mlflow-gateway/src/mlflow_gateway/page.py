"""The status page, which Home Assistant shows through ingress."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from . import __version__
from .providers import ENDPOINT_TYPES
from .server import NO_ENDPOINTS

if TYPE_CHECKING:
    from .routes import Route

_TEMPLATE = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
_KINDS = {value: key for key, value in ENDPOINT_TYPES.items()}

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def render(known: list[Route]) -> str:
    """The page as HTML, with no secret and no address outside it."""
    body = "".join(_row(route) for route in known)
    note = "" if known else f'<p class="note">{escape(NO_ENDPOINTS)}</p>'
    return (
        _TEMPLATE.replace("{{version}}", escape(__version__))
        .replace("{{note}}", note)
        .replace("{{table}}", _table(body) if known else "")
    )


def _table(body: str) -> str:
    heads = "".join(f"<th>{head}</th>" for head in ("Endpoint", "Provider", "Model", "Type"))
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def _row(route: Route) -> str:
    kind = route.provider_type.name
    provider = route.provider if route.provider == kind else f"{route.provider} ({kind})"
    cells = {
        "Endpoint": route.name,
        "Provider": provider,
        "Model": route.model,
        "Type": _KINDS[route.endpoint_type],
    }
    inner = "".join(f'<td data-head="{head}">{escape(text)}</td>' for head, text in cells.items())
    return f"<tr>{inner}</tr>"
