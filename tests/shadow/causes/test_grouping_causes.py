"""From counted differences to causes: each difference in exactly one, the simplest one, in whatever order they come."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from shadow.causes.grouping import Cause, causes, identity
from shadow.causes.tally import ELSEWHERE, MOST_AT_PLACE, MOST_EXAMPLES, MOST_ROWS, Tally
from shadow.comparing.values import ABSENT, Absent, Json
from tests.fakes.causes import member

Change: TypeAlias = "tuple[str, Json | Absent, Json | Absent]"
"""Path, legacy's value, the candidate's."""


def counted(pairs: Iterable[Sequence[Change]]) -> Tally:
    tally = Tally()
    for ordinal, changes in enumerate(pairs, 1):
        members = [member(*change) for change in changes]
        tally.take(f"pair-{ordinal}", ordinal, float(ordinal), members, lambda found: found, lambda text: f"#{text}")
    return tally


def found(*pairs: Sequence[Change]) -> tuple[Cause, ...]:
    return causes("shop", counted(pairs).changed())


def prices(path: str, *values: str) -> list[list[Change]]:
    return [[(path, Decimal(value), Decimal(value) * 100)] for value in values]


def test_the_same_transform_at_several_places_is_one_cause() -> None:
    (cause,) = found(*prices("/items/*/price", "1.25", "7.10"), *prices("/total", "8.35"))
    assert (cause.transform, cause.paths, cause.count) == ("scale:100", ("/items/*/price", "/total"), 3)


def test_other_parameters_are_another_cause() -> None:
    made = found(*prices("/total", "1.25"), [("/weight", Decimal("1.5"), Decimal(1500))])
    assert {cause.transform for cause in made} == {"scale:100", "scale:1000"}


def test_what_a_cause_does_not_explain_at_its_place_is_said_and_is_a_cause_of_its_own() -> None:
    made = found(*prices("/total", "1.25", "3.99", "7.10"), [("/total", Decimal("2.50"), Decimal("77.41"))])
    assert [(cause.transform, cause.count) for cause in made] == [("scale:100", 3), ("changed", 1)]
    assert [(each.count, each.of) for each in made[0].at] == [(3, 4)]


def test_of_ways_to_round_the_one_that_holds_for_all_is_named() -> None:
    # Halves tell: 2.5 becomes 2 and 3.5 becomes 4 by going to the even digit, and by nothing else.
    halves = [("2.5", "2"), ("3.5", "4"), ("7.6", "8"), ("9.1", "9")]
    (cause,) = found(*([("/n", Decimal(a), Decimal(b))] for a, b in halves))
    assert cause.transform == "round:0:half_even"
    (simple,) = found(*([("/n", Decimal(a), Decimal(b))] for a, b in [("7.6", "8"), ("9.1", "9")]))
    assert simple.transform == "round:0:half_up"


def test_one_mapping_explains_what_would_take_two_transforms() -> None:
    swapped: list[list[Change]] = [[("/kind", 0, 1)], [("/kind", 1, 0)], [("/kind", 0, 1)], [("/kind", 1, 0)]]
    (cause,) = found(*swapped)
    assert cause.transform == "mapping"
    assert [(each.legacy_shown, each.candidate_shown, each.count) for each in cause.mapping] == [
        ("0", "1", 2),
        ("1", "0", 2),
    ]


def test_one_more_is_no_cause_where_most_has_none() -> None:
    accident: list[list[Change]] = [[("/count", 3, 4)]]
    random_ones: list[list[Change]] = [[("/count", 3, 9)], [("/count", 5, 2)], [("/count", 3, 7)], [("/count", 9, 1)]]
    (cause,) = found(*random_ones, *accident)
    assert (cause.transform, cause.count) == ("changed", 5)
    (alone,) = found(*accident)
    assert alone.transform == "plus:+1"


def test_missing_fields_are_a_cause_for_each_place() -> None:
    made = found([("/a", 5, ABSENT), ("/b", 6, ABSENT)])
    assert [(cause.transform, cause.paths) for cause in made] == [("missing", ("/a",)), ("missing", ("/b",))]


def test_nulls_that_are_left_out_everywhere_are_one_cause() -> None:
    (cause,) = found([("/a", None, ABSENT), ("/b", None, ABSENT)])
    assert cause.transform == "absent_for_null"


def test_pairs_are_counted_once_however_many_differences_they_have() -> None:
    one: list[Change] = [("/items/*/price", Decimal(value), Decimal(value) * 100) for value in ("1.25", "2.75")]
    (cause,) = found(one, one)
    assert (cause.pairs, cause.count, cause.exact) == (2, 4, True)


def test_a_causes_id_is_the_same_in_any_window_and_whatever_else_is_there() -> None:
    (alone,) = found(*prices("/total", "1.25"))
    beside = found(*prices("/sum", "1.25"), [("/name", "a", "A")], *prices("/total", "9.99"))
    assert alone.id in {cause.id for cause in beside}
    assert alone.id != identity("other", "scale:100", "/total")
    assert identity("shop", "missing", "/a") != identity("shop", "missing", "/b")


CHANGES = st.sampled_from(
    [
        ("/price", Decimal("1.25"), Decimal(125)),
        ("/price", Decimal("3.5"), Decimal(350)),
        ("/price", Decimal("3.5"), Decimal(3)),
        ("/total", Decimal("1.25"), Decimal("1.3")),
        ("/name", "a b", "A B"),
        ("/name", " a", "a"),
        ("/gone", 5, ABSENT),
        ("/kind", "OPEN", "o"),
    ]
)


@given(st.lists(st.lists(CHANGES, min_size=1, max_size=4), max_size=12), st.randoms())
def test_every_difference_is_in_exactly_one_cause_in_whatever_order_pairs_come(
    pairs: list[list[Change]], chance: random.Random
) -> None:
    made = found(*pairs)
    assert sum(cause.count for cause in made) == sum(map(len, pairs))
    mixed = list(pairs)
    chance.shuffle(mixed)
    told = {(cause.id, cause.transform, cause.count, cause.pairs) for cause in made}
    assert told == {(cause.id, cause.transform, cause.count, cause.pairs) for cause in found(*mixed)}
    assert len({cause.id for cause in made}) == len(made)


def test_a_tally_goes_on_from_what_was_stored() -> None:
    pairs = prices("/total", "1.25", "3.99", "7.10", "9.99")
    tally = Tally(counted(pairs[:2]).changed())
    for ordinal, changes in enumerate(pairs[2:], 3):
        members = [member(*change) for change in changes]
        tally.take(f"pair-{ordinal}", ordinal, float(ordinal), members, lambda found: found, lambda text: f"#{text}")
    (row,), (whole,) = tally.changed(), counted(pairs).changed()
    assert row == whole


def test_groups_are_bounded_and_nothing_is_left_uncounted() -> None:
    many: list[list[Change]] = [[(f"/field-{number}", 5, ABSENT)] for number in range(MOST_ROWS + 50)]
    rows = counted(many).changed()
    assert len(rows) == MOST_ROWS + 1
    assert sum(row.count for row in rows) == MOST_ROWS + 50
    assert [row.count for row in rows if row.path == ELSEWHERE] == [50]


def test_groups_of_one_place_are_bounded_too() -> None:
    zones: list[list[Change]] = [
        [("/t", "2024-01-31T10:00:00", f"2024-01-31T{hour:02d}:{minute}:00")]
        for hour in range(24)
        for minute in ("00", "15", "30", "45")
        if (hour, minute) != (10, "00")
    ]
    rows = counted(zones).changed()
    assert len(rows) <= MOST_AT_PLACE + 1
    assert sum(row.count for row in rows) == len(zones)


def test_a_few_pairs_of_each_group_are_remembered() -> None:
    (row,) = counted(prices("/total", *(f"{number}.25" for number in range(30)))).changed()
    assert [each.pair for each in row.examples] == [f"pair-{number}" for number in range(1, MOST_EXAMPLES + 1)]
    assert (row.examples[0].legacy, row.examples[0].candidate) == ("0.25", "25.00")
