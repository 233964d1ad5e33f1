"""The watch after a route went live: its own canary is what it is held against."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from canary import histogram, snapshot
from canary.snapshot import SnapshotError
from canary.spec import Gate
from canary.watch import Standard, Watch, decode, encode, unwatched

GATE = Gate.model_validate(
    {
        "metrics": [
            {"name": "errors", "kind": "error_rate", "margin": "1pp"},
            {"name": "p95", "kind": "latency", "quantile": 0.95, "margin": "30%"},
            {"name": "mean", "kind": "latency", "margin": "20%"},
        ]
    }
)


def fed(one: Any, *, seconds: int, seed: int, failing: float = 0.01, slower: float = 1.0, start: float = 0.0) -> Any:
    """A tally of 50 exchanges of lognormal times each second."""
    rng = np.random.default_rng(seed)
    for second in range(seconds):
        n = int(rng.poisson(50))
        times = 0.02 * slower * np.exp(rng.normal(0, 0.5, n))
        counts = np.bincount(histogram.offsets(times), minlength=histogram.SIZE)
        one.add(n, int(rng.binomial(n, failing)), histogram.sparse(counts), start + second)
    return one


@pytest.fixture(scope="module")
def standard() -> Standard:
    known: Standard = fed(Standard(GATE), seconds=300, seed=1)
    return known


def test_what_stays_as_it_was_in_the_canary_is_left_alone(standard: Standard) -> None:
    worse = [fed(Watch.of(standard, 0.05), seconds=900, seed=seed).worse() for seed in range(2, 12)]

    assert worse == [""] * 10


def test_what_is_worse_within_the_margin_is_left_alone(standard: Standard) -> None:
    assert fed(Watch.of(standard, 0.05), seconds=900, seed=2, failing=0.017, slower=1.2).worse() == ""


def test_failures_beyond_the_margin_are_proven_within_seconds(standard: Standard) -> None:
    said = fed(Watch.of(standard, 0.05), seconds=20, seed=2, failing=0.2).worse()

    assert said.startswith("'errors' is worse than in its own canary: ")
    assert "% in the canary, margin 1pp; at most" in said
    assert len(said) < 200, "evidence is rounded as everywhere"


def test_slowness_beyond_the_margin_is_proven(standard: Standard) -> None:
    assert "'p95' is worse" in fed(Watch.of(standard, 0.05), seconds=60, seed=2, slower=2.0).worse()


def test_harm_that_begins_late_is_found_as_fast(standard: Standard) -> None:
    watch = fed(Watch.of(standard, 0.05), seconds=1800, seed=3)
    assert watch.worse() == ""

    assert fed(watch, seconds=20, seed=4, failing=0.3, start=1800.0).worse()


def test_without_a_canary_that_showed_enough_there_is_nothing_to_hold_it_against() -> None:
    watch = Watch.of(fed(Standard(GATE), seconds=3, seed=1), 0.05)

    assert watch.bounds == ()
    assert fed(watch, seconds=20, seed=2, failing=1.0).worse() == ""


def test_a_relative_margin_is_of_the_canarys_own_rate(standard: Standard) -> None:
    doubled = Gate.model_validate({"metrics": [{"name": "errors", "kind": "error_rate", "margin": "100%"}]})
    known: Standard = fed(Standard(doubled), seconds=300, seed=1)

    assert fed(Watch.of(known, 0.05), seconds=900, seed=2, failing=0.018).worse() == ""
    assert fed(Watch.of(known, 0.05), seconds=300, seed=2, failing=0.06).worse()


def in_bursts(one: Any, *, seconds: int, seed: int, start: float = 0.0) -> Any:
    """50 exchanges a second; in every twentieth second 15 of them fail."""
    rng = np.random.default_rng(seed)
    for second in range(seconds):
        failed = 15 if rng.random() < 0.05 else 0
        one.add(50, failed, {histogram.index(0.02): 50 - failed}, start + second)
    return one


def test_bursts_that_the_canary_had_too_are_not_worse() -> None:
    errors = Gate.model_validate({"metrics": [{"name": "errors", "kind": "error_rate", "margin": "1pp"}]})
    known: Standard = in_bursts(Standard(errors), seconds=600, seed=1)

    assert known.bounds()[0].dispersion(50) > 5
    assert [in_bursts(Watch.of(known, 0.05), seconds=600, seed=seed).worse() for seed in range(2, 12)] == [""] * 10


def add_minute(one: Any, minute: int, n: int, rng: np.random.Generator, failing: float = 0.01) -> None:
    """A window of n exchanges; how many of them fail is noise that all of the window share."""
    failed = int(rng.binomial(n, failing * np.exp(rng.normal(0, 0.5) - 0.125)))
    one.add(0, 0, {}, 60.0 * minute)
    one.add(n, failed, {histogram.index(0.02): n - failed}, 60.0 * (minute + 1))


def minutes_until_worse(seed: int, failing: float) -> int | None:
    """Of two hours of 1000 exchanges a second, after 20 min each of 1 % and 5 % of them."""
    noisy = Gate.model_validate(
        {"metrics": [{"name": "errors", "kind": "error_rate", "margin": "0.2pp"}], "window": "60s", "silence": "10m"}
    )
    rng = np.random.default_rng(seed)
    known = Standard(noisy)
    for minute in range(40):
        add_minute(known, minute, 600 if minute < 20 else 3000, rng)
    watch = Watch.of(known, 0.05)
    for minute in range(120):
        add_minute(watch, minute, 60_000, rng, failing)
        if watch.worse():
            return minute + 1
    return None


def test_what_the_exchanges_of_a_window_share_weighs_more_the_more_they_are() -> None:
    worse = [minutes_until_worse(seed, failing=0.01) for seed in range(20)]

    assert sum(minute is not None for minute in worse) <= 1, "alpha of 20"


def test_harm_beyond_the_noise_is_found_within_minutes() -> None:
    found = [minutes_until_worse(seed, failing=0.04) or 999 for seed in range(10)]

    assert max(found) <= 15
    assert np.median(found) <= 3


def test_however_many_spells_there_are_their_weights_make_one(standard: Standard) -> None:
    """An e-value is 1 where nothing speaks either way; else every spell more would bring a rollback nearer."""
    watch = Watch.of(standard, 0.05)
    for spells in watch._spells:
        for one in spells:
            for _ in range(2000):
                one.add(0, 0)

    assert [np.exp(log) for log in watch.evidence()] == pytest.approx([1.0, 1.0], abs=0.1)
    assert max(watch.evidence()) <= 0.0


def test_exchanges_without_an_answer_are_slower_than_all(standard: Standard) -> None:
    watch = Watch.of(standard, 0.05)
    for second in range(20):
        watch.add(50, 0, {}, float(second))

    assert "'p95' is worse" in watch.worse()


def test_it_survives_a_restart(standard: Standard) -> None:
    watch = fed(Watch.of(standard, 0.05), seconds=40, seed=5, failing=0.03)

    known = decode(encode("v1", 7.0, standard, watch, 9.0), GATE)

    assert (known.subject, known.began, known.since) == ("v1", 7.0, 9.0)
    assert known.watch is not None
    assert known.watch.evidence() == watch.evidence()
    assert fed(known.watch, seconds=40, seed=6, failing=0.2).evidence() == pytest.approx(
        fed(watch, seconds=40, seed=6, failing=0.2).evidence(), rel=0.2
    ), "but for the open window"


def test_what_a_version_before_kept_is_refused(standard: Standard) -> None:
    """It held a dispersion, of which no correlation can be made."""
    kept = snapshot.decode(encode("v1", 7.0, standard, Watch.of(standard, 0.05), 9.0))

    with pytest.raises(SnapshotError, match="version"):
        decode(snapshot.encode({**kept, "version": 1}), GATE)


def test_failures_of_some_kinds_alone_are_not_watched() -> None:
    """Tallies tell kinds of failures, but not which of them a metric counts."""
    some = Gate.model_validate(
        {
            "metrics": [
                {"name": "timeouts", "kind": "error_rate", "failures": ["timeout"], "margin": "1pp"},
                {"name": "p95", "kind": "latency", "quantile": 0.95, "margin": "30%"},
            ]
        }
    )

    assert [metric.name for metric in Standard(some).metrics] == ["p95"]
    assert unwatched(some) == "nobody watches 'timeouts'"


def test_what_was_kept_for_another_gate_is_refused(standard: Standard) -> None:
    other = GATE.model_copy(update={"metrics": GATE.metrics[:1]})

    with pytest.raises(SnapshotError, match="another gate"):
        decode(encode("v1", 7.0, standard, None, 0.0), other)
    with pytest.raises(SnapshotError):
        decode(b"\x93nothing", GATE)
