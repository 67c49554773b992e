"""Keeps traces and what people say of them on disk until MLflow has them, and brings them there.

A file per parcel: a line of JSON (`kind`, `trace_id`, and `prompt` or `dataset`), then its JSON,
gzipped. A name begins with the time, so that the names in order are the parcels in order.
"""

import asyncio
import gzip
import json
import os
import shutil
import time
import zlib
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.json import json_bytes
from homeassistant.helpers.storage import STORAGE_DIR

from .const import DOMAIN, EXPERIMENT_NAME, LOGGER
from .errors import AppAnswerError, AppError
from .tracing import Trace
from .tracking import TrackingClient

MAX_BYTES = 64 * 1024 * 1024
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
_ENDING = ".trace"
_RECORD = "record"


@dataclass(frozen=True, slots=True)
class _Parcel:
    """What is to be brought to MLflow; `content` is made in a thread."""

    header: dict[str, Any]
    content: Callable[[], bytes]
    created: int = field(default_factory=time.time_ns)


@dataclass(frozen=True, slots=True)
class _Written:
    """A parcel that is on disk, and still in memory for as long as it is the newest."""

    name: str
    size: int
    header: dict[str, Any]
    content: bytes


class TraceSpool:
    """The way of a trace from a finished turn to MLflow."""

    def __init__(self, hass: HomeAssistant, entry_id: str, client: TrackingClient | None) -> None:
        self._hass = hass
        self._client = client
        self._folder = Path(hass.config.path(STORAGE_DIR, f"{DOMAIN}.traces.{entry_id}"))
        self._finished: deque[_Parcel] = deque()
        self._sizes: dict[str, int] = {}
        self._refusals: dict[str, int] = {}
        self._newest: _Written | None = None
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
        return len(self._sizes) + len(self._finished)

    async def load(self) -> None:
        """Find what earlier runs left."""
        self._sizes = await self._hass.async_add_executor_job(_scan, self._folder)

    async def forget(self) -> None:
        """Remove all that is on disk."""
        await self._hass.async_add_executor_job(shutil.rmtree, self._folder, True)

    @callback
    def put(self, trace: Trace) -> None:
        """Take a finished trace, in which nothing changes any more."""
        header = {"kind": "trace", "trace_id": trace.mlflow_id, "prompt": trace.prompt}
        self._put(_Parcel(header, trace.otlp))

    @callback
    def put_assessment(self, trace_id: str, assessment: dict[str, Any]) -> None:
        """Take what somebody says of a trace, which may itself still be on its way."""
        header = {"kind": "assessment", "trace_id": trace_id}
        self._put(_Parcel(header, lambda: json_bytes(assessment)))

    @callback
    def put_record(self, dataset: str, record: dict[str, Any]) -> None:
        """Take a record of a dataset, which is made when there is none of that name."""
        header = {"kind": _RECORD, "trace_id": _RECORD, "dataset": dataset}
        self._put(_Parcel(header, lambda: json_bytes(record)))

    def _put(self, parcel: _Parcel) -> None:
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
            ready = self._sizes and self._hass.loop.time() >= self._next_try
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
            while self._sizes and sum(self._sizes.values()) > MAX_BYTES:
                await self._remove(min(self._sizes))
                self._drop(f"{MAX_BYTES // 1_048_576} MB of traces wait for MLflow Tracking")

    async def _write(self, parcel: _Parcel) -> None:
        try:
            written = await self._hass.async_add_executor_job(_write, self._folder, parcel)
        except OSError as error:
            self._drop(f"it cannot be written to disk ({error})")
        else:
            self._sizes[written.name] = written.size
            self._newest = written

    async def _sleep(self) -> None:
        """Wait for a finished turn, or for the end of the pause when something is to be sent."""
        pause = max(self._next_try - self._hass.loop.time(), 0.0) if self._sizes else None
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._wake.wait()
        self._wake.clear()

    async def _send_oldest(self, client: TrackingClient) -> None:
        """Send the oldest trace; one that was refused comes after those that were not."""
        name = min(self._sizes, key=lambda name: (name in self._refusals, name))
        try:
            await self._send(client, name)
        except AppAnswerError as error:
            self.refusal = error
            self._experiment_id = None  # it may be the experiment that is gone
            if error.status >= 500 or self._refusals.get(name) in (None, self.sent):
                self._refusals[name] = self.sent
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
            header, content = await self._hass.async_add_executor_job(_read, self._folder / name)
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
        self._sizes.pop(name, None)
        self._newest = None
        self._refusals.pop(name, None)
        await self._hass.async_add_executor_job(_unlink, self._folder / name)

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


def _scan(folder: Path) -> dict[str, int]:
    if not folder.is_dir():
        return {}
    for unfinished in folder.glob("*.tmp"):
        unfinished.unlink()
    return {path.name: path.stat().st_size for path in folder.glob(f"*{_ENDING}")}


def _write(folder: Path, parcel: _Parcel) -> _Written:
    """Write a parcel so that a power cut leaves all of it or nothing."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{parcel.created:020d}-{parcel.header['trace_id']}{_ENDING}"
    header = json.dumps(parcel.header).encode()
    content = parcel.content()
    packed = header + b"\n" + gzip.compress(content, 6)
    unfinished = path.with_suffix(".tmp")
    with unfinished.open("wb") as file:
        file.write(packed)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    _sync(folder)
    return _Written(path.name, len(packed), parcel.header, content)


def _read(path: Path) -> tuple[dict[str, Any], bytes]:
    """Read a parcel; raises ValueError when it is damaged."""
    header, _, content = path.read_bytes().partition(b"\n")
    try:
        return json.loads(header), gzip.decompress(content)
    except (EOFError, zlib.error) as error:
        raise ValueError(str(error)) from error


def _sync(folder: Path) -> None:
    """Bring a folder's list of names to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)
