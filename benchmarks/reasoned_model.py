"""The demo's scripted model as a process of its own: `python -m benchmarks.reasoned_model PORT`."""

import asyncio
import sys

from demo.model import ScriptedModel


async def _serve(port: int) -> None:
    await ScriptedModel().start(port=port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
