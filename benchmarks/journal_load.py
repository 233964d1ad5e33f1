"""What the journal's benchmarks share: routes that write, the service that takes their copies, and workers that ask.

The workers speak to the shadower's socket as fig's own do, without a proxy in front: what is measured is the journal.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import BinaryIO

import uvloop

from proxy.link import Caller, Link
from proxy.wire import Denied, Granted, Hello, Intent, Outcome, Record, Recorded
from rules.document import Rules
from rules.effective import Effective

ROUTES = 4
BODY = b'{"sku": "A-1017", "quantity": 2, "note": "' + b"x" * 160 + b'"}'
ANSWER = b'{"status": "ok", "total": 4180}'
SECRET = (b"Authorization", b"Bearer " + b"t" * 40)
FIELDS = [(b"Content-Type", b"application/json")]
KEYS_EACH = 16
"""Keys that one client writes in turn."""


def table(port: int) -> Effective:
    """Routes that write, whose candidate answers at that port."""
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


def intent(number: int, key: str) -> Intent:
    """A write as a worker asks for it; `number` is of this link."""
    route = number % ROUTES
    return Intent(
        id=number,
        route=f"route-{route}",
        generation=1,
        request_id=f"fresh-{number}",
        key=key,
        side="legacy",
        method="POST",
        target=f"/r{route}/{key}",
        headers=FIELDS,
        host="shop",
        body=BODY,
        idempotency_key=f"fresh-{os.getpid()}-{number}",
        unit="unit",
        started=time.time(),
    )


class _Asking:
    """One link to the shadower, as a worker's."""

    def __init__(self, state: Path, number: int) -> None:
        self.granted = 0
        """Intents that were made durable."""
        self.recorded = 0
        """Outcomes that were."""
        self.first = asyncio.Event()
        """Whether a write was granted."""
        self._number = number
        self._caller = Caller(state / "shadow.sock", self._greet, self._take)

    def start(self) -> None:
        self._caller.start()

    async def stop(self) -> None:
        await self._caller.stop()

    def _greet(self, link: Link) -> None:
        # A process id of its own, as each worker has: what one of them lost is no other's.
        link.send(Hello("worker", self._number, os.getpid() * 100 + self._number, 1))

    def _take(self, link: Link, record: Record) -> None:
        if isinstance(record, Granted):
            self.granted += 1
            self.first.set()
            self._go_on(link, record)
        elif isinstance(record, Recorded):
            self.recorded += len(record.outcomes)
        elif isinstance(record, Denied):
            print(f"denied: {record.reason}", file=sys.stderr)

    def _go_on(self, link: Link, record: Granted) -> None:
        link.send(Outcome(record.sequence, 201, FIELDS, ANSWER, False, 0.01))


class Pacer(_Asking):
    """A worker that writes `rate` times a second, each write with a key of its own."""

    def __init__(self, state: Path, rate: float) -> None:
        super().__init__(state, 0)
        self._rate = rate
        self._next = 0

    async def run(self, until: asyncio.Event) -> None:
        self.start()
        began = time.monotonic()
        asked = 0
        while not until.is_set():
            while asked < (time.monotonic() - began) * self._rate:
                asked += 1
                self._next += 1
                self._caller.send(intent(self._next, f"k{self._next}"))
            await asyncio.sleep(0.01)
        await self.stop()


class Clients(_Asking):
    """A worker with clients of which each asks for its next write once its former one is granted.

    `answered`: every granted write gets its outcome, which the journal must take as well.
    """

    def __init__(self, state: Path, number: int, clients: int, *, answered: bool) -> None:
        super().__init__(state, number)
        self._clients = clients
        self._answered = answered
        self._asked = 0

    def _greet(self, link: Link) -> None:
        super()._greet(link)
        for _ in range(self._clients):
            self._ask(link)

    def _go_on(self, link: Link, record: Granted) -> None:
        if self._answered:
            super()._go_on(link, record)
        self._ask(link)

    def _ask(self, link: Link) -> None:
        self._asked += 1
        # A client's own keys in turn: by the time that one comes again, its former write is long over.
        key = self._asked if not self._answered else self._asked % (self._clients * KEYS_EACH)
        link.send(intent(self._asked, f"{self._number}-{key}"))


class _Service(asyncio.Protocol):
    """Answers every request at once, with 200 and the same body."""

    HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(ANSWER)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
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
            self._transport.write(self.HEAD + ANSWER)  # type: ignore[attr-defined]  # uvloop's is no asyncio.Transport


def start_service(port: int, log: BinaryIO) -> subprocess.Popen[bytes]:
    """The service in a process of its own."""
    return start(["benchmarks.journal_load", str(port)], log)


def start(words: list[str], log: BinaryIO) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-P", "-m", *words], stdout=log, stderr=log)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its threads so far (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int, field: str) -> int:
    """Bytes, by /proc/PID/status (proc(5))."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return 0


def main() -> None:
    """Only be the service."""
    parser = argparse.ArgumentParser(description="A service that answers every request at once.")
    parser.add_argument("port", type=int)
    port = parser.parse_args().port

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(_Service, "127.0.0.1", port)
        await server.serve_forever()

    uvloop.run(run())


if __name__ == "__main__":
    main()
