"""Fields that several forms have: the endpoint and the prompt, with what there is to choose from."""

from contextlib import suppress

from homeassistant.helpers.selector import (
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)

from .const import DEFAULT_PROMPT_REFERENCE
from .coordinator import MlflowRuntime
from .errors import AppError
from .gateway import CHAT
from .tracking import PromptReference


def dropdown(options: list[str]) -> SelectSelector:
    """Offer these, and take anything else that is written."""
    return SelectSelector(
        SelectSelectorConfig(options=options, custom_value=True, mode=SelectSelectorMode.DROPDOWN)
    )


def number(least: float, most: float, step: float = 1) -> NumberSelector:
    """Take a number within limits, typed and not dragged."""
    return NumberSelector(
        NumberSelectorConfig(min=least, max=most, step=step, mode=NumberSelectorMode.BOX)
    )


async def endpoints_of(runtime: MlflowRuntime) -> list[str]:
    """Return the names of the Gateway's chat endpoints as they are now; raises AppError."""
    return [e.name for e in await runtime.gateway.client.endpoints() if e.type == CHAT]


async def prompts_of(runtime: MlflowRuntime) -> list[str]:
    """Return what can be chosen as a prompt; MLflow may be away, then what is known already."""
    known = {DEFAULT_PROMPT_REFERENCE, *runtime.prompts.versions}
    if runtime.tracking is not None:
        with suppress(AppError):
            known |= {str(reference) for reference in await runtime.tracking.client.prompts()}
    return sorted(known)


async def fault_of_prompt(reference: str, runtime: MlflowRuntime) -> str | None:
    """Return what is wrong with a prompt's reference, as the key of a sentence.

    Whether MLflow has the prompt is only known while it answers; else the reference is believed.
    """
    try:
        parsed = PromptReference.parse(reference)
    except ValueError:
        return "prompt_reference_invalid"
    if runtime.tracking is not None:
        with suppress(AppError):
            if await runtime.tracking.client.prompt(parsed) is None:
                return "prompt_unknown"
    return None
