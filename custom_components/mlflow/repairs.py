"""Mends from Repairs what Home Assistant can mend: a stopped app, an agent that lacks something."""

from typing import Any

import probatio
from homeassistant.components.repairs import RepairsFlow, RepairsFlowResult
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.selector import (
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)

from .const import CONF_ENDPOINT, CONF_PROMPT_REFERENCE
from .coordinator import MlflowConfigEntry
from .errors import AppError
from .gateway import CHAT


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, str | int | float | None] | None
) -> RepairsFlow:
    """Return the flow that mends an issue; `data` is what issues.py put into it."""
    known = {key: str(value) for key, value in (data or {}).items()}
    if "slug" in known:
        return StartAppFlow(known["slug"], known["app"])
    field = CONF_ENDPOINT if issue_id.startswith(CONF_ENDPOINT) else CONF_PROMPT_REFERENCE
    return ReplaceFlow(known["entry_id"], known["subentry_id"], field)


class StartAppFlow(RepairsFlow):
    """Starts an app that is installed and does not run."""

    def __init__(self, slug: str, app: str) -> None:
        self._slug = slug
        self._app = app

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Ask first."""
        return await self.async_step_start()

    async def async_step_start(self, user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Start the app; the Supervisor answers when it runs, or says why it does not."""
        errors: dict[str, str] = {}
        placeholders = {"app": self._app}
        if user_input is not None:
            from .supervisor import start_app  # noqa: PLC0415 - only where a Supervisor is

            try:
                await start_app(self.hass, self._slug, self._app)
            except AppError as error:
                errors["base"] = "not_started"
                placeholders |= error.translation_placeholders or {}
            else:
                return self.async_create_entry(data={})
        return self.async_show_form(
            step_id="start",
            data_schema=probatio.Schema({}),
            description_placeholders=placeholders,
            errors=errors,
        )


class ReplaceFlow(RepairsFlow):
    """Gives an agent another endpoint, or another prompt."""

    def __init__(self, entry_id: str, subentry_id: str, field: str) -> None:
        self._entry_id = entry_id
        self._subentry_id = subentry_id
        self._field = field

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Show what there is instead."""
        return await self.async_step_replace()

    async def async_step_replace(
        self, user_input: dict[str, Any] | None = None
    ) -> RepairsFlowResult:
        """Take the choice; the entry loads itself anew."""
        entry: MlflowConfigEntry | None = self.hass.config_entries.async_get_entry(self._entry_id)
        if entry is None or entry.state is not ConfigEntryState.LOADED:
            return self.async_abort(reason="entry_not_loaded")
        subentry = entry.subentries.get(self._subentry_id)
        if subentry is None:
            return self.async_abort(reason="agent_gone")
        if user_input is not None:
            self.hass.config_entries.async_update_subentry(
                entry, subentry, data={**subentry.data, **user_input}
            )
            return self.async_create_entry(data={})
        try:
            choices = await self._choices(entry)
        except AppError as error:
            return self.async_abort(
                reason=error.key, description_placeholders=error.translation_placeholders
            )
        issue = ir.async_get(self.hass).async_get_issue(self.handler, self.issue_id)
        placeholders = issue.translation_placeholders if issue else None
        if not choices:
            return self.async_abort(
                reason="nothing_to_choose", description_placeholders=placeholders
            )
        selector = SelectSelector(
            SelectSelectorConfig(options=choices, mode=SelectSelectorMode.DROPDOWN)
        )
        return self.async_show_form(
            step_id="replace",
            data_schema=probatio.Schema({probatio.Required(self._field): selector}),
            description_placeholders=placeholders,
        )

    async def _choices(self, entry: MlflowConfigEntry) -> list[str]:
        """Return what exists. Raises AppError when the app does not answer."""
        runtime = entry.runtime_data
        if self._field == CONF_ENDPOINT:
            endpoints = await runtime.gateway.client.endpoints()
            return [endpoint.name for endpoint in endpoints if endpoint.type == CHAT]
        if runtime.tracking is None:
            return []
        return [str(reference) for reference in await runtime.tracking.client.prompts()]
