"""Judgements as JSON, JUnit, Markdown and text: complete, read back, and safe with odd names."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
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
def test_junit_is_xml_with_a_case_a_metric_whatever_the_names(judgement: Judgement) -> None:
    suite = ET.fromstring(report.to_junit(judgement)).find("testsuite")

    assert suite is not None
    assert suite.get("tests") == str(len(judgement.metrics) + 1) == str(len(suite.findall("testcase")))
    for outcome in ("failure", "error", "skipped"):
        key = {"failure": "failures", "error": "errors", "skipped": "skipped"}[outcome]
        assert suite.get(key) == str(len(suite.findall(f"testcase/{outcome}")))


@given(judgements)
def test_markdown_keeps_its_table_whatever_the_names(judgement: Judgement) -> None:
    lines = report.to_markdown(judgement).split("\n")
    rows = [line for line in lines if line.startswith("| ")]

    assert len(rows) == (len(judgement.metrics) + 2 if judgement.metrics else 0)
    assert all(line.replace("\\\\", "").replace("\\|", "").count("|") == 8 for line in rows)


def test_junit_tells_verdicts_apart() -> None:
    cases = {case.get("name"): case for case in ET.fromstring(report.to_junit(JUDGEMENT)).iter("testcase")}

    assert cases["verdict"].find("failure") is not None
    assert cases["errors"].find("failure") is not None
    assert len(cases["p99"].findall("failure")) + len(cases["p99"].findall("error")) == 0
    assert cases["p50"].find("skipped") is not None
    assert cases["conversion"].find("error") is not None


def test_markdown_shows_numbers_a_reviewer_can_judge_by() -> None:
    page = report.to_markdown(JUDGEMENT)

    for part in ("shop: rollback", "0.2 %", "20 %", "+19.8 pp", "0.5 pp", "critical", "watched only", "812"):
        assert part in page


def test_text_begins_with_the_verdict() -> None:
    assert report.to_text(JUDGEMENT).startswith("shop: rollback\n  'errors' is worse\n")


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
