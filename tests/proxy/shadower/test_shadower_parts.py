"""The shadower's small parts by themselves: what is quiet, what is counted, what the table says, who may be pressed."""

from __future__ import annotations

import asyncio
import decimal
import sqlite3
import weakref
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxy.following import read_now
from proxy.publication import publish
from proxy.shadower import mirrors as mirroring
from proxy.shadower import pairing as pairing_module
from proxy.shadower.counts import Counts
from proxy.shadower.deliveries import Deliveries
from proxy.shadower.mirrors import Mirrors
from proxy.shadower.pairing import Pairing
from proxy.shadower.questions import Questions
from proxy.shadower.quiet import Quiet
from proxy.shadower.renaming import Renaming
from proxy.shadower.services import OPENS_AFTER, PER_SERVICE, UNDER_WAY, Place, Pressure
from proxy.shadower.tables import GENERATIONS, MANY, Tables
from proxy.wire import Mirror, Record, Tally
from rules.document import Force, Route, Rules
from rules.effective import Effective, Position
from rules.service import Service
from rules.stages import Side, Stage
from shadow.certifying.strata import StratumKind
from shadow.comparing.compare import Judged, judge
from shadow.delivery.adapted import Adapted
from shadow.delivery.backlog import Lane
from shadow.delivery.deliver import CopyRequest, Sender
from shadow.delivery.retry import Answered, Attempt, Policy
from shadow.journal.doubts import Doubts
from shadow.journal.journal import Journal
from shadow.journal.writes import Copy, Standing
from shadow.pair import Pair
from shadow.redaction.redact import Redactor
from shadow.sealing import Sealer
from shadow.spec import Comparison
from tests.fakes import many_routes
from tests.fakes.pairs import answer, pair
from tests.fakes.shadowing import ROUTE, effective


def test_a_route_is_quiet_for_reads_that_began_after_its_last_write_reached_both_sides() -> None:
    quiet = Quiet()
    assert quiet.covers(ROUTE, started=1.0, now=2.0)

    quiet.enter(ROUTE)
    quiet.enter(ROUTE)
    quiet.leave(ROUTE, now=5.0)
    assert not quiet.covers(ROUTE, started=9.0, now=9.0)
    quiet.leave(ROUTE, now=6.0)

    assert not quiet.covers(ROUTE, started=5.5, now=7.0)
    assert quiet.covers(ROUTE, started=6.5, now=7.0)
    assert quiet.covers("another", started=5.5, now=7.0)


def test_a_clock_that_is_set_back_does_not_unsettle_reads_until_it_has_caught_up() -> None:
    quiet = Quiet()
    quiet.enter(ROUTE)
    quiet.leave(ROUTE, now=7200.0)

    assert not quiet.covers(ROUTE, started=3600.0, now=3601.0), "nobody knows whether it began before the write ended"

    assert quiet.covers(ROUTE, started=3602.0, now=3603.0)


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
    tables = Tables()
    for number, stage in enumerate(stages, start=1):
        load(folder, tables, effective(9001, generation=number, stage=stage))
    return tables


def load(folder: Path, tables: Tables, table: Effective) -> None:
    """What control publishes, read and in force."""
    publish(folder, table)
    tables.stand(table.pointer, read_now(folder, tables, table.pointer))


def test_the_stage_at_the_time_of_the_decision_says_whether_a_copy_is_owed(tmp_path: Path) -> None:
    tables = loaded(tmp_path, "legacy", "shadow", "canary", "live", "retired")

    assert [tables.copied(ROUTE, generation) for generation in (1, 2, 3, 4, 5)] == [False, True, True, True, False]


def test_where_the_stage_is_not_known_a_copy_is_owed(tmp_path: Path) -> None:
    tables = loaded(tmp_path, *["legacy"] * (GENERATIONS + 1))

    assert tables.copied(ROUTE, 1)
    assert not tables.copied(ROUTE, 2)
    assert tables.copied(ROUTE, 1000)


def test_before_the_first_table_nothing_is_known_and_nothing_breaks(tmp_path: Path) -> None:
    tables = Tables()

    assert tables.service(ROUTE, Side.CANDIDATE) is None
    assert tables.copied(ROUTE, 1)
    assert tables.writes(ROUTE).settle == 2.0
    assert tables.routes == ()


def test_each_side_of_a_route_has_its_service(tmp_path: Path) -> None:
    tables = loaded(tmp_path, "shadow")

    found = [tables.service(ROUTE, side) for side in Side]

    assert [one[0] for one in found if one] == ["legacy", "shop"]
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


