"""The forty entities of the recorded day: their names, and the attributes that they have in Home Assistant."""

from typing import Any, Final

MOTION_ROOMS: Final = (
    *("bedroom", "bathroom", "kitchen", "living_room"),
    *("office", "hall", "landing", "cleo_room"),
)
LIGHT_ROOMS: Final = (
    *("bedroom", "bathroom", "kitchen", "living_room"),
    *("office", "hall", "cleo_room"),
)
_NAMES: Final = {"cleo_room": "Cleo's room", "phone_ak": "AK's phone", "phone_bo": "Bo's phone"}


def _named(key: str, what: str = "") -> str:
    name = _NAMES.get(key) or key.replace("_", " ").capitalize()
    return f"{name} {what}".strip()


def _measured(unit: str, kind: str) -> dict[str, Any]:
    return {"unit_of_measurement": unit, "device_class": kind, "state_class": "measurement"}


def _binary() -> dict[str, dict[str, Any]]:
    kinds = {f"{room}_motion": (_named(room, "motion"), "motion") for room in MOTION_ROOMS}
    kinds |= {
        "front_door": ("Front door", "door"),
        "back_door": ("Back door", "door"),
        "bedroom_door": ("Bedroom door", "door"),
        "fridge_door": ("Fridge door", "door"),
        "bedroom_window": ("Bedroom window", "window"),
        "phone_ak_charging": ("AK's phone charging", "battery_charging"),
        "phone_bo_charging": ("Bo's phone charging", "battery_charging"),
    }
    return {
        f"binary_sensor.{key}": {"friendly_name": name, "device_class": kind}
        for key, (name, kind) in kinds.items()
    }


def _sensors() -> dict[str, dict[str, Any]]:
    sensors = {
        **{f"{key}_power": _measured("W", "power") for key in ("stove", "tv", "desk", "washer")},
        "house_power": _measured("W", "power"),
        "bedroom_temperature": _measured("°C", "temperature"),
        "kitchen_temperature": _measured("°C", "temperature"),
        "bathroom_humidity": _measured("%", "humidity"),
        "kitchen_humidity": _measured("%", "humidity"),
        "outdoor_illuminance": _measured("lx", "illuminance"),
        "living_room_illuminance": _measured("lx", "illuminance"),
        "phone_ak_battery": _measured("%", "battery"),
        "guest_wifi_clients": {"state_class": "measurement"},
    }
    names = {"phone_ak_battery": "AK's phone battery", "guest_wifi_clients": "Guest Wi-Fi clients"}
    return {
        f"sensor.{key}": {"friendly_name": names.get(key) or _named(key), **attributes}
        for key, attributes in sensors.items()
    }


THINGS: Final[dict[str, dict[str, Any]]] = {
    **_binary(),
    **_sensors(),
    **{f"light.{room}": {"friendly_name": _named(room, "light")} for room in LIGHT_ROOMS},
    **{
        f"device_tracker.phone_{who.lower()}": {
            "friendly_name": f"{who}'s phone",
            "source_type": "router",
        }
        for who in ("AK", "Bo", "Cleo")
    },
    "media_player.living_room_tv": {"friendly_name": "Living room TV", "device_class": "tv"},
    "media_player.kitchen_radio": {"friendly_name": "Kitchen radio", "device_class": "speaker"},
}
