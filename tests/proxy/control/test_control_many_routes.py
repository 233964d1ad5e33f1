"""Of very many routes, status and metrics tell of those that there is something to say of; of few, of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from canary.rollout import Rollout
from proxy.control.book import Book
from proxy.control.desk import Desk, UnknownRouteError
from proxy.control.peers import Acknowledgement
from proxy.control.records import Change, Entry, Standing
from proxy.control.status import MANY, shown
from proxy.control.store import SqlStore
from proxy.control.traffic import Traffic
from proxy.wire import SideTally, Tally
from rules.effective import Position
from rules.stages import MILLION, Stage
from tests.fakes.many_routes import table


def book_of(count: int, **positions: Position) -> Book:
    effective = table(count).moved(1, positions)
    standing = {name: Standing(name, Rollout(Stage.LIVE, MILLION, 1.0), "live") for name in effective.routes}
    return Book(effective, standing, None)


def traffic_on(*routes: str) -> Traffic:
    traffic = Traffic(lambda _: True, lambda: 1.0)
    sides = [SideTally(route, "candidate", "shop", {"GET 2xx": 1}, {}, 0.1, b"", b"") for route in routes]
    traffic.add("worker 0", Tally(sides=sides))
    return traffic


def test_of_few_routes_each_is_shown() -> None:
    assert len(shown(book_of(50), traffic_on())) == 50


def test_of_many_routes_those_with_traffic_or_elsewhere_than_the_file_says_are_shown_in_file_order() -> None:
    book = book_of(MANY + 1, area9=Position(Stage.SHADOW, 0))

    assert shown(book, traffic_on("area700", "area3")) == ["area3", "area9", "area700"]


def test_of_many_routes_no_more_are_shown_than_of_few() -> None:
    book = book_of(MANY + 500)

    assert len(shown(book, traffic_on(*book.routes))) == MANY


def test_a_mistyped_name_among_many_is_answered_with_a_suggestion_and_not_with_all_of_them(tmp_path: Path) -> None:
    async def everyone(generation: int) -> Acknowledgement:
        return Acknowledgement(generation, 1)

    store = SqlStore.at(tmp_path / "state.db")
    desk = Desk(tmp_path, tmp_path, store, everyone, lambda _: None, book_of(MANY), None)  # type: ignore[arg-type]

    with pytest.raises(
        UnknownRouteError, match=r"no route 'area99x'; did you mean 'area99\d?'.*and 950 more"
    ) as caught:
        desk.route("area99x")

    assert len(str(caught.value)) < 1000
    store.close()


def test_a_first_load_of_many_routes_is_recorded_whole_and_in_order(tmp_path: Path) -> None:
    store = SqlStore.at(tmp_path / "state.db")
    position = Position(Stage.LIVE, MILLION)
    book = book_of(2500)
    changes = [
        Change(standing, Entry(1.0, name, "file", "enter", None, position, "the file", 1))
        for name, standing in book.standings.items()
    ]

    numbers = store.record(1, changes)

    assert numbers == list(range(1, 2501))
    assert store.load().standings == book.standings
    assert [entry.route for entry in store.history(limit=2)] == ["area2499", "area2498"]
    store.close()