def test_a_service_that_fails_several_copies_in_a_row_is_tried_by_one_at_a_time_until_one_comes_through() -> None:
    pressure, policy = Pressure(), Policy(base=1.0, cap=4.0)
    for number in range(OPENS_AFTER - 1):
        pressure.fails(number, 10.0, policy, lambda: 0.5)
    assert pressure.room(now=10.0) == PER_SERVICE

    pressure.fails(99, 10.0, policy, lambda: 0.5)
    assert pressure.is_open
    assert pressure.room(now=10.4) == 0
    pressure.connected()
    assert pressure.room(now=10.4) == 0, "a connection alone says nothing"
    assert pressure.room(now=10.5) == 1
    for number in range(20):
        pressure.fails(number, 20.0, policy, lambda: 0.5)
    assert pressure.room(now=21.9) == 0
    assert pressure.room(now=22.0) == 1, "never left alone for longer than the policy's cap"
    pressure.answered()

    assert pressure.room(now=20.0) == PER_SERVICE


def test_a_service_that_has_answered_gets_more_while_the_journal_is_slow_and_not_without_end() -> None:
    pressure = Pressure()
    places = [Place(pressure) for _ in range(PER_SERVICE)]
    assert pressure.room(now=1.0) == 0

    for place in places:
        place.answered()
        place.answered()  # said twice is once

    assert pressure.room(now=1.0) == PER_SERVICE
    places += [Place(pressure) for _ in range(UNDER_WAY - PER_SERVICE)]
    assert pressure.room(now=1.0) == 0
    for place in places:
        place.leave()
    assert (pressure.busy, pressure.recording) == (0, 0)


def test_it_is_told_why_copies_are_held_back() -> None:
    pressure = Pressure()
    assert pressure.held_back == ""
    pressure.refused(1.0, Policy(), lambda: 0.5)
    assert pressure.held_back == "connections"
    pressure.connected()
    for number in range(OPENS_AFTER):
        pressure.fails(number, 1.0, Policy(), lambda: 0.5)
    assert pressure.held_back == "failing"


def test_one_copy_that_a_service_cannot_digest_says_nothing_about_the_service() -> None:
    pressure = Pressure()
    for _ in range(100):
        pressure.fails(7, 10.0, Policy(), lambda: 0.5)

    assert not pressure.is_open


def test_the_header_that_forces_a_side_is_hidden_in_what_is_kept_and_ends_no_window(tmp_path: Path) -> None:
    table = effective(9001)
    force = Force.model_validate({"header": "X-Force-Side", "token": "a-token-of-sixteen"})
    tables = Tables()
    load(tmp_path, tables, table)
    before = tables.window_digest(ROUTE)
    load(tmp_path, tables, replace(table, rules=table.rules.model_copy(update={"force": force})))
    asked = pair(answer({"a": 1}), answer({"a": 2}), request_headers=(("x-force-side", "candidate:the-secret-token"),))

    comparison = tables.judging(ROUTE)
    assert comparison is not None
    judged = judge(asked, comparison)
    kept, _ = Redactor(b"k" * 32).pair(judged.pair, judged.outcome.differences, judged.comparison.redact)

    assert "the-secret-token" not in repr(kept)
    assert tables.window_digest(ROUTE) == before
    assert all(b"a-token-of-sixteen" not in path.read_bytes() for path in tmp_path.iterdir())


def items(folder: Path, **route: Any) -> Tables:
    """The table has the route `items`, which `pair` is of."""
    rules = {
        "version": 1,
        "services": {name: {"url": "http://127.0.0.1:9"} for name in ("legacy", "shop")},
        "legacy": "legacy",
        "routes": [{"name": "items", "match": {"path": "/items"}, **(route or {"candidate": "shop"})}],
    }
    tables = Tables()
    load(folder, tables, Effective(generation=1, rules=Rules.model_validate(rules)))
    return tables


class Kept:
    """A store that notes the pairs it is given."""

    def __init__(self) -> None:
        self.pairs: list[str] = []
        self.judged: list[Judged] = []

    def add_many(self, judged: Sequence[Judged]) -> None:
        self.pairs += [one.pair.id for one in judged]
        self.judged += judged


