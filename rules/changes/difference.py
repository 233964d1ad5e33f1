"""Two versions of a rules file held against each other: every change, and what it does to requests. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from rules.changes.destination import Outcome, Shift, shifts, surely_alike
from rules.changes.edition import Edition
from rules.changes.edits import ABSENT, Edits, KeyChange, compare
from rules.changes.notes import notes_of_route, notes_of_setting, starving
from rules.changes.pairs import Elsewhere, Found, Pairs
from rules.table import CompiledRoute

_NAMED = ("services", "events", "gates", "comparisons", "sources", "probes", "webhooks", "notify", "slo")
"""Settings of which each name is a change of its own."""
MOST_SHOWN = 3
"""Routes for which a witness is looked for when a setting sends the requests of many elsewhere."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that was changed: a route, a service, a gate, another key outside of the routes."""

    subject: str
    """``route``, or the key outside of the routes."""
    name: str
    """Of the route (afterwards, if it is still there), service, gate...; ``""`` for a key without."""
    kinds: tuple[str, ...]
    """``added``, ``removed``; or of ``renamed``, ``changed`` and ``moved`` what holds."""
    before: CompiledRoute | None = None
    after: CompiledRoute | None = None
    keys: tuple[KeyChange, ...] = ()
    elsewhere: tuple[Elsewhere, ...] = ()
    """Classes of requests that go elsewhere on its account."""
    further: int = 0
    """Routes whose requests go elsewhere too, or may, and that were not looked at one by one."""
    sure: bool = True
    """No other requests go elsewhere."""
    notes: tuple[str, ...] = ()
    starved: tuple[str, ...] = ()
    """Routes that get no request afterwards, as is proven: earlier ones take them all."""
    was_behind: str = ""
    """The route before it in the order of before; ``""`` for the first."""
    behind: str = ""
    """The route before it in the order of afterwards; ``""`` for the first."""

    @property
    def effect(self) -> str:
        """``moves`` some requests, ``may move`` some (none was found, and no proof), ``stays``."""
        return "moves" if self.elsewhere else "stays" if self.sure else "may move"

    @property
    def part(self) -> Fraction:
        """The largest part of the units that one of its classes sends elsewhere."""
        return max((each.part for each in self.elsewhere), default=Fraction(0))


@dataclass(frozen=True)
class Difference:
    """Everything that differs between two editions."""

    before: Edition
    after: Edition
    edits: Edits
    changes: tuple[Change, ...]

    @property
    def effect(self) -> str:
        """``moves``, ``may move`` or ``stays``: the strongest of all changes."""
        effects = {change.effect for change in self.changes}
        return next((each for each in ("moves", "may move") if each in effects), "stays")

    @property
    def starved(self) -> frozenset[str]:
        """Routes that get no request afterwards, of those that the changes touch."""
        return frozenset(name for change in self.changes for name in change.starved)

    def count(self, kind: str) -> int:
        """Routes that were ``added``, ``removed``, ``renamed``, ``changed`` or ``moved``."""
        return sum(change.subject == "route" and kind in change.kinds for change in self.changes)


def difference(before: Edition, after: Edition) -> Difference:
    """Compares the text first; only what differs is compiled against each other and searched for witnesses."""
    edits = compare(before, after)
    return Difference(before, after, edits, tuple(_Comparison(before, after, edits).changes()))


