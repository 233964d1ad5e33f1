"""Judgements as JSON, Markdown and text: complete, read back, and safe with odd names."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary import report, words
from canary.verdict import Judgement, MetricJudgement, Verdict

METRIC = MetricJudgement(
    name="errors",
    kind="error_rate",
    legacy=0.2,
    candidate=20.0,
    legacy_count=812,
    candidate_count=90,
    unit="%",
    estimate=0.198,
    low=0.05,
    high=None,
    margin=0.005,
    harm=0.0,
    relative=False,
    evidence_promote=0.0,
    evidence_rollback=5.1e6,
    required=True,
    critical=True,
    verdict=Verdict.ROLLBACK,
    reason="worse than legacy by more than 0 pp",
)
JUDGEMENT = Judgement(
    route="shop",
    gate="storefront",
    verdict=Verdict.ROLLBACK,
    reason="'errors' is worse",
    alpha=0.05,
    metrics=(
        METRIC,
        replace(METRIC, name="p99", kind="latency", unit="ms", relative=True, verdict=Verdict.PROMOTE),
        replace(METRIC, name="p50", kind="latency", unit="ms", verdict=Verdict.KEEP_WATCHING, required=False),
        replace(METRIC, name="conversion", kind="rate", legacy=None, verdict=Verdict.FAULT),
    ),
    legacy_requests=812,
    candidate_requests=90,
    since=1_700_000_000.0,
    at=1_700_000_060.0,
)

floats = st.none() | st.floats(-1e9, 1e9)
metrics = st.builds(
    replace,
    st.just(METRIC),
    name=st.text(),
    legacy=floats,
    candidate=floats,
    estimate=floats,
    low=floats,
    high=floats,
    evidence_promote=st.floats(0, 1e300),
    relative=st.booleans(),
    kind=st.sampled_from(["error_rate", "latency"]),
    verdict=st.sampled_from(list(Verdict)),
    reason=st.text(),
    more_needed=st.none() | st.integers(1, 10**9),
)
judgements = st.builds(
    replace, st.just(JUDGEMENT), route=st.text(), reason=st.text(), metrics=st.lists(metrics, max_size=3).map(tuple)
)


@given(judgements)
def test_a_judgement_survives_json(judgement: Judgement) -> None:
    assert report.from_dict(json.loads(json.dumps(report.to_dict(judgement)))) == judgement


@given(judgements)
def test_markdown_keeps_its_table_whatever_the_names(judgement: Judgement) -> None:
    lines = report.to_markdown(judgement).split("\n")
    rows = [line for line in lines if line.startswith("| ")]

    assert len(rows) == (len(judgement.metrics) + 2 if judgement.metrics else 0)
    assert all(line.replace("\\\\", "").replace("\\|", "").count("|") == 9 for line in rows)


def test_markdown_shows_numbers_a_reviewer_can_judge_by() -> None:
    page = report.to_markdown(JUDGEMENT)

    for part in ("shop: rollback", "0.2 %", "20 %", "+19.8 pp", "0.5 pp", "critical", "watched only", "812"):
        assert part in page


def test_text_begins_with_the_verdict() -> None:
    assert report.to_text(JUDGEMENT).startswith("shop: rollback\n  'errors' is worse\n")


def test_text_says_of_a_metric_all_that_a_stranger_needs_to_judge_the_judgement() -> None:
    metric = replace(METRIC, rollback_due=80.0, more_needed=1200, low=-0.0005, high=0.198)
    page = report.to_text(replace(JUDGEMENT, metrics=(metric,), harm=2.5e6, harm_due=40.0))

    assert page.split("\n\n")[1].split("\n") == [
        "  errors (error_rate, critical): rollback",
        "    worse than legacy by more than 0 pp",
        "    legacy     0.2 % of 812",
        "    candidate  20 % of 90",
        "    worse by   +19.8 pp [-0.05 pp, +19.8 pp]",
        "    allowed    margin 0.5 pp, harm 0 pp",
        "    evidence   to promote 0 of 20, to roll back 5.1e+06 of 80 alone",
        "    missing    about 1,200 more requests a side, some 13 min at this rate",
    ]
    for part in (
        "812 requests of legacy",
        "90 of the candidate",
        "alpha 5 %",
        "to roll back: 2.5e+06 of 40",
        "22:14:20 UTC",
    ):
        assert part in page.split("\n\n")[2]


@pytest.mark.parametrize(
    "document", [None, [], {}, {"route": "shop"}, report.to_dict(JUDGEMENT) | {"verdict": "maybe"}]
)
def test_what_is_no_judgement_is_refused(document: Any) -> None:
    with pytest.raises(report.ReportError, match="not a judgement"):
        report.from_dict(document)


def test_numbers_that_json_does_not_have_become_null() -> None:
    odd = replace(JUDGEMENT, metrics=(replace(METRIC, estimate=float("inf")),))

    assert report.to_dict(odd)["metrics"][0]["estimate"] is None


@pytest.mark.parametrize(
    ("value", "changes", "text"),
    [
        (0.042, {"relative": True}, "+4.2 %"),
        (48.1, {"relative": True}, "+4,810 %"),
        (-0.0031, {}, "-0.31 pp"),
        (0.0123, {"kind": "latency"}, "+12.3 ms"),
        (None, {}, "?"),
    ],
)
def test_differences_are_written_in_their_own_measure(value: float | None, changes: dict[str, Any], text: str) -> None:
    assert words.difference(value, replace(METRIC, **changes)) == text


@pytest.mark.parametrize(("at", "text"), [(1.7e9, "2023-11-14 22:13:20 UTC"), (1e300, "?"), (float("nan"), "?")])
def test_a_moment_is_written_in_utc(at: float, text: str) -> None:
    assert words.moment(at) == text


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"more_needed": 90}, ", some 60 s at this rate"),
        ({"more_needed": 1}, ", some 1 s at this rate"),
        ({"more_needed": 90_000}, ", some 1,000 min at this rate"),
        ({"more_needed": 90, "candidate_count": 0}, ""),
        ({"more_needed": None}, ""),
    ],
)
def test_how_long_is_missing_follows_from_the_slower_side(changes: dict[str, Any], text: str) -> None:
    assert words.lasting(replace(METRIC, **changes), JUDGEMENT) == text


def test_what_is_missing_is_said_of_what_is_counted() -> None:
    metric = replace(METRIC, more_needed=40, counted="steps")

    text = report.to_text(replace(JUDGEMENT, metrics=(metric,)))

    assert "about 40 more steps a side" in text
    assert "more requests" not in text
