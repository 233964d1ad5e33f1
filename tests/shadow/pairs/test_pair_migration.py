"""pairs.db of the first released form is brought forward in place, in one transaction, and loses nothing."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from shadow.certifying.certificate import CertificateVerdict
from shadow.comparing.compare import judge
from shadow.pairs import tables as pair_tables
from shadow.pairs.chain_tables import Chained
from shadow.pairs.kept import encode, keep_pair
from shadow.pairs.reader import PairReader
from shadow.pairs.store import PairStore
from shadow.pairs.tables import VERSION, StoreError
from shadow.spec import CertificateTarget, Comparison
from tests.fakes import first_release
from tests.fakes.pairs import NOON, answer, pair

KEY = b"k" * 32


def tables(file: Path) -> dict[str, str]:
    with sqlite3.connect(file) as connection:
        found = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall())
    connection.close()
    return found


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file of version 1 with a window of 301 pairs, one of them kept, and what the journal said."""
    file = tmp_path / "pairs.db"
    one = judge(pair(answer({"n": 1}), answer({"n": 2}), 7), Comparison())
    record = encode(keep_pair(one.pair, one.outcome))
    with sqlite3.connect(file) as connection:
        connection.executescript(first_release.PAIRS)
        connection.execute(
            "INSERT INTO windows VALUES (1, 'items', 1, '0123456789abcdef', 'the beginning', 1.0, 301, 1, 0, 0, 2, ?)",
            (NOON,),
        )
        connection.execute("INSERT INTO ordinals VALUES (1, 8)")
        connection.execute("INSERT INTO places VALUES (1, '/n', 'value_changed', 1, 1, 1.0, 2.0)")
        connection.execute("INSERT INTO pairs VALUES (1, 'pair-7', 1, 1, ?, ?)", (NOON, record))
        connection.execute("INSERT INTO samples VALUES (1, '/n', 'value_changed', 1)")
        connection.execute("INSERT INTO unproven VALUES ('items', 1, 2, 3, 4, 5.0)")
    connection.close()
    return file


def test_what_was_counted_and_kept_is_there_after_it(old: Path) -> None:
    PairStore(old, KEY).close()
    with PairReader(old) as reader:
        (window,) = reader.windows("items")
        assert (window.pairs, window.differing, window.unsettled) == (301, 1, 2)
        (place,) = reader.places(window)
        assert [kept.pair.id for kept in reader.samples(window, place, 10)] == ["pair-7"]
        unproven = reader.unproven("items")
        assert (unproven.gaps, unproven.doubts, unproven.undelivered, unproven.dead) == (1, 2, 3, 0)
        assert reader.strata(window) == ()
        assert reader.chain(window) == Chained(0, None, 0)


def test_it_ends_up_as_a_new_file_begins(old: Path, tmp_path: Path) -> None:
    PairStore(old, KEY).close()
    PairStore(tmp_path / "new.db", KEY).close()
    assert tables(old) == tables(tmp_path / "new.db")


def test_opened_again_nothing_is_done_twice(old: Path) -> None:
    for _ in range(3):
        PairStore(old, KEY).close()
    with PairReader(old) as reader:
        assert reader.windows("items")[0].pairs == 301


def test_pairs_of_before_are_in_no_chain_and_a_new_window_begins_with_one(old: Path) -> None:
    store = PairStore(old, KEY)
    equal = judge(pair(answer({"n": 1}), answer({"n": 1}), 8), Comparison())
    store.add_many([equal])
    assert store.start_window("items", "a-b-c-d", "another form of pairs.db", 2.0)
    store.add_many([judge(pair(answer({"n": 1}), answer({"n": 1}), 9), Comparison())])
    store.close()
    with PairReader(old) as reader:
        later, former = reader.windows("items")
        assert (former.pairs, reader.chain(former).pairs) == (302, 0)
        assert (later.pairs, reader.chain(later).pairs, later.reason) == (1, 1, "another form of pairs.db")
        assert reader.certificate("items", CertificateTarget()).verdict is CertificateVerdict.FAULT


def test_a_step_that_fails_leaves_the_file_as_it_was(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tables(old)
    broken = ("", pair_tables._SECOND + "CREATE TABLE windows (id INTEGER);")
    monkeypatch.setattr(pair_tables, "_STEPS", broken)
    with pytest.raises(StoreError, match="windows already exists"):
        PairStore(old, KEY)
    monkeypatch.undo()
    assert tables(old) == before
    PairStore(old, KEY).close()


def test_a_file_that_was_written_between_two_releases_is_told_as_that(tmp_path: Path) -> None:
    path = tmp_path / "pairs.db"
    PairStore(path, KEY).close()
    with sqlite3.connect(path) as db:
        db.execute("ALTER TABLE strata DROP COLUMN attempts")
    with pytest.raises(StoreError, match=r"lacks strata\.attempts.*between two releases.*move it away"):
        PairStore(path, KEY)


def test_whoever_only_reads_is_told_who_brings_it_forward(old: Path) -> None:
    with pytest.raises(StoreError, match=f"version 1, this fig reads version {VERSION}; start `fig serve`"):
        PairReader(old)
