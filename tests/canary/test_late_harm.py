"""Harm that begins after a good while: found as fast as harm from the start, and not imagined where there is none."""

from __future__ import annotations

import re

import numpy as np
import pytest

from canary.evidence import Evidence
from canary.gate import judge
from canary.measures.measure import CLUSTERS
from canary.measures.onsets import Onsets
from canary.measures.tempering import Tempering
from canary.stats import ratios
from canary.verdict import Judgement, Verdict
from tests.canary.test_gate_verdicts import REFERENCE
from tests.canary.traffic import START, Traffic, begin, fed, gate


def after(good: float, traffic: Traffic) -> Evidence:
    """Evidence of `good` seconds of that traffic."""
    evidence = begin(gate(window="500ms"), share=traffic.share, reference=REFERENCE)
    evidence.ingest(*traffic.between(START, START + good))
    return evidence


def until_rollback(evidence: Evidence, traffic: Traffic, start: float) -> tuple[float, Judgement]:
    """(Seconds from `start`, the judgement) of the first look that rolls back."""
    for now, columns in traffic.batches(40, start=start):
        evidence.ingest(*columns)
        judgement = judge(evidence.gate, evidence, now)
        if judgement.verdict is Verdict.ROLLBACK:
            return now - start, judgement
    raise AssertionError("never rolled back")


@pytest.mark.parametrize("share", [50_000, 500_000])
@pytest.mark.parametrize("good", [30, 300])
def test_a_candidate_that_dies_after_a_good_while_is_rolled_back_within_seconds(share: int, good: float) -> None:
    traffic = Traffic(1, share=share)
    evidence = after(good, traffic)
    traffic.failing = (0.0, 1.0)

    seconds, judgement = until_rollback(evidence, traffic, START + good)

    assert seconds <= 4
    lately, whole = judgement.reason.split("; in the whole attempt +")
    assert re.fullmatch(r"'errors' became worse by more than the harm of 0 pp: .* in the last \d+ windows", lately)
    assert whole.endswith(")"), "the interval of the whole, the evidence and its rule"


def test_a_candidate_that_turns_slow_or_half_fails_after_a_good_while_is_rolled_back_within_seconds() -> None:
    for change in ({"slower": 0.2}, {"failing": (0.0, 0.5)}):
        traffic = Traffic(2)
        evidence = after(120, traffic)
        vars(traffic).update(change)

        assert until_rollback(evidence, traffic, START + 120)[0] <= 8


def test_harm_after_a_good_while_survives_a_restart() -> None:
    traffic = Traffic(3)
    evidence = after(30, traffic)
    traffic.failing = (0.0, 1.0)
    fed(evidence, traffic, 4, start=START + 30)
    again = begin(gate(window="500ms"), reference=REFERENCE)

    again.restore(evidence.snapshot())

    assert judge(again.gate, again, START + 34).verdict is Verdict.ROLLBACK


def test_what_says_nothing_never_weighs_more_than_one() -> None:
    onsets = Onsets(ratios.WEIGHTS, lambda _: 0.0)
    counts = np.ones((2, CLUSTERS))
    for _ in range(500):
        onsets.add(np.zeros(len(ratios.PHI)), np.zeros((2, CLUSTERS)), counts, Tempering(lambda _: 0.0))

        assert onsets.log_evidence() <= 0


def test_equal_candidates_are_hardly_ever_taken_for_ones_that_turned_bad() -> None:
    rng = np.random.default_rng(11)
    exchanges = np.zeros((2, CLUSTERS))
    exchanges[:, :32] = 1.0
    wrong = 0
    for _ in range(40):
        onsets = Onsets(ratios.WEIGHTS, lambda _: 0.0)
        highest = -np.inf
        for window in range(100):
            events = rng.binomial(1, 0.1, (2, CLUSTERS)) * exchanges
            legacy, candidate = events.sum(axis=1)
            logs = ratios.increments(np.array([candidate]), legacy, 32, 32, np.ones(1))[0][0]
            onsets.add(logs, events, exchanges, Tempering(lambda _: 0.0))
            if window % 5 == 0:
                highest = max(highest, onsets.log_evidence())
        wrong += highest >= np.log(20)

    assert wrong <= 6  # 40 runs at 5 %: more have a probability below 1 %


def test_noise_that_the_attempt_has_shown_tempers_what_comes_and_the_noise_of_the_last_spell_does_not_yet() -> None:
    rng = np.random.default_rng(12)
    nothing, counts = np.zeros((2, CLUSTERS)), np.ones((2, CLUSTERS))
    noisy, calm = Tempering(lambda _: 0.0), Tempering(lambda _: 0.0)
    for _ in range(64):
        noisy.add(rng.binomial(1, rng.uniform(0, 0.2, 2)[:, None], (2, CLUSTERS)).astype(float), counts)

    def after(spells: int, overall: Tempering) -> float:
        onsets = Onsets(ratios.WEIGHTS, lambda _: 0.0)
        for _ in range(spells * 15):
            onsets.add(np.zeros(len(ratios.PHI)), nothing, counts, overall)
        onsets.add(np.full(len(ratios.PHI), 30.0), nothing, counts, overall)
        return onsets.log_evidence()

    assert after(3, noisy) < after(3, calm)
    assert after(1, noisy) == after(1, calm)
