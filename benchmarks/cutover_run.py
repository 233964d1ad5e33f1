"""The processes of a cut-over run, its shoppers, and everything that is done to them meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import aiohttp

from benchmarks.cutover_judging import COMPARISON, ROUTE, Outcome, Plan, judge, prove
from benchmarks.cutover_shoppers import Seen, shop
from benchmarks.programs import free_port
from shadow.journal.journal import JournalError
from shadow.journal.reader import read_standing
from shadow.journal.writes import Standing
from shadow.pairs.reader import PairReader
from shadow.pairs.tables import StoreError

VICTIMS = ("worker", "worker", "shadower", "candidate")
"""Each as likely as it stands here."""
APART = 0.4
"""Seconds between two kills at least: nobody learns more from killing what has not come up."""
SETTLING = 120.0
"""Seconds after the last write for everything to become certain."""
FULL_AT_MOST = 20.0
"""Seconds that the disk is full, until something is refused because of it."""
DISK_MB = 48
"""Of the state folder's own disk; two hundred pairs more, a megabyte more."""

RULES = """
version: 1
services:
  legacy: {{url: "http://127.0.0.1:{legacy}"}}
  checkout: {{url: "http://127.0.0.1:{candidate}", timeout: 2s}}
legacy: legacy
routes:
  - name: checkout
    match: {{path: "/api/checkout/{{order}}", methods: [POST]}}
    candidate: checkout
    stage: shadow
    shadow: {{compare: orders, certificate: {{accuracy: {accuracy}, pairs: {pairs}}}}}
    writes:
      order_by: path:order
      on_journal_failure: refuse
      dedupe: idempotency-key
      settle: 5s
      read_back: {{path: "/api/checkout/{{order}}/writes/{{header:idempotency-key}}", within: 1s, patience: 10s}}
comparisons: {{orders: {comparison}}}
"""


