"""Whatever is split over workers, arrives interleaved or out of order within a window, or meets a restart of control in
between, is the same evidence as one stream: exchanges, business events and numbers of sources."""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from canary.evidence import Evidence
from canary.gate import judge
from canary.spec import Gate
from canary.steps import Answer, Stretch
from canary.verdict import Verdict
from rules.stages import MILLION
from tests.canary.traffic import START, Columns, gate

SECONDS = 75
EVENTS = ("order_placed", "cart_left")
METRICS: list[dict[str, Any]] = [
    {"name": "errors", "kind": "error_rate", "margin": "1pp"},
    {"name": "resets", "kind": "error_rate", "failures": ["reset"], "margin": "50%"},
    {"name": "p90", "kind": "latency", "quantile": 0.9, "margin": "20%"},
    {"name": "mean", "kind": "latency", "margin": "5%"},
    {"name": "conversion", "kind": "rate", "event": EVENTS[0], "margin": "10%"},
    {"name": "left", "kind": "rate", "event": EVENTS[1], "margin": "30%", "direction": "higher_is_worse"},
    {"name": "revenue", "kind": "mean_per_unit", "event": EVENTS[0], "margin": "20%"},
    {"name": "basket", "kind": "mean_per_event", "event": EVENTS[0], "margin": "20%"},
    {"name": "asked", "kind": "throughput", "margin": "20%"},
    {"name": "conversion_pp", "kind": "rate", "event": EVENTS[0], "margin": "5pp", "within": "20s"},
    {"name": "revenue_abs", "kind": "mean_per_unit", "event": EVENTS[0], "margin": "9 absolute", "within": "20s"},
    {"name": "basket_abs", "kind": "mean_per_event", "event": EVENTS[0], "margin": "2 absolute"},
    {"name": "asked_abs", "kind": "throughput", "margin": "1 absolute", "within": "20s"},
]
WHOLE = gate(metrics=METRICS)
OF_A_SOURCE = {"name": "depth", "kind": "query", "source": "prom", "query": "x", "step": "1s", "margin": "10%"}
WITH_A_SOURCE = gate(metrics=[METRICS[0], OF_A_SOURCE])


def begin(of: Gate = WHOLE) -> Evidence:
    return Evidence("shop", "storefront", of, subject="v2", share=500_000, since=START)


def restarted(evidence: Evidence) -> Evidence:
    """What control has of it after a restart."""
    fresh = begin(evidence.gate)
    fresh.restore(evidence.snapshot())
    return fresh


def told(evidence: Evidence) -> list[float]:
    judgement = judge(evidence.gate, evidence, START + SECONDS)
    shown = [dataclasses.asdict(one) for one in judgement.metrics]
    return [np.nan if value is None else value for one in shown for value in one.values() if not isinstance(value, str)]


def shop(seed: int) -> tuple[Columns, Columns]:
    """Columns of exchanges and of events, second after second; orders follow their unit's first request at once or
    later."""
    rng = np.random.default_rng(seed)
    units = rng.integers(0, 2**64 - 1, 1500, dtype=np.uint64)
    unit = units[rng.integers(0, len(units), 120 * SECONDS)]
    clock = np.sort(START + rng.uniform(0, SECONDS, len(unit)))
    side = _side(unit)
    failure = np.where(rng.random(len(unit)) < 0.03, rng.integers(1, 5, len(unit)), 0).astype(np.uint8)
    exchanges = clock, unit, rng.lognormal(-5, 0.5, len(unit)).astype(np.float32), side, failure
    ordering = np.flatnonzero(rng.random(len(unit)) < 0.6)
    at = np.minimum(clock[ordering] + rng.exponential(0.5, len(ordering)), START + SECONDS - 1e-6)
    worth = np.where(rng.random(len(ordering)) < 0.005, np.nan, rng.lognormal(3, 0.5, len(ordering)))
    which = rng.integers(0, len(EVENTS), len(ordering)).astype(np.uint8)
    events = at, unit[ordering], worth, _side(unit[ordering]), which
    return exchanges, of_columns(events, np.argsort(at))


def _side(unit: Any) -> Any:
    return (unit % np.uint64(MILLION) < np.uint64(500_000)).astype(np.uint8)


def of_columns(columns: Columns, rows: Any) -> Columns:
    return tuple(column[rows] for column in columns)


