"""Traces on their way to MLflow: what a power cut, a slow disk and a full one do to them."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, override
from unittest.mock import patch

import pytest
from custom_components.mlflow import spool as spools
from custom_components.mlflow.parcels import Waiting, read, scan, write
from custom_components.mlflow.tracking import TrackingClient
from homeassistant.core import HomeAssistant
from pytest_homeassistant_custom_component.common import (  # type: ignore[import-untyped]
    MockConfigEntry,
)

from .conftest import ROOT, Ask, MakeEntry, Tracking, eventually, speech
from .standins import StandInGateway, says
from .test_traces import traces_of

type Mlflow = Callable[[Tracking], TrackingClient]

# Writes traces until it is killed, and says of each when it is safe on disk.
WRITER = """
import asyncio, sys
import custom_components
from unittest.mock import Mock
from homeassistant.core import HomeAssistant
from custom_components.mlflow.spool import TraceSpool
from custom_components.mlflow.tracing import Span, SpanType, Trace

async def main():
    spool = TraceSpool(HomeAssistant(sys.argv[1]), sys.argv[2], Mock())
    number = 0
    while True:
        root = Span("Butler", SpanType.AGENT, {"messages": [{"role": "user", "content": f"{number}"}]})
        root.end({"messages": [{"role": "assistant", "content": "x" * 50_000}]})
        spool.put(Trace(root, session="power-cut"))
        await spool.flush()
        print(number, flush=True)
        number += 1

asyncio.run(main())
"""


def folder_of(home: HomeAssistant, entry: MockConfigEntry) -> Path:
    return Path(home.config.path(".storage", f"mlflow.traces.{entry.entry_id}"))


def write_until_killed(config: str, entry_id: str) -> int:
    """Let another process write traces, kill it in the middle of one, and return how many it wrote."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, config, entry_id],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as writer:
        assert writer.stdout is not None
        written = [writer.stdout.readline() for _ in range(20)]
        writer.send_signal(signal.SIGKILL)
        written += writer.stdout.readlines()
    return int(written[-1]) + 1