@pytest.mark.parametrize("route", [{"respond": {"status": 410}}, {"name": "others", "candidate": "shop"}])
async def test_nothing_is_kept_of_a_route_whose_comparison_left_the_rules(
    tmp_path: Path, route: dict[str, Any]
) -> None:
    """What its comparison would have hidden would stand in the store for everyone to read."""
    sealer, counts, kept = Sealer(b"k" * 32), Counts(), Kept()
    journal = Journal.open(tmp_path / "journal.db", sealer)
    pairing = Pairing(journal, tmp_path / "journal.db", sealer, kept, items(tmp_path, **route), counts)
    pairing.add(pair(answer({"card": "4111"}), answer({"card": "4222"})))
    pairing.finish()

    await pairing.run()

    assert kept.pairs == []
    assert counts.total("shadow_pairs", route="items", result="gone") == 1
    await pairing.close()
    await journal.close()


async def test_a_pair_that_the_store_fails_on_does_not_hold_up_the_others(tmp_path: Path) -> None:
    """Else one hostile answer would end every comparison until somebody looks."""
    stored: list[str] = []

    class Picky:
        def add_many(self, judged: Sequence[Judged]) -> None:
            if any(one.pair.id == "pair-2" for one in judged):
                raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")
            stored.extend(one.pair.id for one in judged)

    sealer, counts = Sealer(b"k" * 32), Counts()
    journal = Journal.open(tmp_path / "journal.db", sealer)
    pairing = Pairing(journal, tmp_path / "journal.db", sealer, Picky(), items(tmp_path), counts)
    for number in (1, 2, 3):
        pairing.add(pair(answer({}), answer({}), number))
    pairing.finish()

    await pairing.run()

    assert stored == ["pair-1", "pair-3"]
    assert counts.total("shadow_pairs", route="items", result="fault") == 1
    assert counts.total("shadow_pairs", route="items", result="equal") == 2
    await pairing.close()
    await journal.close()


async def test_a_pair_that_the_comparison_fails_on_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Left out, it would make the pairs that count look better than they are."""

    def fail(pair: Pair, comparison: Comparison) -> Judged:
        if pair.id == "pair-2":
            raise decimal.Overflow
        return judge(pair, comparison)

    monkeypatch.setattr(pairing_module, "judge", fail)
    sealer, counts, kept = Sealer(b"k" * 32), Counts(), Kept()
    journal = Journal.open(tmp_path / "journal.db", sealer)
    pairing = Pairing(journal, tmp_path / "journal.db", sealer, kept, items(tmp_path), counts)
    for number in (1, 2):
        pairing.add(pair(answer({}), answer({"a": 1} if number == 2 else {}), number))
    pairing.finish()

    await pairing.run()

    assert [one.outcome.equal for one in kept.judged] == [True, False]
    assert counts.total("shadow_pairs", route="items", result="different") == 1
    await pairing.close()
    await journal.close()


async def test_a_pair_that_differs_and_cannot_be_stored_still_differs(tmp_path: Path) -> None:
    class Picky(Kept):
        def add_many(self, judged: Sequence[Judged]) -> None:
            if any(one.pair.candidate.body == b'{"a": 1}' for one in judged):
                raise OverflowError("date value out of range")
            super().add_many(judged)

    sealer, counts, kept = Sealer(b"k" * 32), Counts(), Picky()
    journal = Journal.open(tmp_path / "journal.db", sealer)
    pairing = Pairing(journal, tmp_path / "journal.db", sealer, kept, items(tmp_path), counts)
    for number in (1, 2):
        pairing.add(pair(answer({}), answer({"a": 1} if number == 2 else {}), number))
    pairing.finish()

    await pairing.run()

    assert [(one.pair.id, one.outcome.equal) for one in kept.judged] == [("pair-1", True), ("pair-2", False)]
    assert counts.total("shadow_pairs", route="items", result="different") == 1
    assert counts.apart.take() == {}
    await pairing.close()
    await journal.close()


async def test_what_has_no_pair_counts_once_however_often_a_full_disk_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = [sqlite3.OperationalError("database or disk is full")] * 3

    class Full:
        def add_many(self, judged: Sequence[Judged]) -> None:
            if refusals:
                raise refusals.pop()

    monkeypatch.setattr(pairing_module, "STORE_AGAIN", 0.0)
    sealer, counts = Sealer(b"k" * 32), Counts()
    journal = Journal.open(tmp_path / "journal.db", sealer)
    pairing = Pairing(journal, tmp_path / "journal.db", sealer, Full(), items(tmp_path), counts)
    pairing.add(pair(answer({}), answer({})))
    pairing.add(pair(answer({}), answer({}), route="gone"))
    pairing.finish()

    await pairing.run()

    assert counts.apart.take() == {("gone", StratumKind.NO_PAIR, "GET", "2xx"): 1}
    assert counts.total("shadow_pairs", route="items", result="equal") == 1
    await pairing.close()
    await journal.close()


async def test_pairs_that_are_stored_one_by_one_are_stored_once_though_the_disk_fills_up_in_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them cannot be stored, so each goes by itself; reads have no sequence by which the store knows them."""
    stored: list[str] = []
    refusals = [sqlite3.OperationalError("database or disk is full")]

    class PickyAndFull:
        def add_many(self, judged: Sequence[Judged]) -> None:
            ids = [one.pair.id for one in judged]
            if "pair-2" in ids:
                raise UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")
            if "pair-3" in ids and refusals:
                raise refusals.pop()
            stored.extend(ids)

    monkeypatch.setattr(pairing_module, "STORE_AGAIN", 0.0)
    sealer, counts = Sealer(b"k" * 32), Counts()
    journal = Journal.open(tmp_path / "journal.db", sealer)
    pairing = Pairing(journal, tmp_path / "journal.db", sealer, PickyAndFull(), items(tmp_path), counts)
    pairing.add(pair(answer({"sum": 1}), answer({"sum": 2}), 1))
    pairing.add(pair(answer({}), answer({}), 2))
    pairing.add(pair(answer({}), answer({}), 3))
    pairing.finish()

    await pairing.run()

    assert stored == ["pair-1", "pair-3"]
    assert counts.total("shadow_pairs", route="items", result="different") == 1
    assert counts.total("shadow_pairs", route="items", result="equal") == 1
    assert counts.total("shadow_pairs", route="items", result="fault") == 1
    assert counts.apart.take() == {("items", StratumKind.NO_PAIR, "GET", "2xx"): 1}
    await pairing.close()
    await journal.close()


