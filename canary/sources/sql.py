"""Databases, by SQLAlchemy Core: one SELECT, read only, in a thread of its own, whose rows are sums or numbers.

The rows of a query with a column `time` are put into steps here; one without is asked once a step. ``:side`` in a query
has it asked once a side. Nothing but ``:side``, ``:route``, ``:from``, ``:to`` and ``:step`` goes in, bound and never
as text. A database that hangs keeps the one thread that asked it, whose connection is broken off where its driver lets
that be done; until that thread is back, the source says so and asks no further.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import create_engine, text
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from canary.query_spec import COLUMNS, bound, parameters
from canary.source_spec import Source as SourceSpec
from canary.sources import rows
from canary.sources.databases import limits, preparations
from canary.sources.source import Question, SourceError
from canary.sources.threads import Hold, in_thread
from canary.steps import Answer, Stretch

MOST_ROWS = 200_000
"""Of one query: sums of 120 steps and both sides are 240, single numbers may be many more."""
MOST_SINGLE = 60
"""Steps of one question to a query without `time`, which is asked once a step."""
_CHUNK = 1000


class Sql:
    """One database. A connection a question: questions are a step apart, and a pooled one may be dead by then."""

    def __init__(self, spec: SourceSpec) -> None:
        """Raises SourceError for a URL that SQLAlchemy has no driver for."""
        assert spec.url is not None
        self._spec = spec
        try:
            url = make_url(spec.url)
        except (SQLAlchemyError, ValueError):  # the latter of a port
            raise SourceError(
                f"{spec.place}: 'url' is no SQLAlchemy URL; write it like postgresql+psycopg://reader@db:5432/shop"
            ) from None
        try:
            if url.get_dialect().is_async:
                raise SourceError(
                    f"{spec.place}: this driver is for asyncio; name one that is not, as psycopg or pymysql"
                )
            self._engine: Engine = create_engine(
                url,
                poolclass=NullPool,
                hide_parameters=True,
                connect_args=limits(url.get_driver_name(), spec.timeout, url.query),
            )
        except (NoSuchModuleError, ImportError) as exc:
            told = f"{spec.place}: {_told(exc)}; install the driver that the URL names, or name another one"
            raise SourceError(told) from None
        except (SQLAlchemyError, ValueError, TypeError) as exc:
            raise SourceError(f"{spec.place}: 'url' cannot be used: {_told(exc)}") from None
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
            hold = Hold()
            work = in_thread(lambda: self._answer(question, hold))
            try:
                return await asyncio.wait_for(asyncio.shield(work), self._spec.timeout)
            except (TimeoutError, asyncio.CancelledError) as exc:
                self._hung = work
                hold.break_off()
                if isinstance(exc, asyncio.CancelledError):
                    raise
                raise SourceError(f"no answer within {self._spec.timeout:g} s") from None

    # In the thread.

    def _answer(self, question: Question, hold: Hold) -> Answer:
        if self._file is not None and not self._file.exists():
            raise SourceError(f"there is no file {self._file}")  # or SQLite would make an empty one
        try:
            with self._reading(hold) as connection:
                return _answered(connection, question)
        except SourceError:
            raise
        except rows.RowError as exc:
            raise SourceError(f"a row {exc}") from exc
        except SQLAlchemyError as exc:
            raise SourceError(_told(getattr(exc, "orig", None) or exc)) from None
        except Exception as exc:  # drivers raise what they like; their words may hold the URL, so no cause is kept
            raise SourceError(_told(exc)) from None

    @contextlib.contextmanager
    def _reading(self, hold: Hold) -> Iterator[Connection]:
        """A transaction that cannot write where the database knows such, and is rolled back in any case."""
        with self._engine.connect() as connection:
            hold.take(connection.connection.dbapi_connection)
            try:
                for statement in preparations(_kind(connection), self._spec.timeout, MOST_ROWS):
                    connection.execute(text(statement))
                yield connection
            finally:
                try:
                    connection.rollback()
                finally:
                    hold.let_go()


def _told(exc: BaseException) -> str:
    return str(exc).strip() or type(exc).__name__


def _kind(connection: Connection) -> str:
    """What is really asked: MariaDB is asked by MySQL's drivers too, and limits time by another name."""
    dialect = connection.dialect
    return "mariadb" if getattr(dialect, "is_mariadb", False) else dialect.name


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
    plain = asked.strip().removesuffix(";")
    values = {name: values[name] for name in parameters(plain)}
    columns, found = list[str](), list[dict[str, Any]]()
    for columns, chunk in _chunks(connection, bound(plain), values):
        if (name := rows.twice(name for name in columns if name in COLUMNS)) is not None:
            raise SourceError(f"two columns are called '{name}'; name what counts with AS")
        found += [dict(zip(columns, row, strict=True)) for row in chunk]
        if len(found) > MOST_ROWS:
            raise SourceError(f"more than {MOST_ROWS:,} rows; sum them up: n, sum and sum_squares a step and side")
    return _Table(columns, found)


def _chunks(
    connection: Connection, query: str, values: dict[str, Any]
) -> Iterator[tuple[list[str], Sequence[Sequence[Any]]]]:
    """Columns and some rows, again and again. Drivers of PostgreSQL fetch all that there are at once, which may be more
    than there is memory for: they are asked through a cursor, which ends with the transaction."""
    if connection.dialect.name != "postgresql":
        result = connection.execute(text(query), values)
        columns = list(map(str, result.keys()))
        yield columns, ()
        for chunk in result.partitions(_CHUNK):
            yield columns, chunk
        return
    connection.execute(text(f"DECLARE fig_rows NO SCROLL CURSOR FOR {query}"), values)
    rows: Sequence[Any] = range(_CHUNK)
    while len(rows) == _CHUNK:
        result = connection.execute(text(f"FETCH {_CHUNK} FROM fig_rows"))
        rows = result.fetchall()
        yield list(map(str, result.keys())), rows
    connection.execute(text("CLOSE fig_rows"))


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
