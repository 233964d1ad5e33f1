"""How the shadower bears a long list of undelivered copies: its memory, and how fast it drains beside fresh writes.

    python -m benchmarks.backlog --records 1800000 --seconds 30

Makes a journal with that many copies owed (sealed, of four routes, many keys), starts a shadower on it while the
candidate is away, writes beside it at `--intake` a second, then lets the candidate come up and counts what it gets.
Everything runs on this machine: the candidate takes a part of the cores that the shadower could use.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from proxy.link import Caller, Link
from proxy.publication import publish
from proxy.wire import Denied, Granted, Hello, Intent, Outcome, Record
from rules.document import Rules
from rules.effective import Effective
from shadow.journal.journal import Journal, order_key_hash, read_standing
from shadow.journal.writes import Original
from shadow.pair import Answer
from shadow.sealing import Sealer, load_key

ROUTES = 4
KEYS = 50_000
BODY = b'{"sku": "A-1017", "quantity": 2, "note": "' + b"x" * 160 + b'"}'
ANSWER = b'{"status": "ok", "total": 4180}'
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


def table(port: int) -> Effective:
    """Routes that write, to one candidate."""
    routes = [
        {
            "name": f"route-{number}",
            "match": {"path": f"/r{number}/{{order}}"},
            "candidate": "shop",
            "stage": "shadow",
            "writes": {"order_by": "path:order", "dedupe": "idempotency-key"},
        }
        for number in range(ROUTES)
    ]
    services = {"legacy": {"url": "http://127.0.0.1:9"}, "shop": {"url": f"http://127.0.0.1:{port}"}}
    rules = Rules.model_validate({"version": 1, "services": services, "legacy": "legacy", "routes": routes})
    return Effective(generation=1, rules=rules)


def make_journal(state: Path, records: int) -> None:
    """A journal as a candidate that was away for long leaves it."""

    async def empty() -> None:
        await Journal.open(state / "journal.db", sealer).close()

    sealer = Sealer(load_key(state / "key"))
    asyncio.run(empty())
    encode = msgspec.msgpack.Encoder().encode
    answer = encode(Answer(201, (("Content-Type", "application/json"),), ANSWER))
    headers = [(b"Content-Type", b"application/json"), (b"Authorization", b"Bearer " + b"t" * 40)]
    now = time.time() - 3600.0
    db = sqlite3.connect(state / "journal.db", isolation_level=None)
    db.execute("PRAGMA synchronous = OFF")
    for start in range(1, records + 1, BATCH):
        rows = []
        for number in range(start, min(start + BATCH, records + 1)):
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
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


class _Candidate(asyncio.Protocol):
    """Answers every request at once; a request is as much as one read brings."""

    ANSWER = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(ANSWER)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._buffer) < end + 4 + length:
                return
            self._buffer = self._buffer[end + 4 + length :]
            self._transport.write(self.ANSWER + ANSWER)


def _serve(port: int) -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(_Candidate, "127.0.0.1", port)
        await server.serve_forever()

    asyncio.run(run())


class _Writer:
    """A worker that writes `rate` times a second, each write with a key of its own."""

    def __init__(self, state: Path, rate: float) -> None:
        self._rate = rate
        self.taken = 0
        self.first = asyncio.Event()
        """Whether a write was taken."""
        self._next = 0
        self._caller = Caller(state / "shadow.sock", self._greet, self._take)

    async def run(self, until: asyncio.Event) -> None:
        self._caller.start()
        began = time.monotonic()
        asked = 0
        while not until.is_set():
            while asked < (time.monotonic() - began) * self._rate:
                asked += 1
                self._ask()
            await asyncio.sleep(0.01)
        await self._caller.stop()

    def _ask(self) -> None:
        self._next += 1
        self._caller.send(
            Intent(
                id=self._next,
                route=f"route-{self._next % ROUTES}",
                generation=1,
                request_id=f"fresh-{self._next}",
                key=f"k{self._next}",
                side="legacy",
                method="POST",
                target=f"/r{self._next % ROUTES}/k{self._next}",
                headers=[],
                host="shop",
                body=BODY,
                idempotency_key=f"fresh-{self._next}",
                unit="unit",
                started=time.time(),
            )
        )

    def _greet(self, link: Link) -> None:
        link.send(Hello("worker", 0, os.getpid(), 1))

    def _take(self, link: Link, record: Record) -> None:
        if isinstance(record, Granted):
            self.taken += 1
            self.first.set()
            fields = [(b"Content-Type", b"application/json")]
            link.send(Outcome(record.sequence, 201, fields, ANSWER, False, 0.01))
        elif isinstance(record, Denied):
            print(f"denied: {record.reason}", file=sys.stderr)


def _memory(pid: int, field: str) -> int:
    """Bytes, by /proc/PID/status (proc(5))."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return 0


def _owed(state: Path) -> int:
    return sum(one.undelivered for one in read_standing(state / "journal.db").values())


def measure(state: Path, records: int, seconds: float, intake: float) -> Figures:
    """Needs an empty folder, or one where this was before; `seconds` each for waiting and for draining."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    publish(state, table(port))
    began = time.monotonic()
    if not (state / "journal.db").exists():
        make_journal(state, records)
    made = time.monotonic() - began
    size = (state / "journal.db").stat().st_size
    print(f"made in {made:.0f} s", file=sys.stderr)
    with (state / "log").open("wb") as log:
        shadower = _start(["proxy.shadower", "--state", str(state), "--drain", "2"], log)
        try:
            waited = asyncio.run(_watch(state, shadower.pid, port, seconds, intake))
        finally:
            shadower.send_signal(signal.SIGTERM)
            shadower.wait(30)
    return Figures(records, size, made, *waited)


def _start(words: list[str], log: BinaryIO) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-P", "-m", *words], stderr=log)


async def _watch(
    state: Path, pid: int, port: int, seconds: float, intake: float
) -> tuple[float, int, int, float, float]:
    """The last figures of Figures, of a shadower that has just been started."""
    began, ended = time.monotonic(), asyncio.Event()
    writer = _Writer(state, intake)
    writing = asyncio.create_task(writer.run(ended))
    await writer.first.wait()
    start = time.monotonic() - began
    await asyncio.sleep(seconds)
    waiting = _memory(pid, "VmHWM")
    print(f"first write after {start:.1f} s, {waiting / 1024**2:.0f} MB", file=sys.stderr)
    with (state / "log").open("ab") as log:
        candidate = _start(["benchmarks.backlog", "--candidate", str(port)], log)
    try:
        await asyncio.sleep(3.0)
        before, taken, at = await asyncio.to_thread(_owed, state), writer.taken, time.monotonic()
        await asyncio.sleep(seconds)
        after, fresh, took = await asyncio.to_thread(_owed, state), writer.taken - taken, time.monotonic() - at
        peak = _memory(pid, "VmHWM")
        ended.set()
        await writing
    finally:
        candidate.kill()
    return start, waiting, peak, (before - after + fresh) / took, fresh / took


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--records", type=int, default=1_800_000)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--intake", type=float, default=200.0)
    parser.add_argument("--state", type=Path, help="make the journal here, or go on with the one that is here")
    parser.add_argument("--candidate", type=int, metavar="PORT", help="only be the candidate, at that port")
    given = parser.parse_args()
    if given.candidate is not None:
        _serve(given.candidate)
        return 0
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
    print(f"drain by intake            {found.drained / max(found.taken, 1.0):>12.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
