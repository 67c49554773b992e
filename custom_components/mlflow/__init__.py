"""MLflow for Home Assistant: agents whose prompts have versions and whose every call is traced."""

from types import MappingProxyType
from typing import Any

from homeassistant.config_entries import ConfigSubentry
from homeassistant.const import CONF_LLM_HASS_API, EVENT_HOMEASSISTANT_FINAL_WRITE
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryError, ConfigEntryNotReady
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import llm
from homeassistant.helpers.typing import ConfigType

from .connect import create_transport
from .const import (
    CONF_DEFAULT_AGENT_MADE,
    CONF_ENDPOINT,
    CONF_GATEWAY,
    CONF_HISTORY_TURNS,
    CONF_PROMPT_REFERENCE,
    CONF_TRACKING,
    CONF_WATCH_OTHERS,
    DEFAULT_HISTORY_TURNS,
    DEFAULT_PROMPT_REFERENCE,
    DOMAIN,
    PLATFORMS,
    SUBENTRY_AI_TASK,
    SUBENTRY_CONVERSATION,
)
from .coordinator import (
    GatewayCoordinator,
    MlflowConfigEntry,
    MlflowRuntime,
    TrackingCoordinator,
    UsageCoordinator,
)
from .errors import NoSupervisorError
from .finished import FinishedTurns
from .gateway import GatewayClient
from .issues import IssueWatch, forget_all
from .llm_api import MlflowAPI
from .other_agents import async_watch_other_agents
from .prompts import PromptLibrary
from .reasoned_actions import async_register_reasoned_actions
from .reasoning.corrections import Corrections
from .reasoning.memory import Memory
from .reasoning.states import ReasonedStates
from .recorder import TraceRecorder
from .services import async_register_actions
from .spool import TraceSpool
from .tracking import TrackingClient

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Register the actions, which are there whether or not an entry is loaded."""
    async_register_actions(hass)
    async_register_reasoned_actions(hass)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: MlflowConfigEntry) -> bool:
    """Set up the home: the Gateway must answer, MLflow may come later."""
    issues = IssueWatch(hass, entry)
    place = entry.data.get(CONF_TRACKING)
    try:
        gateway_transport = create_transport(hass, CONF_GATEWAY, entry.data[CONF_GATEWAY])
        transport = create_transport(hass, CONF_TRACKING, place) if place else None
    except NoSupervisorError as error:
        raise ConfigEntryError(
            translation_domain=error.translation_domain,
            translation_key=error.translation_key,
            translation_placeholders=error.translation_placeholders,
        ) from error
    gateway = GatewayCoordinator(hass, entry, GatewayClient(gateway_transport))
    try:
        await gateway.async_config_entry_first_refresh()
    except ConfigEntryNotReady:
        await issues.look_at_gateway(gateway.last_exception)
        raise
    _make_default_agent(hass, entry, gateway)

    client = TrackingClient(transport) if transport else None
    prompts = PromptLibrary(hass, entry.entry_id)
    await prompts.load()
    traces = TraceSpool(hass, entry.entry_id, client)
    await traces.load()
    tracking = TrackingCoordinator(hass, entry, client, prompts, traces) if client else None
    recorder = TraceRecorder(traces, entry.options)
    usage = UsageCoordinator(hass, entry, gateway.client)
    reasoned = ReasonedStates(hass, entry, gateway, prompts, recorder)
    await reasoned.load()
    entry.runtime_data = MlflowRuntime(
        gateway, tracking, prompts, traces, recorder, usage, reasoned
    )
    entry.async_on_unload(recorder.listen(FinishedTurns(hass, entry).announce))

    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    # before the first look at MLflow: it wants prompts
    reasoned.start(Corrections(entry).record)
    if tracking is not None:
        _watch_tracking(hass, entry, tracking, traces)
    else:
        prompts.expect_nothing()
    issues.start()

    @callback
    def endpoints_changed() -> None:
        _make_default_agent(hass, entry, gateway)

    entry.async_on_unload(gateway.async_add_listener(endpoints_changed))
    if entry.options.get(CONF_WATCH_OTHERS):
        async_watch_other_agents(hass, entry)
    entry.async_on_unload(llm.async_register_api(hass, MlflowAPI(hass, entry)))
    settings = _settings_of(entry)

    async def entry_changed(hass: HomeAssistant, entry: MlflowConfigEntry) -> None:
        if _settings_of(entry) != settings:
            hass.config_entries.async_schedule_reload(entry.entry_id)

    entry.async_on_unload(entry.add_update_listener(entry_changed))
    return True


async def async_unload_entry(hass: HomeAssistant, entry: MlflowConfigEntry) -> bool:
    """Unload the agents, and put on disk what is still only in memory."""
    unloaded = await hass.config_entries.async_unload_platforms(entry, PLATFORMS)
    if unloaded:
        await entry.runtime_data.reasoned.stop()
        await entry.runtime_data.traces.flush()
        await entry.runtime_data.prompts.flush()
    return unloaded


async def async_remove_entry(hass: HomeAssistant, entry: MlflowConfigEntry) -> None:
    """Remove what the entry keeps on disk."""
    await PromptLibrary(hass, entry.entry_id).forget()
    await TraceSpool(hass, entry.entry_id, None).forget()
    await Memory(hass, entry.entry_id).forget()
    forget_all(hass)


def _watch_tracking(
    hass: HomeAssistant,
    entry: MlflowConfigEntry,
    tracking: TrackingCoordinator,
    traces: TraceSpool,
) -> None:
    """Keep prompts and traces going in the background; set-up does not wait for MLflow."""
    entry.async_on_unload(tracking.async_add_listener(lambda: None))
    entry.async_create_background_task(hass, tracking.async_refresh(), "mlflow first look")
    entry.async_create_background_task(hass, traces.run(), "mlflow trace spool")

    async def flush(event: Event) -> None:
        await traces.flush()

    entry.async_on_unload(hass.bus.async_listen_once(EVENT_HOMEASSISTANT_FINAL_WRITE, flush))


def _settings_of(entry: MlflowConfigEntry) -> tuple[Any, ...]:
    """Return what the entry was set up from; a note to ourselves in it is no reason to reload."""
    data = {key: value for key, value in entry.data.items() if key != CONF_DEFAULT_AGENT_MADE}
    agents = {
        key: (subentry.title, dict(subentry.data)) for key, subentry in entry.subentries.items()
    }
    return data, dict(entry.options), agents


@callback
def _make_default_agent(
    hass: HomeAssistant, entry: MlflowConfigEntry, gateway: GatewayCoordinator
) -> None:
    """Give a new home its first agent and AI task, as soon as there is an endpoint; once only."""
    if entry.data.get(CONF_DEFAULT_AGENT_MADE) or not gateway.chat_endpoints:
        return
    hass.config_entries.async_update_entry(
        entry, data={**entry.data, CONF_DEFAULT_AGENT_MADE: True}
    )
    if entry.subentries:
        return
    endpoint = gateway.chat_endpoints[0].name
    agent: dict[str, Any] = {
        CONF_ENDPOINT: endpoint,
        CONF_PROMPT_REFERENCE: DEFAULT_PROMPT_REFERENCE,
        CONF_LLM_HASS_API: [llm.LLM_API_ASSIST],
        CONF_HISTORY_TURNS: DEFAULT_HISTORY_TURNS,
    }
    for kind, title, data in (
        (SUBENTRY_CONVERSATION, "MLflow", agent),
        (SUBENTRY_AI_TASK, "MLflow AI Task", {CONF_ENDPOINT: endpoint}),
    ):
        subentry = ConfigSubentry(
            data=MappingProxyType(data), subentry_type=kind, title=title, unique_id=None
        )
        hass.config_entries.async_add_subentry(entry, subentry)
