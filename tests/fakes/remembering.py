"""A service that remembers which writes it applied and says so when it is asked, and that can fail around applying."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.fakes.small_service import Request, SmallService

APPLIED = {"equals": [{"body": "/last_key", "with": "header:idempotency-key"}]}
"""The rule `applied` of a read-back that asks it: whether the write in question is the last one of its path."""


def at_first(behaviour: str, times: int = 1) -> Callable[[int], str]:
    """A `behave` for the first writes; all others are applied."""
    return lambda number: behaviour if number <= times else "apply"


@dataclass
class Remembering(SmallService):
    """Applies each write whenever it comes (nothing deduplicates); `GET` of its path tells the last key and all lines.

    `behave` gets the number of the write (from 1): ``apply`` answers 201, ``apply then break`` and ``break`` end the
    connection, ``apply then hang`` and ``hang`` never answer.
    """

    behave: Callable[[int], str] = lambda number: "apply"
    answers: Callable[[], int] = lambda: 200
    """The status of answers to GET; 200 is turned into 404 where nothing was applied."""
    pause: float = 0.0
    """Seconds that a write takes before it is applied, whether its sender is still there or not."""
    applied: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """Path -> (idempotency key, body), in order."""
    copies: int = 0
    """Writes that were marked as copies."""
    writes: int = 0
    questions: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """(target, headers in lower case) of every GET."""

    def bodies(self, path: str) -> list[str]:
        return [body for _, body in self.applied.get(path, [])]

    async def answer(self, request: Request) -> tuple[int, bytes] | None:
        status = self._told(request) if request.method == "GET" else await self._written(request)
        if not status:
            return None
        known = self.applied.get(request.target, [])
        return status, json.dumps({"last_key": known[-1][0] if known else None, "count": len(known)}).encode()

    def _told(self, request: Request) -> int:
        self.questions.append((request.target, request.headers))
        status = self.answers()
        return 404 if status == 200 and request.target not in self.applied else status

    async def _written(self, request: Request) -> int:
        """The status; 0 for no answer."""
        self.writes += 1
        self.copies += "x-fig-copy" in request.headers
        behaviour = self.behave(self.writes)
        if self.pause:
            await asyncio.sleep(self.pause)
        if "apply" in behaviour:
            key = request.headers.get("idempotency-key", "")
            self.applied.setdefault(request.target, []).append((key, request.body.decode()))
        if "hang" in behaviour:
            await asyncio.sleep(3600)
        return 201 if behaviour == "apply" else 0