async def test_a_power_cut_costs_no_trace_that_was_on_disk_and_stops_nothing(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    shared_tracking: Tracking,
    mlflow: Mlflow,
    ask: Ask,
    caplog: pytest.LogCaptureFixture,
) -> None:
    entry = make_entry(shared_tracking)
    folder = folder_of(home, entry)
    written = await home.async_add_executor_job(
        write_until_killed, home.config.config_dir, entry.entry_id
    )
    # and what a disk may show after a power cut: half a file, an empty one, zeros, an unfinished one
    oldest = min(folder.glob("*.trace"))
    whole = oldest.read_bytes()
    damaged = [whole[: len(whole) // 2], b"", bytes(len(whole)), whole[:-40] + bytes(40)]
    for number, content in enumerate(damaged):
        (folder / f"{number:020d}-tr-{'0' * 32}.trace").write_bytes(content)
    (folder / f"{9:020d}-tr-{'0' * 32}.tmp").write_bytes(whole[:10])

    assert await home.config_entries.async_setup(entry.entry_id)
    spool = entry.runtime_data.traces
    await eventually(lambda: spool.waiting == 0)
    assert written <= spool.sent <= written + 1, "the one that was being written may be whole"
    assert spool.dropped == len(damaged)
    assert caplog.text.count("its file cannot be read") == 1, "the log is not flooded"
    await eventually(lambda: not list(folder.iterdir()))

    found = await mlflow(shared_tracking).search_traces("power-cut", 500)
    asked = {trace["request_preview"] for trace in found}
    assert {str(number) for number in range(written)} <= asked
    gateway.script = [says("Here I am.")]
    session = (await ask("hello")).conversation_id
    await eventually(lambda: traces_of(mlflow(shared_tracking), session))


async def test_the_oldest_is_sent_first(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    own_tracking: Tracking,
    ask: Ask,
) -> None:
    await home.async_add_executor_job(own_tracking.start)
    entry = make_entry(own_tracking)
    assert await home.config_entries.async_setup(entry.entry_id)
    await eventually(lambda: entry.runtime_data.prompts.versions)
    own_tracking.stop()
    gateway.script = [says("ok")] * 5
    for number in range(5):
        await ask(f"question {number}")
    spool = entry.runtime_data.traces
    await eventually(lambda: spool.waiting == 5)

    arrived: list[str] = []
    client = entry.runtime_data.tracking.client
    export = client.export_trace

    async def noted(otlp: bytes, experiment_id: str) -> None:
        await export(otlp, experiment_id)
        arrived.append(question_in(otlp))

    with patch.object(client, "export_trace", noted):
        await home.async_add_executor_job(own_tracking.start)
        await entry.runtime_data.tracking.async_refresh()
        await eventually(lambda: spool.waiting == 0)
    assert arrived == [f"question {number}" for number in range(5)]


def question_in(otlp: bytes) -> str:
    root = json.loads(otlp)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    attributes = {a["key"]: a["value"].get("stringValue") for a in root["attributes"]}
    return str(json.loads(attributes["mlflow.spanInputs"])["messages"][0]["content"])


async def test_the_spool_is_bounded_drops_the_oldest_and_says_how_many(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    own_tracking: Tracking,
    ask: Ask,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await home.async_add_executor_job(own_tracking.start)
    own_tracking.stop()
    entry = make_entry(own_tracking)
    assert await home.config_entries.async_setup(entry.entry_id)
    spool = entry.runtime_data.traces
    gateway.script = [says("ok")] * 8
    with patch.object(spools, "MAX_BYTES", 20_000):
        for number in range(8):
            await ask(f"question {number}")
        await spool.flush()
    kept = sorted(folder_of(home, entry).glob("*.trace"))
    assert len(kept) == 4, "each takes a block of 4 KiB"
    assert (spool.waiting, spool.dropped) == (len(kept), 8 - len(kept))
    parcels = await home.async_add_executor_job(lambda: [read(path) for path in kept])
    asked = [question_in(otlp) for _, otlp in parcels]
    assert asked == [f"question {number}" for number in range(8)][-len(asked) :]
    assert caplog.text.count("A trace is lost, because") == 1


async def test_a_disk_that_hangs_does_not_keep_anybody_waiting(
    home: HomeAssistant,
    gateway: StandInGateway,
    make_entry: MakeEntry,
    shared_tracking: Tracking,
    ask: Ask,
) -> None:
    """Recording costs a conversation no input or output: that comes after the answer."""
    entry = make_entry(shared_tracking)
    assert await home.config_entries.async_setup(entry.entry_id)
    disk = threading.Event()

    def hang(folder: Path, parcel: Any) -> Any:
        disk.wait(30)
        return write(folder, parcel)

    gateway.script = [says("One."), says("Two.")]
    try:
        with patch.object(spools, "write", hang):
            async with asyncio.timeout(5):
                assert speech(await ask("one")) == "One."
                assert speech(await ask("two")) == "Two."
            assert entry.runtime_data.traces.waiting == 2
            disk.set()
            await eventually(lambda: entry.runtime_data.traces.sent == 2)
    finally:
        disk.set()


class Counted(OrderedDict[str, int]):
    """Counts how many of its members somebody looks at, one after the other."""

    looked_at = 0

    @override
    def __iter__(self) -> Iterator[str]:
        for key in super().__iter__():
            self.looked_at += 1
            yield key

    @override
    def values(self) -> Any:
        self.looked_at += len(self)
        return super().values()


def test_thousands_that_wait_cost_no_more_per_step_than_a_few() -> None:
    """A week without MLflow; all of this is done in the event loop."""
    names = [f"{number:020d}-tr.trace" for number in range(20_000)]
    waiting = Waiting(dict.fromkeys(reversed(names), 4096))
    waiting._fresh = counted = Counted(waiting._fresh)
    counted.looked_at = 0
    assert waiting.size == 20_000 * 4096

    waiting.refuse(waiting.next())
    assert waiting.oldest() == names[0], "what was refused is still the oldest"
    sent = []
    while len(waiting) > 1:
        sent.append(waiting.next())
        waiting.remove(sent[-1])
        waiting.add(f"{len(sent):020d}-later.trace", 4096)
        waiting.remove(f"{len(sent):020d}-later.trace")
    assert sent == names[1:]
    assert waiting.next() == names[0], "and is tried again after the others"
    assert waiting.size == 4096
    assert counted.looked_at <= 20_001


async def test_a_small_file_takes_a_whole_block_of_the_disk(
    home: HomeAssistant, tmp_path: Path
) -> None:
    (tmp_path / "1.trace").write_bytes(b"x")
    (tmp_path / "2.trace").write_bytes(b"x" * 4097)
    assert await home.async_add_executor_job(scan, tmp_path) == {"1.trace": 4096, "2.trace": 8192}
