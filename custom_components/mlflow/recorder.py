"""Decides what is recorded of a turn, hands it on, and remembers which trace was the last."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from homeassistant.core import CALLBACK_TYPE, callback

from .const import CONF_RECORD, RECORD_ALL, RECORD_OFF
from .spool import TraceSpool
from .tracing import Trace

_REMEMBERED = 200


class TraceRecorder:
    """Where every trace passes when its turn is over."""

    def __init__(self, spool: TraceSpool, options: Mapping[str, Any]) -> None:
        self._spool = spool
        self._record = options.get(CONF_RECORD, RECORD_ALL)
        self._listeners: list[Callable[[Trace], None]] = []
        self._last: OrderedDict[tuple[str, str], str] = OrderedDict()

    @contextmanager
    def recording(self, trace: Trace) -> Iterator[Trace]:
        """Take the trace when its block ends; an exception that passes ends it with an error."""
        try:
            yield trace
        except BaseException as error:
            trace.root.fail(error)
            raise
        finally:
            trace.root.end()
            self.take(trace)

    @callback
    def listen(self, listener: Callable[[Trace], None]) -> CALLBACK_TYPE:
        """Tell a listener of every finished trace."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @callback
    def last(self, kind: str = "any", key: str = "") -> str | None:
        """Return MLflow's id of the last trace: of a `session`, a `device_id`, an `agent`, or any."""
        return self._last.get((kind, key))

    @callback
    def take(self, trace: Trace) -> None:
        """Take a finished trace: tag it, remember it, and hand it on."""
        trace.tags["error"] = trace.root.error or ""
        trace.tags["tools"] = ", ".join(dict.fromkeys(trace.tools))
        trace.tags.setdefault("entities", ", ".join(trace.entities))
        for kind, key in trace.found_by.items():
            self._last[kind, key] = trace.mlflow_id
            self._last.move_to_end((kind, key))
        if "session" in trace.found_by:  # an answer to somebody, and not a task of an automation
            self._last["any", ""] = trace.mlflow_id
        while len(self._last) > _REMEMBERED:
            self._last.popitem(last=False)
        for listener in list(self._listeners):
            listener(trace)
        if self._record != RECORD_OFF:
            trace.has_content = self._record == RECORD_ALL
            self._spool.put(trace)
