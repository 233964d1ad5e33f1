"""The laws of the comparison for one pair of JSON texts; each raises AssertionError where it does not hold."""

from __future__ import annotations

from shadow.comparing.compare import compare
from shadow.comparing.differences import Difference, DifferenceKind
from shadow.comparing.values import parse, same, written
from shadow.pair import Answer
from shadow.spec import Comparison
from tests.fakes.pairs import JSON_TYPE
from tests.shadow.comparing.applying import apply
from tests.shadow.comparing.drawn_json import plain

PLAIN = Comparison()
MIRRORED = {
    DifferenceKind.MISSING: DifferenceKind.ADDED,
    DifferenceKind.ADDED: DifferenceKind.MISSING,
    DifferenceKind.ITEM_MISSING: DifferenceKind.ITEM_ADDED,
    DifferenceKind.ITEM_ADDED: DifferenceKind.ITEM_MISSING,
}


def check_laws(left: str, right: str) -> bool:
    """Hold one pair against every law; says whether it was equal.

    Equal exactly when the plainest reading of both is; the differences turn legacy's value into the candidate's; with
    the sides exchanged, each difference is mirrored.
    """
    legacy, candidate = (Answer(200, JSON_TYPE, text.encode()) for text in (left, right))
    outcome = compare(legacy, candidate, PLAIN)
    back = compare(candidate, legacy, PLAIN)
    readings = plain(left), plain(right)
    if None in readings:  # a repeated key: parsers disagree about it
        assert outcome.equal == (left == right)
        assert back.equal == outcome.equal
        return outcome.equal
    assert outcome.equal == (readings[0] == readings[1])
    assert sorted(map(_mirrored, outcome.differences)) == sorted(map(_seen, back.differences))
    if all(each.kind is not DifferenceKind.NOT_LOCATED for each in outcome.differences):
        assert same(apply(outcome.differences, parse(legacy.body)), parse(candidate.body))
    return outcome.equal


def _mirrored(each: Difference) -> tuple[str, ...]:
    return (str(MIRRORED.get(each.kind, each.kind)), each.path, written(each.candidate), written(each.legacy))


def _seen(each: Difference) -> tuple[str, ...]:
    return (str(each.kind), each.path, written(each.legacy), written(each.candidate))


def refutation(left: str, right: str) -> str:
    """What law a pair breaks, as a text; ``""`` for none."""
    try:
        check_laws(left, right)
    except AssertionError as exc:
        return f"{left!r} | {right!r}: {exc or 'a law is broken'}"
    return ""
