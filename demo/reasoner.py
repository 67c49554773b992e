"""How the scripted model answers reasoned states: plain rules over the words of the evidence.

A stand-in for a language model, and no more: it knows a handful of questions of a home, weighs
clues for and against, and is the surer the more of them agree. Same request, same answer.
"""

import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from demo.evidence import Evidence, Item, evidence_of


class Clue(NamedTuple):
    """What speaks for (above zero) or against a yes, in log odds, and in words."""

    weight: float
    entity_id: str
    words: str


type Rules = Callable[[Evidence, str], Iterator[Clue]]


class Decision(NamedTuple):
    """An answer, what it rests on, and the share of probability that each possible answer has."""

    content: str
    answer: str
    shares: dict[str, float]


def decide(body: dict[str, Any]) -> Decision | None:
    """Answer a request that asks for a verdict on evidence; None for every other request."""
    schema = (body.get("response_format") or {}).get("json_schema", {}).get("schema", {})
    properties = schema.get("properties", {})
    messages = body.get("messages", [])
    evidence = evidence_of(messages) if {"answer", "confidence"} <= properties.keys() else None
    if evidence is None:
        return None
    system = str(messages[0].get("content") or "")
    options = properties["answer"].get("enum", [])
    if options != ["yes", "no"]:
        return _other(evidence, options, properties["answer"].get("type", "string"))
    clues = sorted(_clues(evidence, system), key=lambda clue: -abs(clue.weight))
    odds = sum(clue.weight for clue in clues)
    share = 1 / (1 + math.exp(-odds))
    answer = "yes" if odds > 0 else "no"
    agreeing = [clue for clue in clues if (clue.weight > 0) == (odds > 0)]
    reason = "; ".join(clue.words for clue in agreeing[:3]) or "nothing speaks for it"
    deciding = list(dict.fromkeys(c.entity_id for c in agreeing if c.entity_id))[:3]
    return _decision(answer, {"yes": share, "no": 1 - share}, reason, deciding)


def logprobs(decision: Decision, most: int) -> dict[str, Any]:
    """Return OpenAI's `logprobs` of the answer's text, with the `most` likely tokens of each place.

    After https://platform.openai.com/docs/api-reference/chat/object.
    """
    tokens = re.findall(r"\w+|\W+", decision.content)
    at = tokens.index(decision.answer.split()[0], tokens.index("answer")) if decision.shares else -1
    return {
        "content": [
            _token(token, decision.shares if place == at else {token: 0.9999}, most)
            for place, token in enumerate(tokens)
        ],
        "refusal": None,
    }


def _token(token: str, shares: dict[str, float], most: int) -> dict[str, Any]:
    likely = sorted(shares.items(), key=lambda share: -share[1])[:most]
    return {
        **_probable(token, shares[token]),
        "top_logprobs": [_probable(name, share) for name, share in likely],
    }


def _probable(token: str, share: float) -> dict[str, Any]:
    logprob = math.log(max(share, 1e-9))
    return {"token": token, "logprob": round(logprob, 6), "bytes": list(token.encode())}


def _decision(
    answer: str, shares: dict[str, float], reason: str, decided_by: list[str], value: Any = None
) -> Decision:
    verdict = {
        "answer": answer if value is None else value,
        "confidence": round(shares.get(answer, 0.6), 2),
        "reason": f"{reason[:1].upper()}{reason[1:]}.",
        "decided_by": decided_by,
    }
    return Decision(json.dumps(verdict, ensure_ascii=False), answer, shares)


def _other(evidence: Evidence, options: list[str], kind: str) -> Decision:
    """Choices, numbers and texts: the first that the evidence has a word for."""
    told = " ".join(f"{item.name} {item.state}" for item in evidence.items).casefold()
    first = evidence.items[0]
    reason = f"{first.name} is {first.state}"
    if options:
        named = [option for option in options if option.casefold() in told]
        answer = (named or options)[0]
        rest = 0.2 / max(len(options) - 1, 1)
        shares = {option: 0.8 if option == answer else rest for option in options}
        return _decision(answer, shares, reason, [first.entity_id])
    if kind == "number":
        number = next((item.number for item in evidence.items if item.number is not None), 0.0)
        return _decision(f"{number:g}", {}, reason, [first.entity_id], number)
    return _decision(reason, {}, reason, [first.entity_id])


def _clues(evidence: Evidence, system: str) -> Iterator[Clue]:
    asked = re.search(r"^Question: (.*)$", system, re.MULTILINE)
    question = asked[1] if asked else system
    for words, rules in _TOPICS.items():
        if re.search(words, question, re.IGNORECASE):
            yield from rules(evidence, question)
            return
    active = [item for item in evidence.items if item.is_active and not item.flickers]
    yield Clue(-0.5, "", "most of it is quiet")
    yield from (Clue(0.5, item.entity_id, _said(item)) for item in active)


def _asleep(evidence: Evidence, question: str) -> Iterator[Clue]:
    hour = (evidence.clock if evidence.clock is not None else 720) / 60
    if hour >= 22.5 or hour < 6:
        yield Clue(1.0, "", "it is night")
    elif hour >= 9:
        yield Clue(-1.5, "", "it is day")
    yield from _of_phone(evidence, question)
    yield from _of_bedroom(evidence)
    for item in evidence.of("desk", "computer", domain="sensor."):
        if (item.number or 0) > 25:
            yield Clue(-1.5, item.entity_id, f"{item.name} takes {item.state}")
    for item in evidence.of("tv", domain="media_player."):
        if item.is_active:
            yield Clue(-0.7, item.entity_id, _said(item))


