"""A journal that an earlier fig wrote: brought forward in place, wholly or not at all, and read meanwhile."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from rules.stages import Side
from shadow.journal import schema as journal_schema
from shadow.journal import settling, tables
from shadow.journal.journal import Journal, JournalError
from shadow.journal.reader import read_standing
from shadow.journal.schema import SCHEMA_VERSION
from shadow.journal.writes import Original, Standing, State
from shadow.pair import Answer
from shadow.sealing import Sealer
from tests.fakes import first_release

SEALER = Sealer(bytes(range(32)))
ORIGINAL = Original("request-1", "17", "/orders/17", "shop", [(b"accept", b"*/*")], b"{}", "idem-1", "u")


def released(path: Path) -> None:
    """A journal of schema 1 with an owed, a delivered, a dead and a doubtful write, and a gap."""
    db = sqlite3.connect(path)
    db.executescript(first_release.JOURNAL)

    def insert(sequence: int, state: str, *, turn: int | None, original: bool, ended: float | None) -> None:
        sealed = SEALER.seal(msgspec.msgpack.encode(ORIGINAL), f"{sequence}:original") if original else None
        db.execute(
            "INSERT INTO writes (sequence, turn, route, generation, key, method, side, copy_to, worker, fingerprint, "
            "arrival, original, state, status, ended) "
            "VALUES (?, ?, 'checkout', 3, x'00112233', 'POST', 'legacy', 'candidate', 42, x'ff', 1.5, ?, ?, 201, ?)",
            (sequence, turn, sealed, state, ended),
        )

    insert(1, "delivered", turn=1, original=False, ended=2.0)
    insert(2, "dead", turn=2, original=True, ended=3.0)
    insert(3, "in_doubt", turn=None, original=True, ended=4.0)
    insert(4, "answered", turn=5, original=True, ended=None)
    db.execute("INSERT INTO gaps VALUES ('0d9f', 'checkout', NULL, 'no link', 1.0, 2.0)")
    db.commit()
    db.close()


OWED = Standing(undelivered=1, overdue=1, dead=1, in_doubt=1, gaps=1)


async def test_what_a_former_release_owed_is_owed_after_it_was_brought_forward(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    released(path)
    assert read_standing(path) == {"checkout": OWED}, "read before a shadower of this release has had it"

    journal = Journal.open(path, SEALER)

    assert read_standing(path) == {"checkout": OWED}
    [copy] = await journal.owed("checkout", Side.CANDIDATE, 0, 10)
    assert (copy.sequence, copy.turn) == (4, 5)
    assert journal.reader.original(4) == ("POST", ORIGINAL)
    await journal.finish(4, State.DELIVERED, attempts=0, answer=Answer(201), reason="", now=5.0)
    assert [one.sequence for one in journal.reader.unarrived(None, 10)] == [2, 3]
    await journal.close()
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_journal_brought_forward_is_laid_out_as_a_new_one(tmp_path: Path) -> None:
    released(tmp_path / "former.db")
    await Journal.open(tmp_path / "former.db", SEALER).close()
    await Journal.open(tmp_path / "new.db", SEALER).close()

    def layout(name: str) -> Sequence[object]:
        with sqlite3.connect(tmp_path / name) as db:
            rows = db.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchall()
            return [(kind, name, " ".join((sql or "").split())) for kind, name, sql in rows]

    assert layout("former.db") == layout("new.db")


async def test_a_migration_that_fails_half_way_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.db"
    released(path)
    broken = (*journal_schema.TO_2, "CREATE TABLE writes (it INTEGER)")
    monkeypatch.setattr(journal_schema, "SCHEMAS", (journal_schema.SCHEMA_1, broken))

    with pytest.raises(JournalError, match="could not be brought to schema 2 and is as it was"):
        Journal.open(path, SEALER)

    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
        assert "settled" not in db.execute("SELECT sql FROM sqlite_schema WHERE name = 'writes'").fetchone()[0]
    monkeypatch.undo()
    await Journal.open(path, SEALER).close()
    assert read_standing(path) == {"checkout": OWED}


async def test_a_journal_that_was_written_between_two_releases_is_told_as_that(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await Journal.open(path, SEALER).close()
    with sqlite3.connect(path) as db:
        db.execute("ALTER TABLE writes DROP COLUMN terms")
        db.execute("DROP TABLE resolved")

    with pytest.raises(JournalError, match=r"resolved\.route, resolved\.writes, writes\.terms.*between two releases"):
        Journal.open(path, SEALER)


async def test_a_journal_of_a_later_fig_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await Journal.open(path, SEALER).close()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")

    with pytest.raises(JournalError, match="written by a later fig"):
        Journal.open(path, SEALER)


async def test_what_is_asked_at_every_start_and_every_second_reads_no_row_of_a_long_backlog(tmp_path: Path) -> None:
    """A scan of 1.8 million rows takes minutes, and what SQLite makes of a query is easily spoilt by another index."""
    path = tmp_path / "journal.db"
    journal = Journal.open(path, SEALER)
    asked: list[str] = []
    with sqlite3.connect(path) as db:
        db.set_trace_callback(asked.append)
        tables.open_writes(db)
        tables.standing(db, 1.0)
        tables.owed_lanes(db)
        tables.owed_page(db, "checkout", Side.CANDIDATE, 1, 10)
        tables.ended_routes(db)
        tables.last_numbers(db)
        tables.doubt_interrupted(db, 1.0)
        tables.purge(db, "checkout", 1.0, 10)
        settling.unarrived(db, "checkout", 10)
        db.set_trace_callback(None)
        for statement in asked:
            if "writes" in statement:
                plans = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}")]
                assert not [plan for plan in plans if plan.startswith("SCAN writes") and "INDEX" not in plan], statement
    assert len([statement for statement in asked if "writes" in statement]) >= 10
    await journal.close()
