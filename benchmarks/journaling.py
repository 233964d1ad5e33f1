"""How fast the journal takes writes, and the shadower delivers them: the goals of docs/shadow.md, each met or not.

    python -m benchmarks.journaling                           # everything, about three minutes
    python -m benchmarks.journaling intents deliveries        # some parts
    python -m benchmarks.journaling --output benchmarks/journaling.md

| part | question |
| --- | --- |
| `writes` | what the journal adds to a write through a whole fig, at 500 writes a second, each sent when it is due |
| `intents` | how many intents are made durable a second for 64 clients, at the shadower's socket |
| `deliveries` | how many copies are delivered a second, and compared and stored, with nothing else to do |
| `backlog` | memory and deliveries with a long list of undelivered copies, beside fresh writes (backlog.py) |

Exit code 1 where a goal is missed. Load and services run on the machine that is measured, so the processor time that
fig takes for each write says more on a busy machine than the rates do.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median

from benchmarks import backlog, pacing
from benchmarks.figures import Estimate, Goal, Part, quantile, shown_goals, spread, table
from benchmarks.journal_load import BODY, Clients, cpu_seconds, start, start_service
from benchmarks.journal_load import table as routes_that_write
from benchmarks.load import WrongAnswerError
from benchmarks.programs import free_port
from proxy.publication import publish

RATE = 500.0
"""Writes a second through a whole fig."""
CONNECTIONS = 64
LEAST_ADDED = 0.002
"""Seconds that the journal may add at p99 however fast the disk syncs; else three syncs."""
SYNCS = 400
CLIENTS = 64
INTENTS = 5000.0
DELIVERIES = 1000.0
OWED = 20_000
"""Copies of which the pure rate of deliveries is taken."""
RSS = 300.0
"""MB."""
INTAKE = 200.0
TIMES_INTAKE = 5.0
_WRITE = (
    "POST /{name}/{key} HTTP/1.1\r\nHost: shop.example\r\nContent-Type: application/json\r\n"
    "Content-Length: {length}\r\nCookie: fig_unit=u{key}\r\nAuthorization: Bearer {key}\r\n\r\n"
)
RULES = """
version: 1
services:
  legacy: {{url: "http://127.0.0.1:{legacy}"}}
  shop: {{url: "http://127.0.0.1:{shop}"}}
legacy: legacy
routes:
  - name: plain
    match: {{path: "/plain/{{order}}"}}
    candidate: shop
    stage: shadow
  - name: journaled
    match: {{path: "/journaled/{{order}}"}}
    candidate: shop
    stage: shadow
    writes: {{order_by: "path:order", dedupe: idempotency-key}}
