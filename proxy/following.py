"""How a process stays at the effective table that control publishes, without ever holding up what it is there for.

Other rules are read piece by piece, between two of which the process serves; a move among the rules that are in force
takes effect at once, also meanwhile. Control announces other rules before it publishes them (Prepare), so that by then
they lie ready, and every process changes over within the same moment. What a table is made of is its caller's.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Generator
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import structlog

from proxy.link import Link
from proxy.memory import made_to_last
from proxy.publication import lines_of, open_rules, pointed
from proxy.slices import in_slices
from proxy.wire import Load, Loaded, Prepare, Prepared, Record
from rules.effective import Pointer, RulesLines

log = structlog.get_logger(__name__)

MANY = 1000
"""Routes from which the collector is kept from walking them: it stops everything for a second at 100,000."""

Content = TypeVar("Content")


class Table(Protocol[Content]):
    """What the process decides by, and how it is made."""

    @property
    def generation(self) -> int: ...

    def read(self, digest: str, lines: RulesLines) -> Generator[None, None, Content]:
        """Make the content of rules, yielding after every piece. Raises ValueError on lines that are no rules."""

    def stand(self, pointer: Pointer, content: Content) -> None:
        """Decide by these rules and positions from now on."""

    def let_go(self, content: Content) -> Generator[None, None, None]:
        """Give back the memory of rules that are no longer in force, yielding after every piece."""


def read_now(state: Path, table: Table[Content], pointer: Pointer) -> Content:
    """The content at once, for the start. Raises OSError, ValueError."""
    with open_rules(state, pointer.rules) as file:
        work = _reading(table, pointer.rules, RulesLines(lines_of(file, pointer.rules)))
        try:
            while True:
                next(work)
        except StopIteration as ended:
            return ended.value  # type: ignore[no-any-return]


def _reading(table: Table[Content], digest: str, lines: RulesLines) -> Generator[None, None, Content]:
    """`table.read` to the end of the lines, which is what tells that they are whole."""
    with made_to_last() if lines.head.routes >= MANY else contextlib.nullcontext():
        content = yield from table.read(digest, lines)
        for _ in lines.certificates():
            yield
    return content


class Following(Generic[Content]):
    """Answers control's Load and Prepare. Everything happens on one loop."""

    def __init__(self, state: Path, table: Table[Content], digest: str = "", content: Content | None = None) -> None:
        """`content` is of the rules `digest` that are in force already; none are where that is ``""``."""
        self._state = state
        self._table = table
        self._digest, self._content = digest, content
        self._ready: tuple[str, Content] | None = None
        """Rules that are not in force yet."""
        self._fetching = ""
        self._fetch: asyncio.Task[None] | None = None
        self._asked: Link | None = None
        """Who waits for a Loaded."""
        self._announced: tuple[str, Link] | None = None
        """Which rules, and who waits for a Prepared."""
        self._releasing: set[asyncio.Task[None]] = set()

    def take(self, link: Link, record: Record) -> None:
        """A record of control's; those that are not about tables are passed over."""
        if isinstance(record, Load):
            if record.generation == self._table.generation:
                link.send(Loaded(record.generation))
                return
            self._asked = link
            self._catch_up()
        elif isinstance(record, Prepare):
            self._announced = (record.rules, link)
            if self._known(record.rules) is not None:
                self._tell_prepared("")
            else:
                self._begin(record.rules)

    def _known(self, digest: str) -> Content | None:
        if digest == self._digest:
            return self._content
        return self._ready[1] if self._ready is not None and self._ready[0] == digest else None

    def _catch_up(self) -> None:
        """Decide by what is published now, or begin to read it."""
        try:
            pointer = pointed(self._state)
            content = self._known(pointer.rules)
            if content is None:
                self._begin(pointer.rules)
                return
            self._table.stand(pointer, content)
        except Exception as exc:  # whatever is wrong with it, the process goes on by the former one
            self._tell_loaded(_told(exc))
            return
        if pointer.rules != self._digest:  # a move among those in force leaves others ready
            former = self._content
            self._digest, self._content, self._ready = pointer.rules, content, None
            if former is not None:
                self._release(former)
        self._tell_loaded("")

    def _begin(self, digest: str) -> None:
        """Read these rules, instead of any others that are being read: those are not the latest any more."""
        if self._fetching == digest:
            return
        if self._fetch is not None:
            self._fetch.cancel()
        if self._ready is not None:
            self._release(self._ready[1])
            self._ready = None
        self._fetching = digest
        self._fetch = asyncio.create_task(self._read(digest))

    async def _read(self, digest: str) -> None:
        problem = ""
        try:
            with open_rules(self._state, digest) as file:
                lines = RulesLines(lines_of(file, digest))
                self._ready = digest, await in_slices(_reading(self._table, digest, lines), time.monotonic)
        except Exception as exc:  # not kept: with this frame it makes a circle, in which all that was read would stay
            problem = _told(exc)
        if asyncio.current_task() is not self._fetch:
            return  # cancelled too late to notice; another one answers
        self._fetching, self._fetch = "", None
        if self._announced is not None and self._announced[0] == digest:
            self._tell_prepared(problem)
        if self._asked is None:
            return
        if problem and self._is_published(digest):
            self._tell_loaded(problem)
        else:
            self._catch_up()  # other rules may have been published meanwhile, and this file removed

    def _is_published(self, digest: str) -> bool:
        try:
            return pointed(self._state).rules == digest
        except (OSError, ValueError):
            return True

    def _release(self, content: Content) -> None:
        task = asyncio.create_task(in_slices(self._table.let_go(content), time.monotonic))
        self._releasing.add(task)
        task.add_done_callback(self._releasing.discard)

    def _tell_loaded(self, problem: str) -> None:
        asked, self._asked = self._asked, None
        if asked is not None:
            asked.send(Loaded(self._table.generation, problem))

    def _tell_prepared(self, problem: str) -> None:
        announced, self._announced = self._announced, None
        if announced is not None:
            announced[1].send(Prepared(announced[0], problem))


def _told(problem: Exception) -> str:
    """The problem as control is told of it; the log has where it came from."""
    log.error("rules could not be read", exc_info=problem)
    return f"{type(problem).__name__}: {problem}"