class _Comparison:
    def __init__(self, before: Edition, after: Edition, edits: Edits) -> None:
        self._before, self._after, self._edits = before, after, edits
        self._former = {renamed.after: renamed.before for renamed in edits.renamed}
        self._latter = {renamed.before: renamed.after for renamed in edits.renamed}
        self._moved = {moved.name for moved in edits.moved}
        self._changed = {changed.name: changed.keys for changed in edits.changed}
        self._added = {added.name for added in edits.added}
        self._removed = {removed.name for removed in edits.removed}
        self._pairs: Pairs | None = None

    def changes(self) -> Iterator[Change]:
        """In the order of the routes afterwards; removed routes before the one that follows them; settings last."""
        if not self._edits:
            return
        self._pairs = Pairs(self._before.table, self._after.table)
        routes = sorted(self._routes(), key=lambda each: each[0])
        yield from (change for _, change in routes)
        yield from self._settings()

    def _routes(self) -> Iterator[tuple[tuple[int, int], Change]]:
        first, second = self._before.table.by_name, self._after.table.by_name
        for removed in self._edits.removed:
            route = first[removed.name]
            yield (removed.index, 0), self._route(route, None, ("removed",))
        for added in self._edits.added:
            yield (added.index, 1), self._route(None, second[added.name], ("added",))
        touched = dict.fromkeys([*self._former, *self._changed, *self._moved])
        for name in touched:
            keys = self._changed.get(name, ())
            marks = (("renamed", name in self._former), ("changed", bool(keys)), ("moved", name in self._moved))
            kinds = tuple(kind for kind, holds in marks if holds)
            before, after = first[self._former.get(name, name)], second[name]
            yield (after.index, 1), self._route(before, after, kinds, keys)

    def _route(
        self,
        before: CompiledRoute | None,
        after: CompiledRoute | None,
        kinds: tuple[str, ...],
        keys: tuple[KeyChange, ...] = (),
    ) -> Change:
        assert self._pairs is not None
        found = Found()
        if kinds != ("changed",) or before is None or after is None or before.spec.match != after.spec.match:
            found = self._pairs.of(before, after)
        else:
            found = self._pairs.of_pair(before, after)
        elsewhere = found.elsewhere
        if before is not None and after is not None:
            elsewhere = tuple(each for each in elsewhere if not self._belongs_elsewhere(each, before, after))
        name = after.name if after is not None else before.name if before is not None else ""
        starved = tuple(self._starved(after, kinds, keys, elsewhere))
        notes = notes_of_route(before, after, keys)
        notes += starving(starved)
        return Change(
            *("route", name, kinds, before, after, keys, elsewhere, found.unseen, found.sure, notes),
            starved=starved,
            was_behind=_behind(self._before, before),
            behind=_behind(self._after, after),
        )

    def _starved(
        self,
        after: CompiledRoute | None,
        kinds: tuple[str, ...],
        keys: tuple[KeyChange, ...],
        elsewhere: Sequence[Elsewhere],
    ) -> Iterator[str]:
        """Names of routes that get no request afterwards: this one, or those that it takes from."""
        assert self._pairs is not None
        if kinds == ("changed",) and all(change.path[0] != "match" for change in keys):
            return
        if after is None:
            return
        if all(each.after.route is not after for each in elsewhere) and self._pairs.takes_nothing(after):
            yield after.name
        robbed = dict.fromkeys(each.before.route.name for each in elsewhere if each.after.route is after)
        for name in robbed:
            route = self._after.table.by_name.get(self._latter.get(name, name))
            if route is not None and route is not after and self._pairs.takes_nothing(route):
                yield route.name

    def _belongs_elsewhere(self, each: Elsewhere, before: CompiledRoute, after: CompiledRoute) -> bool:
        """Whether a route that was added or removed is why requests leave or reach one that is still there."""
        added = each.before.route is before and each.after.route.name in self._added
        return added or (each.after.route is after and each.before.route.name in self._removed)

    def _settings(self) -> Iterator[Change]:
        groups: dict[tuple[str, ...], list[KeyChange]] = {}
        for change in self._edits.settings:
            groups.setdefault(change.path[: 2 if change.path[0] in _NAMED else 1], []).append(change)
        bearing = self._bearing()
        for path, keys in groups.items():
            yield self._setting(path, tuple(keys), bearing.get(path, []))

    def _bearing(self) -> dict[tuple[str, ...], list[tuple[CompiledRoute, CompiledRoute]]]:
        """Setting -> the routes, else untouched, that it sends elsewhere."""
        found: dict[tuple[str, ...], list[tuple[CompiledRoute, CompiledRoute]]] = {}
        roots = {change.path[0] for change in self._edits.settings}
        if not roots & {"services", "legacy"}:
            return found
        first, second = self._before.table, self._after.table
        touched = {*self._changed, *self._former, *self._moved}
        for after in second.routes:
            name = self._former.get(after.name, after.name)
            before = first.by_name.get(name) if after.index < len(second.routes) - 1 else first.routes[-1]
            if before is None or after.name in self._added or surely_alike(first, before, second, after):
                continue
            if after.name in touched and not self._moves_a_service(before, after):
                continue
            for path in responsible(before, after, self._edits):
                found.setdefault(path, []).append((before, after))
        return found

    def _moves_a_service(self, before: CompiledRoute, after: CompiledRoute) -> bool:
        """Whether requests of a route that has edits of its own also follow a service to another address."""
        assert self._pairs is not None
        found = self._pairs.of_pair(before, after)
        return any(follows(shift) for each in found.elsewhere for shift in each.shifts)

    def _setting(
        self,
        path: tuple[str, ...],
        keys: tuple[KeyChange, ...],
        bearing: Sequence[tuple[CompiledRoute, CompiledRoute]],
    ) -> Change:
        assert self._pairs is not None
        looked_at = [self._pairs.of_pair(*pair) for pair in bearing[:MOST_SHOWN]]
        elsewhere = tuple(each for found in looked_at for each in found.elsewhere)
        further = len(bearing) - len(looked_at)
        sure = all(found.sure for found in looked_at) and (not further or bool(elsewhere))
        if path[0] == "trusted_proxies":
            sure = not any(_looks_at_address(route) for route in self._after.table.routes)
        if path[0] == "force":
            sure = False
        notes = notes_of_setting(path, list(self._asking(path)))
        name = path[1] if len(path) > 1 else ""
        return Change(path[0], name, _kinds(path, keys), None, None, keys, elsewhere, further, sure, notes)

    def _asking(self, path: tuple[str, ...]) -> Iterable[CompiledRoute]:
        """Routes, afterwards, that name what the setting defines."""
        for route in self._after.table.routes[:-1]:
            if path[0] == "services" and path[1] in (route.candidate, route.legacy):
                yield route
            elif path[0] == "gates":
                rollout = self._after.of_routes.get(route.name, {}).get("rollout", {})
                if rollout.get("gate") == path[1] and route.stage.value == "canary":
                    yield route


