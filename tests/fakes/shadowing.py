"""A real shadower under test: its state folder, a worker's end of the link, and services that can misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from proxy.link import Caller, Link
from proxy.publication import publish
from proxy.shadower.process import Settings, Shadower
from proxy.wire import Denied, Granted, Hello, Holding, Intent, Mirror, Outcome, Record, Recorded
from rules.document import Rules
from rules.effective import Effective
from shadow.delivery.retry import Policy
from shadow.journal.reader import read_standing
from shadow.journal.writes import Standing
from tests.fakes.small_service import Request, SmallService

PATIENCE = 45.0
"""Seconds before a test gives up waiting; nothing is asserted about how fast things happen."""
ROUTE = "checkout"


async def eventually(look: Callable[[], Any], what: str) -> Any:
    """What `look` gives once it is true; an assertion that names `what` when it never is."""
    end = asyncio.get_running_loop().time() + PATIENCE
    while asyncio.get_running_loop().time() < end:
        if found := look():
            return found
        await asyncio.sleep(0.01)
    raise AssertionError(f"never came: {what}")


@dataclass
class Service(SmallService):
    """Answers 201 with the target, notes what it was asked, and fails as `behave` says.

    `behave` gets the number of the request (from 1) and gives a status, or ``hang``, ``break``.
    """

    behave: Callable[[int], int | str] = lambda number: 201
    body: Callable[[str], bytes] = lambda target: b'{"target":"%b"}' % target.encode()
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    """(target, headers in lower case, body)."""
    hold: asyncio.Event | None = None
    """Answers wait for it."""

    @property
    def bodies(self) -> list[bytes]:
        return [body for _, _, body in self.requests]

    @property
    def keys(self) -> list[str]:
        """The idempotency keys, as they came."""
        return [headers.get("idempotency-key", "") for _, headers, _ in self.requests]

    async def answer(self, request: Request) -> tuple[int, bytes] | None:
        self.requests.append((request.target, request.headers, request.body))
        status = self.behave(len(self.requests))
        if self.hold is not None:
            await self.hold.wait()
        if status == "hang":
            await asyncio.sleep(3600)
        return None if status == "break" else (int(status), self.body(request.target))


def effective(
    candidate: int, *, legacy: int = 9, generation: int = 1, stage: str = "shadow", **writes: Any
) -> Effective:
    """One route, `checkout`, with its sides on those ports; legacy is asked by read-back only."""
    return Effective(
        generation=generation,
        rules=Rules.model_validate(
            {
                "version": 1,
                "services": {
                    "legacy": {"url": f"http://127.0.0.1:{legacy}", "timeout": "1s", "connect_timeout": "1s"},
                    "shop": {"url": f"http://127.0.0.1:{candidate}", "timeout": "1s", "connect_timeout": "1s"},
                },
                "legacy": "legacy",
                "routes": [
                    {
                        "name": ROUTE,
                        "match": {"path": "/orders/{order}"},
                        "candidate": "shop",
                        "stage": stage,
                        "writes": {"order_by": "path:order", "dedupe": "idempotency-key", "settle": "20s", **writes},
                    }
                ],
            }
        ),
    )


class Worker:
    """A worker's end of the link, one request at a time or many."""

    def __init__(self, state: Path, *, pid: int = 0, number: int = 0) -> None:
        self.pid = pid or os.getpid()
        self._number = number
        self._next = 0
        self._answers: dict[int, asyncio.Future[Granted | Denied]] = {}
        self.recorded: set[int] = set()
        self.gaps: set[str] = set()
        self.holding: list[int] | None = None
        """Sent after the next hello, when not None."""
        self.outcomes: list[Outcome] = []
        """Sent after the next hello."""
        self._caller = Caller(state / "shadow.sock", self._greet, self._take, self._lost)

    async def __aenter__(self) -> Self:
        self._caller.start()
        await eventually(lambda: self._caller.is_open, "link to the shadower")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._caller.stop()

    @property
    def is_open(self) -> bool:
        return self._caller.is_open

    def send(self, record: Record) -> None:
        assert self._caller.send(record)

    async def intend(self, key: str = "17", body: bytes = b"{}", **more: Any) -> Granted | Denied:
        self._next += 1
        given: dict[str, Any] = {
            "generation": 1,
            "request_id": f"request-{self._next}",
            "side": "legacy",
            "method": "POST",
            "target": f"/orders/{key}",
            "headers": [(b"Content-Type", b"application/json"), (b"Cookie", b"session=canary-cookie")],
            "host": "shop.example",
            "idempotency_key": f"idem-{key}-{body.decode()}",
            "unit": "u",
            "started": 1_700_000_000.0,
        }
        intent = Intent(id=self._next, route=ROUTE, key=key, body=body, **{**given, **more})
        future = self._answers[self._next] = asyncio.get_running_loop().create_future()
        self.send(intent)
        return await asyncio.wait_for(future, PATIENCE)

    def outcome(self, sequence: int, status: int = 201, body: bytes | None = None, failure: str = "") -> Outcome:
        answer = body if body is not None else b"{}"
        fields = [(b"Content-Type", b"application/json"), (b"Set-Cookie", b"canary-set-cookie")]
        return Outcome(sequence, status, fields, answer, False, 0.01, failure)

    async def write(self, key: str = "17", body: bytes = b"{}", **more: Any) -> int:
        """A whole write that legacy answered with 201; its sequence, once the outcome is durable."""
        granted = await self.intend(key, body, **more)
        assert isinstance(granted, Granted), granted
        target = f"/orders/{key}"
        self.send(self.outcome(granted.sequence, body=b'{"target":"%b"}' % target.encode()))
        await eventually(lambda: granted.sequence in self.recorded, "outcome recorded")
        return granted.sequence

    def mirror(self, target: str = "/orders/17", started: float = 4e9, **more: Any) -> None:
        body = more.pop("answer_body", b'{"target":"%b"}' % target.encode())
        given = {"generation": 1, "request_id": "r", "side": "legacy", "method": "GET", "host": "shop.example"}
        given["headers"] = []
        answer = {"status": 201, "answer_headers": [(b"Content-Type", b"application/json")], "truncated": False}
        answer["seconds"] = 0.01
        record = Mirror(
            route=ROUTE, target=target, body=b"", answer_body=body, started=started,
            **{**given, **answer, **more},
        )  # fmt: skip
        self.send(record)

    def _greet(self, link: Link) -> None:
        link.send(Hello("worker", self._number, self.pid, 1))
        if self.holding is not None:
            link.send(Holding(self.holding))
        for outcome in self.outcomes:
            link.send(outcome)

    def _take(self, link: Link, record: Record) -> None:
        if isinstance(record, Granted | Denied):
            self._answers.pop(record.id).set_result(record)
        elif isinstance(record, Recorded):
            self.recorded.update(record.outcomes)
            self.gaps.update(record.gaps)

    def _lost(self, link: Link) -> None:
        for future in self._answers.values():
            future.cancel()
        self._answers.clear()


