"""The conversation agents of the home, one per subentry."""

from typing import Any, Literal, override

from homeassistant.components import conversation
from homeassistant.config_entries import ConfigSubentry
from homeassistant.const import CONF_LLM_HASS_API, CONF_PROMPT, MATCH_ALL
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import intent, llm
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .chat import ChatSettings, ToolLoop
from .const import CONF_PROMPT_REFERENCE, DOMAIN, LOGGER, STARTER_TEXT, SUBENTRY_CONVERSATION
from .coordinator import MlflowConfigEntry
from .entity import MlflowEntity
from .localize import async_localize
from .tracing import Span, SpanType, Trace
from .tracking import PromptReference

PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant,
    entry: MlflowConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Make the agents of all subentries."""
    for subentry in entry.get_subentries_of_type(SUBENTRY_CONVERSATION):
        async_add_entities(
            [MlflowConversationEntity(entry, subentry)], config_subentry_id=subentry.subentry_id
        )


class MlflowConversationEntity(MlflowEntity, conversation.ConversationEntity):
    """An agent: a prompt, an endpoint and what it may control.

    It stays available when the Gateway is away, because it can still say so.
    """

    _attr_supports_streaming = True
    _attr_translation_key = "agent"

    def __init__(self, entry: MlflowConfigEntry, subentry: ConfigSubentry) -> None:
        super().__init__(entry, subentry)
        self._settings = ChatSettings.of(subentry.data)
        self._text: str = subentry.data.get(CONF_PROMPT, "")
        self._reference: PromptReference | None = None
        if not self._text:
            self._reference = PromptReference.parse(subentry.data[CONF_PROMPT_REFERENCE])
        if subentry.data.get(CONF_LLM_HASS_API):
            self._attr_supported_features = conversation.ConversationEntityFeature.CONTROL

    @property
    @override
    def supported_languages(self) -> list[str] | Literal["*"]:
        return MATCH_ALL

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        if self._reference is not None:
            self.async_on_remove(self.runtime.prompts.want(self._reference))

    @override
    async def _async_handle_message(
        self,
        user_input: conversation.ConversationInput,
        chat_log: conversation.ChatLog,
    ) -> conversation.ConversationResult:
        trace = await self._begin_trace(user_input, chat_log)
        error: str | None = None
        try:
            result = await self._answer(user_input, chat_log, trace)
            if result.response.response_type is intent.IntentResponseType.ERROR:
                error = _speech_of(result)
        except BaseException as raised:
            trace.root.end(error=str(raised) or type(raised).__name__)
            raise
        else:
            trace.root.end(_said("assistant", _speech_of(result)), error=error)
        finally:
            trace.tags["error"] = trace.root.error or ""
            self.runtime.traces.put(trace)
        return result

    async def _answer(
        self,
        user_input: conversation.ConversationInput,
        chat_log: conversation.ChatLog,
        trace: Trace,
    ) -> conversation.ConversationResult:
        try:
            await chat_log.async_provide_llm_data(
                user_input.as_llm_context(DOMAIN),
                self._apis(),
                await self._prompt(trace),
                user_input.extra_system_prompt,
            )
        except conversation.ConverseError as error:
            return error.as_conversation_result()
        gateway = self.runtime.gateway
        loop = ToolLoop(
            client=gateway.client,
            chat_log=chat_log,
            agent_id=self.entity_id,
            settings=self._settings,
            endpoint=gateway.endpoint(self._settings.endpoint),
            trace=trace,
        )
        try:
            await loop.run()
        except HomeAssistantError as error:
            return await self._say_error(user_input, chat_log, error)
        return conversation.async_get_result_from_chat_log(user_input, chat_log)

    def _apis(self) -> list[str]:
        """Return the chosen LLM APIs, without those that no longer exist."""
        existing = {api.id for api in llm.async_get_apis(self.hass)}
        return [api for api in self.subentry.data.get(CONF_LLM_HASS_API, []) if api in existing]

    async def _prompt(self, trace: Trace) -> str:
        """Return the prompt's template: MLflow's, its last known one, or the one that comes with us."""
        if self._reference is None:
            return self._text
        prompts = self.runtime.prompts
        if self.runtime.tracking is None:
            version = prompts.get(self._reference)
        else:
            version = await prompts.get_first(self._reference)
        if version is None:
            LOGGER.debug("%s was never seen; the built-in prompt stands in", self._reference)
            return STARTER_TEXT
        trace.prompt = (version.name, version.version)
        return "\n".join(message.content for message in version.messages)

    async def _begin_trace(
        self, user_input: conversation.ConversationInput, chat_log: conversation.ChatLog
    ) -> Trace:
        user_id = user_input.context.user_id
        user = await self.hass.auth.async_get_user(user_id) if user_id else None
        trace = Trace(
            root=Span(self.subentry.title, SpanType.AGENT, _said("user", user_input.text)),
            session=chat_log.conversation_id,
            user=user.name if user else None,
        )
        trace.tags = {"agent": self.subentry.title, "language": user_input.language}
        if user_input.device_id and (
            device := dr.async_get(self.hass).async_get(user_input.device_id)
        ):
            trace.tags["device"] = device.name_by_user or device.name or ""
            if device.area_id and (area := ar.async_get(self.hass).async_get_area(device.area_id)):
                trace.tags["area"] = area.name
        return trace

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