def test_routes_without_sides_are_none_of_the_shadowers(tmp_path: Path) -> None:
    tables, table = Tables(), effective(9001)
    gone = Route.model_validate({"name": "gone", "match": {"path": "/gone"}, "respond": {"status": 410}})
    rules = table.rules.model_copy(update={"routes": (*table.rules.routes, gone)})

    load(tmp_path, tables, replace(table, rules=rules))

    assert tables.routes == (ROUTE,)
    assert tables.service("gone", Side.CANDIDATE) is None


def test_a_move_says_from_then_on_whether_a_copy_is_owed_and_leaves_former_generations_as_they_were(
    tmp_path: Path,
) -> None:
    tables, table = Tables(), effective(9001)
    load(tmp_path, tables, table)
    load(tmp_path, tables, table.moved(2, {ROUTE: Position(Stage.LEGACY, 0)}))
    load(tmp_path, tables, table.moved(3, {}))

    assert [tables.copied(ROUTE, generation) for generation in (1, 2, 3)] == [True, False, True]
    assert tables.copying == [ROUTE]


def test_of_many_routes_those_that_are_copied_are_looked_after(tmp_path: Path) -> None:
    tables, many = Tables(), many_routes.table(MANY + 1, changed=7, stage="legacy")
    load(tmp_path, tables, many.moved(1, {f"area{n}": Position(Stage.RETIRED, 0) for n in range(20, MANY + 1)}))

    assert sorted(tables.routes) == sorted(f"area{n}" for n in range(20) if n != 7)


def test_what_was_copied_is_remembered_once_for_all_rules_that_say_the_same(tmp_path: Path) -> None:
    """64 generations are remembered; of 100,000 routes that would be half a gigabyte."""
    tables, copied = Tables(), []
    for number in range(4):
        table = many_routes.table(3, number + 1, changed=1, timeout=f"{number + 1}s")
        publish(tmp_path, table)
        content = read_now(tmp_path, tables, table.pointer)
        copied.append(weakref.ref(content.copied))
        tables.stand(table.pointer, content)
        for _ in tables.let_go(content):
            pass
        del content
    load(tmp_path, tables, many_routes.table(3, 5, changed=1, stage="retired"))

    assert [ref() is not None for ref in copied] == [True, False, False, False]
    assert tables.copied("area1", 4)
    assert not tables.copied("area1", 5)


def two_routes(folder: Path, ports: tuple[int, int], tables: Tables | None = None) -> Tables:
    """Route and candidate `a` and `b`, on these ports; `tables` after that."""
    tables = tables or Tables()
    services = {name: {"url": f"http://127.0.0.1:{port}"} for name, port in zip("ab", ports, strict=True)}
    rules = {
        "version": 1,
        "services": {"legacy": {"url": "http://127.0.0.1:9"}, **services},
        "legacy": "legacy",
        "routes": [{"name": n, "match": {"path": f"/{n}"}, "candidate": n, "stage": "shadow"} for n in "ab"],
    }
    load(folder, tables, Effective(generation=1, rules=Rules.model_validate(rules)))
    return tables


