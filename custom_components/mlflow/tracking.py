"""Client of the Tracking app: MLflow's experiments, prompts and traces over its REST API."""

import json
from dataclasses import dataclass, field
from typing import Any, Self

from homeassistant.util.yaml import parse_yaml

from .const import EXPERIMENT_NAME
from .errors import AppAnswerError, NotThisAppError
from .transport import Transport

_API = "api/2.0/mlflow"
_MISSING = "RESOURCE_DOES_NOT_EXIST"
_EXISTS = "RESOURCE_ALREADY_EXISTS"
# How MLflow marks prompts among its registered models: mlflow/prompt/constants.py.
_TAG_IS_PROMPT = "mlflow.prompt.is_prompt"
_TAG_TEXT = "mlflow.prompt.text"
_TAG_TYPE = "_mlflow_prompt_type"
_TAG_MODEL_CONFIG = "_mlflow_prompt_model_config"
_TAG_EXPERIMENTS = "_mlflow_experiment_ids"


@dataclass(frozen=True, slots=True)
class PromptReference:
    """Which version of a prompt is meant: the one behind an alias, or one by its number."""

    name: str
    alias: str | None = None
    version: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `name@alias` or `name/version`; ValueError for anything else."""
        name, at, alias = text.strip().partition("@")
        if at and name and alias:
            return cls(name, alias=alias)
        name, _, version = text.strip().rpartition("/")
        if not name or not version.isdecimal():
            raise ValueError(text)
        return cls(name, version=int(version))

    def __str__(self) -> str:
        return f"{self.name}@{self.alias}" if self.alias else f"{self.name}/{self.version}"


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat prompt; `content` is a template."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class PromptVersion:
    """A prompt version: a text prompt is one system message. `settings`: MLflow's model_config."""

    name: str
    version: int
    messages: tuple[Message, ...]
    settings: dict[str, Any] = field(default_factory=dict)


