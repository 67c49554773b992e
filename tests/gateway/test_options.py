"""Options become routes and secrets; each fault is a sentence that names the option."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.gateway.process import PYTHON, ROOT, run, write_options

from mlflow_gateway import options, providers, routes
from mlflow_gateway.policy import POLICY_FIELDS

KEY = "sk-never-in-a-message"
OPENAI = {"name": "main", "type": "openai", "api_key": KEY}
CHAT = {"name": "chat", "provider": "main", "model": "gpt-x", "type": "chat"}


def _with(
    providers: list[Any] | None = None, endpoints: list[Any] | None = None, **more: Any
) -> dict[str, Any]:
    return {
        "providers": [OPENAI] if providers is None else providers,
        "endpoints": [CHAT] if endpoints is None else endpoints,
        **more,
    }


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            _with([{**OPENAI, "type": "opena"}]),
            'providers[0] "main": type "opena" does not exist; use one of anthropic, azure,',
        ),
        (
            _with(endpoints=[CHAT, {**CHAT, "name": "b", "provider": "mian"}]),
            'endpoints[1] "b": provider "mian" does not exist; use one of main.',
        ),
        (_with([]), 'endpoints[0] "chat": provider "main" does not exist; add it first.'),
        (_with(endpoints=[CHAT, CHAT]), 'endpoints[1] "chat": this name is used twice;'),
        (_with([OPENAI, OPENAI]), 'providers[1] "main": this name is used twice;'),
        (_with([{**OPENAI, "api_key": " "}]), 'providers[0] "main": api_key is empty;'),
        (_with([{**OPENAI, "name": ""}]), "providers[0]: has no name;"),
        (
            _with([OPENAI, {**OPENAI, "name": ""}], [{**CHAT, "provider": "zz"}]),
            'endpoints[0] "chat": provider "zz" does not exist; use one of main.',
        ),
        (
            _with([{**OPENAI, "api_key": f"{KEY}\n{KEY}"}]),
            'providers[0] "main": api_key holds a line break or another control character;',
        ),
        *(
            (
                _with([{**OPENAI, "api_base": address}]),
                'providers[0] "main": api_base must be an address such as http://',
            )
            for address in ("http://x y/v1", "http://x/\nv1", "http://x:99999", "x:1", "ftp://x")
        ),
        *(
            (
                _with(endpoints=[{**CHAT, option: value}]),
                f'endpoints[0] "chat": {option} must be a number.',
            )
            for option, value in (
                ("retries", float("inf")),
                ("total_timeout", float("nan")),
                ("idle_timeout", "1,5"),
                ("calls_per_minute", True),
            )
        ),
        (
            _with(endpoints=[{**CHAT, "model": "gpt\nx"}]),
            'endpoints[0] "chat": model holds a line break',
        ),
        (
            _with([{**OPENAI, "organization": "a\rb"}]),
            'providers[0] "main": organization holds a line break',
        ),
        (_with([{**OPENAI, "aws_region": "eu"}]), 'providers[0] "main": aws_region has no meaning'),
        (_with([{**OPENAI, "api_base": "localhost"}]), 'providers[0] "main": api_base must be an'),
        (_with([{**OPENAI, "api_base": "http://u:p@h"}]), 'providers[0] "main": api_base must not'),
        (_with([{**OPENAI, "api_base": "http://h:x"}]), 'providers[0] "main": api_base must be an'),
        (_with([{"name": "main", "type": "ollama"}]), 'providers[0] "main": api_base is empty;'),
        (_with([{**OPENAI, "type": "azure"}]), 'providers[0] "main": api_version is empty;'),
        (
            _with([{"name": "main", "type": "bedrock", "aws_region": "eu-west-1"}]),
            'providers[0] "main": api_key is empty;',
        ),
        (
            _with([{**OPENAI, "type": "anthropic"}], [{**CHAT, "type": "embeddings"}]),
            'endpoints[0] "chat": a provider of type "anthropic" has no embeddings; use chat,',
        ),
        (_with(endpoints=[{**CHAT, "name": "a/b"}]), 'endpoints[0] "a/b": a name may hold'),
        (_with(endpoints=[{**CHAT, "name": ""}]), "endpoints[0]: has no name;"),
        (_with(endpoints=[{**CHAT, "model": ""}]), 'endpoints[0] "chat": has no model;'),
        (_with(endpoints=[{**CHAT, "type": "talk"}]), 'endpoints[0] "chat": type "talk" does not'),
        (_with(endpoints=["chat"]), "endpoints[0]: must have fields such as `name`"),
        ({"providers": {}}, "providers: must be a list;"),
        (_with(api_tokens=[{"token": "short"}]), "api_tokens[0]: the token has fewer than 16"),
        (_with(log_level="loud"), 'log_level: "loud" does not exist; use one of debug, info,'),
    ],
)
def test_a_fault_is_a_sentence(tmp_path: Path, given: dict[str, Any], sentence: str) -> None:
    write_options(tmp_path, given)
    with pytest.raises(options.OptionsError) as caught:
        options.load(tmp_path / "options.json")
    assert [fault for fault in caught.value.faults if fault.startswith(sentence)], (
        caught.value.faults
    )
    assert all(fault.endswith(".") for fault in caught.value.faults)
    assert KEY not in str(caught.value)


def test_prepare_names_every_fault_at_once_and_no_key(tmp_path: Path) -> None:
    broken = _with([{**OPENAI, "type": "opena"}], [{**CHAT, "name": "a/b", "model": ""}])
    write_options(tmp_path, broken)
    result = run("prepare", tmp_path)
    assert result.returncode == 1
    headline, *faults = result.stderr.splitlines()
    assert headline.endswith(" ERROR The app did not start: 3 faults in its options:")
    assert len(faults) == 3
    assert KEY not in result.stdout + result.stderr
    assert not (tmp_path / "run/routes.yaml").exists()


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_broken_file_is_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "options.json").write_text(text)
    result = run("prepare", tmp_path)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) == 2


def test_serve_without_prepare_is_a_sentence(tmp_path: Path) -> None:
    write_options(tmp_path, _with())
    result = run("serve", tmp_path)
    assert result.returncode == 1
    assert result.stderr.endswith("routes.yaml is missing: run `prepare` first.\n")


def test_prepare_keeps_the_token_and_writes_no_secret(tmp_path: Path) -> None:
    write_options(tmp_path, _with())
    assert run("prepare", tmp_path).returncode == 0
    token = tmp_path / "data/token"
    first = token.read_text()
    assert len(first.strip()) >= 32
    assert token.stat().st_mode & 0o777 == 0o600
    assert run("prepare", tmp_path).returncode == 0
    assert token.read_text() == first
    written = (tmp_path / "run/routes.yaml").read_text()
    assert KEY not in written
    assert "$PROVIDER_0_API_KEY" in written


EVERY_TYPE = [
    OPENAI,
    {"name": "any", "type": "openai-compatible", "api_base": "http://10.0.0.2:8080"},
    {
        "name": "azure",
        "type": "azure",
        "api_key": KEY,
        "api_base": "https://x.openai.azure.com",
        "api_version": "2025-01-01",
    },
    {"name": "ollama", "type": "ollama", "api_base": "http://10.0.0.2:11434"},
    *(
        {"name": kind, "type": kind, "api_key": KEY}
        for kind in (
            "openrouter",
            "groq",
            "deepseek",
            "xai",
            "mistral",
            "togetherai",
            "anthropic",
            "gemini",
            "cohere",
        )
    ),
    {
        "name": "vertex",
        "type": "vertex_ai",
        "vertex_project": "home",
        "vertex_location": "europe-west1",
        "vertex_credentials": json.dumps({"type": "service_account", "private_key": KEY}),
    },
]


def _load_as_mlflow(file: Path, environ: dict[str, str]) -> dict[str, Any]:
    """What MLflow's own loader makes of the file, in the environment that the image has."""
    script = (
        "import sys, json; from mlflow_gateway.adapter import _let_mlflow_import as f; f();"
        "from mlflow.gateway.config import _load_gateway_config;"
        "c = _load_gateway_config(sys.argv[1]);"
        "print(json.dumps([e.model_dump(mode='json') for e in c.endpoints]))"
    )
    environment = {**os.environ, **environ, "MLFLOW_GATEWAY_RESOLVE_API_KEY_FROM_ENV": "true"}
    result = subprocess.run(
        [PYTHON, "-c", script, file], env=environment, capture_output=True, text=True, check=True
    )
    return {each["name"]: each for each in json.loads(result.stdout.splitlines()[-1])}


