"""Asking in a thread of its own whoever cannot be asked otherwise, and breaking that off: drivers of databases wait as
long as they like, and a thread cannot be ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Callable
from typing import Any, TypeVar, cast

from canary.sources.source import SourceError

T = TypeVar("T")


def in_thread(ask: Callable[[], T]) -> asyncio.Future[T]:
    """What `ask` returns or raises. A thread of an executor would be waited for when the process ends; nobody waits
    for this one."""
    loop = asyncio.get_running_loop()
    work: asyncio.Future[T] = loop.create_future()
    work.add_done_callback(lambda done: done.cancelled() or done.exception())  # it is known, also if nobody asks again

    def tell(answer: T | BaseException) -> None:
        if not work.done() and isinstance(answer, BaseException):
            work.set_exception(answer)
        elif not work.done():
            work.set_result(cast(T, answer))

    def run() -> None:
        try:
            answer: T | BaseException = ask()
        except BaseException as exc:
            answer = exc
        with contextlib.suppress(RuntimeError):  # the loop has ended, and so has whoever asked
            loop.call_soon_threadsafe(tell, answer)

    threading.Thread(target=run, name="fig-source", daemon=True).start()
    return work


class Hold:
    """The connection that a thread has in use, so that another one can break it off; under a lock, for a connection
    that is closed by then may have left its number to somebody else's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: Any = None
        self._is_over = False

    def take(self, connection: Any) -> None:
        """Raises SourceError where nobody waits for it any more."""
        with self._lock:
            if self._is_over:
                raise SourceError("nobody waits for an answer any more")
            self._connection = connection

    def let_go(self) -> None:
        with self._lock:
            self._connection = None

    def break_off(self) -> None:
        """sqlite3 can be told to stop; of other drivers the connection is cut, where they tell which it is."""
        with self._lock:
            self._is_over, connection = True, self._connection
            if connection is None:
                return
            with contextlib.suppress(Exception):  # it may be gone by now, which is what was wanted
                if hasattr(connection, "interrupt"):
                    connection.interrupt()
                elif hasattr(connection, "fileno"):
                    with socket.socket(fileno=os.dup(connection.fileno())) as line:
                        line.shutdown(socket.SHUT_RDWR)
