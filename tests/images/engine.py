"""Debian's container engine, in a folder and on a socket of its own: nothing of the machine's own engine is touched."""

import asyncio
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.images.deadline import until

# not the `docker` of PATH: a newer client may come without buildx, and with it without RUN --mount
_CLIENT = "/usr/bin/docker"
_DAEMON = "/usr/sbin/dockerd"
_KEPT_CACHE = "4GB"


def missing() -> str | None:
    """Say what this machine lacks to run containers; None when it lacks nothing."""
    if os.geteuid() != 0:
        return "building and running the images needs root"
    lacking = [p for p in (_CLIENT, _DAEMON, "mmdebstrap", "ip") if shutil.which(p) is None]
    if lacking:
        return (
            f"not installed: {', '.join(lacking)}; `./scripts/setup images` installs them on Debian"
        )
    return None


class Engine:
    """A dockerd that lives as long as the tests; `data` keeps images and build cache between runs."""

    def __init__(self, data: Path) -> None:
        """Keep images in `data`; socket, state and log are in a new folder below /tmp."""
        self._data = data
        self._run = Path(tempfile.mkdtemp(prefix="mlflow-images-"))
        self._daemon: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the daemon in the network namespace of the calling thread, with images but no network or container."""
        # networks of a run that was killed would be made again, in this namespace
        shutil.rmtree(self._data / "network", ignore_errors=True)
        with (self._run / "dockerd.log").open("ab") as log:
            self._daemon = await asyncio.create_subprocess_exec(
                # the kernel ends the daemon, and it its containers, should the tests be killed
                *("setpriv", "--pdeathsig", "TERM", _DAEMON),
                *("--host", self._address, "--data-root", str(self._data)),
                *("--exec-root", f"{self._run}/exec", "--pidfile", f"{self._run}/pid"),
                *("--storage-driver", "overlay2", "--exec-opt", "native.cgroupdriver=cgroupfs"),
                *("--iptables=false", "--ip6tables=false", "--bridge=none"),
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the tests, which then stop the daemon
            )
        await until(self._answers, "dockerd answers", within=30)
        await self.docker("container", "prune", "--force")

    async def stop(self) -> None:
        """Stop the daemon and take away what it leaves mounted."""
        if self._daemon is None:
            return
        self._daemon.terminate()
        await self._daemon.wait()
        self._daemon = None
        self._unmount()

    async def close(self) -> None:
        """Stop for good."""
        await self.stop()
        shutil.rmtree(self._run)

    async def docker(self, *arguments: str, check: bool = True, merge: bool = False) -> str:
        """Run the client and give its output (with `merge`, errors too); raises RuntimeError when it fails."""
        process = await asyncio.create_subprocess_exec(
            _CLIENT,
            *arguments,
            env={**os.environ, "DOCKER_HOST": self._address, "DOCKER_BUILDKIT": "1"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT if merge else asyncio.subprocess.PIPE,
        )
        output, errors = (part.decode() if part else "" for part in await process.communicate())
        if check and process.returncode != 0:
            raise RuntimeError(f"docker {arguments[0]} failed: {output[-4000:]}{errors[-4000:]}")
        return output.strip()

    async def prune(self) -> None:
        """Forget images that have no name any more, and old build cache."""
        await self.docker("image", "prune", "--force")
        await self.docker("builder", "prune", "--force", "--keep-storage", _KEPT_CACHE)

    @property
    def _address(self) -> str:
        return f"unix://{self._run}/docker.sock"

    def _unmount(self) -> None:
        for mounted in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
            target = Path(mounted.split(" ")[1])
            if target.is_relative_to(self._run) or target.is_relative_to(self._data):
                subprocess.run(["umount", str(target)], check=True)

    async def _answers(self) -> bool:
        if self._daemon and self._daemon.returncode is not None:
            log = (self._run / "dockerd.log").read_text()
            raise RuntimeError(f"dockerd ended: {log[-4000:]}")
        return bool(await self.docker("version", "--format", "{{.Server.Version}}", check=False))
