"""`fig serve` itself: holds the listening sockets, starts control, shadower and workers, restarts what crashes, drains.

Small on purpose. It carries no traffic, reads no rules and imports no library that could fail; whatever happens to the
others, it stays. How it ends a process: SIGTERM asks it to drain, a second one to hurry; SIGKILL follows when the time
is up. SIGHUP is control's (reload), SIGUSR2 restarts everyone in turn (proxy/restart.py).
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace

import structlog

from proxy import logs, restart, takeover
from proxy.children import Child, Crew
from proxy.claims import StartError, bind, hold, listening, with_port
from proxy.settings import NOWHERE, Settings, SettingsError
from proxy.takeover import Kept

log = structlog.get_logger(__name__)

AFTER_DRAIN = 5.0
"""Seconds that children without a supervisor may need to end when their drain is over."""


@dataclass(frozen=True, slots=True)
class Programs:
    """The arguments after `python` that start each process; tests put fakes here."""

    control: tuple[str, ...] = ("-P", "-m", "proxy.control")
    shadower: tuple[str, ...] = ("-P", "-m", "proxy.shadower")
    worker: tuple[str, ...] = ("-P", "-m", "proxy.worker")
    certificates: tuple[str, ...] = ("-P", "-m", "proxy.certificates")
    """Not one that stays: says whether there are certificates to start with."""


class Signals:
    """Signals as events: `wait` sleeps until one comes or the time is up. A child's end is one (SIGCHLD)."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        for end in (self._reader, self._writer):
            end.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGUSR2, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)

    def wait(self, seconds: float | None, words: Iterable[int] = ()) -> bytes:
        """The numbers of the signals that came, in order; empty when the time is up or one of `words` can be read."""
        waiting = select.poll()  # not select(), which knows no descriptor above 1023
        for one in (self._reader.fileno(), *words):
            waiting.register(one, select.POLLIN)
        waiting.poll(None if seconds is None else seconds * 1000)
        with contextlib.suppress(BlockingIOError):
            return self._reader.recv(4096)
        return b""


