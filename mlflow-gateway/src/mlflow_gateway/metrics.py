"""The counters in Prometheus's text format.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .usage import Row

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_COUNTERS: tuple[tuple[str, str, Callable[[Row], float | None]], ...] = (
    ("calls_total", "Calls that the endpoint was to answer.", lambda row: row.calls),
    ("errors_total", "Calls that it did not answer.", lambda row: row.errors),
    ("retries_total", "Requests to its provider that were repeated.", lambda row: row.retries),
    ("fallbacks_total", "Calls that went on to a fallback.", lambda row: row.fallbacks),
    ("input_tokens_total", "Tokens sent, cached ones included.", lambda row: row.input_tokens),
    ("cached_tokens_total", "Tokens read from a cache.", lambda row: row.cached_tokens),
    ("output_tokens_total", "Tokens that the model made.", lambda row: row.output_tokens),
    ("cost_usd_total", "US dollars, where the price is known.", lambda row: row.money),
)


def render(rows: Iterable[tuple[str, Row]], reachable: Iterable[tuple[str, bool]]) -> str:
    """The page for a scraper. `rows` are the totals of each endpoint."""
    totals = list(rows)
    lines: list[str] = []
    for name, text, value in _COUNTERS:
        lines += _head(name, text, "counter")
        lines += [
            f"mlflow_gateway_{name}{_label(endpoint)} {number:.10g}"
            for endpoint, row in totals
            if (number := value(row)) is not None
        ]
    lines += _head("up", "Whether the endpoint's provider answers.", "gauge")
    lines += [f"mlflow_gateway_up{_label(name)} {int(up)}" for name, up in reachable]
    for name, text in (
        ("latency_seconds", "Time to the end of the answer."),
        ("first_token_seconds", "Time to the first event of a stream."),
    ):
        lines += _head(name, text, "summary")
        for endpoint, row in totals:
            lines += _summary(name, endpoint, row)
    return "\n".join(lines) + "\n"


def _summary(name: str, endpoint: str, row: Row) -> Iterable[str]:
    histogram = row.latency if name == "latency_seconds" else row.first_token
    for share in (0.5, 0.95, 0.99):
        value = histogram.quantile(share)
        if value is not None:
            label = _label(endpoint, f',quantile="{share}"')
            yield f"mlflow_gateway_{name}{label} {value / 1000:.6g}"
    yield f"mlflow_gateway_{name}_count{_label(endpoint)} {sum(histogram.counts.values())}"


def _head(name: str, text: str, kind: str) -> list[str]:
    return [f"# HELP mlflow_gateway_{name} {text}", f"# TYPE mlflow_gateway_{name} {kind}"]


def _label(endpoint: str, more: str = "") -> str:
    # names of endpoints hold nothing that would have to be escaped
    return f'{{endpoint="{endpoint}"{more}}}'
