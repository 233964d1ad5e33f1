"""What is recorded of many writes in one transaction is what would be recorded of each: whatever their number."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from rules.stages import Side
from shadow.journal import checkpoints
from shadow.journal.checkpoints import Checkpoints
from shadow.journal.commits import Commits
from shadow.journal.journal import Journal, JournalError
from shadow.journal.schema import connect, connect_to_checkpoint
from shadow.journal.writes import Original, Recorded, State, Write
from shadow.pair import Answer
from shadow.sealing import Sealer

SEALER = Sealer(bytes(range(32)))
MANY = 64 + 16 + 4 + 1 + 1
"""Writes for which every number of rows in one statement is used."""


def write(number: int, *, copied: bool = True) -> Write:
    original = Original(f"request-{number}", f"key-{number}", f"/orders/{number}", "shop", [], b"{}", "i", "u")
    return Write("checkout", 3, "POST", Side.LEGACY, copied, 42, 1.5, original)


async def test_many_writes_at_once_go_their_way_as_each_would(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal.db", SEALER)
    answers = [Answer((201, 422, 0)[number % 3], (), b"%d" % number, failure="reset") for number in range(MANY)]

    sequences = await asyncio.gather(*(journal.begin(write(number)) for number in range(MANY)))
    recorded = await asyncio.gather(
        *(journal.outcome(sequence, answer, 2.0) for sequence, answer in zip(sequences, answers, strict=True))
    )
    owed = [one.sequence for one in recorded if one.copy is not None]
    await asyncio.gather(*map(journal.begin_attempt, owed))
    await asyncio.gather(
        *(
            journal.finish(each, State.DELIVERED, attempts=each, answer=Answer(200, (), b"copy"), reason="", now=3.0)
            for each in owed
        )
    )

    assert sequences == list(range(1, MANY + 1))
    assert [one.state for one in recorded] == [
        (State.ANSWERED, State.VOID, State.IN_DOUBT)[number % 3] for number in range(MANY)
    ]
    for each in owed:
        finished = journal.reader.finished(each)
        assert finished is not None
        assert finished.original.target == f"/orders/{each - 1}"
        assert (finished.answer, finished.copy_answer.body) == (answers[each - 1], b"copy")
        assert finished.attempts == each
    await journal.close()


@pytest.mark.parametrize("copied", [True, False])
@pytest.mark.parametrize(
    "answer", [Answer(201), Answer(302), Answer(404), Answer(0, failure="connect"), Answer(0, failure="reset")]
)
async def test_an_outcome_is_judged_alike_whether_its_intent_is_remembered_or_read(
    tmp_path: Path, answer: Answer, copied: bool
) -> None:
    path = tmp_path / "journal.db"
    journal = Journal.open(path, SEALER)
    first, second = await journal.begin(write(1, copied=copied)), await journal.begin(write(1, copied=copied))
    remembered = await journal.outcome(first, answer, 2.0)
    await journal.close()
    successor = Journal.open(path, SEALER)

    read = await successor.outcome(second, answer, 2.0)

    await successor.close()
    assert (remembered.state, remembered.changed) == (read.state, read.changed)
    assert (remembered.copy is None) == (read.copy is None)
    with sqlite3.connect(path) as db:
        rows = db.execute(
            "SELECT state, reason, status, key, original IS NULL, answer IS NULL, turn IS NULL, ended FROM writes "
            "ORDER BY sequence"
        ).fetchall()
    assert rows[0] == rows[1]


async def test_an_outcome_that_comes_beside_a_doubt_is_judged_after_it(tmp_path: Path) -> None:
    """The worker's link broke, and its next one brings the outcome before the doubt is durable."""
    journal = Journal.open(tmp_path / "journal.db", SEALER)
    sequence = await journal.begin(write(1))

    _, recorded = await asyncio.gather(
        journal.doubt([sequence], "worker lost", 2.0), journal.outcome(sequence, Answer(201), 2.0)
    )

    assert recorded == Recorded(sequence, State.ANSWERED, True, recorded.copy)
    assert recorded.copy is not None
    await journal.close()


async def test_an_outcome_that_was_not_recorded_is_recorded_when_it_is_told_again(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal.db", SEALER)
    sequence = await journal.begin(write(1))
    pages = await journal._commits.submit(lambda db: db.execute("PRAGMA max_page_count = 1").fetchone()[0])

    with pytest.raises(JournalError, match="full"):
        await journal.outcome(sequence, Answer(201, (), b"x" * 100_000), 2.0)
    await journal._commits.submit(lambda db: db.execute(f"PRAGMA max_page_count = {pages + 1000}").fetchone())

    assert (await journal.outcome(sequence, Answer(201, (), b"x" * 100_000), 2.0)).copy is not None
    await journal.close()


async def test_a_thread_that_fails_is_waited_for_by_nobody(tmp_path: Path) -> None:
    Journal.open(tmp_path / "journal.db", SEALER)

    def fail(db: sqlite3.Connection) -> None:
        raise ValueError("not to be expected")

    own = Checkpoints(connect_to_checkpoint(tmp_path / "journal.db"))
    connection = connect(tmp_path / "journal.db")
    commits = Commits(connection, asyncio.get_running_loop(), fail, own)

    with pytest.raises(JournalError, match="thread has failed"):
        await commits.submit(lambda db: 1)
    with pytest.raises(JournalError, match="closed"):
        await commits.submit(lambda db: 2)
    await commits.close()
    assert not own._thread.is_alive()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


async def test_the_wal_is_begun_anew_however_long_nobody_rests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "EVERY", 20)
    monkeypatch.setattr(checkpoints, "LONGEST", 50)
    journal = Journal.open(tmp_path / "journal.db", SEALER)

    longest = 0
    for number in range(250):
        await journal.begin(write(number))
        longest = max(longest, (tmp_path / "journal.db-wal").stat().st_size)

    assert longest < 400 * 4096, "two hundred and fifty transactions of several pages each went through it"
    await journal.close()


def test_a_checkpoint_that_fails_is_counted(tmp_path: Path) -> None:
    connect(tmp_path / "journal.db").close()
    connection = connect_to_checkpoint(tmp_path / "journal.db")
    connection.close()  # as good a failure as any
    checkpoints_of_it = Checkpoints(connection)

    checkpoints_of_it._look()

    assert sum(checkpoints_of_it.failures.values()) == 1
    checkpoints_of_it.close()
