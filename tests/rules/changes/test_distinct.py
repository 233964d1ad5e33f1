from __future__ import annotations

from rules.changes.distinct import EXACT, Distinct


def counted(texts: list[str]) -> Distinct:
    distinct = Distinct()
    for text in texts:
        distinct.add(text)
    return distinct


def test_few_are_counted_exactly_however_often_they_come() -> None:
    distinct = counted([str(number % 1000) for number in range(5000)])
    assert (distinct.count(), distinct.is_exact) == (1000, True)


def test_many_are_counted_to_within_three_standard_errors() -> None:
    distinct = counted([f"client-{number}" for number in range(200_000)])
    assert not distinct.is_exact
    assert abs(distinct.count() - 200_000) < 200_000 * 3 * 0.0082


def test_just_past_the_exact_ones_the_count_does_not_jump() -> None:
    distinct = counted([f"client-{number}" for number in range(EXACT + 1)])
    assert not distinct.is_exact
    assert abs(distinct.count() - EXACT) < EXACT * 3 * 0.0082


def test_two_counts_merge_to_the_count_of_both() -> None:
    for size in (100, EXACT + 100):
        one, other = counted([f"a{n}" for n in range(size)]), counted([f"a{n}" for n in range(size // 2, size * 2)])
        one.merge(other)
        assert abs(one.count() - 2 * size) <= (0 if one.is_exact else 2 * size * 3 * 0.0082)


def test_exact_ones_merge_into_an_estimate() -> None:
    many, few = counted([f"a{n}" for n in range(EXACT + 1)]), counted(["b"])
    few.merge(many)
    assert not few.is_exact
    assert many.count() <= few.count() <= many.count() + 30
