"""`fig serve` itself: holds the listening sockets, starts control, shadower and workers, restarts what crashes, drains.

Small on purpose. It carries no traffic, reads no rules and imports no library that could fail; whatever happens to the
others, it stays. How it ends a process: SIGTERM asks it to drain, a second one to hurry; SIGKILL follows when the time
is up.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from proxy import logs
from proxy.settings import BACKLOG, Address, Settings, SettingsError

log = structlog.get_logger(__name__)

FIRST_DELAY, LONGEST_DELAY, STEADY_AFTER = 0.1, 5.0, 10.0
"""Seconds: the first wait before a restart, the longest (each is twice the one before), and what alive resets it."""
AFTER_DRAIN = 5.0
"""Seconds that children without a supervisor may need to end when their drain is over."""


class StartError(Exception):
    """Something outside the rules file keeps fig from starting: a port, the state folder. Exit code 2."""


@dataclass(frozen=True, slots=True)
class Programs:
    """The arguments after `python` that start each process; tests put fakes here."""

    control: tuple[str, ...] = ("-P", "-m", "proxy.control")
    shadower: tuple[str, ...] = ("-P", "-m", "proxy.shadower")
    worker: tuple[str, ...] = ("-P", "-m", "proxy.worker")


def delay(failures: int) -> float:
    """Seconds before restart number `failures` (from 1) in a row."""
    return float(min(FIRST_DELAY * 2 ** min(failures - 1, 16), LONGEST_DELAY))


def bind(address: Address, count: int) -> list[socket.socket]:
    """`count` listening sockets on one port, between which the kernel spreads connections. Raises StartError."""
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as exc:
        raise StartError(f"cannot listen on {address}: {exc.strerror}; is the name right?") from exc
    sockets: list[socket.socket] = []
    try:
        # SO_REUSEPORT would let a second fig share the port unnoticed: first see that nobody listens there.
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
        for _ in range(count):
            one = socket.socket(family, kind, protocol)
            sockets.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # [::] takes IPv4 too
            one.bind(where)
            where = (where[0], one.getsockname()[1], *where[2:])  # port 0: all of them take the first one's
            one.listen(BACKLOG)
    except OSError as exc:
        for one in sockets:
            one.close()
        advice = "stop the program that listens there, or choose another address"
        if exc.errno == errno.EACCES:
            advice = "ports below 1024 need a privilege; choose another one"
        elif exc.errno == errno.EADDRNOTAVAIL:
            advice = "this machine has no such address"
        raise StartError(f"cannot listen on {address}: {os.strerror(exc.errno or 0)}; {advice}") from exc
    return sockets


def hold(state: Path, patience: float) -> int:
    """Take the state folder for ourselves; gives the lock's descriptor. Raises StartError when another fig has it.

    Children inherit the lock, so it lasts until the last process that writes there is gone. When its supervisor was
    killed, they are draining; they get `patience` seconds.
    """
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(state / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as exc:
        raise StartError(f"cannot use the state folder {state}: {exc.strerror}; choose another with --state") from exc
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(lock, 20, 0).decode("ascii", "replace").strip()
            if Path(f"/proc/{holder}").exists() or time.monotonic() > until:
                os.close(lock)
                raise StartError(
                    f"the state folder {state} is in use by another `fig serve` (process {holder}); "
                    "stop that one, or choose another folder with --state"
                ) from None
            time.sleep(0.05)
        else:
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
            return lock


class Child:
    """One process that should run: started, ended, and due again when it crashed."""

    def __init__(self, name: str, argv: Sequence[str], fds: Sequence[int], *, secrets: bool = False) -> None:
        """`fds` are inherited; the admin API's tokens only with `secrets`."""
        self.name = name
        hidden = () if secrets else ("FIG_ADMIN_TOKEN", "FIG_READ_TOKEN")
        self._environment = {key: value for key, value in os.environ.items() if key not in hidden}
        self._argv = [sys.executable, *argv]
        self._fds = fds
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._failures = 0
        self.due: float | None = None
        """When it is to be started again (time.monotonic), None while it runs or was told to stop."""
        self._stopped = False

    @property
    def alive(self) -> bool:
        return self._process is not None

    def start(self) -> None:
        """Start it, or try again later: a machine without a process to spare is no reason for the others to end."""
        self.due = None
        self._started = time.monotonic()
        # Inherited blocked: a SIGHUP that comes before control can heed it waits there, and does not end it.
        former = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP,))
        try:
            # A session of its own: Ctrl-C in a terminal reaches the supervisor alone, which then ends them in order.
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and modules
                self._argv,
                pass_fds=self._fds,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as exc:
            wait = self._again()
            log.error("not started", child=self.name, problem=str(exc), again_in=wait, failures=self._failures)
        else:
            log.info("started", child=self.name, pid=self._process.pid)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, former)

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def stop(self) -> None:
        self._stopped = True
        self.due = None
        self.signal(signal.SIGTERM)

    def reap(self) -> None:
        """Notice that it ended, and decide when it starts again."""
        if self._process is None or (code := self._process.poll()) is None:
            return
        pid, self._process = self._process.pid, None
        if self._stopped:
            log.info("stopped", child=self.name, pid=pid, code=code)
            return
        wait = self._again()
        log.error("crashed", child=self.name, pid=pid, code=code, restart_in=wait, failures=self._failures)

    def _again(self) -> float:
        """Have it started after a while; the seconds of it."""
        now = time.monotonic()
        self._failures = 1 if now - self._started >= STEADY_AFTER else self._failures + 1
        wait = delay(self._failures)
        self.due = now + wait
        return wait

    def wait(self) -> None:
        if self._process is not None:
            self._process.wait()


