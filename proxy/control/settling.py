"""What a loaded rules file comes to: settled with the store, recorded, published. Blocks; control does it in a thread.

A crash between any two of its steps leaves a state that `open_desk` completes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog

from proxy import publication
from proxy.control import last_good, standings
from proxy.control.book import Book, Reloading, applied, steps_of
from proxy.control.records import Change, Standing, Stored
from proxy.control.store import Store
from proxy.rulebook import Rulebook
from proxy.rulebook import load as load_rulebook
from rules.document import Route
from rules.effective import Effective, Pointer, declared_position
from rules.problems import RulesError

log = structlog.get_logger(__name__)


def open_desk(rules: Path, state: Path, store: Store, *, strict: bool) -> tuple[Book, Reloading]:
    """Load the file, settle it with the store, and publish what comes out; nothing new when nothing changed.

    Raises RulesError when the file is broken and `strict`, or when there is no published table to go on with.
    """
    now = time.time()
    before, stored = _pointed(state), store.load()
    try:
        rulebook = load_rulebook(rules)
    except RulesError as exc:
        running = _published(state)
        if strict or running is None:
            raise
        problems = tuple(str(problem) for problem in exc.problems)
        log.error("rules refused, the published table stays", problems=problems)
        known = {route.name: _standing(running, route, stored, now) for route in standings.sided(running.rules)}
        stored = Stored(stored.generation, known)
        book = settle(running, None, state, store, stored, before)
        book.last_good = last_good.decode(store.rules(), running.rules)
        return book, Reloading(False, now, problems)
    accepted = accepted_of(rulebook)
    if not publication.is_whole(state, accepted.digest):
        publication.write_rules(state, accepted)
    return settle(accepted, rulebook, state, store, stored, before), Reloading(True, now, last_success=now)


def _standing(running: Effective, route: Route, stored: Stored, now: float) -> Standing:
    """Where the store has the route; for a store that was begun anew, where the published table has it."""
    position = running.position(route.name)
    return stored.standings.get(route.name) or standings.placed_as(running.rules, route, position, now)


def _pointed(state: Path) -> Pointer | None:
    """What was published last, as far as it can be read without reading the rules."""
    try:
        return publication.pointed(state)
    except FileNotFoundError:
        return None
    except ValueError as exc:
        log.warning("the published table cannot be read and is made anew", problem=str(exc))
        return None


def _published(state: Path) -> Effective | None:
    """What was published last. Files that cannot be read count as none: everything in them can be made anew."""
    try:
        return publication.published(state)
    except ValueError as exc:
        log.warning("the published table cannot be read", problem=str(exc))
        return None


def accepted_of(rulebook: Rulebook) -> Effective:
    """What the file decides of a table; generation and positions are for `_settle` to say."""
    return Effective(
        1,
        rulebook.rules,
        comparisons={name: each.model_dump(mode="json") for name, each in rulebook.comparisons.items()},
        certificates={route: each.model_dump(mode="json") for route, each in rulebook.certificates.items()},
        watches=_watches(rulebook),
    )


def _watches(rulebook: Rulebook) -> dict[str, tuple[str, ...]]:
    """The events that workers are to look for while a route stands in canary, by route."""
    counted = {route: rulebook.gates[plan.gate].events for route, plan in rulebook.rollouts.items()}
    return {route: events for route, events in counted.items() if events}


def settle(
    accepted: Effective,
    rulebook: Rulebook | None,
    state: Path,
    store: Store,
    stored: Stored,
    before: Pointer | None,
    when_read: Mapping[str, Standing] | None = None,
) -> Book:
    """Blocking part of every load: reconcile, record, publish. Gives what is accepted from now on.

    `when_read` has the standings of when the file was read, where routes may have moved since.
    """
    following = max(stored.generation, before.generation if before else 0) + 1
    changes: list[Change] = []
    if rulebook is not None:
        stored = Stored(stored.generation, standings.completed(accepted.rules, stored.standings))
        known = stored.standings
        since = standings.rolled_back_between(when_read if when_read is not None else known, known)
        watching = {name for name, plan in rulebook.rollouts.items() if plan.watch is not None}
        changes = standings.reconcile(
            accepted.rules, steps_of(rulebook), known, following, time.time(), since, watching
        )
    known = applied(stored.standings, changes)
    positions = {
        route.name: known[route.name].position
        for route in standings.sided(accepted.rules)
        if route.name in known and known[route.name].position != declared_position(route)
    }
    if rulebook is not None and (kept := last_good.encode(rulebook)) != store.rules():
        store.keep_rules(kept)
    _ = accepted.routes  # made here, in a thread, for everyone who looks a route up later
    effective = accepted.moved(following, positions)
    if before is not None and not changes and _same(before, effective) and before.generation >= stored.generation:
        return Book(effective.moved(before.generation, positions), known, rulebook)
    make_durable(state, store, effective, changes)
    return Book(effective, known, rulebook)


def make_durable(state: Path, store: Store, effective: Effective, changes: Sequence[Change]) -> list[int]:
    """Blocking: the table and what the store holds, both or (but for a crash, which `open_desk` completes) neither.

    Gives the numbers of the history's lines.
    """
    draft = publication.Draft(state, effective)
    try:
        numbers = store.record(effective.generation, changes)
    except BaseException:
        draft.discard()
        raise
    draft.commit()
    return numbers


def _same(one: Pointer, other: Effective) -> bool:
    """Whether two tables decide alike; their generations do not matter."""
    return one.rules == other.digest and one.positions == other.positions
