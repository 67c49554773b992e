"""The forms of a conversation agent and of an AI task, for a new one and for one that is there."""

from collections.abc import Mapping
from typing import Any, override

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
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
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
from .form_fields import dropdown, endpoints_of, fault_of_prompt, number, prompts_of

_AGENT_DEFAULTS: dict[str, Any] = {
    CONF_NAME: "MLflow",
    CONF_PROMPT_REFERENCE: DEFAULT_PROMPT_REFERENCE,
    CONF_LLM_HASS_API: [llm.LLM_API_ASSIST],
    CONF_HISTORY_TURNS: DEFAULT_HISTORY_TURNS,
}
_TASK_DEFAULTS: dict[str, Any] = {CONF_NAME: "MLflow AI Task"}


_SAMPLING_FIELDS: dict[Any, Any] = {
    probatio.Optional(CONF_TEMPERATURE): number(0, 2, 0.05),
    probatio.Optional(CONF_MAX_TOKENS): number(1, 200_000),
}


class _ModelFlow(ConfigSubentryFlow):
    """One form, filled with what the Gateway has now."""

    _step: str
    _defaults: Mapping[str, Any]

    def __init__(self) -> None:
        self._suggested: dict[str, Any] = {}

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Add one."""
        self._suggested = dict(self._defaults)
        return await self._form(user_input)

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Change one."""
        subentry = self._get_reconfigure_subentry()
        self._suggested = {CONF_NAME: subentry.title, **subentry.data}
        return await self._form(user_input)

    async def _form(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        entry: MlflowConfigEntry = self._get_entry()
        if entry.state is not ConfigEntryState.LOADED:
            return self.async_abort(reason="entry_not_loaded")
        errors: dict[str, str] = {}
        if user_input is not None:
            user_input[CONF_NAME] = user_input[CONF_NAME].strip()
            if not (errors := await self._faults_of(user_input, entry.runtime_data)):
                return self._finish(user_input)
            self._suggested = user_input
        try:
            schema = await self._schema(entry.runtime_data)
        except AppError as error:
            return self.async_abort(
                reason=error.key, description_placeholders=error.translation_placeholders
            )
        return self.async_show_form(
            step_id=self._step,
            data_schema=self.add_suggested_values_to_schema(schema, self._suggested),
            errors=errors,
        )

    async def _faults_of(
        self, user_input: Mapping[str, Any], runtime: MlflowRuntime
    ) -> dict[str, str]:
        return {} if user_input[CONF_NAME] else {CONF_NAME: "name_missing"}

    async def _schema(self, runtime: MlflowRuntime) -> probatio.Schema:
        raise NotImplementedError

    def _finish(self, user_input: Mapping[str, Any]) -> SubentryFlowResult:
        data = {key: value for key, value in user_input.items() if value not in (None, "", [])}
        title = data.pop(CONF_NAME)
        if self.source == SOURCE_USER:
            return self.async_create_entry(title=title, data=data)
        return self.async_update_and_abort(
            self._get_entry(), self._get_reconfigure_subentry(), title=title, data=data
        )


class ConversationAgentFlow(_ModelFlow):
    """Name, endpoint, prompt, what the agent may control, and how it answers."""

    _step = "agent"
    _defaults = _AGENT_DEFAULTS

    async def async_step_agent(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Take the form."""
        return await self._form(user_input)

    @override
    async def _faults_of(
        self, user_input: Mapping[str, Any], runtime: MlflowRuntime
    ) -> dict[str, str]:
        faults = await super()._faults_of(user_input, runtime)
        return faults or await _prompt_faults_of(user_input, runtime)

    @override
    async def _schema(self, runtime: MlflowRuntime) -> probatio.Schema:
        apis = [
            SelectOptionDict(value=api.id, label=api.name) for api in llm.async_get_apis(self.hass)
        ]
        existing = {api["value"] for api in apis}
        self._suggested[CONF_LLM_HASS_API] = [
            api for api in self._suggested.get(CONF_LLM_HASS_API, []) if api in existing
        ]
        return probatio.Schema(
            {
                **await _model_fields(runtime),
                probatio.Optional(CONF_PROMPT_REFERENCE): dropdown(await prompts_of(runtime)),
                probatio.Optional(CONF_PROMPT): TemplateSelector(),
                probatio.Optional(CONF_LLM_HASS_API): SelectSelector(
                    SelectSelectorConfig(options=apis, multiple=True)
                ),
                **_SAMPLING_FIELDS,
                probatio.Required(CONF_HISTORY_TURNS): number(0, 100),
                probatio.Optional(CONF_HISTORY_TOKENS): number(0, 1_000_000),
            }
        )


class AITaskFlow(_ModelFlow):
    """Name, endpoint, and how it answers."""

    _step = "task"
    _defaults = _TASK_DEFAULTS

    async def async_step_task(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Take the form."""
        return await self._form(user_input)

    @override
    async def _schema(self, runtime: MlflowRuntime) -> probatio.Schema:
        return probatio.Schema({**await _model_fields(runtime), **_SAMPLING_FIELDS})


async def _model_fields(runtime: MlflowRuntime) -> dict[Any, Any]:
    endpoints = await endpoints_of(runtime)
    first = endpoints[0] if endpoints else probatio.UNDEFINED
    return {
        probatio.Required(CONF_NAME): TextSelector(),
        probatio.Required(CONF_ENDPOINT, default=first): dropdown(endpoints),
    }


async def _prompt_faults_of(
    user_input: Mapping[str, Any], runtime: MlflowRuntime
) -> dict[str, str]:
    """Return what is wrong with the form: an agent needs one prompt or the other."""
    if user_input.get(CONF_PROMPT):
        return {}
    if not (reference := user_input.get(CONF_PROMPT_REFERENCE)):
        return {CONF_PROMPT_REFERENCE: "prompt_missing"}
    fault = await fault_of_prompt(reference, runtime)
    return {CONF_PROMPT_REFERENCE: fault} if fault else {}
