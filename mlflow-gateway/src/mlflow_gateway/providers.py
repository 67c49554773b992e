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
SECRET_FIELDS = frozenset(
    {
        "api_key",
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
        "vertex_credentials",
    }
)

# Stands where MLflow's configuration demands a key and the server needs none (llama.cpp, vLLM).
NO_KEY = "not-needed"


@dataclass(frozen=True, slots=True)
class ProviderType:
    """One value of the option `providers[].type`.

    `keys` maps an option field to its place in the `model.config` of MLflow's gateway configuration
    (mlflow/gateway/config.py, dots for nesting). `api_base` is the OpenAI-compatible address to
    which requests are forwarded as they are; without one, MLflow's provider class translates.
    """

    name: str
    mlflow_name: str
    keys: Mapping[str, str]
    required: frozenset[str] = frozenset({"api_key"})
    forwarded: bool = True
    api_base: str | None = None
    endpoint_types: frozenset[str] = field(default=frozenset(ENDPOINT_TYPES))
    needs_package: str | None = None


def _openai_like(name: str, api_base: str, mlflow_prefix: str = "") -> ProviderType:
    keys = {field: mlflow_prefix + field for field in ("api_key", "api_base")}
    return ProviderType(name, name, keys, api_base=api_base)


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
    ProviderType(
        "openai-compatible",
        "openai",
        {"api_key": "openai_api_key", "api_base": "openai_api_base"},
        required=frozenset({"api_base"}),
    ),
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
    ProviderType(
        "ollama",
        "ollama",
        {"api_key": "api_key", "api_base": "api_base"},
        required=frozenset({"api_base"}),
    ),
    _openai_like("openrouter", "https://openrouter.ai/api/v1"),
    _openai_like("groq", "https://api.groq.com/openai/v1"),
    _openai_like("deepseek", "https://api.deepseek.com/v1"),
    _openai_like("xai", "https://api.x.ai/v1"),
    _openai_like("mistral", "https://api.mistral.ai/v1", "mistral_"),
    _openai_like("togetherai", "https://api.together.xyz/v1", "togetherai_"),
    ProviderType(
        "anthropic",
        "anthropic",
        {"api_key": "anthropic_api_key", "api_base": "anthropic_api_base"},
        forwarded=False,
        endpoint_types=frozenset({"chat"}),
    ),
    ProviderType(
        "gemini",
        "gemini",
        {"api_key": "gemini_api_key", "api_base": "gemini_api_base"},
        forwarded=False,
    ),
    ProviderType(
        "bedrock",
        "bedrock",
        {
            "api_key": "aws_config.aws_bearer_token",
            "aws_region": "aws_config.aws_region",
            "aws_access_key_id": "aws_config.aws_access_key_id",
            "aws_secret_access_key": "aws_config.aws_secret_access_key",
            "aws_session_token": "aws_config.aws_session_token",
        },
        required=frozenset({"aws_region"}),
        forwarded=False,
        endpoint_types=frozenset({"chat", "embeddings"}),
        needs_package="boto3",
    ),
    ProviderType(
        "vertex_ai",
        "vertex_ai",
        {
            "vertex_project": "vertex_project",
            "vertex_location": "vertex_location",
            "vertex_credentials": "vertex_credentials",
        },
        required=frozenset({"vertex_project", "vertex_credentials"}),
        forwarded=False,
        endpoint_types=frozenset({"chat"}),
        needs_package="google.auth",
    ),
    ProviderType(
        "cohere",
        "cohere",
        {"api_key": "cohere_api_key"},
        forwarded=False,
        endpoint_types=frozenset({"chat", "embeddings"}),
    ),
    ProviderType(
        "litellm",
        "litellm",
        {
            "api_key": "litellm_auth_config.api_key",
            "api_base": "litellm_auth_config.api_base",
            "litellm_provider": "litellm_provider",
        },
        required=frozenset({"litellm_provider"}),
        forwarded=False,
        endpoint_types=frozenset({"chat", "embeddings"}),
        needs_package="litellm",
    ),
)

PROVIDER_TYPES: Mapping[str, ProviderType] = {each.name: each for each in _ALL}

# Every field that a provider may have in the options, besides `name` and `type`.
PROVIDER_FIELDS: tuple[str, ...] = tuple(dict.fromkeys(key for each in _ALL for key in each.keys))
