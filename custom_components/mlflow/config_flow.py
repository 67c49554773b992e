"""Sets up the home's entry: by the Supervisor's discovery, from the installed apps, or by hand."""

from collections.abc import Mapping
from typing import Any, override

import probatio
from homeassistant.config_entries import (
    SOURCE_IGNORE,
    SOURCE_RECONFIGURE,
    ConfigEntry,
    ConfigEntryState,
    ConfigFlow,
    ConfigFlowResult,
    ConfigSubentryFlow,
)
from homeassistant.const import CONF_TOKEN, CONF_URL
from homeassistant.core import callback
from homeassistant.helpers.hassio import is_hassio
from homeassistant.helpers.selector import (
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
from homeassistant.helpers.service_info.hassio import HassioServiceInfo

from .agent_flow import AITaskFlow, ConversationAgentFlow
from .connect import async_check
from .const import (
    CONF_GATEWAY,
    CONF_SLUG,
    DOMAIN,
    ENTRY_UNIQUE_ID,
    SUBENTRY_AI_TASK,
    SUBENTRY_CONVERSATION,
)
from .errors import AppTokenRefusedError
from .options_flow import MlflowOptionsFlow
from .places import APPS, faults_of, field_of, places_of
from .reasoned_flow import ReasonedStateFlow
from .reasoning.settings import SUBENTRY_REASONED
from .transport import APP_NAMES

TITLE = "MLflow"
_URL = TextSelector(TextSelectorConfig(type=TextSelectorType.URL))
_PASSWORD = TextSelector(TextSelectorConfig(type=TextSelectorType.PASSWORD))
_RECONFIGURE_SCHEMA = probatio.Schema(
    {
        probatio.Required("gateway_url"): _URL,
        probatio.Optional(probatio.Secret("gateway_token")): _PASSWORD,
        probatio.Optional("tracking_url"): _URL,
        probatio.Optional(probatio.Secret("tracking_token")): _PASSWORD,
    }
)
_URLS_SCHEMA = probatio.Schema(
    {
        probatio.Required("gateway_url"): _URL,
        probatio.Required(probatio.Secret("gateway_token")): _PASSWORD,
        probatio.Optional("tracking_url"): _URL,
        probatio.Optional(probatio.Secret("tracking_token")): _PASSWORD,
    }
)


class MlflowConfigFlow(ConfigFlow, domain=DOMAIN):
    """One entry for the home, with a place for each app."""

    VERSION = 1

    def __init__(self) -> None:
        self._repository = ""
        self._slugs: dict[str, str] = {}
        self._refused: dict[str, dict[str, str]] = {}

    @classmethod
    @callback
    @override
    def async_get_supported_subentry_types(
        cls, config_entry: ConfigEntry
    ) -> dict[str, type[ConfigSubentryFlow]]:
        return {
            SUBENTRY_CONVERSATION: ConversationAgentFlow,
            SUBENTRY_AI_TASK: AITaskFlow,
            SUBENTRY_REASONED: ReasonedStateFlow,
        }

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry) -> MlflowOptionsFlow:
        return MlflowOptionsFlow()

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Offer the apps that the Supervisor has, else ask for addresses."""
        await self.async_set_unique_id(ENTRY_UNIQUE_ID, raise_on_progress=False)
        self._abort_if_unique_id_configured()
        if await self._find_installed():
            return self.async_show_menu(step_id="user", menu_options=["apps", "urls"])
        return await self.async_step_urls()

    async def _find_installed(self) -> bool:
        """Note the installed apps; False without a Supervisor, or when it has no Gateway."""
        if is_hassio(self.hass):
            from .supervisor import installed_apps  # noqa: PLC0415 - only where a Supervisor is

            for repository, slugs in (await installed_apps(self.hass)).items():
                if CONF_GATEWAY in slugs:
                    self._repository, self._slugs = repository, slugs
                    return True
        return False

    async def async_step_apps(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Use the installed apps."""
        return await self.async_step_hassio_confirm()

    @override
    async def async_step_hassio(self, discovery_info: HassioServiceInfo) -> ConfigFlowResult:
        """Take the message that each app sends when it starts: {"app", "version"}."""
        from .supervisor import installed_apps, repository_of  # noqa: PLC0415 - as above

        app = discovery_info.config.get("app")
        repository = repository_of(discovery_info.slug)
        if app not in APPS or repository is None:
            return self.async_abort(reason="not_our_app")
        installed = await installed_apps(self.hass)
        self._repository = repository
        self._slugs = {**installed.get(repository, {}), app: discovery_info.slug}

        entry = await self.async_set_unique_id(ENTRY_UNIQUE_ID, raise_on_progress=False)
        if entry is not None and entry.source != SOURCE_IGNORE:
            self._follow_the_apps(entry, installed)
        self._abort_if_unique_id_configured()
        await self.async_set_unique_id(ENTRY_UNIQUE_ID)  # aborts while another flow asks already
        self.context["title_placeholders"] = {"name": TITLE}
        return await self.async_step_hassio_confirm()

    @callback
    def _follow_the_apps(self, entry: ConfigEntry, installed: Mapping[str, Any]) -> None:
        """Note in the entry where the apps are now: one came later, or came back from elsewhere."""
        present = {slug for slugs in installed.values() for slug in slugs.values()}
        moved = {
            app: {CONF_SLUG: slug}
            for app, slug in self._slugs.items()
            if present and _may_move(entry.data.get(app), present)
        }
        changed = self.hass.config_entries.async_update_entry(entry, data={**entry.data, **moved})
        if changed and entry.state is ConfigEntryState.SETUP_RETRY:
            self.hass.config_entries.async_schedule_reload(entry.entry_id)

    async def async_step_hassio_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask once, look whether the apps answer, and be done."""
        from .supervisor import installed_apps  # noqa: PLC0415 - as above

        # the sibling may have come while the form was open; its own message was not needed then
        self._slugs |= (await installed_apps(self.hass)).get(self._repository, {})
        errors: dict[str, str] = {}
        placeholders = {"apps": " + ".join(APP_NAMES[app] for app in APPS if app in self._slugs)}
        if user_input is not None:
            data: dict[str, Any] = {app: {CONF_SLUG: slug} for app, slug in self._slugs.items()}
            if CONF_GATEWAY not in data:
                errors["base"] = "gateway_missing"
            elif error := await async_check(self.hass, CONF_GATEWAY, data[CONF_GATEWAY]):
                errors["base"] = error.key
                placeholders |= error.translation_placeholders or {}
            else:
                return self._finish(data)
        step = "reconfigure_apps" if self.source == SOURCE_RECONFIGURE else "hassio_confirm"
        return self.async_show_form(
            step_id=step, description_placeholders=placeholders, errors=errors
        )

    async def async_step_urls(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the addresses of both apps, and look at each."""
        errors: dict[str, str] = {}
        placeholders: dict[str, str] = {}
        if user_input is not None:
            data, errors, placeholders = await self._look_at(user_input, {})
            if not errors:
                return self._finish(data)
        return self.async_show_form(
            step_id="urls",
            data_schema=self.add_suggested_values_to_schema(_URLS_SCHEMA, user_input),
            description_placeholders=placeholders,
            errors=errors,
        )

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Change where the apps are; offers the installed ones where there are some."""
        if await self._find_installed():
            return self.async_show_menu(
                step_id="reconfigure", menu_options=["reconfigure_apps", "reconfigure_urls"]
            )
        return await self.async_step_reconfigure_urls()

    async def async_step_reconfigure_apps(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Use the installed apps from now on."""
        return await self.async_step_hassio_confirm(user_input)

    async def async_step_reconfigure_urls(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Use addresses from now on; a token that is left empty stays."""
        entry = self._get_reconfigure_entry()
        known = {app: place for app in APPS if CONF_URL in (place := entry.data.get(app, {}))}
        errors: dict[str, str] = {}
        placeholders: dict[str, str] = {}
        suggested: Mapping[str, Any] = {
            f"{app}_url": place[CONF_URL] for app, place in known.items()
        }
        if user_input is not None:
            suggested = user_input
            data, errors, placeholders = await self._look_at(user_input, known)
            if not errors:
                return self._finish(data)
        return self.async_show_form(
            step_id="reconfigure_urls",
            data_schema=self.add_suggested_values_to_schema(_RECONFIGURE_SCHEMA, suggested),
            description_placeholders=placeholders,
            errors=errors,
        )

    async def _look_at(
        self, user_input: Mapping[str, str], known: Mapping[str, Mapping[str, str]]
    ) -> tuple[dict[str, dict[str, str]], dict[str, str], dict[str, str]]:
        """Return the places that a form names, its errors by field, and their placeholders."""
        data = places_of(user_input, known)
        errors = faults_of(data)
        placeholders: dict[str, str] = {}
        for app, place in data.items() if not errors else ():
            if error := await async_check(self.hass, app, place):
                errors[field_of(app, error)] = error.key
                placeholders |= error.translation_placeholders or {}
        return data, errors, placeholders

    @callback
    def _finish(self, data: dict[str, Any]) -> ConfigFlowResult:
        """Make the entry of these places, or let the one that is there move to them."""
        if self.source != SOURCE_RECONFIGURE:
            return self.async_create_entry(title=TITLE, data=data)
        entry = self._get_reconfigure_entry()
        others = {key: value for key, value in entry.data.items() if key not in APPS}
        return self._change(entry, {**others, **data})

    @callback
    def _change(self, entry: ConfigEntry, data: dict[str, Any]) -> ConfigFlowResult:
        """Change the entry; a loaded one loads itself anew, another one is told to."""
        result = self.async_update_and_abort(entry, data=data)
        if entry.state is not ConfigEntryState.LOADED:
            self.hass.config_entries.async_schedule_reload(entry.entry_id)
        return result

    async def async_step_reauth(self, entry_data: Mapping[str, Any]) -> ConfigFlowResult:
        """Ask for the tokens anew of those apps that refuse theirs."""
        places = {app: entry_data[app] for app in APPS if CONF_URL in entry_data.get(app, {})}
        for app, place in places.items():
            if isinstance(await async_check(self.hass, app, place), AppTokenRefusedError):
                self._refused[app] = dict(place)
        self._refused = self._refused or {app: dict(place) for app, place in places.items()}
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Take the new tokens, and try them."""
        errors: dict[str, str] = {}
        placeholders: dict[str, str] = {}
        if user_input is not None:
            for app, place in self._refused.items():
                place[CONF_TOKEN] = user_input[f"{app}_token"].strip()
            errors = faults_of(self._refused)
            for app, place in self._refused.items() if not errors else ():
                if error := await async_check(self.hass, app, place):
                    errors[f"{app}_token"] = error.key
                    placeholders |= error.translation_placeholders or {}
            if not errors:
                entry = self._get_reauth_entry()
                return self._change(entry, {**entry.data, **self._refused})
        schema = {
            probatio.Required(probatio.Secret(f"{app}_token")): _PASSWORD for app in self._refused
        }
        return self.async_show_form(
            step_id="reauth_confirm",
            data_schema=probatio.Schema(schema),
            description_placeholders=placeholders,
            errors=errors,
        )


def _may_move(place: Mapping[str, Any] | None, present: set[str]) -> bool:
    """Whether an app's place in the entry is to be set: it has none, or the app there is gone.

    What the user wrote by hand stays, and so does the one that works when there are two.
    """
    if place is None:
        return True
    slug = place.get(CONF_SLUG)
    return slug is not None and slug not in present
