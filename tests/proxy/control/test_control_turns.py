"""The pilot's turns over a book: who is let go counts at once, and moves are remembered over restarts."""

from __future__ import annotations

from typing import Any

from canary.plan import Pace, RolloutPlan
from canary.rollout import Move, Rollout
from proxy.control.book import Book
from proxy.control.records import Standing
from proxy.control.turns import CLAIMED, Queue, Turns
from proxy.rulebook import Rulebook
from rules.document import Rules
from rules.effective import Effective
from rules.stages import Stage

PLAN = RolloutPlan.model_validate({"steps": ["5%"], "gate": "g"})
SHADOW = Rollout(Stage.SHADOW, 0, since=0.0)
CANARY = Rollout(Stage.CANARY, 50_000, since=0.0, began=0.0)
START = Move(Stage.CANARY, 50_000, "")


def book(pace: Pace, groups: dict[str, str | None], **rollouts: Rollout) -> Book:
    routes: list[dict[str, Any]] = [
        {"name": name, "match": {"path": f"/{name}"}, "candidate": "shop", "unit": {"cookie": "u"}, "group": group}
        for name, group in groups.items()
    ]
    rules = Rules.model_validate(
        {"version": 1, "services": {"shop": {"url": "http://127.0.0.1:1"}}, "legacy": "shop", "routes": routes}
    )
    rulebook = Rulebook(rules, {}, {}, dict.fromkeys(groups, PLAN), {}, (), pilot=pace)
    standings = {name: Standing(name, rollouts.get(name, SHADOW), "") for name in groups}
    return Book(Effective(1, rules), standings, rulebook)


def test_two_that_ask_at_the_same_moment_do_not_both_go() -> None:
    here = book(Pace(at_once=1), {"cart": None, "search": None})
    turns = Turns(Queue(lambda: here))

    assert turns.reasons("cart", SHADOW, START, 100.0) == ()
    assert "cart is under way" in turns.reasons("search", SHADOW, START, 100.1)[0]
    assert turns.reasons("cart", SHADOW, START, 100.6) == (), "its move failed, and it asks again"
    assert turns.reasons("search", SHADOW, START, 100.6 + CLAIMED) == ()


def test_one_of_a_group_waits_for_the_other_also_while_that_is_watched() -> None:
    watched = Rollout(Stage.LIVE, 1_000_000, since=0.0, watched=True)
    here = book(Pace(), {"cart": "shop", "products": "shop", "search": None}, products=watched)
    turns = Turns(Queue(lambda: here))

    assert "same group ('shop')" in turns.reasons("cart", SHADOW, START, 100.0)[0]
    assert turns.reasons("search", SHADOW, START, 100.0) == ()


def test_a_route_that_is_under_way_may_rise_whoever_else_is() -> None:
    here = book(Pace(at_once=1), {"cart": None, "search": None}, cart=CANARY, search=CANARY)

    assert Turns(Queue(lambda: here)).reasons("cart", CANARY, Move(Stage.LIVE, 1_000_000, ""), 100.0) == ()


def test_moves_before_a_restart_of_control_count() -> None:
    queue = Queue(lambda: book(Pace(moves_per_hour=2), {"cart": None}), [100.0, 5000.0])
    turns = Turns(queue)

    assert turns.reasons("cart", CANARY, START, 5100.0) == ()
    queue.moved("cart", 5100.0)
    assert "2 moves forward in the last hour" in turns.reasons("cart", CANARY, START, 5200.0)[0]


def test_two_that_rise_at_the_same_moment_are_two_moves() -> None:
    here = book(Pace(moves_per_hour=1), {"cart": None, "search": None}, cart=CANARY, search=CANARY)
    queue = Queue(lambda: here)
    turns = Turns(queue)

    assert turns.reasons("cart", CANARY, START, 100.0) == ()
    assert "1 moves forward" in turns.reasons("search", CANARY, START, 100.0)[0], "cart's is not in the book yet"
    queue.moved("cart", 100.5)
    assert "1 moves forward" in turns.reasons("search", CANARY, START, 101.0)[0]


def test_whoever_only_asks_whether_it_is_free_takes_no_turn() -> None:
    here = book(Pace(at_once=1), {"cart": None, "search": None})
    queue = Queue(lambda: here)

    assert queue.reasons("cart", SHADOW, START, 100.0) == ()
    assert Turns(queue).reasons("search", SHADOW, START, 100.0) == ()
    assert queue.reasons("cart", SHADOW, START, 100.0) == ("search is under way; at most 1 at once (pilot: at_once)",)