class Hung(Sender):
    """Sends nothing, and notes what it was asked to; copies to port 1 hang until `release`d."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.released = asyncio.Event()

    async def send(self, request: CopyRequest, service: Service, *, repeatable: bool) -> Attempt:
        (endpoint,) = service.endpoints
        self.asked.append(f"{endpoint.port}{request.target}")
        if endpoint.port == 1:
            await self.released.wait()
        return Answered(answer({}))


def read(route: str, number: int) -> Mirror:
    target = f"/{route}?{number}"
    return Mirror(route, 1, "r", "legacy", "GET", target, [], "h", b"", 200, [], b"x" * 1000, False, 1.0, 0.1)


async def test_a_service_that_hangs_takes_no_room_from_the_mirrors_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirroring, "WAITING_BYTES", 50_000)
    sender, made = Hung(), list[Pair]()
    mirrors = Mirrors(sender, two_routes(tmp_path, (1, 2)), Counts(), Quiet(), on_pair=made.append, wall=lambda: 2.0)
    for number in range(100):
        mirrors.offer(read("a", number))

    for number in range(5):
        mirrors.offer(read("b", number))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert [one.target for one in made] == [f"/b?{number}" for number in range(5)]
    await mirrors.stop()


@pytest.mark.parametrize("large", ["headers", "answer_headers", "copy"])
async def test_mirrors_with_large_heads_take_no_more_memory_than_allowed(
    large: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirroring, "WAITING_BYTES", 100_000)
    lines = [(b"X-Large", b"x" * 30_000)]
    counts = Counts()
    mirrors = Mirrors(Hung(), two_routes(tmp_path, (1, 2)), counts, Quiet(), on_pair=lambda _: None, wall=lambda: 2.0)
    for number in range(mirroring.PER_SERVICE + 4):
        mirror = read("a", number)
        setattr(mirror, large, Adapted("/", "", lines) if large == "copy" else lines)
        mirrors.offer(mirror)

    assert counts.total("shadow_dropped", reason="crowded") == 1
    await mirrors.stop()


async def test_mirrors_that_waited_go_where_the_table_says_by_then(tmp_path: Path) -> None:
    sender, tables = Hung(), two_routes(tmp_path, (1, 2))
    mirrors = Mirrors(sender, tables, Counts(), Quiet(), on_pair=lambda _: None, wall=lambda: 2.0)
    for number in range(mirroring.PER_SERVICE + 1):
        mirrors.offer(read("a", number))
    await asyncio.sleep(0)
    two_routes(tmp_path, (3, 2), tables)

    sender.released.set()
    while len(sender.asked) <= mirroring.PER_SERVICE:
        await asyncio.sleep(0)

    assert sender.asked[-1] == f"3/a?{mirroring.PER_SERVICE}"
    await mirrors.stop()


async def test_lanes_that_owe_nothing_are_passed_over(tmp_path: Path) -> None:
    asked: list[str] = []

    class Asked(Tables):
        def service(self, route: str, side: Side) -> tuple[str, Service] | None:
            asked.append(route)
            return None

    clock = asyncio.get_running_loop().time
    sealer = Sealer(b"k" * 32)
    journal = Journal.open(tmp_path / "journal.db", sealer)
    tables = Asked()
    renaming = Renaming(tables, journal, sealer, clock)
    deliveries = Deliveries(
        journal,
        Hung(),
        tables,
        Counts(),
        on_end=lambda copy, state: None,
        clock=clock,
        wall=clock,
        chance=lambda: 0.5,
        policy=Policy(),
        questions=Questions(journal, Doubts(journal, sealer), Hung(), tables, Counts(), renaming),
        renaming=renaming,
    )
    deliveries._lanes = {(f"route-{number}", Side.CANDIDATE): Lane() for number in range(1000)}

    deliveries.offer(Copy(1, 1, ROUTE, Side.CANDIDATE, b"key"))
    await asyncio.sleep(0)  # copies of one turn of the loop are looked at together

    assert asked == [ROUTE]
    await deliveries.stop(0.0)
    await journal.close()


def test_a_table_with_certificates_is_read_to_its_end_once(tmp_path: Path) -> None:
    tables = Tables()
    load(tmp_path, tables, replace(effective(8), certificates={ROUTE: {"pairs": 300, "accuracy": "99%"}}))

    assert tables.service(ROUTE, Side.CANDIDATE) is not None
