"""What a change would have done to the requests of an access log. Pure; bounded in memory whatever the log's length.

A log knows no headers and no cookies. Where a route asks for one, both answers are tried: if the request stays, or
goes elsewhere, either way, then that is known; else the line is undecidable, and no guess is made. A unit that a log
does not know counts with the part of the units that goes elsewhere; one that is the client's address is known.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import product

from rules.asked import Asked
from rules.buckets import bucket
from rules.changes.destination import Outcome, Shift, changes_requests, moved_part, outcome_of, shifts, without_unit
from rules.changes.distinct import Distinct
from rules.changes.partial import Known, Possibilities
from rules.changes.traffic_log import Logged
from rules.document import Route
from rules.match import Match
from rules.matching.path import normalise
from rules.table import NO_ROUTE, CompiledRoute, Table

REMEMBERED = 200_000
"""Different requests whose decision is remembered."""
MOST_PATHS = 50_000
"""Paths that are counted; beyond it the rarest are forgotten, so that counts of rare paths may be too low."""
_MOST_OPEN = 6
"""Conditions of one request that may be open; 64 ways it might go."""
_MOST_PARTS = 64

Owners = Callable[[Outcome, Outcome], Sequence[int]]
"""Numbers of the changes on whose account a request goes elsewhere."""


class Going:
    """Requests that go elsewhere, and their clients."""

    __slots__ = ("_clients", "_paths", "_requests")

    def __init__(self) -> None:
        self._requests: Counter[Fraction] = Counter()
        self._clients: dict[Fraction, Distinct] = {}
        self._paths: Counter[str] = Counter()

    def take(self, part: Fraction, client: str, path: str) -> None:
        """One request of which this part, more than 0, goes elsewhere."""
        self._requests[part] += 1
        clients = self._clients.get(part)
        if clients is None:
            # Parts come from shares, so they are few; should they be many, those beyond count as the nearest known.
            known = len(self._clients) < _MOST_PARTS
            nearest = part if known else min(self._clients, key=lambda each: abs(each - part))
            clients = self._clients.setdefault(nearest, Distinct())
        clients.add(client)
        self._paths[path] += 1
        if len(self._paths) > 2 * MOST_PATHS:
            self._paths = Counter(dict(self._paths.most_common(MOST_PATHS)))

    @property
    def requests(self) -> Fraction:
        """How many go elsewhere, as far as can be expected."""
        return sum((part * count for part, count in self._requests.items()), Fraction(0))

    @property
    def touched(self) -> int:
        """Of how many some part goes elsewhere."""
        return self._requests.total()

    @property
    def is_expected(self) -> bool:
        """Whether `requests` rests on shares of units, for some request's unit was not known."""
        return any(part != 1 for part in self._requests)

    @property
    def clients(self) -> Fraction:
        """How many different clients go elsewhere with some request, as far as can be expected.

        A client counts with the largest part of its requests: one unit, of which all or nothing moves.
        """
        seen, found, before = Distinct(), Fraction(0), 0
        for part in sorted(self._clients, reverse=True):
            seen.merge(self._clients[part])
            found += part * (seen.count() - before)
            before = seen.count()
        return found

    def paths(self, most: int) -> list[tuple[str, int]]:
        """The most frequent paths, with the number of requests of which some part goes elsewhere."""
        return sorted(self._paths.most_common(most), key=lambda each: (-each[1], each[0]))


@dataclass
class Traffic:
    """What was found in the logs."""

    requests: int = 0
    clients: Distinct = field(default_factory=Distinct)
    refused: int = 0
    """Requests that fig answers with 400, whatever the rules: their path has no single reading."""
    undecidable: int = 0
    """Requests that may go elsewhere, depending on a header, cookie, host or query that the log does not hold."""
    all: Going = field(default_factory=Going)
    by_change: dict[int, Going] = field(default_factory=dict)
    """A request counts with every change on whose account it goes."""
    open_by_change: Counter[int] = field(default_factory=Counter)
    """Undecidable requests, by the changes that might move them."""


@dataclass(frozen=True, slots=True)
class _Judged:
    part: Fraction | None
    """None: undecidable."""
    changes: tuple[int, ...]


_STAYS = _Judged(Fraction(0), ())
_Pairs = tuple[tuple[Outcome, Outcome], ...]
_Winners = tuple[tuple[CompiledRoute, CompiledRoute], ...]


