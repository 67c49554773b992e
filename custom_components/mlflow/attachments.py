"""Makes pictures and documents that came with a request into parts of an OpenAI message."""

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from homeassistant.components import conversation
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError

from .const import DOMAIN

# The Supervisor's ingress takes 16 MiB in all, and base64 makes four bytes of three.
MAX_BYTES = 11 * 1024 * 1024
_PDF = "application/pdf"


async def async_read_attachments(
    hass: HomeAssistant, contents: Iterable[conversation.Content]
) -> dict[Path, dict[str, Any]]:
    """Read all attachments of a chat log; raises HomeAssistantError that names the one at fault."""
    attachments = [
        attachment
        for content in contents
        if isinstance(content, conversation.UserContent)
        for attachment in content.attachments or []
    ]
    if not attachments:
        return {}
    return await hass.async_add_executor_job(_read, attachments)


def _read(attachments: list[conversation.Attachment]) -> dict[Path, dict[str, Any]]:
    parts: dict[Path, dict[str, Any]] = {}
    total = 0
    for attachment in attachments:
        mime_type = attachment.mime_type.partition(";")[0].strip().lower()
        if not mime_type.startswith("image/") and mime_type != _PDF:
            raise _fault("attachment_type", attachment, mime_type=mime_type)
        try:
            content = attachment.path.read_bytes()
        except OSError as error:
            raise _fault("attachment_unreadable", attachment, reason=str(error)) from error
        total += len(content)
        if total > MAX_BYTES:
            raise _fault("attachments_too_large", attachment, limit=str(MAX_BYTES // 1_048_576))
        data = f"data:{mime_type};base64,{base64.b64encode(content).decode()}"
        parts[attachment.path] = _part(attachment.path, mime_type, data)
    return parts


def _part(path: Path, mime_type: str, data: str) -> dict[str, Any]:
    if mime_type == _PDF:
        return {"type": "file", "file": {"filename": path.name, "file_data": data}}
    return {"type": "image_url", "image_url": {"url": data}}


def _fault(
    key: str, attachment: conversation.Attachment, **placeholders: str
) -> HomeAssistantError:
    return HomeAssistantError(
        translation_domain=DOMAIN,
        translation_key=key,
        translation_placeholders={"file": attachment.path.name, **placeholders},
    )
