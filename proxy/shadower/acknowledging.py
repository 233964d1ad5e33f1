"""What people say of causes: actions for proxy/shadower/commands.py. A cause that is known is still a difference."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from proxy.shadower.commands import Action, Effect, Instruction, RefusedError
from shadow.causes.states import Acknowledgement, Known
from shadow.pairs.cause_reader import read_causes
from shadow.pairs.reader import PairReader
from shadow.pairs.store import PairStore
from shadow.pairs.tables import StoreError

T = TypeVar("T")

LONGEST_WHY = 2_000
"""Characters of a reason that are kept."""


class Acknowledging:
    """`actions` is what goes into the table."""

    def __init__(self, store: PairStore, path: Path, wall: Callable[[], float]) -> None:
        """`path` is the store's file. Its reading and writing happen in threads, beside the loop."""
        self._store = store
        self._path = path
        self._wall = wall
        self.actions: dict[str, Action] = {
            "cause-acknowledge": self._acknowledge,
            "cause-forget": self._forget,
        }

    async def _acknowledge(self, asked: Instruction) -> Effect:
        """`cause`: its id, as `fig shadow causes` shows it; a reason is a must."""
        cause, why = asked.text("cause"), asked.reason()[:LONGEST_WHY]
        known = await self._in_thread(lambda: self._find(cause))
        note = Acknowledgement(known.cause.id, asked.who, why, self._wall(), known.cause.extent)
        await self._in_thread(lambda: self._store.acknowledge(known.cause.route, note))
        result = {"cause": note.cause, "route": known.cause.route, "extent": list(note.extent)}
        return Effect(result, [known.cause.route])

    async def _forget(self, asked: Instruction) -> Effect:
        """`cause`: one that was acknowledged, and is to be looked at again."""
        cause = asked.text("cause")
        known = await self._in_thread(lambda: self._find(cause))
        if not await self._in_thread(lambda: self._store.forget(known.cause.route, known.cause.id)):
            raise RefusedError(f"the cause {known.cause.id} was not acknowledged")
        return Effect({"cause": known.cause.id, "route": known.cause.route}, [known.cause.route])

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(work)
        except (StoreError, sqlite3.Error) as exc:
            raise RefusedError(f"the pairs cannot be used now: {exc}") from exc

    def _find(self, cause: str) -> Known:
        """The cause of that id, or of the only id that begins so."""
        with PairReader(self._path) as reader:
            found = [
                known
                for route in reader.routes()
                for known in read_causes(reader, route)
                if cause and known.cause.id.startswith(cause)
            ]
        if len(found) == 1:
            return found[0]
        if not found:
            raise RefusedError(f"there is no cause '{cause:.100}'; `fig shadow causes` lists them")
        raise RefusedError(f"{len(found)} causes begin with '{cause:.100}'; give more of the id")
