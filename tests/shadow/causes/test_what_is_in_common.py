"""One value, offset, factor or mapping that holds for all members: folded one by one, as if all were at hand."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from hypothesis import assume, given
from hypothesis import strategies as st

from shadow.causes.common import MOST_MAPPED, Common, merged, simplest
from shadow.causes.grouping import in_common
from shadow.comparing.values import Json

PAIRS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12)


def mark(text: str) -> str:
    return f"hash of {text}"


def folded(values: Sequence[tuple[Json, Json]]) -> Common:
    common = Common()
    for legacy, candidate in values:
        common.add(legacy, candidate, mark, explained=False)
    return common


@given(PAIRS)
def test_what_was_folded_is_what_holds_for_all_members(values: list[tuple[int, int]]) -> None:
    common = folded(values)
    becomes: dict[int, set[int]] = {}
    for legacy, candidate in values:
        becomes.setdefault(legacy, set()).add(candidate)
    offsets = {candidate - legacy for legacy, candidate in values}
    assert (common.mapping is not None) is all(len(each) == 1 for each in becomes.values())
    assert bool(common.constant) is (len({candidate for _, candidate in values}) == 1)
    assert common.offset == (offsets.pop() if len(offsets) == 1 else None)


@given(PAIRS, PAIRS)
def test_groups_put_together_have_in_common_what_all_their_members_have(
    one: list[tuple[int, int]], other: list[tuple[int, int]]
) -> None:
    together, whole = merged([folded(one), folded(other)]), folded([*one, *other])
    assert together.members == whole.members
    assert (together.mapping is None) is (whole.mapping is None)
    assert (together.constant, together.offset) == (whole.constant, whole.offset)
    assert (together.low, together.high) == (whole.low, whole.high)


@given(st.lists(st.decimals("0.01", 10_000, places=2), min_size=8, max_size=30, unique=True))
def test_a_factor_is_found_behind_the_rounding(prices: list[Decimal]) -> None:
    assume(max(prices) > 100)  # small prices alone leave too much room
    common = folded([(price, (price * Decimal("1.19")).quantize(Decimal("0.01"))) for price in prices])
    assert common.low is not None
    assert common.high is not None
    assert common.low <= Decimal("1.19") <= common.high


def test_a_tax_on_top_is_named_with_its_rate() -> None:
    prices = [Decimal(text) for text in ("10.00", "12.34", "99.95", "1250.00", "7.77")]
    common = folded([(price, (price * Decimal("1.19")).quantize(Decimal("0.01"))) for price in prices])
    assert in_common(common) == "factor:1.19"


def test_the_same_distance_is_an_offset() -> None:
    assert in_common(folded([(number, number + 14) for number in (3, 5, 8, 13)])) == "offset:14"


def test_whatever_legacy_says_the_same_is_a_constant() -> None:
    assert in_common(folded([(word, "n/a") for word in ("red", "green", "blue")])) == "constant"


def test_few_values_that_always_become_the_same_are_a_mapping() -> None:
    assert in_common(folded([("OPEN", "o"), ("PAID", "p"), ("OPEN", "o"), ("PAID", "p")])) == "mapping"


def test_values_of_which_none_came_twice_are_no_mapping() -> None:
    assert in_common(folded([("red", "a"), ("green", "b"), ("blue", "c")])) == ""


def test_two_members_have_nothing_in_common_yet() -> None:
    assert in_common(folded([(3, 17), (3, 17)])) == ""


def test_one_value_that_becomes_two_is_no_mapping_however_often_it_held() -> None:
    assert in_common(folded([("OPEN", "o")] * 50 + [("OPEN", "p")])) == ""


def test_more_values_than_an_enumeration_has_are_forgotten_and_not_kept() -> None:
    common = folded([(f"word {number}", f"other {number}") for number in range(MOST_MAPPED + 1)])
    assert common.mapping is None
    assert common.distinct == MOST_MAPPED + 1


@given(st.decimals("0.0001", 1000, places=6), st.decimals("0.000001", 1, places=6))
def test_the_simplest_number_lies_between_and_no_shorter_one_does(low: Decimal, width: Decimal) -> None:
    found = simplest(low, low + width)
    assert low <= found <= low + width
    exponent = found.as_tuple().exponent
    assert isinstance(exponent, int)
    if exponent < 0:
        coarse = Decimal(1).scaleb(exponent + 1)
        assert (low / coarse).to_integral_value("ROUND_CEILING") * coarse > low + width
