"""The desk: the one place through which routes move, and through which a rules file takes effect.

Every change goes the same way, one at a time: decide (pure, standings.py), write the table beside the published one,
record standing and history in one transaction, put the table in place, tell workers and shadower, wait for the workers.
Loading the file is the same with other rules (settling.py), which are announced to everyone before.
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

from canary.plan import RolloutPlan
from canary.rollout import Rollout
from proxy import publication
from proxy.control import standings
from proxy.control.book import Book, Reloading, applied
from proxy.control.peers import Acknowledgement
from proxy.control.records import Change, Entry, Standing, Stored
from proxy.control.settling import accepted_of, make_durable, settle
from proxy.control.standings import MoveError
from proxy.control.store import Store
from proxy.memory import made_to_last
from proxy.rulebook import Rulebook
from proxy.rulebook import load as load_rulebook
from proxy.slices import in_slices
from rules.document import Route
from rules.effective import Effective, Position, declared_position
from rules.problems import RulesError, suggestion

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
        self.reloads = {"accepted": 0, "refused": 0}
        """How often the rules were loaded since control started, the first time left out."""

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

    def plan(self, name: str) -> RolloutPlan | None:
        """The route's rollout; None where it has none. Raises UnknownRouteError."""
        self.route(name)
        rulebook = self.book.judged_by
        return rulebook.rollouts.get(name) if rulebook is not None else None

    async def reload(self) -> Reloading:
        """Load the rules file anew. A broken one changes nothing and is told with every problem."""
        async with self._reloads:
            now, standing = time.time(), self.book.standings
            try:
                with made_to_last():
                    # Not under the lock: a rollback must not wait for a large file to be read.
                    rulebook = await asyncio.to_thread(load_rulebook, self._rules)
                    accepted = await self._made_ready(rulebook)
                    async with self._lock:
                        await self._take_over(accepted, rulebook, standing)
            except RulesError as exc:
                self._refused(now, tuple(str(problem) for problem in exc.problems))
            except Exception as exc:
                log.exception("rules not loaded")
                problem = f"{self._rules}: could not be taken over: {type(exc).__name__}: {exc}"
                self._refused(now, (f"{problem}; once that is mended, send SIGHUP or save the file again",))
                await self._forget_announced()
            else:
                self.reloading = Reloading(True, now, last_success=now)
            self.reloads["accepted" if self.reloading.ok else "refused"] += 1
            return self.reloading

    async def _made_ready(self, rulebook: Rulebook) -> Effective:
        """Everyone has read the rules that are about to be published: all change over at once, and moves go on."""
        accepted = accepted_of(rulebook)
        digest = await asyncio.to_thread(lambda: accepted.digest)
        if digest != self.book.effective.digest:
            await asyncio.to_thread(publication.write_rules, self._state, accepted)
            if self._prepare is not None:
                await self._prepare(digest, 1.0 + len(accepted.rules.routes) / ROUTES_A_SECOND)
        elif not await asyncio.to_thread(publication.is_whole, self._state, digest):
            log.warning("the rules file in the state folder was damaged or gone; it is written anew", rules=digest)
            await asyncio.to_thread(publication.write_rules, self._state, accepted)
        return accepted

    async def _take_over(self, accepted: Effective, rulebook: Rulebook, when_read: Mapping[str, Standing]) -> None:
        """`when_read` has the standings of when the file was read."""
        running = self.book.effective.generation
        generation = (await _unbroken(self._settled(accepted, rulebook, when_read))).effective.generation
        if generation == running:
            log.info("rules reloaded, nothing changed for the workers", generation=generation)
            return
        answer = await self._publish(generation)
        log.info("rules reloaded", generation=generation, missing=answer.missing)

    async def _settled(self, accepted: Effective, rulebook: Rulebook, when_read: Mapping[str, Standing]) -> Book:
        former = self.book
        running = former.effective.pointer
        stored = Stored(running.generation, former.standings)
        book = await asyncio.to_thread(settle, accepted, rulebook, self._state, self._store, stored, running, when_read)
        self._accept(book)
        self._releasing = asyncio.create_task(in_slices(_let_go(former), time.monotonic))
        return book

    async def _forget_announced(self) -> None:
        """Rules that were announced and are not published leave no file, which may be what the disk is full of."""
        async with self._lock:
            await asyncio.to_thread(publication.forget_unpublished, self._state, self.book.effective.digest)

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
            plan = self.plan(name)
            return standings.moved(standing.rollout, position, now, watch=plan is not None and plan.watch is not None)

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
                numbers = await asyncio.to_thread(make_durable, self._state, self._store, effective, [change])
                self._accept(replace(book, effective=effective, standings=applied(book.standings, [change])))
                return numbers

            numbers = await _unbroken(record())
            log.info(
                "moved", route=name, actor=actor, action=action, before=describe(before), after=describe(after), why=why
            )
        # Not under the lock: a worker that does not answer must not hold up the rollback of the next route. Workers are
        # told before anything else can run, so in the order in which moves were recorded.
        return Moved(replace(entry, number=numbers[0]), await self._publish(generation))

    async def note(self, name: str, action: str, actor: str, why: str, evidence: Mapping[str, Any]) -> Entry:
        """A line of history about something that moves no route; where it stands is noted with it. Raises StoreError.

        The route may have left the rules file.
        """
        async with self._lock:
            standing = self.book.standings.get(name)
            position = standing.position if standing is not None else None
            generation = self.book.effective.generation
            entry = Entry(time.time(), name, actor, action, position, position, why, generation, evidence)
            return replace(entry, number=await _unbroken(asyncio.to_thread(self._store.note, entry)))

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
