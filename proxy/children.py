"""One process that the supervisor runs: started, told to end, noticed when it ended, and due again when it crashed.

Each child is given the writing end of a pipe and says on it when it is ready (proxy/lifeline.py); what is restarted in
turn waits for that word, and for no clock.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import structlog

from proxy.takeover import Adopted

log = structlog.get_logger(__name__)

FIRST_DELAY, LONGEST_DELAY, STEADY_AFTER = 0.1, 5.0, 10.0
"""Seconds: the wait before the second restart in a row, the longest (each is twice the one before), and what alive
resets it."""

SECRETS = (
    "FIG_ADMIN_TOKEN",
    "FIG_READ_TOKEN",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
)
"""Variables that control alone is given: what opens the admin API, and what opens a collector."""


def delay(failures: int) -> float:
    """Seconds before restart number `failures` (from 1) in a row. The first is at once: clients are waiting."""
    return 0.0 if failures <= 1 else float(min(FIRST_DELAY * 2 ** min(failures - 2, 16), LONGEST_DELAY))


class Child:
    """One process, over all its starts."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        fds: Sequence[int],
        *,
        secrets: bool = False,
        more: Mapping[str, str] | None = None,
    ) -> None:
        """`fds` are inherited; SECRETS only with `secrets`. `more` variables are set."""
        self.name = name
        hidden = () if secrets else SECRETS
        self._secrets = secrets
        self._environment = {key: value for key, value in os.environ.items() if key not in hidden} | {**(more or {})}
        self._argv = argv
        self._fds = fds
        self._process: subprocess.Popen[bytes] | Adopted | None = None
        self._started = 0.0
        self.failures = 0
        """Crashes in a row."""
        self.due: float | None = None
        """When it is to be started again (time.monotonic), None while it runs or was told to stop."""
        self.kill_at: float | None = None
        """When patience with it ends (time.monotonic)."""
        self.wanted = True
        """Whether it is started again when it ends."""
        self.is_ready = False
        """Whether the running process has said that it does its work."""
        self.awaited: int | None = None
        """The descriptor on which it will say so; None when it has, or has ended."""

    @property
    def alive(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int:
        """0 when it does not run."""
        return self._process.pid if self._process is not None else 0

    def another(self) -> Self:
        """One with the same task, not started, that is not started again until somebody wants it."""
        other = type(self)(self.name, self._argv, self._fds, secrets=self._secrets)
        other.wanted = False
        return other

    def adopt(self, pid: int) -> None:
        """Take over the process that the supervisor's former self started; one that has ended since is started anew."""
        self._started = time.monotonic()
        if pid:
            self._process = Adopted(pid)
            self.is_ready = True
        else:
            self.due = self._started

    def start(self) -> None:
        """Start it, or try again later: a machine without a process to spare is no reason for the others to end."""
        self.due = None
        self._started = time.monotonic()
        # Inherited blocked: a SIGHUP that comes before control can heed it waits there, and does not end it.
        former = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP,))
        try:
            self.awaited, word = os.pipe()
            os.set_blocking(self.awaited, False)
            try:
                # A session of its own: Ctrl-C in a terminal reaches the supervisor alone, which ends them in order.
                self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and modules
                    [sys.executable, *self._argv, "--ready", str(word)],
                    pass_fds=(*self._fds, word),
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                )
            finally:
                os.close(word)
        except OSError as exc:
            self._await_no_longer()
            wait = self._again()
            log.error("not started", child=self.name, problem=str(exc), again_in=wait, failures=self.failures)
        else:
            log.info("started", child=self.name, pid=self._process.pid)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, former)

    def send(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Tell it to end; it is not started again."""
        self.wanted = False
        self.due = None
        self.send(number)

    def listen(self) -> None:
        """Take its word that it is ready, when there is one."""
        if self.awaited is not None:
            with contextlib.suppress(BlockingIOError):
                self.is_ready = bool(os.read(self.awaited, 1))
                self._await_no_longer()

    def reap(self) -> None:
        """Notice that it ended, and decide when it starts again."""
        if self._process is None or (code := self._process.poll()) is None:
            return
        pid, self._process = self._process.pid, None
        self.is_ready = False
        self._await_no_longer()
        if not self.wanted:
            log.info("stopped", child=self.name, pid=pid, code=code)
            return
        wait = self._again()
        log.error("crashed", child=self.name, pid=pid, code=code, restart_in=wait, failures=self.failures)

    def kill(self, why: str) -> None:
        """At once, and for good."""
        if self.alive:
            log.warning("killed", child=self.name, pid=self.pid, why=why)
            self.stop(signal.SIGKILL)
            self.wait()
            self.reap()

    def wait(self) -> None:
        if self._process is not None:
            self._process.wait()

    def _again(self) -> float:
        """Have it started after a while; the seconds of it."""
        now = time.monotonic()
        self.failures = 1 if now - self._started >= STEADY_AFTER else self.failures + 1
        wait = delay(self.failures)
        self.due = now + wait
        return wait

    def _await_no_longer(self) -> None:
        if self.awaited is not None:
            os.close(self.awaited)
            self.awaited = None


@dataclass(slots=True)
class Crew:
    """Everyone that the supervisor runs."""

    control: Child
    shadower: Child
    workers: list[Child]
    """By number."""
    coming: list[Child] = field(default_factory=list)
    """Successors of workers, not ready yet."""
    former: list[Child] = field(default_factory=list)
    """Workers that were replaced and end what they carry."""

    @property
    def all(self) -> list[Child]:
        return [self.shadower, self.control, *self.workers, *self.coming, *self.former]

    def look_after(self, now: float) -> None:
        """Hear who is ready, notice who ended, start whoever is due, kill whose time is over."""
        for child in self.all:
            child.listen()
            child.reap()
            if child.due is not None and child.due <= now:
                child.start()
            if child.kill_at is not None and child.kill_at <= now:
                child.kill("not drained in time")
        self.former = [child for child in self.former if child.alive]

    def next_look(self) -> float | None:
        """When (time.monotonic) something is to be done that no event tells of."""
        return min((at for child in self.all for at in (child.due, child.kill_at) if at is not None), default=None)
