"""Lives the recorded day once, in a process of its own, and prints what was shown as JSON.

`python -m benchmarks.reasoned_day ours|naive UNTIL GATEWAY TRACKING`; UNTIL in seconds from midnight.
"""

import contextlib
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

from benchmarks.home import set_up
from benchmarks.reasoned_replay import Replay, entry
from benchmarks.reasoned_servers import Servers
from benchmarks.reasoned_states import QUESTIONS
from custom_components.mlflow.reasoning.state import ReasonedState
from custom_components.mlflow.tracing import Trace
from demo.day.record import record
from homeassistant.const import EVENT_STATE_CHANGED
from homeassistant.core import HomeAssistant, callback

# The states of the naive version do not think by themselves.
_NEVER = {"condition": "{{ false }}"}


class Watch:
    """What a state shows, and what it takes; counted by its traces.

    `is_measured`: no confidence was only claimed.
    """

    def __init__(self, state: ReasonedState, replay: Replay) -> None:
        self._state = state
        self._replay = replay
        self.shown: list[tuple[float, Any]] = []
        self.calls = self.sent = self.made = 0
        self.is_measured = True
        state.listen(self._look)

    @callback
    def _look(self) -> None:
        if (verdict := self._state.verdict) is not None:
            self.is_measured &= verdict.measured
        if not self.shown or self.shown[-1][1] != self._state.value:
            self.shown.append((self._replay.now, self._state.value))

    @callback
    def count(self, trace: Trace) -> None:
        """Count the calls of a thought."""
        if trace.tags.get("agent") != self._state.settings.name:
            return
        for span in trace.spans:
            if usage := span.attributes.get("mlflow.chat.tokenUsage"):
                self.calls += 1
                self.sent += usage["input_tokens"]
                self.made += usage["output_tokens"]


def _ours(replay: Replay, there: Servers) -> list[Any]:
    @contextlib.asynccontextmanager
    async def live(hass: HomeAssistant) -> AsyncIterator[list[Any]]:
        config = entry(there, [question.subentry() for question in QUESTIONS])
        await set_up(hass, config)
        runtime = config.runtime_data
        watches = [Watch(state, replay) for state in runtime.reasoned.values()]
        for watch in watches:
            runtime.recorder.listen(watch.count)
        yield watches

    return replay.run(live)


def _naive(replay: Replay, there: Servers) -> list[Any]:
    # heavy, and only here
    from benchmarks.reasoned_naive import Log, Naive  # noqa: PLC0415

    @contextlib.asynccontextmanager
    async def live(hass: HomeAssistant) -> AsyncIterator[list[Any]]:
        log = Log()
        hass.bus.async_listen(EVENT_STATE_CHANGED, log.note)
        config = entry(there, [question.subentry(**_NEVER) for question in QUESTIONS])
        await set_up(hass, config)
        states = config.runtime_data.reasoned.values()
        naives = [Naive(hass, state, log, lambda: replay.now) for state in states]
        for naive in naives:
            naive.start()
        yield naives

    return replay.run(live)


def main(kind: str, until: str, gateway: str, tracking: str) -> None:
    replay = Replay(record(), float(until), has_recorder=kind == "ours")
    live = {"ours": _ours, "naive": _naive}[kind]
    states = live(replay, Servers(gateway, tracking))
    kept = {
        question.name: {
            "shown": state.shown,
            "calls": state.calls,
            "sent": state.sent,
            "made": state.made,
            "is_measured": state.is_measured,
        }
        for question, state in zip(QUESTIONS, states, strict=True)
    }
    print(json.dumps({"seconds": replay.seconds, "states": kept}))


if __name__ == "__main__":
    main(*sys.argv[1:])
