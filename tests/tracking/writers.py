"""Clients that write traces as fast as they are acknowledged, and remember which were."""

from __future__ import annotations

import http.client
import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.tracking.process import App
from tests.tracking.test_record import otlp_trace


@dataclass
class Writers:
    """`acknowledged` grows while they run; a refused or lost write is not in it."""

    app: App
    acknowledged: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def _write(self) -> None:
        headers = {
            "Authorization": f"Bearer {self.app.token}",
            "Content-Type": "application/json",
            "x-mlflow-experiment-id": "0",
        }
        connection = http.client.HTTPConnection("127.0.0.1", self.app.api_port, timeout=30)
        while not self._stopped.is_set():
            trace = secrets.token_hex(16)
            try:
                connection.request("POST", "/v1/traces", json.dumps(otlp_trace(trace)), headers)
                answer = connection.getresponse()
                said = answer.read()
            except (OSError, http.client.HTTPException):
                connection.close()
                self._stopped.wait(0.02)
                continue
            if answer.status == 200:
                self.acknowledged.append(trace)
            else:
                self.refusals.append(f"{answer.status} {said.decode()}")
                self._stopped.wait(0.05)
        connection.close()

    @contextmanager
    def running(self, count: int) -> Iterator[Writers]:
        threads = [threading.Thread(target=self._write) for _ in range(count)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stopped.set()
            for thread in threads:
                thread.join(60)
