"""A full disk, a failing one, a page that is not what was written, a quota: told apart, counted, never silent."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from rules.stages import Side
from shadow.journal.journal import DamagedJournalError, Journal, JournalError, QuotaError
from shadow.journal.schema import Trouble
from shadow.journal.writes import Original, State, Write
from shadow.pair import Answer
from shadow.sealing import Sealer

SEALER = Sealer(bytes(range(32)))


def write(key: str = "", body: bytes = b"{}") -> Write:
    original = Original("r", key, "/orders/17", "shop", [], body, "i", "u")
    return Write("checkout", 3, "POST", Side.LEGACY, True, 42, 1.5, original)


async def fill(journal: Journal, size: int = 2000, most: int = 10_000) -> tuple[int, JournalError]:
    """Record intents until one is not taken: how many were, and why that one was not."""
    for count in range(most):
        try:
            await journal.begin(write(body=b"x" * size))
        except JournalError as exc:
            return count, exc
    raise AssertionError("the journal took everything")


async def test_a_full_disk_is_said_to_be_one_and_passes_when_there_is_room(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal.db", SEALER)
    await journal._commits.submit(lambda db: db.execute("PRAGMA max_page_count = 200").fetchone())

    taken, problem = await fill(journal)

    assert taken > 10
    assert "disk is full" in str(problem)
    assert journal.failures == {Trouble.FULL: 1}
    assert not journal.is_damaged
    await journal._commits.submit(lambda db: db.execute("PRAGMA max_page_count = 100000").fetchone())
    assert await journal.begin(write()) > taken, "a number is never given twice"
    assert len(journal.reader.open_writes()) == taken + 1
    await journal.close()


async def test_a_page_that_is_not_what_was_written_is_noticed_and_ends_the_taking(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = Journal.open(path, SEALER)
    for number in range(300):
        await journal.begin(write(str(number)))
    await journal.close()
    journal = Journal.open(path, SEALER)  # read through, and whole
    size = path.stat().st_size
    with path.open("r+b") as file:  # every page but the first: the disk has lost its mind while fig runs
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))

    with pytest.raises(JournalError):
        await journal._commits.submit(lambda db: db.execute("PRAGMA shrink_memory").fetchone())  # read the disk again
        await journal.begin(write("17"))

    assert journal.failures.get(Trouble.DAMAGED)
    assert journal.is_damaged
    with pytest.raises(DamagedJournalError, match="restore it from a copy"):
        await journal.begin(write("18"))
    await journal.close()
    with pytest.raises(DamagedJournalError, match="does not start on a damaged journal"):
        Journal.open(path, SEALER)


async def test_beyond_its_quota_the_journal_takes_no_intents_but_every_outcome(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal.db", SEALER, quota=500_000)

    taken, problem = await fill(journal)

    assert isinstance(problem, QuotaError)
    assert 500_000 <= journal.used < 600_000
    assert journal.failures == {}, "nothing failed"
    for sequence in range(1, taken + 1):
        await journal.outcome(sequence, Answer(409), now=2.0)
    assert await journal.purge("checkout", before=3.0) == taken - 1
    assert journal.used < 100_000
    assert await journal.begin(write()) == taken + 1
    await journal.close()


async def test_what_the_file_holds_is_known_when_it_is_opened_again(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal.db", SEALER, quota=500_000)
    await fill(journal)
    await journal.close()

    again = Journal.open(tmp_path / "journal.db", SEALER, quota=500_000)

    with pytest.raises(QuotaError):
        await again.begin(write())
    await again.close()


async def test_what_is_purged_is_overwritten_in_the_file(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal.db", SEALER)
    sequence = await journal.begin(write())
    await journal.outcome(sequence, Answer(201, (), b"{}"), now=2.0)
    await journal.finish(sequence, State.DELIVERED, attempts=0, answer=Answer(201), reason="", now=2.0)
    await journal.compared([sequence])
    await journal.begin(write())
    with sqlite3.connect(f"file:{tmp_path / 'journal.db'}?mode=ro", uri=True) as db:
        sealed = db.execute("SELECT original FROM writes WHERE sequence = ?", (sequence,)).fetchone()[0]

    await journal.purge("checkout", before=3.0)
    await journal.close()

    assert sealed[:40] not in (tmp_path / "journal.db").read_bytes()
