"""What people say of a reasoned state, as MLflow keeps it: an assessment of the trace, and a record.

A correction is an expectation on the trace of the answer that it corrects, and a record, evidence
included, in the state's dataset, ready for evaluation runs. Both go through the spool, so that they
wait for MLflow as traces do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from homeassistant.exceptions import HomeAssistantError

from ..const import CONF_RECORD, DOMAIN, RECORD_ALL, RECORD_OFF
from ..feedback import Feedback
from .asking import Verdict
from .question import Answer, said
from .settings import Kind
from .state import Correction, ReasonedState

if TYPE_CHECKING:
    from ..coordinator import MlflowConfigEntry

EXPECTATION: Final = "answer"


class Corrections:
    """Where the corrections of an entry's states go, as far as its options let them be recorded."""

    def __init__(self, entry: MlflowConfigEntry) -> None:
        self._spool = entry.runtime_data.traces
        self._record = entry.options.get(CONF_RECORD, RECORD_ALL)

    async def record(self, state: ReasonedState, correction: Correction) -> None:
        """Take what somebody says was right.

        Where only what was not said is recorded, the evidence stays here: there is no record.
        """
        if self._record == RECORD_OFF:
            return
        if correction.verdict is not None:
            feedback = Feedback(
                value=correction.verdict.answer == correction.answer,
                comment=correction.comment,
                expectation=said(correction.answer),
                expectation_name=EXPECTATION,
                metadata={"since": correction.since.isoformat()} if correction.since else {},
                source=correction.source,
            )
            feedback.put(self._spool, correction.verdict.trace_id)
        if self._record == RECORD_ALL and correction.evidence:
            self._spool.put_record(dataset_of(state), _record(correction))

    def dismiss(self, verdict: Verdict, source: str) -> None:
        """Take that an answer was wrong, without knowing what would have been right."""
        if self._record != RECORD_OFF:
            Feedback(value=False, source=source).put(self._spool, verdict.trace_id)


async def confirm(state: ReasonedState, source: str) -> None:
    """Say that what is shown is right. Raises HomeAssistantError when nothing is shown."""
    await state.correct(_shown(state), since=None, comment=None, source=source)


async def reject(state: ReasonedState, corrections: Corrections, source: str) -> None:
    """Say that what is shown is wrong; of yes or no the other one is then right.

    Raises HomeAssistantError when nothing is shown.
    """
    value = _shown(state)
    if state.settings.kind is Kind.YES_NO:
        await state.correct(not value, since=None, comment=None, source=source)
    elif state.shown is not None:
        corrections.dismiss(state.shown, source)
    else:
        raise _error("corrected_already", state)


def dataset_of(state: ReasonedState) -> str:
    """Return the name of the dataset in MLflow that holds a state's corrections."""
    return f"Reasoned state: {state.settings.name}"


def _record(correction: Correction) -> dict[str, Any]:
    """Return a record as MLflow's datasets take it: mlflow/entities/dataset_record.py."""
    expectations = {EXPECTATION: said(correction.answer)}
    if correction.comment:
        expectations["comment"] = correction.comment
    record: dict[str, Any] = {
        "inputs": {"question": correction.question, "evidence": correction.evidence},
        "expectations": expectations,
        "tags": {"source": correction.source},
    }
    if correction.since:
        record["tags"]["since"] = correction.since.isoformat()
    if correction.verdict:
        trace = {"trace_id": correction.verdict.trace_id}
        record["tags"] |= trace
        record["source"] = {"source_type": "TRACE", "source_data": trace}
    return record


def _shown(state: ReasonedState) -> Answer:
    if state.value is None:
        raise _error("nothing_shown", state)
    return state.value


def _error(key: str, state: ReasonedState) -> HomeAssistantError:
    return HomeAssistantError(
        translation_domain=DOMAIN,
        translation_key=key,
        translation_placeholders={"name": state.settings.name},
    )