class Supervisor:
    """Runs the children until told to end. Owns their listening sockets."""

    def __init__(
        self,
        settings: Settings,
        programs: Programs,
        sockets: list[socket.socket],
        tls_sockets: list[socket.socket],
        fds: tuple[int, int],
        ours: int,
    ) -> None:
        """One of `sockets` and one of `tls_sockets` for each worker, where it listens at all. `fds` are the lifeline's
        reading end and the state folder's lock; every child inherits both. `ours` is the lifeline's other end."""
        self._settings = settings
        self._sockets, self._tls_sockets = sockets, tls_sockets
        self._lifeline, self._lock = fds
        self._ours = ours
        self._reserve = reserve(settings.drain)
        ends = ["--lifeline", str(fds[0])]
        state = ["--state", str(settings.state), "--drain", f"{settings.drain - self._reserve:g}"]
        control = Child("control", [*programs.control, *control_arguments(settings), *ends], fds, secrets=True)
        quota = [] if settings.journal_quota is None else ["--journal-quota", str(settings.journal_quota)]
        shadower = Child("shadower", [*programs.shadower, *state, *quota, *ends], fds)
        workers = []
        for number in range(settings.workers):
            told = ["--access-sample", f"{settings.access_log:g}", "--handover", f"{settings.handover:g}"]
            if settings.max_connections is not None:
                told += ["--max-connections", str(settings.max_connections)]
            inherited = list(fds)
            argv = ["--number", str(number), *told, *state, *ends]
            if sockets:
                inherited.append(sockets[number].fileno())
                argv += ["--fd", str(sockets[number].fileno())]
            if tls_sockets:
                inherited.append(tls_sockets[number].fileno())
                argv += ["--tls-fd", str(tls_sockets[number].fileno()), "--certificates", str(settings.certificates)]
            workers.append(Child(f"worker-{number}", [*programs.worker, *argv], inherited))
        self._crew = Crew(control, shadower, workers)
        self._restart: Generator[float, None, None] | None = None
        """The one under way."""
        self._restart_asked = False
        self._signals = Signals()

    def start(self) -> None:
        for child in self._crew.all:
            child.start()

    def resume(self, kept: Kept) -> None:
        """Go on with the children of the self that this process was, and with the restart that it began."""
        crew = self._crew
        for child, pid in zip(
            (crew.control, crew.shadower, *crew.workers), (kept.control, kept.shadower, *kept.workers), strict=True
        ):
            child.adopt(pid)
        for name, pid, kill_at in kept.former:
            former = next(worker for worker in crew.workers if worker.name == name).another()
            former.adopt(pid)
            former.kill_at = kill_at
            crew.former.append(former)
        self._restart_asked = kept.asked
        self._begin_restart(restart.taken_over(kept.restart, self._settings.state))

    def _keeping(self, number: int) -> Kept:
        """What the next self is to go on with, in the restart of that number."""
        crew = self._crew
        return Kept(
            lock=self._lock,
            lifeline=self._lifeline,
            ours=self._ours,
            sockets=[one.fileno() for one in self._sockets],
            tls_sockets=[one.fileno() for one in self._tls_sockets],
            control=crew.control.pid,
            shadower=crew.shadower.pid,
            workers=[worker.pid for worker in crew.workers],
            former=[(child.name, child.pid, child.kill_at or time.monotonic()) for child in crew.former],
            restart=number,
            asked=self._restart_asked,
        )

    def run(self) -> int:
        """Until SIGTERM or SIGINT; gives the exit code."""
        look: float | None = time.monotonic()
        while True:
            numbers = self._turn(look)
            if signal.SIGHUP in numbers:
                self._crew.control.send(signal.SIGHUP)
                if self._settings.tls_listen is not None:
                    for worker in (*self._crew.workers, *self._crew.coming):
                        worker.send(signal.SIGHUP)  # to look at the certificates
            if signal.SIGTERM in numbers or signal.SIGINT in numbers:
                if self._restart is not None:
                    self._restart.close()
                return self._drain()
            self._restart_asked |= signal.SIGUSR2 in numbers
            look = self._go_on_restarting()

    def _turn(self, until: float | None) -> bytes:
        """Sleep until something happens or `until` (time.monotonic), look after the children, give the signals."""
        times = [at for at in (until, self._crew.next_look()) if at is not None]
        words = [child.awaited for child in self._crew.all if child.awaited is not None]
        numbers = self._signals.wait(max(min(times) - time.monotonic(), 0.0) if times else None, words)
        self._crew.look_after(time.monotonic())
        return numbers

    def _go_on_restarting(self) -> float | None:
        """Begin the restart that was asked for, when no other is under way, or take the next step of the one that is.

        Gives when to look again at the latest.
        """
        if self._restart is None and self._restart_asked:
            self._restart_asked = False
            self._begin_restart(restart.begun(self._settings.state))
        if self._restart is None:
            return None
        look = next(self._restart, None)
        if look is None:
            self._restart = None
            return time.monotonic() if self._restart_asked else None
        return look

    def _begin_restart(self, report: restart.Report) -> None:
        settings = self._settings
        patience = restart.Patience(settings.handover, settings.drain)
        heard = lambda: self._signals.wait(0)  # noqa: E731
        self._restart = restart.everyone(self._crew, settings.state, patience, report, self._keeping, heard)

    def _drain(self) -> int:
        """Workers first, as they need the others for what is in flight; SIGINT on the way kills all at once."""
        start = time.monotonic()
        end = start + self._settings.drain
        log.info("draining", seconds=self._settings.drain)
        for one in (*self._sockets, *self._tls_sockets):
            one.close()  # so that a port whose workers have closed theirs refuses, and queues for nobody
        # The shadower may use whatever the workers left of the time; what the others need is then asked of it again.
        crew = self._crew
        plan = [
            ([*crew.workers, *crew.coming, *crew.former], None, end - self._reserve),
            ([crew.shadower], end - self._reserve * 0.75, end - self._reserve * 0.25),
            ([crew.control], None, end),
        ]
        for group, hurry, until in plan:
            for child in group:
                child.stop()
            while any(child.alive for child in group):
                now = time.monotonic()
                if hurry is not None and now >= hurry:
                    hurry = None
                    for child in group:
                        child.send(signal.SIGTERM)
                elif now >= until:
                    for child in group:
                        child.kill("not drained in time")
                elif signal.SIGINT in self._turn(until if hurry is None else hurry):
                    for child in crew.all:
                        child.kill("second interrupt")
                    return 130
        log.info("drained", seconds=round(time.monotonic() - start, 3))
        return 0


