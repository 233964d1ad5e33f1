"""The effective table: rules, where each route stands, and a generation number; and the form it has on the disk.

Two files. `rules-<digest>.jsonl` has what the rules file said, a route a line, so that 100,000 of them can be read in
small pieces; it never changes, and its name is the hash of its content. `effective.json` says which of them is in force
and which routes stand elsewhere than it says; a move writes this small one alone. Names and bytes only: opening,
writing and replacing files is proxy/publication.py's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from rules.document import Route, Rules
from rules.stages import MILLION, Stage


@dataclass(frozen=True, slots=True)
class Position:
    """Where a route stands."""

    stage: Stage
    share: Annotated[int, Field(ge=0, le=MILLION)]
    """Millionths of the units that the candidate answers; counts in stage canary only."""
    frozen: bool = False
    """Nothing but a person moves it."""


def declared_position(route: Route) -> Position:
    """Where the rules file alone puts the route."""
    if route.stage is Stage.CANARY:
        return Position(route.stage, route.share)
    return Position(route.stage, MILLION if route.stage in (Stage.LIVE, Stage.RETIRED) else 0)


@dataclass(frozen=True)
class Effective:
    """What workers decide by, whole: for control, commands and tests. Workers read it piece by piece."""

    generation: int
    """From 1; it only grows."""
    rules: Rules
    positions: Mapping[str, Position] = field(default_factory=dict)
    """By route; a route that is not in it stands where the file says."""
    comparisons: Mapping[str, Any] = field(default_factory=dict)
    """Plain data of the comparisons, for the shadower; rules does not know their form."""
    certificates: Mapping[str, Any] = field(default_factory=dict)
    """Plain data of what each route's certificate must show, for reports."""
    watches: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The events that a route's gate counts while it is in canary, by route; rules does not know gates."""

    @cached_property
    def digest(self) -> str:
        """Of all but generation and positions, as it names the rules file: what a certificate was issued under."""
        found = hashlib.sha256()
        for line in self.lines():
            found.update(line)
        return digest_text(found)

    def position(self, route: str) -> Position:
        """Where `route` stands. Raises KeyError for a route that the rules do not have."""
        return self.positions.get(route) or declared_position(self.routes[route])

    @cached_property
    def routes(self) -> Mapping[str, Route]:
        """By name, in file order."""
        return {route.name: route for route in self.rules.routes}

    def moved(self, generation: int, positions: Mapping[str, Position]) -> Effective:
        """The same rules with routes standing there. What was computed of the rules is kept: it may have taken long."""
        after = replace(self, generation=generation, positions=positions)
        for name in ("digest", "routes"):
            if name in self.__dict__:
                after.__dict__[name] = self.__dict__[name]
        return after

    def lines(self) -> Iterator[bytes]:
        """The rules file: a head, then a line for each route, then one for each certificate."""
        head = Head(
            rules=self.rules.model_copy(update={"routes": ()}),
            routes=len(self.rules.routes),
            certificates=len(self.certificates),
            comparisons=dict(self.comparisons),
            **({"watches": dict(self.watches)} if self.watches else {}),
        )
        told = head.model_dump(mode="json", by_alias=True, exclude_unset=True)
        yield json.dumps(told, sort_keys=True).encode() + b"\n"
        for route in self.rules.routes:
            yield route.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
        for name, plain in self.certificates.items():
            yield json.dumps([name, plain], sort_keys=True).encode() + b"\n"

    @property
    def pointer(self) -> Pointer:
        return Pointer(generation=self.generation, rules=self.digest, positions=dict(self.positions))


def digest_text(content: Any) -> str:
    """32 hex digits of a SHA-256 that is under way."""
    return str(content.hexdigest()[:32])


class Pointer(BaseModel):
    """`effective.json`: which rules are in force, and which routes stand elsewhere than those say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    generation: Annotated[int, Field(ge=1)]
    rules: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    """The digest in the rules file's name."""
    positions: dict[str, Position] = {}

    @property
    def file(self) -> str:
        """The name of the rules file."""
        return rules_file(self.rules)

    def encode(self) -> bytes:
        return self.model_dump_json().encode()

    @classmethod
    def decode(cls, data: bytes) -> Pointer:
        """Raises ValueError when the data is not what `encode` of this version writes."""
        return cls.model_validate_json(data, strict=True)


def rules_file(digest: str) -> str:
    """The name of the rules file with this content."""
    return f"rules-{digest}.jsonl"


class Head(BaseModel):
    """The first line of a rules file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rules: Rules
    """Everything but the routes."""
    routes: Annotated[int, Field(ge=0)]
    """Lines with a route that follow."""
    certificates: Annotated[int, Field(ge=0)]
    """Lines with a certificate that follow those."""
    comparisons: dict[str, Any]
    watches: dict[str, tuple[str, ...]] = {}


_CERTIFICATE = TypeAdapter(tuple[str, Any])


class RulesLines:
    """Reads a rules file, line by line: the head at once, then `routes`, then `certificates`, each to its end.

    Everything raises ValueError where the lines are not what `Effective.lines` of this version gives.
    """

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self._certificates = 0
        """Read so far."""
        self.head = Head.model_validate_json(self._next("a head"), strict=True)

    def route_lines(self) -> Iterator[bytes]:
        """Every route as `read_route` reads it."""
        for number in range(self.head.routes):
            yield self._next(f"route {number + 1} of {self.head.routes}")

    def certificates(self) -> Iterator[tuple[str, Any]]:
        """(route, plain data) of those not read yet; comes after `route_lines`, and sees to it that nothing follows."""
        while self._certificates < self.head.certificates:
            self._certificates += 1
            line = self._next(f"certificate {self._certificates} of {self.head.certificates}")
            yield _CERTIFICATE.validate_json(line)
        if next(self._lines, None) is not None:
            raise ValueError("the rules go on where they should end")

    def _next(self, what: str) -> bytes:
        line = next(self._lines, None)
        if line is None:
            raise ValueError(f"the rules end before {what}")
        return line


def read_route(line: bytes) -> Route:
    """Raises ValueError."""
    return Route.model_validate_json(line, strict=True)


def read_effective(pointer: Pointer, lines: Iterator[bytes]) -> Effective:
    """The whole of it, at once. Raises ValueError."""
    reading = RulesLines(lines)
    routes = tuple(read_route(line) for line in reading.route_lines())
    certificates = dict(reading.certificates())
    rules = reading.head.rules.model_copy(update={"routes": routes})
    head = reading.head
    return Effective(pointer.generation, rules, pointer.positions, head.comparisons, certificates, head.watches)
