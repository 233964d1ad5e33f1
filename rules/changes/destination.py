"""Where one request goes under one table, and which part of the units goes elsewhere under another.

A route in canary has two destinations and splits the units between them. `shifts` holds two outcomes of one request
against each other, exactly, though no unit is known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

from rules.asked import Asked
from rules.document import Unit
from rules.endpoint import Endpoint
from rules.explaining.outcome import own_outcome, sent
from rules.stages import MILLION, Side, Stage
from rules.table import CompiledRoute, Table


@dataclass(frozen=True, slots=True)
class Destination:
    """Who answers a request, and what they are asked."""

    side: Side | None
    """None: fig itself answers."""
    service: str = ""
    urls: tuple[str, ...] = ()
    """The service's, sorted: it does not matter in what order the file has them."""
    target: str = ""
    """Path and query as the service gets them."""
    host: str = ""
    """The Host line that the service gets."""
    status: int = 0
    """Of fig's own answer."""
    location: str = ""
    """Where fig's redirect leads."""
    body: bytes = b""
    """Of fig's own answer."""
    refused: str = ""
    """Why what the rules make of the request cannot be sent; fig then answers with an error."""

    def is_same_place(self, other: Destination) -> bool:
        """Whether the same server is asked the same, or the client reads the same answer of fig."""
        return self._place == other._place

    @property
    def url(self) -> str:
        """In words."""
        return " or ".join(self.urls)

    @property
    def _place(self) -> tuple[object, ...]:
        # Neither side nor service's name: a service under another name, or at the other side, is still the same server.
        return self.urls, self.target, self.host, self.status, self.location, self.body, self.refused


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one table does with one request."""

    route: CompiledRoute
    legacy: Destination
    candidate: Destination
    """The same as `legacy` where one answers, whoever is asking."""
    share: int
    """Millionths of the units that `candidate` gets."""

    @property
    def is_split(self) -> bool:
        return 0 < self.share < MILLION

    def destination(self, bucket: int) -> Destination:
        """Of units in this bucket, 0 to 999,999."""
        return self.candidate if bucket < self.share else self.legacy


@dataclass(frozen=True, slots=True)
class Shift:
    """A part of the units that goes elsewhere."""

    before: Destination
    after: Destination
    part: Fraction
    """Of all units: 0 to 1."""
    buckets: tuple[int, int] | None
    """The first bucket, and the one behind the last; None where units are counted anew, so that any unit may be among
    them."""


def outcome(table: Table, request: Asked) -> Outcome:
    """What `table` does with `request`."""
    return outcome_of(table, table.route(request), request)


def outcome_of(table: Table, route: CompiledRoute, request: Asked) -> Outcome:
    """What `table` does with a request that `route` takes."""
    if route.own is not None:
        own = _own(route, request)
        return Outcome(route, own, own, 0)
    share = share_of(route)
    if share == MILLION:
        only = _service(table, route, Side.CANDIDATE, request)
        return Outcome(route, only, only, share)
    legacy = _service(table, route, Side.LEGACY, request)
    return Outcome(route, legacy, _service(table, route, Side.CANDIDATE, request) if share else legacy, share)


def share_of(route: CompiledRoute) -> int:
    """Millionths of the units that the candidate answers, whatever the stage. Requests without unit are legacy's."""
    if route.stage in (Stage.LIVE, Stage.RETIRED):
        return MILLION
    return route.share if route.stage is Stage.CANARY and route.unit_of is not None else 0


def _service(table: Table, route: CompiledRoute, side: Side, request: Asked) -> Destination:
    asked = sent(table, route, side, request)
    return Destination(side, asked.service, tuple(sorted(asked.urls)), asked.target, asked.host, refused=asked.refused)


def _own(route: CompiledRoute, request: Asked) -> Destination:
    found = own_outcome(route.outcomes().unitless, request)
    if found is None or found.answer is None:
        return Destination(None, refused=found.refused if found is not None else "")
    location = next((value for name, value in found.answer.headers if name.lower() == "location"), "")
    return Destination(None, status=found.answer.status, location=location, body=found.answer.body)


