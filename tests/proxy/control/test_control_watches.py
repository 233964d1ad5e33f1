"""Watches over a book: a canary becomes the standard of the route that went live with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from canary import histogram
from canary.gate import fault
from canary.plan import RolloutPlan
from canary.rollout import Rollout
from canary.spec import Gate
from canary.verdict import Judgement, Verdict
from proxy.control.book import Book
from proxy.control.records import Standing
from proxy.control.watches import Watches
from proxy.rulebook import Rulebook
from proxy.wire import SideTally, Tally
from rules.document import Rules
from rules.effective import Effective
from rules.stages import MILLION, Stage

GATE = Gate.model_validate(
    {
        "metrics": [
            {"name": "errors", "kind": "error_rate", "margin": "1pp"},
            {"name": "mean", "kind": "latency", "margin": "20%"},
            {"name": "sold", "kind": "rate", "event": "order_placed", "margin": "10%"},
        ]
    }
)
PLAN = RolloutPlan.model_validate({"steps": ["5%"], "gate": "g", "watch": "1h"})
CANARY = Rollout(Stage.CANARY, 50_000, since=5.0, began=5.0, subject="v1")
LIVE = Rollout(Stage.LIVE, MILLION, since=500.0, subject="v1", watched=True)


class Other:
    def judge(self, route: str, now: float) -> Judgement:
        return fault(route, "g", "of the canary", 0.05, now)


def book(rollout: Rollout, plan: RolloutPlan = PLAN, gate: Gate = GATE) -> Book:
    rules = Rules.model_validate(
        {
            "version": 1,
            "services": {"shop": {"url": "http://127.0.0.1:1"}},
            "legacy": "shop",
            "routes": [{"name": "cart", "match": {"path": "/cart"}, "candidate": "shop", "unit": {"cookie": "u"}}],
        }
    )
    rulebook = Rulebook(rules, {}, {"g": gate}, {"cart": plan}, {}, ())
    return Book(Effective(3, rules), {"cart": Standing("cart", rollout, "canary")}, rulebook)


def fed(watches: Watches, seconds: int, *, bad: int = 0, start: float = 10.0) -> Watches:
    """A tally of 50 exchanges each second, `bad` of which failed."""
    for second in range(seconds):
        good = histogram.packed({-230: 50})
        side = SideTally(
            "cart", "candidate", "shop", {"GET 2xx": 50 - bad, "GET 5xx": bad}, {"status": bad}, 1.0, good, b""
        )
        watches.take_tally(Tally([side, replace_side(side, "legacy")]), start + second)
    return watches


def replace_side(side: SideTally, name: str) -> SideTally:
    return SideTally(side.route, name, side.service, {"GET 5xx": 50}, {"status": 50}, 1.0, side.latency, b"")


def went_live(kept: dict[str, Any] | None = None) -> Watches:
    watches = Watches(Other(), kept or {})
    watches.follow(book(CANARY))
    fed(watches, 60)
    watches.follow(book(LIVE))
    return watches


def test_a_route_in_canary_is_judged_by_its_gate() -> None:
    watches = Watches(Other(), {})
    watches.follow(book(CANARY))

    assert fed(watches, 60, bad=50).judge("cart", 70.0).reason == "of the canary"


def test_a_route_that_went_live_is_held_against_its_own_canary() -> None:
    watches = went_live()

    well = fed(watches, 60, start=500.0).judge("cart", 560.0)
    assert well.verdict is Verdict.KEEP_WATCHING
    assert well.reason.endswith(" exchanges since it went live; nobody watches 'mean', 'sold'")
    worse = fed(watches, 20, bad=10, start=560.0).judge("cart", 580.0)
    assert worse.verdict is Verdict.ROLLBACK
    assert worse.reason.startswith("'errors' is worse than in its own canary")
    assert worse.since == 500.0


def test_the_watch_goes_on_after_a_restart_of_control() -> None:
    watches = went_live()
    fed(watches, 20, bad=2, start=500.0)
    kept = {name: data for name, data in watches.to_keep().items() if data is not None}
    assert watches.to_keep() == {}, "nothing changed since"

    again = Watches(Other(), kept)
    again.follow(book(LIVE))

    assert again.judge("cart", 521.0).candidate_requests == watches.judge("cart", 521.0).candidate_requests
    assert fed(again, 20, bad=10, start=521.0).judge("cart", 541.0).verdict is Verdict.ROLLBACK


def test_a_route_whose_canary_nobody_knows_is_a_fault_and_stays() -> None:
    watches = Watches(Other(), {"cart": b"damaged"})
    watches.follow(book(LIVE))

    assert fed(watches, 60, bad=50).judge("cart", 70.0).verdict is Verdict.FAULT


def test_a_watch_that_has_seen_too_few_exchanges_says_so_instead_of_that_all_is_well() -> None:
    watches = went_live()

    assert watches.judge("cart", 529.0).verdict is Verdict.KEEP_WATCHING
    silent = watches.judge("cart", 531.0)
    assert silent.verdict is Verdict.FAULT
    assert silent.reason == "0 exchanges since it went live 31 s ago, and the watch needs 20"


def test_what_a_watch_said_is_not_said_of_the_canary_after_it() -> None:
    watches = went_live()
    watches.judge("cart", 510.0)
    assert set(watches.latest) == {"cart"}

    watches.follow(book(replace(CANARY, since=600.0, began=600.0)))

    assert watches.latest == {}
    assert watches.judge("cart", 610.0).reason == "of the canary"


def test_a_watch_whose_gate_has_nothing_to_watch_says_that() -> None:
    blind = GATE.model_copy(update={"metrics": GATE.metrics[1:]})
    watches = Watches(Other(), {})
    watches.follow(book(CANARY, gate=blind))
    fed(watches, 60)
    watches.follow(book(LIVE, gate=blind))

    told = watches.judge("cart", 510.0)
    assert (told.verdict, told.reason) == (Verdict.FAULT, "the watch sees nothing: nobody watches 'mean', 'sold'")


def test_what_is_over_is_not_kept() -> None:
    watches = went_live()
    fed(watches, 2, start=500.0)

    watches.follow(book(replace(LIVE, watched=False)))

    assert watches.to_keep() == {"cart": None}
    assert watches.judge("cart", 600.0).reason == "of the canary"