class Shadowed:
    """A state folder and the shadower that runs on it."""

    def __init__(self, state: Path) -> None:
        self.state = state

    def publish(self, table: Effective) -> None:
        publish(self.state, table)

    @property
    def standing(self) -> Standing:
        return read_standing(self.state / "journal.db").get(ROUTE, Standing())


class Inside(Shadowed):
    """In this process, with short waits between retries; for everything that needs no process to kill."""

    def start(self, drain: float = 5.0, quota: int | None = None) -> None:
        settings = Settings(self.state, drain, None, journal_quota=quota)
        self.shadower = Shadower(settings, Policy(base=0.001, cap=0.02, probe=0.02))
        self._task = asyncio.create_task(self.shadower.run())

    @property
    def ended(self) -> bool:
        return self._task.done()

    async def end(self) -> int:
        self.shadower.stop("the test ends")
        return await asyncio.wait_for(self._task, PATIENCE)


class Process(Shadowed):
    """As the supervisor starts it."""

    def __init__(self, state: Path) -> None:
        super().__init__(state)
        self._process: asyncio.subprocess.Process | None = None
        self._log = state / "log"

    async def start(self, *, drain: float = 5.0, limit: int | None = None) -> None:
        """Start it; `limit` is the size in bytes that no file of it may grow beyond."""
        command = [sys.executable, "-P", "-m", "proxy.shadower", "--state", str(self.state), "--drain", str(drain)]
        if limit is not None:
            command = ["/bin/sh", "-c", f'ulimit -f {limit // 512}; exec "$@"', "sh", *command]
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(*command, stderr=log, stdin=asyncio.subprocess.DEVNULL)

    @property
    def process(self) -> asyncio.subprocess.Process:
        assert self._process is not None
        return self._process

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()

    async def end(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), PATIENCE)

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text().splitlines() if line.startswith("{")]

    def logged(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.log if line["event"] == event]


@contextlib.asynccontextmanager
async def shadowing(state: Path, table: Effective | None, drain: float = 5.0) -> AsyncIterator[Inside]:
    """A shadower inside this process, ended at the end."""
    one = Inside(state)
    if table is not None:
        one.publish(table)
    one.start(drain)
    try:
        yield one
    finally:
        await one.end()


@contextlib.asynccontextmanager
async def shadower_process(state: Path, table: Effective | None, **more: Any) -> AsyncIterator[Process]:
    """A shadower process, killed at the end unless it has ended."""
    one = Process(state)
    if table is not None:
        one.publish(table)
    await one.start(**more)
    try:
        yield one
    finally:
        if one.process.returncode is None:
            await one.kill()
