"""Breakers as workers tell them, and the last seconds of routes, held against the plan of each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from canary.plan import RolloutPlan
from canary.rollout import Rollout
from proxy.control.alarms import Alarms, Breakers, counted
from proxy.control.book import Book
from proxy.control.records import Standing
from proxy.rows import ROW
from proxy.rulebook import Rulebook
from proxy.wire import Rows, SideTally, Tally
from rules.document import Rules
from rules.effective import Effective
from rules.stages import MILLION, Side, Stage

NOW = 1_700_000_000.0
PLAN = RolloutPlan.model_validate({"steps": ["5%"], "gate": "g", "watch": "1h"})
CANARY = Rollout(Stage.CANARY, 50_000, since=NOW, began=NOW, subject="v1")


def book(rollout: Rollout, generation: int = 3, plan: RolloutPlan = PLAN) -> Book:
    rules = Rules.model_validate(
        {
            "version": 1,
            "services": {"shop": {"url": "http://127.0.0.1:1"}, "monolith": {"url": "http://127.0.0.1:2"}},
            "legacy": "monolith",
            "routes": [{"name": "cart", "match": {"path": "/cart"}, "candidate": "shop", "unit": {"cookie": "u"}}],
        }
    )
    rulebook = Rulebook(rules, {}, {}, {"cart": plan}, {}, ())
    return Book(Effective(generation, rules), {"cart": Standing("cart", rollout, "canary")}, rulebook)


def alarms(rollout: Rollout = CANARY, **more: Any) -> Alarms:
    found = Alarms()
    found.follow(book(rollout, **more))
    return found


def failing(generation: int = 3) -> Rows:
    """Forty exchanges of the candidate in the last four seconds, all failed."""
    rows = np.zeros(40, ROW)
    rows["clock"] = NOW - np.linspace(0, 4, 40)
    rows["unit"] = np.arange(40, dtype=np.uint64) << np.uint64(56)
    rows["side"], rows["failure"] = 1, 1
    return Rows("cart", generation, rows.tobytes())


def breaker(state: str, service: str = "shop", side: str = "candidate") -> Tally:
    labels = (("service", service), ("side", side))
    states = ("closed", "half_open", "open")
    return Tally(gauges=[("breaker_state", (*labels, ("state", each)), float(each == state)) for each in states])


def test_rows_of_the_attempt_trip_it_and_those_of_a_former_one_do_not() -> None:
    found = alarms()
    found.take_rows(failing(generation=2), NOW)
    assert found.tripped("cart", PLAN, NOW) == ""

    found.take_rows(failing(), NOW)
    assert "40 of its 40" in found.tripped("cart", PLAN, NOW)
    off = RolloutPlan.model_validate({"steps": ["5%"], "gate": "g", "instant": {"enabled": False}})
    assert found.tripped("cart", off, NOW) == ""


def test_another_candidate_is_not_blamed_for_the_former_one() -> None:
    found = alarms()
    found.take_rows(failing(), NOW)

    found.follow(book(replace(CANARY, subject="v2"), generation=4))

    assert found.tripped("cart", PLAN, NOW) == ""


def test_a_change_of_share_forgets_nothing() -> None:
    found = alarms()
    found.take_rows(failing(), NOW)

    found.follow(book(replace(CANARY, share=500_000), generation=4))

    assert found.tripped("cart", PLAN, NOW)


def test_a_route_that_is_watched_live_is_known_by_its_counts() -> None:
    live = Rollout(Stage.LIVE, MILLION, since=NOW, watched=True, subject="v1")
    found = alarms(live)
    bad = SideTally("cart", "candidate", "shop", {"GET 5xx": 40}, {"status": 40}, 1.0, b"", b"")

    for ago in (3.0, 2.0, 1.0, 0.0):
        found.take_tally("worker-1", Tally([bad]), NOW - ago)

    assert "160 of its 160" in found.tripped("cart", PLAN, NOW)


@pytest.mark.parametrize(
    ("answers", "failures", "cut", "whole"),
    [
        ({"GET 2xx": 10}, {}, 0, (0, 10)),
        ({"GET 2xx": 8, "GET 5xx": 2}, {"status": 2}, 0, (2, 10)),
        ({"GET 2xx": 7}, {"connect": 3}, 0, (3, 10)),
        ({"GET 2xx": 10}, {"reset": 4}, 4, (4, 10)),
    ],
    ids=["good", "5xx", "no answer", "cut off in the middle"],
)
def test_each_exchange_of_a_tally_counts_once(
    answers: dict[str, int], failures: dict[str, int], cut: int, whole: tuple[int, int]
) -> None:
    assert counted(SideTally("cart", "candidate", "shop", answers, failures, 1.0, b"", b"", cut)) == whole


def test_a_breaker_that_stays_open_trips_it_and_trying_again_in_vain_is_no_recovery() -> None:
    found = alarms()
    for second, state in enumerate(("open", "open", "half_open", "open", "half_open")):
        found.take_tally("worker-1", breaker(state), NOW + second)

    assert found.tripped("cart", PLAN, NOW + 4.9) == ""
    assert "breaker of service 'shop' has been open for 5 s" in found.tripped("cart", PLAN, NOW + 5)
    found.take_tally("worker-1", breaker("closed"), NOW + 6)
    found.take_tally("worker-1", breaker("open"), NOW + 7)
    assert found.tripped("cart", PLAN, NOW + 8) == ""


def test_it_is_not_the_candidates_fault_where_the_breaker_of_legacy_is_open_too() -> None:
    found = alarms()
    both = breaker("open")
    assert both.gauges is not None
    both.gauges += breaker("open", "monolith", "legacy").gauges or []
    found.take_tally("worker-1", both, NOW)

    assert found.tripped("cart", PLAN, NOW + 10) == ""


def test_half_of_the_workers_must_have_it_open_and_those_that_are_gone_do_not_count() -> None:
    breakers = Breakers()
    for worker, state in (("worker-1", "open"), ("worker-2", "closed"), ("worker-3", "closed")):
        breakers.take(worker, breaker(state), NOW)

    assert breakers.open_for("shop", Side.CANDIDATE, NOW + 9) == 0
    breakers.forget("worker-2")
    assert breakers.open_for("shop", Side.CANDIDATE, NOW + 9) == 9