def reserve(drain: float) -> float:
    """Seconds of the drain that shadower and control have after the workers, whatever those need."""
    return min(4.0, max(drain / 5, min(1.0, drain / 2)))


def control_arguments(settings: Settings) -> list[str]:
    """What control is told on its command line; tokens go by environment, which other users cannot read."""
    pairs = {
        "-c": settings.rules,
        "--state": settings.state,
        "--admin": settings.admin,
        "--workers": settings.workers,
        "--listen": settings.listen or NOWHERE,
    }
    if settings.tls_listen is not None:
        pairs["--tls-listen"] = settings.tls_listen
    return [text for flag, value in pairs.items() for text in (flag, str(value))]


def serve(settings: Settings, programs: Programs | None = None) -> int:
    """Run fig until told to end; gives the exit code. Raises StartError."""
    programs = programs or Programs()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is a control that can reload
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # until there is somebody to restart
    lock = hold(settings.state, patience=settings.drain + AFTER_DRAIN)
    for one in bind(settings.admin, 1):
        one.close()  # control binds it; better said now than by a control that cannot start
    listen, sockets = listening(settings.listen, settings.workers)
    tls_listen, tls_sockets = listening(settings.tls_listen, settings.workers)
    settings = replace(settings, listen=listen, tls_listen=tls_listen)
    if settings.certificates is not None:
        look = [sys.executable, *programs.certificates, str(settings.certificates)]
        if subprocess.run(look, stdin=subprocess.DEVNULL).returncode != 0:  # noqa: S603 - our own interpreter
            return 2
    check = [sys.executable, *programs.control, *control_arguments(settings), "--once"]
    code = subprocess.run(check, stdin=subprocess.DEVNULL).returncode  # noqa: S603 - our own interpreter
    if code != 0:
        return 2 if code == 2 else 1
    lifeline, ours = os.pipe()  # `ours` stays open, and ours alone, for as long as this process lives
    log.info(
        "serving",
        listen=str(listen or NOWHERE),
        tls_listen=str(tls_listen or NOWHERE),
        admin=str(settings.admin),
        workers=settings.workers,
    )
    try:
        supervisor = Supervisor(settings, programs, sockets, tls_sockets, (lifeline, lock), ours)
        supervisor.start()
        return supervisor.run()
    finally:
        os.close(ours)


def go_on(settings: Settings, kept: Kept, programs: Programs | None = None) -> int:
    """What `serve` does, for the self that a supervisor has become: everything is there already."""
    for descriptor in kept.descriptors:
        os.set_inheritable(descriptor, False)
    sockets, tls_sockets = ([socket.socket(fileno=fd) for fd in fds] for fds in (kept.sockets, kept.tls_sockets))
    settings = replace(
        settings,
        listen=with_port(settings.listen, sockets),
        tls_listen=with_port(settings.tls_listen, tls_sockets),
        workers=len(kept.workers),
    )
    fds = (kept.lifeline, kept.lock)
    supervisor = Supervisor(settings, programs or Programs(), sockets, tls_sockets, fds, kept.ours)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, takeover.HEEDED)
    supervisor.resume(kept)
    return supervisor.run()


def main(programs: Programs | None = None) -> int:
    """`python -m proxy.supervisor`, configured by FIG_ variables alone; `fig serve` becomes this process."""
    logs.configure("supervisor")
    try:
        settings = Settings.parse(os.environ)
        kept = Kept.take(os.environ)
        if takeover.on_trial(sys.argv):
            return 0
        return serve(settings, programs) if kept is None else go_on(settings, kept, programs)
    except (StartError, SettingsError) as exc:
        print(f"fig: {exc}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
