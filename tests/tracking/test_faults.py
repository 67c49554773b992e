"""Power cuts, a full disk and a read-only one: what was acknowledged is there afterwards."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.tracking.process import App
from tests.tracking.test_backup import traces
from tests.tracking.writers import Writers

# The benchmark does it 50 times.
KILLS = int(os.environ.get("TRACKING_KILLS", "5"))


def wait_for_more(writers: Writers, count: int) -> None:
    wanted = len(writers.acknowledged) + count
    deadline = time.monotonic() + 60
    while len(writers.acknowledged) < wanted:
        assert time.monotonic() < deadline, writers.refusals[-3:]
        time.sleep(0.02)


def test_no_acknowledged_trace_is_lost_when_the_app_is_killed(own_app: App) -> None:
    chance = random.Random(4)
    with Writers(own_app).running(8) as writers:
        for _ in range(KILLS):
            assert own_app.prepare().returncode == 0
            process = own_app.start()
            own_app.wait_until_ready(process)
            wait_for_more(writers, chance.randrange(1, 25))
            process.kill()
            process.wait(30)
    assert own_app.prepare().returncode == 0
    kept = traces(own_app.data / "mlflow.db")
    assert len(writers.acknowledged) >= KILLS
    assert set(writers.acknowledged) <= kept


@pytest.fixture
def small_disk(tmp_path: Path, prepared: Path) -> Iterator[Path]:
    """A prepared installation on a disk of its own with 16 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        assert not os.environ.get("CI"), "mounting a small disk needs root"
        pytest.skip("mounting a small disk needs root")
    try:
        shutil.copytree(prepared, disk / "data")
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def fill_up(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(b"0" * 4096)
            except OSError:
                return


def test_a_full_disk_is_named_and_does_no_damage(small_disk: Path) -> None:
    app = App(small_disk)
    ballast = small_disk / "ballast"
    with app.running():
        with Writers(app).running(8) as writers:
            wait_for_more(writers, 20)
            fill_up(ballast)
            deadline = time.monotonic() + 60
            while not any(refusal.startswith("507") for refusal in writers.refusals):
                assert time.monotonic() < deadline, writers.refusals[-3:]
                time.sleep(0.05)
            ballast.unlink()
            wait_for_more(writers, 20)
        refusal = next(refusal for refusal in writers.refusals if refusal.startswith("507"))
        assert "disk is full" in refusal
        assert "make room" in refusal
    assert "disk is full" in app.log
    assert set(writers.acknowledged) <= traces(app.data / "mlflow.db")


def test_a_full_disk_stops_the_first_start_in_one_sentence(small_disk: Path) -> None:
    app = App(small_disk)
    app.arguments("prepare")  # writes the options, as the Supervisor does
    shutil.rmtree(app.data)
    app.data.mkdir()
    fill_up(small_disk / "ballast")
    prepared = app.prepare()
    assert prepared.returncode == 1
    assert "make room" in prepared.stderr
    assert len(prepared.stderr.splitlines()) == 1


def test_a_read_only_disk_stops_the_start_in_one_sentence(small_disk: Path) -> None:
    app = App(small_disk)
    with app.running(), Writers(app).running(2) as writers:
        wait_for_more(writers, 5)
    before = (app.data / "mlflow.db").read_bytes()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    try:
        prepared = app.prepare()
        assert prepared.returncode == 1
        assert "cannot be written" in prepared.stderr
        assert len(prepared.stderr.splitlines()) == 1
        assert (app.data / "mlflow.db").read_bytes() == before
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    with app.running():
        pass
    assert set(writers.acknowledged) <= traces(app.data / "mlflow.db")


@pytest.fixture
def failing_disk(tmp_path: Path, prepared: Path) -> Iterator[FailingDisk]:
    """A prepared installation on an ext4 disk of its own that can be made to fail."""
    disk = FailingDisk(tmp_path / "image", tmp_path / "app" / "data")
    if disk.missing():
        assert not os.environ.get("CI"), "mounting a disk that fails needs root"
        pytest.skip("mounting a disk that fails needs root, loop devices and ext4")
    shutil.copytree(prepared, disk.folder, dirs_exist_ok=True)
    try:
        yield disk
    finally:
        disk.unmount()


@dataclass
class FailingDisk:
    """An ext4 file system in a file, which becomes read-only after an error as an SD card's does."""

    image: Path
    folder: Path

    def missing(self) -> bool:
        self.folder.mkdir(parents=True)
        with self.image.open("wb") as file:
            file.truncate(64 * 2**20)
        make = subprocess.run(["mkfs.ext4", "-q", "-F", str(self.image)], check=False)
        return make.returncode != 0 or self.mount() != 0

    def mount(self) -> int:
        command = ["mount", "-o", "loop,errors=remount-ro", str(self.image), str(self.folder)]
        return subprocess.run(command, capture_output=True, check=False).returncode

    def unmount(self) -> None:
        subprocess.run(["umount", str(self.folder)], check=True)

    def fail(self) -> None:
        find = ["findmnt", "-no", "SOURCE", str(self.folder)]
        device = subprocess.run(find, check=True, capture_output=True, text=True).stdout.strip()
        Path("/sys/fs/ext4", Path(device).name, "trigger_fs_error").write_text("a test's")


def test_a_disk_that_becomes_read_only_is_named_and_does_no_damage(
    failing_disk: FailingDisk,
) -> None:
    app = App(failing_disk.folder.parent)  # its log is not on the disk, as in life
    with app.running():
        with Writers(app).running(8) as writers:
            wait_for_more(writers, 20)
            os.sync()  # as a power cut, the error may cost what the disk had not been given yet
            written = set(writers.acknowledged)
            failing_disk.fail()
            deadline = time.monotonic() + 60
            while not any(refusal.startswith("507") for refusal in writers.refusals):
                assert time.monotonic() < deadline, writers.refusals[-3:]
                time.sleep(0.05)
        refusal = next(refusal for refusal in writers.refusals if refusal.startswith("507"))
        assert "read-only" in refusal
        prepared = app.prepare()
        assert prepared.returncode == 1
        assert "cannot be written" in prepared.stderr
    failing_disk.unmount()
    assert failing_disk.mount() == 0
    with app.running(), Writers(app).running(1) as later:
        wait_for_more(later, 1)
    assert written | set(later.acknowledged) <= traces(app.data / "mlflow.db")
