"""How an attempt went, in bounded space: what goes is the dense middle, never a move, and nothing is invented."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np
import pytest

from canary import histogram
from canary.course import MOST, Course
from canary.verdict import Judgement, Verdict
from tests.fakes.judgements import judgement, metric

BASE = judgement(Verdict.KEEP_WATCHING, metric("errors"), metric("p99"))


def judged(at: float, verdict: Verdict = Verdict.KEEP_WATCHING) -> Judgement:
    return replace(BASE, at=at, verdict=verdict, legacy_requests=int(at * 10), candidate_requests=int(at))


def test_a_long_attempt_keeps_few_points_and_every_change_of_share() -> None:
    course, shares = Course(0.0), {}
    for look in range(50_000):
        share = 10_000 * (1 + look // 9_000)
        course.note(judged(look * 0.5), share)
        shares.setdefault(share, look * 0.5)

    assert len(course.points) <= MOST
    assert [point.at for point in course.points] == sorted(point.at for point in course.points)
    firsts = {}
    for point in course.points:
        firsts.setdefault(point.share, point.at)
    assert firsts == shares
    gaps = np.diff([point.at for point in course.points])
    assert gaps.max() <= 25_000 / (MOST / 4)  # no hole in it


def test_another_verdict_makes_a_point_at_once() -> None:
    course = Course(0.0)
    for look in range(3000):
        course.note(judged(look * 0.5), 10_000)
    course.note(judged(1500.1, Verdict.ROLLBACK), 10_000)
    assert course.points[-1].verdict is Verdict.ROLLBACK


def test_a_clock_that_is_set_back_does_not_stop_the_notes() -> None:
    course = Course(0.0)
    course.note(judged(9000.0), 10_000)
    for look in range(3):
        course.note(judged(5400.0 + look), 10_000)
    assert len(course.points) == 4


def test_a_verdict_that_changes_at_every_look_does_not_grow_it() -> None:
    course, chance = Course(0.0), random.Random(5)
    for look in range(20_000):
        course.note(judged(look * 0.5, chance.choice(list(Verdict))), 10_000)
        assert len(course.points) <= MOST


def test_it_is_the_same_after_it_was_kept() -> None:
    course = Course(17.0)
    course.note(judged(20.0), 10_000)
    course.note(judged(30.0, Verdict.PROMOTE), 50_000)
    course.take(np.array([0.01, 0.02, 0.5], np.float32), np.array([0, 1, 1], np.uint8))
    again = Course.from_bytes(course.to_bytes())

    assert (again.since, again.points) == (17.0, course.points)
    assert (again.times == course.times).all()
    assert again.document() == course.document()


def test_numbers_as_numpy_has_them_are_kept_too() -> None:
    """Some measures give them, and what cannot be kept would end control."""
    course = Course(17.0)
    course.note(replace(judged(20.0), metrics=(metric("errors", estimate=np.float64(0.25)),)), 10_000)
    assert Course.from_bytes(course.to_bytes()).points == course.points


@pytest.mark.parametrize("data", [b"", b"\x00", b"\xff" * 40, Course(1.0).to_bytes()[:-1]])
def test_what_is_no_course_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="no course"):
        Course.from_bytes(data)


def test_times_that_are_none_and_sides_that_are_none_are_passed_over() -> None:
    course = Course(0.0)
    course.take(np.array([0.01, math.nan, 0.02, 0.03]), np.array([0, 0, 7, 1]))
    assert course.times.sum(axis=1).tolist() == [1, 1]


def test_the_document_is_plain_json_and_within_one_per_cent_of_each_time() -> None:
    course = Course(0.0)
    course.note(replace(judged(1.0), metrics=(metric("errors", evidence_promote=math.inf),)), 10_000)
    course.take(np.array([0.123]), np.array([1]))
    document = course.document()

    assert document["points"][0]["metrics"]["errors"]["evidence_promote"] is None
    ((seconds, count),) = document["times"]["candidate"]
    assert seconds == pytest.approx(0.123, rel=histogram.ERROR) and count == 1
    assert document["times"]["legacy"] == []
