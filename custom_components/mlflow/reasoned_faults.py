"""What is wrong with a step of a reasoned state's form, before anything is asked or saved.

Each check takes the data as it is kept and returns the keys of sentences by field; what a sentence
has to fill in stands in the second mapping.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from homeassistant.const import CONF_NAME
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er

from .const import CONF_ENDPOINT, CONF_PROMPT_REFERENCE
from .coordinator import MlflowRuntime
from .form_fields import fault_of_prompt
from .reasoned_fields import SECTION_WHEN
from .reasoning.selection import select
from .reasoning.settings import (
    CONF_AT_LEAST_EVERY,
    CONF_AT_MOST_EVERY,
    CONF_CHOICE,
    CONF_CHOICES,
    CONF_CONDITION,
    CONF_EVIDENCE,
    CONF_MAXIMUM,
    CONF_MINIMUM,
    CONF_QUESTION,
    Source,
)
from .templates import PromptRenderError, Renderer

type Faults = tuple[dict[str, str], dict[str, str]]


async def faults_of_question(
    data: Mapping[str, Any], runtime: MlflowRuntime, endpoints: list[str] | None
) -> Faults:
    """Look at what is asked; `endpoints` are the Gateway's, None while it is away."""
    errors: dict[str, str] = {}
    if not data[CONF_NAME]:
        errors[CONF_NAME] = "name_missing"
    if reference := data.get(CONF_PROMPT_REFERENCE):
        if fault := await fault_of_prompt(reference, runtime):
            errors[CONF_PROMPT_REFERENCE] = fault
    elif not data.get(CONF_QUESTION):
        errors[CONF_QUESTION] = "question_missing"
    endpoint = data.get(CONF_ENDPOINT, "")
    if not endpoint or (endpoints is not None and endpoint not in endpoints):
        errors[CONF_ENDPOINT] = "endpoint_gone"
    return errors, {"endpoint": endpoint}


@callback
def faults_of_choices(data: Mapping[str, Any]) -> Faults:
    """Look at the choices: two at least, and no two of the same name."""
    names = [str(item[CONF_CHOICE]).strip().casefold() for item in data.get(CONF_CHOICES, ())]
    if "" in names:
        return {CONF_CHOICES: "choice_blank"}, {}
    if len(names) < 2:
        return {CONF_CHOICES: "choices_too_few"}, {}
    twice = next((name for name in names if names.count(name) > 1), None)
    return ({CONF_CHOICES: "choice_twice"}, {"choice": twice}) if twice else ({}, {})


@callback
def faults_of_range(data: Mapping[str, Any]) -> Faults:
    """Look at the range of a number."""
    least, most = data.get(CONF_MINIMUM), data.get(CONF_MAXIMUM)
    if least is not None and most is not None and least >= most:
        return {CONF_MAXIMUM: "range_empty"}, {"minimum": f"{least:g}"}
    return {}, {}


@callback
def faults_of_evidence(hass: HomeAssistant, data: Mapping[str, Any]) -> Faults:
    """Look at the evidence: there is some, and each piece is about an entity that exists."""
    sources = [Source.of(item) for item in data.get(CONF_EVIDENCE, ())]
    if not sources:
        return {CONF_EVIDENCE: "evidence_missing"}, {}
    registry = er.async_get(hass)
    empty = [
        str(number)
        for number, source in enumerate(sources, 1)
        if not any(
            hass.states.get(entity_id) or registry.async_get(entity_id)
            for entity_id in select(hass, [source], None)
        )
    ]
    return ({CONF_EVIDENCE: "evidence_empty"}, {"items": ", ".join(empty)}) if empty else ({}, {})


@callback
def faults_of_thinking(hass: HomeAssistant, data: Mapping[str, Any]) -> Faults:
    """Look at when to think: the condition can be rendered, and the intervals fit."""
    errors: dict[str, str] = {}
    placeholders: dict[str, str] = {}
    if condition := data.get(CONF_CONDITION):
        try:
            Renderer(hass).render([condition], {})
        except PromptRenderError as error:
            errors[CONF_CONDITION] = "template_invalid"
            placeholders = {"line": str(error.line or "?"), "error": str(error)}
    least, most = (timedelta(**data[key]) for key in (CONF_AT_LEAST_EVERY, CONF_AT_MOST_EVERY))
    if timedelta() < least < most:
        errors[SECTION_WHEN] = "intervals_crossed"
    return errors, placeholders
