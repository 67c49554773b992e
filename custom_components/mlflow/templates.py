"""Renders prompts as Home Assistant templates, and says in which line one fails.

A prompt knows, beside all of Home Assistant's functions: `ha_name`, `user_name`, `language`,
`device`, `area` and `llm_context`. A name that is not known is an error, not an empty text.
"""

from typing import Any

import jinja2
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import TemplateError
from homeassistant.helpers.template import Template, is_template_string


class PromptRenderError(Exception):
    """A prompt's template cannot be rendered. `line` counts from 1; 0 when it is not known."""

    def __init__(self, error: TemplateError) -> None:
        super().__init__(str(error))
        self.line = _line_of(error)


class Renderer:
    """Renders texts, and keeps the compiled form of those of the last render."""

    def __init__(self, hass: HomeAssistant) -> None:
        self._hass = hass
        self._compiled: dict[str, Template] = {}

    def render(self, texts: list[str], variables: dict[str, Any]) -> list[str]:
        """Return what the texts become; raises PromptRenderError."""
        self._compiled = {
            text: self._compiled.get(text) or Template(text, self._hass) for text in texts
        }
        try:
            return [
                str(self._compiled[text].async_render(variables, parse_result=False, strict=True))
                for text in texts
            ]
        except TemplateError as error:
            raise PromptRenderError(error) from error


def as_template(text: str) -> str:
    """Return a template that renders to exactly this text."""
    if not is_template_string(text):
        return text
    literal = text.encode("unicode_escape").decode().replace("'", "\\'")
    return "{{ '" + literal + "' }}"


def _line_of(error: BaseException) -> int:
    """Find the line in what Jinja raised: in a syntax error, else where the template's code failed."""
    cause = error.__cause__
    if isinstance(cause, jinja2.TemplateSyntaxError):
        return cause.lineno
    line = 0
    traceback = cause.__traceback__ if cause else None
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == "<template>":
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line
