"""Group commit: one thread owns the writing connection, takes everything that waits, commits once, and answers all.

One fsync then serves every write that arrived during the former one, which is what makes a durable intent cheap under
load (the idea of PostgreSQL's commit_siblings and MySQL's binary log group commit).
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn, TypeVar

from shadow.journal.checkpoints import Checkpoints
from shadow.journal.schema import JournalError, Trouble, trouble_of

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741 (an item)
Job = Callable[[sqlite3.Connection], Any]

GROUP = 512
"""Jobs in one transaction at most, so that a long line does not make its head wait for its tail."""


class _Waiting(NamedTuple):
    """A job, or one item of many that are recorded together."""

    future: asyncio.Future[Any]
    job: Job | None
    record: Callable[[sqlite3.Connection, Sequence[Any]], None] | None = None
    item: Any = None


class Commits:
    """Jobs in, results out once they are durable; in the order in which they were given."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        loop: asyncio.AbstractEventLoop,
        after: Callable[[sqlite3.Connection], None] = lambda _: None,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        """`after` is called in the thread after every group, before its results are told.

        `connection` and `checkpoints` are closed at the end, by nobody else; without the latter, SQLite makes its own.
        """
        self._connection = connection
        self._checkpoints = checkpoints
        self._after = after
        self._failures: Counter[Trouble] = Counter()
        """Transactions that failed; written by the thread alone."""
        self._loop = loop
        self._failure: asyncio.Future[None] = loop.create_future()
        """Fails when the thread does; nobody needs to watch it."""
        self._failure.add_done_callback(lambda failure: failure.cancelled() or failure.exception())
        self._jobs: deque[_Waiting] = deque()
        self._under_way: list[asyncio.Future[Any]] = []
        """Of the group that is being committed, or was last."""
        self._wake = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Jobs that no transaction has taken yet."""
        return len(self._jobs)

    def submit(self, job: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """The job's result, once its transaction is durable; JournalError when it was not committed.

        Results come in the order of submission. To be called in the loop's thread.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        self._append(_Waiting(future, job))
        return future

    def submit_item(self, record: Callable[[sqlite3.Connection, Sequence[I]], None], item: I) -> asyncio.Future[None]:
        """As `submit`, of what is recorded together: `record` gets the items of a transaction at once, in order.

        Items of different kinds may change places within a transaction, items and jobs do not. An item that is alone
        must be recorded by one statement: it gets no transaction around it.
        """
        future: asyncio.Future[None] = self._loop.create_future()
        self._append(_Waiting(future, None, record, item))
        return future

    def _append(self, one: _Waiting) -> None:
        with self._wake:
            if self._closing:
                one.future.set_exception(JournalError("the journal is closed"))
                return
            self._jobs.append(one)
            self._wake.notify()

    @property
    def failures(self) -> Counter[Trouble]:
        """How many transactions failed so far, by what failed them."""
        return self._failures.copy()

    @property
    def is_damaged(self) -> bool:
        """Whether one of them met a page that is not what was written."""
        return Trouble.DAMAGED in self._failures

    async def watch(self) -> NoReturn:
        """Raises JournalError when the thread has failed in itself: nothing is committed any more. To be cancelled."""
        await asyncio.shield(self._failure)
        raise AssertionError("it has only a failure to tell")

    async def close(self) -> None:
        """Commit what waits, then end. The WAL goes into the file, so that erased originals leave no sealed trace."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        try:
            self._commit_all()
        except Exception as exc:
            self._give_up(exc)
        finally:
            self._let_go()

    def _give_up(self, exc: Exception) -> None:
        """A thread that is gone must not be waited for: what waits fails, and so does what comes."""
        error = JournalError(f"the journal's thread has failed: {exc!r}")
        error.__cause__ = exc
        with self._wake:
            self._closing = True
            left = [one.future for one in self._jobs]
            self._jobs.clear()
        waiting = [self._failure, *self._under_way, *left]
        self._answer([(future, error) for future in waiting])

    def _commit_all(self) -> None:
        """Until `close`."""
        while True:
            with self._wake:
                while not self._jobs and not self._closing:
                    self._wake.wait()
                group = [self._jobs.popleft() for _ in range(min(GROUP, len(self._jobs)))]
            if not group:
                break
            self._under_way = [one.future for one in group]
            results = self._commit(group)
            try:
                self._after(self._connection)
            except sqlite3.Error as exc:  # it only looks; whoever writes next meets the same, and is told
                self._failures[trouble_of(exc)] += 1
            self._answer(results)
            self._look_after_wal(len(group))

    def _let_go(self) -> None:
        if self._checkpoints is not None:
            self._checkpoints.close()
        try:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error:
            pass  # nothing is lost: the WAL is read at the next start
        finally:
            self._connection.close()

    def _look_after_wal(self, jobs: int) -> None:
        """When the results are told: nobody waits for it but who writes next."""
        if self._checkpoints is None:
            return
        self._checkpoints.note(jobs)
        if self._checkpoints.is_long:
            try:
                self._checkpoints.finish(self._connection)
            except sqlite3.Error as exc:
                self._failures[trouble_of(exc)] += 1

    def _commit(self, group: list[_Waiting]) -> list[tuple[asyncio.Future[Any], Any]]:
        try:
            return list(zip([one.future for one in group], self._attempt(group), strict=True))
        except Exception as exc:
            if isinstance(exc, sqlite3.Error):
                self._failures[trouble_of(exc)] += 1
            if len(group) > 1 and not isinstance(exc, sqlite3.OperationalError):
                # One job spoils its group: each gets a transaction of its own, so that only the culprit fails. Not so
                # on a full disk or an I/O error, which meets them all.
                return [pair for member in group for pair in self._commit([member])]
            error = exc
            if not isinstance(exc, JournalError):
                error = JournalError(f"not recorded: {exc}")
                error.__cause__ = exc
            return [(one.future, error) for one in group]

    def _attempt(self, group: list[_Waiting]) -> list[Any]:
        db = self._connection
        if len(group) == 1 and (record := group[0].record) is not None:
            # A statement alone is a transaction already; BEGIN and COMMIT would wait for the interpreter as it does.
            record(db, [group[0].item])
            return [None]
        together: dict[Any, list[Any]] = {}
        try:
            db.execute("BEGIN IMMEDIATE")
            results: list[Any] = []
            for one in group:
                if one.job is None:
                    together.setdefault(one.record, []).append(one.item)
                    results.append(None)
                else:
                    _record(db, together)
                    results.append(one.job(db))
            _record(db, together)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:  # after some I/O errors SQLite has rolled back by itself
                db.execute("ROLLBACK")
            raise
        return results

    def _answer(self, results: list[tuple[asyncio.Future[Any], Any]]) -> None:
        try:
            self._loop.call_soon_threadsafe(_resolve, results)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more, and what is committed stays committed


def _record(db: sqlite3.Connection, together: dict[Any, list[Any]]) -> None:
    """Each kind of items at once; then there are none."""
    for record, items in together.items():
        record(db, items)
    together.clear()


def _resolve(results: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, result in results:
        if future.done():  # its waiter was cancelled
            continue
        if isinstance(result, JournalError):
            future.set_exception(result)
        else:
            future.set_result(result)
