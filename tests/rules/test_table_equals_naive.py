"""The compiled table against a reference that a reader can check by eye: tests/rules/naive_table.py.

A million of these draws are benchmarks/matching.py's; here some thousands, the same in every run.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rules.buckets import bucket
from rules.explaining.explain import explain
from rules.matching.pattern import PathExpression
from rules.matching.predicates import predicates
from rules.matching.skeleton import skeleton
from rules.table import Table
from tests.rules.drawn_rules import drawn_match, drawn_matches, drawn_path, drawn_regex, drawn_request
from tests.rules.naive_table import captures, first_route, takes

MakeTable = Callable[..., Table]
SEEDS = st.integers(0, 2**32)


@settings(max_examples=80)
@given(SEEDS)
def test_the_compiled_table_finds_the_first_route_that_a_plain_loop_finds(make_table: MakeTable, seed: int) -> None:
    chance = Random(seed)
    matches = drawn_matches(chance)
    table = make_table([{"match": match} for match in matches])
    for request in (drawn_request(chance) for _ in range(60)):
        expected, route = first_route(matches, request), table.route(request)
        assert route.index == expected, request
        if expected < len(matches):
            assert route.captures(request) == captures(matches[expected], request), request
            assert route.spec.match.captures <= route.captures(request).keys()


@settings(max_examples=60)
@given(SEEDS)
def test_each_predicate_of_a_match_holds_if_and_only_if_the_match_takes_the_request(make_rules: Any, seed: int) -> None:
    chance = Random(seed)
    match = drawn_match(chance)
    asked = predicates(make_rules([{"match": match}]).routes[0].match)
    for request in (drawn_request(chance) for _ in range(20)):
        failing = [predicate for predicate in asked if not predicate.holds(request)]
        assert takes(match, request) is (failing == [])
        assert all(predicate.why_not(request) for predicate in failing)


@settings(max_examples=1000)
@given(SEEDS)
def test_the_skeleton_of_an_expression_matches_whatever_the_expression_matches(seed: int) -> None:
    chance = Random(seed)
    regex = drawn_regex(chance)
    try:
        expression = PathExpression(regex)
    except ValueError:
        return
    bones = skeleton(regex)
    for path in (drawn_path(chance) for _ in range(30)):
        assert bones.matches(path) or not expression.matches(path), (regex, path)


@settings(max_examples=60)
@given(SEEDS, st.sampled_from(["legacy", "shadow", "canary", "live", "retired"]))
def test_an_explanation_agrees_with_the_decision(make_table: MakeTable, seed: int, stage: str) -> None:
    chance = Random(seed)
    unit = {"header": "x-a"}
    matches = [drawn_match(chance) for _ in range(8)]
    table = make_table([{"match": match, "stage": stage, "share": "50%", "unit": unit} for match in matches])
    request = drawn_request(chance)
    explanation = explain(table, request)
    choice = table.decide(request, lambda: "fresh")
    winner = choice.decision.route
    assert [miss.route for miss in explanation.misses.told] == [route.name for route in table.routes[: winner.index]]
    assert explanation.as_json()["side"] == choice.decision.side
    assert explanation.as_json()["copy_to"] == choice.decision.copy_to
    if choice.unit:
        assert explanation.bucket == bucket(winner.name, choice.unit)
