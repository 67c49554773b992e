"""The Gateway's worker in this process, looked at each millisecond of its processor time.

`python -m benchmarks.sampled PORT`, in a folder that contenders.prepare filled. At SIGTERM the looks
are written to looks.json there: `{room: count}`.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

from aiohttp import web

from mlflow_gateway import app, options, routes, settings  # type: ignore[import-untyped]

# seconds
_INTERVAL = 0.001

# Which room a file of a library belongs to; in that of another library its caller is looked at.
_ROOMS = (
    ("asyncio/selector_events.py", "sockets: sending and receiving"),
    ("/selectors.py", "sockets: waiting for the next event"),
    ("/asyncio/", "event loop"),
    ("aiohttp/web", "aiohttp: server"),
    ("aiohttp/client", "aiohttp: client"),
    ("aiohttp/connector.py", "aiohttp: client"),
)


def _room(frame: FrameType | None) -> str:
    while frame:
        file = frame.f_code.co_filename
        if "/mlflow_gateway/" in file:
            return f"gateway: {Path(file).stem}"
        for part, room in _ROOMS:
            if part in file:
                return room
        frame = frame.f_back
    return "other"


async def _main(port: int) -> Counter[str]:
    checked = options.load(Path("options.json"))
    chosen = settings.Settings(
        data="data",
        run="run",
        host="127.0.0.1",
        ingress_port=0,
        api_port=port,
        ingress_from="",
        tracking="",
        log_level="warning",
    )
    os.environ.update({**routes.secrets(checked), **chosen.environment(checked.api_tokens)})
    looks: Counter[str] = Counter()
    runner = await app.runner()
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    signal.signal(signal.SIGPROF, lambda _, frame: looks.update((_room(frame),)))
    signal.setitimer(signal.ITIMER_PROF, _INTERVAL, _INTERVAL)
    await end.wait()
    signal.setitimer(signal.ITIMER_PROF, 0)
    await runner.cleanup()
    return looks


if __name__ == "__main__":
    Path("looks.json").write_text(json.dumps(asyncio.run(_main(int(sys.argv[1])))))
