"""What a running fig does with very many routes: start, a reload with one changed route, a rollback, all under traffic.

Starts `fig serve` with two workers on a generated rules file, asks it 200 times a second over kept-alive connections,
and prints how long each step took, the longest time that any answer took meanwhile, and the memory of every process.
Before that it loads the same table in this process, with a ticker of 1 ms in the same loop: the longest time that a
worker's loop stands still. On a machine with other work on it both also show what that work holds up.

    python benchmarks/reloading.py [--routes 100000] [--only loop|fig]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from proxy.following import Following
from proxy.link import Link
from proxy.memory import freeze
from proxy.publication import publish
from proxy.wire import Load, Loaded, Prepare, Prepared, Record
from proxy.worker.tables import Deciding
from rules.document import Rules
from rules.effective import Effective, Position
from rules.stages import Stage
from rules.table import Table
from tests.fakes.served import free_port

CONNECTIONS = 8
EVERY = 0.04
"""Seconds between two requests of one connection."""


def rules_text(routes: int, url: str, changed: str = "") -> str:
    """A rules file; the route in the middle takes other methods where `changed` says so."""
    lines = [
        "version: 1",
        f"services: {{legacy: {{url: '{url}'}}, shop: {{url: '{url}'}}}}",
        "legacy: legacy",
        "routes:",
    ]
    for number in range(routes):
        methods = changed if changed and number == routes // 2 else "GET, HEAD"
        lines += [
            f"  - name: area{number}",
            f"    match: {{path: /team{number % 300}/area{number}/**, methods: [{methods}]}}",
            "    candidate: shop",
            f"    stage: {'live' if number == 7 else 'legacy'}",
        ]
    return "\n".join(lines) + "\n"


class Traffic:
    """Requests at a steady rate; remembers how long the answers of each step took."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.failed = 0
        self.seconds: list[float] = []
        self.late = 0.0
        """Seconds by which this program's own loop was late at most: no answer can be seen sooner."""

    def take(self) -> str:
        """What happened since the last call."""
        seen = sorted(self.seconds) or [0.0]
        p99, slowest = seen[int(len(seen) * 0.99)] * 1000, seen[-1] * 1000
        said = f"{len(self.seconds)} requests, {self.failed} failed, p99 {p99:.1f} ms, slowest {slowest:.1f} ms "
        said += f"(of which this program's own loop up to {self.late * 1000:.1f} ms)"
        self.failed, self.seconds, self.late = 0, [], 0.0
        return said

    async def watch(self) -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.002)
            self.late = max(self.late, time.perf_counter() - began - 0.002)

    async def run(self, number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        while True:
            number = (number * 7919 + 1) % 100_003
            began = time.perf_counter()
            writer.write(b"GET /team%d/area%d/x HTTP/1.1\r\nHost: a\r\n\r\n" % (number % 300, number))
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(2)
            self.seconds.append(time.perf_counter() - began)
            self.failed += b" 200 " not in head[:16]
            await asyncio.sleep(EVERY)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def _fetch(url: str, data: bytes | None) -> bytes:
    asked = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=120) as answer:
        body: bytes = answer.read()
        return body


