"""Says sentences of the translations where no frontend does it."""

from collections.abc import Mapping

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.translation import async_get_translations

from .const import DOMAIN


async def async_localize(hass: HomeAssistant, language: str, error: HomeAssistantError) -> str:
    """Return an error's sentence in a language, or in English where there is no translation."""
    if error.translation_domain is None or error.translation_key is None:
        return str(error)
    translations = await async_get_translations(
        hass, language, "exceptions", [error.translation_domain]
    )
    key = f"component.{error.translation_domain}.exceptions.{error.translation_key}.message"
    sentence = translations.get(key)
    if sentence is None:
        return str(error)
    return sentence.format_map(error.translation_placeholders or {})


async def async_common_texts(hass: HomeAssistant, language: str) -> Mapping[str, str]:
    """Return our texts that belong to no form, error or entity, by key, in a language."""
    translations = await async_get_translations(hass, language, "common", [DOMAIN])
    prefix = f"component.{DOMAIN}.common."
    return {key.removeprefix(prefix): text for key, text in translations.items()}
