"""The store on a real SQLite file."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from canary.rollout import Rollout
from proxy.control.records import Change, Entry, Kept, Standing
from proxy.control.store import SqlStore, StoreError
from rules.effective import Position
from rules.stages import Stage


def change(route: str, share: int = 10_000, **more: object) -> Change:
    rollout = Rollout(
        *(Stage.CANARY, share, 3.5, True, 3.0, "worse", "abc"),
        pinned=True,
        approved=50_000,
        watched=True,
        resumed=3.25,
        proven=3.375,
    )
    entry = Entry(3.5, route, "pilot", "promote", None, Position(Stage.CANARY, share), "why", 2, dict(more))
    return Change(Standing(route, rollout, "canary"), entry)


def test_what_was_recorded_is_there_after_a_restart(tmp_path: Path) -> None:
    store = SqlStore.at(tmp_path / "state.db")
    recorded = change("cart", alpha=0.05)
    store.record(2, [recorded])
    store.close()

    again = SqlStore.at(tmp_path / "state.db")

    assert again.load().generation == 2
    assert again.load().standings == {"cart": recorded.standing}
    [entry] = again.history()
    assert (entry.after, entry.evidence, entry.number) == (recorded.entry.after, {"alpha": 0.05}, 1)
    again.close()


def test_a_database_of_an_earlier_fig_gets_what_it_lacks_and_keeps_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = SqlStore.at(path)
    store.record(2, [change("cart")])
    store.close()
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        for column in ("pinned", "approved", "watched", "resumed", "proven"):
            connection.execute(sa.text(f"alter table standings drop column {column}"))
    engine.dispose()

    again = SqlStore.at(path)

    rollout = again.load().standings["cart"].rollout
    assert (rollout.frozen, rollout.subject) == (True, "abc")
    assert (rollout.pinned, rollout.approved, rollout.watched, rollout.resumed) == (False, 0, False, 0.0)
    assert rollout.proven is None
    again.close()


def test_a_standing_and_its_line_are_recorded_both_or_neither(tmp_path: Path) -> None:
    store = SqlStore.at(tmp_path / "state.db")
    store.record(1, [change("cart")])
    broken = Change(change("search").standing, Entry(1.0, "search", "file", "enter", None, None, None, 2))  # type: ignore[arg-type]

    with pytest.raises(sa.exc.IntegrityError):
        store.record(2, [change("cart", share=999_999), broken])

    assert store.load().generation == 1
    assert store.load().standings["cart"].position.share == 10_000
    assert len(store.history()) == 1
    store.close()


def test_an_error_tells_nothing_of_what_was_to_be_written(tmp_path: Path) -> None:
    store = SqlStore.at(tmp_path / "state.db")
    broken = Entry(1.0, "search", "ada", "file", None, None, None, 2, {"reason": "hunter2"})  # type: ignore[arg-type]

    with pytest.raises(StoreError) as failed:
        store.note(broken)

    assert "hunter2" not in str(failed.value)
    store.close()


def test_the_history_cannot_be_rewritten(tmp_path: Path) -> None:
    store = SqlStore.at(tmp_path / "state.db")
    store.record(1, [change("cart")])
    store.close()
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'state.db'}")

    for statement in ("update history set why = 'nobody saw that'", "delete from history"):
        with engine.begin() as connection, pytest.raises(sa.exc.DatabaseError, match="append-only"):
            connection.execute(sa.text(statement))
    engine.dispose()


def test_the_history_of_a_route_is_its_own_newest_first(tmp_path: Path) -> None:
    store = SqlStore.at(tmp_path / "state.db")
    numbers = store.record(1, [change("cart"), change("search"), change("cart", share=20_000)])

    assert numbers == [1, 2, 3]
    assert [entry.number for entry in store.history("cart")] == [3, 1]
    assert [entry.number for entry in store.history(limit=1)] == [3]
    store.close()


def test_what_somebody_did_lately_is_found_however_long_the_history_is(tmp_path: Path) -> None:
    store = SqlStore.at(tmp_path / "state.db")
    store.record(1, [change("cart")])
    for number in range(500):
        store.note(Entry(4.0, "cart", "pilot", "probe", None, None, str(number), 1))
    store.note(Entry(4.0, "cart", "ada", "promote", None, None, "", 1))

    assert store.times_of("pilot", "promote", 3.0) == [3.5]
    assert store.times_of("pilot", "promote", 3.5) == []
    store.close()


def test_evidence_is_replaced_route_by_route(tmp_path: Path) -> None:
    store = SqlStore.at(tmp_path / "state.db")
    store.keep({"cart": Kept("cart", {-200: 3}, b"\x00snapshot" * 1000), "search": Kept("search", {})})

    assert store.evidence()["cart"].snapshot == b"\x00snapshot" * 1000
    store.keep({"cart": Kept("cart", {-200: 4, -100: 1}, b"\x01")})
    assert store.evidence() == {"cart": Kept("cart", {-200: 4, -100: 1}, b"\x01"), "search": Kept("search", {})}

    store.keep({"search": None})
    assert list(store.evidence()) == ["cart"]
    store.close()


def test_each_shelf_has_its_own_and_survives_a_restart(tmp_path: Path) -> None:
    store = SqlStore.at(tmp_path / "state.db")
    store.courses.keep({"cart": b"\x00course" * 1000})
    store.watches.keep({"cart": b"watch", "search": b"other"})
    store.budgets.keep({"cart": b"ledger"})
    store.watches.keep({"cart": b"later", "search": None, "nobody": None})
    store.close()

    again = SqlStore.at(tmp_path / "state.db")

    assert again.courses.all() == {"cart": b"\x00course" * 1000}
    assert again.watches.all() == {"cart": b"later"}
    assert again.budgets.all() == {"cart": b"ledger"}
    again.close()


def test_a_shelf_is_changed_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    store = SqlStore.at(tmp_path / "state.db")
    store.courses.keep({"cart": b"one"})

    with pytest.raises(StoreError):
        store.courses.keep({"cart": None, None: b"two"})  # type: ignore[dict-item]

    assert store.courses.all() == {"cart": b"one"}
    store.close()


def test_what_an_earlier_fig_did_not_pack_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = SqlStore.at(path)
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.execute(sa.text("insert into budgets values ('cart', :ledger)"), {"ledger": b"\x95ledger"})
    engine.dispose()

    assert store.budgets.all() == {"cart": b"\x95ledger"}
    store.close()
