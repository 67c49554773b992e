"""A storm of state changes on the evidence of twenty reasoned states, in a process of its own.

`python -m benchmarks.reasoned_storm with|without SECONDS GATEWAY TRACKING` prints JSON. Home
Assistant lives by the clock of life here, with its recorder; `without` is the same storm without
the integration, so that what is left between the two is ours.
"""

import asyncio
import itertools
import json
import statistics
import sys
import time
from asyncio import events
from collections import defaultdict
from random import Random
from typing import Any
from unittest.mock import patch

from benchmarks.home import home, resident_mb, set_up
from benchmarks.reasoned_replay import entry
from benchmarks.reasoned_servers import ENDPOINT, Servers
from custom_components.mlflow.tracing import Trace
from homeassistant.core import HomeAssistant, callback

PER_SECOND = 1000
STATES, THINGS, OF_EACH = 20, 100, 12
QUIET, AT_MOST_EVERY = 1, 10
# The first seconds are for what is made once: caches, and the pages of the recorder's database.
WARM_UP = 30.0
_CONFIGURATION = "homeassistant:\n  name: Bench\nlogger:\n  default: warning\nrecorder:\n"
_BATCH = 5


class Steps:
    """How long the steps of the event loop take, in seconds, once it is begun.

    `ours` is the most processor time that a step of ours took from the loop's thread, `ours_wall`
    the longest from its begin to its end: that holds waits for the interpreter's lock, which the
    recorder's threads have, and for a processor. `all_wall` is that of everybody's steps.
    """

    def __init__(self) -> None:
        self.ours = self.ours_wall = self.all_wall = 0.0
        self.slowest = ""
        self.is_begun = False

    def timed(self, run: Any) -> Any:
        """Wrap what runs a step of the loop (`asyncio.Handle._run`)."""

        def timed(handle: Any) -> None:
            worked, began = time.thread_time(), time.perf_counter()
            called = handle._callback  # noqa: SLF001 - the step itself
            run(handle)
            wall, work = time.perf_counter() - began, time.thread_time() - worked
            if not self.is_begun:
                return
            self.all_wall = max(self.all_wall, wall)
            if max(wall, work) > self.ours and "mlflow" in (described := _described(called)):
                self.ours_wall = max(self.ours_wall, wall)
                if work > self.ours:
                    self.ours, self.slowest = work, described

        return timed


def _described(called: Any) -> str:
    owner = getattr(called, "__self__", None)
    if isinstance(owner, asyncio.Task):
        return f"{owner.get_name()} {getattr(owner.get_coro(), 'cr_code', '')}"
    return f"{getattr(called, '__module__', '')} {type(owner).__module__}"  # timers


def _states() -> list[dict[str, Any]]:
    random = Random(1)
    data = {
        "endpoint": ENDPOINT,
        "kind": "yes_no",
        "question": "Is someone cooking?",
        "quiet": {"seconds": QUIET},
        "at_most_every": {"seconds": AT_MOST_EVERY},
    }
    evidence = [random.sample(_things(), OF_EACH) for _ in range(STATES)]
    return [
        {
            "subentry_type": "reasoned_state",
            "title": f"Storm {number}",
            "data": {
                **data,
                "evidence": [{"target": {"entity_id": things}, "look_back": {"minutes": 10}}],
            },
        }
        for number, things in enumerate(evidence)
    ]


def _things() -> list[str]:
    kinds = ("binary_sensor.storm_motion_{}", "sensor.storm_power_{}")
    return [kind.format(number) for number in range(THINGS // 2) for kind in kinds]


def _change(hass: HomeAssistant, entity_id: str, number: int, random: Random) -> None:
    if entity_id.startswith("binary"):
        state, attributes = ("off", "on")[number // THINGS % 2], {"device_class": "motion"}
    else:
        state = f"{random.uniform(0, 3000):.1f}"
        attributes = {"device_class": "power", "unit_of_measurement": "W"}
    hass.states.async_set(entity_id, state, attributes)


async def _storm(hass: HomeAssistant, seconds: float, steps: Steps) -> dict[str, float]:
    """Let it blow, and measure after the warm-up.

    Returns how many changes there were, the median of a change's seconds of work for this thread,
    and by how many MB this process grew in the warm-up and afterwards.
    """
    random, things = Random(2), itertools.cycle(_things())
    start, began = resident_mb(), time.monotonic()
    made = warm = 0
    costs: list[float] = []
    middle = start
    while (now := time.monotonic() - began) < WARM_UP + seconds:
        for _ in range(int(now * PER_SECOND) - made):
            before = time.thread_time()
            _change(hass, next(things), made, random)
            costs.append(time.thread_time() - before)
            made += 1
        if not steps.is_begun and now > WARM_UP:
            middle = await asyncio.to_thread(resident_mb)
            warm, steps.is_begun = made, True
        await asyncio.sleep(_BATCH / PER_SECOND)
    end = await asyncio.to_thread(resident_mb)
    return {
        "changes": made - warm,
        "cost": statistics.median(costs[warm:]),
        "growth": end - middle,
        "warm_up_growth": middle - start,
    }


async def _measure(kind: str, seconds: float, there: Servers) -> dict[str, Any]:
    calls: dict[str, list[float]] = defaultdict(list)

    @callback
    def count(trace: Trace) -> None:
        calls[trace.tags.get("agent", "")] += [
            span.started / 1e9
            for span in trace.spans
            if "mlflow.chat.tokenUsage" in span.attributes
        ]

    steps = Steps()
    async with home(_CONFIGURATION) as hass:
        for number, entity_id in enumerate(_things()):
            _change(hass, entity_id, number, Random(number))
        if kind == "with":
            config = entry(there, _states())
            await set_up(hass, config)
            config.runtime_data.recorder.listen(count)
        with patch.object(events.Handle, "_run", steps.timed(events.Handle._run)):  # noqa: SLF001
            result = await _storm(hass, seconds, steps)
    pauses = [b - a for times in calls.values() for a, b in itertools.pairwise(sorted(times))]
    return {
        **result,
        "calls": sum(map(len, calls.values())),
        # what is only to be confirmed comes after half of the interval
        "shortest": AT_MOST_EVERY / 2,
        "allowed": STATES * (1 + int((WARM_UP + seconds) / AT_MOST_EVERY)),
        "shortest_pause": min(pauses, default=None),
        "ours": steps.ours,
        "ours_wall": steps.ours_wall,
        "all_wall": steps.all_wall,
        "slowest": steps.slowest,
    }


def main(kind: str, seconds: str, gateway: str, tracking: str) -> None:
    print(json.dumps(asyncio.run(_measure(kind, float(seconds), Servers(gateway, tracking)))))


if __name__ == "__main__":
    main(*sys.argv[1:])
