"""The action that says what a reasoned state should have been."""

from typing import Any

import probatio
from homeassistant.const import ATTR_ENTITY_ID
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util

from .const import DOMAIN
from .coordinator import MlflowRuntime
from .feedback import async_user_name
from .reasoning.question import Answer
from .reasoning.settings import Kind, Settings
from .reasoning.state import ReasonedState
from .services import invalid, loaded_runtime

CORRECT_STATE = "correct_state"
_SCHEMA = probatio.Schema(
    {
        probatio.Required(ATTR_ENTITY_ID): cv.entity_id,
        probatio.Required("answer"): probatio.Any(bool, int, float, cv.string),
        probatio.Optional("since"): cv.datetime,
        probatio.Optional("comment"): cv.string,
    }
)
_YES = {"yes", "true", "on", "1"}
_NO = {"no", "false", "off", "0"}
_LONGEST_TEXT = 1000


@callback
def async_register_reasoned_actions(hass: HomeAssistant) -> None:
    """Register the action; it answers with an error while no entry is loaded."""
    hass.services.async_register(
        DOMAIN,
        CORRECT_STATE,
        _correct_state,
        _SCHEMA,
        supports_response=SupportsResponse.OPTIONAL,
    )


async def _correct_state(call: ServiceCall) -> ServiceResponse:
    runtime = loaded_runtime(call.hass)
    state = _state_of(call.hass, runtime, call.data[ATTR_ENTITY_ID])
    answer = answer_of(call.data["answer"], state.settings)
    since = call.data.get("since")
    if since is not None:
        since = dt_util.as_utc(since)
        if since > dt_util.utcnow():
            raise invalid("since_in_future")
    corrected = state.verdict
    await state.correct(
        answer,
        since=since,
        comment=call.data.get("comment"),
        source=await async_user_name(call.hass, call.context),
    )
    return {"answer": answer, "trace_id": corrected.trace_id if corrected else None}


def _state_of(hass: HomeAssistant, runtime: MlflowRuntime, entity_id: str) -> ReasonedState:
    """Return the state that an entity, any of its device, belongs to."""
    entity = er.async_get(hass).async_get(entity_id)
    state = runtime.reasoned.get(entity.config_subentry_id or "") if entity else None
    if state is None:
        raise invalid("not_a_reasoned_state", entity_id=entity_id)
    return state


def answer_of(given: Any, settings: Settings) -> Answer:
    """Read an answer as the state's kind wants it. Raises ServiceValidationError."""
    match settings.kind:
        case Kind.YES_NO:
            return _yes_or_no(given, settings)
        case Kind.CHOICE:
            return _choice(given, settings)
        case Kind.NUMBER:
            return _number(given, settings)
        case Kind.TEXT:
            text = str(given).strip()
            if not text or len(text) > _LONGEST_TEXT:
                raise invalid("answer_no_text", name=settings.name, limit=str(_LONGEST_TEXT))
            return text


def _yes_or_no(given: Any, settings: Settings) -> bool:
    word = str(given).strip().casefold()
    if word in _YES | _NO:
        return word in _YES
    raise invalid("answer_not_yes_no", name=settings.name, answer=str(given))


def _choice(given: Any, settings: Settings) -> str:
    names = [choice.name for choice in settings.choices]
    by_word = {name.casefold(): name for name in names}
    found = by_word.get(str(given).strip().casefold())
    if found is None:
        raise invalid(
            "answer_no_choice", name=settings.name, answer=str(given), choices=", ".join(names)
        )
    return found


def _number(given: Any, settings: Settings) -> float:
    low, high = settings.minimum, settings.maximum
    try:
        number = float("" if isinstance(given, bool) else given)
    except ValueError:
        raise _not_this_number(given, settings) from None
    # not a number is neither below nor above
    if not (number >= (number if low is None else low)) or not (
        number <= (number if high is None else high)
    ):
        raise _not_this_number(given, settings)
    return number


def _not_this_number(given: Any, settings: Settings) -> ServiceValidationError:
    bounds = ["-∞" if settings.minimum is None else f"{settings.minimum:g}"]
    bounds.append("∞" if settings.maximum is None else f"{settings.maximum:g}")
    return invalid(
        "answer_no_number",
        name=settings.name,
        answer=str(given),
        minimum=bounds[0],
        maximum=bounds[1],
    )
