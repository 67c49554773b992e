"""Names and limits that more than one room of the integration uses."""

import logging
from typing import Final

from homeassistant.const import Platform

DOMAIN: Final = "mlflow"
LOGGER = logging.getLogger(__package__)
PLATFORMS: Final = [
    Platform.AI_TASK,
    Platform.BINARY_SENSOR,
    Platform.BUTTON,
    Platform.CONVERSATION,
    Platform.EVENT,
    Platform.SENSOR,
    Platform.SWITCH,
]

# One entry serves the home, whichever app was discovered first and under whichever hash.
ENTRY_UNIQUE_ID: Final = "home"

CONF_GATEWAY: Final = "gateway"
CONF_TRACKING: Final = "tracking"
CONF_SLUG: Final = "slug"
CONF_DEFAULT_AGENT_MADE: Final = "default_agent_made"

SUBENTRY_CONVERSATION: Final = "conversation"
SUBENTRY_AI_TASK: Final = "ai_task_data"
CONF_ENDPOINT: Final = "endpoint"
CONF_PROMPT_REFERENCE: Final = "prompt_reference"
CONF_TEMPERATURE: Final = "temperature"
CONF_MAX_TOKENS: Final = "max_tokens"
CONF_HISTORY_TURNS: Final = "history_turns"
DEFAULT_HISTORY_TURNS: Final = 20
CONF_HISTORY_TOKENS: Final = "history_tokens"

CONF_RECORD: Final = "record"
RECORD_ALL: Final = "all"
RECORD_NO_CONTENT: Final = "no_content"
RECORD_OFF: Final = "off"
CONF_WATCH_OTHERS: Final = "watch_other_agents"

EXPERIMENT_NAME: Final = "Home Assistant"
STARTER_PROMPT: Final = "home"
STARTER_ALIAS: Final = "production"
DEFAULT_PROMPT_REFERENCE: Final = f"{STARTER_PROMPT}@{STARTER_ALIAS}"
STARTER_TEXT: Final = """\
You are the voice assistant of {{ ha_name }}.
{% if user_name %}You are talking with {{ user_name }}.{% endif %}
Use the tools to see and to control the home. Never invent the state of a device.
Answer in the language you are spoken to, in one or two short sentences of plain text that sound
natural when they are read aloud. When a request is unclear, ask one short question.
"""
