"""`python -m proxy.worker` as the supervisor starts it: an inherited socket, a published table, perhaps nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from proxy import publication
from proxy.link import Link, listen
from proxy.rows import ROW
from proxy.wire import Granted, Hello, Intent, Load, Loaded, Record, Rows, Tally
from rules.document import Rules
from rules.effective import Effective
from tests.fakes.planes import until
from tests.fakes.wires import Answering, Service, Wire, answer

Kind = TypeVar("Kind")
GET = b"GET / HTTP/1.1\r\nHost: a\r\nCookie: unit=u1\r\n\r\n"


def publish(state: Path, legacy: str, generation: int = 1, **route: Any) -> None:
    routes = [{"name": "r", "match": {"path": "/**"}, "candidate": "legacy", **route}]
    rules = Rules.model_validate(
        {"version": 1, "services": {"legacy": {"url": legacy}}, "legacy": "legacy", "routes": routes}
    )
    publication.publish(state, Effective(generation=generation, rules=rules))


class Process:
    """A running worker."""

    def __init__(self, port: int, process: asyncio.subprocess.Process, log: Path) -> None:
        self.port = port
        self.process = process
        self._log = log
        self._wires: list[Wire] = []

    async def connect(self) -> Wire:
        wire = await Wire.to(self.port)
        self._wires.append(wire)
        return wire

    async def get(self) -> tuple[int, bytes]:
        client = await self.connect()
        client.send(GET)
        got = await client.message()
        return got.status, got.body

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    async def ended(self) -> int:
        async with asyncio.timeout(45):
            return await self.process.wait()

    async def leave(self) -> None:
        for wire in self._wires:
            wire.drop()
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


@contextlib.asynccontextmanager
async def working(state: Path, drain: float = 5.0) -> AsyncIterator[Process]:
    with socket.socket() as listener, (state / "log").open("wb") as stderr:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        fd = listener.fileno()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "proxy.worker", "--number", "3", "--fd", str(fd)),
            *("--state", str(state), "--drain", str(drain), "--access-sample", "1"),
            pass_fds=[fd],
            stderr=stderr,
        )
        worker = Process(listener.getsockname()[1], process, state / "log")
        try:
            yield worker
        finally:
            await worker.leave()


class Control:
    """Listens on the state folder's control.sock and keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[Record] = []
        self.links: list[Link] = []

    def all(self, kind: type[Kind]) -> list[Kind]:
        return [record for record in self.heard if isinstance(record, kind)]

    def _take(self, link: Link, record: Record) -> None:
        self.heard.append(record)

    @contextlib.asynccontextmanager
    async def listening(self, state: Path) -> AsyncIterator[Control]:
        server = await listen(state / "control.sock", lambda: Link(self._take, self.links.append))
        try:
            yield self
        finally:
            server.close()
            for link in self.links:
                link.close()
            (state / "control.sock").unlink(missing_ok=True)
            await asyncio.sleep(0)

    async def load(self, generation: int) -> Loaded:
        """Tell of a new table; what the worker says to it."""
        before = len(self.all(Loaded))
        assert self.links[-1].is_open
        self.links[-1].send(Load(generation))
        await until(lambda: len(self.all(Loaded)) > before, "what the worker says to the table")
        return self.all(Loaded)[-1]


