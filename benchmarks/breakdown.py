"""Where the time of a call goes: the Gateway beside two forwarders, and looks into its worker."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.contenders import Running, forwarder, ours, sampled
from benchmarks.load import load

_ROUNDS = 5
_CALLS = 3000

# What the same machine takes for less work, from the least on.
_RELAY = "bytes passed on: kernel and event loop"
_BARE = "bare forwarder of aiohttp"
_OURS = "the Gateway"


def breakdown(folder: Path, upstream: int) -> dict[str, Any]:
    """Microseconds of one plain call with one client, in front of the upstream at this port.

    `stages`: of each forwarder and of the Gateway the added p50, and the processor time of its
    process in user mode and in the kernel. `rooms`: the Gateway's processor time by what it is
    busy with, from looks into a second one.
    """
    address = {"plain": f"http://127.0.0.1:{upstream}"}
    with ExitStack() as stack:
        running = {
            _RELAY: stack.enter_context(forwarder("relay", folder / "relay", upstream)),
            _BARE: stack.enter_context(forwarder("aiohttp", folder / "bare", upstream)),
            _OURS: stack.enter_context(ours(folder / "ours", address)),
        }
        stages = _in_turns(running, upstream)
    with sampled(folder / "sampled", address) as looked_into:
        load(looked_into.port, "plain", clients=1, calls=10 * _CALLS)
    looks: dict[str, int] = json.loads((folder / "sampled/looks.json").read_text())
    took, seen = stages[_OURS]["user"] + stages[_OURS]["kernel"], sum(looks.values())
    rooms = sorted(looks.items(), key=lambda item: -item[1])
    return {
        "unit": "µs",
        "stages": stages,
        "rooms": {room: round(took * count / seen, 1) for room, count in rooms},
    }


def _in_turns(running: dict[str, Running], upstream: int) -> dict[str, dict[str, float]]:
    samples: dict[str, list[tuple[float, float, float]]] = {name: [] for name in running}
    for each in running.values():
        load(each.port, "plain", clients=1, calls=500)
    for _ in range(_ROUNDS):
        direct = load(upstream, "plain", clients=1, calls=_CALLS)["p50"]
        for name, each in running.items():
            user, kernel = each.processor_seconds()
            added = 1000 * (load(each.port, "plain", clients=1, calls=_CALLS)["p50"] - direct)
            now = each.processor_seconds()
            call = 1e6 / _CALLS
            samples[name].append((added, call * (now[0] - user), call * (now[1] - kernel)))
    parts = ("added p50", "user", "kernel")
    return {
        name: {part: round(median(turn[at] for turn in turns), 1) for at, part in enumerate(parts)}
        for name, turns in samples.items()
    }


def shown(found: dict[str, Any]) -> str:
    """The profile as a text to read."""
    lines = ["Where the time of a call goes, in µs (one client):"]
    for name, parts in found["stages"].items():
        numbers = ", ".join(f"{part} {value:g}" for part, value in parts.items())
        lines.append(f"  {name}: {numbers}")
    lines += [f"  {value:6.1f}  {room}" for room, value in found["rooms"].items()]
    return "\n".join(lines)
