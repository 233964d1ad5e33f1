"""A planned restart: the supervisor, control, the shadower, then one worker after the other, by the code on disk now.

A worker's successor listens on the same socket, and only when it is ready is the former worker told to accept no more
(SIGUSR2). The socket stays open all the time, so nobody is refused and no queue is lost. A successor that does not come
up changes nothing: the former worker goes on, and the restart ends there. Control first, because workers read what it
publishes; none of them waits for control or the shadower to serve.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import structlog

from proxy import takeover
from proxy.children import Child, Crew
from proxy.takeover import Kept

log = structlog.get_logger(__name__)

COMING_UP = 60.0
"""Seconds that a process may take until it says that it is ready; 100,000 routes take a worker about six."""
HURRY = 5.0
"""Seconds that control and the shadower have to end before they are asked again; then as long again."""
GRACE = 5.0
"""Seconds after the time that a former worker was given, until it is killed."""
REPORT = "restart.json"
"""In the state folder: how the last restart went, for `fig restart`."""

Steps = Generator[float, None, str]
"""Yields when (time.monotonic) to look again at the latest; returns what went wrong, or nothing."""


@dataclass(frozen=True, slots=True)
class Report:
    """One restart, as far as it has come."""

    number: int = 0
    """From 1, as long as the state folder lives."""
    running: bool = False
    restarted: list[str] = field(default_factory=list)
    problem: str = ""

    @classmethod
    def read(cls, state: Path) -> Report:
        """The last one's; of number 0 where there was none, or where the file tells nothing."""
        try:
            return cls(**json.loads((state / REPORT).read_bytes()))
        except (OSError, ValueError, TypeError):
            return cls()

    def write(self, state: Path) -> None:
        """A disk that is full keeps nobody from restarting; the log tells the same."""
        draft = state / f".{REPORT}.new"
        with contextlib.suppress(OSError):
            draft.write_text(json.dumps(asdict(self)))
            draft.replace(state / REPORT)


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that a worker which was replaced may go on with what it carries, and that it has when asked again."""

    handover: float
    drain: float


def begun(state: Path) -> Report:
    """A restart that begins now."""
    report = Report(Report.read(state).number + 1, running=True)
    log.info("restarting", number=report.number)
    report.write(state)
    return report


def taken_over(number: int, state: Path) -> Report:
    """The restart of that number, in which the supervisor has just become the program on disk."""
    log.info("taken over", number=number, pid=os.getpid())
    report = Report(number, running=True, restarted=["supervisor"])
    report.write(state)
    return report


def everyone(
    crew: Crew,
    state: Path,
    patience: Patience,
    report: Report,
    keeping: Callable[[int], Kept],
    heard: Callable[[], bytes],
) -> Generator[float, None, None]:
    """What is left of the restart; stops at the first process that does not come up. Yields as Steps.

    `keeping` tells what the supervisor's next self is to keep, from the number of the restart; `heard` is for
    takeover.become.
    """
    try:
        plan = [] if report.restarted else [("supervisor", itself(crew, lambda: keeping(report.number), heard))]
        plan += [("control", in_place(crew.control)), ("shadower", in_place(crew.shadower))]
        plan += [(child.name, replaced(crew, n, patience)) for n, child in enumerate(crew.workers)]
        everything = len(report.restarted) + len(plan)
        for name, steps in plan:
            problem = yield from steps
            if problem:
                log.error("restart stopped", child=name, problem=problem)
                report = replace(report, problem=f"{name}: {problem}")
                return
            report = replace(report, restarted=[*report.restarted, name])
            report.write(state)
        log.info("restarted", number=report.number)
    finally:
        if not report.problem and len(report.restarted) < everything:
            report = replace(report, problem="fig was told to end meanwhile")
        replace(report, running=False).write(state)


def itself(crew: Crew, keeping: Callable[[], Kept], heard: Callable[[], bytes]) -> Steps:
    """Have the supervisor go on as the program on disk, once that was seen to start; returns only when it cannot."""
    trial = Child("trial", takeover.trial(), (), secrets=True, more=keeping().variable)
    trial.wanted = False
    crew.coming.append(trial)
    try:
        trial.start()
        came_up = yield from _coming_up(trial)
    finally:
        trial.kill("it has shown what it should")
        crew.coming.remove(trial)
    if not came_up:
        return "the code on disk does not start, so everyone goes on as they are; the log says why"
    problem = takeover.become(keeping(), heard)
    return f"it cannot become the program on disk: {problem}"


def _coming_up(child: Child) -> Generator[float, None, bool]:
    """Wait for a child that is not started again by itself; whether it is ready."""
    until = time.monotonic() + COMING_UP
    while not child.is_ready:
        if not child.alive or time.monotonic() >= until:
            return False
        yield until
    return True


def in_place(child: Child) -> Steps:
    """End the process, then start it anew: for those that own a socket or a database which two cannot have."""
    child.wanted = False
    child.send(signal.SIGTERM)
    for last in (False, True):
        until = time.monotonic() + HURRY
        while child.alive and time.monotonic() < until:
            yield until
        if child.alive and not last:
            child.send(signal.SIGTERM)
    child.kill("asked to restart, and did not end in time")
    child.wanted, child.failures = True, 0
    child.start()
    until = time.monotonic() + COMING_UP
    while not child.is_ready:
        if child.failures or time.monotonic() >= until:
            return "it does not come up; fig goes on trying, and workers serve meanwhile. The log says why"
        yield until
    return ""


def replaced(crew: Crew, number: int, patience: Patience) -> Steps:
    """Put a successor beside the worker, and let the former one go when that is ready."""
    successor = crew.workers[number].another()
    crew.coming.append(successor)
    try:
        successor.start()
        if not (yield from _coming_up(successor)):
            return "its successor does not come up, so the worker goes on as it is; the log says why"
        crew.coming.remove(successor)
        successor.wanted = True
        former, crew.workers[number] = crew.workers[number], successor
    finally:
        if successor in crew.coming:
            successor.kill("it is not needed any more")
            crew.coming.remove(successor)
    now = time.monotonic()
    for earlier in crew.former:  # at most two of a number at a time: whoever restarts often does not pile them up
        if earlier.name == former.name:
            earlier.stop()
            earlier.kill_at = now + patience.drain + GRACE
    former.stop(signal.SIGUSR2)
    former.kill_at = now + patience.handover + patience.drain + GRACE
    crew.former.append(former)
    log.info("replaced", child=former.name, former=former.pid, pid=successor.pid)
    return ""


def ask(state: Path) -> int:
    """Ask the `fig serve` of this state folder for a restart; gives its process id.

    Raises LookupError with a sentence when there is none. The id in the lock file may be another process's by now; it
    is fig's if that process has the lock file open, and a pidfd cannot come to mean another one.
    """
    path = state / "lock"
    try:
        pid = int(path.read_text().strip())
        handle = os.pidfd_open(pid)
    except (OSError, ValueError):
        raise LookupError(f"no `fig serve` runs on the state folder {state}") from None
    try:
        if not _has_open(pid, path):
            raise LookupError(f"no `fig serve` runs on the state folder {state}; process {pid} is none")
        signal.pidfd_send_signal(handle, signal.SIGUSR2)
    except ProcessLookupError:
        raise LookupError(f"the `fig serve` of the state folder {state} has just ended") from None
    except PermissionError:
        raise LookupError(f"process {pid}, the `fig serve` of {state}, is another account's; ask as that one") from None
    finally:
        os.close(handle)
    return pid


def _has_open(pid: int, path: Path) -> bool:
    wanted = path.stat()
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed since it was listed
            if os.path.samestat(each.stat(), wanted):
                return True
    return False
