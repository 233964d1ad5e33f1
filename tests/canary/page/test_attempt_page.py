"""The page of an attempt: one file that loads nothing, says what the judgement says, and draws only what is there."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from canary import histogram
from canary.course import Course
from canary.page import charts
from canary.page.charts import Moment, Step, difference_chart, duration, evidence_chart, quantile
from canary.page.page import render
from canary.page.scales import Scale, decades, round_ticks
from canary.verdict import Judgement, Verdict
from tests.fakes.judgements import judgement, metric

SVG = re.compile(r"<svg.*?</svg>", re.DOTALL)
NASTY = "</style><script>alert(1)</script>"


def judged(**changed: Any) -> Judgement:
    """Of one metric that is not decided yet."""
    return replace(judgement(Verdict.KEEP_WATCHING, metric("errors")), **changed)


def drawn(course: Course, **changed: Any) -> str:
    return render(judged(**changed), course.document(), [], 1_790_000_100.0)


@pytest.fixture
def course() -> Course:
    made = judged()
    found = Course(made.since)
    for look in range(120):
        share = 10_000 if look < 60 else 50_000
        found.note(replace(made, at=made.since + look, metrics=(metric("errors", estimate=look / 1e5),)), share)
    found.take(np.array([0.01] * 90 + [0.1] * 10), np.zeros(100, np.uint8))
    found.take(np.array([0.02] * 100), np.ones(100, np.uint8))
    return found


def test_it_loads_nothing_and_runs_nothing(course: Course) -> None:
    page = drawn(course)
    assert not re.search(r"<script|<link|<img|src=|url\(|@import|https?://", page)
    assert "default-src &#39;none&#39;" in page


def test_what_services_and_people_wrote_stays_text(course: Course) -> None:
    line = {"at": 1.0, "actor": NASTY, "action": "promote", "before": None, "after": None, "why": NASTY}
    page = render(judged(route=NASTY, reason=NASTY), course.document(), [line], 2.0)
    assert "<script" not in page
    assert page.count("</style>") == 1


def test_every_drawing_is_well_formed_and_tells_what_it_shows(course: Course) -> None:
    drawings = SVG.findall(drawn(course))
    assert len(drawings) == 3  # differences, evidence, times
    for drawing in drawings:
        assert ET.fromstring(drawing).findtext("title")


def test_steps_are_named_where_the_share_changed(course: Course) -> None:
    page = drawn(course)
    assert ">1%</text>" in page and ">5%</text>" in page
    assert '<td class="amount">1 %</td>' in page and '<td class="amount">5 %</td>' in page


@pytest.mark.parametrize("verdict", list(Verdict))
def test_every_verdict_has_its_banner(course: Course, verdict: Verdict) -> None:
    page = drawn(course, verdict=verdict)
    assert f'<span class="badge">{verdict.value.replace("_", " ")}</span>' in page


def test_what_is_judged_once_claims_no_margin_no_evidence_and_no_second_look(course: Course) -> None:
    page = drawn(course, method="kayenta", score=100.0)

    assert len(SVG.findall(page)) == 2  # both sides' values, times
    assert "for that one look" in page
    for untrue in ("margin", "at every look", "however often", "to roll back"):
        assert untrue not in page.split("</style>")[1], untrue


def test_times_that_are_spread_evenly_are_drawn_evenly() -> None:
    """Bins of a drawing are a few buckets wide, some two and some three: that must not show."""
    side = [(histogram.seconds(number), 10) for number in range(200)]

    parts = [part for _, part in charts._binned(side, side[0][0], side[-1][0])]

    assert max(parts[1:-1]) < 1.01 * min(parts[1:-1])
    assert sum(parts) == pytest.approx(1)


def test_a_route_of_which_nothing_was_noted_has_a_page_too() -> None:
    page = render(judged(metrics=(metric("errors", legacy=None, estimate=None),)), None, [], 2.0)
    assert not SVG.search(page)
    assert "Nothing was noted of it over time yet" in page


def test_a_metric_without_numbers_so_far_is_drawn_empty() -> None:
    made = judged(metrics=(metric("p99", estimate=None, low=None, high=None, evidence_promote=math.nan),))
    course = Course(made.since)
    course.note(made, 10_000)
    assert len(SVG.findall(drawn(course, metrics=made.metrics))) == 2


@given(
    st.lists(st.tuples(*[st.one_of(st.none(), st.floats(-1e6, 1e6))] * 3), max_size=30),
    st.floats(1e-6, 100),
    st.floats(0, 1),
)
def test_whatever_is_measured_is_drawn_inside(
    values: list[tuple[float | None, ...]], margin: float, part: float
) -> None:
    moments = [Moment(float(at), *each) for at, each in enumerate(values)]
    chart = difference_chart(
        moments, [Step(0.0, "1%")], margin=margin, harm=margin * part / 2, unit="%", until=30.0, told="x"
    )
    points = re.findall(r"(-?[\d.]+),(-?[\d.]+)", " ".join(re.findall(r'points="([^"]*)"', chart)))
    assert all(0 <= float(x) <= 720 and 0 <= float(y) <= 240 for x, y in points)
    assert "nan" not in chart and "inf" not in chart


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1e300)), max_size=20))
def test_evidence_of_any_size_is_drawn_inside(series: list[tuple[float, float]]) -> None:
    chart = evidence_chart(series, series, [], due=20.0, due_rollback=40.0, until=100.0, told="x")
    points = re.findall(r"(-?[\d.]+),(-?[\d.]+)", " ".join(re.findall(r'points="([^"]*)"', chart)))
    assert all(0 <= float(x) <= 720 and 0 <= float(y) <= 240 for x, y in points)


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9), st.integers(2, 10))
def test_ticks_are_few_even_and_inside(low: float, span: float, most: int) -> None:
    found = round_ticks(low, low + span, most)
    assert len(found) <= most + 1
    slack = span * 1e-6 + 4 * math.ulp(abs(low) + span)
    assert all(low - slack <= value <= low + span + slack for value in found)


def test_scales_put_ends_at_ends_and_the_rest_between() -> None:
    scale = Scale(1.0, 100.0, 0.0, 10.0, logarithmic=True)
    assert [scale.at(value) for value in (0.1, 1.0, 10.0, 100.0, 1e9)] == pytest.approx([0, 0, 5, 10, 10])
    assert decades(0.5, 2000.0) == [1.0, 10.0, 100.0, 1000.0]


def test_quantiles_are_the_smallest_time_that_so_many_lie_within() -> None:
    times = [(0.1, 90), (0.2, 9), (5.0, 1)]
    assert [quantile(times, part) for part in (0.5, 0.9, 0.99, 0.999)] == [0.1, 0.1, 0.2, 5.0]
    assert quantile([], 0.5) is None


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.00025, "250 us"), (0.012, "12 ms"), (0.9999, "1 s"), (90, "1.5 min"), (7200, "2 h"), (172800, "2 d")],
)
def test_durations_are_said_in_their_own_unit(seconds: float, said: str) -> None:
    assert duration(seconds) == said