async def test_a_worker_serves_alone_and_a_drain_ends_it_with_0(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def slow(wire: Wire) -> None:
        await wire.message()
        await gate.wait()
        wire.send(answer(b"to the end"))
        await wire.some()

    async with Service(slow) as legacy:
        publish(tmp_path, legacy.url)
        async with working(tmp_path) as worker:
            client = await worker.connect()
            client.send(GET)
            await until(lambda: legacy.connections, "the request at the service")
            worker.process.send_signal(signal.SIGTERM)
            await until(lambda: any(line["event"] == "draining" for line in worker.log), "the drain")
            await asyncio.sleep(0.2)  # it first takes what the socket's queue still holds
            gate.set()
            got = await client.message()
            assert (got.status, got.body, got.get("connection")) == (200, b"to the end", "close")
            client.close()

            assert await worker.ended() == 0


async def test_an_exchange_is_in_the_access_log_without_anything_that_may_be_secret(tmp_path: Path) -> None:
    async with Answering() as legacy:
        publish(tmp_path, legacy.url)
        async with working(tmp_path) as worker:
            client = await worker.connect()
            client.send(b"GET /a/path?token=s3cret HTTP/1.1\r\nHost: shop\r\nAuthorization: Bearer s3cret\r\n\r\n")
            await client.message()
            client.close()
            worker.process.send_signal(signal.SIGTERM)
            assert await worker.ended() == 0

            (line,) = [line for line in worker.log if line["event"] == "exchange"]
            assert (line["method"], line["host"], line["path"], line["status"]) == ("GET", "shop", "/a/path", 200)
            assert (line["route"], line["side"], line["service"]) == ("r", "legacy", "legacy")
            assert "s3cret" not in (tmp_path / "log").read_text()


async def test_a_worker_waits_for_its_first_table(tmp_path: Path) -> None:
    async with Answering() as legacy, working(tmp_path) as worker:
        answered = asyncio.create_task(worker.get())
        await asyncio.sleep(0.3)
        publish(tmp_path, legacy.url)

        assert await answered == (200, b"ok")


async def test_a_worker_follows_control_and_keeps_its_table_when_the_next_cannot_be_read(tmp_path: Path) -> None:
    async with (
        Answering(lambda _: answer(b"first")) as first,
        Answering(lambda _: answer(b"second")) as second,
        Control().listening(tmp_path) as control,
    ):
        publish(tmp_path, first.url)
        async with working(tmp_path) as worker:
            await until(lambda: control.all(Hello), "the greeting")
            hello = control.all(Hello)[0]
            assert (hello.role, hello.number, hello.pid, hello.generation) == ("worker", 3, worker.process.pid, 1)
            assert await worker.get() == (200, b"first")
            publish(tmp_path, second.url, generation=2)
            assert await worker.get() == (200, b"first")  # only control says when

            assert await control.load(2) == Loaded(2)
            assert await worker.get() == (200, b"second")
            (tmp_path / "effective.json").write_bytes(b"{broken")
            told = await control.load(3)
            assert told.generation == 2
            assert told.problem
            assert await worker.get() == (200, b"second")
            publish(tmp_path, first.url, generation=4)
            assert await control.load(4) == Loaded(4)
            assert await worker.get() == (200, b"first")


async def test_a_worker_serves_on_while_control_is_away_and_greets_the_next_one(tmp_path: Path) -> None:
    async with Answering() as legacy:
        publish(tmp_path, legacy.url)
        async with working(tmp_path) as worker:
            async with Control().listening(tmp_path) as control:
                await until(lambda: control.all(Hello), "the greeting")
            assert await worker.get() == (200, b"ok")
            async with Control().listening(tmp_path) as control:
                await until(lambda: control.all(Hello), "the greeting of the next control")
                assert await worker.get() == (200, b"ok")


async def test_counts_and_rows_reach_control_also_the_last_ones_before_the_end(tmp_path: Path) -> None:
    async with Answering() as legacy, Control().listening(tmp_path) as control:
        publish(tmp_path, legacy.url, stage="canary", share="0%", unit={"cookie": "unit"})
        async with working(tmp_path) as worker:
            for _ in range(3):
                client = await worker.connect()
                client.send(GET)
                assert (await client.message()).status == 200
                client.close()
            worker.process.send_signal(signal.SIGTERM)
            assert await worker.ended() == 0

            await until(lambda: sum(len(r.rows) for r in control.all(Rows)) == 3 * ROW.itemsize, "three rows")
            assert {int(row["side"]) for r in control.all(Rows) for row in np.frombuffer(r.rows, ROW)} == {0}
            sides = [side for tally in control.all(Tally) for side in tally.sides]
            assert sum(side.requests.get("GET 2xx", 0) for side in sides) == 3
            gauges = {name for tally in control.all(Tally) for name, _, _ in tally.gauges}
            assert {"client_connections", "service_connections", "service_idle"} <= gauges


async def test_a_worker_that_was_replaced_serves_its_clients_by_every_table_and_leaves_the_queue_to_others(
    tmp_path: Path,
) -> None:
    async with (
        Answering(lambda _: answer(b"first")) as first,
        Answering(lambda _: answer(b"second")) as second,
        Control().listening(tmp_path) as control,
    ):
        publish(tmp_path, first.url)
        async with working(tmp_path) as worker:
            kept = await worker.connect()
            kept.send(GET)
            assert (await kept.message()).get("connection") is None
            worker.process.send_signal(signal.SIGUSR2)
            await until(
                lambda: [hello.leaving for hello in control.all(Hello)] == [False, True], "the word that it goes"
            )
            later = await worker.connect()
            later.send(GET)
            publish(tmp_path, second.url, generation=2)
            assert await control.load(2) == Loaded(2)
            kept.send(GET)
            got = await kept.message()
            assert (got.body, got.get("connection")) == (b"second", "close")
            kept.close()

            assert await worker.ended() == 0
            sides = [side for tally in control.all(Tally) for side in tally.sides]
            assert sum(side.requests.get("GET 2xx", 0) for side in sides) == 2
            assert len(first.requests) + len(second.requests) == 2  # nobody took the later one; its successor will


async def test_a_worker_that_was_replaced_can_still_be_told_to_hurry(tmp_path: Path) -> None:
    async with Answering() as legacy:
        publish(tmp_path, legacy.url)
        async with working(tmp_path, drain=0.2) as worker:
            assert await worker.get() == (200, b"ok")  # and keeps its connection
            worker.process.send_signal(signal.SIGUSR2)
            await until(lambda: any(line["event"] == "retiring" for line in worker.log), "the retirement")
            worker.process.send_signal(signal.SIGTERM)

            assert await worker.ended() == 0


async def test_a_worker_without_a_table_says_so(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    program = (
        "import proxy.worker.process as p, sys, proxy.worker.__main__ as m; p.TABLE_WAIT = 0.1; sys.exit(m.main())"
    )
    with socket.socket() as listener:
        fd = listener.fileno()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program, "--fd", str(fd), "--state", str(tmp_path)),
            pass_fds=[fd],
            stderr=asyncio.subprocess.PIPE,
            env=environment,
        )
        _, said = await asyncio.wait_for(process.communicate(), 20)

    assert process.returncode == 1
    assert "effective.json" in said.decode()


