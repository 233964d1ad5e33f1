"""The desk: the one place through which routes move, and through which a rules file takes effect.

Every change goes the same way, one at a time: decide (pure, standings.py), write the table beside the published one,
record standing and history in one transaction, put the table in place, tell workers and shadower, wait for the workers.
A crash between any two of these leaves a state that `open_desk` completes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import structlog

from canary.rollout import Rollout
from proxy import publication
from proxy.control import standings
from proxy.control.peers import Acknowledgement
from proxy.control.records import Change, Entry, Standing, Stored
from proxy.control.standings import MoveError
from proxy.control.store import Store
from proxy.memory import made_to_last
from proxy.rulebook import Rulebook
from proxy.rulebook import load as load_rulebook
from proxy.slices import in_slices
from rules.document import Route
from rules.effective import Effective, Pointer, Position, declared_position
from rules.problems import Problem, RulesError, suggestion

log = structlog.get_logger(__name__)

T = TypeVar("T")
Publish = Callable[[int], Awaitable[Acknowledgement]]
Prepare = Callable[[str, float], Awaitable[None]]
"""Has everyone read the rules of a digest, for at most that many seconds."""
SHOWN = 50
"""Names in a message."""
ROUTES_A_SECOND = 1000
"""How fast the slowest worker may read rules while it serves, before they are published without it."""
Decide = Callable[[Route, Position, Sequence[int]], Position]
"""Where a move leads, from the route, where it stands, and its rollout's steps. Raises MoveError."""


class UnknownRouteError(Exception):
    """No such route in the running table."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A move that was made: its line of the history, and who decides by it."""

    entry: Entry
    acknowledgement: Acknowledgement


@dataclass(frozen=True, slots=True)
class Reloading:
    """How the last reload went."""

    ok: bool
    at: float
    """Seconds since the epoch."""
    problems: tuple[str, ...] = ()
    last_success: float = 0.0


@dataclass(slots=True)
class Book:
    """What is accepted now. Replaced as a whole, so that a reader never sees two loads mixed."""

    effective: Effective
    standings: Mapping[str, Standing]
    rulebook: Rulebook | None
    """None while the file has been broken since before control started: routes can be moved, but nothing is judged."""

    @property
    def routes(self) -> Mapping[str, Route]:
        """By name, in file order; also those that have no sides, and so no standing."""
        return self.effective.routes

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(self.rulebook.warnings) if self.rulebook is not None else ()

    def steps(self, route: str) -> Sequence[int]:
        return steps_of(self.rulebook).get(route, ())


def steps_of(rulebook: Rulebook | None) -> dict[str, tuple[int, ...]]:
    """The shares of each route's rollout, ascending."""
    if rulebook is None:
        return {}
    return {name: tuple(plan.steps) for name, plan in rulebook.rollouts.items()}


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
        return _settle(running, None, state, store, stored, before), Reloading(False, now, problems)
    accepted = _accepted(rulebook)
    if not publication.is_whole(state, accepted.digest):
        publication.write_rules(state, accepted)
    return _settle(accepted, rulebook, state, store, stored, before), Reloading(True, now, last_success=now)


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


def _accepted(rulebook: Rulebook) -> Effective:
    """What the file decides of a table; generation and positions are for `_settle` to say."""
    return Effective(
        1,
        rulebook.rules,
        comparisons={name: each.model_dump(mode="json") for name, each in rulebook.comparisons.items()},
        certificates={route: each.model_dump(mode="json") for route, each in rulebook.certificates.items()},
    )


def _settle(
    accepted: Effective,
    rulebook: Rulebook | None,
    state: Path,
    store: Store,
    stored: Stored,
    before: Pointer | None,
) -> Book:
    """Blocking part of every load: reconcile, record, publish. Gives what is accepted from now on."""
    following = max(stored.generation, before.generation if before else 0) + 1
    changes: list[Change] = []
    if rulebook is not None:
        changes = standings.reconcile(accepted.rules, steps_of(rulebook), stored.standings, following, time.time())
    known = applied(stored.standings, changes)
    positions = {
        route.name: known[route.name].position
        for route in standings.sided(accepted.rules)
        if route.name in known and known[route.name].position != declared_position(route)
    }
    _ = accepted.routes  # made here, in a thread, for everyone who looks a route up later
    effective = accepted.moved(following, positions)
    if before is not None and not changes and _same(before, effective) and before.generation >= stored.generation:
        return Book(effective.moved(before.generation, positions), known, rulebook)
    _make_durable(state, store, effective, changes)
    return Book(effective, known, rulebook)