class Signals:
    """Signals as events: `wait` sleeps until one comes or the time is up. A child's end is one (SIGCHLD)."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        for end in (self._reader, self._writer):
            end.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)

    def wait(self, seconds: float | None) -> bytes:
        """The numbers of the signals that came, in order; empty when the time is up."""
        select.select([self._reader], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            return self._reader.recv(4096)
        return b""


class Supervisor:
    """Runs the children until told to end. Owns their listening sockets."""

    def __init__(
        self, settings: Settings, programs: Programs, sockets: list[socket.socket], fds: tuple[int, int]
    ) -> None:
        """`fds` are the lifeline's reading end and the state folder's lock; every child inherits both."""
        self._settings = settings
        self._sockets = sockets
        self._reserve = reserve(settings.drain)
        ends = ["--lifeline", str(fds[0])]
        state = ["--state", str(settings.state), "--drain", f"{settings.drain - self._reserve:g}"]
        self._control = Child("control", [*programs.control, *control_arguments(settings), *ends], fds, secrets=True)
        self._shadower = Child("shadower", [*programs.shadower, *state, *ends], fds)
        self._workers = []
        for number, one in enumerate(sockets):
            log = ["--access-sample", f"{settings.access_log:g}"]
            argv = ["--number", str(number), "--fd", str(one.fileno()), *log, *state, *ends]
            self._workers.append(Child(f"worker-{number}", [*programs.worker, *argv], (*fds, one.fileno())))
        self._children = [self._shadower, self._control, *self._workers]
        self._signals = Signals()

    def run(self) -> int:
        """Until SIGTERM or SIGINT; gives the exit code."""
        for child in self._children:
            child.start()
        while True:
            numbers = self._turn(None)
            if signal.SIGHUP in numbers:
                self._control.signal(signal.SIGHUP)
            if signal.SIGTERM in numbers or signal.SIGINT in numbers:
                return self._drain()

    def _turn(self, seconds: float | None) -> bytes:
        """Sleep until something happens or `seconds` are over, look after crashed children, give the signals."""
        times = [child.due - time.monotonic() for child in self._children if child.due is not None]
        times += [] if seconds is None else [seconds]
        numbers = self._signals.wait(max(min(times), 0.0) if times else None)
        for child in self._children:
            child.reap()
            if child.due is not None and child.due <= time.monotonic():
                child.start()
        return numbers

    def _drain(self) -> int:
        """Workers first, as they need the others for what is in flight; SIGINT on the way kills all at once."""
        start = time.monotonic()
        end = start + self._settings.drain
        log.info("draining", seconds=self._settings.drain)
        for one in self._sockets:
            one.close()  # so that a port whose workers have closed theirs refuses, and queues for nobody
        # The shadower may use whatever the workers left of the time; what the others need is then asked of it again.
        plan = [
            (self._workers, None, end - self._reserve),
            ([self._shadower], end - self._reserve * 0.75, end - self._reserve * 0.25),
            ([self._control], None, end),
        ]
        for group, hurry, until in plan:
            for child in group:
                child.stop()
            while any(child.alive for child in group):
                now = time.monotonic()
                if hurry is not None and now >= hurry:
                    hurry = None
                    for child in group:
                        child.signal(signal.SIGTERM)
                elif now >= until:
                    self._kill(group, "not drained in time")
                elif signal.SIGINT in self._turn((until if hurry is None else hurry) - now):
                    self._kill(self._children, "second interrupt")
                    return 130
        log.info("drained", seconds=round(time.monotonic() - start, 3))
        return 0

    def _kill(self, children: Sequence[Child], why: str) -> None:
        for child in children:
            if child.alive:
                log.warning("killed", child=child.name, why=why)
                child.signal(signal.SIGKILL)
                child.wait()
                child.stop()
                child.reap()


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
        "--listen": settings.listen,
    }
    return [text for flag, value in pairs.items() for text in (flag, str(value))]


def serve(settings: Settings, programs: Programs | None = None) -> int:
    """Run fig until told to end; gives the exit code. Raises StartError."""
    programs = programs or Programs()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is a control that can reload
    lock = hold(settings.state, patience=settings.drain + AFTER_DRAIN)
    for one in bind(settings.admin, 1):
        one.close()  # control binds it; better said now than by a control that cannot start
    sockets = bind(settings.listen, settings.workers)
    settings = replace(settings, listen=Address(settings.listen.host, sockets[0].getsockname()[1]))
    check = [sys.executable, *programs.control, *control_arguments(settings), "--once"]
    code = subprocess.run(check, stdin=subprocess.DEVNULL).returncode  # noqa: S603 - our own interpreter
    if code != 0:
        return 2 if code == 2 else 1
    lifeline, ours = os.pipe()  # `ours` stays open, and ours alone, for as long as this process lives
    log.info("serving", listen=str(settings.listen), admin=str(settings.admin), workers=settings.workers)
    try:
        return Supervisor(settings, programs, sockets, (lifeline, lock)).run()
    finally:
        os.close(ours)


def main() -> int:
    """`python -m proxy.supervisor`, configured by FIG_ variables alone; `fig serve` becomes this process."""
    logs.configure("supervisor")
    try:
        return serve(Settings.parse(os.environ))
    except (StartError, SettingsError) as exc:
        print(f"fig: {exc}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
