"""Makes a version of a prompt from a PromptLab run: the step that MLflow's interface lacks.

`POST /api/home-assistant/prompt-versions {"run_id": ..., "name": ..., "alias": ...}` answers
`{"name", "version", "run_id"}`. The version holds the template, the model's parameters and the run's
id; `alias` may be left out.
"""

import json
from typing import Any

import yaml
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from .rest import Mlflow, MlflowError

PATH = "/api/home-assistant/prompt-versions"

# MLflow keeps at most so much of a run's parameter; the whole template is in the model's files.
_LONGEST_PARAMETER = 6000
_IS_PROMPT = {"key": "mlflow.prompt.is_prompt", "value": "true"}


class NotAPromptLabRunError(Exception):
    """The run was not made by PromptLab, or is not there."""


class PromptVersions:
    """Answers the one path and passes every other request on."""

    def __init__(self, app: ASGIApp, mlflow: Mlflow) -> None:
        self._app = app
        self._mlflow = mlflow

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        app = self._app
        if scope["path"] == PATH and scope["method"] == "POST":
            app = await self._answer(Request(scope, receive))
        await app(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        try:
            asked = await request.json()
            run_id, name, alias = asked["run_id"], asked["name"], asked.get("alias")
        except (ValueError, KeyError, TypeError, AttributeError):
            return _refusal("The request needs a JSON object with run_id and name.")
        try:
            version = await run_in_threadpool(_make_version, self._mlflow, run_id, name, alias)
        except NotAPromptLabRunError as error:
            return _refusal(str(error))
        except MlflowError as error:
            # MLflow's own words about the run, the name or the alias.
            return JSONResponse(error.body, error.status)
        return JSONResponse({"name": name, "version": version, "run_id": run_id})


def _refusal(sentence: str) -> Response:
    return JSONResponse({"error_code": "INVALID_PARAMETER_VALUE", "message": sentence}, 400)


def _make_version(mlflow: Mlflow, run_id: str, name: str, alias: str | None) -> str:
    run = mlflow.call("GET", f"2.0/mlflow/runs/get?run_id={run_id}")["run"]
    params = {item["key"]: item["value"] for item in run["data"].get("params", [])}
    if "prompt_template" not in params:
        raise NotAPromptLabRunError(f"Run {run_id} was not made by PromptLab: it has no template.")
    experiment = run["info"]["experiment_id"]
    _ensure_prompt(mlflow, name, experiment)
    body = {
        "name": name,
        "source": "dummy-source",  # what MLflow's own client writes for a prompt
        "run_id": run_id,
        "description": f"From the PromptLab run {run['info'].get('run_name', run_id)}",
        "tags": [
            _IS_PROMPT,
            {"key": "mlflow.prompt.text", "value": _template(mlflow, run_id, params)},
            {"key": "_mlflow_prompt_type", "value": "text"},
            {"key": "_mlflow_prompt_model_config", "value": json.dumps(_model_config(params))},
            {"key": "promptlab_run_id", "value": run_id},
        ],
    }
    made = mlflow.call("POST", "2.0/mlflow/model-versions/create", body)["model_version"]
    version = str(made["version"])
    if alias:
        body = {"name": name, "alias": alias, "version": version}
        mlflow.call("POST", "2.0/mlflow/registered-models/alias", body)
    return version


def _ensure_prompt(mlflow: Mlflow, name: str, experiment: str) -> None:
    experiments = {"key": "_mlflow_experiment_ids", "value": f",{experiment},"}
    body = {"name": name, "tags": [_IS_PROMPT, experiments]}
    try:
        mlflow.call("POST", "2.0/mlflow/registered-models/create", body)
    except MlflowError as error:
        if error.body.get("error_code") != "RESOURCE_ALREADY_EXISTS":
            raise


def _template(mlflow: Mlflow, run_id: str, params: dict[str, str]) -> str:
    template = params["prompt_template"]
    if len(template) < _LONGEST_PARAMETER:
        return template
    kept = mlflow.artifact(run_id, "model/parameters.yaml")
    return str(yaml.safe_load(kept)["prompt_template"])


def _model_config(params: dict[str, str]) -> dict[str, Any]:
    """The run's model and parameters under the names that MLflow's prompts use."""
    config: dict[str, Any] = {"model_name": params["model_route"]}
    for name, read in (("temperature", float), ("max_tokens", int), ("top_p", float)):
        if name in params:
            config[name] = read(params[name])
    if "stop" in params:
        stop = yaml.safe_load(params["stop"])
        config["stop_sequences"] = stop if isinstance(stop, list) else [str(stop)]
    return config
