"""Our own LLM API, "MLflow": tools that any agent of the home may be given."""

from datetime import datetime
from typing import Any, override

import probatio
from homeassistant.components.conversation.chat_log import current_chat_log
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import llm
from homeassistant.util import dt as dt_util

from .const import DOMAIN
from .coordinator import MlflowConfigEntry
from .feedback import Feedback, async_user_name, last_trace
from .reasoning.tool import REASONED_PROMPT, ReasonedStateTool

_PROMPT = (
    "When the user says that your last answer or action was wrong or right, record it with "
    f"{DOMAIN}__record_feedback before you go on. Ask {DOMAIN}__recall what was said in earlier "
    "conversations."
)
_SEARCHED = 100


class MlflowAPI(llm.API):
    """Date and time, feedback, what the home was asked before, and what it makes of itself."""

    def __init__(self, hass: HomeAssistant, entry: MlflowConfigEntry) -> None:
        super().__init__(hass=hass, id=DOMAIN, name="MLflow")
        self._prompt = _PROMPT
        self._tools: list[llm.Tool] = [GetDateTime(), RecordFeedback(entry)]
        if entry.runtime_data.tracking is not None:
            self._tools.append(Recall(entry))
        if entry.runtime_data.reasoned:
            self._tools.append(ReasonedStateTool(entry))
            self._prompt += REASONED_PROMPT

    @override
    async def async_get_api_instance(self, llm_context: llm.LLMContext) -> llm.APIInstance:
        return llm.APIInstance(
            api=self, api_prompt=self._prompt, llm_context=llm_context, tools=self._tools
        )


class GetDateTime(llm.Tool):
    """Tells the time, here or elsewhere."""

    name = f"{DOMAIN}__GetDateTime"
    title = "Get date and time"
    description = "Tells date, time and weekday, here or in another time zone."
    parameters = probatio.Schema(
        {
            probatio.Optional(
                "timezone",
                description="An IANA time zone such as Asia/Tokyo; the home's if left out",
            ): str
        }
    )
    annotations = llm.ToolAnnotations(
        read_only=True, destructive=False, idempotent=True, open_world=False
    )
    integration = DOMAIN

    @override
    async def async_call(
        self, hass: HomeAssistant, tool_input: llm.ToolInput, llm_context: llm.LLMContext
    ) -> llm.ToolResult:
        arguments = self.parameters(tool_input.tool_args)
        name = arguments.get("timezone") or hass.config.time_zone
        zone = await dt_util.async_get_time_zone(name)
        if zone is None:
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key="unknown_timezone",
                translation_placeholders={"timezone": name},
            )
        now = datetime.now(zone)
        return llm.ToolResult(
            {
                "date": now.strftime("%Y-%m-%d"),
                "time": now.strftime("%H:%M:%S"),
                "weekday": now.strftime("%A"),
                "timezone": name,
            }
        )


class RecordFeedback(llm.Tool):
    """Notes what the user thinks of the answer before."""

    name = f"{DOMAIN}__record_feedback"
    title = "Record feedback"
    description = (
        "Records whether your previous answer or action in this conversation was right, why, and "
        "what would have been right. It changes nothing in the home."
    )
    parameters = probatio.Schema(
        {
            probatio.Required("correct", description="Whether it was right"): bool,
            probatio.Optional("comment", description="Why, in the user's words"): str,
            probatio.Optional(
                "expected", description="What you should have said or done instead"
            ): str,
        }
    )
    annotations = llm.ToolAnnotations(destructive=False, open_world=False)
    integration = DOMAIN

    def __init__(self, entry: MlflowConfigEntry) -> None:
        self._entry = entry

    @override
    async def async_call(
        self, hass: HomeAssistant, tool_input: llm.ToolInput, llm_context: llm.LLMContext
    ) -> llm.ToolResult:
        arguments = self.parameters(tool_input.tool_args)
        runtime = self._entry.runtime_data
        chat_log = current_chat_log.get()
        trace_id = None
        if chat_log is not None:
            # the turn that is now is not finished, so this is the one before
            trace_id = last_trace(runtime.recorder, session=chat_log.conversation_id)
        if trace_id is None and llm_context.device_id:
            trace_id = last_trace(runtime.recorder, device_id=llm_context.device_id)
        if trace_id is None:
            raise HomeAssistantError(translation_domain=DOMAIN, translation_key="no_answer_yet")
        feedback = Feedback(
            value=arguments["correct"],
            comment=arguments.get("comment"),
            expectation=arguments.get("expected"),
            source=await async_user_name(hass, llm_context.context),
        )
        feedback.put(runtime.traces, trace_id)
        return llm.ToolResult({"recorded": True, "trace_id": trace_id})


class Recall(llm.Tool):
    """Looks up what the home was asked before."""

    name = f"{DOMAIN}__recall"
    title = "Recall conversations"
    description = "Looks up what this home was asked before and what was answered, newest first."
    parameters = probatio.Schema(
        {
            probatio.Optional("about", description="A word that question or answer contains"): str,
            probatio.Optional("limit", description="How many at most", default=10): probatio.All(
                int, probatio.Range(min=1, max=50)
            ),
        }
    )
    annotations = llm.ToolAnnotations(
        read_only=True, destructive=False, idempotent=True, open_world=False
    )
    integration = DOMAIN

    def __init__(self, entry: MlflowConfigEntry) -> None:
        self._entry = entry

    @override
    async def async_call(
        self, hass: HomeAssistant, tool_input: llm.ToolInput, llm_context: llm.LLMContext
    ) -> llm.ToolResult:
        arguments = self.parameters(tool_input.tool_args)
        tracking = self._entry.runtime_data.tracking
        if tracking is None:
            raise HomeAssistantError(translation_domain=DOMAIN, translation_key="no_tracking")
        word = arguments.get("about", "").casefold()
        turns = [
            {
                "when": trace.get("request_time", ""),
                "agent": trace.get("tags", {}).get("agent", ""),
                "asked": trace.get("request_preview", ""),
                "answered": trace.get("response_preview", ""),
            }
            for trace in await tracking.client.search_traces(None, _SEARCHED)
        ]
        found: list[Any] = [
            turn for turn in turns if word in f"{turn['asked']} {turn['answered']}".casefold()
        ]
        return llm.ToolResult({"conversations": found[: arguments["limit"]]})