def _of_phone(evidence: Evidence, question: str) -> Iterator[Clue]:
    charging = False
    for item in _own(evidence.of("charging"), question):
        charging = item.is_active
        settled = 1.7 if item.age >= 8 else 0.6
        yield Clue(settled if charging else -2.5, item.entity_id, _said(item))
    for item in _own(evidence.of("phone", domain="device_tracker."), question):
        if item.state == "away":  # what charges is not carried about
            yield Clue(-0.3 if charging else -4.0, item.entity_id, _said(item))


def _of_bedroom(evidence: Evidence) -> Iterator[Clue]:
    for item in evidence.of("bedroom_motion"):
        quiet = item.active_age or 0.0
        weight = 0.9 if quiet >= 15 else 0.4 if quiet >= 5 else -1.2
        yield Clue(weight, item.entity_id, f"{item.name} {_ago(quiet)}")
    for item in evidence.of("bedroom", domain="light."):
        yield Clue(-2.6 if item.is_active else 0.3, item.entity_id, _said(item))
    for item in evidence.of("bedroom_door"):
        is_open = item.is_active and item.age >= 2
        yield Clue(-1.6 if is_open else 1.0, item.entity_id, _said(item))


def _home(evidence: Evidence, question: str) -> Iterator[Clue]:
    people = evidence.of("phone", "person", domain="device_tracker.")
    people += evidence.of("person", domain="person.")
    there = [item for item in people if item.state == "at home"]
    for item in there:
        yield Clue(2.2, item.entity_id, _said(item))
    if people and not there:
        freshest = min(people, key=lambda item: item.age)
        weight = -3.0 if freshest.age >= 5 else -1.2
        yield Clue(weight, freshest.entity_id, "all phones are away")
    for item in evidence.of("motion"):
        quiet = item.active_age or 0.0
        if quiet < 5:
            yield Clue(0.8, item.entity_id, f"{item.name} {_ago(quiet)}")
        elif quiet >= 30:
            yield Clue(-0.2, item.entity_id, f"{item.name} {_ago(quiet)}")


def _cooking(evidence: Evidence, question: str) -> Iterator[Clue]:
    yield Clue(-0.6, "", "nobody cooks most of the time")
    for item in evidence.of("stove", "oven", "hob", domain="sensor."):
        hot = (item.number or 0) > 100
        yield Clue(2.8 if hot else -2.2, item.entity_id, f"{item.name} takes {item.state}")
    for item in evidence.of("kitchen_motion"):
        quiet = item.active_age or 0.0
        yield Clue(0.6 if quiet < 4 else -0.5, item.entity_id, f"{item.name} {_ago(quiet)}")
    for item in evidence.of("kitchen_humidity"):
        if (item.number or 0) >= 58:
            yield Clue(0.4, item.entity_id, f"{item.name} is {item.state}")


def _guests(evidence: Evidence, question: str) -> Iterator[Clue]:
    yield Clue(-0.8, "", "there are no guests most of the time")
    for item in evidence.of("guest"):
        some = (item.number or 0) > 0 or item.is_active
        yield Clue(2.6 if some else -1.6, item.entity_id, f"{item.name} is {item.state}")
    for item in evidence.of("living_room_motion"):
        quiet = item.active_age or 0.0
        if quiet >= 20:
            yield Clue(-0.8, item.entity_id, f"{item.name} {_ago(quiet)}")


def _laundry(evidence: Evidence, question: str) -> Iterator[Clue]:
    for item in evidence.of("washer", "washing", "dryer"):
        if item.number is None:
            yield Clue(-1.5 if item.is_active else 1.0, item.entity_id, _said(item))
        else:
            done = item.number < 5
            yield Clue(1.5 if done else -3.0, item.entity_id, f"{item.name} takes {item.state}")


def _working(evidence: Evidence, question: str) -> Iterator[Clue]:
    yield Clue(-0.8, "", "most hours are no working hours")
    for item in evidence.of("desk", "computer", domain="sensor."):
        busy = (item.number or 0) > 25
        yield Clue(2.4 if busy else -1.6, item.entity_id, f"{item.name} takes {item.state}")
    for item in evidence.of("office_motion"):
        quiet = item.active_age or 0.0
        yield Clue(0.8 if quiet < 10 else -0.8, item.entity_id, f"{item.name} {_ago(quiet)}")


_TOPICS: Final[dict[str, Rules]] = {
    r"asleep|sleep|nap": _asleep,
    r"cook": _cooking,
    r"guest|visitor": _guests,
    r"laundry|wash|dryer": _laundry,
    r"working from home|home office|at work": _working,
    r"home|away|present": _home,
}


def _own(items: list[Item], question: str) -> list[Item]:
    """Return what belongs to who is asked about; all of it when the question names nobody of these."""
    words = set(re.findall(r"\w+", question.casefold()))
    own = [item for item in items if words & set(re.split(r"[._]", item.entity_id))]
    return own or items


def _said(item: Item) -> str:
    return f"{item.name} is {item.state}"


def _ago(minutes: float) -> str:
    return "shows motion" if minutes < 1 else f"has shown nothing for {minutes:.0f} min"
