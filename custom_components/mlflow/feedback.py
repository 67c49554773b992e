"""What people say of an answer, as MLflow's assessments of its trace."""

from dataclasses import dataclass
from typing import Any

from .recorder import TraceRecorder
from .spool import TraceSpool

VERDICT = "user_feedback"
EXPECTATION = "expected_response"


@dataclass(frozen=True, slots=True)
class Feedback:
    """A verdict (`value`: true, false, a number or a word), a reason, and what would be right."""

    value: Any = None
    comment: str | None = None
    expectation: Any = None
    name: str = VERDICT
    source: str = "home"

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
            expected = {
                "assessment_name": EXPECTATION,
                "source": source,
                "expectation": {"value": self.expectation},
            }
            spool.put_assessment(trace_id, expected)


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
