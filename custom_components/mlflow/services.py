"""The actions of the integration, all with a response."""

from collections.abc import Callable, Coroutine
from typing import Any

import probatio
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import ATTR_DEVICE_ID, ATTR_ENTITY_ID
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv

from .const import CONF_ENDPOINT, DOMAIN, EXPERIMENT_NAME, STARTER_ALIAS
from .coordinator import MlflowConfigEntry, MlflowRuntime
from .feedback import VERDICT, Feedback, async_user_name, last_trace
from .model_call import ask
from .templates import PromptRenderError, Renderer
from .tracing import Span, SpanType, Trace
from .tracking import Message, PromptReference, TrackingClient

_PROMPT = probatio.Exclusive("prompt", "what")
_TEXT = probatio.Exclusive("text", "what")
_WHAT = {_PROMPT: cv.string, _TEXT: cv.string, probatio.Optional("variables", default={}): dict}
_VERDICT = probatio.Any(bool, int, float, cv.string)

SCHEMAS = {
    "log_feedback": probatio.Schema(
        {
            probatio.Optional("trace_id"): cv.string,
            probatio.Optional(ATTR_DEVICE_ID): cv.string,
            probatio.Optional(ATTR_ENTITY_ID): cv.entity_id,
            probatio.Optional("conversation_id"): cv.string,
            probatio.Optional("name", default=VERDICT): cv.string,
            probatio.Optional("value"): _VERDICT,
            probatio.Optional("comment"): cv.string,
            probatio.Optional("expectation"): object,
        }
    ),
    "generate": probatio.Schema({probatio.Required(CONF_ENDPOINT): cv.string, **_WHAT}),
    "render_prompt": probatio.Schema(_WHAT),
    "set_prompt_alias": probatio.Schema(
        {
            probatio.Required("name"): cv.string,
            probatio.Required("version"): cv.positive_int,
            probatio.Optional("alias", default=STARTER_ALIAS): cv.string,
        }
    ),
    "create_prompt_version": probatio.Schema(
        {
            probatio.Required("name"): cv.string,
            probatio.Required("text"): cv.string,
            probatio.Optional("description", default=""): cv.string,
            probatio.Optional("alias"): cv.string,
        }
    ),
    "promptlab_run_to_prompt": probatio.Schema(
        {
            probatio.Required("run_id"): cv.string,
            probatio.Required("name"): cv.string,
            probatio.Optional("alias"): cv.string,
        }
    ),
}


@callback
def async_register_actions(hass: HomeAssistant) -> None:
    """Register all actions; each answers with an error while no entry is loaded."""
    handlers: dict[str, Callable[[ServiceCall], Coroutine[Any, Any, ServiceResponse]]] = {
        "log_feedback": _log_feedback,
        "generate": _generate,
        "render_prompt": _render_prompt,
        "set_prompt_alias": _set_prompt_alias,
        "create_prompt_version": _create_prompt_version,
        "promptlab_run_to_prompt": _promptlab_run_to_prompt,
    }
    for name, handler in handlers.items():
        hass.services.async_register(
            DOMAIN, name, handler, SCHEMAS[name], supports_response=SupportsResponse.OPTIONAL
        )


async def _log_feedback(call: ServiceCall) -> ServiceResponse:
    runtime = loaded_runtime(call.hass)
    _tracking(runtime)
    data = call.data
    if "value" not in data and "expectation" not in data:
        raise invalid("feedback_empty")
    trace_id = data.get("trace_id") or last_trace(
        runtime.recorder,
        session=data.get("conversation_id"),
        device_id=data.get(ATTR_DEVICE_ID),
        agent=data.get(ATTR_ENTITY_ID),
    )
    if trace_id is None:
        raise invalid("no_answer_yet")
    feedback = Feedback(
        value=data.get("value"),
        comment=data.get("comment"),
        expectation=data.get("expectation"),
        name=data["name"],
        source=await async_user_name(call.hass, call.context),
    )
    feedback.put(runtime.traces, trace_id)
    return {"trace_id": trace_id}


