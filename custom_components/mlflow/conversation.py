"""The conversation agents of the home, one per subentry."""

from dataclasses import dataclass
from typing import Any, Literal, override

from homeassistant.components import conversation
from homeassistant.config_entries import ConfigSubentry
from homeassistant.const import CONF_LLM_HASS_API, MATCH_ALL
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import intent, llm
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .attachments import async_read_attachments
from .chat import ChatSettings, ToolLoop
from .circumstances import Circumstances, circumstances_of
from .const import (
    CONF_HISTORY_TOKENS,
    CONF_HISTORY_TURNS,
    DEFAULT_HISTORY_TURNS,
    DOMAIN,
    SUBENTRY_CONVERSATION,
)
from .coordinator import MlflowConfigEntry
from .entity import MlflowEntity
from .instructions import InstructionSource
from .localize import async_localize
from .messages import Telling
from .templates import as_template
from .tracing import Span, SpanType, Trace

PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant,
    entry: MlflowConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Make the agents of all subentries."""
    for subentry in entry.get_subentries_of_type(SUBENTRY_CONVERSATION):
        async_add_entities(
            [MlflowConversationEntity(hass, entry, subentry)],
            config_subentry_id=subentry.subentry_id,
        )


@dataclass(frozen=True, slots=True)
class _Turn:
    """What the user said, where, and the log it goes into."""

    user_input: conversation.ConversationInput
    chat_log: conversation.ChatLog
    user_name: str | None
    circumstances: Circumstances


class MlflowConversationEntity(MlflowEntity, conversation.ConversationEntity):
    """An agent: a prompt, an endpoint and what it may control.

    It stays available when the Gateway is away, because it can still say so.
    """

    _attr_supports_streaming = True
    _attr_translation_key = "agent"

    def __init__(
        self, hass: HomeAssistant, entry: MlflowConfigEntry, subentry: ConfigSubentry
    ) -> None:
        super().__init__(entry, subentry)
        options = subentry.data
        self._settings = ChatSettings.of(options)
        self._turns = int(options.get(CONF_HISTORY_TURNS, DEFAULT_HISTORY_TURNS))
        self._tokens = int(options.get(CONF_HISTORY_TOKENS, 0))
        self._instructions = InstructionSource(
            hass, self.runtime.prompts, subentry.subentry_id, subentry.title, options
        )
        if options.get(CONF_LLM_HASS_API):
            self._attr_supported_features = conversation.ConversationEntityFeature.CONTROL

    @property
    @override
    def supported_languages(self) -> list[str] | Literal["*"]:
        return MATCH_ALL

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        self.async_on_remove(self._instructions.forget)
        if self._instructions.reference is not None:
            self.async_on_remove(self.runtime.prompts.want(self._instructions.reference))

    @override
    async def _async_handle_message(
        self,
        user_input: conversation.ConversationInput,
        chat_log: conversation.ChatLog,
    ) -> conversation.ConversationResult:
        user_id = user_input.context.user_id
        user = await self.hass.auth.async_get_user(user_id) if user_id else None
        turn = _Turn(
            user_input=user_input,
            chat_log=chat_log,
            user_name=user.name if user else None,
            circumstances=circumstances_of(self.hass, user_input.device_id),
        )
        with self.runtime.recorder.recording(self._begin_trace(turn)) as trace:
            result = await self._answer(turn, trace)
            spoken = _speech_of(result)
            failed = result.response.response_type is intent.IntentResponseType.ERROR
            trace.root.end(_said("assistant", spoken), error=spoken if failed else None)
        return result

    async def _answer(self, turn: _Turn, trace: Trace) -> conversation.ConversationResult:
        user_input, chat_log = turn.user_input, turn.chat_log
        llm_context = user_input.as_llm_context(DOMAIN)
        instructions = await self._instructions.get(
            {
                "ha_name": self.hass.config.location_name,
                "user_name": turn.user_name,
                "language": user_input.language,
                "device": turn.circumstances.device,
                "area": turn.circumstances.area,
                "llm_context": llm_context,
            }
        )
        trace.prompt = instructions.version
        try:
            await chat_log.async_provide_llm_data(
                llm_context,
                self._apis(),
                as_template(instructions.system),
                user_input.extra_system_prompt,
            )
            telling = Telling(
                turns=self._turns,
                tokens=self._tokens,
                examples=instructions.examples,
                circumstances=turn.circumstances,
                files=await async_read_attachments(self.hass, chat_log.content),
            )
            loop = ToolLoop(
                client=self.runtime.gateway.client,
                chat_log=chat_log,
                agent_id=self.entity_id,
                settings=self._settings.over(instructions.settings),
                telling=telling,
                trace=trace,
            )
            await loop.run()
        except conversation.ConverseError as error:
            return error.as_conversation_result()
        except HomeAssistantError as error:
            return await self._say_error(user_input, chat_log, error)
        return conversation.async_get_result_from_chat_log(user_input, chat_log)

    def _apis(self) -> list[str]:
        """Return the chosen LLM APIs, without those that no longer exist."""
        existing = {api.id for api in llm.async_get_apis(self.hass)}
        return [api for api in self.subentry.data.get(CONF_LLM_HASS_API, []) if api in existing]

    def _pipeline(self, language: str) -> str:
        """Return the pipeline that leads to this agent; nothing when it may be one of several."""
        if "assist_pipeline" not in self.hass.config.components:
            return ""
        from homeassistant.components import assist_pipeline  # noqa: PLC0415 - only when in use

        names = [
            pipeline.name
            for pipeline in assist_pipeline.async_get_pipelines(self.hass)
            if pipeline.conversation_engine == self.entity_id
            and pipeline.conversation_language in (language, MATCH_ALL)
        ]
        return names[0] if len(names) == 1 else ""

    def _begin_trace(self, turn: _Turn) -> Trace:
        text = turn.user_input.text
        return Trace(
            root=Span(self.subentry.title, SpanType.AGENT, _said("user", text)),
            session=turn.chat_log.conversation_id,
            user=turn.user_name,
            tags={
                "agent": self.subentry.title,
                "language": turn.user_input.language,
                "device": turn.circumstances.device or "",
                "area": turn.circumstances.area or "",
                "pipeline": self._pipeline(turn.user_input.language),
            },
            found_by={
                "session": turn.chat_log.conversation_id,
                "agent": self.entity_id,
                "device_id": turn.user_input.device_id or "",
            },
        )

    async def _say_error(
        self,
        user_input: conversation.ConversationInput,
        chat_log: conversation.ChatLog,
        error: HomeAssistantError,
    ) -> conversation.ConversationResult:
        """Answer with what is wrong, in the user's language."""
        sentence = await async_localize(self.hass, user_input.language, error)
        chat_log.async_add_assistant_content_without_tools(
            conversation.AssistantContent(agent_id=self.entity_id, content=sentence)
        )
        response = intent.IntentResponse(language=user_input.language)
        response.async_set_error(intent.IntentResponseErrorCode.FAILED_TO_HANDLE, sentence)
        return conversation.ConversationResult(
            response=response, conversation_id=chat_log.conversation_id
        )


def _speech_of(result: conversation.ConversationResult) -> str:
    return str(result.response.speech.get("plain", {}).get("speech", ""))


def _said(role: str, text: str) -> dict[str, Any]:
    """Give a text the form in which MLflow shows it as a message."""
    return {"messages": [{"role": role, "content": text}]}