def _behind(edition: Edition, route: CompiledRoute | None) -> str:
    return edition.table.routes[route.index - 1].name if route is not None and route.index else ""


def _kinds(path: tuple[str, ...], keys: Sequence[KeyChange]) -> tuple[str, ...]:
    if keys[0].path == path and keys[0].before is ABSENT:
        return ("added",)
    if keys[0].path == path and keys[0].after is ABSENT:
        return ("removed",)
    return ("changed",)


def _looks_at_address(route: CompiledRoute) -> bool:
    unit = route.spec.unit
    return "client" in route.spec.match.model_dump_json(exclude_defaults=True) or bool(
        unit is not None and unit.address
    )


def responsible(before: CompiledRoute, after: CompiledRoute, edits: Edits) -> list[tuple[str, ...]]:
    """The settings on whose account requests of a route that is itself untouched go elsewhere."""
    services = {before.legacy, before.candidate, after.legacy, after.candidate}
    paths = [change.path for change in edits.settings]
    found = [path[:2] for path in paths if path[0] == "services" and path[1] in services]
    if before.legacy != after.legacy:
        found += [path[:1] for path in paths if path[0] == "legacy"]
    return list(dict.fromkeys(found))


class Attribution:
    """On account of which changes a request goes elsewhere. Changes are named by their number in `changes`."""

    def __init__(self, difference: Difference) -> None:
        self._edits = difference.edits
        self._changes = difference.changes
        self._first: dict[str, int] = {}
        self._second: dict[str, int] = {}
        self._settings: dict[tuple[str, ...], int] = {}
        for number, change in enumerate(difference.changes):
            if change.before is not None:
                self._first[change.before.name] = number
            if change.after is not None:
                self._second[change.after.name] = number
            if change.subject != "route":
                self._settings[(change.subject, change.name) if change.name else (change.subject,)] = number

    def __call__(self, before: Outcome, after: Outcome) -> list[int]:
        first, second = self._first.get(before.route.name), self._second.get(after.route.name)
        if first is not None and second is not None and first != second:
            # A route that comes takes from one that stays, and one that goes leaves to one that stays.
            kinds = self._changes[first].kinds[0], self._changes[second].kinds[0]
            first = None if kinds[1] == "added" and kinds[0] != "removed" else first
            second = None if kinds[0] == "removed" and kinds[1] != "added" else second
        found = [number for number in (first, second) if number is not None]
        moved = {shift.before.service for shift in shifts(before, after) if follows(shift)}
        found += [self._settings["services", name] for name in moved if ("services", name) in self._settings]
        if not found:
            paths = responsible(before.route, after.route, self._edits)
            found = [self._settings[path] for path in paths if path in self._settings]
        return list(dict.fromkeys(found))


def follows(shift: Shift) -> bool:
    """Whether requests go to another address of the same service."""
    return (
        shift.before.service != ""
        and shift.before.service == shift.after.service
        and shift.before.urls != shift.after.urls
    )