def test_mlflows_own_loader_reads_every_provider_type(tmp_path: Path) -> None:
    endpoints = [
        {"name": f"e-{p['name']}", "provider": p["name"], "model": "m"} for p in EVERY_TYPE
    ]
    write_options(tmp_path, _with(EVERY_TYPE, endpoints))
    assert run("prepare", tmp_path).returncode == 0
    checked = options.load(tmp_path / "options.json")
    loaded = _load_as_mlflow(tmp_path / "run/routes.yaml", routes.secrets(checked))
    assert set(loaded) == {each["name"] for each in endpoints}
    assert loaded["e-main"]["model"]["config"]["openai_api_key"] == KEY
    assert loaded["e-any"]["model"]["config"]["openai_api_base"] == "http://10.0.0.2:8080"
    assert loaded["e-azure"]["model"]["config"]["openai_deployment_name"] == "m"
    assert loaded["e-mistral"]["model"]["config"]["mistral_api_key"] == KEY


def test_routes_read_back_hold_what_the_options_said(tmp_path: Path) -> None:
    endpoints = [
        {"name": f"e-{p['name']}", "provider": p["name"], "model": "m"} for p in EVERY_TYPE
    ]
    write_options(tmp_path, _with(EVERY_TYPE, endpoints))
    checked = options.load(tmp_path / "options.json")
    file = tmp_path / "routes.yaml"
    file.write_text(routes.dump(checked))
    for route, endpoint in zip(
        routes.load(file, routes.secrets(checked)), checked.endpoints, strict=True
    ):
        assert (route.name, route.model, route.provider) == (
            endpoint.name,
            endpoint.model,
            endpoint.provider.name,
        )
        assert dict(route.fields) == dict(endpoint.provider.fields)
        assert KEY not in repr(route)


def test_the_declaration_and_the_code_know_the_same_types() -> None:
    declared = yaml.safe_load((ROOT / "mlflow-gateway/config.yaml").read_text())
    provider = declared["schema"]["providers"][0]
    assert provider["type"] == f"list({'|'.join(providers.PROVIDER_TYPES)})"
    assert set(provider) == {"name", "type", *providers.PROVIDER_FIELDS}
    endpoint = declared["schema"]["endpoints"][0]
    assert set(endpoint) == {"name", "provider", "model", "type", *POLICY_FIELDS}
    assert endpoint["type"] == f"list({'|'.join(providers.ENDPOINT_TYPES)})?"
    assert declared["schema"]["log_level"] == f"list({'|'.join(options.LOG_LEVELS)})"
