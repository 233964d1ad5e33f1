"""What the shadower makes of a disk that is full or forgets: it denies, counts, says so, and keeps what it was told."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from proxy.wire import Denied, Gap
from shadow.journal.journal import JournalError
from shadow.journal.writes import Standing
from tests.fakes.shadowing import ROUTE, Inside, Service, Worker, effective, eventually, shadowing


async def pages(fig: Inside, most: int) -> None:
    """How many pages the journal's file may have: beyond it SQLite says what it says on a full disk."""
    statement = f"PRAGMA max_page_count = {most}"
    await fig.shadower._journal._commits.submit(lambda db: db.execute(statement).fetchone())


async def test_a_full_disk_denies_intents_and_takes_gaps_once_there_is_room(tmp_path: Path, candidate: Service) -> None:
    async with shadowing(tmp_path, effective(candidate.port)) as fig, Worker(tmp_path) as worker:
        counts = fig.shadower.counts
        await pages(fig, 1)  # as many as it has
        denied = await worker.intend("17", b"x" * 50_000)
        assert isinstance(denied, Denied)
        assert denied.reason == "journal"
        for number in range(300):
            gap = Gap(f"{number:08}-a-gap-that-takes-room", ROUTE, "17", denied.reason, "request-1", 1.0)
            worker.send(gap)

        await eventually(lambda: counts.total("journal_errors", what="gap"), "a gap that is not taken")
        await eventually(lambda: counts.total("journal_failures", kind="full"), "counted as a full disk")
        assert len(worker.gaps) < 300
        await pages(fig, 1_000_000)

        await eventually(lambda: len(worker.gaps) == 300, "every gap recorded")
        assert fig.standing == Standing(gaps=300)
        assert not isinstance(await worker.intend("17", b"x" * 50_000), Denied)


async def test_a_page_that_is_lost_while_it_runs_ends_the_taking_of_writes(tmp_path: Path, candidate: Service) -> None:
    async with shadowing(tmp_path, effective(candidate.port)) as fig, Worker(tmp_path) as worker:
        await worker.write()
        await eventually(lambda: fig.standing == Standing(), "delivered")
        journal, commits = tmp_path / "journal.db", fig.shadower._journal._commits

        def lose(db: sqlite3.Connection) -> None:
            db.execute("PRAGMA shrink_memory").fetchone()  # so that it reads the disk again

        await _checkpointed(fig)
        with journal.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xa5" * (journal.stat().st_size - 4096))
        await commits.submit(lose)

        for _ in range(2):
            denied = await worker.intend("18")
            assert isinstance(denied, Denied)
            assert denied.reason in ("journal", "damaged")
        assert denied.reason == "damaged", "known from the first one on"

        await eventually(lambda: fig.shadower.counts.total("journal_failures", kind="damaged"), "counted")
        assert ("journal_damaged", (), 1.0) in fig.shadower._upkeep.gauges()


async def test_a_journal_that_fails_in_itself_ends_the_shadower_to_be_started_anew(
    tmp_path: Path, candidate: Service
) -> None:
    """It would refuse every write until somebody looks."""
    async with shadowing(tmp_path, effective(candidate.port), 600.0) as fig, Worker(tmp_path) as worker:
        sequence = await worker.write()
        await eventually(lambda: fig.standing == Standing(), "delivered")

        def fail(db: sqlite3.Connection) -> None:
            raise ValueError("not to be expected")

        fig.shadower._journal._commits._after = fail
        with pytest.raises(JournalError, match="thread has failed"):
            await fig.shadower._journal._commits.submit(lambda db: None)

        await eventually(lambda: fig.ended, "its end, though the drain lasts long")
        assert await fig.end() == 1
    async with shadowing(tmp_path, effective(candidate.port)) as fig, Worker(tmp_path) as worker:
        assert await worker.write() > sequence


async def _checkpointed(fig: Inside) -> None:
    """Everything in the file itself, and nothing in the WAL."""
    commits = fig.shadower._journal._commits

    def checkpoint(db: sqlite3.Connection) -> None:
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        db.execute("BEGIN IMMEDIATE")

    await commits.submit(checkpoint)
