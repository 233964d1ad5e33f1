"""Legacy's times from before the canary are what its attempt is held against, from its first window on."""

from __future__ import annotations

import random

import pytest

from canary import histogram
from canary.plan import RolloutPlan
from canary.rollout import Rollout
from canary.spec import Gate
from canary.verdict import MetricJudgement
from proxy.control.attempts import Attempts
from proxy.control.book import Book
from proxy.control.records import Standing
from proxy.rulebook import Rulebook
from proxy.wire import SideTally, Tally
from rules.document import Rules
from rules.effective import Effective
from rules.stages import MILLION, Stage
from tests.fakes.worker_link import rows

QUANTILE = {"name": "p90", "kind": "latency", "quantile": 0.9, "margin": "20%"}
MEAN = {"name": "mean", "kind": "latency", "margin": "20%"}
BEGAN = 1000.0
BEFORE = 0.010
"""Seconds that legacy took in shadow; in the canary both sides take three times as long."""


def book(stage: Stage, metric: dict[str, object], generation: int) -> Book:
    canary = stage is Stage.CANARY
    rollout = Rollout(stage, 500_000 if canary else 0, since=BEGAN, began=BEGAN if canary else None, subject="v1")
    rules = Rules.model_validate(
        {
            "version": 1,
            "services": {"shop": {"url": "http://127.0.0.1:1"}},
            "legacy": "shop",
            "routes": [{"name": "cart", "match": {"path": "/cart"}, "candidate": "shop", "unit": {"cookie": "u"}}],
        }
    )
    gate = Gate.model_validate({"metrics": [metric], "silence": "1h"})
    plan = RolloutPlan.model_validate({"steps": ["50%"], "gate": "g"})
    rulebook = Rulebook(rules, {}, {"g": gate}, {"cart": plan}, {}, ())
    return Book(Effective(generation, rules), {"cart": Standing("cart", rollout, stage.value)}, rulebook)


def tally(answers: int) -> Tally:
    """Of legacy, as a worker tells it."""
    times = histogram.packed({histogram.index(BEFORE): answers})
    return Tally([SideTally("cart", "legacy", "shop", {"GET 2xx": answers}, {}, answers * BEFORE, times, b"")])


def in_shadow(metric: dict[str, object], answers: int) -> Attempts:
    attempts = Attempts({})
    attempts.follow(book(Stage.SHADOW, metric, 1))
    attempts.take_tally(tally(answers))
    return attempts


def after_one_window(attempts: Attempts, metric: dict[str, object]) -> MetricJudgement:
    """The canary begins: 40 exchanges of each side in its first second, and one more that ends it."""
    attempts.follow(book(Stage.CANARY, metric, 2))
    chance = random.Random(1)
    exchanges = []
    for number in range(81):
        side = number % 2
        unit = chance.getrandbits(40) * MILLION + (0 if side else 700_000)
        exchanges.append((BEGAN + number / 80, unit, 3 * BEFORE, side, 0))
    attempts.take_rows(rows("cart", 2, exchanges))
    return attempts.judge("cart", BEGAN + 1).metrics[0]


METRICS = pytest.mark.parametrize("metric", [QUANTILE, MEAN], ids=["quantile", "mean"])


@METRICS
def test_after_the_shadow_stage_the_first_window_of_the_canary_counts(metric: dict[str, object]) -> None:
    shown = after_one_window(in_shadow(metric, 1000), metric)

    assert (shown.legacy_count, shown.candidate_count) == (40, 40)


def test_a_quantile_counts_what_is_slower_than_legacy_was_before_the_canary() -> None:
    attempts = in_shadow(QUANTILE, 1000)
    after_one_window(attempts, QUANTILE)

    assert attempts.running["cart"].measures[0].state()["time"][0] == pytest.approx(BEFORE, rel=0.02)


def test_a_mean_cuts_times_where_legacys_slowest_were_before_the_canary() -> None:
    shown = after_one_window(in_shadow(MEAN, 1000), MEAN)

    assert shown.legacy == pytest.approx(1000 * BEFORE, rel=0.02), "though it takes three times as long now"


@METRICS
def test_what_the_former_life_of_control_heard_in_shadow_is_the_reference_too(metric: dict[str, object]) -> None:
    kept = {name: one for name, one in in_shadow(metric, 1000).to_keep().items() if one is not None}

    shown = after_one_window(Attempts(kept), metric)

    assert (shown.legacy_count, shown.candidate_count) == (40, 40)


@METRICS
def test_where_shadow_has_heard_too_little_the_canary_fills_it_up_first(metric: dict[str, object]) -> None:
    shown = after_one_window(in_shadow(metric, 10), metric)

    assert shown.legacy_count == 0
    assert "requests of legacy must come first, as reference" in shown.reason
