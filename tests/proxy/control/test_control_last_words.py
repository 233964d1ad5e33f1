"""What a gate says of a route whose canary is over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from canary.gate import fault
from canary.rollout import Rollout
from canary.verdict import Judgement, Verdict
from proxy.control.last_words import last_words
from rules.stages import Stage

UNASKED = fault("cart", "g", "the route is in stage shadow; its gate judges what it does in canary", 0.05, 9.0)
SAID = {
    verdict: replace(UNASKED, verdict=verdict, reason=f"the gate says {verdict}", legacy_requests=7)
    for verdict in Verdict
}
OVER = Rollout(Stage.SHADOW, 0, since=5.0, ended="at once: the candidate is far worse")


@pytest.mark.parametrize("verdict", [Verdict.KEEP_WATCHING, Verdict.FAULT, Verdict.PROMOTE])
def test_an_attempt_that_something_else_ended_is_a_rollback_with_that_reason(verdict: Verdict) -> None:
    told = last_words(OVER, SAID[verdict], UNASKED)

    assert (told.verdict, told.reason, told.legacy_requests) == (Verdict.ROLLBACK, OVER.ended, 7)


def test_the_gates_own_rollback_is_told_as_it_was_found() -> None:
    assert last_words(OVER, SAID[Verdict.ROLLBACK], UNASKED) is SAID[Verdict.ROLLBACK]


def test_an_attempt_whose_judgement_is_forgotten_is_a_rollback_too() -> None:
    told = last_words(OVER, None, UNASKED)

    assert (told.verdict, told.reason) == (Verdict.ROLLBACK, OVER.ended)
    assert told.since == OVER.since, "`--since` must not take it for one that begins now"


LIVE = Rollout(Stage.LIVE, 1_000_000, since=5.0, watched=True)
WATCHED = replace(UNASKED, verdict=Verdict.KEEP_WATCHING, reason="not worse; nobody watches 'mean'")


def test_a_promote_tells_what_the_watch_sees_since() -> None:
    told = last_words(LIVE, SAID[Verdict.PROMOTE], UNASKED, WATCHED)

    assert told.verdict is Verdict.PROMOTE
    assert told.reason == "the gate says promote; live since then, and watched: not worse; nobody watches 'mean'"


def test_harm_that_the_watch_has_found_is_told_before_the_route_is_back() -> None:
    harmed = replace(WATCHED, verdict=Verdict.ROLLBACK)

    assert last_words(LIVE, SAID[Verdict.PROMOTE], UNASKED, harmed) is harmed


@pytest.mark.parametrize("latest", [None, SAID[Verdict.KEEP_WATCHING]])
def test_a_route_that_went_live_without_a_promote_has_the_watchs_word_alone(latest: Judgement | None) -> None:
    assert last_words(LIVE, latest, UNASKED, WATCHED) is WATCHED


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("verdict", list(Verdict))
def test_only_a_promote_that_was_followed_outlives_its_attempt(stage: Stage, verdict: Verdict) -> None:
    told = last_words(Rollout(stage, 0, since=5.0), SAID[verdict], UNASKED)

    followed = verdict is Verdict.PROMOTE and stage in (Stage.LIVE, Stage.RETIRED)
    assert told is (SAID[verdict] if followed else UNASKED)
