"""The options of the home's entry: what is recorded, and what reasoned states may cost in a day."""

from typing import Any

import probatio
from homeassistant.config_entries import ConfigFlowResult, OptionsFlow
from homeassistant.helpers.selector import (
    BooleanSelector,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectSelector,
    SelectSelectorConfig,
)

from .const import CONF_RECORD, CONF_WATCH_OTHERS, RECORD_ALL, RECORD_NO_CONTENT, RECORD_OFF
from .form_fields import number
from .reasoning.settings import CONF_DAILY_CALLS, CONF_DAILY_COST, DEFAULT_DAILY_CALLS

_DEFAULTS = {CONF_RECORD: RECORD_ALL, CONF_DAILY_CALLS: DEFAULT_DAILY_CALLS}
_SCHEMA = probatio.Schema(
    {
        probatio.Required(CONF_RECORD): SelectSelector(
            SelectSelectorConfig(
                options=[RECORD_ALL, RECORD_NO_CONTENT, RECORD_OFF], translation_key="record"
            )
        ),
        probatio.Optional(CONF_WATCH_OTHERS): BooleanSelector(),
        probatio.Required(CONF_DAILY_CALLS, default=DEFAULT_DAILY_CALLS): number(0, 1_000_000),
        probatio.Optional(CONF_DAILY_COST): NumberSelector(
            NumberSelectorConfig(
                min=0, step="any", unit_of_measurement="US$", mode=NumberSelectorMode.BOX
            )
        ),
    }
)


class MlflowOptionsFlow(OptionsFlow):
    """What MLflow is told of conversations, and the day's budget of reasoned states."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show the form and take it."""
        if user_input is not None:
            return self.async_create_entry(data=user_input)
        return self.async_show_form(
            step_id="init",
            data_schema=self.add_suggested_values_to_schema(
                _SCHEMA, {**_DEFAULTS, **self.config_entry.options}
            ),
        )