class Replay:
    """Takes one logged request after the other."""

    def __init__(self, before: Table, after: Table, owners: Owners, host: str = "") -> None:
        """`host` stands in for the host where a log does not tell it."""
        self._before, self._after = before, after
        self._owners = owners
        self._host = host
        self._possible = Possibilities(before), Possibilities(after)
        routes = [route.spec for table in (before, after) for route in table.routes if route.name != NO_ROUTE]
        self._needs_query = any(map(_looks_at_query, routes))
        self._needs_client = any(map(_looks_at_client, routes))
        self._remembered: dict[tuple[object, ...], _Judged | _Pairs] = {}
        """By all of a request that may decide."""
        self._by_routes: dict[tuple[object, ...], _Judged | _Pairs] = {}
        """By the routes that may take it, where nothing else of it decides."""
        self.traffic = Traffic()

    def take(self, logged: Logged) -> None:
        traffic = self.traffic
        traffic.requests += 1
        traffic.clients.add(logged.client)
        path = normalise(logged.path)
        if path is None:
            traffic.refused += 1
            return
        query = logged.query if self._needs_query else ""
        client = logged.client if self._needs_client else ""
        key = (logged.method, logged.host, logged.port, logged.scheme, path, query, client)
        judged = self._remembered.get(key)
        if judged is None:
            judged = self._judge(logged, path)
            _remember(self._remembered, key, judged)
        if not isinstance(judged, _Judged):
            judged = self._judge_pairs(tuple((_of(a, logged.client), _of(b, logged.client)) for a, b in judged))
        if judged is not _STAYS:
            self._count(judged, logged.client, path)

    def _count(self, judged: _Judged, client: str, path: str) -> None:
        traffic = self.traffic
        if judged.part is None:
            traffic.undecidable += 1
            traffic.open_by_change.update(judged.changes)
        else:
            traffic.all.take(judged.part, client, path)
            for number in judged.changes:
                traffic.by_change.setdefault(number, Going()).take(judged.part, client, path)

    def _judge(self, logged: Logged, path: str) -> _Judged | _Pairs:
        """What holds of every request of this kind; pairs of outcomes where the client's address decides."""
        host = logged.host or self._host
        known = Known(bool(host), logged.port is not None or not logged.host, logged.query is not None)
        request = Asked(
            logged.method, host, path, logged.query or "", logged.client, logged.port or 80, scheme=logged.scheme
        )
        before, after = (each.of(request, known) for each in self._possible)
        winners = tuple(dict.fromkeys(_winners(before, after)))
        judged = self._by_routes.get(winners)
        if judged is None:
            judged = self._judge_winners(winners, request)
            if not any(changes_requests(route) for pair in winners for route in pair):
                # Then the path is the same on both sides, whatever it is: five times as fast for paths seen once.
                _remember(self._by_routes, winners, judged)
        return judged

    def _judge_winners(self, winners: _Winners, request: Asked) -> _Judged | _Pairs:
        pairs = tuple(
            (outcome_of(self._before, one, request), outcome_of(self._after, other, request)) for one, other in winners
        )
        if any(_by_address(each) for pair in pairs for each in pair):
            return pairs
        return self._judge_pairs(pairs)

    def _judge_pairs(self, pairs: _Pairs) -> _Judged:
        moved = [(pair, found) for pair in pairs for found in _ways(*pair)]
        parts = {moved_part(found) for _, found in moved}
        if parts == {0}:
            return _STAYS
        changes = tuple(dict.fromkeys(number for pair, found in moved if found for number in self._owners(*pair)))
        return _Judged(parts.pop() if len(parts) == 1 else None, changes)


def _remember(
    known: dict[tuple[object, ...], _Judged | _Pairs], key: tuple[object, ...], judged: _Judged | _Pairs
) -> None:
    if len(known) >= REMEMBERED:
        known.clear()
    known[key] = judged


def _winners(
    before: Sequence[CompiledRoute], after: Sequence[CompiledRoute]
) -> Iterator[tuple[CompiledRoute, CompiledRoute]]:
    """Whoever may take the request in both tables, for each way in which the open matches may turn out.

    Equal matches turn out alike in both tables. With too many of them every pair is yielded.
    """
    matches: list[Match] = []
    for route in (*before[:-1], *after[:-1]):
        if route.spec.match not in matches:
            matches.append(route.spec.match)
    if len(matches) > _MOST_OPEN:
        yield from product(before, after)
        return
    for holds in product((False, True), repeat=len(matches)):
        taken = [match for match, truth in zip(matches, holds, strict=True) if truth]
        yield _first(before, taken), _first(after, taken)


def _first(routes: Sequence[CompiledRoute], taken: list[Match]) -> CompiledRoute:
    return next((route for route in routes[:-1] if route.spec.match in taken), routes[-1])


def _ways(before: Outcome, after: Outcome) -> Iterator[tuple[Shift, ...]]:
    """What moves if the request has a unit; and what if it has none, where fig issues one in one table only."""
    yield shifts(before, after)
    if before.route.issues != after.route.issues and not shifts(before, after):
        yield shifts(without_unit(before), without_unit(after))


def _by_address(outcome: Outcome) -> bool:
    unit = outcome.route.spec.unit
    return outcome.is_split and unit is not None and bool(unit.address)


def _of(outcome: Outcome, client: str) -> Outcome:
    """The outcome for this client, where its address is the unit."""
    if not _by_address(outcome):
        return outcome
    try:
        ipaddress.ip_address(client)
    except ValueError:
        return outcome  # the log holds a name, so the unit is not known
    only = outcome.destination(bucket(outcome.route.spec.salt, client))
    return replace(outcome, legacy=only, candidate=only, share=0)


def _looks_at_query(route: Route) -> bool:
    return bool(route.rewrite or route.redirect or any(each.query for each in _all_matches(route.match)))


def _looks_at_client(route: Route) -> bool:
    templated = any("{client}" in str(block) for block in (route.rewrite, route.redirect))
    return templated or any(each.client for each in _all_matches(route.match))


def _all_matches(match: Match) -> Iterator[Match]:
    """The match and those within it."""
    yield match
    for each in (*match.any, *match.all, *((match.not_,) if match.not_ is not None else ())):
        yield from _all_matches(each)
