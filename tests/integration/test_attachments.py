"""Pictures and documents that come with an AI task reach the model; what cannot is refused with a reason."""

import base64
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from custom_components.mlflow import attachments
from homeassistant.components import ai_task
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.setup import async_setup_component

from .conftest import MakeEntry
from .standins import StandInGateway, says

PNG = b"\x89PNG\r\n\x1a\n a door"
PDF = b"%PDF-1.7 a bill"


@pytest.fixture
async def media(home: HomeAssistant, tmp_path: Path, make_entry: MakeEntry) -> Path:
    """A folder of the home's media, and an AI task."""
    home.config.media_dirs = {"local": str(tmp_path)}
    assert await async_setup_component(home, "media_source", {})
    assert await home.config_entries.async_setup(make_entry().entry_id)
    return tmp_path


async def look_at(home: HomeAssistant, *files: str) -> Any:
    """Let the AI task look at files of the media folder, as the action does."""
    result = await ai_task.async_generate_data(
        home,
        task_name="Look",
        entity_id="ai_task.clerk",
        instructions="What is this?",
        attachments=[
            {"media_content_id": f"media-source://media_source/local/{file}"} for file in files
        ],
    )
    return result.data


async def test_pictures_and_a_document_go_to_the_model(
    home: HomeAssistant, gateway: StandInGateway, media: Path
) -> None:
    (media / "door.png").write_bytes(PNG)
    (media / "bill.pdf").write_bytes(PDF)
    gateway.script = [says("A door and a bill.")]
    assert await look_at(home, "door.png", "bill.pdf") == "A door and a bill."

    text, picture, document = gateway.requests[0]["messages"][-1]["content"]
    assert text["text"].startswith("What is this?")
    kind, _, data = picture["image_url"]["url"].partition(",")
    assert (kind, base64.b64decode(data)) == ("data:image/png;base64", PNG)
    assert document["file"]["filename"] == "bill.pdf"
    kind, _, data = document["file"]["file_data"].partition(",")
    assert (kind, base64.b64decode(data)) == ("data:application/pdf;base64", PDF)


async def test_what_a_model_cannot_look_at_is_refused_before_it_is_sent(
    home: HomeAssistant, gateway: StandInGateway, media: Path
) -> None:
    (media / "song.mp3").write_bytes(b"la la la")
    with pytest.raises(HomeAssistantError, match=r"song\.mp3"):
        await look_at(home, "song.mp3")
    (media / "door.png").write_bytes(PNG)
    with (
        patch.object(attachments, "MAX_BYTES", len(PNG)),
        pytest.raises(HomeAssistantError, match="one too many"),
    ):
        await look_at(home, "door.png", "door.png")
    assert gateway.requests == []
