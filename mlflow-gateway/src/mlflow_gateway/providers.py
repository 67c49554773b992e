"""The provider types: what each needs in the options, and how MLflow's gateway spells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

CHAT = "llm/v1/chat"
COMPLETIONS = "llm/v1/completions"
EMBEDDINGS = "llm/v1/embeddings"

ENDPOINT_TYPES: Mapping[str, str] = {
    "chat": CHAT,
    "completions": COMPLETIONS,
    "embeddings": EMBEDDINGS,
}

# Option fields whose values are credentials: written to routes.yaml as `$NAME`, never as themselves.
SECRET_FIELDS = frozenset({"api_key", "vertex_credentials"})

# Stands where MLflow's configuration demands a key and the server needs none (llama.cpp, vLLM).
NO_KEY = "not-needed"


@dataclass(frozen=True, slots=True)
class ProviderType:
    """One value of the option `providers[].type`.

    `keys` maps an option field to its place in the `model.config` of MLflow's gateway configuration
    (mlflow/gateway/config.py, dots for nesting). `api_base` is the address of a provider that has
    one of its own; a field's name in braces stands for that field. `forwarded`: requests go on as
    they are to this OpenAI-compatible address, else MLflow's provider class translates them.
    `asks_usage`: the provider counts a stream's tokens when asked with `stream_options`; the others
    count them always. `lacks`: members of a chat request that the class would drop in silence, and
    `images` for those in messages.
    """

    name: str
    mlflow_name: str
    keys: Mapping[str, str]
    required: frozenset[str] = frozenset({"api_key"})
    forwarded: bool = True
    api_base: str | None = None
    endpoint_types: frozenset[str] = field(default=frozenset(ENDPOINT_TYPES))
    asks_usage: bool = True
    lacks: frozenset[str] = frozenset()


def _hosted(name: str, api_base: str, prefix: str = "", *, asks_usage: bool = True) -> ProviderType:
    """A provider with an OpenAI-compatible address, whose fields MLflow prefixes or not."""
    keys = {field: prefix + field for field in ("api_key", "api_base")}
    return ProviderType(name, name, keys, api_base=api_base, asks_usage=asks_usage)


def _addressed(name: str, mlflow_name: str, prefix: str = "") -> ProviderType:
    """A server of the user's own, which may do without a key."""
    keys = {field: prefix + field for field in ("api_key", "api_base")}
    return ProviderType(name, mlflow_name, keys, required=frozenset({"api_base"}))


_ALL = (
    ProviderType(
        "openai",
        "openai",
        {
            "api_key": "openai_api_key",
            "api_base": "openai_api_base",
            "organization": "openai_organization",
        },
        api_base="https://api.openai.com/v1",
    ),
    _addressed("openai-compatible", "openai", "openai_"),
    ProviderType(
        "azure",
        "azure",
        {
            "api_key": "openai_api_key",
            "api_base": "openai_api_base",
            "api_version": "openai_api_version",
        },
        required=frozenset({"api_key", "api_base", "api_version"}),
    ),
    _addressed("ollama", "ollama"),
    _hosted("openrouter", "https://openrouter.ai/api/v1"),
    _hosted("groq", "https://api.groq.com/openai/v1"),
    _hosted("deepseek", "https://api.deepseek.com/v1"),
    _hosted("xai", "https://api.x.ai/v1"),
    _hosted("mistral", "https://api.mistral.ai/v1", "mistral_", asks_usage=False),
    _hosted("togetherai", "https://api.together.xyz/v1", "togetherai_", asks_usage=False),
    # Its own compatible address carries tools and schemas, which MLflow's class drops.
    _hosted("cohere", "https://api.cohere.ai/compatibility/v1", "cohere_"),
    # LiteLLM's proxy: its library, which MLflow's class calls, is three times this app's size.
    _addressed("litellm", "openai", "openai_"),
    ProviderType(
        "anthropic",
        "anthropic",
        {"api_key": "anthropic_api_key", "api_base": "anthropic_api_base"},
        forwarded=False,
        api_base="https://api.anthropic.com/v1",
        endpoint_types=frozenset({"chat"}),
    ),
    ProviderType(
        "gemini",
        "gemini",
        {"api_key": "gemini_api_key", "api_base": "gemini_api_base"},
        forwarded=False,
        api_base="https://generativelanguage.googleapis.com/v1beta/models",
    ),
    ProviderType(
        "bedrock",
        "bedrock",
        {
            "api_key": "aws_config.aws_bearer_token",
            "aws_region": "aws_config.aws_region",
            "api_base": "aws_config.api_base",
        },
        required=frozenset({"api_key", "aws_region"}),
        forwarded=False,
        api_base="https://bedrock-runtime.{aws_region}.amazonaws.com",
        endpoint_types=frozenset({"chat"}),
        lacks=frozenset({"tool_choice", "response_format", "images"}),
    ),
    ProviderType(
        "vertex_ai",
        "vertex_ai",
        {
            "vertex_project": "vertex_project",
            "vertex_location": "vertex_location",
            "vertex_credentials": "vertex_credentials",
            "api_base": "vertex_api_base",
        },
        required=frozenset({"vertex_project", "vertex_credentials"}),
        forwarded=False,
        api_base="https://aiplatform.googleapis.com",
        endpoint_types=frozenset({"chat"}),
    ),
)

PROVIDER_TYPES: Mapping[str, ProviderType] = {each.name: each for each in _ALL}

# Every field that a provider may have in the options, besides `name` and `type`.
PROVIDER_FIELDS: tuple[str, ...] = tuple(dict.fromkeys(key for each in _ALL for key in each.keys))
