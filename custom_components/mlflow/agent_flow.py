"""The form of a conversation agent, for a new one and for one that is there."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import probatio
from homeassistant.config_entries import (
    SOURCE_USER,
    ConfigEntryState,
    ConfigSubentryFlow,
    SubentryFlowResult,
)
from homeassistant.const import CONF_LLM_HASS_API, CONF_NAME, CONF_PROMPT
from homeassistant.helpers import llm
from homeassistant.helpers.selector import (
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TemplateSelector,
    TextSelector,
)

from .const import (
    CONF_ENDPOINT,
    CONF_HISTORY_TOKENS,
    CONF_HISTORY_TURNS,
    CONF_MAX_TOKENS,
    CONF_PROMPT_REFERENCE,
    CONF_TEMPERATURE,
    DEFAULT_HISTORY_TURNS,
    DEFAULT_PROMPT_REFERENCE,
)
from .coordinator import MlflowConfigEntry, MlflowRuntime
from .errors import AppError
from .gateway import CHAT
from .tracking import PromptReference

_DEFAULTS: dict[str, Any] = {
    CONF_NAME: "MLflow",
    CONF_PROMPT_REFERENCE: DEFAULT_PROMPT_REFERENCE,
    CONF_LLM_HASS_API: [llm.LLM_API_ASSIST],
    CONF_HISTORY_TURNS: DEFAULT_HISTORY_TURNS,
}


class ConversationAgentFlow(ConfigSubentryFlow):
    """One form: name, endpoint, prompt, what it may control, and how it answers."""

    def __init__(self) -> None:
        self._suggested: dict[str, Any] = {}

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Add an agent."""
        self._suggested = dict(_DEFAULTS)
        return await self.async_step_agent(user_input)

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Change an agent."""
        subentry = self._get_reconfigure_subentry()
        self._suggested = {CONF_NAME: subentry.title, **subentry.data}
        return await self.async_step_agent(user_input)

    async def async_step_agent(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Show the form and take it."""
        entry: MlflowConfigEntry = self._get_entry()
        if entry.state is not ConfigEntryState.LOADED:
            return self.async_abort(reason="entry_not_loaded")
        errors: dict[str, str] = {}
        if user_input is not None:
            if not (errors := _faults_of(user_input)):
                return self._finish(user_input)
            self._suggested = user_input
        try:
            schema = await self._schema(entry.runtime_data)
        except AppError as error:
            return self.async_abort(
                reason=error.key, description_placeholders=error.translation_placeholders
            )
        return self.async_show_form(
            step_id="agent",
            data_schema=self.add_suggested_values_to_schema(schema, self._suggested),
            errors=errors,
        )

    def _finish(self, user_input: Mapping[str, Any]) -> SubentryFlowResult:
        data = {key: value for key, value in user_input.items() if value not in (None, "", [])}
        title = data.pop(CONF_NAME)
        if self.source == SOURCE_USER:
            return self.async_create_entry(title=title, data=data)
        return self.async_update_and_abort(
            self._get_entry(), self._get_reconfigure_subentry(), title=title, data=data
        )

    async def _schema(self, runtime: MlflowRuntime) -> probatio.Schema:
        """Build the form with what the Gateway and MLflow have now."""
        endpoints = [e.name for e in await runtime.gateway.client.endpoints() if e.type == CHAT]
        apis = [
            SelectOptionDict(value=api.id, label=api.name) for api in llm.async_get_apis(self.hass)
        ]
        existing = {api["value"] for api in apis}
        self._suggested[CONF_LLM_HASS_API] = [
            api for api in self._suggested.get(CONF_LLM_HASS_API, []) if api in existing
        ]
        return probatio.Schema(
            {
                probatio.Required(CONF_NAME): TextSelector(),
                probatio.Required(
                    CONF_ENDPOINT, default=endpoints[0] if endpoints else probatio.UNDEFINED
                ): _select(endpoints),
                probatio.Optional(CONF_PROMPT_REFERENCE): _select(await _prompts(runtime)),
                probatio.Optional(CONF_PROMPT): TemplateSelector(),
                probatio.Optional(CONF_LLM_HASS_API): SelectSelector(
                    SelectSelectorConfig(options=apis, multiple=True)
                ),
                probatio.Optional(CONF_TEMPERATURE): _number(0, 2, 0.05),
                probatio.Optional(CONF_MAX_TOKENS): _number(1, 200_000),
                probatio.Required(CONF_HISTORY_TURNS): _number(0, 100),
                probatio.Optional(CONF_HISTORY_TOKENS): _number(0, 1_000_000),
            }
        )


def _faults_of(user_input: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with the form: an agent needs one prompt or the other."""
    if user_input.get(CONF_PROMPT):
        return {}
    if not (reference := user_input.get(CONF_PROMPT_REFERENCE)):
        return {CONF_PROMPT_REFERENCE: "prompt_missing"}
    try:
        PromptReference.parse(reference)
    except ValueError:
        return {CONF_PROMPT_REFERENCE: "prompt_reference_invalid"}
    return {}


async def _prompts(runtime: MlflowRuntime) -> list[str]:
    """Return what can be chosen as a prompt; MLflow may be away, then what is known already."""
    known = {DEFAULT_PROMPT_REFERENCE, *runtime.prompts.versions}
    if runtime.tracking is not None:
        with suppress(AppError):
            known |= {str(reference) for reference in await runtime.tracking.client.prompts()}
    return sorted(known)


def _select(options: list[str]) -> SelectSelector:
    return SelectSelector(
        SelectSelectorConfig(options=options, custom_value=True, mode=SelectSelectorMode.DROPDOWN)
    )


def _number(least: float, most: float, step: float = 1) -> NumberSelector:
    return NumberSelector(
        NumberSelectorConfig(min=least, max=most, step=step, mode=NumberSelectorMode.BOX)
    )
