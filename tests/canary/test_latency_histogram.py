"""Latency histograms: error, quantiles, merging."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary import histogram

durations = st.floats(min_value=2e-6, max_value=9e4)


@given(durations)
def test_a_bucket_stands_for_its_durations_within_one_percent(duration: float) -> None:
    assert histogram.seconds(histogram.index(duration)) == pytest.approx(duration, rel=0.01 + 1e-9)


@given(st.lists(durations, min_size=1, max_size=50))
def test_many_durations_at_once_fall_where_one_at_a_time_does(times: list[float]) -> None:
    places = histogram.offsets(np.array(times)) + histogram.FIRST

    assert places.tolist() == [histogram.index(t) for t in times]


@pytest.mark.parametrize("odd", [0.0, -1.0, math.nan, math.inf, 1e300])
def test_no_duration_leaves_the_buckets(odd: float) -> None:
    assert 0 <= histogram.index(odd) - histogram.FIRST < histogram.SIZE
    assert histogram.offsets(np.array([odd])).tolist() == [histogram.index(odd) - histogram.FIRST]


@given(st.lists(durations, min_size=1, max_size=200), st.sampled_from([0.0, 0.5, 0.9, 0.99, 1.0]))
def test_a_quantile_is_within_one_percent_of_the_exact_one(times: list[float], q: float) -> None:
    counts: dict[int, int] = {}
    for t in times:
        counts = histogram.merge(counts, {histogram.index(t): 1})

    exact = float(np.quantile(times, q, method="inverted_cdf"))

    assert histogram.quantile(counts, q) == pytest.approx(exact, rel=0.01 + 1e-9)


def test_nothing_has_no_quantile() -> None:
    assert histogram.quantile({}, 0.5) is None


@given(st.dictionaries(st.integers(histogram.FIRST, histogram.FIRST + histogram.SIZE - 1), st.integers(1, 1000)))
def test_a_histogram_survives_its_dense_form(counts: dict[int, int]) -> None:
    assert histogram.sparse(histogram.dense(counts)) == counts


def test_an_index_of_another_histogram_is_refused() -> None:
    with pytest.raises(IndexError, match="no bucket"):
        histogram.dense({histogram.FIRST - 1: 1})


@given(st.dictionaries(st.integers(histogram.FIRST, histogram.FIRST + histogram.SIZE - 1), st.integers(1, 2**32 - 1)))
def test_a_histogram_survives_the_journey(counts: dict[int, int]) -> None:
    assert histogram.unpacked(histogram.packed(counts)) == counts


def test_half_a_bucket_is_refused() -> None:
    with pytest.raises(ValueError, match="buffer size"):
        histogram.unpacked(histogram.packed({0: 1})[:-1])
