"""Whose turn it is: how many routes may be under way at once, one of a group at a time, and how many moves an hour.

Pure. Routes of a group share their units (rules.document.Route.salt), so two rollouts at once in one group would each
be the other's disturbance: a unit that suffers from one candidate shows it in the figures of both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from canary.plan import Pace

HOUR = 3600.0
NAMED = 5
"""Routes in a sentence."""


def against_start(pace: Pace, route: str, groups: Mapping[str, str], under_way: Sequence[str]) -> tuple[str, ...]:
    """What speaks against the first step of `route` while the routes `under_way` are; `groups`: route -> its group."""
    others = [name for name in under_way if name != route]
    found = []
    alike = [name for name in others if groups[name] == groups[route]]
    if alike:
        found.append(
            f"{_named(alike)} of the same group ('{groups[route]}') {_is_or_are(alike)} under way; one at a time"
        )
    if pace.at_once is not None and len(others) >= pace.at_once:
        found.append(
            f"{_named(others)} {_is_or_are(others)} under way; at most {pace.at_once} at once (pilot: at_once)"
        )
    return tuple(found)


def against_move(pace: Pace, moved: Sequence[float], now: float) -> tuple[str, ...]:
    """What speaks against one more move forward after those at the times `moved`, in seconds since the epoch.

    Those of the coming hour count too: the clock was set back.
    """
    lately = sorted(at for at in moved if abs(now - at) < HOUR)
    if pace.moves_per_hour is None or len(lately) < pace.moves_per_hour:
        return ()
    free = lately[-pace.moves_per_hour] + HOUR
    return (
        f"{len(lately)} moves forward in the last hour; at most {pace.moves_per_hour} (pilot: moves_per_hour), "
        f"the next in {max(1, round((free - now) / 60))} min",
    )


def _named(routes: Sequence[str]) -> str:
    more = len(routes) - NAMED
    return ", ".join(sorted(routes)[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _is_or_are(routes: Sequence[str]) -> str:
    return "is" if len(routes) == 1 else "are"
