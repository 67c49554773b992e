"""The fields of a reasoned state's form, and how they are kept.

The frontend shows a target inside of a list as bare JSON, so that a piece of evidence is asked for
as entities, devices, areas and labels beside each other, and becomes a target when it is kept.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import probatio
from homeassistant.components.binary_sensor import BinarySensorDeviceClass
from homeassistant.const import (
    ATTR_AREA_ID,
    ATTR_DEVICE_ID,
    ATTR_ENTITY_ID,
    ATTR_LABEL_ID,
    CONF_NAME,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import (
    AreaSelector,
    AreaSelectorConfig,
    DeviceSelector,
    DeviceSelectorConfig,
    DurationSelector,
    DurationSelectorConfig,
    EntitySelector,
    EntitySelectorConfig,
    LabelSelector,
    LabelSelectorConfig,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    ObjectSelector,
    ObjectSelectorConfig,
    ObjectSelectorField,
    SelectOptionDict,
    Selector,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TemplateSelector,
    TextSelector,
    TextSelectorConfig,
)
from homeassistant.helpers.translation import async_get_translations

from .const import CONF_ENDPOINT, CONF_PROMPT_REFERENCE
from .form_fields import dropdown, number
from .reasoning.settings import (
    CONF_AGREEING,
    CONF_AT_LEAST_EVERY,
    CONF_AT_MOST_EVERY,
    CONF_ATTRIBUTES,
    CONF_BELOW,
    CONF_CHOICE,
    CONF_CHOICES,
    CONF_CONDITION,
    CONF_DEVICE_CLASS,
    CONF_EVIDENCE,
    CONF_EXAMPLES,
    CONF_FACTS,
    CONF_KIND,
    CONF_LOOK_BACK,
    CONF_MAXIMUM,
    CONF_MEANING,
    CONF_MINIMUM,
    CONF_QUESTION,
    CONF_QUIET,
    CONF_TARGET,
    CONF_THRESHOLD,
    CONF_UNIT,
    Below,
    Kind,
)

# The sections of the step that says when to think and how sure the answer must be.
SECTION_WHEN: Final = "when"
SECTION_SURE: Final = "sure"
_SECTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    SECTION_WHEN: (CONF_QUIET, CONF_AT_MOST_EVERY, CONF_AT_LEAST_EVERY),
    SECTION_SURE: (CONF_THRESHOLD, CONF_AGREEING, CONF_BELOW, CONF_EXAMPLES),
}
# What the form calls the parts of a target.
_TARGETS: Final[Mapping[str, str]] = {
    "entities": ATTR_ENTITY_ID,
    "devices": ATTR_DEVICE_ID,
    "areas": ATTR_AREA_ID,
    "labels": ATTR_LABEL_ID,
}
_LONG_TEXT = TextSelector(TextSelectorConfig(multiline=True))
_ANY_NUMBER = NumberSelector(NumberSelectorConfig(step="any", mode=NumberSelectorMode.BOX))
_DURATION = DurationSelector(DurationSelectorConfig())


def _one_of(values: Iterable[str], translation_key: str) -> SelectSelector:
    return SelectSelector(
        SelectSelectorConfig(
            options=list(values), translation_key=translation_key, mode=SelectSelectorMode.LIST
        )
    )


def _list_of(
    translation_key: str, fields: Mapping[str, tuple[Selector[Any], bool]]
) -> ObjectSelector:
    return ObjectSelector(
        ObjectSelectorConfig(
            multiple=True,
            translation_key=translation_key,
            fields={
                name: ObjectSelectorField(selector=selector, required=required)
                for name, (selector, required) in fields.items()
            },
        )
    )


def question_fields(endpoints: list[str], prompts: list[str]) -> probatio.Schema:
    """Return the step of what is asked, and of whom."""
    first = endpoints[0] if endpoints else probatio.UNDEFINED
    return probatio.Schema(
        {
            probatio.Required(CONF_NAME): TextSelector(),
            probatio.Optional(CONF_QUESTION): _LONG_TEXT,
            probatio.Optional(CONF_PROMPT_REFERENCE): dropdown(prompts),
            probatio.Required(CONF_KIND): _one_of(Kind, "reasoned_kind"),
            probatio.Required(CONF_ENDPOINT, default=first): dropdown(endpoints),
        }
    )


async def yes_no_fields(hass: HomeAssistant) -> probatio.Schema:
    """Return the step of a yes/no answer; the device classes are named as Home Assistant does."""
    names = await async_get_translations(
        hass, hass.config.language, "entity_component", ["binary_sensor"]
    )
    options = [
        SelectOptionDict(
            value=each,
            label=names.get(f"component.binary_sensor.entity_component.{each}.name", each),
        )
        for each in BinarySensorDeviceClass
    ]
    selector = SelectSelector(
        SelectSelectorConfig(options=options, mode=SelectSelectorMode.DROPDOWN, sort=True)
    )
    return probatio.Schema({probatio.Optional(CONF_DEVICE_CLASS): selector})


CHOICE_FIELDS: Final = probatio.Schema(
    {
        probatio.Optional(CONF_CHOICES): _list_of(
            "reasoned_choices",
            {CONF_CHOICE: (TextSelector(), True), CONF_MEANING: (TextSelector(), False)},
        )
    }
)
NUMBER_FIELDS: Final = probatio.Schema(
    {
        probatio.Optional(CONF_MINIMUM): _ANY_NUMBER,
        probatio.Optional(CONF_MAXIMUM): _ANY_NUMBER,
        probatio.Optional(CONF_UNIT): TextSelector(),
    }
)
EVIDENCE_FIELDS: Final = probatio.Schema(
    {
        probatio.Optional(CONF_EVIDENCE): _list_of(
            "reasoned_evidence",
            {
                "entities": (EntitySelector(EntitySelectorConfig(multiple=True)), False),
                "areas": (AreaSelector(AreaSelectorConfig(multiple=True)), False),
                "devices": (DeviceSelector(DeviceSelectorConfig(multiple=True)), False),
                "labels": (LabelSelector(LabelSelectorConfig(multiple=True)), False),
                CONF_ATTRIBUTES: (TextSelector(TextSelectorConfig(multiple=True)), False),
                CONF_LOOK_BACK: (_DURATION, False),
            },
        ),
        probatio.Optional(CONF_FACTS): _LONG_TEXT,
    }
)
THINKING_FIELDS: Final = probatio.Schema(
    {
        probatio.Optional(CONF_CONDITION): TemplateSelector(),
        probatio.Required(SECTION_WHEN): section(
            probatio.Schema(
                {probatio.Required(each): _DURATION for each in _SECTIONS[SECTION_WHEN]}
            )
        ),
        probatio.Required(SECTION_SURE): section(
            probatio.Schema(
                {
                    probatio.Required(CONF_THRESHOLD): NumberSelector(
                        NumberSelectorConfig(
                            min=0, max=100, unit_of_measurement="%", mode=NumberSelectorMode.BOX
                        )
                    ),
                    probatio.Required(CONF_AGREEING): number(1, 10),
                    probatio.Required(CONF_BELOW): _one_of(Below, "reasoned_below"),
                    probatio.Required(CONF_EXAMPLES): number(0, 20),
                }
            )
        ),
    }
)


def to_form(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is kept in the form's terms."""
    form = dict(data)
    form[CONF_EVIDENCE] = [_item_to_form(item) for item in data.get(CONF_EVIDENCE, ())]
    for name, fields in _SECTIONS.items():
        form[name] = {key: form.pop(key) for key in fields if key in form}
    return form


def from_form(form: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a step gave as it is kept."""
    data = dict(form)
    if CONF_EVIDENCE in data:
        data[CONF_EVIDENCE] = [_item_from_form(item) for item in data[CONF_EVIDENCE]]
    for name in _SECTIONS:
        data.update(data.pop(name, {}))
    return data


def _item_to_form(item: Mapping[str, Any]) -> dict[str, Any]:
    target = item.get(CONF_TARGET, {})
    others = {key: value for key, value in item.items() if key != CONF_TARGET}
    return {name: target[key] for name, key in _TARGETS.items() if key in target} | others


def _item_from_form(item: Mapping[str, Any]) -> dict[str, Any]:
    target = {key: item[name] for name, key in _TARGETS.items() if item.get(name)}
    others = {key: item[key] for key in (CONF_ATTRIBUTES, CONF_LOOK_BACK) if item.get(key)}
    return {CONF_TARGET: target, **others}
