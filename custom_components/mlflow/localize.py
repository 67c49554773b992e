"""Says an error in the language of the one who is spoken to."""

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.translation import async_get_translations


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
