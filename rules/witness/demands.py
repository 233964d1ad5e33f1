"""What a match asks, taken apart: what must hold of each part of a request, and what may hold in one way or another.

A `Literal` speaks of one part of a request alone (its path, one header), so literals of different parts never disturb
one another. What can hold in several ways (`any`, `not`, a condition with alternatives) is a `Formula`: it is asked of
a finished request, and only where it fails does the search choose one of its ways.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol, TypeAlias

from rules.decision import Request
from rules.match import EVERY_PATH, Between, Condition, Expression, Match
from rules.matching.conditions import ConditionPredicate
from rules.matching.predicates import AllPredicate, whole


class Part(NamedTuple):
    """A part of a request: ``("path", "")``, ``("header", "x-app")``."""

    kind: str
    name: str


PATH, HOST, METHOD, CLIENT, SCHEME = (Part(kind, "") for kind in ("path", "host", "method", "client", "scheme"))


@dataclass(frozen=True, slots=True)
class Paths:
    """The path is one of these."""

    paths: tuple[str | Expression, ...]


@dataclass(frozen=True, slots=True)
class Hosts:
    hosts: tuple[str | Expression, ...]


@dataclass(frozen=True, slots=True)
class Methods:
    methods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Networks:
    networks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scheme:
    scheme: str


@dataclass(frozen=True, slots=True)
class Present:
    """There is a value at all."""


@dataclass(frozen=True, slots=True)
class Text:
    """The value is, begins with, ends in, contains or matches `text`; where it is used, there is a value."""

    how: str
    """``exact``, ``prefix``, ``suffix``, ``contains`` or ``regex``."""
    text: str


@dataclass(frozen=True, slots=True)
class Number:
    """The value is a whole number in a range; where it is used, there is a value."""

    between: Between


Ask: TypeAlias = "Paths | Hosts | Methods | Networks | Scheme | Present | Text | Number"


class Literal(NamedTuple):
    """One ask of one part of the request, and whether it must hold or must not."""

    part: Part
    ask: Ask
    wanted: bool


class Way(NamedTuple):
    """One way in which something holds: all of these must."""

    literals: tuple[Literal, ...] = ()
    formulas: tuple[Formula, ...] = ()


class Formula(Protocol):
    """Something that can hold in several ways."""

    def holds(self, request: Request) -> bool: ...

    def ways(self) -> list[Way]:
        """Together they say the same as the formula."""


class Demand:
    """A match, ready to be searched with: its predicates, how it holds and how it fails. Compared by identity."""

    def __init__(self, match: Match) -> None:
        self.match = match

    @cached_property
    def predicate(self) -> AllPredicate:
        return whole(self.match)

    @cached_property
    def way(self) -> Way:
        """What must hold of a request that the match takes."""
        match = self.match
        literals = [*_own(match)]
        formulas: list[Formula] = []
        for part, condition in _conditions(match):
            ways = condition_ways(part, condition, True)
            if len(ways) == 1:
                literals += ways[0]
            else:
                formulas.append(_Conditional(part, condition, True, tuple(ways)))
        for each in match.all:
            inside = Demand(each).way
            literals += inside.literals
            formulas += inside.formulas
        if match.any:
            formulas.append(AnyOf(tuple(Demand(each) for each in match.any)))
        if match.not_ is not None:
            formulas.append(NotTaken(Demand(match.not_)))
        return Way(tuple(dict.fromkeys(literals)), tuple(formulas))

    @cached_property
    def exact(self) -> dict[Part, str]:
        """The values that every request which the match takes has, as far as the match itself says."""
        named = ((part, condition.exact) for part, condition in _conditions(self.match))
        return {part: text for part, text in named if text is not None}

    @cached_property
    def failures(self) -> list[Way]:
        """Every way in which a request fails to be taken."""
        match = self.match
        found = [Way((literal._replace(wanted=False),)) for literal in _own(match)]
        for part, condition in _conditions(match):
            found += [Way(literals) for literals in condition_ways(part, condition, False)]
        for each in match.all:
            found += Demand(each).failures
        if match.any:
            found.append(Way(formulas=tuple(NotTaken(Demand(each)) for each in match.any)))
        if match.not_ is not None:
            found.append(Demand(match.not_).way)
        return found


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of several matches takes it."""

    demands: tuple[Demand, ...]

    def holds(self, request: Request) -> bool:
        return any(demand.predicate.holds(request) for demand in self.demands)

    def ways(self) -> list[Way]:
        return [demand.way for demand in self.demands]


@dataclass(frozen=True, slots=True)
class NotTaken:
    """A match does not take it."""

    demand: Demand

    def holds(self, request: Request) -> bool:
        return not self.demand.predicate.holds(request)

    def ways(self) -> list[Way]:
        return self.demand.failures


class _Conditional:
    """A condition that holds in several ways, such as `not` of one that asks two things."""

    __slots__ = ("_literals", "_predicate", "_wanted")

    def __init__(
        self, part: Part, condition: Condition, wanted: bool, literals: tuple[tuple[Literal, ...], ...]
    ) -> None:
        self._predicate = ConditionPredicate(part.kind, part.name, condition)
        self._wanted = wanted
        self._literals = literals

    def holds(self, request: Request) -> bool:
        return self._predicate.holds(request) is self._wanted

    def ways(self) -> list[Way]:
        return [Way(literals) for literals in self._literals]


def _own(match: Match) -> Iterator[Literal]:
    """What the match itself asks of host, path, method, client and scheme."""
    if match.host:
        yield Literal(HOST, Hosts(match.host), True)
    if match.path != (EVERY_PATH,):
        yield Literal(PATH, Paths(match.path), True)
    if match.methods is not None:
        yield Literal(METHOD, Methods(match.methods), True)
    if match.client:
        yield Literal(CLIENT, Networks(match.client), True)
    if match.scheme is not None:
        yield Literal(SCHEME, Scheme(match.scheme), True)


def _conditions(match: Match) -> Iterator[tuple[Part, Condition]]:
    for kind, conditions in (("header", match.headers), ("query", match.query), ("cookie", match.cookies)):
        for name, condition in conditions.items():
            yield Part(kind, name), condition


def condition_ways(part: Part, condition: Condition, wanted: bool) -> list[tuple[Literal, ...]]:
    """Every way in which the condition holds (or, not `wanted`, fails), each as literals that must all hold."""
    present = Literal(part, Present(), True)
    absent = Literal(part, Present(), False)
    if condition.wants_absence:
        return [(absent,)] if wanted else [(present,)]
    asks = list(_asks(condition))
    inner = condition.not_
    if inner is not None and not asks and condition.present is None:
        return condition_ways(part, inner, not wanted)  # `not` alone also holds of a value that is absent
    if wanted:
        base = (present, *(Literal(part, ask, True) for ask in asks))
        inside = condition_ways(part, inner, False) if inner is not None else [()]
        return [tuple(dict.fromkeys((*base, *way))) for way in inside]
    found = [(absent,), *((present, Literal(part, ask, False)) for ask in asks)]
    if inner is not None:
        found += [(present, *way) for way in condition_ways(part, inner, True)]
    return found


def _asks(condition: Condition) -> Iterator[Ask]:
    for how in ("exact", "prefix", "suffix", "contains", "regex"):
        text = getattr(condition, how)
        if text is not None:
            yield Text(how, text)
    if condition.range is not None:
        yield Number(condition.range)
