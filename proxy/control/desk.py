"""The desk: the one place through which routes move, and through which a rules file takes effect.

Every change goes the same way, one at a time: decide (pure, standings.py), write the table beside the published one,
record standing and history in one transaction, put the table in place, tell workers and shadower, wait for the workers.
A crash between any two of these leaves a state that `open_desk` completes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypedDict, TypeVar

import structlog

from canary.rollout import Rollout
from proxy.control import publication, standings
from proxy.control.peers import Acknowledgement
from proxy.control.records import Change, Entry, Standing, Stored
from proxy.control.standings import MoveError
from proxy.control.store import Store
from proxy.rulebook import Rulebook
from proxy.rulebook import load as load_rulebook
from rules.document import Route, Rules
from rules.effective import Effective, Position
from rules.problems import Problem, RulesError

log = structlog.get_logger(__name__)

T = TypeVar("T")
Publish = Callable[[int], Awaitable[Acknowledgement]]
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
    routes: Mapping[str, Route] = field(init=False)

    def __post_init__(self) -> None:
        self.routes = {route.name: route for route in self.effective.rules.routes}

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
    before = _published(state)
    stored = store.load()
    try:
        rulebook = load_rulebook(rules)
    except RulesError as exc:
        if strict or before is None:
            raise
        problems = tuple(str(problem) for problem in exc.problems)
        log.error("rules refused, the published table stays", problems=problems)
        known = {route.name: _standing(before, route, stored, now) for route in before.rules.routes}
        stored = Stored(stored.generation, known)
        book = _settle(_content_again(before), None, state, store, stored, before)
        return book, Reloading(False, now, problems)
    book = _settle(_content(rulebook), rulebook, state, store, stored, before)
    return book, Reloading(True, now, last_success=now)


def _standing(before: Effective, route: Route, stored: Stored, now: float) -> Standing:
    """Where the store has the route; for a store that was begun anew, where the published table has it."""
    position = before.position(route.name)
    return stored.standings.get(route.name) or standings.placed_as(before.rules, route, position, now)


def _published(state: Path) -> Effective | None:
    """What was published last. A file that cannot be read counts as none: everything in it can be made anew."""
    try:
        return publication.published(state)
    except ValueError as exc:
        log.warning("the published table cannot be read and is made anew", problem=str(exc))
        return None


class Content(TypedDict):
    """What the file decides of a published table; generation and positions are the desk's."""

    rules: Rules
    comparisons: dict[str, Any]
    certificates: dict[str, Any]


def _content(rulebook: Rulebook) -> Content:
    return Content(
        rules=rulebook.rules,
        comparisons={name: each.model_dump(mode="json") for name, each in rulebook.comparisons.items()},
        certificates={route: each.model_dump(mode="json") for route, each in rulebook.certificates.items()},
    )


def _content_again(before: Effective) -> Content:
    return Content(rules=before.rules, comparisons=before.comparisons, certificates=before.certificates)


def _settle(
    content: Content,
    rulebook: Rulebook | None,
    state: Path,
    store: Store,
    stored: Stored,
    before: Effective | None,
) -> Book:
    """Blocking part of every load: reconcile, record, publish. Gives what is accepted from now on."""
    following = max(stored.generation, before.generation if before else 0) + 1
    changes: list[Change] = []
    rules = content["rules"]
    if rulebook is not None:
        changes = standings.reconcile(rules, steps_of(rulebook), stored.standings, following, time.time())
    known = applied(stored.standings, changes)
    positions = {route.name: known[route.name].position for route in rules.routes if route.name in known}
    effective = Effective(generation=following, positions=positions, **content)
    if before is not None and not changes and _same(before, effective) and before.generation >= stored.generation:
        return Book(before, known, rulebook)
    _make_durable(state, store, effective, changes)
    return Book(effective, known, rulebook)


def _make_durable(state: Path, store: Store, effective: Effective, changes: Sequence[Change]) -> list[int]:
    """Blocking: the table and what the store holds, both or (but for a crash, which `open_desk` completes) neither.

    Gives the numbers of the history's lines.
    """
    draft = publication.Prepared(state, effective)
    try:
        numbers = store.record(effective.generation, changes)
    except BaseException:
        draft.discard()
        raise
    draft.commit()
    return numbers


def _same(one: Effective, other: Effective) -> bool:
    """Whether two tables decide alike; their generations do not matter."""
    return one.digest == other.digest and one.positions == other.positions


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
    ) -> None:
        """`on_accepted` sees every book after this one, before the workers are told of it."""
        self._rules = rules
        self._state = state
        self._store = store
        self._publish = publish
        self._on_accepted = on_accepted
        self._lock = asyncio.Lock()
        """Held by whatever changes the book."""
        self._reloads = asyncio.Lock()
        self.book = book
        self.reloading = reloading

    def route(self, name: str) -> Route:
        """Raises UnknownRouteError."""
        try:
            return self.book.routes[name]
        except KeyError:
            known = ", ".join(self.book.routes) or "none"
            raise UnknownRouteError(f"no route '{name}'; there are: {known}") from None

    def standing(self, name: str) -> Standing:
        """Raises UnknownRouteError."""
        self.route(name)
        return self.book.standings[name]

    async def reload(self) -> Reloading:
        """Load the rules file anew. A broken one changes nothing and is told with every problem."""
        async with self._reloads:
            now = time.time()
            try:
                # Not under the lock: a rollback must not wait for a large file to be read.
                rulebook = await asyncio.to_thread(load_rulebook, self._rules)
                async with self._lock:
                    await self._take_over(rulebook)
            except RulesError as exc:
                self._refused(now, tuple(str(problem) for problem in exc.problems))
            except Exception as exc:
                log.exception("rules not loaded")
                self._refused(now, (f"{self._rules}: could not be taken over: {type(exc).__name__}: {exc}",))
            else:
                self.reloading = Reloading(True, now, last_success=now)
            return self.reloading

    async def _take_over(self, rulebook: Rulebook) -> None:
        former = self.book
        stored = Stored(former.effective.generation, former.standings)

        async def settle() -> Book:
            book = await asyncio.to_thread(
                _settle, _content(rulebook), rulebook, self._state, self._store, stored, former.effective
            )
            self._accept(book)
            return book

        generation = (await _unbroken(settle())).effective.generation
        if generation == former.effective.generation:
            log.info("rules reloaded, nothing changed for the workers", generation=generation)
            return
        answer = await self._publish(generation)
        log.info("rules reloaded", generation=generation, missing=answer.missing)

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
            effective = book.effective.model_copy(update={"generation": generation, "positions": positions})

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