class Run:
    """The processes of one run, and what is done to them."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.folder = folder
        self.state = folder / "state"
        self.ports = {"legacy": free_port(), "candidate": free_port(), "fig": free_port(), "admin": free_port()}
        self.outcome = Outcome(bug=plan.bug)
        self._sides: dict[str, subprocess.Popen[bytes]] = {}
        self._fig: subprocess.Popen[bytes] | None = None
        self._chance = Random(plan.seed)
        self._done = False
        self._seen = Seen()

    # --- starting and ending -----------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _running(self) -> Iterator[None]:
        rules = self.folder / "fig.yaml"
        asked = {"accuracy": self.plan.accuracy, "pairs": self.plan.pairs, "comparison": json.dumps(COMPARISON)}
        rules.write_text(RULES.format(**self.ports, **asked))
        (self.folder / "wrong").write_text("\n".join(self._planted()))
        self.state.mkdir(exist_ok=True)
        try:
            self._start_side("legacy")
            self._start_side("candidate")
            command = [sys.executable, "-P", "-m", "proxy.cli", "serve", "-c", str(rules), "--workers", "2"]
            command += ["--listen", f"127.0.0.1:{self.ports['fig']}", "--admin", f"127.0.0.1:{self.ports['admin']}"]
            command += ["--state", str(self.state), "--drain", "5s"]
            with (self.folder / "fig.log").open("ab") as log:
                self._fig = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            yield
        finally:
            for process in (self._fig, *self._sides.values()):
                if process is not None and process.poll() is None:
                    process.terminate()
            for process in (self._fig, *self._sides.values()):
                if process is not None:
                    try:
                        process.wait(20)
                    except subprocess.TimeoutExpired:
                        process.kill()
                        process.wait()

    def _planted(self) -> list[str]:
        """Keys of the writes that the candidate is to answer wrongly: all of them will come, and be told apart."""
        if not self.plan.bug:
            return []
        early = max(2, self.plan.pairs // self.plan.shoppers // 2)
        found: set[str] = set()
        while len(found) < self.plan.bug:
            found.add(f"{self._chance.randrange(self.plan.shoppers)}-{self._chance.randrange(early)}")
        return sorted(found)

    def _start_side(self, name: str) -> None:
        command = [sys.executable, "-m", "benchmarks.cutover_side", str(self.ports[name]), str(self.folder / name)]
        if name == "candidate":
            command += ["--wrong", str(self.folder / "wrong")]
        with (self.folder / f"{name}.log").open("ab") as log:
            self._sides[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    # --- trouble -----------------------------------------------------------------------------------------------------

    def _pid(self, module: str) -> int | None:
        """Of one of fig's children that runs it, any of several."""
        assert self._fig is not None
        found = []
        for task in Path(f"/proc/{self._fig.pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                with contextlib.suppress(OSError):
                    if module in Path(f"/proc/{child}/cmdline").read_text().split("\0"):
                        found.append(int(child))
        return self._chance.choice(found) if found else None

    def _kill(self, victim: str) -> bool:
        if victim == "candidate":
            self._sides["candidate"].kill()
            self._sides["candidate"].wait()
            self._start_side("candidate")
            return True
        pid = self._pid(f"proxy.{victim}")
        if pid is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return True

    async def _trouble(self) -> None:
        """All kills, spread over the pairs that are to come together, and spells of bad behaviour between them."""
        plan, kills = self.plan, self.outcome.kills
        while (number := kills.total()) < plan.kills:
            due = plan.pairs * 0.95 * (number + self._chance.random()) / plan.kills
            while not self._done and self._seen.taken < due:  # noqa: ASYNC110  # spread by what has come, not by time
                await asyncio.sleep(0.02)
            if self._done:
                return
            victim = self._chance.choice(VICTIMS)
            await asyncio.sleep(APART)
            if not self._kill(victim):
                continue
            kills[victim] += 1
            if number % 10 == 5:
                slow, failing = {"delay": 0.2, "seconds": 1.0}, {"status": 503, "seconds": 0.5}
                await self._behave(failing if number % 20 == 5 else slow)
            if plan.full_disk and number == plan.kills // 2:
                await self._fill_disk()

    async def _behave(self, how: dict[str, float]) -> None:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(2)) as session:
                await session.post(f"http://127.0.0.1:{self.ports['candidate']}/behave", json=how)

    @contextlib.contextmanager
    def _disk(self) -> Iterator[None]:
        """A small disk of its own for the state folder, where this user may have one."""
        self.state.mkdir()
        size = DISK_MB + self.plan.pairs // 200
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size}m,mode=700", "tmpfs", str(self.state)]
        try:
            mounted = self.plan.full_disk and subprocess.run(mount, capture_output=True, check=False).returncode == 0
        except FileNotFoundError:
            mounted = False
        if self.plan.full_disk:
            self.outcome.full_disk = "was not its turn" if mounted else "left out: a disk cannot be mounted here"
        self._mounted = mounted
        try:
            yield
        finally:
            if mounted:
                shutil.copytree(self.state, self.folder / "state-as-it-was", ignore=shutil.ignore_patterns("*.sock"))
                subprocess.run(["umount", "--lazy", str(self.state)], check=False)

    async def _fill_disk(self) -> None:
        if not self._mounted:
            return
        filler = self.state / "filler"
        before, began = self._seen.again["503"], time.monotonic()
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        # SQLite has room in its files for a while yet.
        while self._seen.again["503"] == before and time.monotonic() < began + FULL_AT_MOST:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        await asyncio.sleep(1.0)
        filler.unlink()
        refused, seconds = self._seen.again["503"] - before, time.monotonic() - began
        self.outcome.full_disk = f"full for {seconds:.1f} s, {refused} writes refused meanwhile"

    # --- the run -----------------------------------------------------------------------------------------------------

    async def run(self) -> Outcome:
        """Raises TimeoutError where the pairs do not come together in time, GivenUpError where writes are not taken."""
        began = time.monotonic()
        with self._disk(), self._running():
            await self._ready()
            trouble = asyncio.create_task(self._trouble())
            counting = asyncio.create_task(self._count())
            try:
                async with asyncio.timeout(self.plan.patience):
                    url = f"http://127.0.0.1:{self.ports['fig']}"
                    await shop(url, self.plan.shoppers, self.plan.seed, lambda: not self._done, self._seen)
            finally:
                self._done = True
                trouble.cancel()
                counting.cancel()
                await asyncio.gather(trouble, counting, return_exceptions=True)
            await self._settled()
            judge(self.outcome, plan=self.plan, folder=self.folder)
            admin = f"127.0.0.1:{self.ports['admin']}"
            await asyncio.to_thread(prove, self.outcome, self.plan, self.folder, admin)
            self.outcome.taken, self.outcome.again = self._seen.taken, self._seen.again
        self.outcome.seconds = time.monotonic() - began
        return self.outcome

    async def _ready(self) -> None:
        until = time.monotonic() + 60
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(2)) as session:
            while time.monotonic() < until:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                    async with session.get(f"http://127.0.0.1:{self.ports['admin']}/readyz") as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.1)
        raise TimeoutError(f"fig was not ready within a minute: {(self.folder / 'fig.log').read_text()[-2000:]}")

    async def _count(self) -> None:
        """Look how many pairs there are until there are enough, and everything was killed that was to be."""
        while not self._done:
            await asyncio.sleep(0.25)
            all_killed = self.outcome.kills.total() >= self.plan.kills
            self._done = all_killed and self._pairs() >= self.plan.pairs

    def _pairs(self) -> int:
        with contextlib.suppress(StoreError), PairReader(self.state / "pairs.db") as reader:
            windows = reader.windows(ROUTE)
            return windows[0].pairs if windows else 0
        return 0

    async def _settled(self) -> None:
        """Until the journal has nothing under way, owed or in doubt, or the time for that is over."""
        until = time.monotonic() + SETTLING
        quiet = 0
        while time.monotonic() < until and quiet < 4:
            await asyncio.sleep(0.5)
            with contextlib.suppress(JournalError):
                standing = read_standing(self.state / "journal.db").get(ROUTE, Standing())
                quiet = quiet + 1 if standing == Standing() else 0
