"""The supervisor becomes the program that is on disk now, and keeps its process id, its sockets and its children.

`exec` gives a process another program and leaves everything else: descriptors that are inheritable, children, the lock
of the state folder, and which signals wait. What the next self must know about these goes in one variable. Before that,
the program on disk is started on trial: it has to import all it needs and to understand settings and variable, for a
supervisor that fails at its start would end fig.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, MutableMapping
from dataclasses import asdict, dataclass
from typing import Self

VARIABLE = "FIG_TAKEN_OVER"
TRIAL = "--trial"
HEEDED = (signal.SIGHUP, signal.SIGUSR2, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
"""Signals that wait while there are two selves; none is lost and none ends fig meanwhile."""
TRIAL_SECONDS = 60.0
"""After these a trial ends by itself; who started it ends it sooner."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What goes over. Numbers of descriptors and processes; 0 for a process that does not run."""

    lock: int
    lifeline: int
    ours: int
    """The end of the lifeline that only the supervisor has."""
    sockets: list[int]
    tls_sockets: list[int]
    control: int
    shadower: int
    workers: list[int]
    former: list[tuple[str, int, float]]
    """Workers that were replaced: name, process, and when (time.monotonic, which goes on) they are killed."""
    restart: int
    """The number of the restart that this is a part of."""
    asked: bool
    """Whether another one was asked for meanwhile."""

    @classmethod
    def take(cls, environment: MutableMapping[str, str]) -> Self | None:
        """What the former self left, once: children must not see it. None where there was none.

        Raises ValueError, TypeError on what no such self has written.
        """
        text = environment.pop(VARIABLE, "")
        return cls(**json.loads(text)) if text else None

    @property
    def variable(self) -> dict[str, str]:
        """The variable that `take` reads."""
        return {VARIABLE: json.dumps(asdict(self))}

    @property
    def descriptors(self) -> list[int]:
        return [self.lock, self.lifeline, self.ours, *self.sockets, *self.tls_sockets]


def trial() -> list[str]:
    """The arguments after `python` that start this program on trial."""
    return [*sys.orig_argv[1:], TRIAL]


def on_trial(arguments: list[str]) -> bool:
    """Whether this process is one; if so it has come as far as it should, says so, and waits to be ended."""
    if TRIAL not in arguments:
        return False
    word = int(arguments[arguments.index("--ready") + 1])
    with contextlib.suppress(BrokenPipeError):
        os.write(word, b"\n")
    time.sleep(TRIAL_SECONDS)
    return True


def become(kept: Kept, heard: Callable[[], bytes]) -> str:
    """Go on as the program on disk. Returns only when that cannot be done, with why; then nothing has changed.

    `heard` gives the numbers of signals that came and were not heeded yet; they wait for the next self.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, HEEDED)
    for number in heard():
        os.kill(os.getpid(), number)
    for descriptor in kept.descriptors:
        os.set_inheritable(descriptor, True)
    try:
        os.execve(  # noqa: S606 - our own program
            sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **kept.variable}
        )
    except OSError as exc:
        problem = str(exc)
    for descriptor in kept.descriptors:
        os.set_inheritable(descriptor, False)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return problem


class Adopted:
    """A child that a former self started: what the supervisor asks of a subprocess.Popen."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        """Its exit code, or None while it runs."""
        return self._look(os.WNOHANG)

    def wait(self) -> int | None:
        return self._look(0)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def _look(self, options: int) -> int | None:
        if self._code is None:
            try:
                pid, status = os.waitpid(self.pid, options)
            except ChildProcessError:  # reaped by whoever ran before, so nobody can tell any more
                self._code = 0
            else:
                self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code