async def _generate(call: ServiceCall) -> ServiceResponse:
    runtime = loaded_runtime(call.hass)
    messages, version = await _rendered(call, runtime)
    request = {"model": call.data[CONF_ENDPOINT], "messages": messages}
    trace = Trace(
        root=Span("mlflow.generate", SpanType.AGENT, {"messages": messages}),
        prompt=version,
        tags={"kind": "action"},
    )
    with runtime.recorder.recording(trace):
        completion, _ = await ask(runtime.gateway.client, request, trace)
        text = str(completion["choices"][0]["message"].get("content") or "")
        trace.root.end(text)
    return {
        "text": text,
        "model": completion.get("model"),
        "usage": completion.get("usage"),
        "cost": trace.cost,
        "trace_id": trace.mlflow_id,
    }


async def _render_prompt(call: ServiceCall) -> ServiceResponse:
    messages, version = await _rendered(call, loaded_runtime(call.hass))
    return {"messages": messages, "version": version[1] if version else None}


async def _set_prompt_alias(call: ServiceCall) -> ServiceResponse:
    client = _tracking(loaded_runtime(call.hass))
    name, alias, version = (call.data[key] for key in ("name", "alias", "version"))
    if await client.prompt(PromptReference(name, version=version)) is None:
        raise invalid("prompt_unknown", prompt=f"{name}/{version}")
    await client.set_alias(name, alias, version)
    return {"name": name, "alias": alias, "version": version}


async def _create_prompt_version(call: ServiceCall) -> ServiceResponse:
    return await _new_version(
        _tracking(loaded_runtime(call.hass)),
        call.data["name"],
        call.data["text"],
        call.data["description"],
        call.data.get("alias"),
    )


async def _promptlab_run_to_prompt(call: ServiceCall) -> ServiceResponse:
    client = _tracking(loaded_runtime(call.hass))
    run_id = call.data["run_id"]
    template = await client.promptlab_template(run_id)
    if template is None:
        raise invalid("not_a_promptlab_run", run_id=run_id)
    description = f"From PromptLab run {run_id}"
    return await _new_version(
        client, call.data["name"], template, description, call.data.get("alias")
    )


async def _new_version(
    client: TrackingClient, name: str, text: str, description: str, alias: str | None
) -> ServiceResponse:
    await client.create_prompt(name, await client.experiment_id(EXPERIMENT_NAME))
    version = await client.create_prompt_version(name, text, description)
    if alias:
        await client.set_alias(name, alias, version)
    return {"name": name, "version": version, "alias": alias}


async def _rendered(
    call: ServiceCall, runtime: MlflowRuntime
) -> tuple[list[Any], tuple[str, int] | None]:
    """Return the messages of the prompt or text that a call names, and the prompt's version."""
    version = None
    messages: tuple[Message, ...]
    if text := call.data.get("text"):
        messages = (Message("user", text),)
    elif reference := call.data.get("prompt"):
        try:
            found = await _tracking(runtime).prompt(PromptReference.parse(reference))
        except ValueError as error:
            raise invalid("prompt_unknown", prompt=reference) from error
        if found is None:
            raise invalid("prompt_unknown", prompt=reference)
        messages, version = found.messages, (found.name, found.version)
    else:
        raise invalid("nothing_to_say")
    variables = {
        "ha_name": call.hass.config.location_name,
        "user_name": None,
        "language": call.hass.config.language,
        "device": None,
        "area": None,
        "llm_context": None,
        **call.data["variables"],
    }
    try:
        texts = Renderer(call.hass).render([m.content for m in messages], variables)
    except PromptRenderError as error:
        raise invalid("render_failed", line=str(error.line or "?"), error=str(error)) from error
    roles = [message.role for message in messages]
    return [{"role": r, "content": t} for r, t in zip(roles, texts, strict=True)], version


def loaded_runtime(hass: HomeAssistant) -> MlflowRuntime:
    """Return what the loaded entry has. Raises ServiceValidationError when none is loaded."""
    entries: list[MlflowConfigEntry] = hass.config_entries.async_entries(DOMAIN)
    for entry in entries:
        if entry.state is ConfigEntryState.LOADED:
            return entry.runtime_data
    raise invalid("not_loaded")


def _tracking(runtime: MlflowRuntime) -> TrackingClient:
    if runtime.tracking is None:
        raise invalid("no_tracking")
    return runtime.tracking.client


def invalid(key: str, **placeholders: str) -> ServiceValidationError:
    """Return the error of an action that was asked for something that cannot be."""
    return ServiceValidationError(
        translation_domain=DOMAIN, translation_key=key, translation_placeholders=placeholders
    )
