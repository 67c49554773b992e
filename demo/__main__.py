"""`./scripts/demo`: start everything, say where it is, end it with Ctrl-C; `--smoke` runs one round of everything."""

import argparse
import asyncio
import fcntl
import json
import signal
import socket
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import aiohttp

from demo.smoke import smoke
from demo.stand import PASSWORD, USER, Stand, free_port
from demo.user import User


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./scripts/demo", description=__doc__)
    parser.add_argument(
        "--port", type=int, help="Home Assistant's port (default: 8123, else a free one)"
    )
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="DIR",
        help="keep all state in DIR, and go on from it next time",
    )
    parser.add_argument(
        "--smoke", action="store_true", help="run one round of everything and print a line of JSON"
    )
    return parser.parse_args()


async def _run(arguments: argparse.Namespace, directory: Path) -> int:
    stop = asyncio.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)
    stand = Stand(directory, _port(arguments.port, smoke=arguments.smoke))
    _say(f"starting Home Assistant, the stand-in Supervisor and both apps in {directory} ...")
    stopping = asyncio.create_task(stop.wait())
    working = asyncio.create_task(_work(stand, arguments, stop))
    try:
        await asyncio.wait({stopping, working}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            working.cancel()
            return 130
        return working.result()
    finally:
        stopping.cancel()
        _say("stopping ...")
        await stand.stop()


async def _work(stand: Stand, arguments: argparse.Namespace, stop: asyncio.Event) -> int:
    try:
        user = await stand.start()
    except (RuntimeError, TimeoutError, OSError, aiohttp.ClientError) as fault:
        _say(f"{stand.last_words()}\n\nThe demo did not start: {fault or type(fault).__name__}")
        return 1
    try:
        if arguments.smoke:
            return await _smoke(stand, user)
        _welcome(stand)
        await stop.wait()
        return 0
    finally:
        await user.close()


async def _smoke(stand: Stand, user: User) -> int:
    result, faults = await smoke(stand, user)
    print(json.dumps(result))
    for fault in faults:
        _say(f"not right: {fault}")
    return 1 if faults else 0


def _welcome(stand: Stand) -> None:
    _say(
        f"\nReady after {stand.ready_s:.0f} s.\n\n"
        f"  Home Assistant   {stand.home.base}\n"
        f"  Login            {USER} / {PASSWORD}\n\n"
        "  In the sidebar: MLflow (experiments, prompts, traces, PromptLab) and the Gateway's page.\n"
        '  Assist (key a):  "turn on the kitchen lights", "which lights are on?"\n'
        "  Reasoned state: binary_sensor.ak_asleep, from motion, lights, doors, TV and AK's phone charger.\n"
        "  Settings -> Apps: the credentials and endpoints of the Gateway.\n\n"
        "The model is a script that knows a few sentences; set OPENAI_API_KEY or OLLAMA_URL for a real one.\n"
        "Ctrl-C ends everything."
    )


def _port(wanted: int | None, *, smoke: bool) -> int:
    """8123 is what people expect; a smoke run or a second demo takes any; raises OSError for a bad one."""
    if wanted is not None and not 0 < wanted < 65536:
        raise OSError(f"--port {wanted} is no port: give one from 1 to 65535.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted or (0 if smoke else 8123)))
        except OSError:
            if wanted is None:
                return free_port()
            raise OSError(f"--port {wanted} cannot be used here: give another.") from None
        return int(probe.getsockname()[1])


def _hold(directory: Path) -> IO[str]:
    """Keep a second demo out of the directory while this one runs; raises OSError."""
    lock = (directory / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise OSError(
            f"Another demo runs in {directory}: end it, or give another --keep."
        ) from None
    return lock


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Run the demo; returns the exit code."""
    arguments = _arguments()
    with ExitStack() as stack:
        if arguments.keep:
            directory = arguments.keep.resolve()
            directory.mkdir(parents=True, exist_ok=True)
        else:
            directory = Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="mlflow-demo-"))
            )
        try:
            stack.enter_context(_hold(directory))
            return asyncio.run(_run(arguments, directory))
        except OSError as fault:
            _say(str(fault))
            return 2


if __name__ == "__main__":
    sys.exit(main())