def _make_durable(state: Path, store: Store, effective: Effective, changes: Sequence[Change]) -> list[int]:
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


def applied(known: Mapping[str, Standing], changes: Sequence[Change]) -> dict[str, Standing]:
    """The standings after `changes`."""
    after = dict(known)
    for change in changes:
        if change.standing is None:
            after.pop(change.entry.route, None)
        else:
            after[change.entry.route] = change.standing
    return after


class Desk:
    """Holds the book; serialises everything that changes it."""

    def __init__(
        self,
        rules: Path,
        state: Path,
        store: Store,
        publish: Publish,
        on_accepted: Callable[[Book], None],
        book: Book,
        reloading: Reloading,
        prepare: Prepare | None = None,
    ) -> None:
        """`on_accepted` sees every book after this one, before the workers are told of it."""
        self._prepare = prepare
        self._rules = rules
        self._state = state
        self._store = store
        self._publish = publish
        self._on_accepted = on_accepted
        self._lock = asyncio.Lock()
        """Held by whatever changes the book."""
        self._reloads = asyncio.Lock()
        self._releasing: asyncio.Task[None] | None = None
        self.book = book
        self.reloading = reloading

    def route(self, name: str) -> Route:
        """Raises UnknownRouteError."""
        try:
            return self.book.routes[name]
        except KeyError:
            known = ", ".join(islice(self.book.routes, SHOWN)) or "none"
            known += f", and {len(self.book.routes) - SHOWN} more" if len(self.book.routes) > SHOWN else ""
            meant = suggestion(name, self.book.routes) if len(self.book.routes) > SHOWN else ""
            raise UnknownRouteError(f"no route '{name}'{meant}; there are: {known}") from None

    def standing(self, name: str) -> Standing:
        """Raises UnknownRouteError, and MoveError for a route that has no sides and so stands nowhere."""
        route = self.route(name)
        if route.candidate is None:
            raise MoveError(f"route '{name}' has no sides to choose between: {standings.answers(route)} always answers")
        return self.book.standings[name]

    async def reload(self) -> Reloading:
        """Load the rules file anew. A broken one changes nothing and is told with every problem."""
        async with self._reloads:
            now = time.time()
            try:
                with made_to_last():
                    # Not under the lock: a rollback must not wait for a large file to be read.
                    rulebook = await asyncio.to_thread(load_rulebook, self._rules)
                    accepted = await self._made_ready(rulebook)
                    async with self._lock:
                        await self._take_over(accepted, rulebook)
            except RulesError as exc:
                self._refused(now, tuple(str(problem) for problem in exc.problems))
            except Exception as exc:
                log.exception("rules not loaded")
                self._refused(now, (f"{self._rules}: could not be taken over: {type(exc).__name__}: {exc}",))
            else:
                self.reloading = Reloading(True, now, last_success=now)
            return self.reloading

    async def _made_ready(self, rulebook: Rulebook) -> Effective:
        """Everyone has read the rules that are about to be published: all change over at once, and moves go on."""
        accepted = _accepted(rulebook)
        digest = await asyncio.to_thread(lambda: accepted.digest)
        if digest != self.book.effective.digest:
            await asyncio.to_thread(publication.write_rules, self._state, accepted)
            if self._prepare is not None:
                await self._prepare(digest, 1.0 + len(accepted.rules.routes) / ROUTES_A_SECOND)
        return accepted

    async def _take_over(self, accepted: Effective, rulebook: Rulebook) -> None:
        former = self.book
        stored = Stored(former.effective.generation, former.standings)

        async def settle() -> Book:
            book = await asyncio.to_thread(
                _settle, accepted, rulebook, self._state, self._store, stored, former.effective.pointer
            )
            self._accept(book)
            return book

        generation = (await _unbroken(settle())).effective.generation
        if generation == former.effective.generation:
            log.info("rules reloaded, nothing changed for the workers", generation=generation)
            return
        answer = await self._publish(generation)
        log.info("rules reloaded", generation=generation, missing=answer.missing)
        self._releasing = asyncio.create_task(in_slices(_let_go(former), time.monotonic))

    def _refused(self, now: float, problems: tuple[str, ...]) -> None:
        self.reloading = Reloading(False, now, problems, self.reloading.last_success)
        log.error("rules refused, the running table stays", problems=problems)

    async def move(
        self,
        name: str,
        decide: Decide,
        *,
        action: str,
        actor: str,
        why: str,
        evidence: Mapping[str, Any] | None = None,
    ) -> Moved:
        """Move a route to where `decide` says; returns once every live worker decides by it, or the patience is over.

        Raises UnknownRouteError and MoveError.
        """

        def after(route: Route, standing: Standing, now: float) -> Rollout:
            position = decide(route, standing.position, self.book.steps(name))
            if position == standing.position:
                raise MoveError(f"route '{name}' stands there already: {describe(position)}")
            return standings.moved(standing.rollout, position, now)

        return await self.carry_out(name, after, action=action, actor=actor, why=why, evidence=evidence or {})

    async def carry_out(
        self,
        name: str,
        decide: Callable[[Route, Standing, float], Rollout],
        *,
        action: str,
        actor: str,
        why: str,
        evidence: Mapping[str, Any],
    ) -> Moved:
        """As `move`, for whoever decides about the rollout itself (the pilot), at the time that `decide` is given."""
        async with self._lock:
            now = time.time()
            standing = self.standing(name)
            rollout = decide(self.route(name), standing, now)
            book = self.book
            generation = book.effective.generation + 1
            moved = replace(standing, rollout=rollout)
            before, after = standing.position, moved.position
            entry = Entry(now, name, actor, action, before, after, why, generation, evidence)
            change = Change(moved, entry)
            positions = {**book.effective.positions, name: after}
            if after == declared_position(self.route(name)):
                del positions[name]
            effective = book.effective.moved(generation, positions)

            async def record() -> list[int]:
                numbers = await asyncio.to_thread(_make_durable, self._state, self._store, effective, [change])
                self._accept(Book(effective, applied(book.standings, [change]), book.rulebook))
                return numbers

            numbers = await _unbroken(record())
            log.info(
                "moved", route=name, actor=actor, action=action, before=describe(before), after=describe(after), why=why
            )
            return Moved(replace(entry, number=numbers[0]), await self._publish(generation))

    def _accept(self, book: Book) -> None:
        self.book = book
        try:
            self._on_accepted(book)
        except Exception:  # evidence that is missing is a fault of its gate; the workers must hear of the move
            log.exception("what follows the table failed", generation=book.effective.generation)

    async def history(self, route: str | None, limit: int) -> list[Entry]:
        return await asyncio.to_thread(self._store.history, route, limit)


def _let_go(book: Book) -> Generator[None, None, None]:
    """Free what a former book holds, a value at a time: 100,000 routes at once take a third of a second."""
    kept: list[list[object]] = [[*book.effective.rules.routes], [*book.standings.values()]]
    if book.rulebook is not None:
        kept += [[*book.rulebook.rollouts.values()], [*book.rulebook.certificates.values()]]
    del book
    yield  # until whoever else held the book has let it go too
    for some in kept:
        while some:
            some.pop()
            yield


async def _unbroken(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which goes on to its end though the caller is cancelled, and the caller waits for that.

    What a thread has begun to record cannot be called back; whoever changes the book next must see it.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def describe(position: Position) -> str:
    """``canary 5%, frozen``: for messages and log lines."""
    share = f" {position.share / 10_000:g}%" if position.stage.value == "canary" else ""
    return f"{position.stage.value}{share}{', frozen' if position.frozen else ''}"
