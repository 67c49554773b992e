"""What the Supervisor and s6-overlay read from an app's folder; needs no container engine."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from tests.images.container import declaration, folder

APPS = ("gateway", "tracking")
BASE_SERVICES = {"base"}

pytestmark = pytest.mark.parametrize("app", APPS)


def _services(app: str) -> Path:
    return folder(app) / "rootfs/etc/s6-overlay/s6-rc.d"


def _service_folders(app: str) -> list[Path]:
    return [path for path in sorted(_services(app).iterdir()) if path.name != "user"]


def test_s6_knows_every_service_and_every_dependency(app: str) -> None:
    names = {path.name for path in _service_folders(app)}
    started = {path.name for path in (_services(app) / "user/contents.d").iterdir()}
    assert started == names
    for service in _service_folders(app):
        assert (service / "type").read_text().strip() in ("oneshot", "longrun")
        needed = {path.name for path in (service / "dependencies.d").iterdir()}
        assert needed, f"{service.name} would start before the container is set up"
        assert needed <= names | BASE_SERVICES


def test_a_oneshot_names_a_script_of_the_image(app: str) -> None:
    for up in _services(app).glob("*/up"):
        assert (folder(app) / "rootfs" / up.read_text().strip().lstrip("/")).exists()


def test_scripts_can_be_executed_and_have_unix_line_ends(app: str) -> None:
    scripts = [path for path in (folder(app) / "rootfs").rglob("*") if _is_script(path)]
    assert len(scripts) >= 6
    for script in scripts:
        assert os.access(script, os.X_OK), f"{script} is not executable"
        assert b"\r" not in script.read_bytes(), f"{script} has DOS line ends"


def test_git_keeps_the_executable_bit(app: str) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--stage", "--", f"mlflow-{app}/rootfs"],
        cwd=folder(app).parent, check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    for line in listed:
        mode, path = line.split(maxsplit=1)[0], folder(app).parent / line.split("\t")[1]
        assert not _is_script(path) or mode == "100755", f"git add --chmod=+x {path}"


def test_the_supervisor_finds_one_apparmor_profile_with_the_name_of_the_app(app: str) -> None:
    text = (folder(app) / "apparmor.txt").read_text()
    profiles = re.findall(r"^profile (\S+)", text, re.MULTILINE)
    assert profiles == [declaration(app)["slug"]]


def test_the_container_runs_its_own_process_one(app: str) -> None:
    assert declaration(app)["init"] is False


def _is_script(path: Path) -> bool:
    return path.is_file() and path.read_bytes().startswith(b"#!")
