"""A table made route by route, a table that only moves, and what the two share with the one before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rules.asked import Asked
from rules.document import Rules
from rules.effective import Effective, Position
from rules.stages import Side, Stage
from rules.table import Table, TableBuilder, compile_table

MakeRules = Callable[..., Rules]
UNIT = {"unit": {"cookie": "u"}}
ROUTES: list[dict[str, Any]] = [{"match": {"path": f"/p{n}/{{id}}"}} | UNIT for n in range(6)]


def built(rules: Rules, positions: dict[str, Position], generation: int, former: Table | None = None) -> Table:
    builder = TableBuilder(rules.model_copy(update={"routes": ()}), positions, generation, former)
    for route in rules.routes:
        builder.add(route)
    return builder.finish()


def moved_down(by: int) -> list[dict[str, Any]]:
    """ROUTES after as many others."""
    first = [{"match": {"path": f"/first/{n}"}, "name": f"first-{n}"} for n in range(by)]
    return [*first, *({"name": f"r{n}"} | route for n, route in enumerate(ROUTES))]


def ask(number: int) -> Asked:
    return Asked("GET", "shop.example", f"/p{number}/7", headers={"cookie": ["u=1"]})


def test_a_table_built_route_by_route_decides_as_one_that_is_compiled_at_once(make_rules: MakeRules) -> None:
    rules, positions = make_rules(ROUTES), {"r3": Position(Stage.LIVE, 0)}
    table = built(rules, positions, 4)
    other = compile_table(Effective(generation=4, rules=rules, positions=positions))
    assert table.generation == other.generation == 4
    assert [(r.name, r.index, r.position) for r in table.routes] == [
        (r.name, r.index, r.position) for r in other.routes
    ]
    for number in range(7):
        one, two = (each.decide(ask(number), str).decision for each in (table, other))
        assert (one.route.name, one.side, one.reason) == (two.route.name, two.side, two.reason)


def test_a_move_makes_only_the_moved_route_anew(make_rules: MakeRules) -> None:
    table = built(make_rules(ROUTES), {"r1": Position(Stage.SHADOW, 0)}, 1)
    moved = table.restand(2, {"r2": Position(Stage.LIVE, 0), "gone": Position(Stage.LIVE, 0)})
    assert (table.generation, moved.generation) == (1, 2)
    changed = [one.name for one, other in zip(table.routes, moved.routes, strict=True) if one is not other]
    assert changed == ["r2"]
    assert moved.by_name["r1"].stage is Stage.SHADOW
    assert moved.decide(ask(2), str).decision.side is Side.CANDIDATE
    assert table.decide(ask(2), str).decision.side is Side.LEGACY
    assert [*moved.by_name] == [*table.by_name] and len(moved.by_name) == 7
    assert moved.by_name["r2"] is moved.routes[2] and moved.by_name.get("gone") is None


def test_a_move_to_where_a_route_stands_makes_nothing_anew(make_rules: MakeRules) -> None:
    positions = {f"r{n}": Position(Stage.CANARY, 10_000 * n) for n in range(6)}
    table = built(make_rules(ROUTES), positions, 1)
    frozen = {name: Position(each.stage, each.share, frozen=True) for name, each in positions.items()}
    assert table.restand(2, frozen).routes == table.routes


def test_a_rollback_by_a_move_reaches_the_very_next_request(make_rules: MakeRules) -> None:
    table = built(make_rules(ROUTES), {"r0": Position(Stage.CANARY, 1_000_000)}, 1)
    assert table.decide(ask(0), str).decision.side is Side.CANDIDATE
    choice = table.restand(2, {"r0": Position(Stage.SHADOW, 0)}).decide(ask(0), str)
    assert (choice.decision.side, choice.decision.copy_to) == (Side.LEGACY, Side.CANDIDATE)


def test_a_reload_takes_over_the_routes_that_did_not_change(make_rules: MakeRules) -> None:
    positions = {"r4": Position(Stage.LIVE, 0)}
    former = built(make_rules(ROUTES), positions, 1)
    changed = [*ROUTES[:2], ROUTES[2] | {"timeout": "3s"}, *ROUTES[3:]]
    table = built(make_rules(changed), positions | {"r5": Position(Stage.SHADOW, 0)}, 2, former)
    kept = [route.name for route, other in zip(table.routes, former.routes, strict=True) if route is other]
    assert kept == ["r0", "r1", "r3", "r4"]
    assert table.routes[2].timeout == 3.0
    assert table.routes[5].stage is Stage.SHADOW


def test_a_reload_takes_nothing_over_that_means_something_else_now(make_rules: MakeRules) -> None:
    former = built(make_rules(ROUTES), {}, 1)
    for rules in (
        make_rules(ROUTES, legacy="candidate"),
        make_rules(ROUTES, defaults={"timeout": "3s"}),
        make_rules(moved_down(1)),
        make_rules(moved_down(3)),
    ):
        table = built(rules, {}, 2, former)
        assert not set(table.routes) & set(former.routes)
        expected = compile_table(Effective(generation=2, rules=rules))
        assert [(r.index, r.legacy, r.timeout) for r in table.routes] == [
            (r.index, r.legacy, r.timeout) for r in expected.routes
        ]


def test_decisions_and_captures_are_made_once(make_rules: MakeRules) -> None:
    route = built(make_rules(ROUTES), {}, 1).routes[0]
    assert route.outcomes() is route.outcomes()
    assert route.captures(ask(0)) == {"id": "7"}
