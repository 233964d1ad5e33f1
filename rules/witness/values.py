"""Values of a header, query parameter or cookie that satisfy what is asked of them, or the proof that none does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from rules.match import Between, Condition
from rules.matching.conditions import ValueTest
from rules.witness.automaton import (
    ANYTHING,
    Automaton,
    Chain,
    Characters,
    Part,
    Repeat,
    UnreadableError,
    characters,
    literal,
)
from rules.witness.demands import Ask, Number, Present, Text
from rules.witness.expression import automaton_of
from rules.witness.solved import Solved, solve_texts

_ORDINARY = ("x", "1", "yes", "7")
_UNSENDABLE = {"header": "", "query": "", "cookie": ';,\\" '}
_WHOLE_NUMBER = Automaton(Chain((Repeat(literal("-"), 0, 1), Repeat(Characters(characters("0123456789")), 1, 19))))
"""What counts as a number; its range is left to the test of the value."""


@lru_cache(maxsize=8192)
def solve_values(kind: str, wanted: tuple[Ask, ...], unwanted: tuple[Ask, ...]) -> Solved[str | None]:
    """None stands for an absent value."""
    if Present() in unwanted:
        return Solved((None,)) if not wanted else Solved((), impossible=True)
    if Present() not in wanted:
        raise ValueError("asks of a value come with `Present`, wanted or not")
    asks = [(ask, True) for ask in wanted] + [(ask, False) for ask in unwanted]
    if _is_empty([ask.between for ask in wanted if isinstance(ask, Number)], unwanted):
        return Solved((), impossible=True)
    tests = [(_test(ask), holds) for ask, holds in asks]

    def fits(value: str) -> bool:
        return _is_sendable(kind, value) and all(test.holds(value) is holds for test, holds in tests)

    found = solve_texts(
        _plain_values(asks),
        [_automaton(ask) for ask in wanted],
        [_automaton(ask) for ask in unwanted if not isinstance(ask, Number)],
        fits,
    )
    return Solved(found.values, found.impossible)


@lru_cache(maxsize=4096)
def _test(ask: Ask) -> ValueTest:
    if isinstance(ask, Text):
        return ValueTest(Condition.model_validate({ask.how: ask.text}))
    if isinstance(ask, Number):
        return ValueTest(Condition(range=ask.between))
    return ValueTest(Condition(present=True))


@lru_cache(maxsize=4096)
def _automaton(ask: Ask) -> Automaton | None:
    if isinstance(ask, Number):
        return _WHOLE_NUMBER
    if not isinstance(ask, Text):
        return Automaton(ANYTHING)
    if ask.how == "regex":
        return automaton_of(ask.text)
    text: Part = literal(ask.text)
    part = {
        "exact": text,
        "prefix": Chain((text, ANYTHING)),
        "suffix": Chain((ANYTHING, text)),
        "contains": Chain((ANYTHING, text, ANYTHING)),
    }[ask.how]
    try:
        return Automaton(part, exact=ask.text.isascii())
    except UnreadableError:
        return None


def _is_sendable(kind: str, value: str) -> bool:
    return (
        value.isascii() and value.isprintable() and value == value.strip() and not set(value) & set(_UNSENDABLE[kind])
    )


def _plain_values(asks: Sequence[tuple[Ask, bool]]) -> Iterator[str]:
    for ask, wanted in asks:
        if isinstance(ask, Text) and wanted:
            if ask.how == "exact":
                yield ask.text
            elif ask.how == "prefix":
                yield from (ask.text + "x", ask.text + "1", ask.text)
            elif ask.how == "suffix":
                yield from ("x" + ask.text, "1" + ask.text, ask.text)
            elif ask.how == "contains":
                yield from (ask.text, f"x{ask.text}x")
    for ask, _ in asks:
        if isinstance(ask, Number):
            lowest, below = _bounds(ask.between)
            yield from (str(number) for number in (lowest, below - 1, below, lowest - 1, lowest + 1))
    yield from _ORDINARY
    yield ""


_FARTHEST = 10**19
"""No number of 19 digits reaches it."""


def _bounds(between: Between) -> tuple[int, int]:
    lowest = between.from_ if between.from_ is not None else 1 - _FARTHEST
    return lowest, between.below if between.below is not None else _FARTHEST


def _is_empty(wanted: Sequence[Between], unwanted: Sequence[Ask]) -> bool:
    """Whether no whole number is in every wanted range and in none of the others."""
    if not wanted:
        return False
    lowest = max(_bounds(between)[0] for between in wanted)
    below = min(_bounds(between)[1] for between in wanted)
    for start, end in sorted(_bounds(ask.between) for ask in unwanted if isinstance(ask, Number)):
        if start <= lowest < end:
            lowest = end
    return lowest >= below
