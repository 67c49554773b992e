"""Reads addresses and tokens out of a form, and says what cannot be one before an app is asked."""

from collections.abc import Mapping

from homeassistant.const import CONF_TOKEN, CONF_URL
from yarl import URL

from .const import CONF_GATEWAY, CONF_TRACKING
from .errors import AppError, AppTokenRefusedError

APPS = (CONF_GATEWAY, CONF_TRACKING)


def places_of(
    user_input: Mapping[str, str], known: Mapping[str, Mapping[str, str]]
) -> dict[str, dict[str, str]]:
    """Return the place of each app that the form names; a token left empty is the known one."""
    places: dict[str, dict[str, str]] = {}
    for app in APPS:
        url = user_input.get(f"{app}_url", "").strip()
        if url and "://" not in url:
            url = f"http://{url}"
        url = url.rstrip("/")
        token = user_input.get(f"{app}_token", "").strip()
        if url or app == CONF_GATEWAY:
            known_token = known.get(app, {}).get(CONF_TOKEN, "")
            places[app] = {CONF_URL: url, CONF_TOKEN: token or known_token}
    return places


def faults_of(places: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return what is wrong with a form, by field, before any app is asked."""
    faults: dict[str, str] = {}
    for app, place in places.items():
        if not _is_address(place[CONF_URL]):
            faults[f"{app}_url"] = "address_invalid"
        # it becomes a header, which holds neither line breaks nor other alphabets
        token = place[CONF_TOKEN]
        if not token.isascii() or not token.isprintable() or " " in token:
            faults[f"{app}_token"] = "token_invalid"
    return faults


def field_of(app: str, error: AppError) -> str:
    """Return the field of the form that an error is about."""
    return f"{app}_token" if isinstance(error, AppTokenRefusedError) else f"{app}_url"


def _is_address(text: str) -> bool:
    try:
        url = URL(text)
    except ValueError:
        return False
    return url.scheme in ("http", "https") and bool(url.host)
