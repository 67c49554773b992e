"""Prices per model, from the catalogue that MLflow ships with its package."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

# Provider type -> files of mlflow/utils/model_catalog, the first that knows the model counts.
_CATALOGUES = {
    "openai": ("openai",),
    "azure": ("azure", "openai"),
    "openrouter": ("openrouter",),
    "groq": ("groq",),
    "deepseek": ("deepseek",),
    "xai": ("xai",),
    "mistral": ("mistral",),
    "togetherai": ("together_ai",),
    "anthropic": ("anthropic",),
    "gemini": ("gemini",),
    "bedrock": ("bedrock",),
    "vertex_ai": ("vertex_ai",),
    "cohere": ("cohere_chat", "cohere"),
}

# What runs at home costs nothing per token.
_FREE = frozenset({"ollama"})


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens: those sent, those of them read from a cache, those made."""

    input: float
    cached: float
    output: float

    def of(self, input_tokens: int, cached_tokens: int, output_tokens: int) -> float:
        """US dollars for one call. `cached_tokens` are part of `input_tokens`."""
        fresh = input_tokens - cached_tokens
        dear = fresh * self.input + cached_tokens * self.cached + output_tokens * self.output
        return dear / 1e6


def look_up(provider_type: str, model: str) -> Price | None:
    """The price of a provider's model, or None where the catalogue does not know it."""
    if provider_type in _FREE:
        return Price(0, 0, 0)
    for name in _CATALOGUES.get(provider_type, ()):
        entry = _models(name).get(model) or {}
        pricing = entry.get("pricing") or {}
        if (price := pricing.get("input_per_million_tokens")) is not None:
            return Price(
                input=price,
                cached=pricing.get("cache_read_per_million_tokens", price),
                output=pricing.get("output_per_million_tokens", 0.0),
            )
    return None


def _models(catalogue: str) -> dict[str, Any]:
    for folder in _folders():
        file = folder / f"{catalogue}.json"
        if file.is_file():
            models = json.loads(file.read_text(encoding="utf-8"))["models"]
            assert isinstance(models, dict)  # noqa: S101 -- the catalogue's own schema
            return models
    return {}


def _folders() -> Iterable[Path]:
    spec = importlib.util.find_spec("mlflow")  # finds it without importing it
    for location in (spec and spec.submodule_search_locations) or ():
        yield Path(location) / "utils" / "model_catalog"
