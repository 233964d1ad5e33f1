"""Databases, by SQLAlchemy Core: one SELECT, read only, in a thread of its own, whose rows are sums or numbers.

The rows of a query with a column `time` are put into steps here; one without is asked once a step. ``:side`` in a query
has it asked once a side. Nothing but ``:side``, ``:route``, ``:from``, ``:to`` and ``:step`` goes in, bound and never
as text. A database that hangs keeps the one thread that asked it, which is interrupted where the driver can do that;
until that thread is back, the source says so and asks no further.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

from sqlalchemy import create_engine, text
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from canary.query_spec import LITERALS, parameters
from canary.source_spec import Source as SourceSpec
from canary.sources import rows
from canary.sources.source import Question, SourceError
from canary.steps import Answer, Stretch

MOST_ROWS = 200_000
"""Of one query: sums of 120 steps and both sides are 240, single numbers may be many more."""
MOST_SINGLE = 60
"""Steps of one question to a query without `time`, which is asked once a step."""
_CHUNK = 1000
_SHOWN = 300


class Sql:
    """One database. A connection a question: questions are a step apart, and a pooled one may be dead by then."""

    def __init__(self, spec: SourceSpec) -> None:
        """Raises SourceError for a URL that SQLAlchemy has no driver for."""
        assert spec.url is not None
        self._spec = spec
        try:
            self._engine: Engine = create_engine(spec.url, poolclass=NullPool, hide_parameters=True)
        except (ArgumentError, NoSuchModuleError, ImportError, ValueError, TypeError) as exc:
            raise SourceError(f"{spec.place}: {self._told(exc)}; install the driver that the URL names") from None
        file = self._engine.url.database if self._engine.dialect.name == "sqlite" else None
        self._file = Path(file) if file and file != ":memory:" and not file.startswith("file:") else None
        self._asking = asyncio.Lock()
        self._hung: asyncio.Future[Answer] | None = None

    async def close(self) -> None:
        self._engine.dispose()

    async def ask(self, question: Question, now: float) -> Answer:
        async with self._asking:
            if self._hung is not None and not self._hung.done():
                raise SourceError(f"a former question is still running after {self._spec.timeout:g} s")
            held: list[Any] = []
            work = _in_thread(lambda: self._answer(question, held))
            try:
                return await asyncio.wait_for(asyncio.shield(work), self._spec.timeout)
            except (TimeoutError, asyncio.CancelledError) as exc:
                self._hung = work
                _interrupt(held)
                if isinstance(exc, asyncio.CancelledError):
                    raise
                raise SourceError(f"no answer within {self._spec.timeout:g} s") from None

    # In the thread.

    def _answer(self, question: Question, held: list[Any]) -> Answer:
        if self._file is not None and not self._file.exists():
            raise SourceError(f"there is no file {self._file}")  # or SQLite would make an empty one
        try:
            with self._reading(held) as connection:
                return _answered(connection, question)
        except SourceError:
            raise
        except rows.RowError as exc:
            raise SourceError(f"a row {exc}") from exc
        except SQLAlchemyError as exc:
            raise SourceError(self._told(getattr(exc, "orig", None) or exc)) from None
        except Exception as exc:  # drivers raise what they like; their words may hold the URL, so no cause is kept
            raise SourceError(self._told(exc)) from None

    @contextlib.contextmanager
    def _reading(self, held: list[Any]) -> Iterator[Connection]:
        """A transaction that cannot write where the database knows such, and is rolled back in any case."""
        with self._engine.connect() as connection:
            held.append(connection.connection.dbapi_connection)
            name, milliseconds = connection.dialect.name, int(self._spec.timeout * 1000)
            if name == "postgresql":
                connection.execute(text("SET TRANSACTION READ ONLY"))
                connection.execute(text(f"SET LOCAL statement_timeout = {milliseconds}"))
            elif name in ("mysql", "mariadb"):
                connection.execute(text("START TRANSACTION READ ONLY"))
            elif name == "sqlite":
                connection.execute(text("PRAGMA query_only = ON"))
            try:
                yield connection
            finally:
                held.clear()
                connection.rollback()

    def _told(self, exc: BaseException) -> str:
        """An exception's words, on one line, without the URL's password."""
        words = " ".join(str(exc).split())[:_SHOWN] or type(exc).__name__
        password = self._engine.url.password if hasattr(self, "_engine") else None
        for secret in (self._spec.url, str(password) if password else None):
            if secret:
                words = words.replace(secret, "...")
        return words


def _in_thread(ask: Callable[[], Answer]) -> asyncio.Future[Answer]:
    """What `ask` returns or raises. A thread of an executor would be waited for when the process ends; nobody waits
    for this one."""
    loop = asyncio.get_running_loop()
    work: asyncio.Future[Answer] = loop.create_future()
    work.add_done_callback(lambda done: done.cancelled() or done.exception())  # it is known, also if nobody asks again

    def tell(answer: Answer | BaseException) -> None:
        if not work.done() and isinstance(answer, BaseException):
            work.set_exception(answer)
        elif not work.done():
            work.set_result(cast(Answer, answer))

    def run() -> None:
        try:
            answer: Answer | BaseException = ask()
        except BaseException as exc:
            answer = exc
        with contextlib.suppress(RuntimeError):  # the loop has ended, and so has whoever asked
            loop.call_soon_threadsafe(tell, answer)

    threading.Thread(target=run, name="fig-source", daemon=True).start()
    return work


def _interrupt(held: list[Any]) -> None:
    """Ask the driver to give up: sqlite3's and psycopg's connections can be told so from another thread."""
    for connection in list(held):
        stop = getattr(connection, "interrupt", None) or getattr(connection, "cancel", None)
        if callable(stop):
            threading.Thread(target=_quietly, args=(stop,), daemon=True).start()


def _quietly(stop: Any) -> None:
    with contextlib.suppress(Exception):  # the connection may be gone by now, which is what was wanted
        stop()


def _answered(connection: Connection, question: Question) -> Answer:
    metric, stretch = question.metric, question.stretch
    by_side = metric.queries is not None or "side" in parameters(metric.text(0))
    sides: tuple[int | None, ...] = (0, 1) if by_side else (None,)
    columns = {of: _asked(connection, question, stretch, of) for of in sides}
    if all("time" in found.columns for found in columns.values()):
        answer = Answer.empty(stretch)
        for of, found in columns.items():
            for row in found.rows:
                _take(answer, row, question, of)
        return answer
    # Fewer steps than were asked for: the rest is due again.
    stretch = Stretch(stretch.first, min(stretch.last, stretch.first + MOST_SINGLE - 1), stretch.length)
    answer = Answer.empty(stretch)
    for number in range(stretch.first, stretch.last + 1):
        step = Stretch(number, number, stretch.length)
        for of in sides:
            for row in _asked(connection, question, step, of).rows:
                _take(answer, row | {"time": step.begin}, question, of)
    return answer


class _Table(NamedTuple):
    columns: list[str]
    rows: list[dict[str, Any]]


def _asked(connection: Connection, question: Question, stretch: Stretch, of: int | None) -> _Table:
    asked = question.metric.text(of or 0)
    values = {
        "side": question.side(of or 0),
        "route": question.route,
        "from": stretch.begin,
        "to": stretch.end,
        "step": stretch.length,
    }
    # What stands between quotes is text, whatever it looks like.
    plain = LITERALS.sub(lambda found: found[0].replace(":", "\\:"), asked.strip().removesuffix(";"))
    result = connection.execute(text(plain), {name: values[name] for name in parameters(asked)})
    columns, found = list(map(str, result.keys())), list[dict[str, Any]]()
    for chunk in result.partitions(_CHUNK):
        found += [dict(zip(columns, row, strict=True)) for row in chunk]
        if len(found) > MOST_ROWS:
            raise SourceError(f"more than {MOST_ROWS:,} rows; sum them up: n, sum and sum_squares a step and side")
    return _Table(columns, found)


def _take(answer: Answer, row: dict[str, Any], question: Question, of: int | None) -> None:
    found = rows.read(row, question, of)
    if found is None:
        return
    place = answer.stretch.place(found.time)
    if place is None:
        raise rows.RowError(
            f"is dated {found.time:.3f}, outside of what was asked for ({answer.stretch.begin:.0f} to "
            f"{answer.stretch.end:.0f}); compare the time with >= :from and < :to"
        )
    answer.add(found.side, place, *found[2:])
