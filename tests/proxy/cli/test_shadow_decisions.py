"""`fig shadow deliveries` and `fig shadow gaps` on a running fig: what they list, send again, drop and settle."""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner, Result

from proxy.cli import app
from proxy.wire import Denied, Gap, Granted
from tests.fakes.running_control import Running, control, write
from tests.fakes.shadowing import ROUTE, Inside, Service, Worker, eventually


@dataclass
class Fig:
    """Control, a shadower and a worker's link on one state folder."""

    running: Running
    shadower: Inside
    worker: Worker

    async def command(self, *words: str) -> Result:
        variables = {"FIG_ADMIN": self.running.api.base_url.netloc.decode(), "FIG_STATE": str(self.running.state)}
        return await asyncio.to_thread(
            lambda: CliRunner().invoke(app, ["shadow", *words], env={"COLUMNS": "200", **variables})
        )

    async def listed(self, *words: str) -> Any:
        return json.loads((await self.command(*words, "--json")).output)

    async def history(self) -> list[dict[str, Any]]:
        entries = (await self.running.api.get("/api/history", params={"route": ROUTE})).json()["history"]
        return [entry for entry in entries if entry["action"].startswith("shadow ")]

    async def dead(self, key: str) -> int:
        """A write whose copy the candidate has refused until it was given up."""
        sequence = await self.worker.write(key)
        before = self.shadower.standing.dead
        await eventually(lambda: self.shadower.standing.dead > before, "the copy given up")
        return sequence


@asynccontextmanager
async def running_fig(folder: Path, candidate: int, quota: int | None = None) -> AsyncIterator[Fig]:
    route = {
        "name": ROUTE,
        "match": {"path": "/orders/{order}"},
        "candidate": "shop",
        "stage": "shadow",
        "writes": {"order_by": "path:order", "dedupe": "idempotency-key"},
    }
    write(folder, release=f"http://127.0.0.1:{candidate}", others=[route])
    async with control(folder, 0) as running:
        shadower = Inside(running.state)
        shadower.start(quota=quota)

        async def is_there() -> bool:
            return (await running.api.post("/api/shadow/ping", json={})).status_code == 200

        await running.until(is_there)
        try:
            async with Worker(running.state) as worker:
                yield Fig(running, shadower, worker)
        finally:
            await shadower.end()


