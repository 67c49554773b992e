"""Keeps traces and what people say of them on disk until MLflow has them, and brings them there."""

import asyncio
import shutil
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.json import json_bytes
from homeassistant.helpers.storage import STORAGE_DIR

from .const import DOMAIN, EXPERIMENT_NAME, LOGGER
from .errors import AppAnswerError, AppError
from .parcels import Parcel, Waiting, Written, read, scan, unlink, write
from .tracing import Trace
from .tracking import TrackingClient

MAX_BYTES = 64 * 1024 * 1024
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
_RECORD = "record"


class TraceSpool:
    """The way of a trace from a finished turn to MLflow."""

    def __init__(self, hass: HomeAssistant, entry_id: str, client: TrackingClient | None) -> None:
        self._hass = hass
        self._client = client
        self._folder = Path(hass.config.path(STORAGE_DIR, f"{DOMAIN}.traces.{entry_id}"))
        self._finished: deque[Parcel] = deque()
        self._waiting = Waiting()
        self._refusals: dict[str, int] = {}
        self._newest: Written | None = None
        self._experiment_id: str | None = None
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()
        self._pause = 0.0
        self._next_try = 0.0
        self.sent = 0
        self.dropped = 0
        # what MLflow last said to a trace that it did not take; None since it took one
        self.refusal: AppAnswerError | None = None

    @property
    def waiting(self) -> int:
        """How many traces MLflow does not have yet."""
        return len(self._waiting) + len(self._finished)

    async def load(self) -> None:
        """Find what earlier runs left."""
        sizes = await self._hass.async_add_executor_job(scan, self._folder)
        self._waiting = Waiting(sizes)

    async def forget(self) -> None:
        """Remove all that is on disk."""
        await self._hass.async_add_executor_job(shutil.rmtree, self._folder, True)

    @callback
    def put(self, trace: Trace) -> None:
        """Take a finished trace, in which nothing changes any more."""
        header = {"kind": "trace", "trace_id": trace.mlflow_id, "prompt": trace.prompt}
        self._put(Parcel(header, trace.otlp))

    @callback
    def put_assessment(self, trace_id: str, assessment: dict[str, Any]) -> None:
        """Take what somebody says of a trace, which may itself still be on its way."""
        header = {"kind": "assessment", "trace_id": trace_id}
        self._put(Parcel(header, lambda: json_bytes(assessment)))

    @callback
    def put_record(self, dataset: str, record: dict[str, Any]) -> None:
        """Take a record of a dataset, which is made when there is none of that name."""
        header = {"kind": _RECORD, "trace_id": _RECORD, "dataset": dataset}
        self._put(Parcel(header, lambda: json_bytes(record)))

    def _put(self, parcel: Parcel) -> None:
        if self._client is not None:
            self._finished.append(parcel)
            self._wake.set()

    @callback
    def retry_now(self) -> None:
        """Do not wait for the end of the pause: MLflow has just answered."""
        self._pause = self._next_try = 0.0
        self._wake.set()

    async def run(self) -> None:
        """Write and send for as long as the entry is loaded."""
        while True:
            await self.flush()
            ready = self._waiting and self._hass.loop.time() >= self._next_try
            if self._client is not None and ready:
                await self._send_oldest(self._client)
            else:
                await self._sleep()

    async def flush(self) -> None:
        """Write the finished turns to disk, and make room when that is too much."""
        async with self._writing:
            while self._finished:
                await self._write(self._finished[0])
                self._finished.popleft()
            while self._waiting.size > MAX_BYTES:
                await self._remove(self._waiting.oldest())
                self._drop(f"{MAX_BYTES // 1_048_576} MB of traces wait for MLflow Tracking")

    async def _write(self, parcel: Parcel) -> None:
        try:
            written = await self._hass.async_add_executor_job(write, self._folder, parcel)
        except OSError as error:
            self._drop(f"it cannot be written to disk ({error})")
        else:
            self._waiting.add(written.name, written.size)
            self._newest = written

    async def _sleep(self) -> None:
        """Wait for a finished turn, or for the end of the pause when something is to be sent."""
        pause = max(self._next_try - self._hass.loop.time(), 0.0) if self._waiting else None
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._wake.wait()
        self._wake.clear()

    async def _send_oldest(self, client: TrackingClient) -> None:
        """Send the oldest trace; one that was refused comes after those that were not."""
        name = self._waiting.next()
        try:
            await self._send(client, name)
        except AppAnswerError as error:
            self.refusal = error
            self._experiment_id = None  # it may be the experiment that is gone
            if error.status >= 500 or self._refusals.get(name) in (None, self.sent):
                self._refusals[name] = self.sent
                self._waiting.refuse(name)
                self._back_off()
                return
            # MLflow took others since it refused this one, and refuses it again
            self._drop(str(error))
        except AppError:
            self._back_off()
            return
        except FileNotFoundError:
            pass  # removed when the entry was last unloaded
        except (OSError, ValueError) as error:
            self._drop(f"its file cannot be read ({error})")
        else:
            self._pause = 0.0
            self.refusal = None
            self.sent += 1
        await self._remove(name)

    async def _send(self, client: TrackingClient, name: str) -> None:
        if self._newest is not None and self._newest.name == name:
            header, content = self._newest.header, self._newest.content
        else:
            header, content = await self._hass.async_add_executor_job(read, self._folder / name)
        if header["kind"] == "assessment":
            await client.add_assessment(header["trace_id"], content)
            return
        if self._experiment_id is None:
            self._experiment_id = await client.experiment_id(EXPERIMENT_NAME)
        if header["kind"] == _RECORD:
            dataset_id = await client.dataset_id(header["dataset"], self._experiment_id)
            await client.put_dataset_record(dataset_id, content)
            return
        await client.export_trace(content, self._experiment_id)
        if header["prompt"]:
            await client.link_prompt(header["trace_id"], *header["prompt"])

    async def _remove(self, name: str) -> None:
        self._waiting.remove(name)
        self._newest = None
        self._refusals.pop(name, None)
        await self._hass.async_add_executor_job(unlink, self._folder / name)

    def _back_off(self) -> None:
        self._pause = min(max(self._pause * 2, _FIRST_PAUSE), _LONGEST_PAUSE)
        self._next_try = self._hass.loop.time() + self._pause

    def _drop(self, reason: str) -> None:
        """Count a lost trace; the log has the first of them and every hundredth."""
        self.dropped += 1
        if self.dropped % 100 == 1:
            LOGGER.warning(
                "A trace is lost, because %s; %d lost since the start", reason, self.dropped
            )
