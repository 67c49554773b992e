"""The demo home's reasoned state, "is AK asleep?": set up through its form, and asked, as a user does."""

from contextlib import suppress
from typing import Any, Final

from demo.user import User
from demo.waiting import until

NAME, QUESTION = "AK asleep", "Is AK asleep?"
_FLOW: Final = "/api/config/config_entries/subentries/flow"
_SUBENTRY: Final = "reasoned_state"
_EVIDENCE: Final = [
    {
        "entities": [
            "binary_sensor.bedroom_motion",
            "light.bedroom_lights",
            "binary_sensor.bedroom_door",
            "binary_sensor.ak_phone_charging",
            "media_player.living_room_tv",
            "binary_sensor.living_room_motion",
        ],
        "look_back": {"hours": 2},
    }
]


async def set_up_reasoned_state(user: User, domain: str = "mlflow") -> str:
    """Fill the form, from the preset to one real call, and save it; returns the entity id.

    A state that is there from an earlier run stays as it is.
    """
    entry = next(e["entry_id"] for e in await user.call("config_entries/get", domain=domain))
    kept = await user.call("config_entries/subentries/list", entry_id=entry)
    if not any(subentry["subentry_type"] == _SUBENTRY for subentry in kept):
        await _prompts_known(user, entry)
        await _fill_form(user, entry)
    return await _entity(user, "binary_sensor", "", domain)


async def _prompts_known(user: User, entry: str) -> None:
    """Wait for the first look at MLflow's prompts, as a user does who has not yet opened the form."""

    async def known() -> bool:
        _, told = await user.request("GET", f"/api/diagnostics/config_entry/{entry}")
        return bool(told["data"]["prompts"])

    await until(known, 60, "the integration knows the home's prompt")


async def _fill_form(user: User, entry: str) -> None:
    step = await _post(user, _FLOW, {"handler": [entry, _SUBENTRY]})
    flow = f"{_FLOW}/{step['flow_id']}"
    step = await _post(user, flow, {"next_step_id": "asleep"})
    step = await _post(user, flow, {**_suggested(step), "name": NAME, "question": QUESTION})
    step = await _post(user, flow, _suggested(step))  # the device class
    step = await _post(user, flow, {**_suggested(step), "evidence": _EVIDENCE})
    step = await _post(user, flow, _suggested(step))  # when to think

    async def asked() -> dict[str, Any] | None:
        _, shown = await user.request("GET", flow)
        return dict(shown) if shown["type"] == "menu" else None

    await until(asked, 60, "the preview of the reasoned state is there")
    made = await _post(user, flow, {"next_step_id": "save"})
    if made["type"] != "create_entry":
        raise RuntimeError(f"the reasoned state was not saved: {made}")


async def _post(user: User, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Send a step; returns the next. Raises RuntimeError when the form finds a fault."""
    status, step = await user.request("POST", path, body)
    if status != 200 or step.get("errors"):
        raise RuntimeError(f"the form of the reasoned state took no {body}: {step}")
    return dict(step)


def _suggested(step: dict[str, Any]) -> dict[str, Any]:
    """Return what a form is filled with already."""
    filled = {}
    for field in step["data_schema"]:
        if field.get("type") == "expandable":
            filled[field["name"]] = _suggested({"data_schema": field["schema"]})
        elif "suggested_value" in (description := field.get("description") or {}):
            filled[field["name"]] = description["suggested_value"]
        elif "default" in field:
            filled[field["name"]] = field["default"]
    return filled


async def _entity(user: User, kind: str, key: str, domain: str) -> str:
    """Wait for the state's entity of a kind; its unique id ends with `key`."""

    async def find() -> str | None:
        entities = await user.call("config/entity_registry/list")
        return next(
            (
                str(e["entity_id"])
                for e in entities
                if e["platform"] == domain
                and e["entity_id"].startswith(f"{kind}.")
                and e["unique_id"].endswith(key)
            ),
            None,
        )

    return await until(find, 30, f"the reasoned state's {kind} is there")


async def think(user: User, entity_id: str, domain: str = "mlflow") -> dict[str, Any]:
    """Press the state's button; returns its entity's state with the answer of this thought."""
    button = await _entity(user, "button", "_think_now", domain)
    before = (await user.state(entity_id))["attributes"].get("decided_at")
    await user.request("POST", "/api/services/button/press", {"entity_id": button})

    async def answered() -> dict[str, Any] | None:
        state = await user.state(entity_id)
        return state if state["attributes"].get("decided_at") not in (None, before) else None

    with suppress(TimeoutError):
        return await until(answered, 30, f"{entity_id} has thought")
    return await user.state(entity_id)
