"""Stands for control beside a measured worker: takes whatever it is told, on the processor of the load.

Control itself would judge a hundred canaries there, which has no place in the figures of a data plane; without anybody
a worker would have nobody to send to, and its figures would leave that work out.
"""

from __future__ import annotations

import asyncio
import sys


class Taker(asyncio.Protocol):
    """Reads and forgets."""


async def main(path: str) -> None:
    server = await asyncio.get_running_loop().create_unix_server(Taker, path)
    await server.serve_forever()


asyncio.run(main(sys.argv[1]))
