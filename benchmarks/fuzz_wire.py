"""Mutated requests and mutated answers, minutes on end, against a real worker: no crash, no hang, no leak, no growth.

    python -m benchmarks.fuzz_wire requests --minutes 10 --seed 1
    python -m benchmarks.fuzz_wire answers --minutes 10 --seed 1
    python -m benchmarks.fuzz_wire requests --seed 1 --only 4711        # one case again, with its bytes

A case is its number and the seed. Each that fails is run again alone, its bytes are cut down to the least that still
show the fault, and those are printed. Exit code 1 on any finding.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import uvloop

from benchmarks.fuzz_answers import Answers
from benchmarks.fuzz_requests import Requests
from benchmarks.fuzz_scripts import Script
from benchmarks.fuzzed_worker import Worker, fuzzed_worker, rules

AT_ONCE = 32
WARM = 0.3
"""Part of the run after which memory has to be flat: caches are full and pools are open by then."""
GROWTH = 8 * 2**20
"""Bytes that memory may still grow by afterwards: what the allocator keeps of the largest bodies, and noise."""
_TRIES = 80
"""Runs that cutting one case down may take."""
_FINDINGS = 20
"""A run ends at this many: what is so broken need not be fuzzed on."""
_LOOK_EVERY = 2.0
"""Seconds between looks at the worker."""


class Kind(Protocol):
    """One kind of fuzzing; see `fuzz_requests` and `fuzz_answers`."""

    port: int
    counts: Any
    strays: list[str]

    def draw(self, number: int, seed: int) -> Any: ...
    def again(self, case: Any, sent: Script) -> Any: ...
    async def run(self, case: Any) -> list[str]: ...
    def serve(self) -> asyncio.Protocol: ...


@dataclass
class Outcome:
    """Of one run. Sizes in bytes."""

    cases: int = 0
    seconds: float = 0.0
    findings: list[str] = field(default_factory=list)
    warm_rss: int = 0
    last_rss: int = 0
    most_fds: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    def found(self, what: str) -> None:
        """Told at once: a long run that is broken off has said what it knew."""
        self.findings.append(what)
        print(what, flush=True)


async def fuzz(kind: Kind, seconds: float, seed: int, first: int = 0, most: int | None = None) -> Outcome:
    """Cases from number `first` on, until the time is over or there were `most` of them."""
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(kind.serve, "127.0.0.1", 0, backlog=1024) for _ in range(2)]
    ports = [int(server.sockets[0].getsockname()[1]) for server in servers]
    outcome = Outcome()
    loop.set_exception_handler(lambda _, context: outcome.found(f"the fuzzer itself failed: {context}"))
    with (
        tempfile.TemporaryDirectory(prefix="fig-fuzz-") as folder,
        fuzzed_worker(Path(folder), rules(*ports)) as worker,
    ):
        kind.port = worker.port
        began = time.monotonic()
        end = began + seconds
        numbers = iter(range(first, first + most) if most is not None else itertools.count(first))
        hands = [loop.create_task(_work(kind, numbers, end, seed, outcome, worker)) for _ in range(AT_ONCE)]
        watching = loop.create_task(_watch(kind, worker, began, seconds, outcome))
        await asyncio.gather(*hands)
        outcome.seconds = time.monotonic() - began
        watching.cancel()
        await asyncio.sleep(0.2)
        outcome.last_rss = worker.rss if worker.process.poll() is None else 0
        _look(kind, worker, outcome)
        if most is None and outcome.warm_rss and outcome.last_rss > outcome.warm_rss + GROWTH:
            outcome.found(f"memory grew from {outcome.warm_rss:,} to {outcome.last_rss:,} bytes")
        if left := await asyncio.to_thread(worker.descriptors_left):
            outcome.found(left)
        outcome.counts = dict(kind.counts)
    for server in servers:
        server.close()
    return outcome


async def _work(kind: Kind, numbers: Any, end: float, seed: int, outcome: Outcome, worker: Worker) -> None:
    for number in numbers:
        if time.monotonic() > end or len(outcome.findings) >= _FINDINGS or worker.process.poll() is not None:
            return
        case = kind.draw(number, seed)
        outcome.cases += 1
        try:
            faults = list(await kind.run(case))
        except OSError as exc:
            faults = [f"the worker takes no connection: {exc!r}"]
        if faults:
            outcome.found(f"case {number}: {faults[0]}" + await _least(kind, case))


async def _least(kind: Kind, case: Any) -> str:
    """The least bytes that still show a fault, as text; says so where the case alone shows none."""
    sent: Script = case.script
    if not await _fails(kind, case, sent):
        return f"\n  not alone; sent: {sent.pieces!r:.3000} {sent.ending.value}"
    whole = Script(((0.0, sent.data),), sent.ending)
    if await _fails(kind, case, whole):
        sent = whole
    tries, size = 0, max(1, len(sent.data) // 2)
    while size and tries < _TRIES:
        at = 0
        while at < len(sent.data) and tries < _TRIES:
            tries += 1
            shorter = _without(sent, at, at + size)
            if await _fails(kind, case, shorter):
                sent = shorter
            else:
                at += size
        size //= 2
    return f"\n  least: {sent.pieces!r:.3000} {sent.ending.value}"


def _without(sent: Script, start: int, end: int) -> Script:
    pieces, at = [], 0
    for pause, piece in sent.pieces:
        low, high = min(max(start - at, 0), len(piece)), min(max(end - at, 0), len(piece))
        pieces.append((pause, piece[:low] + piece[high:]))
        at += len(piece)
    return Script(tuple(pieces), sent.ending)


async def _fails(kind: Kind, case: Any, sent: Script) -> bool:
    again = kind.again(case, sent)
    try:
        found = await kind.run(again)
    except OSError:
        return False
    await asyncio.sleep(0.01)  # what the service's side finds when its connection ends
    return bool(found)


async def _watch(kind: Kind, worker: Worker, began: float, seconds: float, outcome: Outcome) -> None:
    told = began
    while True:
        await asyncio.sleep(min(_LOOK_EVERY, seconds / 10))
        if worker.process.poll() is not None:
            return
        now = time.monotonic()
        outcome.most_fds = max(outcome.most_fds, worker.fds)
        if not outcome.warm_rss and now - began > WARM * seconds:
            outcome.warm_rss = worker.rss
        _look(kind, worker, outcome)
        if now - told > 20:
            told = now
            signs = f"{worker.rss / 2**20:.1f} MB, {worker.fds} descriptors, {len(outcome.findings)} findings"
            print(f"{now - began:.0f} s: {outcome.cases:,} cases, {signs}", flush=True)


def _look(kind: Kind, worker: Worker, outcome: Outcome) -> None:
    for what in (*worker.faults(), *kind.strays):
        outcome.found(what)
    kind.strays.clear()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("requests", "answers"))
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--from", type=int, default=0, dest="first", help="the case to begin with")
    parser.add_argument("--only", type=int, help="run this one case, and print what it sends")
    given = parser.parse_args()
    kind: Kind = Requests() if given.kind == "requests" else Answers()
    if given.only is not None:
        case = kind.draw(given.only, given.seed)
        print(case.script)
        outcome = uvloop.run(fuzz(kind, 60, given.seed, given.only, 1))
    else:
        outcome = uvloop.run(fuzz(kind, given.minutes * 60, given.seed, given.first))
    counts = ", ".join(f"{name} {count:,}" for name, count in sorted(outcome.counts.items()))
    print(
        f"{given.kind}, seed {given.seed}: {outcome.cases:,} cases in {outcome.seconds:.0f} s; memory "
        f"{outcome.warm_rss / 2**20:.1f} MB when warm, {outcome.last_rss / 2**20:.1f} MB at the end; at most "
        f"{outcome.most_fds} file descriptors; {len(outcome.findings)} findings\n{counts}"
    )
    return 1 if outcome.findings else 0


if __name__ == "__main__":
    sys.exit(main())