async def test_a_worker_takes_no_write_before_the_shadower_is_there(tmp_path: Path) -> None:
    """Else the first writes after every start would be refused; the kernel holds their connections meanwhile."""
    granting = lambda link, record: isinstance(record, Intent) and link.send(Granted(record.id, 1))  # noqa: E731
    async with Answering() as legacy:
        publish(tmp_path, legacy.url, stage="shadow", writes={"order_by": "header:x-order"})
        async with working(tmp_path) as worker:
            client = await worker.connect()
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
            await asyncio.sleep(1)  # the worker is up by now, as a rule
            server = await listen(tmp_path / "shadow.sock", lambda: Link(granting))
            assert (await client.message()).status == 200
            server.close()


async def test_everything_that_a_route_does_reaches_the_worker_through_what_control_publishes(tmp_path: Path) -> None:
    async with Answering(lambda _: answer(b"ok", "200 OK", "Server: inside")) as service:
        rules = Rules.model_validate(
            {
                "version": 1,
                "services": {"legacy": {"url": service.url}},
                "legacy": "legacy",
                "trusted_proxies": ["127.0.0.0/8"],
                "defaults": {"max_body": "1KB", "response_headers": {"remove": ["Server"], "sides": "both"}},
                "routes": [
                    {"name": "gone", "match": {"path": "/gone"}, "respond": {"status": 410, "body": "gone"}},
                    {
                        "name": "moved",
                        "match": {"path": "/a/**"},
                        "candidate": "legacy",
                        "stage": "live",
                        "rewrite": {"prefix": "/b", "host": "service"},
                        "request_headers": {"set": {"X-Client": "{client}"}},
                        "retries": {"on": ["connect", 503]},
                    },
                ],
            }
        )
        publication.publish(tmp_path, Effective(generation=1, rules=rules))
        async with working(tmp_path) as worker:
            client = await worker.connect()
            client.send(b"GET /gone HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await client.message()).status == 410
            client.send(b"GET /a/7 HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n")
            got = await client.message()
            client.send(b"POST /a/7 HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n")
            assert (await client.message()).status == 413

            (seen,) = service.requests
            assert seen.start == "GET /b/7 HTTP/1.1"
            assert (seen.get("host"), seen.get("x-client")) == (service.url.removeprefix("http://"), "203.0.113.9")
            assert (got.status, got.get("server")) == (200, None)
