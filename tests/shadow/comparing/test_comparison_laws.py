"""The laws of the structural comparison: what it finds, applied to one side, gives the other."""

from __future__ import annotations

import copy
from collections import Counter
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.comparing.aligned import pretty
from shadow.comparing.compare import compare
from shadow.comparing.differences import Outcome
from shadow.comparing.values import same, written
from shadow.spec import Comparison
from tests.fakes.pairs import answer
from tests.shadow.comparing.drawn_json import changed, drawn_value, spelled
from tests.shadow.comparing.laws import check_laws

PLAIN = Comparison()
_leaves = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([Decimal("0.5"), "", "a", "~", "/"])
documents = st.recursive(
    _leaves,
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(["a", "b", "~1", "/", ""]), inner, max_size=4)
    ),
    max_leaves=25,
)


def diff(a: Any, b: Any) -> Outcome:
    return compare(answer(written(a)), answer(written(b)), PLAIN)


@given(documents, documents)
def test_the_laws_hold_for_any_two_documents(a: Any, b: Any) -> None:
    """Equal exactly when the same, differences that turn one into the other, mirrored when the sides are exchanged."""
    assert check_laws(written(a), written(b)) == same(a, b)
    assert not diff(a, b).excused


@given(documents, st.data())
def test_the_law_holds_for_documents_that_are_nearly_alike(a: Any, data: st.DataObject) -> None:
    b = copy.deepcopy(a)
    node = b
    while isinstance(node, list | dict) and node and data.draw(st.booleans()):
        key = data.draw(st.sampled_from(range(len(node)) if isinstance(node, list) else list(node)))
        if isinstance(node[key], list | dict) and node[key]:
            node = node[key]
        elif data.draw(st.booleans()):
            del node[key]
        else:
            node[key] = data.draw(documents)
    assert check_laws(written(a), written(b)) == same(a, b)


@given(documents)
def test_blanks_between_tokens_make_no_difference(a: Any) -> None:
    assert compare(answer(written(a)), answer("\n".join(pretty(a))), PLAIN).equal


@given(st.randoms(use_true_random=False))
def test_the_laws_hold_for_awkward_values_however_they_are_spelled(chance: Random) -> None:
    value = drawn_value(chance)
    assert check_laws(spelled(value, chance), spelled(value, chance))
    check_laws(spelled(value, chance), spelled(changed(value, chance), chance))
    check_laws(spelled(value, chance), spelled(drawn_value(chance), chance))


def test_the_laws_hold_for_many_draws() -> None:
    chance = Random(5)
    outcomes = Counter()
    for _ in range(1_500):
        value = drawn_value(chance)
        other = value if chance.random() < 0.3 else changed(value, chance)
        twice = chance.random() < 0.1
        outcomes[
            check_laws(spelled(value, chance, twice), spelled(other, chance, twice and chance.random() < 0.5))
        ] += 1
    assert min(outcomes[True], outcomes[False]) > 300  # neither side of a law went unasked


@pytest.mark.parametrize("key", ["a", "\\u0061", "\\\\", '\\"', "", "\\ud800"])
def test_a_repeated_key_is_seen_however_it_is_written(key: str) -> None:
    once, twice = f'{{"{key}": 1, "x": 1e5}}', f'{{"{key}": 2, "{key}": 1, "x": 1e5}}'
    assert not check_laws(once, twice)
    assert not check_laws(twice, f"{twice} ")


@pytest.mark.parametrize("number", ["1e5", "1E+5", "1e-5", "0.00001", "12e-7", "1.5e-9", "-1.0e0"])
@pytest.mark.parametrize("count", range(1, 8))
def test_a_repeated_key_is_seen_however_the_numbers_beside_it_are_written(number: str, count: int) -> None:
    """The length of a text tells that nothing got lost, so no number may be written longer than it was read."""
    numbers = f'"b":[{",".join([number] * count)}]'
    assert not check_laws(f'{{"a":1,"a":1,{numbers}}}', f'{{"a":1,{numbers}}}')
    assert not check_laws(f'{{{numbers},"a":1}}', f'{{"a":1,"a":1,{numbers}}}')
