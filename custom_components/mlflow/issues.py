"""Shows in Repairs what keeps the home from working, and takes it back when it works again.

Every minute or so, and whenever an app comes or goes, all that can be wrong is looked for; what is
not wrong any more is taken back in the same look.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import CONF_PROMPT
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.event import async_track_time_interval

from .const import (
    CONF_ENDPOINT,
    CONF_GATEWAY,
    CONF_PROMPT_REFERENCE,
    CONF_SLUG,
    CONF_TRACKING,
    DOMAIN,
)
from .coordinator import MlflowConfigEntry
from .entity import app_url
from .errors import AppMissingError, AppUnreachableError
from .transport import APP_NAMES

_INTERVAL = timedelta(seconds=30)
# How SQLite, PostgreSQL, MariaDB and the system say that there is no room for more.
_FULL = re.compile(r"\bfull\b|no space|disk i/o|too large|quota|readonly|read-only", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Issue:
    """Something that is wrong; `subject` is the app or the subentry that it is about."""

    key: str
    subject: str
    severity: ir.IssueSeverity
    placeholders: dict[str, str]
    data: dict[str, str | int | float | None] | None = None
    url: str | None = field(default=None, kw_only=True)

    @property
    def id(self) -> str:
        """The id in the registry: the same fault of the same subject is the same issue."""
        return f"{self.key}_{self.subject}"

    @callback
    def report(self, hass: HomeAssistant) -> None:
        """Show it, or what has changed in it; one with `data` can be fixed in Repairs."""
        ir.async_create_issue(
            hass,
            DOMAIN,
            self.id,
            data=self.data,
            is_fixable=self.data is not None,
            learn_more_url=self.url,
            severity=self.severity,
            translation_key=self.key,
            translation_placeholders=self.placeholders,
        )


class IssueWatch:
    """What is wrong with one entry, for as long as it is loaded or tries to be."""

    def __init__(self, hass: HomeAssistant, entry: MlflowConfigEntry) -> None:
        self._hass = hass
        self._entry = entry

    @callback
    def start(self) -> None:
        """Look again and again, until the entry is unloaded."""
        runtime = self._entry.runtime_data

        @callback
        def look_soon(_: datetime | None = None) -> None:
            self._entry.async_create_background_task(self._hass, self.look(), "mlflow issues")

        stops: list[CALLBACK_TYPE] = [
            runtime.gateway.async_add_listener(look_soon),
            async_track_time_interval(self._hass, look_soon, _INTERVAL),
        ]
        if runtime.tracking is not None:
            stops.append(runtime.tracking.async_add_listener(look_soon))
        for stop in (*stops, lambda: self._show([])):
            self._entry.async_on_unload(stop)
        look_soon()

    async def look(self) -> None:
        """Show all that is wrong now, and nothing else."""
        runtime, entry = self._entry.runtime_data, self._entry
        issues = [*_missing_endpoints(entry), *_missing_prompts(entry), *_refused_traces(entry)]
        for app, coordinator in (
            (CONF_GATEWAY, runtime.gateway),
            (CONF_TRACKING, runtime.tracking),
        ):
            if coordinator is not None and not coordinator.last_update_success:
                issues += await self._away(app, coordinator.last_exception)
        if entry.state is not ConfigEntryState.UNLOAD_IN_PROGRESS:
            self._show(issues)

    async def look_at_gateway(self, failure: BaseException | None) -> None:
        """Show why the entry cannot be set up; that is taken back when it is no longer tried."""
        self._show(issues := await self._away(CONF_GATEWAY, failure))

        @callback
        def state_changed() -> None:
            if self._entry.state is ConfigEntryState.NOT_LOADED:
                self._show([])
                stop()

        if issues:
            stop = self._entry.async_on_state_change(state_changed)

    async def _away(self, app: str, failure: BaseException | None) -> list[Issue]:
        """Return the issue of an app that does not answer, if it is one that the user can mend."""
        slug = self._entry.data[app].get(CONF_SLUG)
        error = failure.__cause__ if failure else None
        if slug is None or not isinstance(error, AppUnreachableError):
            return []
        from .supervisor import is_stopped  # noqa: PLC0415 - only where a Supervisor is

        placeholders = {"app": APP_NAMES[app]}
        severity = ir.IssueSeverity.ERROR if app == CONF_GATEWAY else ir.IssueSeverity.WARNING
        if isinstance(error, AppMissingError):
            store = "homeassistant://config/apps/available"
            return [Issue("app_missing", app, severity, placeholders, url=store)]
        if await is_stopped(self._hass, slug):
            data: dict[str, str | int | float | None] = {"slug": slug, "app": APP_NAMES[app]}
            url = app_url(self._entry, app)
            return [Issue("app_stopped", app, severity, placeholders, data, url=url)]
        return []

    @callback
    def _show(self, issues: list[Issue]) -> None:
        current = {issue.id for issue in issues}
        registry = ir.async_get(self._hass)
        subjects = (CONF_GATEWAY, CONF_TRACKING, *self._entry.subentries)
        for key in KEYS:
            for subject in subjects:
                if (issue_id := f"{key}_{subject}") not in current:
                    registry.async_delete(DOMAIN, issue_id)
        for issue in issues:
            issue.report(self._hass)


KEYS = (
    "app_missing",
    "app_stopped",
    "endpoint_gone",
    "prompt_missing",
    "database_full",
    "tracking_refuses",
)


@callback
def forget_all(hass: HomeAssistant) -> None:
    """Take back every issue: the entry is removed, and there is only one."""
    registry = ir.async_get(hass)
    for domain, issue_id in list(registry.issues):
        if domain == DOMAIN:
            registry.async_delete(domain, issue_id)


def _missing_endpoints(entry: MlflowConfigEntry) -> Iterator[Issue]:
    """Yield an issue per agent whose endpoint the Gateway no longer has."""
    gateway = entry.runtime_data.gateway
    if not gateway.last_update_success:
        return
    for subentry in entry.subentries.values():
        name = subentry.data.get(CONF_ENDPOINT)
        if name is not None and gateway.endpoint(name) is None:
            yield Issue(
                "endpoint_gone",
                subentry.subentry_id,
                ir.IssueSeverity.ERROR,
                {"agent": subentry.title, "endpoint": name},
                {"entry_id": entry.entry_id, "subentry_id": subentry.subentry_id},
                url=app_url(entry, CONF_GATEWAY),
            )


def _missing_prompts(entry: MlflowConfigEntry) -> Iterator[Issue]:
    """Yield an issue per agent whose prompt MLflow does not have."""
    missing = {str(reference) for reference in entry.runtime_data.prompts.missing}
    for subentry in entry.subentries.values():
        reference = subentry.data.get(CONF_PROMPT_REFERENCE)
        # where instructions are written in the form, the prompt is not used
        if reference in missing and not subentry.data.get(CONF_PROMPT):
            yield Issue(
                "prompt_missing",
                subentry.subentry_id,
                ir.IssueSeverity.WARNING,
                {"agent": subentry.title, "prompt": reference},
                {"entry_id": entry.entry_id, "subentry_id": subentry.subentry_id},
                url=app_url(entry, CONF_TRACKING),
            )


def _refused_traces(entry: MlflowConfigEntry) -> Iterator[Issue]:
    """Yield an issue while MLflow answers, but takes no trace."""
    traces = entry.runtime_data.traces
    if traces.refusal is None or traces.refusal.status < 500 or not traces.waiting:
        return
    message = str((traces.refusal.translation_placeholders or {}).get("message", ""))
    yield Issue(
        "database_full" if _FULL.search(message) else "tracking_refuses",
        CONF_TRACKING,
        ir.IssueSeverity.ERROR,
        {"message": message},
        url=app_url(entry, CONF_TRACKING),
    )
