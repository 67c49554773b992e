"""What a change of a number must at least be to matter, and numbers rounded to be read.

A sensor's last digit moves all day long; the model would be asked for nothing.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

from homeassistant.core import HomeAssistant, State
from homeassistant.helpers import entity_registry as er

# By device class: the smallest change that matters, in the usual unit, and as a share of the value;
# the larger of the two holds. After what people notice, not after what sensors resolve.
_STEPS: Final[Mapping[str, tuple[float, float]]] = {
    "absolute_humidity": (0.5, 0.05),
    "apparent_power": (10, 0.1),
    "aqi": (10, 0.1),
    "atmospheric_pressure": (2, 0.002),
    "battery": (5, 0),
    "blood_glucose_concentration": (0, 0.05),
    "carbon_dioxide": (50, 0.05),
    "carbon_monoxide": (2, 0.1),
    "current": (0.2, 0.1),
    "data_rate": (0, 0.2),
    "data_size": (0, 0.1),
    "distance": (0, 0.05),
    "duration": (0, 0.1),
    "energy": (0.1, 0.02),
    "frequency": (0.2, 0),
    "gas": (0.1, 0.02),
    "humidity": (3, 0),
    "illuminance": (5, 0.25),
    "moisture": (3, 0),
    "nitrogen_dioxide": (5, 0.1),
    "pm1": (5, 0.1),
    "pm10": (5, 0.1),
    "pm25": (5, 0.1),
    "power": (10, 0.1),
    "precipitation": (0.5, 0.05),
    "precipitation_intensity": (0.5, 0.1),
    "pressure": (0, 0.005),
    "signal_strength": (10, 0),
    "sound_pressure": (5, 0),
    "speed": (1, 0.1),
    "temperature": (0.5, 0),
    "temperature_delta": (0.5, 0),
    "volatile_organic_compounds": (50, 0.1),
    "voltage": (5, 0),
    "water": (1, 0.02),
    "wind_speed": (2, 0.1),
}
# How much larger a number of this unit is than one of the usual unit.
_UNITS: Final[Mapping[str, float]] = {
    "°F": 1.8,
    "kW": 1e-3,
    "MW": 1e-6,
    "mW": 1e3,
    "Wh": 1e3,
    "MWh": 1e-3,
    "mA": 1e3,
    "mV": 1e3,
}
_SHARE_OF_OTHERS = 0.05


def number_of(state: State) -> float | None:
    """Return a state that is a quantity as a number; None for every other state."""
    is_quantity = (
        "unit_of_measurement" in state.attributes
        or "state_class" in state.attributes
        or state.domain in ("number", "input_number", "counter")
    )
    return _finite(state.state) if is_quantity else None


def step_of(state: State, value: float) -> float:
    """Return the smallest change of this state that matters; zero: every change does."""
    unit = state.attributes.get("unit_of_measurement")
    known = _STEPS.get(str(state.attributes.get("device_class")))
    if known is not None:
        least, share = known
        return max(least * _UNITS.get(str(unit), 1), share * abs(value))
    # what has no unit is counted: one person more is one person more
    return 3 if unit == "%" else abs(value) * _SHARE_OF_OTHERS if unit else 0


def step_of_attribute(value: float) -> float:
    """Return the smallest change of a number among attributes that matters."""
    return abs(value) * _SHARE_OF_OTHERS


def told(hass: HomeAssistant, state: State, value: float) -> str:
    """Return a state's number as it is shown in the home, else with three digits that matter."""
    entry = er.async_get(hass).async_get(state.entity_id)
    options: Mapping[str, Any] = (entry.options.get("sensor") or {}) if entry else {}
    precision = options.get("display_precision")
    if precision is None:
        precision = options.get("suggested_display_precision")
    if precision is not None:
        return f"{value:z.{precision}f}"
    return three_digits(value)


def three_digits(value: float) -> str:
    """Return a number with three digits that matter, and without an exponent."""
    if value == 0:
        return "0"
    decimals = max(2 - math.floor(math.log10(abs(value))), 0)
    text = f"{value:z.{min(decimals, 6)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _finite(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
