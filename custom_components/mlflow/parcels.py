"""Parcels on disk: traces, and what people say of them, until MLflow has them.

A file per parcel: a line of JSON (`kind`, `trace_id`, and `prompt` or `dataset`), then its JSON,
gzipped. A name begins with the time, so that the names in order are the parcels in order. All
functions here that take a path block; they are for a thread.
"""

import gzip
import json
import os
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

_ENDING = ".trace"
_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is to be brought to MLflow; `content` is made in a thread."""

    header: dict[str, Any]
    content: Callable[[], bytes]
    created: int = field(default_factory=time.time_ns)


@dataclass(frozen=True, slots=True)
class Written:
    """A parcel that is on disk, and still in memory for as long as it is the newest."""

    name: str
    size: int
    header: dict[str, Any]
    content: bytes


class Waiting:
    """The names of the parcels on disk, oldest first; one that was refused waits behind the others.

    Weeks without MLflow leave tens of thousands, and no step here looks at more than a few of them.
    `size` is the disk space that they take, in bytes.
    """

    def __init__(self, sizes: dict[str, int] | None = None) -> None:
        self._fresh = OrderedDict(sorted((sizes or {}).items()))
        self._refused: OrderedDict[str, int] = OrderedDict()
        self.size = sum(self._fresh.values())

    def __len__(self) -> int:
        return len(self._fresh) + len(self._refused)

    def add(self, name: str, size: int) -> None:
        """Take the newest."""
        self._fresh[name] = size
        self.size += size

    def remove(self, name: str) -> None:
        """Let one go."""
        size = self._fresh.pop(name, 0) or self._refused.pop(name, 0)
        self.size -= size

    def refuse(self, name: str) -> None:
        """Put one behind all others."""
        self._refused[name] = self._fresh.pop(name, 0) or self._refused.pop(name)

    def next(self) -> str:
        """Return the one that is to be sent next."""
        return next(iter(self._fresh or self._refused))

    def oldest(self) -> str:
        """Return the one that goes first when there is no room."""
        return min([*self._refused, *islice(self._fresh, 1)])


def scan(folder: Path) -> dict[str, int]:
    """Return the sizes of the parcels in a folder by their names; what is unfinished is removed."""
    if not folder.is_dir():
        return {}
    for unfinished in folder.glob("*.tmp"):
        unfinished.unlink()
    return {path.name: on_disk(path.stat().st_size) for path in folder.glob(f"*{_ENDING}")}


def write(folder: Path, parcel: Parcel) -> Written:
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
    return Written(path.name, on_disk(len(packed)), parcel.header, content)


def read(path: Path) -> tuple[dict[str, Any], bytes]:
    """Read a parcel; raises ValueError when it is damaged."""
    header, _, content = path.read_bytes().partition(b"\n")
    try:
        return json.loads(header), gzip.decompress(content)
    except (EOFError, zlib.error) as error:
        raise ValueError(str(error)) from error


def unlink(path: Path) -> None:
    """Remove a parcel that may be gone already."""
    path.unlink(missing_ok=True)


def on_disk(size: int) -> int:
    """Return what a file of this size takes: whole blocks, as most file systems have them."""
    return -(-max(size, 1) // _BLOCK) * _BLOCK


def _sync(folder: Path) -> None:
    """Bring a folder's list of names to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
