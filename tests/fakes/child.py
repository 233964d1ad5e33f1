"""A stand-in for control, shadower and worker: notes what happens to it in a file, ends as the others end.

    python child.py KIND [the arguments that the supervisor gives]

Behaviour by environment: FAKE_CHECK is the exit code of `--once`; FAKE_STUBBORN names a kind that ignores SIGTERM.
A worker answers every connection on its socket with its own pid.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import sys
from pathlib import Path

from proxy import lifeline


async def main() -> int:
    kind, *rest = sys.argv[1:]
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--once", action="store_true")
    for flag in ("--state", "-c", "--admin", "--workers", "--listen", "--drain", "--access-sample", "--number"):
        parser.add_argument(flag)
    parser.add_argument("--fd", type=int)
    parser.add_argument("--lifeline", type=int)
    told = parser.parse_args(rest)
    if told.once:
        return int(os.environ.get("FAKE_CHECK", "0"))

    name = f"{kind}-{told.number}" if kind == "worker" else kind

    def note(event: str) -> None:
        with (Path(told.state) / "events").open("a") as file:
            file.write(f"{name} {os.getpid()} {event}\n")

    ended = asyncio.Event()

    def stop(reason: str) -> None:
        note(reason)
        if os.environ.get("FAKE_STUBBORN") != kind:
            ended.set()

    lifeline.on_end(stop, told.lifeline)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, note, "SIGHUP")
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGHUP,))
    server = None
    if told.fd is not None:

        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(f"{os.getpid()}\n".encode())
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, sock=socket.socket(fileno=told.fd))
    if os.environ.get("FIG_ADMIN_TOKEN"):
        note("knows the token")
    note("up")
    await ended.wait()
    if server is not None:
        server.close()
    note("end")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
