"""AI tasks: data in a given form, and evaluations where Home Assistant has them (2026.11)."""

import asyncio
from typing import TYPE_CHECKING, Any, override

from homeassistant.components import ai_task, conversation
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .attachments import async_read_attachments
from .chat import ChatSettings, ToolLoop
from .const import DOMAIN, SUBENTRY_AI_TASK
from .coordinator import MlflowConfigEntry
from .encoding import to_json
from .entity import MlflowEntity
from .evaluation import Measure, Question
from .messages import Telling
from .structure import WrongAnswerError, read_answer, response_format
from .tracing import Span, SpanType, Trace

if TYPE_CHECKING:
    from homeassistant.components.ai_task import EvaluationTask, EvaluationTaskResult

PARALLEL_UPDATES = 0

_CAN_EVALUATE = hasattr(ai_task.AITaskEntityFeature, "EVALUATE")


async def async_setup_entry(
    hass: HomeAssistant,
    entry: MlflowConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Make the AI task entities of all subentries."""
    for subentry in entry.get_subentries_of_type(SUBENTRY_AI_TASK):
        async_add_entities(
            [MlflowAITaskEntity(entry, subentry)], config_subentry_id=subentry.subentry_id
        )


class MlflowAITaskEntity(MlflowEntity, ai_task.AITaskEntity):
    """Does tasks with one endpoint."""

    _attr_translation_key = "ai_task"
    _attr_supported_features = (
        ai_task.AITaskEntityFeature.GENERATE_DATA | ai_task.AITaskEntityFeature.SUPPORT_ATTACHMENTS
    )
    if _CAN_EVALUATE:
        _attr_supported_features |= ai_task.AITaskEntityFeature.EVALUATE

    def __init__(self, entry: MlflowConfigEntry, subentry: ConfigSubentry) -> None:
        super().__init__(entry, subentry)
        self._settings = ChatSettings.of(subentry.data)

    @override
    async def _async_generate_data(
        self, task: ai_task.GenDataTask, chat_log: conversation.ChatLog
    ) -> ai_task.GenDataTaskResult:
        inputs = {"task": task.name, "instructions": task.instructions}
        with self.runtime.recorder.recording(
            self._new_trace(task.name, inputs, chat_log.conversation_id)
        ) as trace:
            data = await self._generate(task, chat_log, trace)
            trace.root.end(data)
        return ai_task.GenDataTaskResult(conversation_id=chat_log.conversation_id, data=data)

    async def _generate(
        self, task: ai_task.GenDataTask, chat_log: conversation.ChatLog, trace: Trace
    ) -> Any:
        """Return what the model made; one that strays from the structure gets a second try."""
        loop = ToolLoop(
            client=self.runtime.gateway.client,
            chat_log=chat_log,
            agent_id=self.entity_id,
            settings=self._settings,
            telling=Telling(
                turns=1, files=await async_read_attachments(self.hass, chat_log.content)
            ),
            trace=trace,
        )
        if task.structure is None:
            await loop.run()
            return _answer_in(chat_log)
        loop.response_format = response_format(task.name, task.structure, chat_log.llm_api)
        await loop.run()
        try:
            return read_answer(_answer_in(chat_log), task.structure)
        except WrongAnswerError as error:
            chat_log.async_add_user_content(
                conversation.UserContent(
                    f"This answer does not have the form that was asked for: {error}. "
                    "Answer again, with all of the data."
                )
            )
        await loop.run()
        try:
            return read_answer(_answer_in(chat_log), task.structure)
        except WrongAnswerError as error:
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key="wrong_structure",
                translation_placeholders={"reason": str(error)},
            ) from error

    async def _async_evaluate(self, task: EvaluationTask) -> EvaluationTaskResult:
        inputs = {"task": task.name, "state": task.state, "questions": task.questions}
        with self.runtime.recorder.recording(self._new_trace(task.name, inputs, None)) as trace:
            measure = Measure(
                client=self.runtime.gateway.client,
                endpoint=self._settings.endpoint,
                evidence=await self._evidence_of(task),
                trace=trace,
            )
            try:
                async with asyncio.TaskGroup() as group:
                    asked = {
                        key: group.create_task(_answer(measure, question))
                        for key, question in task.questions.items()
                    }
            except ExceptionGroup as errors:
                raise errors.exceptions[0] from None  # the others were cancelled by it
            result = ai_task.EvaluationTaskResult(
                answers={key: answered.result() for key, answered in asked.items()}
            )
            trace.root.end(result.as_dict())
        return result

    async def _evidence_of(self, task: EvaluationTask) -> str | list[dict[str, Any]]:
        """Return what a task is about as the content of a message: text, pictures, or both."""
        text = task.state if isinstance(task.state, str) else to_json(task.state)
        if not task.attachments:
            return text
        shown = conversation.UserContent("", attachments=task.attachments)
        files = await async_read_attachments(self.hass, [shown])
        parts = [] if task.state is None else [{"type": "text", "text": text}]
        return [*parts, *files.values()]

    def _new_trace(self, name: str, inputs: dict[str, Any], session: str | None) -> Trace:
        return Trace(
            root=Span(name, SpanType.AGENT, inputs),
            session=session,
            tags={"agent": self.subentry.title, "kind": "ai_task"},
            found_by={"agent": self.entity_id},
        )


async def _answer(
    measure: Measure, question: Any
) -> ai_task.NoulAnswer | ai_task.ChoiceAnswer | ai_task.ScoreAnswer:
    """Answer one question of an evaluation in the form of its type."""
    text = question["instructions"]
    match question["type"]:
        case "noul":
            yes_no = (("yes", "it is so"), ("no", "it is not so"))
            shares = await measure.probabilities(Question(text, yes_no))
            return ai_task.NoulAnswer(noul=shares["yes"])
        case "choice":
            shares = await measure.probabilities(
                Question(text, tuple(question["criteria"].items()))
            )
            return ai_task.ChoiceAnswer(
                choice=max(shares, key=lambda name: shares[name]), probabilities=shares
            )
    levels = tuple((str(i), meaning) for i, meaning in enumerate(question["criteria"]))
    shares = await measure.probabilities(Question(text, levels))
    probabilities = list(shares.values())
    score = sum(level * share for level, share in enumerate(probabilities))
    return ai_task.ScoreAnswer(score=score, probabilities=probabilities)


def _answer_in(chat_log: conversation.ChatLog) -> str:
    last = chat_log.content[-1]
    return (last.content or "") if isinstance(last, conversation.AssistantContent) else ""
