"""Every case of kayenta.json (published tests of Kayenta's judge): the compatible judge answers all as Kayenta does,
and where fig's own manner answers otherwise, the case is listed with the divergence that is its reason."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from canary.kayenta import preparing, scheduling, scoring
from canary.kayenta.classifying import Classified, Label, Strictness, classify, mean_inequality
from canary.kayenta.divergences import AS_KAYENTA, DIVERGENCES, MENDED, Manner
from canary.kayenta.terms import Direction, EffectMeasure, EffectSize, KayentaMetric, NanStrategy
from canary.stats import rank

PLACE = Path(os.environ.get("FIG_CASES") or Path(__file__).parents[2] / "../shared/cases").resolve() / "kayenta.json"
CASES: list[dict[str, Any]] = json.loads(PLACE.read_text())["cases"] if PLACE.exists() else []
NAMES = [f"{case['kind']}: {case['name']}" for case in CASES]
MEASURES = {"meanRatio": EffectMeasure.MEAN_RATIO, "cles": EffectMeasure.CLES}

DELIBERATE = {
    "Mann-Whitney Missing Experiment Data with NaN Replacement": "absence-replaced",
}
"""Case -> the divergence because of which fig's own manner does not answer as Kayenta."""


def values(found: Any) -> np.ndarray:
    return np.array([float(value) for value in found or ()], np.float64)


