"""What people say of an answer, as MLflow's assessments of its trace."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from homeassistant.core import Context, HomeAssistant

from .recorder import TraceRecorder
from .spool import TraceSpool

VERDICT = "user_feedback"
EXPECTATION = "expected_response"
_HOME = "home"


@dataclass(frozen=True, slots=True)
class Feedback:
    """A verdict (`value`: true, false, a number or a word), a reason, and what would be right.

    `metadata` is kept beside what would be right.
    """

    value: Any = None
    comment: str | None = None
    expectation: Any = None
    name: str = VERDICT
    expectation_name: str = EXPECTATION
    source: str = _HOME
    metadata: Mapping[str, str] = field(default_factory=dict)

    def put(self, spool: TraceSpool, trace_id: str) -> None:
        """Attach this to a trace, which may still be on its way to MLflow."""
        source = {"source_type": "HUMAN", "source_id": self.source}
        if self.value is not None:
            verdict: dict[str, Any] = {
                "assessment_name": self.name,
                "source": source,
                "feedback": {"value": self.value},
            }
            if self.comment:
                verdict["rationale"] = self.comment
            spool.put_assessment(trace_id, verdict)
        if self.expectation is not None:
            expected: dict[str, Any] = {
                "assessment_name": self.expectation_name,
                "source": source,
                "expectation": {"value": self.expectation},
            }
            if self.metadata:
                expected["metadata"] = dict(self.metadata)
            spool.put_assessment(trace_id, expected)


async def async_user_name(hass: HomeAssistant, context: Context | None) -> str:
    """Return who does something: the name of a user, or "home" when it was the home itself."""
    user_id = context.user_id if context else None
    user = await hass.auth.async_get_user(user_id) if user_id else None
    return (user.name if user else None) or _HOME


def last_trace(
    recorder: TraceRecorder,
    *,
    session: str | None = None,
    device_id: str | None = None,
    agent: str | None = None,
) -> str | None:
    """Return the last trace of the most particular thing that is known; None if there is none."""
    for kind, key in (("session", session), ("device_id", device_id), ("agent", agent)):
        if key:
            return recorder.last(kind, key)
    return recorder.last()
