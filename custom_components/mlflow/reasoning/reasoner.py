"""One thought: evidence is gathered, the question worded, the model asked, and all of it traced."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from homeassistant.const import EVENT_HOMEASSISTANT_STARTED
from homeassistant.core import CALLBACK_TYPE, CoreState, HomeAssistant, callback
from homeassistant.util import dt as dt_util

from ..const import CONF_PROMPT_REFERENCE
from ..coordinator import GatewayCoordinator
from ..instructions import Instructions, InstructionSource
from ..prompts import PromptLibrary
from ..recorder import TraceRecorder
from ..tracing import Span, SpanType, Trace
from .asking import Asker, Book, Verdict
from .budget import Budget
from .evidence import Teller
from .history import look_back
from .marks import Mark, Marks, take_marks, take_times
from .memory import Memory
from .problems import ReasoningError
from .question import Example, Question, choices_of, said, word
from .recent import RecentPast
from .selection import Want, select
from .settings import Settings
from .words import now_words

MAX_AT_A_TIME = 2


@dataclass(slots=True)
class Means:
    """What all reasoned states of an entry think with.

    `thinking` is held by who thinks, so that only so many do at a time; `looking` by who looks at
    evidence, so that the event loop turns between two looks. `started` is when Home Assistant has
    started; None when that was before the entry was loaded.
    """

    hass: HomeAssistant
    gateway: GatewayCoordinator
    prompts: PromptLibrary
    recorder: TraceRecorder
    memory: Memory
    budget: Budget
    asker: Asker
    recent: RecentPast
    thinking: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_AT_A_TIME))
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    started: datetime | None = None

    @callback
    def note_start(self) -> CALLBACK_TYPE:
        """Note when Home Assistant will have started."""
        if self.hass.state is CoreState.running:
            return lambda: None

        @callback
        def started(_: object) -> None:
            self.started = dt_util.utcnow()

        return self.hass.bus.async_listen(EVENT_HOMEASSISTANT_STARTED, started)


@dataclass(frozen=True, slots=True)
class Thought:
    """A verdict with the evidence that it rests on: as text, and by its marks."""

    verdict: Verdict
    evidence: str
    marks: dict[str, Mark]
    times: dict[str, Mark]


class Reasoner:
    """Thinks for one state, or for a preview of what is not saved yet."""

    def __init__(
        self, means: Means, subentry_id: str, settings: Settings, *, is_preview: bool = False
    ) -> None:
        self._means = means
        self._hass = means.hass
        self._subentry_id = subentry_id
        self._settings = settings
        self._is_preview = is_preview
        self._instructions: InstructionSource | None = None
        self.wants: Mapping[str, Want] = {}
        if settings.prompt is not None:
            self._instructions = InstructionSource(
                means.hass,
                means.prompts,
                subentry_id,
                settings.name,
                {CONF_PROMPT_REFERENCE: str(settings.prompt)},
            )

    @callback
    def start(self) -> CALLBACK_TYPE:
        """Keep the prompt fresh from now on; call the result to end that."""
        source, reference = self._instructions, self._settings.prompt
        if source is None or reference is None:
            return lambda: None
        unwant = self._means.prompts.want(reference)

        @callback
        def stop() -> None:
            unwant()
            source.forget()

        return stop

    @callback
    def select(self) -> None:
        """Find the entities that are the evidence."""
        self.wants = select(self._hass, self._settings.sources, self._subentry_id)

    def marks(self) -> Marks:
        """Return the marks of the evidence as it is now."""
        return take_marks(self._hass, self.wants, self._basis())

    def times(self) -> dict[str, Mark]:
        """Return what time itself has changed."""
        return take_times(self._hass, self.wants, dt_util.utcnow())

    async def evidence(self) -> str:
        """Return the evidence as it is now, with what the recorder knows of the past."""
        now = dt_util.utcnow()
        if self._is_preview:  # nobody tells what happens to evidence that is not saved yet
            pasts = await look_back(self._hass, self.wants, now)
        else:
            pasts = await self._means.recent.look_back(self.wants, now)
        async with self._means.looking:
            return Teller(self._hass, now, self._means.started).tell(self.wants, pasts)

    async def think(
        self, examples: Sequence[Example], book: Book, begin: Callable[[], None]
    ) -> Thought:
        """Make up the model's mind; `begin` is called when the model is about to be called.

        Raises HomeAssistantError, whose sentence says why there is no verdict.
        """
        async with self._means.thinking:
            return await self._think(examples, book, begin)

    async def _think(
        self, examples: Sequence[Example], book: Book, begin: Callable[[], None]
    ) -> Thought:
        marks, times = self.marks(), self.times()
        evidence = await self.evidence()
        with self._means.recorder.recording(self._new_trace(evidence)) as trace:
            question = await self._question(evidence, examples)
            begin()
            verdict = await self._means.asker.ask(
                self._settings, question, self._known(), trace, book
            )
            trace.tags["entities"] = ", ".join(verdict.decided_by)
            trace.root.end(_told(verdict))
        return Thought(verdict, evidence, marks.values, times)

    async def _question(self, evidence: str, examples: Sequence[Example]) -> Question:
        settings = self._settings
        instructions: Instructions | None = None
        if self._instructions is not None:
            variables = {
                "question": settings.question,
                "evidence": evidence,
                "facts": settings.facts,
                "choices": choices_of(settings),
                "now": now_words(dt_util.utcnow()),
                "ha_name": self._hass.config.location_name,
                "language": self._hass.config.language,
            }
            instructions = await self._instructions.get(variables)
            if instructions.version is None:  # neither this version nor an earlier one is there
                raise ReasoningError("reasoned_prompt_missing", prompt=str(settings.prompt))
        return word(settings, evidence, examples, instructions, self._hass.config.language)

    def _known(self) -> dict[str, str]:
        """Return the entity ids of the evidence by what a model may call them."""
        known: dict[str, str] = {}
        for entity_id in self.wants:
            if state := self._hass.states.get(entity_id):
                known.setdefault(state.name.casefold(), entity_id)
        return known | {entity_id: entity_id for entity_id in self.wants}

    def _basis(self) -> str:
        """Return what an answer rests on besides the evidence, in short."""
        settings = self._settings
        prompt = self._means.prompts.get(settings.prompt) if settings.prompt else None
        basis = (
            *(settings.question, settings.facts, settings.endpoint, form_of(settings)),
            choices_of(settings),
            prompt.version if prompt else 0,
        )
        return hashlib.sha256(repr(basis).encode()).hexdigest()[:16]

    def _new_trace(self, evidence: str) -> Trace:
        name = self._settings.name
        inputs = {
            "question": self._settings.question or str(self._settings.prompt),
            "evidence": evidence,
        }
        tags = {"kind": "reasoned_state", "agent": name}
        if self._is_preview:
            tags["preview"] = "true"
        return Trace(root=Span(name, SpanType.AGENT, inputs), tags=tags)


def form_of(settings: Settings) -> str:
    """Return what kind of answer is given: one of another kind is none any more."""
    names = "|".join(choice.name for choice in settings.choices)
    return f"{settings.kind}:{names}"


def _told(verdict: Verdict) -> dict[str, object]:
    """Return a verdict as the outputs of its trace."""
    return {
        "answer": said(verdict.answer),
        "confidence": verdict.confidence,
        "measured": verdict.measured,
        "reason": verdict.reason,
        "decided_by": list(verdict.decided_by),
    }