"""


@dataclass(frozen=True, slots=True)
class Length:
    """How long the parts take."""

    rounds: int
    """Of writes through a whole fig."""
    seconds: float
    """Of each of them, and of each kind of intents."""
    records: int
    """Undelivered copies of the long list."""


# --- writes through a whole fig ---------------------------------------------------------------------------------------


def measure_writes(folder: Path, length: Length) -> Part:
    """Rounds with and without the journal in turn, and raw syncs of the same file system between them."""
    legacy, shop, port = free_port(), free_port(), free_port()
    rules = folder / "fig.yaml"
    rules.write_text(RULES.format(legacy=legacy, shop=shop))
    requests = {name: [_request(name, number) for number in range(5000)] for name in ("plain", "journaled")}
    found: dict[str, list[list[float]]] = {"plain": [], "journaled": []}
    syncs: list[list[float]] = []
    with contextlib.ExitStack() as stack:
        log = stack.enter_context((folder / "log").open("wb"))
        for each in (legacy, shop):
            stack.enter_context(_ended(start_service(each, log), signal.SIGKILL))
        words = ["proxy.cli", "serve", "-c", str(rules), "--listen", f"127.0.0.1:{port}", "--workers", "1"]
        words += ["--admin", f"127.0.0.1:{free_port()}", "--state", str(folder / "state"), "--drain", "5s"]
        fig = stack.enter_context(_ended(start(words, log), signal.SIGTERM))
        _await_answer(port, requests["journaled"][0], folder / "log")
        parts = _parts(fig.pid)
        used: dict[str, float] = dict.fromkeys(parts, 0.0)
        for turn in range(length.rounds + 1):
            syncs.append(_syncs(folder, SYNCS // length.rounds))
            for name, latencies in found.items():
                due = pacing.schedule(RATE, length.seconds if turn else 1.0, Random(turn))
                before = {part: cpu_seconds(pid) for part, pid in parts.items()}
                took = pacing.latencies(port, requests[name], due, CONNECTIONS)
                if turn:
                    latencies.append(took)
                if turn and name == "journaled":
                    for part, pid in parts.items():
                        used[part] += cpu_seconds(pid) - before[part]
    return _judge_writes(found, syncs[1:], used, length)


def _judge_writes(
    found: dict[str, list[list[float]]], syncs: list[list[float]], used: dict[str, float], length: Length
) -> Part:
    rows = []
    for name, values in (*found.items(), ("a raw sync", syncs)):
        parts = [[quantile(each, part) * 1e3 for each in values] for part in (0.5, 0.99)]
        rows.append([name, *(f"{median(each):.2f} ({min(each):.2f} to {max(each):.2f})" for each in parts)])
    added = [
        (quantile(with_journal, 0.99) - quantile(without, 0.99)) * 1e3
        for with_journal, without in zip(found["journaled"], found["plain"], strict=True)
    ]
    sync = median(quantile(each, 0.99) for each in syncs) * 1e3
    writes = sum(map(len, found["journaled"]))
    goal = Goal(
        "what the journal adds to a write at p99",
        spread(added),
        max(LEAST_ADDED * 1e3, 3 * sync),
        at_least=False,
        unit="ms",
        note=f"2 ms, or three raw syncs of {sync:.2f} ms at p99",
    )
    lines = (
        *table(["milliseconds", "p50, median of rounds (min to max)", "p99"], rows),
        "",
        "Processor time of a journaled write, its delivery and comparison included: "
        + ", ".join(f"{part} {seconds / writes * 1e6:,.0f} us" for part, seconds in used.items())
        + ".",
    )
    title = f"{RATE:,.0f} writes a second through a whole fig: {length.rounds} rounds of {length.seconds:g} s"
    return Part(title, lines, (goal,))


def _request(name: str, number: int) -> bytes:
    head = _WRITE.format(name=name, key=f"k{number}", length=len(BODY))
    return head.encode() + BODY


def _syncs(folder: Path, count: int) -> list[float]:
    """Seconds of raw syncs, of a page appended each time, as a commit appends to its log."""
    page, took = os.urandom(4096), []
    place = folder / "syncs"
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        for _ in range(count):
            began = time.perf_counter()
            os.write(descriptor, page)
            os.fsync(descriptor)
            took.append(time.perf_counter() - began)
    finally:
        os.close(descriptor)
        place.unlink()
    return took


def _parts(pid: int) -> dict[str, int]:
    """The processes of a `fig serve` by what they do."""
    found = {}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        words = Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0")
        name = next((word for word in words if word.startswith("proxy.")), "")
        found[name.removeprefix("proxy.")] = int(child)
    return {part: found[part] for part in ("worker", "shadower", "control")}


def _await_answer(port: int, request: bytes, log: Path) -> None:
    """Until a journaled write goes through. Raises RuntimeError when none does within 20 s."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with contextlib.suppress(OSError, WrongAnswerError):
            pacing.latencies(port, [request], [0.0], 1)
            return
        time.sleep(0.1)
    raise RuntimeError(f"fig does not answer: {log.read_text()[-2000:]}")


# --- intents at the shadower's socket ---------------------------------------------------------------------------------


def measure_intents(folder: Path, length: Length) -> Part:
    """Intents alone, and intents with their outcomes; the candidate is away, so that nothing is delivered meanwhile."""
    rows, goals = [], []
    for answered in (False, True):
        state = folder / f"intents-{answered}"
        state.mkdir()
        publish(state, routes_that_write(free_port()))
        with (state / "log").open("wb") as log:
            words = ["proxy.shadower", "--state", str(state), "--drain", "0.5"]
            with _ended(start(words, log), signal.SIGTERM) as shadower:
                granted, recorded, cpu, load = asyncio.run(_ask(state, shadower.pid, length.seconds, answered=answered))
        name = "intents, each with its outcome" if answered else "intents alone"
        rows.append([name, f"{granted:,.0f}", f"{recorded:,.0f}", f"{cpu * 1e6:,.0f}", f"{load * 1e6:,.0f}"])
        if not answered:
            text = f"intents committed a second for {CLIENTS} clients"
            goals.append(Goal(text, Estimate(granted, granted, granted), INTENTS, unit="/s"))
    headings = ["at the shadower's socket", "intents/s", "outcomes/s", "its processor time each, us", "the load's, us"]
    return Part(f"Intents of {CLIENTS} clients of two workers", tuple(table(headings, rows)), tuple(goals))


