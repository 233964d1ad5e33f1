"""Evidence follows routes: begun, continued, ended and restored as they move."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from canary.attempts import Attempts
from canary.rollout import Rollout
from canary.verdict import Verdict
from proxy.wire import ROW
from rules.stages import Stage
from tests.canary.traffic import START, Traffic, gate

CANARY = Rollout(Stage.CANARY, 250_000, since=START, began=START, subject="v2")


def rows(traffic: Traffic, begin: float, end: float) -> np.ndarray:
    clock, unit, seconds, side, failure = traffic.between(begin, end)
    table = np.zeros(len(clock), ROW)
    for name, column in (("clock", clock), ("unit", unit), ("seconds", seconds), ("side", side), ("failure", failure)):
        table[name] = column
    return table


def flown(attempts: Attempts, seed: int = 1, begin: float = 0, end: float = 40) -> Attempts:
    attempts.ingest("shop", rows(Traffic(seed), START + begin, START + end), share=250_000)
    return attempts


def begun() -> Attempts:
    attempts = Attempts()
    attempts.follow("shop", CANARY, "storefront", gate())
    return attempts


def test_rows_as_workers_send_them_lead_to_a_verdict() -> None:
    attempts = flown(begun())

    assert attempts.judge("shop", START + 40).verdict is Verdict.PROMOTE


def test_a_route_outside_canary_has_no_evidence_and_is_a_fault() -> None:
    attempts = flown(begun())
    attempts.follow("shop", replace(CANARY, stage=Stage.SHADOW, share=0), "storefront", gate())
    flown(attempts)  # rows that were on their way

    assert "shop" not in attempts
    assert attempts.judge("shop", START + 40).verdict is Verdict.FAULT


def test_a_change_of_share_goes_on_with_the_same_evidence() -> None:
    attempts = flown(begun())
    before = attempts["shop"]
    attempts.follow("shop", replace(CANARY, share=500_000, since=START + 40), "storefront", gate())

    assert attempts["shop"] is before
    assert before.share == 500_000


def test_another_candidate_attempt_or_gate_begins_anew() -> None:
    for rollout, of in (
        (replace(CANARY, subject="v3"), gate()),
        (replace(CANARY, began=START + 50), gate()),
        (CANARY, gate(alpha="1%")),
    ):
        attempts = flown(begun())
        attempts.follow("shop", rollout, "storefront", of)

        assert attempts["shop"].requests.sum() == 0


def test_evidence_survives_a_restart_of_the_process() -> None:
    former = flown(begun())
    attempts = begun()

    attempts.restore(former.snapshots())

    assert attempts.judge("shop", START + 40) == former.judge("shop", START + 40)


def test_a_restored_share_is_the_one_that_stands_now() -> None:
    former = flown(begun())
    attempts = Attempts()
    attempts.follow("shop", replace(CANARY, share=500_000), "storefront", gate())

    attempts.restore(former.snapshots())

    assert attempts["shop"].share == 500_000
    assert attempts["shop"].requests.sum() > 0


def test_damaged_or_foreign_snapshots_begin_anew() -> None:
    attempts = begun()

    attempts.restore({"shop": b"damaged", "gone": b""})

    assert attempts["shop"].requests.sum() == 0


def test_routes_that_left_are_forgotten() -> None:
    attempts = begun()

    attempts.keep(frozenset())

    assert "shop" not in attempts