def sides(case: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    return values(case["control"]), values(case["experiment"])


def classified(case: dict[str, Any], manner: Manner) -> Classified:
    params = case["params"]
    legacy, candidate = sides(case)
    direction = Direction(case["direction"])
    if params["classifier"] == "MeanInequality":
        return mean_inequality(legacy, candidate, direction)
    terms = KayentaMetric(
        direction=direction,
        nan=NanStrategy("remove" if params["nanStrategy"] == "none" else params["nanStrategy"]),
        effect=EffectSize(
            measure=MEASURES[params["effectSizeMeasure"]],
            allowed_increase=params["allowedIncrease"],
            allowed_decrease=params["allowedDecrease"],
            critical_increase=params["criticalIncrease"],
            critical_decrease=params["criticalDecrease"],
        ),
    )
    return classify(
        legacy,
        candidate,
        terms,
        critical=params["critical"],
        data_demanded=params["mustHaveData"],
        strictness=Strictness(params["tolerance"], params["confLevel"]),
        manner=manner,
    )


def check_classify(case: dict[str, Any]) -> None:
    found, expected = classified(case, AS_KAYENTA), case["expected"]
    assert set(expected) <= {"classification", "critical", "deviation", "reason_nonempty"}
    if "classification" in expected:
        assert found.label == Label(expected["classification"])
    if "critical" in expected:
        assert found.critical == expected["critical"]
    if "deviation" in expected:
        assert found.deviation == expected["deviation"]
    assert found.reason


def check_issue_complaint(case: dict[str, Any]) -> None:
    assert classified(case, AS_KAYENTA).label == Label(case["expected"]["kayenta_classification"])


def check_wilcoxon_diff(case: dict[str, Any]) -> None:
    legacy, candidate = sides(case)
    found = rank.score(candidate, legacy, case["params"]["mu"]) - case["params"]["quantile"]
    assert found == pytest.approx(case["expected"]["value"], abs=case["expected"]["abs_tol"])


def check_mann_whitney_ci(case: dict[str, Any]) -> None:
    legacy, candidate = sides(case)
    found, expected = rank.shift(candidate, legacy, case["params"]["confLevel"]), case["expected"]
    assert case["params"]["mu"] == 0
    assert found.low == pytest.approx(expected["ci_low"], abs=expected["ci_abs_tol"])
    assert found.high == pytest.approx(expected["ci_high"], abs=expected["ci_abs_tol"])
    assert found.estimate == pytest.approx(expected["estimate"], abs=expected["estimate_abs_tol"])


def outliers(case: dict[str, Any]) -> np.ndarray:
    _, found = sides(case)
    params = case["params"]
    if params["detector"] == "KSigmaDetector":
        return preparing.beyond_deviations(found, params["k"])
    assert params["detector"] == "IQRDetector"
    return preparing.outside_quartiles(found, params["factor"], reduced=params.get("reduceSensitivity", False))


def check_outlier_mask(case: dict[str, Any]) -> None:
    assert outliers(case).tolist() == case["expected"]["mask"]


def check_transform(case: dict[str, Any]) -> None:
    _, found = sides(case)
    if case["params"]["transform"] == "removeNaNs":
        found = preparing.without_nan(found)
    elif case["params"]["transform"] == "replaceNaNs":
        found = preparing.prepared(found, KayentaMetric(nan=NanStrategy.REPLACE))
    else:
        assert case["params"]["transform"] == "removeOutliers"
        found = found[~outliers(case)]
    assert found.tolist() == case["expected"]["values"]


def check_score(case: dict[str, Any]) -> None:
    params = case["params"]
    assert params["nodataThresholdPercent"] == scoring.NODATA_MOST
    metrics = [
        scoring.Scored(
            one["name"], Label(one["classification"]), one["critical"], tuple(one["groups"]), one.get("muted", False)
        )
        for one in params["results"]
    ]
    found = scoring.score(metrics, params["groupWeights"])
    assert found.value == case["expected"]["summaryScore"]
    if "groupScores" in case["expected"]:
        assert sorted(group.score for group in found.groups) == sorted(case["expected"]["groupScores"])


def check_summary(case: dict[str, Any]) -> None:
    _, given = sides(case)
    found, expected = preparing.summary(given), case["expected"]
    assert set(expected) <= {"count", "mean", "min", "max", "std", "std_abs_tol"}
    assert (found.count, found.mean) == (expected["count"], expected["mean"])
    assert (found.least, found.most) == (expected["min"], expected["max"])
    assert found.deviation == pytest.approx(expected["std"], abs=expected.get("std_abs_tol", 0))


def check_percentile_r7(case: dict[str, Any]) -> None:
    found = preparing.percentile(sides(case)[1], case["params"]["p"])
    assert found == pytest.approx(case["expected"]["value"], abs=case["expected"]["abs_tol"])


def check_effect_size(case: dict[str, Any]) -> None:
    legacy, candidate = sides(case)
    sizes = {"meanRatio": rank.mean_ratio, "cles": rank.common_language, "cohenD": rank.cohen_d}
    found, expected = sizes[case["params"]["measure"]](candidate, legacy), case["expected"]
    if expected["value"] == "NaN":
        assert math.isnan(found)
    else:
        assert found == pytest.approx(expected["value"], abs=expected["abs_tol"])


def check_aggregate(case: dict[str, Any]) -> None:
    params = case["params"]
    found = scoring.passes(params["finalScore"], params["marginal"], params["pass"])
    assert found == case["expected"]["didPassThresholds"]


def check_judgement_window(case: dict[str, Any]) -> None:
    params, expected = case["params"], case["expected"]
    schedule = scheduling.Schedule(
        params["intervalMins"],
        params["lookbackMins"],
        params["beginAfterMins"],
        params["startMin"],
        params.get("controlOffsetMins", 0),
    )
    found = schedule.candidate(0, params["judgementNumber"])
    legacy = schedule.legacy(0, params["judgementNumber"])
    names = {
        "startMin": found.start,
        "endMin": found.end,
        "experimentStartMin": found.start,
        "experimentEndMin": found.end,
        "controlStartMin": legacy.start,
        "controlEndMin": legacy.end,
    }
    assert expected == {name: names[name] for name in expected}


def check_mix_backfill(case: dict[str, Any]) -> None:
    params = case["params"]
    expected = (params["endMs"] - params["startMs"]) // params["stepMs"]
    legacy, candidate = preparing.filled_up(*sides(case), expected)
    np.testing.assert_array_equal(legacy, values(case["expected"]["control"]))
    np.testing.assert_array_equal(candidate, values(case["expected"]["experiment"]))


@pytest.mark.skipif(not CASES, reason=f"{PLACE} is not here: set FIG_CASES to the folder of published cases")
@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_the_compatible_judge_answers_as_kayenta(case: dict[str, Any]) -> None:
    globals()[f"check_{case['kind']}"](case)  # a kind that nobody knows here is a failure, not a skip


@pytest.mark.skipif(not CASES, reason=f"{PLACE} is not here: set FIG_CASES to the folder of published cases")
@pytest.mark.parametrize(
    "case", [case for case in CASES if case["kind"] in ("classify", "issue_complaint")], ids=lambda case: case["name"]
)
def test_figs_own_manner_answers_otherwise_only_where_that_is_listed(case: dict[str, Any]) -> None:
    same = classified(case, AS_KAYENTA).label == classified(case, MENDED).label

    assert same == (case["name"] not in DELIBERATE)


def test_what_is_done_otherwise_has_a_reason_by_name() -> None:
    assert set(DELIBERATE.values()) <= {one.name for one in DIVERGENCES}


def test_the_page_tells_every_divergence_as_the_code_does() -> None:
    page = (Path(__file__).parents[2] / "docs" / "kayenta.md").read_text()

    for one in DIVERGENCES:
        assert f"| {one.name} | {one.kayenta} | {one.fig} | {'yes' if one.fails_open else 'no'} |" in page
