"""Control's end of the commands to the shadower: handed over on its link, answered by Done, missed when it goes away.

What the shadower alone may write (journal, pairs) people change by way of control, which knows them by their token and
keeps the history.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping

from proxy.wire import Argument, Command, Done, Record

PATIENCE = 30.0
"""Seconds that a command may take."""
LOST = "it may have been carried out or not, so look before you ask again"


class AwayError(Exception):
    """The shadower is not there, or was gone before it answered; the message says which."""


class Commanding:
    """Commands under way. `send` hands a record to the shadower, and says whether there is one that takes it."""

    def __init__(self, send: Callable[[Record], bool]) -> None:
        self._send = send
        self._waiting: dict[str, asyncio.Future[Done]] = {}

    async def ask(
        self, action: str, arguments: Mapping[str, Argument], who: str, why: str, patience: float = PATIENCE
    ) -> Done:
        """What became of it. Raises AwayError."""
        command = Command(str(uuid.uuid4()), action, dict(arguments), who, why)
        if not self._send(command):
            raise AwayError("the shadower is away, and nothing was changed; it is started again by itself")
        future: asyncio.Future[Done] = asyncio.get_running_loop().create_future()
        self._waiting[command.id] = future
        try:
            async with asyncio.timeout(patience):
                return await future
        except TimeoutError as exc:
            raise AwayError(f"the shadower did not answer within {patience:g} s; {LOST}") from exc
        finally:
            del self._waiting[command.id]

    def take(self, done: Done) -> None:
        """An answer; one that nobody waits for any more is dropped."""
        future = self._waiting.get(done.id)
        if future is not None and not future.done():
            future.set_result(done)

    def lost(self) -> None:
        """The shadower's link is gone, and with it every answer that has not come."""
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(AwayError(f"the shadower went away before it answered; {LOST}"))
