"""Records what happens in a turn as the spans of one MLflow trace; recording does no I/O.

The wire format is OTLP JSON (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding) with
the attributes of mlflow/tracing/constant.py, whose structured values are JSON in a string.
"""

import secrets
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from homeassistant.helpers import llm
from homeassistant.helpers.json import json_bytes

from .encoding import to_json

# Longer texts (a prompt with a whole home in it, an attached picture) are cut, and say so.
MAX_TEXT = 32_768
_RESOURCE = {"attributes": [{"key": "service.name", "value": {"stringValue": "home-assistant"}}]}
_STATUS_OK, _STATUS_ERROR = 1, 2


class SpanType(StrEnum):
    """MLflow's span types that occur here."""

    AGENT = "AGENT"
    CHAT_MODEL = "CHAT_MODEL"
    TOOL = "TOOL"


@dataclass(slots=True)
class Span:
    """One step of a turn; times in nanoseconds since 1970."""

    name: str
    type: SpanType
    inputs: Any
    parent: Span | None = None
    outputs: Any = None
    error: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    started: int = field(default_factory=time.time_ns)
    ended: int | None = None

    @property
    def tokens(self) -> dict[str, int]:
        """The tokens of a model call by MLflow's names; empty when they are not known."""
        return self.attributes.get("mlflow.chat.tokenUsage") or {}

    @property
    def cost(self) -> float | None:
        """US dollars for a model call; None when its price is not known."""
        cost = self.attributes.get("mlflow.llm.cost")
        return cost["total_cost"] if cost else None

    def end(self, outputs: Any = None, *, error: str | None = None) -> None:
        """Note the result; the first end counts."""
        if self.ended is None:
            self.ended = time.time_ns()
            self.outputs = outputs
            self.error = error

    def fail(self, error: BaseException) -> None:
        """End with an error."""
        self.end(error=str(error) or type(error).__name__)

    def end_with(self, result: llm.ToolResult) -> None:
        """Note what a tool gave, or why it failed."""
        error = None
        if result.error:
            data = result.data
            error = str(data.get("error_text") or data.get("error") or "the tool failed")
        self.end(result.data, error=error)

    def note_first_token(self) -> None:
        """Note how long the first word took, once."""
        elapsed = (time.time_ns() - self.started) / 1e6
        self.attributes.setdefault("time_to_first_token_ms", round(elapsed, 1))


@dataclass(slots=True)
class Trace:
    """A turn: its root span and the steps in it.

    `found_by` is what feedback may call it by (session, device_id, agent); without `has_content`
    MLflow gets times, tokens, tools and errors, and nothing that was said.
    """

    root: Span
    session: str | None = None
    user: str | None = None
    prompt: tuple[str, int] | None = None
    tags: dict[str, str] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)
    found_by: dict[str, str] = field(default_factory=dict)
    has_content: bool = True
    id: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def tools(self) -> list[str]:
        """The names of the tools that were called, in order."""
        return [span.name for span in self.spans if span.type is SpanType.TOOL]

    @property
    def entities(self) -> list[str]:
        """The entities that tools say they have acted on."""
        return list(
            dict.fromkeys(
                target["id"]
                for span in self.spans
                if span.type is SpanType.TOOL
                for target in _targets_of(span.outputs)
                if target.get("type") == "entity" and target.get("id")
            )
        )

    @property
    def tokens(self) -> dict[str, int]:
        """Input and output tokens of all model calls."""
        return {
            key: sum(span.tokens.get(key, 0) for span in self.spans)
            for key in ("input_tokens", "output_tokens")
        }

    @property
    def cost(self) -> float | None:
        """US dollars for all model calls of which the price is known; None without any."""
        costs = [cost for span in self.spans if (cost := span.cost) is not None]
        return sum(costs) if costs else None

    @property
    def mlflow_id(self) -> str:
        """The id by which MLflow knows the trace."""
        return f"tr-{self.id}"

    def start(self, name: str, kind: SpanType, inputs: Any, parent: Span | None = None) -> Span:
        """Begin a step below the root, or below another step."""
        span = Span(name, kind, inputs, parent or self.root)
        self.spans.append(span)
        return span

    def otlp(self) -> bytes:
        """Return the trace as an ExportTraceServiceRequest; long turns take time: use a thread."""
        attributes = {f"mlflow.traceTag.{key}": value for key, value in self.tags.items() if value}
        attributes["mlflow.traceTag.mlflow.traceName"] = self.root.name
        if self.session:
            attributes["session.id"] = self.session
        if self.user:
            attributes["user.id"] = self.user
        spans = [
            _span(self.id, self.root, attributes, has_content=self.has_content),
            *(_span(self.id, span, {}, has_content=self.has_content) for span in self.spans),
        ]
        scope = {"scope": {"name": "mlflow.home_assistant"}, "spans": spans}
        return json_bytes({"resourceSpans": [{"resource": _RESOURCE, "scopeSpans": [scope]}]})


def _targets_of(result: Any) -> list[dict[str, Any]]:
    """Return what an intent says it has acted on; other tools say nothing of the kind."""
    data = result.get("data") if isinstance(result, dict) else None
    targets = data.get("success") if isinstance(data, dict) else None
    return targets if isinstance(targets, list) else []


def _span(trace_id: str, span: Span, more: dict[str, Any], *, has_content: bool) -> dict[str, Any]:
    attributes = {"mlflow.spanType": str(span.type), **span.attributes, **more}
    if has_content:
        attributes["mlflow.spanInputs"] = _text(span.inputs)
        attributes["mlflow.spanOutputs"] = _text(span.outputs)
    status: dict[str, Any] = {"code": _STATUS_OK}
    events = []
    if span.error is not None:
        status = {"code": _STATUS_ERROR, "message": span.error}
        events = [
            {
                "name": "exception",
                "timeUnixNano": str(span.ended),
                "attributes": [_attribute("exception.message", span.error)],
            }
        ]
    return {
        "traceId": trace_id,
        "spanId": span.id,
        **({"parentSpanId": span.parent.id} if span.parent else {}),
        "name": span.name,
        "kind": 1,
        "startTimeUnixNano": str(span.started),
        "endTimeUnixNano": str(span.ended or time.time_ns()),
        "attributes": [_attribute(key, value) for key, value in attributes.items()],
        "status": status,
        "events": events,
    }


def _attribute(key: str, value: Any) -> dict[str, Any]:
    match value:
        case bool():
            typed: dict[str, Any] = {"boolValue": value}
        case int():
            typed = {"intValue": str(value)}
        case float():
            typed = {"doubleValue": value}
        case str():
            typed = {"stringValue": value}
        case _:
            typed = {"stringValue": _text(value)}
    return {"key": key, "value": typed}


def _text(value: Any) -> str:
    """Return a value as JSON, with long texts cut."""
    return to_json(_shortened(value))


def _shortened(value: Any) -> Any:
    match value:
        case str() if len(value) > MAX_TEXT:
            return f"{value[:MAX_TEXT]} [cut here: {len(value)} characters in all]"
        case dict():
            return {key: _shortened(item) for key, item in value.items()}
        case list() | tuple():
            return [_shortened(item) for item in value]
        case _:
            return value