@pytest.fixture(autouse=True)
def _logs_apart() -> Iterator[None]:
    """Commands run in a thread beside fig, and what they print is captured: fig's log lines must not be among it."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.__stderr__))
    yield
    structlog.reset_defaults()


@pytest.fixture
async def candidate() -> AsyncIterator[Service]:
    service = await Service(behave=lambda number: 503).up()
    yield service
    await service.down()


async def test_dead_copies_are_listed_sent_again_and_then_there(tmp_path: Path, candidate: Service) -> None:
    async with running_fig(tmp_path, candidate.port) as fig:
        assert (await fig.command("deliveries")).exit_code == 0
        sequence = await fig.dead("17")

        listed = await fig.command("deliveries")
        assert listed.exit_code == 4
        assert "status 503, 8 times" in listed.output
        [one] = (await fig.listed("deliveries"))["deliveries"]
        assert (one["sequence"], one["state"], one["attempts"], one["status"]) == (sequence, "dead", 8, 503)
        assert "canary" not in listed.output

        candidate.behave = lambda number: 201
        again = await fig.command("deliveries", "retry", str(sequence), "--why", "the candidate is mended")

        assert (again.exit_code, again.output) == (0, f"owed again: {sequence}\n")
        await eventually(lambda: fig.shadower.standing.dead == fig.shadower.standing.undelivered == 0, "delivered")
        assert len(set(candidate.keys)) == 1, "with the key that it always had"
        [line] = await fig.history()
        assert (line["route"], line["action"], line["why"]) == (
            ROUTE,
            "shadow deliveries-retry",
            "the candidate is mended",
        )
        assert (await fig.command("deliveries")).exit_code == 0


async def test_a_copy_behind_a_later_one_of_its_key_goes_again_only_when_that_is_said(
    tmp_path: Path, candidate: Service
) -> None:
    async with running_fig(tmp_path, candidate.port) as fig:
        sequence = await fig.dead("17")
        candidate.behave = lambda number: 201
        later = await fig.worker.write("17", b"later")
        await eventually(lambda: b"later" in candidate.bodies, "the later copy")
        await eventually(lambda: not fig.shadower.standing.undelivered, "the later copy recorded")

        refused = await fig.command("deliveries", "retry", str(sequence))
        assert refused.exit_code == 1
        assert f"write {sequence} would come after write {later} of the same key" in refused.stderr
        assert await fig.history() == []

        assert (await fig.command("deliveries", "retry", str(sequence), "--out-of-order")).exit_code == 0
        await eventually(lambda: not fig.shadower.standing.dead, "sent")


async def test_a_copy_that_is_dropped_never_arrives_frees_its_key_and_stays_told(
    tmp_path: Path, candidate: Service
) -> None:
    candidate_port = candidate.port
    await candidate.down()  # takes no connections: its copies are owed without end
    async with running_fig(tmp_path, candidate_port) as fig:
        first, second = await fig.worker.write("17", b"first"), await fig.worker.write("17", b"second")
        other = await fig.worker.write("18", b"other")
        assert [one["state"] for one in (await fig.listed("deliveries"))["deliveries"]] == ["owed"] * 3
        assert (await fig.command("deliveries", "drop", str(first))).exit_code == 2, "a reason is a must"

        async def drop() -> Result:
            """A copy that is being tried just now is not dropped."""
            while (done := await fig.command("deliveries", "drop", str(first), "--why", "a test order")).exit_code == 1:
                assert "is being sent just now" in done.stderr
            return done

        assert (await drop()).output == f"dropped: {first}\n"
        candidate.behave = lambda number: 201
        await candidate.up()

        await eventually(lambda: not fig.shadower.standing.undelivered, "the others delivered")
        assert sorted(candidate.bodies) == [b"other", b"second"]
        assert second > first and other > second
        assert fig.shadower.standing.declared == 1
        assert fig.shadower.standing.dead == 0
        [dropped] = (await fig.listed("deliveries"))["dropped"]
        assert (dropped["sequence"], dropped["why"]) == (first, "a test order")
        assert "1 dropped for good, the last one by " in (await fig.command("deliveries")).output
        assert [line["action"] for line in await fig.history()] == ["shadow deliveries-drop"]
        again = await fig.command("deliveries", "drop", str(first), "--why", "twice")
        assert (again.exit_code, again.stderr) == (1, f"fig: write {first} has no copy that is owed or dead\n")


async def test_a_gap_is_listed_and_settled_with_a_reason(tmp_path: Path, candidate: Service) -> None:
    async with running_fig(tmp_path, candidate.port) as fig:
        assert (await fig.command("gaps")).output == "no write went by unrecorded\n"
        identity = str(uuid.uuid4())
        fig.worker.send(Gap(identity, ROUTE, "17", "quota", "request-1", 1_700_000_000.0))
        await eventually(lambda: identity in fig.worker.gaps, "the gap recorded")
        listed = await fig.command("gaps")
        assert listed.exit_code == 4
        assert identity in listed.output

        assert (await fig.command("gaps", "settle", identity)).exit_code == 2
        assert (await fig.command("gaps", "settle", identity, "--why", "sent by hand")).exit_code == 0

        assert (await fig.command("gaps")).exit_code == 0
        assert [one["settled"] for one in await fig.listed("gaps")] == [True]
        assert (fig.shadower.standing.gaps, fig.shadower.standing.declared) == (0, 1)
        assert [line["why"] for line in await fig.history()] == ["sent by hand"]
        twice = await fig.command("gaps", "settle", identity, "--why", "again")
        assert (twice.exit_code, twice.stderr) == (1, f"fig: there is no gap '{identity}' that is not settled\n")


async def test_without_a_journal_there_is_nothing_to_list(tmp_path: Path) -> None:
    for command in ("deliveries", "gaps"):
        result = CliRunner().invoke(app, ["shadow", command, "--state", str(tmp_path)])
        assert result.exit_code == 0
        missing = CliRunner().invoke(app, ["shadow", command, "--state", str(tmp_path / "nowhere")])
        assert missing.exit_code == 2


async def test_beyond_its_quota_writes_are_denied_until_copies_have_arrived(tmp_path: Path, candidate: Service) -> None:
    candidate.hold = asyncio.Event()
    candidate.behave = lambda number: 201
    async with running_fig(tmp_path, candidate.port, quota=1024 * 1024) as fig:
        denied = None
        for number in range(1000):
            granted = await fig.worker.intend(str(number), b"x" * 20_000)
            if isinstance(granted, Denied):
                denied = granted
                break
            fig.worker.send(fig.worker.outcome(granted.sequence))
        assert denied is not None
        assert denied.reason == "quota"
        assert fig.shadower.standing.undelivered > 20, "what was taken is still owed"

        candidate.hold.set()

        async def granted_again() -> bool:  # what has arrived goes before its time, for there is no room to keep it
            return isinstance(await fig.worker.intend("again"), Granted)

        await fig.running.until(granted_again)
        await eventually(lambda: not fig.shadower.standing.undelivered, "all delivered")
