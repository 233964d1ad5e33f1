"""The shadower's small parts by themselves: what is quiet, what is counted, what the table says, who may be pressed."""

from __future__ import annotations

from pathlib import Path

from proxy.shadower.counts import Counts
from proxy.shadower.quiet import Quiet
from proxy.shadower.services import PER_SERVICE, Pressure
from proxy.shadower.tables import GENERATIONS, Tables
from proxy.wire import Record, Tally
from rules.stages import Side
from shadow.retry import Policy
from shadow.writes import Standing
from tests.fakes.shadowing import ROUTE, effective


def test_a_route_is_quiet_for_reads_that_began_after_its_last_write_reached_both_sides() -> None:
    quiet = Quiet()
    assert quiet.covers(ROUTE, started=1.0)

    quiet.enter(ROUTE)
    quiet.enter(ROUTE)
    quiet.leave(ROUTE, now=5.0)
    assert not quiet.covers(ROUTE, started=9.0)
    quiet.leave(ROUTE, now=6.0)

    assert not quiet.covers(ROUTE, started=5.5)
    assert quiet.covers(ROUTE, started=6.5)
    assert quiet.covers("another", started=5.5)


def test_counts_that_nobody_took_are_kept_and_added_to() -> None:
    counts = Counts()
    sent: list[Record] = []
    counts.add("deliveries", route=ROUTE, result="delivered")
    counts.flush(lambda record: False, {})
    counts.add("deliveries", route=ROUTE, result="delivered")

    def take(record: Record) -> bool:
        sent.append(record)
        return True

    counts.flush(take, {ROUTE: Standing(in_doubt=2)})
    counts.flush(take, {})

    (tally,) = sent
    assert isinstance(tally, Tally)
    assert tally.counts == [("deliveries", (("route", ROUTE), ("result", "delivered")), 2.0)]
    assert ("journal_in_doubt", (("route", ROUTE),), 2.0) in tally.gauges


def loaded(folder: Path, *stages: str) -> Tables:
    """Tables after loading one generation per stage."""
    tables = Tables(folder / "effective.json")
    for number, stage in enumerate(stages, start=1):
        (folder / "effective.json").write_bytes(effective(9001, generation=number, stage=stage).encode())
        tables.load()
    return tables


def test_the_stage_at_the_time_of_the_decision_says_whether_a_copy_is_owed(tmp_path: Path) -> None:
    tables = loaded(tmp_path, "legacy", "shadow", "canary", "live", "retired")

    assert [tables.copied(ROUTE, generation) for generation in (1, 2, 3, 4, 5)] == [False, True, True, True, False]


def test_where_the_stage_is_not_known_a_copy_is_owed(tmp_path: Path) -> None:
    tables = loaded(tmp_path, *["legacy"] * (GENERATIONS + 1))

    assert tables.copied(ROUTE, 1)
    assert not tables.copied(ROUTE, 2)
    assert tables.copied(ROUTE, 1000)


def test_before_the_first_table_nothing_is_known_and_nothing_breaks(tmp_path: Path) -> None:
    tables = Tables(tmp_path / "effective.json")

    assert tables.service(ROUTE, Side.CANDIDATE) is None
    assert tables.copied(ROUTE, 1)
    assert tables.writes(ROUTE).settle == 2.0
    assert tables.routes == ()


def test_each_side_of_a_route_has_its_service(tmp_path: Path) -> None:
    tables = loaded(tmp_path, "shadow")

    found = [tables.service(ROUTE, side) for side in Side]

    assert [one[0] for one in found if one] == ["legacy", "new"]
    assert tables.service("another", Side.LEGACY) is None


def test_a_service_that_takes_no_connections_is_tried_by_one_copy_at_a_time() -> None:
    pressure = Pressure()
    assert pressure.room(now=0.0) == PER_SERVICE

    pressure.refused(10.0, Policy(base=1.0, probe=1.0), lambda: 0.5)
    assert pressure.room(now=10.2) == 0
    assert pressure.room(now=11.0) == 1
    pressure.busy = 1
    assert pressure.room(now=11.0) == 0
    pressure.connected()

    assert pressure.room(now=11.0) == PER_SERVICE - 1