class Admin:
    """The admin API, asked in a thread, so that the traffic goes on; remembers its slowest answer."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.slowest = 0.0

    async def ask(self, path: str, body: dict[str, str] | None = None) -> bytes:
        data = json.dumps(body).encode() if body is not None else None
        began = time.perf_counter()
        found = await asyncio.to_thread(_fetch, f"http://127.0.0.1:{self._port}{path}", data)
        self.slowest = max(self.slowest, time.perf_counter() - began)
        return found

    async def is_ready(self) -> bool:
        return bool(json.loads(await self.ask("/readyz"))["status"] == "ready")

    async def generation(self) -> int:
        return int(json.loads(await self.ask("/readyz")).get("generation", 0))


@contextlib.asynccontextmanager
async def _serving(folder: Path, port: int, admin: int) -> AsyncIterator[asyncio.subprocess.Process]:
    command = (sys.executable, "-m", "proxy.cli", "serve", "-c", str(folder / "fig.yaml"), "--workers", "2")
    where = ("--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{admin}", "--state", str(folder / "state"))
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, *where, "--drain", "5s", stderr=log, stdout=log)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await process.wait()


async def _until(look: Callable[[], Awaitable[bool]], fig: asyncio.subprocess.Process, seconds: float = 240) -> float:
    """Seconds until `look()` is true."""
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        if fig.returncode is not None:
            raise RuntimeError(f"fig ended with {fig.returncode}")
        with contextlib.suppress(OSError, ValueError, asyncio.IncompleteReadError):
            if await look():
                return time.perf_counter() - began
        await asyncio.sleep(0.05)
    raise RuntimeError(f"not within {seconds:.0f} s")


def _memory(pid: int) -> list[str]:
    """Resident and highest resident memory of the process and its children, MB."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            fields = dict(line.split(":", 1) for line in Path(f"/proc/{child}/status").read_text().splitlines())
            name = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            module = next((part.decode() for part in name if part.startswith(b"proxy.")), "?")
            now, most = (int(fields[key].split()[0]) // 1024 for key in ("VmRSS", "VmHWM"))
            found.append(f"{module} {now} MB (at most {most})")
    return sorted(found)


async def measure_fig(routes: int) -> None:
    """The whole of it, as users run it."""
    with tempfile.TemporaryDirectory(prefix="fig-reloading-") as scratch:
        folder = Path(scratch)
        service = await asyncio.start_server(_answer, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{service.sockets[0].getsockname()[1]}"
        rules = folder / "fig.yaml"
        rules.write_text(rules_text(routes, url))
        (folder / "new").write_text(rules_text(routes, url, "GET"))
        print(f"{routes:,} routes, {rules.stat().st_size / 1e6:.1f} MB of YAML")
        port, admin_port = free_port(), free_port()
        began = time.perf_counter()
        async with _serving(folder, port, admin_port) as fig:
            traffic, admin = Traffic(port), Admin(admin_port)

            async def answers() -> bool:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                try:
                    return bool(await reader.readexactly(1))
                finally:
                    writer.close()

            await _until(answers, fig)
            print(f"first answer after {time.perf_counter() - began:.1f} s")
            asking = [asyncio.create_task(traffic.run(number * 31)) for number in range(CONNECTIONS)]
            asking.append(asyncio.create_task(traffic.watch()))
            await _until(admin.is_ready, fig)
            print(f"control ready after {time.perf_counter() - began:.1f} s; {traffic.take()}")
            await asyncio.sleep(2)
            print(f"at rest: {traffic.take()}; {'; '.join(_memory(fig.pid))}")

            before, admin.slowest = await admin.generation(), 0.0
            (folder / "new").replace(rules)

            async def is_reloaded() -> bool:
                return await admin.generation() > before

            took = await _until(is_reloaded, fig)
            print(f"reload after {took:.1f} s: {traffic.take()}; the admin API's slowest {admin.slowest * 1000:.0f} ms")
            await asyncio.sleep(3)
            print(f"after it: {traffic.take()}; {'; '.join(_memory(fig.pid))}")

            admin.slowest = 0.0
            moved = json.loads(await admin.ask("/api/routes/area7/rollback", {"to": "shadow", "by": "benchmark"}))
            said = f"acknowledged: {moved['acknowledged']}; {traffic.take()}"
            print(f"rollback after {admin.slowest * 1000:.0f} ms, {said}")
            for path in ("/api/status", "/metrics"):
                admin.slowest = 0.0
                size = len(await admin.ask(path))
                print(f"{path}: {size:,} bytes in {admin.slowest * 1000:.0f} ms")
            for task in asking:
                task.cancel()
        service.close()


class _Answers(Link):
    """Takes what the follower answers."""

    def __init__(self) -> None:
        super().__init__(lambda *_: None)
        self.got: asyncio.Queue[Record] = asyncio.Queue()

    def send(self, record: Record, limit: int = 0) -> bool:
        self.got.put_nowait(record)
        return True


async def measure_loop(routes: int) -> None:
    """One worker's table in this process, and how long its loop stands still."""
    stalls: list[tuple[float, float]] = []
    """Seconds by which a tick came late, and seconds of processor time that the loop used meanwhile."""

    async def tick() -> None:
        while True:
            began, used = time.perf_counter(), time.thread_time()
            await asyncio.sleep(0.001)
            stalls.append((time.perf_counter() - began - 0.001, time.thread_time() - used))

    def longest() -> str:
        late, used = (max(column, default=0.0) * 1000 for column in zip(*stalls, strict=True))
        return f"longest stall {late:.1f} ms (processor time {used:.1f} ms)"

    def rules(changed: int) -> Rules:
        url = "http://127.0.0.1:9"
        each = [
            {
                "name": f"area{n}",
                "match": {
                    "path": f"/team{n % 300}/area{n}/**",
                    "methods": ["GET"] if n == changed else ["GET", "HEAD"],
                },
                "candidate": "shop",
                "stage": "live",
            }
            for n in range(routes)
        ]
        services = {"legacy": {"url": url}, "shop": {"url": url}}
        return Rules.model_validate({"version": 1, "services": services, "legacy": "legacy", "routes": each})

    with tempfile.TemporaryDirectory(prefix="fig-reloading-") as scratch:
        state = Path(scratch)
        tables: list[Table] = []
        deciding = Deciding(lambda table: tables.__setitem__(slice(None), [table]))
        following = Following(state, deciding)
        ticking = asyncio.create_task(tick())
        link = _Answers()

        async def step(what: str, effective: Effective | None, record: Record, kind: type) -> None:
            if effective is not None:
                publish(state, effective)
            freeze()  # what only this program holds
            await asyncio.sleep(0.01)
            stalls.clear()
            began = time.perf_counter()
            following.take(link, record)
            answer = await link.got.get()
            took = time.perf_counter() - began
            assert isinstance(answer, kind), answer
            await asyncio.sleep(0)
            await asyncio.sleep(0.003)
            print(f"{what}: {took:.2f} s, {longest()}")

        first = Effective(1, rules(-1))
        await step("all routes new", first, Load(1), Loaded)
        moved = first.moved(2, {"area7": Position(Stage.SHADOW, 0)})
        await step("a move", moved, Load(2), Loaded)
        second = Effective(3, rules(5))
        publish(state, second)
        publish(state, moved)
        await step("one route changed, prepared", None, Prepare(second.digest), Prepared)
        await step("one route changed, in force", second, Load(3), Loaded)
        stalls.clear()
        await asyncio.sleep(4)
        print(f"the former table released: {longest()}")
        ticking.cancel()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--routes", type=int, default=100_000)
    parser.add_argument("--only", choices=("loop", "fig"))
    given = parser.parse_args()
    if given.only != "fig":
        asyncio.run(measure_loop(given.routes))
    if given.only != "loop":
        asyncio.run(measure_fig(given.routes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
