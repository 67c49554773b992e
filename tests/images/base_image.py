"""The stand-in for the base image, made once and kept in `.tools/images` (see base/build for what it is)."""

import asyncio
import hashlib
from pathlib import Path

from tests.images.container import ROOT
from tests.images.engine import Engine

NAME = "ghcr.io/home-assistant/base-debian:trixie"

_SOURCES = Path(__file__).parent / "base"
_CERTIFICATES = Path("/usr/local/share/ca-certificates")
# what the real base sets
_ENVIRONMENT = (
    "LANG=C.UTF-8",
    "DEBIAN_FRONTEND=noninteractive",
    "CURL_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt",
    "S6_BEHAVIOUR_IF_STAGE2_FAILS=2",
    "S6_CMD_WAIT_FOR_SERVICES_MAXTIME=0",
)


async def ensure(engine: Engine, cache: Path) -> None:
    """Have the stand-in under the base image's name in `engine`; raises RuntimeError when it cannot be made."""
    digest = _digest()
    label = await engine.docker(
        *("image", "inspect", "--format", '{{index .Config.Labels "stand-in"}}', NAME), check=False
    )
    if label == digest:
        return
    tarball = cache / f"base-{digest}.tar"
    if not tarball.exists():
        await _make(tarball)
    changes = ['ENTRYPOINT ["/init"]', f"LABEL stand-in={digest}"]
    changes += [f"ENV {variable}" for variable in _ENVIRONMENT]
    await engine.docker(
        "import", *(part for change in changes for part in ("--change", change)), str(tarball), NAME
    )


def _digest() -> str:
    files = [
        *sorted(_SOURCES.iterdir()),
        ROOT / "demo/bashio",
        *sorted(_CERTIFICATES.glob("*.crt")),
    ]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


async def _make(tarball: Path) -> None:
    for old in tarball.parent.glob("base-*"):
        old.unlink()
    unfinished = tarball.with_suffix(".new.tar")
    process = await asyncio.create_subprocess_exec(
        str(_SOURCES / "build"),
        str(unfinished),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"the stand-in base could not be made: {output.decode()[-4000:]}")
    unfinished.rename(tarball)
