"""Makes an installed environment small: what the running app never reads goes, the byte code that it does is made.

`python3 slim.py VENV SOURCES` while the image is built, and in the benchmark of the installed size. Needs `strip` of
binutils. Standard library only.
"""

# ruff: noqa: S310, S603, S607  (its own programs and its own address, while the image is built)

import gzip
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path

# Packages' own tests, stubs for type checkers, and what compilers read.
_UNREAD_FOLDERS = {"tests", "__pycache__"}
_UNREAD_SUFFIXES = {".pyi", ".pyx", ".pxd", ".pxi", ".c", ".h", ".a"}

# MLflow's interface is 28 MB of text that packs to a quarter; mlflow_tracking.static_files serves both forms.
_INTERFACE = "mlflow/server/js/build/static"
_PACKED_SUFFIXES = {".js", ".mjs", ".css", ".svg"}
_WORTH_PACKING = 2048  # bytes

# What the app imports later than at its start: in the process of the jobs, and at night.
_LATER = ("mlflow.server.jobs._executor_runner", "mlflow.genai.scorers.job", "mlflow.cli", "pandas")


def main(venv: Path, sources: Path) -> None:
    """Slim the environment in place; `sources` is the folder that holds the package mlflow_tracking."""
    packages = next(venv.glob("lib/python3*/site-packages"))
    for unread in list(_unread(packages)):
        shutil.rmtree(unread) if unread.is_dir() else unread.unlink()
    for library in packages.rglob("*.so"):
        _strip(library)
    for file in (packages / _INTERFACE).rglob("*"):
        if file.suffix in _PACKED_SUFFIXES and file.stat().st_size > _WORTH_PACKING:
            _pack(file)
    _run_once(venv / "bin/python", sources)
    _make_byte_code(venv / "bin/python", [packages, sources])


def _unread(packages: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(packages):
        gone = _UNREAD_FOLDERS.intersection(folders)
        folders[:] = [name for name in folders if name not in gone]
        yield from (Path(folder, name) for name in gone)
        yield from (Path(folder, name) for name in files if Path(name).suffix in _UNREAD_SUFFIXES)


def _strip(library: Path) -> None:
    # Libraries that a wheel brings along in PACKAGE.libs were moved there by patchelf, whose layout strip breaks.
    if not library.parent.name.endswith(".libs"):
        subprocess.run(["strip", "--strip-unneeded", library], check=True)


def _pack(file: Path) -> None:
    packed = gzip.compress(file.read_bytes(), compresslevel=9, mtime=0)
    file.with_name(file.name + ".gz").write_bytes(packed)
    file.unlink()


def _run_once(python: Path, sources: Path) -> None:
    """Start the app and let it keep the byte code of all that it imports."""
    environment = {**os.environ, "PYTHONPATH": str(sources)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as folder:
        options = Path(folder, "options.json")
        options.write_text(json.dumps({"log_level": "warning"}))
        ingress, api = _free_ports(2)
        arguments = ["--options", str(options), "--data", f"{folder}/data", "--host", "127.0.0.1"]
        arguments += ["--ingress-from", "127.0.0.1"]
        arguments += ["--ingress-port", str(ingress), "--api-port", str(api)]
        app = [str(python), "-m", "mlflow_tracking"]
        subprocess.run([*app, "prepare", *arguments], env=environment, check=True)
        with subprocess.Popen([*app, "serve", *arguments], env=environment) as server:
            try:
                _use(f"http://127.0.0.1:{ingress}")
            finally:
                server.terminate()
    environment["PYTHONPATH"] = f"{sources}:{sources / 'mlflow_tracking/absent'}"
    later = f"import mlflow_tracking.job_runner, {', '.join(_LATER)}"
    subprocess.run([python, "-W", "ignore", "-c", later], env=environment, check=True)


def _use(address: str) -> None:
    """Ask for what the interface's first page asks for."""
    deadline = time.monotonic() + 300
    while True:
        try:
            urllib.request.urlopen(f"{address}/health", timeout=60).close()
            break
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
    for path in (
        "",
        "ajax-api/3.0/mlflow/server-info",
        "ajax-api/2.0/mlflow/experiments/get?experiment_id=0",
    ):
        urllib.request.urlopen(f"{address}/{path}", timeout=60).close()


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def _make_byte_code(python: Path, folders: Iterable[Path]) -> None:
    """Make the same byte code again in the form that is used without a look at its source's time."""
    made = [pyc for folder in folders for pyc in folder.rglob("__pycache__/*.pyc")]
    modules = {pyc.parents[1] / f"{pyc.name.split('.')[0]}.py" for pyc in made}
    for pyc in made:
        pyc.unlink()
    command = [str(python), "-m", "compileall", "-q", "-i", "-"]
    command += ["--invalidation-mode", "unchecked-hash"]
    listed = "".join(f"{module}\n" for module in sorted(modules) if module.exists())
    subprocess.run(command, input=listed, text=True, check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