class TrackingClient:
    """MLflow's REST API. Every method raises AppError; what is not there is None."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def check(self) -> None:
        """Raise an AppError unless MLflow answers."""
        answer = await self._call("POST", "experiments/search", {"max_results": 1})
        if not isinstance(answer, dict) or not answer.keys() <= {"experiments", "next_page_token"}:
            raise NotThisAppError(self._transport.app)

    async def experiment_id(self, name: str) -> str:
        """Return the id of the experiment of this name; it is made, or restored, when need be."""
        try:
            answer = await self._get("experiments/get-by-name", experiment_name=name)
        except AppAnswerError as error:
            if error.code != _MISSING:
                raise
            return await self._make_experiment(name)
        experiment = self._part(answer, "experiment")
        if experiment["lifecycle_stage"] == "deleted":
            body = {"experiment_id": experiment["experiment_id"]}
            await self._call("POST", "experiments/restore", body)
        return str(experiment["experiment_id"])

    async def _make_experiment(self, name: str) -> str:
        try:
            answer = await self._call("POST", "experiments/create", {"name": name})
        except AppAnswerError as error:
            if error.code != _EXISTS:
                raise
            # prompts and traces both want a new home's experiment at once
            answer = await self._get("experiments/get-by-name", experiment_name=name)
            return str(self._part(answer, "experiment")["experiment_id"])
        return str(self._part(answer, "experiment_id"))

    async def prompt(self, reference: PromptReference) -> PromptVersion | None:
        """Return the version that a reference means now, or None when there is none."""
        try:
            if reference.alias is not None:
                answer = await self._get(
                    "registered-models/alias", name=reference.name, alias=reference.alias
                )
            else:
                answer = await self._get(
                    "model-versions/get", name=reference.name, version=str(reference.version)
                )
        except AppAnswerError as error:
            # MLflow says INVALID_PARAMETER_VALUE for an alias that is not set
            if error.status in (400, 404):
                return None
            raise
        return _prompt_version(self._part(answer, "model_version"))

    async def prompts(self) -> list[PromptReference]:
        """Return a reference for each alias of each prompt, sorted by name."""
        answer = await self._get(
            "registered-models/search",
            filter=f"tags.`{_TAG_IS_PROMPT}` = 'true'",
            max_results="200",
        )
        return [
            PromptReference(model["name"], alias=alias["alias"])
            for model in sorted(answer.get("registered_models", []), key=lambda m: m["name"])
            for alias in model.get("aliases", [])
        ]

    async def create_prompt(self, name: str, experiment_id: str) -> bool:
        """Create an empty prompt that the experiment's page lists; False when it was there."""
        tags = {_TAG_IS_PROMPT: "true", _TAG_EXPERIMENTS: f",{experiment_id},"}
        try:
            await self._call(
                "POST", "registered-models/create", {"name": name, "tags": _tags(tags)}
            )
        except AppAnswerError as error:
            if error.code != _EXISTS:
                raise
            return False
        return True

    async def create_prompt_version(self, name: str, text: str, description: str) -> int:
        """Add a text version to a prompt and return its number."""
        tags = {_TAG_IS_PROMPT: "true", _TAG_TEXT: text, _TAG_TYPE: "text"}
        answer = await self._call(
            "POST",
            "model-versions/create",
            {
                "name": name,
                "source": "dummy-source",  # as MLflow's own client writes it: a prompt has none
                "description": description,
                "tags": _tags(tags),
            },
        )
        return int(self._part(answer, "model_version")["version"])

    async def set_alias(self, name: str, alias: str, version: int) -> None:
        """Let an alias of a prompt mean this version."""
        body = {"name": name, "alias": alias, "version": str(version)}
        await self._call("POST", "registered-models/alias", body)

    async def export_trace(self, otlp: bytes, experiment_id: str) -> None:
        """Store spans, given as OTLP JSON (an ExportTraceServiceRequest); storing twice is once."""
        await self._transport.json(
            "POST", "v1/traces", body=otlp, headers={"x-mlflow-experiment-id": experiment_id}
        )

    async def add_assessment(self, trace_id: str, assessment: bytes) -> None:
        """Attach feedback or an expectation to a stored trace; `assessment` is JSON."""
        body = b'{"assessment":' + assessment + b"}"
        path = f"api/3.0/mlflow/traces/{trace_id}/assessments"
        await self._transport.json("POST", path, body=body)

    async def dataset_id(self, name: str, experiment_id: str) -> str:
        """Return the id of an experiment's dataset of this name; it is made when need be.

        MLflow lets two datasets have the same name, so all are looked at: the oldest is meant.
        """
        page: dict[str, Any] = {
            "experiment_ids": [experiment_id],
            "order_by": ["created_time ASC"],
            "max_results": 1000,
        }
        while True:
            answer = await self._datasets("search", page)
            for dataset in answer.get("datasets", []):
                if dataset["name"] == name:
                    return str(dataset["dataset_id"])
            if not answer.get("next_page_token"):
                break
            page["page_token"] = answer["next_page_token"]
        body = {"name": name, "experiment_ids": [experiment_id]}
        dataset = self._part(await self._datasets("create", body), "dataset")
        return str(dataset["dataset_id"])

    async def put_dataset_record(self, dataset_id: str, record: bytes) -> None:
        """Store a record, given as JSON; one with the same inputs takes its expectations and tags."""
        await self._datasets(f"{dataset_id}/records", {"records": f"[{record.decode()}]"})

    async def _datasets(self, path: str, body: dict[str, Any]) -> Any:
        return await self._transport.json("POST", f"api/3.0/mlflow/datasets/{path}", body=body)

    async def search_traces(self, session: str | None, limit: int) -> list[dict[str, Any]]:
        """Return the newest traces of the home (MLflow's trace infos), of one session or of all."""
        experiment = {"experiment_id": await self.experiment_id(EXPERIMENT_NAME)}
        body: dict[str, Any] = {
            "locations": [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": experiment}],
            "max_results": limit,
            "order_by": ["timestamp_ms DESC"],
        }
        if session is not None:
            body["filter"] = f"metadata.`mlflow.trace.session` = '{session}'"
        answer = await self._transport.json("POST", "api/3.0/mlflow/traces/search", body=body)
        return list(answer.get("traces", []))

    async def link_prompt(self, trace_id: str, name: str, version: int) -> None:
        """Tell MLflow with which prompt version a stored trace was made.

        Its search asks for the link, and its pages read the tag.
        """
        versions = [{"name": name, "version": str(version)}]
        body = {"trace_id": trace_id, "prompt_versions": versions}
        await self._call("POST", "traces/link-prompts", body)
        tag = {"key": "mlflow.linkedPrompts", "value": json.dumps(versions)}
        await self._call("PATCH", f"traces/{trace_id}/tags", tag)

    async def promptlab_template(self, run_id: str) -> str | None:
        """Return the whole prompt template of a PromptLab run; None when it is no such run.

        The run's parameter holds 6,000 characters of it, the file beside its model all of them.
        """
        path = {"run_uuid": run_id, "path": "model/parameters.yaml"}
        try:
            async with self._transport.open("GET", "get-artifact", params=path) as response:
                text = await response.text()
        except AppAnswerError as error:
            if error.status in (400, 404, 500):
                return None
            raise
        parameters = parse_yaml(text)
        if not isinstance(parameters, dict) or "prompt_template" not in parameters:
            return None
        return str(parameters["prompt_template"])

    def _part(self, answer: Any, key: str) -> Any:
        """Return a part of an answer of MLflow, which another server's answer does not have."""
        if not isinstance(answer, dict) or key not in answer:
            raise NotThisAppError(self._transport.app)
        return answer[key]

    async def _get(self, path: str, **params: str) -> Any:
        return await self._transport.json("GET", f"{_API}/{path}", params=params)

    async def _call(self, method: str, path: str, body: dict[str, Any]) -> Any:
        return await self._transport.json(method, f"{_API}/{path}", body=body)


def _tags(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _prompt_version(answer: dict[str, Any]) -> PromptVersion:
    tags = {tag["key"]: tag["value"] for tag in answer.get("tags", [])}
    text = tags.get(_TAG_TEXT, "")
    if tags.get(_TAG_TYPE) == "chat":
        messages = tuple(Message(m["role"], m["content"]) for m in json.loads(text))
    else:
        messages = (Message("system", text),)
    return PromptVersion(
        name=answer["name"],
        version=int(answer["version"]),
        messages=messages,
        settings=json.loads(tags.get(_TAG_MODEL_CONFIG) or "{}"),
    )