def by_second(columns: Columns) -> list[Columns]:
    bounds = np.searchsorted(columns[0], START + np.arange(SECONDS + 1))
    return [of_columns(columns, slice(one, other)) for one, other in pairwise(bounds)]


def piecemeal(exchanges: Columns, events: Columns, workers: int, restarts: set[int], seed: int) -> Evidence:
    """Each worker flushes twice a second; nobody knows in which order. A number of `restarts` is that of the batch
    after which control begins anew."""
    rng = np.random.default_rng(seed)
    evidence, batches = begin(), 0
    for both in zip(by_second(exchanges), by_second(events), strict=True):
        batches_of: list[tuple[Any, Columns]] = []
        flushes = 2 * workers
        for columns, take in zip(both, (Evidence.ingest, Evidence.ingest_events), strict=True):
            flush = rng.integers(0, flushes, len(columns[0]))
            for number in range(flushes):
                rows = np.flatnonzero(flush == number)
                batches_of.append((take, of_columns(columns, rng.permutation(rows))))
        for place in rng.permutation(len(batches_of)):
            take, columns = batches_of[place]
            take(evidence, *columns)
            batches += 1
            if batches in restarts:
                evidence = restarted(evidence)
    return evidence


@settings(max_examples=6, deadline=None)
@given(st.integers(1, 5), st.sets(st.integers(0, SECONDS * 10), max_size=3), st.integers(0, 2**32 - 1))
def test_what_workers_tell_piecemeal_over_restarts_is_the_evidence_of_one_stream(
    workers: int, restarts: set[int], seed: int
) -> None:
    exchanges, events = shop(3)
    one = begin()
    for asked, happened in zip(by_second(exchanges), by_second(events), strict=True):
        one.ingest(*asked)
        one.ingest_events(*happened)

    other = piecemeal(exchanges, events, workers, restarts, seed)

    assert other.windows == one.windows
    np.testing.assert_allclose(told(other), told(one), rtol=1e-6)


def numbers(seed: int, steps: int) -> Answer:
    """What a source says of the first steps after START, with holes."""
    rng = np.random.default_rng(seed)
    n = np.where(rng.random((2, steps)) < 0.05, 0.0, rng.integers(1, 9, (2, steps)))
    total = n * rng.normal(40, 3, (2, steps))
    first = int(START) + 1
    return Answer(Stretch(first, first + steps - 1, 1.0), n, total, np.full((2, steps), math.nan))


def part_of(answer: Answer, start: int, end: int) -> Answer:
    stretch = Stretch(answer.stretch.first + start, answer.stretch.first + end - 1, answer.stretch.length)
    return Answer(stretch, *(column[:, start:end] for column in (answer.n, answer.total, answer.squares)))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 400), max_size=12), st.sets(st.integers(0, 12), max_size=3), st.booleans())
def test_a_source_that_is_asked_in_pieces_over_restarts_says_what_it_says_at_once(
    cuts: list[int], restarts: set[int], asked_again: bool
) -> None:
    whole = numbers(5, 400)
    one, other = begin(WITH_A_SOURCE), begin(WITH_A_SOURCE)
    one.sourced[0].take(whole, START + 400)

    for number, (start, end) in enumerate(pairwise([0, *sorted(cuts), 400])):
        if start < end:
            # What was taken before and is told again, with other numbers even, is passed over.
            answer = part_of(whole, 0 if asked_again else start, end)
            other.sourced[0].take(answer, START + 400)
        if number in restarts:
            other = restarted(other)

    np.testing.assert_allclose(told(other), told(one), rtol=1e-9)


def test_a_source_that_was_down_before_a_restart_is_so_after_it_until_it_answers() -> None:
    evidence = begin(WITH_A_SOURCE)
    evidence.sourced[0].take(numbers(6, 70), START + 70)
    evidence.sourced[0].failed("connection refused")

    evidence = restarted(evidence)
    down = judge(WITH_A_SOURCE, evidence, START + 71).metrics[1]
    evidence.sourced[0].take(numbers(6, 72), START + 72)
    up = judge(WITH_A_SOURCE, evidence, START + 72).metrics[1]

    assert (down.verdict, down.reason, down.age) == (Verdict.FAULT, "connection refused (source 'prom')", 1.0)
    assert up.verdict is not Verdict.FAULT
