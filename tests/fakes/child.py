"""A stand-in for control, shadower and worker: notes what happens to it in a file, ends as the others end.

    python child.py KIND [the arguments that the supervisor gives]

Behaviour by environment: FAKE_CHECK is the exit code of `--once`; FAKE_STUBBORN names a kind that ignores SIGTERM;
FAKE_FAILING names a file: while it is there, whoever it names (``worker-0``) ends before it is ready.
A worker answers every connection on its socket with its own pid, and holds it until the client closes it.
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
    for flag in ("--state", "--number"):
        parser.add_argument(flag)
    for flag in ("--fd", "--lifeline", "--ready"):
        parser.add_argument(flag, type=int)
    told, _ = parser.parse_known_args(rest)
    if told.once:
        return int(os.environ.get("FAKE_CHECK", "0"))

    name = f"{kind}-{told.number}" if kind == "worker" else kind

    def note(event: str) -> None:
        with (Path(told.state) / "events").open("a") as file:
            file.write(f"{name} {os.getpid()} {event}\n")

    failing = Path(os.environ.get("FAKE_FAILING", "/none"))
    if failing.exists() and name in failing.read_text():
        note("fails")
        return 3
    ended = asyncio.Event()
    retired = asyncio.Event()
    held: set[asyncio.StreamWriter] = set()

    def stop(reason: str) -> None:
        note(reason)
        if os.environ.get("FAKE_STUBBORN") != kind:
            ended.set()

    lifeline.on_end(stop, told.lifeline)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, note, "SIGHUP")
    loop.add_signal_handler(signal.SIGUSR2, retired.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGHUP,))
    server = None
    if told.fd is not None:

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            held.add(writer)
            writer.write(f"{os.getpid()}\n".encode())
            with contextlib.suppress(ConnectionError):
                await reader.read()
            writer.close()
            held.discard(writer)

        server = await asyncio.start_server(answer, sock=socket.socket(fileno=told.fd))
    if os.environ.get("FIG_ADMIN_TOKEN"):
        note("knows the token")
    if os.environ.get("OTEL_EXPORTER_OTLP_HEADERS"):
        note("knows the collector's secret")
    note("up")
    lifeline.tell_ready(told.ready)
    waiting = [asyncio.create_task(one.wait()) for one in (ended, retired)]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    if server is not None:
        server.close()
    if retired.is_set() and not ended.is_set():
        note("retired")
        while held and not ended.is_set():
            await asyncio.sleep(0.01)
    note("end")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
