"""A scripted language model behind OpenAI's API: the stand-in for a paid one, and it says so.

It knows a few sentences of a home ("turn on the kitchen lights", questions about states), calls the
tools it is offered, decides reasoned states, fills in JSON schemas, and otherwise repeats what it was
told. Same input, same output. It remembers a digest of each key it was called with, so that a test
can see which key an app used; the key itself is kept nowhere.
"""

import asyncio
import hashlib
import json
import re
import time
from collections import deque
from typing import Any

from aiohttp import web

from demo.reasoner import decide, logprobs

NAME = "scripted-model"
_WORD_SECONDS = 0.015
_COMMAND = re.compile(r"\bturn (?P<way>on|off) (?:the )?(?P<thing>[\w' ]+?)[.!?]*$", re.IGNORECASE)
# when and where it was said, which the integration notes after the words
_CIRCUMSTANCES = re.compile(r"\n\n\[[^\]]*\]$")
_QUESTION = re.compile(r"^(?:is|are|was|what|which|how|who|where|when)\b", re.IGNORECASE)

Message = dict[str, Any]


class ScriptedModel:
    """The server; `calls` holds what the last requests asked, without their keys."""

    def __init__(self) -> None:
        self.calls: deque[dict[str, Any]] = deque(maxlen=200)
        self.address = ""
        self._runner: web.AppRunner | None = None

    async def start(self, address: str = "127.0.0.1", port: int = 0) -> str:
        """Serve; returns the base address for `api_base`."""
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/completions", self._completions)
        app.router.add_post("/v1/embeddings", self._embeddings)
        app.router.add_get("/calls", self._seen)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, address, port)
        await site.start()
        self.address = f"http://{address}:{self._runner.addresses[0][1]}/v1"
        return self.address

    async def stop(self) -> None:
        """Stop serving."""
        if self._runner is not None:
            await self._runner.cleanup()

    def _note(self, request: web.Request, body: dict[str, Any]) -> None:
        key = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self.calls.append(
            {
                "path": request.path,
                "key_sha256": hashlib.sha256(key.encode()).hexdigest(),
                "model": body.get("model"),
                "stream": bool(body.get("stream")),
            }
        )

    async def _seen(self, _: web.Request) -> web.Response:
        return web.json_response(list(self.calls))

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response(
            {"object": "list", "data": [{"id": NAME, "object": "model", "owned_by": "demo"}]}
        )

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self._note(request, body)
        decision = decide(body)
        message: Message = {"content": decision.content} if decision else answer(body)
        finish = "tool_calls" if message.get("tool_calls") else "stop"
        usage = _usage(
            json.dumps(body.get("messages")),
            message.get("content") or json.dumps(message.get("tool_calls")),
        )
        head = {
            "id": _identifier(body),
            "created": int(time.time()),
            "model": body.get("model", NAME),
        }
        if body.get("stream"):
            return await self._stream(request, body, head, message, finish, usage)
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": None, **message},
            "finish_reason": finish,
            "logprobs": None,
        }
        if decision and body.get("logprobs"):
            choice["logprobs"] = logprobs(decision, body.get("top_logprobs") or 0)
        return web.json_response(
            {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
        )

    async def _stream(
        self,
        request: web.Request,
        body: dict[str, Any],
        head: dict[str, Any],
        message: Message,
        finish: str,
        usage: dict[str, int],
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)

        async def send(delta: dict[str, Any], reason: str | None = None) -> None:
            choice = {"index": 0, "delta": delta, "finish_reason": reason}
            chunk = {**head, "object": "chat.completion.chunk", "choices": [choice]}
            await response.write(f"data: {json.dumps(chunk)}\n\n".encode())

        await send({"role": "assistant", "content": ""})
        for word in re.findall(r"\S+\s*", message.get("content") or ""):
            await asyncio.sleep(_WORD_SECONDS)
            await send({"content": word})
        for index, call in enumerate(message.get("tool_calls", [])):
            function = call["function"]
            await send(
                {
                    "tool_calls": [
                        {
                            **call,
                            "index": index,
                            "function": {"name": function["name"], "arguments": ""},
                        }
                    ]
                }
            )
            middle = len(function["arguments"]) // 2
            for part in (function["arguments"][:middle], function["arguments"][middle:]):
                await send({"tool_calls": [{"index": index, "function": {"arguments": part}}]})
        await send({}, finish)
        if (body.get("stream_options") or {}).get("include_usage"):
            last = {**head, "object": "chat.completion.chunk", "choices": [], "usage": usage}
            await response.write(f"data: {json.dumps(last)}\n\n".encode())
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _completions(self, request: web.Request) -> web.Response:
        body = await request.json()
        self._note(request, body)
        prompt = body.get("prompt", "")
        text = _echo(prompt if isinstance(prompt, str) else " ".join(map(str, prompt)))
        return web.json_response(
            {
                "id": _identifier(body),
                "object": "text_completion",
                "created": int(time.time()),
                "model": body.get("model", NAME),
                "choices": [{"index": 0, "text": text, "finish_reason": "stop", "logprobs": None}],
                "usage": _usage(str(prompt), text),
            }
        )

    async def _embeddings(self, request: web.Request) -> web.Response:
        body = await request.json()
        self._note(request, body)
        inputs = body["input"] if isinstance(body["input"], list) else [body["input"]]
        vectors = [
            [byte / 255 for byte in hashlib.sha256(str(text).encode()).digest()[:8]]
            for text in inputs
        ]
        return web.json_response(
            {
                "object": "list",
                "model": body.get("model", NAME),
                "data": [
                    {"object": "embedding", "index": i, "embedding": v}
                    for i, v in enumerate(vectors)
                ],
                "usage": _usage(" ".join(map(str, inputs)), ""),
            }
        )


def answer(body: dict[str, Any]) -> Message:
    """Give the assistant's message to a chat request: text, a filled schema, or tool calls."""
    messages = body.get("messages", [])
    schema = (body.get("response_format") or {}).get("json_schema", {}).get("schema")
    if schema:
        return {"content": json.dumps(_filled(schema))}
    tools = {
        tool["function"]["name"]: tool["function"]
        for tool in body.get("tools") or []
        if "function" in tool
    }
    if messages and messages[-1].get("role") == "tool":
        return {"content": _conclusion(messages)}
    said = _text(next((m for m in reversed(messages) if m.get("role") == "user"), {}))
    said = _CIRCUMSTANCES.sub("", said)
    system = "\n".join(_text(m) for m in messages if m.get("role") in ("system", "developer"))
    return _command(said, system, tools) or _question(said, tools) or {"content": _echo(said)}


def _command(said: str, system: str, tools: dict[str, Any]) -> Message | None:
    found = _COMMAND.search(said.strip())
    if not found:
        return None
    tool = _tool(tools, "HassTurn" + found["way"].title())
    if tool is None:
        return {
            "content": "I was given no tool that switches things. Give this agent control of Home Assistant."
        }
    thing = found["thing"].strip()
    named = re.search(rf"\b{re.escape(thing)}\b", system, re.IGNORECASE)
    arguments: dict[str, Any] = {"name": named.group(0)} if named else {"name": thing}
    if not named and (room := re.fullmatch(r"(.+?) lights?", thing, re.IGNORECASE)):
        arguments = {"area": room[1], "domain": ["light"]}
    return _call(tool, arguments)


def _question(said: str, tools: dict[str, Any]) -> Message | None:
    tool = _tool(tools, "GetLiveContext")
    return _call(tool, {}) if tool and _QUESTION.search(said.strip()) else None


def _tool(tools: dict[str, Any], name: str) -> str | None:
    """Home Assistant puts the integration before a tool's name (`intent__HassTurnOn`)."""
    return next((full for full in tools if full.split("__")[-1] == name), None)


def _call(tool: str, arguments: dict[str, Any]) -> Message:
    content = json.dumps(arguments)
    identifier = "call_" + hashlib.sha256(f"{tool}{content}".encode()).hexdigest()[:12]
    return {
        "tool_calls": [
            {"id": identifier, "type": "function", "function": {"name": tool, "arguments": content}}
        ]
    }


def _conclusion(messages: list[Message]) -> str:
    """What is said once the tools have answered."""
    calls: list[Message] = next(
        (m["tool_calls"] for m in reversed(messages) if m.get("tool_calls")), []
    )
    result = _text(messages[-1])
    function = calls[-1]["function"] if calls else {"name": "", "arguments": "{}"}
    arguments = json.loads(function["arguments"] or "{}")
    name = function["name"].split("__")[-1]
    if re.search(r'"error"', result):
        return f"That did not work: {_short(result)}"
    if name.startswith("HassTurn"):
        thing = arguments.get("name") or f"{arguments.get('area', '')} lights".strip()
        return f"Turned {name.removeprefix('HassTurn').lower()} the {thing.lower()}."
    if name == "GetLiveContext":
        asked = _text(next(m for m in reversed(messages) if m.get("role") == "user"))
        return _looked_up(asked, result)
    return f"Done: {_short(result)}"


def _looked_up(asked: str, context: str) -> str:
    """Answer from the live context, a list of `names`, `domain`, `state`, `areas` and attributes."""
    words = set(re.findall(r"[a-z]+", asked.lower().replace("lights", "light")))
    things = [
        dict(re.findall(r"(names|domain|state|areas|unit_of_measurement): '?([^'\n]*)'?", block))
        for block in re.split(r"(?=\bnames: )", context.replace("\\n", "\n"))[1:]
    ]
    wanted = words & {"on", "off"}
    if wanted:
        named = [
            t["names"] for t in things if t.get("domain") in words and t.get("state") in wanted
        ]
        return f"{wanted.pop().title()}: {', '.join(named) or 'none of them'}."
    best = max(things, key=lambda thing: len(words & set(thing.get("names", "").lower().split())))
    unit = best.get("unit_of_measurement", "")
    return f"{best.get('names')} is {best.get('state')} {unit}".strip() + "."


def _filled(schema: dict[str, Any]) -> Any:
    """The smallest value that a JSON schema accepts."""
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for key in ("anyOf", "oneOf"):
        if schema.get(key):
            return _filled(schema[key][0])
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: _filled(part) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [_filled(schema.get("items", {"type": "string"}))]
    return {
        "string": "scripted",
        "boolean": True,
        "integer": schema.get("minimum", 1),
        "number": schema.get("minimum", 0.9),
        "null": None,
    }[kind]


def _echo(said: str) -> str:
    return f"I am the demo's scripted model, not a real one. You said: {_short(said)}"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 400 else text[:400] + "..."


def _text(message: Message) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return " ".join(part.get("text", "") for part in content)


def _identifier(body: dict[str, Any]) -> str:
    return "chatcmpl-" + hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]


def tokens_of(body: dict[str, Any], content: str) -> tuple[int, int]:
    """Return the tokens that a chat request and its answer are counted as: sent, and made."""
    usage = _usage(json.dumps(body.get("messages")), content)
    return usage["prompt_tokens"], usage["completion_tokens"]


def _usage(prompt: str, completion: str) -> dict[str, int]:
    """Token counts at four characters a token, which is near what English takes."""
    asked, said = len(prompt) // 4 + 1, len(completion) // 4 + 1
    return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}