def counts_alike(before: CompiledRoute, after: CompiledRoute) -> bool:
    """Whether a unit has the same bucket on both routes: the same salt, and the unit read from the same place."""
    return before.spec.salt == after.spec.salt and read_from(before.spec.unit) == read_from(after.spec.unit)


def read_from(unit: Unit | None) -> str:
    """Where a unit is read: ``cookie fig_unit``, ``header x-customer``, ``the client's address``, or nowhere."""
    if unit is None:
        return "nowhere"
    if unit.address:
        return "the client's address"
    return f"cookie {unit.cookie}" if unit.cookie is not None else f"header {unit.header}"


def shifts(before: Outcome, after: Outcome) -> tuple[Shift, ...]:
    """Every part of the units that goes elsewhere; empty when none does. Of requests that have a unit.

    A unit's bucket is the same in both where they count alike. Under another salt, or read from another place, its
    bucket is another draw, uniform and independent (DESIGN section 2), so the parts are products.
    """
    if not (before.is_split and after.is_split) or counts_alike(before.route, after.route):
        edges = sorted({0, before.share, after.share, MILLION})
        pieces = [
            Shift(before.destination(low), after.destination(low), Fraction(high - low, MILLION), (low, high))
            for low, high in pairwise(edges)
        ]
    else:
        pieces = [
            Shift(one, other, Fraction(part * rest, MILLION * MILLION), None)
            for one, part in ((before.candidate, before.share), (before.legacy, MILLION - before.share))
            for other, rest in ((after.candidate, after.share), (after.legacy, MILLION - after.share))
        ]
    return tuple(piece for piece in pieces if not piece.before.is_same_place(piece.after))


def without_unit(found: Outcome) -> Outcome:
    """What becomes of a request that has no unit: legacy answers it, unless fig issues it one."""
    return found if not found.is_split or found.route.issues else replace(found, candidate=found.legacy, share=0)


def moved_part(found: tuple[Shift, ...]) -> Fraction:
    """The part of the units that goes elsewhere, 0 to 1."""
    return sum((shift.part for shift in found), Fraction(0))


def surely_alike(one: Table, before: CompiledRoute, other: Table, after: CompiledRoute) -> bool:
    """Whether every request that both take goes to the same place, without looking at one."""
    if before.own is not None or after.own is not None:
        return before.own is not None and after.own is not None and _same_making(before, after)
    shares = share_of(before), share_of(after)
    if _endpoints(one, before, shares[0]) != _endpoints(other, after, shares[1]):
        return False
    if shares[0] != shares[1]:
        return False
    if 0 < shares[0] < MILLION and not (counts_alike(before, after) and before.issues == after.issues):
        return False
    return _same_making(before, after)


def _endpoints(table: Table, route: CompiledRoute, share: int) -> tuple[frozenset[Endpoint], ...]:
    """Of legacy and candidate, in whatever order; none of the one that nobody asks."""
    asked = (route.legacy if share < MILLION else "", route.candidate if share else "")
    return tuple(frozenset(table.services[name].endpoints if name else ()) for name in asked)


def _same_making(before: CompiledRoute, after: CompiledRoute) -> bool:
    """Whether both make the same of a request: nothing, or the same blocks with the same captures."""
    if not changes_requests(before) and not changes_requests(after):
        return True
    blocks = [(route.spec.rewrite, route.spec.redirect, route.spec.respond) for route in (before, after)]
    same_name = before.name == after.name or "{route}" not in str(blocks)
    return blocks[0] == blocks[1] and before.spec.match == after.spec.match and same_name


def changes_requests(route: CompiledRoute) -> bool:
    """Whether a request that some unit sends leaves the route otherwise than it came, or is answered by fig."""
    if route.own is not None:
        return True
    share = share_of(route)
    asked = [side for side, part in ((Side.LEGACY, MILLION - share), (Side.CANDIDATE, share)) if part]
    return any((change := route.changes[side]) is not None and change.rewrite is not None for side in asked)
