"""Says once in the log that states cannot think, and once that they can again."""

from homeassistant.exceptions import HomeAssistantError

from ..const import LOGGER
from .problems import BudgetSpentError


class FaultLog:
    """The faults of all states of an entry; what many states suffer from is one fault."""

    def __init__(self) -> None:
        self._faulty: dict[str, str] = {}
        self._said: set[str] = set()

    def note(self, subentry_id: str, name: str, error: HomeAssistantError) -> None:
        """Note that a state cannot think; only what is new is said."""
        is_first = subentry_id not in self._faulty
        sentence = str(error)
        self._faulty[subentry_id] = sentence
        if isinstance(error, BudgetSpentError) or not is_first or sentence in self._said:
            return  # a spent budget stands in Repairs
        self._said.add(sentence)
        LOGGER.warning("The reasoned state %s cannot think for now: %s", name, sentence)

    def over(self, subentry_id: str, name: str) -> None:
        """Note that a state thinks again; said when no state is left that does not."""
        if self._faulty.pop(subentry_id, None) is None or self._faulty:
            return
        if self._said:
            self._said.clear()
            LOGGER.info("Reasoned states think again")
