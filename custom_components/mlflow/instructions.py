"""Turns an agent's prompt into what the model is told, and copes with a prompt that is broken."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from homeassistant.const import CONF_PROMPT
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .const import CONF_PROMPT_REFERENCE, DOMAIN, LOGGER, STARTER_TEXT
from .prompts import PromptLibrary
from .templates import PromptRenderError, Renderer
from .tracking import Message, PromptReference, PromptVersion

# MLflow's model_config by the names of OpenAI's API; what is not here is not about sampling.
_SETTINGS = {
    "temperature": "temperature",
    "max_tokens": "max_tokens",
    "top_p": "top_p",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "stop_sequences": "stop",
}


@dataclass(frozen=True, slots=True)
class Instructions:
    """What a prompt became: the system message, example messages after it, and model settings."""

    system: str
    examples: tuple[dict[str, Any], ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    version: tuple[str, int] | None = None


class InstructionSource:
    """The prompt of one agent: written in its form, or kept in MLflow."""

    def __init__(
        self,
        hass: HomeAssistant,
        library: PromptLibrary,
        agent_id: str,
        agent_name: str,
        options: Mapping[str, Any],
    ) -> None:
        self._hass = hass
        self._library = library
        self._renderer = Renderer(hass)
        self._issue_id = f"prompt_broken_{agent_id}"
        self._agent_name = agent_name
        self._text: str = options.get(CONF_PROMPT, "")
        self.reference: PromptReference | None = None
        if not self._text:
            self.reference = PromptReference.parse(options[CONF_PROMPT_REFERENCE])

    async def get(self, variables: dict[str, Any]) -> Instructions:
        """Return the instructions of this turn: of the newest version that renders."""
        newest, *older = await self._candidates()
        try:
            instructions = self._render(newest, variables)
        except PromptRenderError as error:
            self._report(newest, error)
        else:
            ir.async_delete_issue(self._hass, DOMAIN, self._issue_id)
            if self.reference is not None and newest.version:
                self._library.note_good(self.reference, newest)
            return instructions
        for version in older:
            with suppress(PromptRenderError):
                return self._render(version, variables)
        return Instructions(STARTER_TEXT)  # pragma: no cover - our own text renders

    @callback
    def forget(self) -> None:
        """Take back what was reported."""
        ir.async_delete_issue(self._hass, DOMAIN, self._issue_id)

    async def _candidates(self) -> list[PromptVersion]:
        """Return the versions to try: the one that is meant, the last good one, the built-in one."""
        versions = [_written(self._text)] if self.reference is None else []
        if self.reference is not None:
            versions = [
                version
                for version in (
                    await self._library.get_first(self.reference),
                    self._library.get_good(self.reference),
                )
                if version is not None
            ]
        return [*versions, _written(STARTER_TEXT)]

    def _render(self, version: PromptVersion, variables: dict[str, Any]) -> Instructions:
        texts = self._renderer.render([m.content for m in version.messages], variables)
        messages = list(zip((m.role for m in version.messages), texts, strict=True))
        return Instructions(
            system="\n".join(text for role, text in messages if role == "system"),
            examples=tuple(
                {"role": role, "content": text} for role, text in messages if role != "system"
            ),
            settings=_settings_of(version),
            version=(version.name, version.version) if version.version else None,
        )

    def _report(self, version: PromptVersion, error: PromptRenderError) -> None:
        name = f"{version.name}/{version.version}" if version.version else self._agent_name
        LOGGER.debug("Prompt %s cannot be rendered, line %s: %s", name, error.line, error)
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            self._issue_id,
            is_fixable=False,
            severity=ir.IssueSeverity.ERROR,
            translation_key="prompt_broken",
            translation_placeholders={
                "agent": self._agent_name,
                "prompt": name,
                "line": str(error.line or "?"),
                "error": str(error),
            },
        )


def _written(text: str) -> PromptVersion:
    """Give a text that is not in MLflow the form of a version; its number is 0."""
    return PromptVersion("", 0, (Message("system", text),))


def _settings_of(version: PromptVersion) -> dict[str, Any]:
    settings = {
        _SETTINGS[key]: value
        for key, value in version.settings.items()
        if key in _SETTINGS and value is not None
    }
    return settings | (version.settings.get("extras") or {})
