"""Where and how a forwarded endpoint is called: the address and the headers of its provider."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from yarl import URL

from .providers import CHAT, COMPLETIONS, EMBEDDINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .routes import Route

_PATHS = {CHAT: "chat/completions", COMPLETIONS: "completions", EMBEDDINGS: "embeddings"}


@dataclass(frozen=True, slots=True)
class Target:
    """What does not change between two calls of a route."""

    url: URL
    headers: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Target({self.url.host})"


def target(route: Route) -> Target:
    """The target of a forwarded route."""
    key = route.fields.get("api_key")
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
    base = (route.fields.get("api_base") or route.provider_type.api_base or "").rstrip("/")
    path = _PATHS[route.endpoint_type]
    if route.provider_type.name == "azure":
        headers["api-key"] = key or ""
        deployment = quote(route.model, safe="")
        version = quote(route.fields["api_version"], safe="")
        address = f"{base}/openai/deployments/{deployment}/{path}?api-version={version}"
        return Target(URL(address, encoded=True), headers)
    if route.provider_type.api_base is None and urlsplit(base).path in ("", "/"):
        base += "/v1"  # users give the address of Ollama or llama.cpp without it
    if key:
        headers["Authorization"] = f"Bearer {key}"
    if organization := route.fields.get("organization"):
        headers["OpenAI-Organization"] = organization
    return Target(URL(f"{base}/{path}", encoded=True), headers)


def address(route: Route) -> tuple[str, int]:
    """Host and port of a route's provider, for a look whether it is there."""
    base = route.fields.get("api_base") or (route.provider_type.api_base or "").format_map(
        route.fields
    )
    parts = urlsplit(base)
    return parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443)
