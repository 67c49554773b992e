"""One real call before a reasoned state is saved, and how the form tells of it."""

from collections.abc import Mapping
from contextlib import ExitStack

from homeassistant.core import HomeAssistant

from .coordinator import MlflowRuntime
from .reasoning.settings import Settings
from .reasoning.state import Preview, preview

# A form is no place to read more; the trace in MLflow has it whole.
_LONGEST_EVIDENCE = 6000


async def async_preview(hass: HomeAssistant, runtime: MlflowRuntime, settings: Settings) -> Preview:
    """Ask once; a prompt that nothing used so far is fetched before. Raises HomeAssistantError."""
    with ExitStack() as stack:
        reference = settings.prompt
        if reference and runtime.tracking and runtime.prompts.get(reference) is None:
            stack.callback(runtime.prompts.want(reference))
            await runtime.tracking.async_refresh()
        return await preview(hass, runtime, settings)


def told(
    hass: HomeAssistant, settings: Settings, seen: Preview, texts: Mapping[str, str]
) -> dict[str, str]:
    """Return what the form's sentences fill in; `texts` are our common ones by key."""
    verdict = seen.verdict
    decided_by = [
        state.name if (state := hass.states.get(entity_id)) else entity_id
        for entity_id in verdict.decided_by
    ]
    sure = texts["preview_measured" if verdict.measured else "preview_stated"]
    if verdict.confidence < settings.threshold:
        sure += "\n\n" + texts["preview_unsure"].format(threshold=f"{settings.threshold:.0%}")
    cost = f"{verdict.cost:.6f}".rstrip("0").rstrip(".") if verdict.cost is not None else None
    return {
        "answer": _answer(settings, seen, texts),
        "confidence": f"{verdict.confidence:.0%}",
        "sure": sure,
        "reason": _plain(verdict.reason) or "-",
        "decided_by": ", ".join(map(_plain, decided_by)) or texts["preview_nothing"],
        "tokens": str(verdict.tokens),
        "cost": f"{cost} US$" if cost else texts["preview_no_cost"],
        "seconds": f"{seen.seconds:.1f}",
        "model": _plain(verdict.model or settings.endpoint),
        "evidence": _folded(seen.evidence, texts),
    }


def _answer(settings: Settings, seen: Preview, texts: Mapping[str, str]) -> str:
    answer = seen.verdict.answer
    if isinstance(answer, bool):
        return texts["answer_yes" if answer else "answer_no"]
    if isinstance(answer, str):
        return _plain(answer)
    return f"{answer:g} {settings.unit or ''}".strip()


def _plain(text: str) -> str:
    """Keep what a model or a user wrote from being read as Markdown."""
    return "".join(f"\\{letter}" if letter in r"\`*_[]<>#|~" else letter for letter in text)


def _folded(evidence: str, texts: Mapping[str, str]) -> str:
    """Show the evidence below a line that opens it; its lines wrap, as code would not on a phone."""
    if len(evidence) > _LONGEST_EVIDENCE:
        evidence = f"{evidence[:_LONGEST_EVIDENCE]}\n{texts['preview_cut']}"
    lines = [
        f"- {_plain(line[2:])}" if line.startswith("- ") else f"\n{_plain(line)}\n"
        for line in evidence.splitlines()
    ]
    summary = texts["preview_evidence"]
    return "\n".join(("<details>", f"<summary>{summary}</summary>", "", *lines, "", "</details>"))
