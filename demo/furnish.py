"""What a user does once in a new home: rooms, the discovered integration, the voice assistant."""

from demo.user import User
from demo.waiting import until

# Which room each thing of the demo home stands in.
AREAS = {
    "Kitchen": ["light.kitchen_lights", "binary_sensor.kitchen_motion"],
    "Living room": [
        "light.living_room_lights",
        "climate.living_room_thermostat",
        "media_player.living_room_tv",
        "sensor.living_room_temperature",
        "binary_sensor.living_room_motion",
    ],
    "Bedroom": [
        "light.bedroom_lights",
        "sensor.bedroom_temperature",
        "binary_sensor.bedroom_motion",
        "binary_sensor.bedroom_door",
        "binary_sensor.ak_phone_charging",
    ],
    "Hall": ["binary_sensor.front_door"],
}


async def furnish(user: User) -> None:
    """Put each thing into its room (Home Assistant makes the usual rooms itself); later changes by the user stay."""
    areas = {
        area["name"].casefold(): area["area_id"]
        for area in await user.call("config/area_registry/list")
    }
    entities = {
        entity["entity_id"]: entity for entity in await user.call("config/entity_registry/list")
    }
    for name, things in AREAS.items():
        if name.casefold() not in areas:
            made = await user.call("config/area_registry/create", name=name)
            areas[name.casefold()] = made["area_id"]
        for entity_id in things:
            if entities[entity_id]["area_id"] is None:
                await user.call(
                    "config/entity_registry/update",
                    entity_id=entity_id,
                    area_id=areas[name.casefold()],
                )


async def set_up_integration(user: User, domain: str = "mlflow") -> None:
    """Accept the discovered integration as a user does: open the flow, confirm."""

    async def set_up() -> bool:
        entries = await user.call("config_entries/get", domain=domain)
        if any(entry["state"] == "loaded" for entry in entries):
            return True
        if not entries:
            for flow in await user.call("config_entries/flow/progress"):
                if flow["handler"] == domain and flow["context"]["source"] == "hassio":
                    await user.request(
                        "POST", f"/api/config/config_entries/flow/{flow['flow_id']}", {}
                    )
        return False

    await until(set_up, 60, f"the integration {domain} is discovered and set up")


async def choose_agent(user: User, domain: str = "mlflow") -> str:
    """Make the integration's agent the one that Assist talks to; returns its entity id."""

    async def find() -> str | None:
        entities = await user.call("config/entity_registry/list")
        agents = [
            e["entity_id"]
            for e in entities
            if e["platform"] == domain and e["entity_id"].startswith("conversation.")
        ]
        return agents[0] if agents else None

    agent = await until(find, 30, "the conversation agent is there")
    pipelines = await user.call("assist_pipeline/pipeline/list")
    preferred = next(
        p for p in pipelines["pipelines"] if p["id"] == pipelines["preferred_pipeline"]
    )
    if preferred["conversation_engine"] != agent:
        changed = {key: value for key, value in preferred.items() if key != "id"}
        changed |= {"conversation_engine": agent, "name": "MLflow", "prefer_local_intents": False}
        await user.call("assist_pipeline/pipeline/update", pipeline_id=preferred["id"], **changed)
    return agent
