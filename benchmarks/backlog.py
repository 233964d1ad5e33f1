"""How the shadower bears a long list of undelivered copies: its memory, and how fast it drains beside fresh writes.

    python -m benchmarks.backlog --records 1800000 --seconds 30

Makes a journal with that many copies owed (sealed, of four routes, many keys), starts a shadower on it while the
candidate is away, writes beside it at `--intake` a second, then lets the candidate come up and counts what it gets.
Everything runs on this machine: the candidate takes a part of the cores that the shadower could use.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sqlite3
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.journal_load import (
    ANSWER,
    BODY,
    FIELDS,
    ROUTES,
    SECRET,
    Pacer,
    cpu_seconds,
    memory,
    start,
    start_service,
    table,
)
from benchmarks.programs import free_port
from proxy.publication import publish
from shadow.journal.journal import Journal, order_key_hash
from shadow.journal.reader import read_standing
from shadow.journal.writes import Original
from shadow.pair import Answer
from shadow.sealing import Sealer, load_key

KEYS = 50_000
BATCH = 20_000


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured."""

    records: int
    journal_bytes: int
    made_seconds: float
    start_seconds: float
    """From the start of the process until it took its first write."""
    waiting_rss: int
    """Bytes at most, with nobody to deliver to."""
    peak_rss: int
    """Bytes at most, over its whole life."""
    drained: float
    """Copies a second, with the candidate up."""
    taken: float
    """Fresh writes a second meanwhile."""
    cpu: float
    """Seconds of processor time that the shadower took for each copy delivered, the fresh writes included."""

    @property
    def times_intake(self) -> float:
        """How many times as fast as the fresh writes come in the copies go out."""
        return self.drained / max(self.taken, 1.0)


def make_journal(state: Path, records: int) -> None:
    """A journal as a candidate that was away for long leaves it."""

    async def empty() -> None:
        await Journal.open(state / "journal.db", sealer).close()

    sealer = Sealer(load_key(state / "key"))
    asyncio.run(empty())
    encode = msgspec.msgpack.Encoder().encode
    answer = encode(Answer(201, (("Content-Type", "application/json"),), ANSWER))
    headers = [*FIELDS, SECRET]
    now = time.time() - 3600.0
    db = sqlite3.connect(state / "journal.db", isolation_level=None)
    db.execute("PRAGMA synchronous = OFF")
    indices = db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'writes'").fetchall()
    for name, _ in indices:  # made anew in one go, instead of row by row
        db.execute(f"DROP INDEX {name}")
    for first in range(1, records + 1, BATCH):
        rows = []
        for number in range(first, min(first + BATCH, records + 1)):
            route, key = f"route-{number % ROUTES}", str(number % KEYS)
            target = f"/r{number % ROUTES}/{key}"
            original = Original(f"request-{number}", key, target, "shop", headers, BODY, f"idem-{number}", "unit")
            rows.append(
                (
                    *(number, number, route, 1, order_key_hash(sealer, route, key), "POST", "legacy", "candidate", 1),
                    *(b"0" * 16, now, sealer.seal(encode(original), f"{number}:original"), "answered", 201),
                    sealer.seal(answer, f"{number}:answer"),
                )
            )
        db.execute("BEGIN")
        db.executemany(
            "INSERT INTO writes (sequence, turn, route, generation, key, method, side, copy_to, worker, fingerprint, "
            "arrival, original, state, status, answer) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        db.execute("COMMIT")
    for _, sql in indices:
        db.execute(sql)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def _owed(state: Path) -> int:
    return sum(one.undelivered for one in read_standing(state / "journal.db").values())


def uncompared(state: Path) -> int:
    """Copies that are owed, or delivered and not compared yet."""
    db = sqlite3.connect(f"file:{state / 'journal.db'}?mode=ro", uri=True)
    try:
        (owed,) = db.execute("SELECT COUNT(*) FROM writes WHERE state = 'answered'").fetchone()
        (left,) = db.execute("SELECT COUNT(*) FROM writes WHERE copy_answer IS NOT NULL").fetchone()
    finally:
        db.close()
    return int(owed + left)


def measure(state: Path, records: int, seconds: float, intake: float) -> Figures:
    """Needs an empty folder, or one where this was before; `seconds` each for waiting and for draining."""
    port = free_port()
    publish(state, table(port))
    began = time.monotonic()
    if not (state / "journal.db").exists():
        make_journal(state, records)
    made = time.monotonic() - began
    size = (state / "journal.db").stat().st_size
    print(f"made in {made:.0f} s", file=sys.stderr)
    with (state / "log").open("wb") as log:
        shadower = start(["proxy.shadower", "--state", str(state), "--drain", "2"], log)
        try:
            waited = asyncio.run(_watch(state, shadower.pid, port, seconds, intake))
        finally:
            shadower.send_signal(signal.SIGTERM)
            shadower.wait(30)
    return Figures(records, size, made, *waited)


async def _watch(
    state: Path, pid: int, port: int, seconds: float, intake: float
) -> tuple[float, int, int, float, float, float]:
    """The last figures of Figures, of a shadower that has just been started."""
    began, ended = time.monotonic(), asyncio.Event()
    writer = Pacer(state, intake)
    writing = asyncio.create_task(writer.run(ended))
    await writer.first.wait()
    first = time.monotonic() - began
    await asyncio.sleep(seconds)
    waiting = memory(pid, "VmHWM")
    print(f"first write after {first:.1f} s, {waiting / 1024**2:.0f} MB", file=sys.stderr)
    with (state / "log").open("ab") as log:
        candidate = start_service(port, log)
    try:
        await asyncio.sleep(3.0)
        before, taken, at = await asyncio.to_thread(_owed, state), writer.granted, time.monotonic()
        used = cpu_seconds(pid)
        await asyncio.sleep(seconds)
        used = cpu_seconds(pid) - used
        after, fresh, took = await asyncio.to_thread(_owed, state), writer.granted - taken, time.monotonic() - at
        peak = memory(pid, "VmHWM")
        ended.set()
        await writing
    finally:
        candidate.kill()
    delivered = before - after + fresh
    return first, waiting, peak, delivered / took, fresh / took, used / max(delivered, 1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--records", type=int, default=1_800_000)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--intake", type=float, default=200.0)
    parser.add_argument("--state", type=Path, help="make the journal here, or go on with the one that is here")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(given.state or Path(folder), given.records, given.seconds, given.intake)
    mega = 1024 * 1024
    print(f"undelivered records        {found.records:>12,}")
    print(f"journal                    {found.journal_bytes / mega:>12,.0f} MB, made in {found.made_seconds:.0f} s")
    print(f"first write taken after    {found.start_seconds:>12.1f} s")
    print(f"memory while it waits      {found.waiting_rss / mega:>12,.0f} MB")
    print(f"memory at most             {found.peak_rss / mega:>12,.0f} MB")
    print(f"fresh writes               {found.taken:>12,.0f} a second")
    print(f"copies delivered           {found.drained:>12,.0f} a second")
    print(f"drain by intake            {found.times_intake:>12.1f}")
    print(f"processor time of a copy   {found.cpu * 1e6:>12,.0f} us")
    return 0


if __name__ == "__main__":
    sys.exit(main())
