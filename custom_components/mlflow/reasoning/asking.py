"""Asks a model, through the Gateway, for the verdict on a question; each call is traced."""

from dataclasses import dataclass
from datetime import datetime

type Answer = bool | str | float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a model decided, and why.

    `answer` is by the state's kind: bool for yes/no, the name of a choice, a number or a text.
    `confidence` is from 0 to 1; `measured` from the probabilities of the answer's tokens, else
    claimed by the model. `decided_by` are entity ids, `decided_at` is UTC, `trace_id` MLflow's
    ("tr-..."), `prompt_version` has the form "name/3"; `tokens` and `cost` (US dollars; None when it
    is not known) are those of all calls that the verdict took.
    """

    answer: Answer
    confidence: float
    measured: bool
    reason: str
    decided_by: tuple[str, ...]
    decided_at: datetime
    trace_id: str
    prompt_version: str | None = None
    tokens: int = 0
    cost: float | None = None
    model: str | None = None
