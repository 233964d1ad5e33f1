"""The demo's programs: started, waited for, ended in order. None of them outlives the demo, however it ends.

Each runs in a session of its own, so that Ctrl-C in the terminal reaches the demo alone, and gets SIGTERM from the
kernel when the demo is gone without a goodbye (Linux's parent-death signal). What they print goes to files.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

PATIENCE = 20.0
"""Seconds that a program gets to answer its health check; five of them start on two cores at once."""
LINE_LIMIT = 1024 * 1024
_PR_SET_PDEATHSIG = 1


class StartError(Exception):
    """A program did not come up; says which one, and what it printed last."""


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens on, all different."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def can_listen(port: int) -> bool:
    """Whether nobody listens on the loopback's `port`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _end_with_parent(parent: int) -> None:
    """In the child, before its program begins. Without Linux's call, only an orderly end of the demo ends it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # the demo died before the call
            os.kill(os.getpid(), signal.SIGTERM)


@dataclass
class Program:
    """One running program."""

    name: str
    process: asyncio.subprocess.Process
    log: Path
    ending: bool = False
    """Whether it was told to end; otherwise its end is a crash."""

    @property
    def crashed(self) -> bool:
        return self.process.returncode is not None and not self.ending

    @property
    def last_words(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return "\n".join(lines[-12:])

    async def lines(self) -> AsyncIterator[str]:
        """What it prints on stdout, if that was asked for."""
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            yield line.decode(errors="replace")

    async def end(self, patience: float) -> None:
        """SIGTERM, then SIGKILL after `patience` seconds."""
        self.ending = True
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), patience)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


@dataclass
class Company:
    """All programs of one demo, in the order in which they were started."""

    folder: Path
    """Where their logs go."""
    programs: list[Program] = field(default_factory=list)

    async def start(self, name: str, command: Sequence[str | Path], reads_stdout: bool = False) -> Program:
        """Start it and return at once."""
        log = self.folder / f"{name}.log"
        parent = os.getpid()
        with log.open("ab") as file:
            process = await asyncio.create_subprocess_exec(
                *map(str, command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if reads_stdout else file,
                stderr=file,
                start_new_session=True,
                preexec_fn=lambda: _end_with_parent(parent),  # safe: the demo has one thread
                limit=LINE_LIMIT,
            )
        program = Program(name, process, log)
        self.programs.append(program)
        return program

    def log_of(self, name: str) -> list[str]:
        """The lines that the program has printed so far."""
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace").splitlines()

    @property
    def crashed(self) -> list[Program]:
        return [program for program in self.programs if program.crashed]

    async def end(self, patience: float, first: Sequence[str] = ()) -> None:
        """End all that still run: those named in `first` one after another, because they need the others, who then
        end together."""
        for name in first:
            for program in self.programs:
                if program.name == name:
                    await program.end(patience)
        await asyncio.gather(*(program.end(patience) for program in self.programs))


async def wait_until_well(client: httpx.AsyncClient, program: Program, url: str) -> None:
    """Until the health check answers 200. Raises StartError when it does not, with what the program printed."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while asyncio.get_running_loop().time() < deadline:
        if program.process.returncode is not None:
            code = program.process.returncode
            raise StartError(f"{program.name} ended with exit code {code} before it was ready:\n{program.last_words}")
        with contextlib.suppress(httpx.TransportError):
            if (await client.get(url)).status_code == 200:
                return
        await asyncio.sleep(0.05)
    raise StartError(f"{program.name} was not ready after {PATIENCE:g} s ({url}):\n{program.last_words}")
