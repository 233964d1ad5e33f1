"""Business events as workers look for them: which events a request may be, and for which routes in canary. Pure.

A table has this only while a route stands in canary whose gate counts events: everywhere else a request costs one
comparison on account of them. Whether a request was an event its answer tells; what is counted is the side that the
canary's own unit and share choose for that request, whichever route took it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from xxhash import xxh64_intdigest

from rules.buckets import BUCKETS
from rules.decision import Choice, Request
from rules.document import Event
from rules.matching.predicates import whole
from rules.read_back import is_of
from rules.selectors import Selector, parse_selector
from rules.stages import Side

if TYPE_CHECKING:
    from rules.compiled import CompiledRoute

Watching = tuple["CompiledRoute", Sequence[str]]
"""A route in canary, and the events that its gate counts; an event's number is its place among them."""


class Watcher(NamedTuple):
    """A route in canary whose gate counts the event."""

    route: CompiledRoute
    number: int
    """What the event is called among those of that route."""


class WatchedEvent:
    """One event that somebody counts."""

    __slots__ = ("_status", "_whole", "name", "value", "watchers")

    def __init__(self, name: str, event: Event, watchers: tuple[Watcher, ...]) -> None:
        self.name = name
        self.watchers = watchers
        self.value: Selector | None = parse_selector(event.value) if event.value is not None else None
        """Where its value stands: `kind` is ``request`` or ``response``."""
        self._status = event.status
        self._whole = whole(event.match)

    def may_be(self, request: Request) -> bool:
        """Whether the request is one that counts. Never raises."""
        return self._whole.holds(request)

    def is_told_by(self, status: int) -> bool:
        """Whether an answer with this status makes it one."""
        return is_of(status, self._status)


class Events:
    """Those that are counted now. Immutable, as the table that has it."""

    def __init__(self, events: Mapping[str, Event], watching: Iterable[Watching]) -> None:
        watchers: dict[str, list[Watcher]] = {}
        for route, names in watching:
            for number, name in enumerate(names):
                watchers.setdefault(name, []).append(Watcher(route, number))
        self._events = tuple(
            WatchedEvent(name, events[name], tuple(those)) for name, those in watchers.items() if name in events
        )

    def of(self, request: Request) -> list[WatchedEvent]:
        """Those that the request may be. Never raises."""
        return [event for event in self._events if event.may_be(request)]


def side_for(route: CompiledRoute, request: Request, choice: Choice) -> tuple[int, Side] | None:
    """The unit hash, and the side that `route` chooses for the unit of a request that `choice` was made for; None
    where it has no unit there."""
    if choice.decision.route is route:  # also where the unit was issued just now
        return (choice.unit_hash, choice.decision.side) if choice.decision.counted else None
    if route.unit_of is None:
        return None
    unit = route.unit_of(request)
    if not unit:
        return None
    unit_hash = xxh64_intdigest(route.salt_prefix + unit.encode())
    return unit_hash, Side.CANDIDATE if unit_hash % BUCKETS < route.share else Side.LEGACY
