"""What is done in one transaction stays wholly or not at all, whatever fails."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from shadow.atomic import atomically
from tests.fakes.refused_commits import commits_fail


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = sqlite3.connect(tmp_path / "some.db", isolation_level=None)
    opened.execute("CREATE TABLE things (name TEXT)")
    yield opened
    opened.close()


def names(db: sqlite3.Connection) -> list[str]:
    return [name for (name,) in db.execute("SELECT name FROM things")]


def test_what_is_done_stays(db: sqlite3.Connection) -> None:
    with atomically(db):
        db.execute("INSERT INTO things VALUES ('a')")
    assert names(db) == ["a"] and not db.in_transaction


def test_of_what_fails_nothing_stays(db: sqlite3.Connection) -> None:
    with pytest.raises(ValueError, match="half way"), atomically(db):
        db.execute("INSERT INTO things VALUES ('a')")
        raise ValueError("half way")
    assert names(db) == [] and not db.in_transaction


def test_a_commit_that_fails_leaves_no_transaction_open(db: sqlite3.Connection) -> None:
    with commits_fail(db), pytest.raises(sqlite3.DatabaseError, match="not authorized"), atomically(db):
        db.execute("INSERT INTO things VALUES ('a')")
    assert names(db) == [] and not db.in_transaction


def test_what_sqlite_has_rolled_back_by_itself_is_told_as_what_it_was(db: sqlite3.Connection) -> None:
    db.execute(
        "CREATE TRIGGER full AFTER INSERT ON things WHEN new.name = 'b' BEGIN SELECT RAISE(ROLLBACK, 'full'); END"
    )
    with pytest.raises(sqlite3.IntegrityError, match="full"), atomically(db):
        db.execute("INSERT INTO things VALUES ('a')")
        db.execute("INSERT INTO things VALUES ('b')")
    assert names(db) == [] and not db.in_transaction
