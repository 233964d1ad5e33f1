"""Laws of Kayenta's judge that no published case covers, in its own manner and in fig's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canary.kayenta.classifying import Classified, Label, Strictness, classify
from canary.kayenta.divergences import AS_KAYENTA, MENDED, Manner
from canary.kayenta.scoring import Outcome, Scored, group_scores, outcome, score
from canary.kayenta.terms import Direction, EffectMeasure, EffectSize, KayentaMetric, NanStrategy, Outliers

SIDES = st.lists(st.integers(0, 40), min_size=2, max_size=40).map(lambda found: np.array(found, np.float64))
few_examples = settings(max_examples=30)
"""Each compares twice, at several milliseconds."""
MIRROR = {Label.HIGH: Label.LOW, Label.LOW: Label.HIGH, Label.PASS: Label.PASS}


def labelled(legacy: np.ndarray, candidate: np.ndarray, manner: Manner = MENDED, **terms: Any) -> Classified:
    return classify(legacy, candidate, KayentaMetric(**terms), manner=manner)


@few_examples
@given(SIDES, SIDES)
def test_sides_that_change_places_change_high_and_low(one: np.ndarray, other: np.ndarray) -> None:
    cles = EffectSize(measure=EffectMeasure.CLES)

    there, back = labelled(one, other, effect=cles), labelled(other, one, effect=cles)

    assert back.label == MIRROR[there.label]


@few_examples
@given(SIDES, SIDES, st.sampled_from([2.0**-20, 2.0**-8, 2.0**10]))
def test_figs_manner_does_not_depend_on_the_unit(one: np.ndarray, other: np.ndarray, unit: float) -> None:
    assert labelled(one * unit, other * unit).label == labelled(one, other).label


def test_kayentas_manner_depends_on_the_unit() -> None:
    chance = np.random.default_rng(1)
    seconds = chance.lognormal(-11, 0.1, 60)

    found = {
        (manner is MENDED, unit): labelled(seconds * unit, seconds * 1.5 * unit, manner).label
        for manner in (AS_KAYENTA, MENDED)
        for unit in (1.0, 1e6)
    }

    assert found[False, 1e6] == found[True, 1.0] == found[True, 1e6] == Label.HIGH
    assert found[False, 1.0] == Label.PASS


@few_examples
@given(SIDES, SIDES, st.sampled_from(list(Direction)))
def test_a_direction_only_takes_failures_away(one: np.ndarray, other: np.ndarray, direction: Direction) -> None:
    either, asked = labelled(one, other), labelled(one, other, direction=direction)

    assert asked.label in (either.label, Label.PASS)
    if direction is Direction.INCREASE:
        assert asked.label is not Label.LOW


@few_examples
@given(SIDES, SIDES, st.floats(0, 3), st.floats(0, 3))
def test_allowing_more_never_finds_more(one: np.ndarray, other: np.ndarray, less: float, more: float) -> None:
    less, more = sorted((less, more))

    strict = labelled(one, other, direction="increase", effect=EffectSize(allowed_increase=less))
    lenient = labelled(one, other, direction="increase", effect=EffectSize(allowed_increase=more))

    assert not (lenient.label is Label.HIGH and strict.label is Label.PASS)


@few_examples
@given(SIDES, SIDES, st.integers(0, 10))
def test_points_without_a_value_are_removed_or_are_nothing(one: np.ndarray, other: np.ndarray, holes: int) -> None:
    absent = np.concatenate((other, np.full(holes, np.nan)))

    assert labelled(one, absent).label == labelled(one, other).label
    zeros = np.concatenate((other, np.zeros(holes)))
    assert labelled(one, absent, nan=NanStrategy.REPLACE).label == labelled(one, zeros).label


def test_an_outlier_is_removed_only_where_that_is_asked_and_among_enough() -> None:
    few, many = np.tile([9.0, 10.0, 11.0], 20), np.tile([9.0, 10.0, 11.0], 50)

    for values, removed in ((many, True), (few, False)):  # the 99th percentile of few is their largest
        candidate = np.append(values, 1e6)
        assert labelled(values, candidate, outliers=Outliers.KEEP).deviation > 100
        assert (labelled(values, candidate, outliers=Outliers.REMOVE).deviation == 1.0) == removed


def test_errors_that_begin_at_none_are_seen_in_figs_manner_only() -> None:
    legacy, candidate = np.zeros(60), np.full(60, 0.02)
    allowed = {"direction": "increase", "effect": EffectSize(allowed_increase=1.1)}

    assert labelled(legacy, candidate, AS_KAYENTA, **allowed).label is Label.PASS
    assert labelled(legacy, candidate, **allowed).label is Label.HIGH


def test_a_drop_to_nothing_is_seen_in_figs_manner_only() -> None:
    legacy, candidate = np.linspace(9, 11, 60), np.zeros(60)
    allowed = {"direction": "decrease", "effect": EffectSize(allowed_decrease=0.9)}

    assert labelled(legacy, candidate, AS_KAYENTA, **allowed).label is Label.PASS
    assert labelled(legacy, candidate, **allowed).label is Label.LOW


def test_a_side_without_data_passes_in_kayentas_manner_only() -> None:
    some, none = np.ones(60), np.zeros(0)

    assert labelled(some, none, AS_KAYENTA, nan=NanStrategy.REPLACE).label is Label.PASS
    assert labelled(some, none, nan=NanStrategy.REPLACE).label is Label.NODATA


def test_a_critical_metric_fails_the_whole_only_from_its_critical_effect_on() -> None:
    legacy = np.linspace(9, 11, 60)
    terms = KayentaMetric(effect=EffectSize(critical_increase=2))

    for factor, fatal in ((1.5, False), (2.5, True)):
        found = classify(legacy, legacy * factor, terms, critical=True, strictness=Strictness(), manner=MENDED)
        assert (found.label, found.critical) == (Label.HIGH, fatal)


LABELS = st.lists(st.sampled_from([Label.PASS, Label.HIGH, Label.LOW, Label.NODATA, Label.ERROR]), min_size=1)


@given(LABELS, st.integers(1, 3))
def test_a_score_lies_between_nothing_and_a_hundred_and_a_failure_never_raises_it(
    labels: list[Label], groups: int
) -> None:
    metrics = [Scored(str(i), label, False, (f"g{i % groups}",)) for i, label in enumerate(labels)]
    whole = score(metrics, {})

    assert 0 <= whole.value <= 100
    for i, one in enumerate(metrics):
        if one.label is Label.PASS:
            worse = [*metrics[:i], replace(one, label=Label.HIGH), *metrics[i + 1 :]]
            assert score(worse, {}).value <= whole.value


@given(LABELS)
def test_muted_metrics_change_nothing(labels: list[Label]) -> None:
    heard = [Scored("heard", Label.PASS, False, ("g",))]
    muted = [Scored(str(i), label, True, ("g",), muted=True) for i, label in enumerate(labels)]

    assert score(heard + muted, {}) == score(heard, {})


def test_a_group_counts_those_that_have_data() -> None:
    labels = (Label.PASS, Label.HIGH, Label.NODATA, Label.NODATA_FAIL)
    (found,) = group_scores([Scored(str(label), label, False, ("g",)) for label in labels])

    assert found.score == pytest.approx(100 / 3)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(95, Outcome.PASS), (94.99, Outcome.MARGINAL), (75, Outcome.MARGINAL), (74.99, Outcome.FAIL)],
)
def test_a_threshold_belongs_to_the_better_side(value: float, expected: Outcome) -> None:
    assert outcome(value, 95, 75) is expected
