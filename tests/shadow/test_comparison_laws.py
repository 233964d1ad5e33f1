"""The laws of the structural comparison: what it finds, applied to one side, gives the other."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shadow.aligned import pretty
from shadow.compare import compare
from shadow.differences import Difference, DifferenceKind, Outcome
from shadow.spec import Comparison
from shadow.values import same, written
from tests.fakes.pairs import answer
from tests.shadow.applying import apply

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
def test_the_differences_turn_legacys_answer_into_the_candidates(a: Any, b: Any) -> None:
    assert same(apply(diff(a, b).differences, a), b)


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
    assert same(apply(diff(a, b).differences, a), b)


@given(documents, documents)
def test_a_pair_is_equal_exactly_when_its_values_are_the_same(a: Any, b: Any) -> None:
    outcome = diff(a, b)
    assert outcome.equal == same(a, b)
    assert not outcome.excused


@given(documents, documents)
def test_exchanging_the_sides_mirrors_every_difference(a: Any, b: Any) -> None:
    mirrored = {
        DifferenceKind.MISSING: DifferenceKind.ADDED,
        DifferenceKind.ADDED: DifferenceKind.MISSING,
        DifferenceKind.ITEM_MISSING: DifferenceKind.ITEM_ADDED,
        DifferenceKind.ITEM_ADDED: DifferenceKind.ITEM_MISSING,
    }

    def seen(each: Difference) -> tuple[str, ...]:
        return (str(mirrored.get(each.kind, each.kind)), each.path, written(each.candidate), written(each.legacy))

    there = sorted(seen(each) for each in diff(a, b).differences)
    back = sorted(
        (str(each.kind), each.path, written(each.legacy), written(each.candidate)) for each in diff(b, a).differences
    )
    assert there == back


@given(documents)
def test_blanks_between_tokens_make_no_difference(a: Any) -> None:
    assert compare(answer(written(a)), answer("\n".join(pretty(a))), PLAIN).equal
