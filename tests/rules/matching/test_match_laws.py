"""Laws that matching keeps for every match and every request."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rules.match import Condition, Match
from rules.matching.conditions import ValueTest
from rules.matching.pattern import parse_pattern
from rules.matching.predicates import whole
from rules.table import Table
from rules.templates import parse_template
from tests.rules.drawn_rules import VALUES, drawn_match, drawn_request, strange_request

MakeTable = Callable[..., Table]
SEEDS = st.integers(0, 2**32)


def takes(seed: int, match: dict[str, Any]) -> list[bool]:
    """Whether the match takes each of some requests."""
    chance = Random(seed)
    asked = whole(Match.model_validate(match))
    return [asked.holds(drawn_request(chance)) for _ in range(20)]


@settings(max_examples=60)
@given(SEEDS)
def test_not_any_is_all_not_and_not_all_is_any_not(seed: int) -> None:
    chance = Random(seed)
    one, other = drawn_match(chance, depth=1), drawn_match(chance, depth=1)
    neither = [{"not": one}, {"not": other}]
    assert takes(seed, {"not": {"any": [one, other]}}) == takes(seed, {"all": neither})
    assert takes(seed, {"not": {"all": [one, other]}}) == takes(seed, {"any": neither})
    assert takes(seed, {"not": {"not": one}}) == takes(seed, one)


@settings(max_examples=60)
@given(SEEDS)
def test_all_and_any_do_not_mind_order_nor_repetition(seed: int) -> None:
    chance = Random(seed)
    one, other = drawn_match(chance, depth=1), drawn_match(chance, depth=1)
    for key in ("all", "any"):
        assert takes(seed, {key: [one, other]}) == takes(seed, {key: [other, one, other]})
        assert takes(seed, {key: [one]}) == takes(seed, one)


CONDITIONS = st.recursive(
    st.one_of(
        st.sampled_from([{"present": True}, {"absent": True}, {"present": False}, {"range": {"from": 2}}]),
        st.builds(
            lambda kind, value: {kind: value},
            st.sampled_from(["exact", "prefix", "suffix", "contains"]),
            st.sampled_from(VALUES),
        ),
    ),
    lambda inner: inner.map(lambda condition: {"not": condition}),
    max_leaves=4,
)


@given(CONDITIONS, st.one_of(st.none(), st.sampled_from(VALUES)))
def test_a_condition_under_not_holds_where_it_does_not_hold_also_of_an_absent_value(
    condition: dict[str, Any], value: str | None
) -> None:
    plain = ValueTest(Condition.model_validate(condition))
    negated = ValueTest(Condition.model_validate({"not": condition}))
    assert negated.holds(value) is not plain.holds(value)
    for test in (plain, negated):
        assert (test.failed(value) is None) is test.holds(value)


PARTS = st.lists(st.sampled_from(["a", "7", "x.y", "%2540"]), max_size=5)


@given(st.lists(st.sampled_from(["a", "7", "{x}", "{y}"]), max_size=4, unique=True), st.booleans(), PARTS)
def test_a_capture_filled_back_into_the_pattern_gives_the_path(
    segments: list[str], rest: bool, parts: list[str]
) -> None:
    pattern = parse_pattern("/" + "/".join([*segments, *(["**"] if rest else [])]))
    for path in ("/" + "/".join(parts), "/" + "/".join([*segments, *parts]).translate({123: None, 125: None})):
        if pattern.matches(path):
            template = parse_template(pattern.text.replace("/**", "/{**}"))
            assert template.fill(pattern.captures(path)) == path


@settings(max_examples=60)
@given(SEEDS)
def test_the_first_match_of_two_lists_is_that_of_the_first_list_if_it_has_one(make_table: MakeTable, seed: int) -> None:
    chance = Random(seed)
    one, other = ([{"match": drawn_match(chance)} for _ in range(chance.randint(0, 8))] for _ in range(2))
    first, second, both = make_table(one), make_table(other), make_table(one + other)
    for request in (drawn_request(chance) for _ in range(30)):
        found = first.route(request).index
        expected = found if found < len(one) else len(one) + second.route(request).index
        assert both.route(request).index == expected


@settings(max_examples=50)
@given(SEEDS)
def test_no_request_whatever_makes_a_table_raise(make_table: MakeTable, seed: int) -> None:
    chance = Random(seed)
    unit = {"cookie": "tenant"}
    routes = [{"match": drawn_match(chance), "stage": "canary", "share": "50%", "unit": unit} for _ in range(10)]
    table = make_table(routes)
    for request in (strange_request(chance) for _ in range(40)):
        choice = table.decide(request, lambda: "fresh")
        choice.decision.route.captures(request)