async def _ask(state: Path, pid: int, seconds: float, *, answered: bool) -> tuple[float, float, float, float]:
    """(intents a second, outcomes a second, seconds of the shadower's processor time for each, of the load's)."""
    workers = [Clients(state, number, CLIENTS // 2, answered=answered) for number in range(2)]
    for worker in workers:
        worker.start()
    await asyncio.gather(*(worker.first.wait() for worker in workers))
    await asyncio.sleep(1.0)
    at, used, own = time.monotonic(), cpu_seconds(pid), time.process_time()
    before = [(worker.granted, worker.recorded) for worker in workers]
    await asyncio.sleep(seconds)
    took, used, own = time.monotonic() - at, cpu_seconds(pid) - used, time.process_time() - own
    granted = sum(worker.granted - one for worker, (one, _) in zip(workers, before, strict=True))
    recorded = sum(worker.recorded - one for worker, (_, one) in zip(workers, before, strict=True))
    for worker in workers:
        await worker.stop()
    return granted / took, recorded / took, used / max(granted, 1), own / max(granted, 1)


# --- deliveries -------------------------------------------------------------------------------------------------------


def measure_deliveries(folder: Path, length: Length) -> Part:
    """A list that is in the journal already, from the first delivery to the last pair."""
    state = folder / "deliveries"
    state.mkdir()
    port = free_port()
    publish(state, routes_that_write(port))
    backlog.make_journal(state, OWED)
    with (state / "log").open("wb") as log, _ended(start_service(port, log), signal.SIGKILL):
        words = ["proxy.shadower", "--state", str(state), "--drain", "0.5"]
        with _ended(start(words, log), signal.SIGTERM) as shadower:
            rate, cpu = _drain(state, shadower.pid)
    lines = (f"{OWED:,} copies: {rate:,.0f} a second, {cpu * 1e6:,.0f} us of processor time each.",)
    goal = Goal("copies delivered, compared and stored a second", Estimate(rate, rate, rate), DELIVERIES, unit="/s")
    return Part("Deliveries", lines, (goal,))


def _drain(state: Path, pid: int) -> tuple[float, float]:
    """(copies a second, seconds of processor time of each)."""
    until = time.monotonic() + 120
    counted = backlog.uncompared(state)
    while backlog.uncompared(state) > OWED * 0.95:
        time.sleep(0.05)
    counted, at, used = backlog.uncompared(state), time.monotonic(), cpu_seconds(pid)
    while (left := backlog.uncompared(state)) and time.monotonic() < until:
        time.sleep(0.2)
    took = time.monotonic() - at
    return (counted - left) / took, (cpu_seconds(pid) - used) / max(counted - left, 1)


# --- a long list ------------------------------------------------------------------------------------------------------


def measure_backlog(folder: Path, length: Length) -> Part:
    """As benchmarks.backlog, in short."""
    state = folder / "backlog"
    state.mkdir()
    found = backlog.measure(state, length.records, 2 * length.seconds, INTAKE)
    mega = 1024 * 1024
    rows = [
        ["journal", f"{found.journal_bytes / mega:,.0f} MB, made in {found.made_seconds:.0f} s"],
        ["first write taken after", f"{found.start_seconds:.1f} s"],
        ["memory while it waits", f"{found.waiting_rss / mega:,.0f} MB"],
        ["fresh writes", f"{found.taken:,.0f} a second"],
        ["copies delivered", f"{found.drained:,.0f} a second"],
        ["processor time of a copy, fresh writes included", f"{found.cpu * 1e6:,.0f} us"],
    ]
    memory, times = found.peak_rss / mega, found.times_intake
    goals = (
        Goal("memory of the shadower", Estimate(memory, memory, memory), RSS, at_least=False, unit="MB"),
        Goal(f"copies delivered, by {INTAKE:.0f} writes a second", Estimate(times, times, times), TIMES_INTAKE),
    )
    return Part(f"{length.records:,} undelivered copies", tuple(table(["", ""], rows)), goals)


PARTS: dict[str, Callable[[Path, Length], Part]] = {
    "writes": measure_writes,
    "intents": measure_intents,
    "deliveries": measure_deliveries,
    "backlog": measure_backlog,
}


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes], how: signal.Signals) -> Iterator[subprocess.Popen[bytes]]:
    """The process, ended on leaving whatever happened."""
    try:
        yield process
    finally:
        process.send_signal(how)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _report(parts: list[Part]) -> list[str]:
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    lines = ["# Journaling", "", "Written by `python -m benchmarks.journaling --output benchmarks/journaling.md`.", ""]
    lines += [
        f"- {os.cpu_count()} processors, load {load} at the end; Linux {platform.release()}; Python "
        f"{platform.python_version()}",
        "",
        *shown_goals([goal for part in parts for goal in part.goals]),
    ]
    for part in parts:
        lines += ["", f"## {part.title}", "", *part.lines]
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of: {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=4, help="of writes through a whole fig")
    parser.add_argument("--seconds", type=float, default=5.0, help="of a round")
    parser.add_argument("--records", type=int, default=1_800_000, help="undelivered copies of the long list")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write it here too")
    given = parser.parse_args()
    if unknown := set(given.parts) - PARTS.keys():
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    length = Length(given.rounds, given.seconds, given.records)
    found = []
    with tempfile.TemporaryDirectory(prefix="fig-journaling-") as folder:
        for name in given.parts or PARTS:
            began = time.monotonic()
            found.append(PARTS[name](Path(folder), length))
            took = time.monotonic() - began
            print(f"{name}: {took:.0f} s", *found[-1].lines, "", sep="\n", file=sys.stderr, flush=True)
    lines = _report(found)
    print("\n".join(lines))
    if given.output is not None:
        given.output.write_text("\n".join(lines) + "\n")
    return 0 if all(goal.is_met for part in found for goal in part.goals) else 1


if __name__ == "__main__":
    sys.exit(main())
