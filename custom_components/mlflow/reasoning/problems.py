"""Why a reasoned state does not think, each with a sentence in the translations."""

from datetime import datetime

from homeassistant.exceptions import HomeAssistantError

from ..const import DOMAIN


class ReasoningError(HomeAssistantError):
    """A reasoned state cannot think now; `key` names the sentence."""

    def __init__(self, key: str, **placeholders: str) -> None:
        super().__init__(
            translation_domain=DOMAIN,
            translation_key=key,
            translation_placeholders=placeholders,
        )


class BudgetSpentError(ReasoningError):
    """The budget of the day is spent; `until` is when the next one begins."""

    def __init__(self, key: str, limit: str, until: datetime) -> None:
        super().__init__(key, limit=limit)
        self.until = until
