"""The tool loop: asks the model, lets Home Assistant's LLM API run the tools, and asks again."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from homeassistant.components import conversation
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import llm

from .completion import Completion, Delta, deltas_of
from .const import (
    CONF_ENDPOINT,
    CONF_MAX_TOKENS,
    CONF_TEMPERATURE,
    DOMAIN,
)
from .gateway import GatewayClient
from .messages import Telling, tools_of
from .model_call import note_answer
from .tracing import Span, SpanType, Trace

MAX_ITERATIONS = 10


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """How a model is asked; `sampling` by the names of OpenAI's API."""

    endpoint: str
    sampling: Mapping[str, Any]

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Read them from the data of a subentry; what is not set is left to prompt or endpoint."""
        sampling: dict[str, Any] = {}
        if (temperature := options.get(CONF_TEMPERATURE)) is not None:
            sampling["temperature"] = temperature
        if max_tokens := options.get(CONF_MAX_TOKENS):
            sampling["max_tokens"] = int(max_tokens)
        return cls(options[CONF_ENDPOINT], sampling)

    def over(self, settings: Mapping[str, Any]) -> Self:
        """Return these settings, with a prompt's own where there are none."""
        return replace(self, sampling={**settings, **self.sampling})


@dataclass(slots=True)
class ToolLoop:
    """One answer of an agent."""

    client: GatewayClient
    chat_log: conversation.ChatLog
    agent_id: str
    settings: ChatSettings
    telling: Telling
    trace: Trace
    response_format: dict[str, Any] | None = None

    async def run(self) -> None:
        """Add the model's answer to the chat log, with all the tool calls on the way.

        Raises AppError when the Gateway cannot answer, and HomeAssistantError when the model calls
        tools without end or says nothing at all.
        """
        for _ in range(MAX_ITERATIONS):
            completion = await self._complete()
            tools_ran = self.chat_log.unresponded_tool_results
            if completion.is_empty and tools_ran:
                # the tools did all there was to do, and the model leaves it at that
                self.chat_log.async_add_assistant_content_without_tools(
                    conversation.AssistantContent(agent_id=self.agent_id, content="")
                )
                return
            if completion.is_empty:
                raise HomeAssistantError(translation_domain=DOMAIN, translation_key="empty_answer")
            if not tools_ran:
                return
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="too_many_tool_calls",
            translation_placeholders={"limit": str(MAX_ITERATIONS)},
        )

    async def _complete(self) -> Completion:
        """Make one call of the model and run the tools that it asks for."""
        request: dict[str, Any] = {
            "model": self.settings.endpoint,
            "messages": self.telling.messages_of(self.chat_log.content),
            **self.settings.sampling,
        }
        if self.response_format:
            request["response_format"] = self.response_format
        if tools := tools_of(self.chat_log.llm_api):
            request["tools"] = tools
        completion = Completion()
        model_span = self.trace.start(self.settings.endpoint, SpanType.CHAT_MODEL, request)
        tool_spans: dict[str, Span] = {}
        chunks = self.client.stream_chat(request)
        deltas = deltas_of(chunks, completion, has_tools=bool(tools))
        try:
            async for content in self.chat_log.async_add_delta_content_stream(
                self.agent_id, self._observed(deltas, completion, model_span, tool_spans)
            ):
                if isinstance(content, conversation.ToolResultContent):
                    tool_spans[content.tool_call_id].end_with(content.result)
        except BaseException as error:
            for span in (model_span, *tool_spans.values()):
                span.fail(error)
            raise
        finally:
            await chunks.aclose()
        return completion

    async def _observed(
        self,
        deltas: AsyncGenerator[Delta],
        completion: Completion,
        model_span: Span,
        tool_spans: dict[str, Span],
    ) -> AsyncGenerator[Delta]:
        """Pass deltas on, and note in the trace when the model spoke, ended and called tools."""
        async for delta in deltas:
            model_span.note_first_token()
            calls: list[llm.ToolInput] = delta.get("tool_calls") or []  # type: ignore[assignment]
            if calls:
                self._end_model(model_span, completion)
            for call in calls:
                tool_spans[call.id] = self.trace.start(
                    call.tool_name, SpanType.TOOL, call.tool_args
                )
            yield delta
        self._end_model(model_span, completion)

    def _end_model(self, span: Span, completion: Completion) -> None:
        if span.ended is not None:
            return
        span.end(completion.answer)
        note_answer(span, self.client, completion.answer)
        if tokens := span.tokens:
            self.chat_log.async_trace(
                {
                    "stats": {
                        "input_tokens": tokens["input_tokens"],
                        "cached_input_tokens": tokens.get("cache_read_input_tokens", 0),
                        "output_tokens": tokens["output_tokens"],
                    }
                }
            )
