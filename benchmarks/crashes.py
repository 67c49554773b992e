"""What crashes cost: the Gateway's worker is killed every second while clients call."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.contenders import Running

CLIENTS = 8
TOKEN = {"Authorization": "Bearer sk-bench-bench-bench"}


class _Client(threading.Thread):
    """Calls without a pause, on a new connection each time; notes when it was answered."""

    def __init__(self, port: int, model: str) -> None:
        super().__init__()
        self._port = port
        self._body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}]})
        self.stop = threading.Event()
        self.answered: list[float] = []

    def run(self) -> None:
        while not self.stop.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
            try:
                connection.request("POST", "/v1/chat/completions", self._body, TOKEN)
                response = connection.getresponse()
                response.read()
                if response.status == 200:
                    self.answered.append(time.monotonic())
            except (OSError, http.client.HTTPException):
                time.sleep(0.005)
            finally:
                connection.close()


def crash(running: Running, model: str, crashes: int) -> tuple[float, float]:
    """Kill the worker once a second.

    Gives the longest time from a kill to the next answer, and the calls that the counters lost for
    each kill, as seconds of calls at the rate that was measured.
    """
    clients = [_Client(running.port, model) for _ in range(CLIENTS)]
    begun = time.monotonic()
    for client in clients:
        client.start()
    time.sleep(1)
    kills = []
    for _ in range(crashes):
        kills.append(time.monotonic())
        os.kill(_worker(running.pid), signal.SIGKILL)
        time.sleep(1)
    time.sleep(1)  # for the last counters to be saved
    for client in clients:
        client.stop.set()
    for client in clients:
        client.join()
    answered = sorted(moment for client in clients for moment in client.answered)
    rate = len(answered) / (time.monotonic() - begun)
    # an answer that was on its way when the worker died still arrives
    back = [min(m for m in answered if m > kill + 0.02) - kill for kill in kills]
    lost = max(0, len(answered) - _counted(running.port))
    return max(back), lost / rate / crashes


def _worker(pid: int) -> int:
    while not (children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
        time.sleep(0.001)
    return int(children[0])


def _counted(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/usage", headers=TOKEN)
    rows = json.loads(connection.getresponse().read())["rows"]
    connection.close()
    return sum(int(row["calls"]) for row in rows)
