"""Error budgets from the workers' tallies: who pays, what stops promotion, what people are told, what restarts keep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from canary import histogram
from canary.rollout import Move, Rollout
from proxy.control.book import Book
from proxy.control.budgets import CALM, Budgets
from proxy.control.settling import accepted_of
from proxy.control.telling.happenings import EVERYTHING
from proxy.rulebook import load
from proxy.wire import SideTally, Tally
from rules.stages import Stage

NOW = 1_700_000_000.0
ROLLOUT, STEP = Rollout(Stage.CANARY, 50_000, since=1.0), Move(Stage.CANARY, 250_000, "held")
SLO: dict[str, Any] = {
    "cart": {"route": "cart", "availability": "99%", "latency": {"part": "90%", "under": "100ms"}},
    "shop": {"service": "shop", "availability": "99%"},
}


def book(tmp_path: Path, slo: dict[str, Any] | None = None) -> Book:
    rules = {
        "version": 1,
        "services": {"monolith": {"url": "http://127.0.0.1:9000"}, "shop": {"url": "http://127.0.0.1:9001"}},
        "legacy": "monolith",
        "routes": [
            {
                "name": "cart",
                "match": {"path": "/cart/**", "methods": ["GET"]},
                "candidate": "shop",
                "unit": {"cookie": "unit"},
                "rollout": {"steps": ["5%", "50%"], "gate": "errors"},
            }
        ],
        "gates": {"errors": {"metrics": [{"name": "errors", "kind": "error_rate", "margin": "5pp"}]}},
        "slo": SLO if slo is None else slo,
    }
    (tmp_path / "fig.yaml").write_text(yaml.safe_dump(rules))
    rulebook = load(tmp_path / "fig.yaml", {})
    return Book(accepted_of(rulebook), {}, rulebook)


@pytest.fixture
def budgets(tmp_path: Path) -> Budgets:
    found = Budgets({})
    found.follow(book(tmp_path))
    return found


def side(
    side: str = "legacy",
    requests: dict[str, int] | None = None,
    failures: dict[str, int] | None = None,
    times: dict[float, int] | None = None,
    cut: int = 0,
) -> SideTally:
    latency = histogram.packed({histogram.index(seconds): count for seconds, count in (times or {}).items()})
    service = "shop" if side == "candidate" else "monolith"
    return SideTally("cart", side, service, requests or {}, failures or {}, 0.0, latency, b"", cut)


def own_answer(reason: str, status: str, route: str = "cart") -> Tally:
    return Tally(counts=[("own_answers", (("reason", reason), ("route", route), ("status", status)), 2.0)])


def counted(budgets: Budgets, name: str, objective: str = "availability") -> tuple[int, int]:
    [found] = [each for each in budgets.documents(NOW) if (each["name"], each["objective"]) == (name, objective)]
    return found["requests"], found["bad"]


def test_both_sides_answers_are_the_routes_and_the_candidates_are_its_services(budgets: Budgets) -> None:
    legacy = side("legacy", {"GET 2xx": 90, "GET 5xx": 2}, {"status": 2})
    candidate = side("candidate", {"GET 2xx": 50, "POST 5xx": 5, "GET 4xx": 3}, {"status": 5})
    budgets.take_tally(Tally([legacy, candidate]), NOW)
    assert counted(budgets, "cart") == (150, 7)
    assert counted(budgets, "shop") == (58, 5)


def test_an_answer_that_broke_off_is_one_bad_request(budgets: Budgets) -> None:
    budgets.take_tally(Tally([side("candidate", {"GET 2xx": 10}, {"reset": 3}, cut=3)]), NOW)
    assert counted(budgets, "cart") == (10, 3)
    assert counted(budgets, "shop") == (10, 3)


def test_where_no_side_answered_clients_pay_by_what_fig_answered(budgets: Budgets) -> None:
    budgets.take_tally(Tally([side("candidate", {"GET 2xx": 10}, {"timeout": 2})]), NOW)
    assert (counted(budgets, "cart"), counted(budgets, "shop")) == ((10, 0), (12, 2))
    budgets.take_tally(own_answer("timeout", "504"), NOW)
    assert counted(budgets, "cart") == (12, 2)
    assert counted(budgets, "cart", "latency") == (12, 2)


def test_what_fig_refuses_or_the_rules_answer_costs_nothing(budgets: Budgets) -> None:
    for tally in (own_answer("too_large", "413"), own_answer("respond", "503"), own_answer("timeout", "504", "other")):
        budgets.take_tally(tally, NOW)
    assert counted(budgets, "cart") == (0, 0)


def test_a_fallback_costs_the_service_and_not_the_client(budgets: Budgets) -> None:
    budgets.take_tally(Tally([side("candidate", {}, {"fallback": 4}), side("legacy", {"GET 2xx": 4})]), NOW)
    assert counted(budgets, "cart") == (4, 0)
    assert counted(budgets, "shop") == (4, 4)


def test_whom_a_service_had_no_room_for_counts_against_it(budgets: Budgets) -> None:
    turned_away = ("service_turned_away", (("reason", "full"), ("service", "shop")), 3.0)
    budgets.take_tally(Tally(counts=[turned_away]), NOW)
    assert counted(budgets, "shop") == (3, 3)


def test_slow_answers_are_those_above_the_objective(budgets: Budgets) -> None:
    budgets.take_tally(Tally([side("legacy", {"GET 2xx": 10}, times={0.05: 6, 0.1: 1, 0.2: 2, 3.0: 1})]), NOW)
    assert counted(budgets, "cart", "latency") == (10, 3)


def failing(budgets: Budgets, which: str = "legacy", now: float = NOW) -> None:
    budgets.take_tally(Tally([side(which, {"GET 2xx": 800, "GET 5xx": 200}, {"status": 200})]), now)


def test_a_burning_budget_stops_promotion_whichever_side_burns_it(budgets: Budgets) -> None:
    assert budgets.reasons("cart", ROLLOUT, STEP, NOW) == []
    failing(budgets)
    [reason] = budgets.reasons("cart", ROLLOUT, STEP, NOW)
    assert reason.startswith("SLO 'cart' (availability 99%, route cart): the error budget burns 20.0 times too fast")
    assert budgets.reasons("other", ROLLOUT, STEP, NOW) == []


def test_a_services_budget_stops_the_routes_that_it_answers(budgets: Budgets) -> None:
    failing(budgets, "candidate")
    assert [reason[:20] for reason in budgets.reasons("cart", ROLLOUT, STEP, NOW)] == [
        "SLO 'cart' (availabi",
        "SLO 'shop' (availabi",
    ]


def test_an_objective_that_blocks_nothing_only_watches(tmp_path: Path) -> None:
    budgets = Budgets({})
    budgets.follow(book(tmp_path, {"cart": {**SLO["cart"], "blocks": False}}))
    failing(budgets)
    assert budgets.reasons("cart", ROLLOUT, STEP, NOW) == []
    assert [each["level"] for each in budgets.documents(NOW)] == ["page", ""]
    assert not any(each["stops_promotion"] for each in budgets.documents(NOW))


def test_people_are_told_once_and_of_recovery_when_it_lasts(budgets: Budgets) -> None:
    failing(budgets)
    [(route, sentence)] = budgets.news(NOW)
    assert (route, "20.0 times too fast" in sentence) == ("cart", True)
    assert budgets.news(NOW + 60) == []

    well = NOW + 7 * 3600.0
    assert budgets.news(well) == []
    assert budgets.news(well + CALM - 1) == []
    [(_, sentence)] = budgets.news(well + CALM)
    assert sentence.startswith("better again: SLO 'cart'")
    assert budgets.news(well + CALM + 60) == []


def test_what_concerns_a_service_is_told_of_no_single_route(tmp_path: Path) -> None:
    budgets = Budgets({})
    budgets.follow(book(tmp_path, {"shop": SLO["shop"]}))
    failing(budgets, "candidate")
    assert [route for route, _ in budgets.news(NOW)] == [EVERYTHING]


def test_counts_and_what_was_told_outlive_control(budgets: Budgets, tmp_path: Path) -> None:
    failing(budgets)
    budgets.news(NOW)
    kept = {name: data for name, data in budgets.to_keep().items() if data is not None}
    assert budgets.to_keep() == {}

    successor = Budgets(kept)
    successor.follow(book(tmp_path))
    assert counted(successor, "cart") == (1000, 200)
    assert successor.news(NOW) == []
    assert successor.reasons("cart", ROLLOUT, STEP, NOW)


def test_objectives_that_left_the_rules_are_forgotten_and_damaged_counts_begin_anew(tmp_path: Path) -> None:
    budgets = Budgets({"cart": b"damaged", "gone": b""})
    budgets.follow(book(tmp_path))
    assert counted(budgets, "cart") == (0, 0)
    assert budgets.to_keep()["gone"] is None
    failing(budgets)
    budgets.follow(book(tmp_path, {"shop": SLO["shop"]}))
    assert budgets.to_keep()["cart"] is None
    assert budgets.documents(NOW, "elsewhere") == []


def test_another_goal_keeps_what_was_counted(budgets: Budgets, tmp_path: Path) -> None:
    failing(budgets)
    budgets.follow(book(tmp_path, {"cart": {**SLO["cart"], "availability": "50%"}}))
    assert counted(budgets, "cart") == (1000, 200)
    assert budgets.reasons("cart", ROLLOUT, STEP, NOW) == []
