"""The form of a reasoned state: from a preset through its steps to one real call, and then saved."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import probatio
from homeassistant.config_entries import (
    SOURCE_USER,
    ConfigEntryState,
    ConfigSubentryFlow,
    SubentryFlowResult,
)
from homeassistant.const import CONF_NAME
from homeassistant.data_entry_flow import AbortFlow
from homeassistant.exceptions import HomeAssistantError

from .coordinator import MlflowConfigEntry, MlflowRuntime
from .errors import AppError
from .form_fields import endpoints_of, prompts_of
from .localize import async_common_texts, async_localize
from .reasoned_faults import (
    Faults,
    faults_of_choices,
    faults_of_evidence,
    faults_of_question,
    faults_of_range,
    faults_of_thinking,
)
from .reasoned_fields import (
    CHOICE_FIELDS,
    EVIDENCE_FIELDS,
    NUMBER_FIELDS,
    THINKING_FIELDS,
    from_form,
    question_fields,
    to_form,
    yes_no_fields,
)
from .reasoned_presets import PRESETS, fill
from .reasoned_preview import async_preview, told
from .reasoning.settings import (
    CONF_CHOICES,
    CONF_DEVICE_CLASS,
    CONF_KIND,
    CONF_MAXIMUM,
    CONF_MINIMUM,
    CONF_UNIT,
    DEFAULTS,
    Kind,
    Settings,
)
from .reasoning.state import Preview

_NO_PRESET: Final = "own"
_EXAMPLE: Final = "{{ is_state('person.ak', 'home') }}"
_OF_KIND: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.YES_NO: (CONF_DEVICE_CLASS,),
    Kind.CHOICE: (CONF_CHOICES,),
    Kind.NUMBER: (CONF_MINIMUM, CONF_MAXIMUM, CONF_UNIT),
}
_AFTER_PREVIEW: Final = ["save", "asking", "question", "evidence", "thinking"]


class ReasonedStateFlow(ConfigSubentryFlow):
    """Preset, question, answer, evidence, thinking, preview.

    `_data` is what will be kept, with the name; a step that was changed after the preview leads
    straight back to it.
    """

    def __init__(self) -> None:
        self._data: dict[str, Any] = {}
        self._is_whole = False
        self._asking: asyncio.Task[None] | None = None
        self._seen: Preview | None = None
        self._problem = ""

    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Offer the presets."""
        self._runtime()
        return self.async_show_menu(step_id="user", menu_options=[*PRESETS, _NO_PRESET])

    async def _start_from(self, preset: str) -> SubentryFlowResult:
        self._data = dict(DEFAULTS)
        if preset in PRESETS:
            texts = await async_common_texts(self.hass, self.hass.config.language)
            self._data |= fill(self.hass, preset, texts)
        return await self.async_step_question()

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Begin with what is there."""
        subentry = self._get_reconfigure_subentry()
        self._data = {**DEFAULTS, CONF_NAME: subentry.title, **subentry.data}
        return await self.async_step_question()

    async def async_step_question(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask what is asked, of whom, and what kind of answer there is."""
        runtime = self._runtime()
        endpoints: list[str] | None = None
        try:
            endpoints = await endpoints_of(runtime)
        except AppError:  # the preview will say so; the form can be filled meanwhile
            known = [endpoint.name for endpoint in runtime.gateway.chat_endpoints]
        else:
            known = endpoints
        schema = question_fields(known, await prompts_of(runtime))
        faults: Faults = {}, {}
        if user_input is not None:
            self._take(schema, user_input)
            faults = await faults_of_question(self._data, runtime, endpoints)
            if not faults[0]:
                return await self._ask_for_answer()
        return self._form("question", schema, faults)

    async def _ask_for_answer(self) -> SubentryFlowResult:
        match Kind(self._data[CONF_KIND]):
            case Kind.YES_NO:
                return await self.async_step_yes_no()
            case Kind.CHOICE:
                return await self.async_step_choice()
            case Kind.NUMBER:
                return await self.async_step_number()
        return await self._go_on_with("evidence")

    async def async_step_yes_no(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask which device class a yes/no answer has."""
        schema = await yes_no_fields(self.hass)
        if user_input is None:
            return self._form("yes_no", schema)
        self._take(schema, user_input)
        return await self._go_on_with("evidence")

    async def async_step_choice(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask which answers there are."""
        faults: Faults = {}, {}
        if user_input is not None:
            self._take(CHOICE_FIELDS, user_input)
            faults = faults_of_choices(self._data)
            if not faults[0]:
                return await self._go_on_with("evidence")
        return self._form("choice", CHOICE_FIELDS, faults)

    async def async_step_number(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask for range and unit."""
        faults: Faults = {}, {}
        if user_input is not None:
            self._take(NUMBER_FIELDS, user_input)
            faults = faults_of_range(self._data)
            if not faults[0]:
                return await self._go_on_with("evidence")
        return self._form("number", NUMBER_FIELDS, faults)

    async def async_step_evidence(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask what the model is shown."""
        faults: Faults = {}, {}
        if user_input is not None:
            self._take(EVIDENCE_FIELDS, user_input)
            faults = faults_of_evidence(self.hass, self._data)
            if not faults[0]:
                return await self._go_on_with("thinking")
        return self._form("evidence", EVIDENCE_FIELDS, faults)

    async def async_step_thinking(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask when to think, and how sure the answer must be."""
        faults: Faults = {}, {}
        if user_input is not None:
            self._take(THINKING_FIELDS, user_input)
            faults = faults_of_thinking(self.hass, self._data)
            if not faults[0]:
                self._is_whole = True
                return await self.async_step_asking()
        return self._form("thinking", THINKING_FIELDS, faults)

    async def async_step_asking(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Make one real call; the form shows that it waits."""
        if self._asking is None:
            self._asking = self.hass.async_create_task(
                self._ask(self._runtime(), self._settings()), "mlflow preview of a reasoned state"
            )
        if not self._asking.done():
            return self.async_show_progress(
                step_id="asking", progress_action="asking", progress_task=self._asking
            )
        self._asking = None
        return self.async_show_progress_done(
            next_step_id="preview" if self._seen else "preview_failed"
        )

    async def _ask(self, runtime: MlflowRuntime, settings: Settings) -> None:
        self._seen = None
        try:
            self._seen = await async_preview(self.hass, runtime, settings)
        except HomeAssistantError as error:
            self._problem = await async_localize(self.hass, self.hass.config.language, error)

    async def async_step_preview(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Show the answer before anything is saved."""
        if self._seen is None:
            return await self.async_step_preview_failed()
        texts = await async_common_texts(self.hass, self.hass.config.language)
        return self.async_show_menu(
            step_id="preview",
            menu_options=_AFTER_PREVIEW,
            description_placeholders=told(self.hass, self._settings(), self._seen, texts),
        )

    async def async_step_preview_failed(
        self, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Say why there is no answer; it may be saved all the same."""
        return self.async_show_menu(
            step_id="preview_failed",
            menu_options=_AFTER_PREVIEW,
            description_placeholders={"problem": self._problem},
        )

    async def async_step_save(self, user_input: dict[str, Any] | None = None) -> SubentryFlowResult:
        """Keep it."""
        data = dict(self._data)
        title = data.pop(CONF_NAME)
        for kind, keys in _OF_KIND.items():
            for key in keys if kind != data[CONF_KIND] else ():
                data.pop(key, None)
        if self.source == SOURCE_USER:
            return self.async_create_entry(title=title, data=data)
        return self.async_update_and_abort(
            self._get_entry(), self._get_reconfigure_subentry(), title=title, data=data
        )

    def _runtime(self) -> MlflowRuntime:
        """Return what the entry has; the flow ends where the entry is not loaded (any more)."""
        entry: MlflowConfigEntry = self._get_entry()
        if entry.state is not ConfigEntryState.LOADED:
            raise AbortFlow("entry_not_loaded")
        return entry.runtime_data

    def _settings(self) -> Settings:
        return Settings.of(self._data[CONF_NAME], self._data)

    def _form(
        self, step: str, schema: probatio.Schema, faults: Faults = ({}, {})
    ) -> SubentryFlowResult:
        errors, placeholders = faults
        return self.async_show_form(
            step_id=step,
            data_schema=self.add_suggested_values_to_schema(schema, to_form(self._data)),
            errors=errors,
            description_placeholders={"example": _EXAMPLE, **placeholders},
            last_step=False,
        )

    def _take(self, schema: probatio.Schema, user_input: Mapping[str, Any]) -> None:
        """Note what a step gave; what was emptied is forgotten."""
        given = {
            key: value.strip() if isinstance(value, str) else value
            for key, value in user_input.items()
        }
        for field in schema.schema:
            self._data.pop(str(field), None)
        given = {key: value for key, value in given.items() if value not in (None, "", [])}
        self._data |= from_form({CONF_NAME: "", **given} if CONF_NAME in user_input else given)

    async def _go_on_with(self, step: str) -> SubentryFlowResult:
        """Show the next step, or after a change ask again."""
        if self._is_whole:
            return await self.async_step_asking()
        if step == "evidence":
            return await self.async_step_evidence()
        return await self.async_step_thinking()


def _preset_step(preset: str) -> Any:
    async def step(
        self: ReasonedStateFlow, user_input: dict[str, Any] | None = None
    ) -> SubentryFlowResult:
        return await self._start_from(preset)

    return step


# Home Assistant finds the step behind an item of a menu by its name.
for _preset in (*PRESETS, _NO_PRESET):
    setattr(ReasonedStateFlow, f"async_step_{_preset}", _preset_step(_preset))
