"""The network that the Supervisor gives to apps, with its real addresses, in a network namespace of the tests' own.

Facts: the Supervisor's bridge network is called `hassio` and has 172.30.32.0/23; 172.30.32.1 is the host (Home
Assistant Core is on the host's network, so its calls come from there), 172.30.32.2 the Supervisor, 172.30.32.3 its
name server; apps get 172.30.33.x, and find each other by host name.
"""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.images.engine import Engine

NAME = "hassio"
CORE = "172.30.32.1"
SUPERVISOR = "172.30.32.2"
NAME_SERVER = (
    "172.30.32.3"  # nobody listens there: names outside of the network are unknown at once
)

_CLONE_NEWNET = 0x40000000


@contextmanager
def own_namespace() -> Iterator[None]:
    """Move this thread, and what it starts, into a new network namespace; and back at the end."""
    libc = ctypes.CDLL(None, use_errno=True)  # os.unshare and os.setns come with Python 3.12
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if libc.unshare(_CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "could not make a network namespace")
        _ip("link", "set", "lo", "up")
        yield
    finally:
        libc.setns(before, _CLONE_NEWNET)
        os.close(before)


async def create(engine: Engine) -> None:
    """Make the network in the namespace where `engine` runs, with the Supervisor's addresses on this side."""
    await engine.docker(
        *("network", "create", "--driver", "bridge", "--subnet", "172.30.32.0/23"),
        *("--ip-range", "172.30.33.0/24", "--gateway", CORE),
        *("--opt", f"com.docker.network.bridge.name={NAME}", NAME),
    )
    for address in (SUPERVISOR, NAME_SERVER):
        _ip("addr", "add", f"{address}/23", "dev", NAME)


async def remove(engine: Engine) -> None:
    """Remove the network; the namespace ends with its last process."""
    await engine.docker("network", "rm", NAME, check=False)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
