"""Mirrors reads: sends the copy of a read to the other side, and hands both answers on to be compared.

Bounded in every direction, for a mirror is worth less than anything it could hold up. Per service at most PER_SERVICE
copies are under way and WAITING wait; when more come, the *oldest* that waits is dropped and counted, because the data
behind a read moves on and a late copy shows differences that are only late. When all that waits is too large, whatever
service has most of it loses its oldest: one that hangs takes no room from the others.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import structlog

from proxy.shadower.asking import Asking
from proxy.shadower.counts import Counts
from proxy.shadower.quiet import Quiet
from proxy.shadower.renaming import Renaming
from proxy.shadower.tables import Tables
from proxy.wire import Mirror
from rules.service import Service
from rules.stages import Side
from shadow.certifying.strata import StratumKind
from shadow.delivery.deliver import CopyRequest, Sender
from shadow.delivery.identities import UnfitPathError, UnknownIdError
from shadow.delivery.retry import Answered, Attempt, Unsendable
from shadow.journal.journal import JournalError
from shadow.journal.writes import Original
from shadow.pair import Answer, Asked, Kind, Pair
from shadow.sealing import SealError

log = structlog.get_logger(__name__)

PER_SERVICE = 16
WAITING = 256
WAITING_BYTES = 32 * 1024 * 1024
"""Of answers and requests that wait, for all services together."""


@dataclass(slots=True)
class _Line:
    waiting: deque[tuple[Mirror, int]] = field(default_factory=deque)
    """With the bytes of each."""
    size: int = 0
    """Bytes that wait."""
    busy: int = 0

    def push(self, mirror: Mirror) -> None:
        size = mirror.size
        self.waiting.append((mirror, size))
        self.size += size

    def pop(self) -> Mirror:
        """The oldest that waits."""
        mirror, size = self.waiting.popleft()
        self.size -= size
        return mirror


class Mirrors:
    """`on_pair` gets each pair that was made; `asking` asks legacy again around some of the copies."""

    def __init__(
        self,
        sender: Sender,
        tables: Tables,
        counts: Counts,
        quiet: Quiet,
        asking: Asking | None = None,
        *,
        on_pair: Callable[[Pair], None],
        wall: Callable[[], float],
        key_of: Callable[[Mirror], bytes] = lambda _: b"",
        renaming: Renaming | None = None,
    ) -> None:
        """`key_of` tells a read's order key (a keyed hash): only writes of that key unsettle it."""
        self._sender = sender
        self._tables = tables
        self._counts = counts
        self._quiet = quiet
        self._asking = asking
        self._on_pair = on_pair
        self._wall = wall
        self._key_of = key_of
        self._renaming = renaming
        self._lines: dict[str, _Line] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        # Names of pairs, which are no secret. The system is not asked for each: that lets go of the interpreter in the
        # midst of a copy, and the loop comes back when the thread that compares has had its turn.
        self._names = random.Random(os.urandom(32))  # noqa: S311

    def offer(self, mirror: Mirror) -> None:
        """Copy this read when there is room. Never waits."""
        found = self._tables.service(mirror.route, Side(mirror.side).other)
        if found is None or self._closing:
            self._drop(mirror, "closing" if self._closing else "no service")
            return
        if not self._settled(mirror):
            return
        line = self._lines.setdefault(found[0], _Line())
        line.push(mirror)
        if len(line.waiting) > WAITING:
            self._drop_oldest(line)
        while sum(each.size for each in self._lines.values()) > WAITING_BYTES:
            self._drop_oldest(max(self._lines.values(), key=lambda each: each.size))
        self._pump(line)

    async def stop(self) -> None:
        """Drop what waits or is under way: its pair would come after the comparison has ended."""
        self._closing = True
        for line in self._lines.values():
            while line.waiting:
                self._drop(line.pop(), "closing")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _drop_oldest(self, line: _Line) -> None:
        self._drop(line.pop(), "crowded")

    def _drop(self, mirror: Mirror, reason: str) -> None:
        self._counts.add("shadow_dropped", reason=reason)
        self._apart(mirror, StratumKind.DROPPED)

    def _apart(self, mirror: Mirror, kind: StratumKind) -> None:
        self._counts.apart.add(mirror.route, kind, mirror.method, mirror.status)

    def _pump(self, line: _Line) -> None:
        while line.waiting and line.busy < PER_SERVICE and not self._closing:
            mirror = line.pop()
            found = self._tables.service(mirror.route, Side(mirror.side).other)  # another table may hold by now
            if found is None:
                self._drop(mirror, "no service")
                continue
            line.busy += 1
            task = asyncio.get_running_loop().create_task(
                self._run(line, mirror, found[1], self._tables.window_digest(mirror.route))
            )
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    async def _run(self, line: _Line, mirror: Mirror, service: Service, terms: str) -> None:
        """`terms`: of the table that named the service; another one may hold when the answer is there."""
        counted = False  # the copy is over: what ends while legacy is asked again ends without a word

        async def copy() -> Pair | None:
            nonlocal counted
            pair = await self._copy(mirror, service, terms)
            counted = True
            return pair

        try:
            if self._asking is None:
                await copy()
            else:
                await self._asking.around(mirror, copy, lambda: self._is_settled(mirror))
        except asyncio.CancelledError:
            if not counted:
                self._drop(mirror, "closing")
            raise
        except Exception:
            if not counted:
                self._apart(mirror, StratumKind.NO_PAIR)
            raise
        finally:
            line.busy -= 1
            self._pump(line)

    async def _copy(self, mirror: Mirror, service: Service, terms: str) -> Pair | None:
        """The pair that came of it, unless the sides knew of different writes meanwhile."""
        side = Side(mirror.side)
        said = mirror.copy or mirror
        request = CopyRequest(
            side.other, mirror.method, said.target, said.host, said.headers, mirror.body, mirror.request_id
        )
        unwritable = mirror.unwritable
        try:
            request = self._renamed(mirror, request)
        except UnknownIdError:  # the write that made the id is on its way, or nobody followed it
            self._counts.add("shadow_pairs", route=mirror.route, result="unsettled")
            self._apart(mirror, StratumKind.UNSETTLED)
            return None
        except (UnfitPathError, JournalError, SealError) as exc:
            unwritable = str(exc)
        attempt: Attempt = Unsendable(unwritable)
        if not unwritable:
            attempt = await self._sender.send(request, service, repeatable=True)
            self._counts.add("shadow_mirrored", route=mirror.route)
        if not self._settled(mirror):
            return None
        pair = _pair(f"{self._names.getrandbits(128):032x}", mirror, side, attempt, terms)
        self._on_pair(pair)
        return pair

    def _renamed(self, mirror: Mirror, request: CopyRequest) -> CopyRequest:
        """With the other side's ids. Raises as Renaming.request."""
        if self._renaming is None or not self._tables.writes(mirror.route).ids:
            return request
        said = Original(mirror.request_id, "", mirror.target, mirror.host, mirror.headers, mirror.body, "", "")
        return self._renaming.request(mirror.route, request, said)

    def _settled(self, mirror: Mirror) -> bool:
        """Whether both sides knew of the same writes since the read began; if not it is counted, and no pair."""
        if self._is_settled(mirror):
            return True
        self._counts.add("shadow_pairs", route=mirror.route, result="unsettled")
        self._apart(mirror, StratumKind.UNSETTLED)
        return False

    def _is_settled(self, mirror: Mirror) -> bool:
        return self._quiet.covers(mirror.route, mirror.started, self._wall(), self._key_of(mirror))

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a mirror failed in itself", exc_info=error)


def _pair(name: str, mirror: Mirror, side: Side, attempt: Attempt, terms: str) -> Pair:
    answer = Answer(mirror.status, _text(mirror.answer_headers), mirror.answer_body, mirror.truncated, mirror.seconds)
    other = attempt.answer if isinstance(attempt, Answered) else Answer(0, failure=_failure(attempt))
    if mirror.copy is not None:
        other = replace(other, headers=mirror.copy.answer_headers(other.headers))
    legacy, candidate = (answer, other) if side is Side.LEGACY else (other, answer)
    return Pair(
        id=name,
        route=mirror.route,
        generation=mirror.generation,
        kind=Kind.READ,
        method=mirror.method,
        target=mirror.target,
        request_headers=_text(mirror.headers),
        request_id=mirror.request_id,
        side=side,
        legacy=legacy,
        candidate=candidate,
        started=mirror.started,
        asked=_asked(mirror, side),
        terms=terms,
    )


def _asked(mirror: Mirror, side: Side) -> Asked | None:
    """How the candidate was asked; None where the rules make no request of it."""
    if mirror.unwritable:
        return None
    copy = mirror.copy if side is Side.LEGACY else None  # else the copy is what legacy was asked
    said = copy or mirror
    return Asked(
        said.target,
        said.host,
        tuple(said.headers),
        mirror.body,
        tuple(copy.answer_removed) if copy is not None else (),
        _text(copy.answer_added) if copy is not None else (),
    )


def _failure(attempt: Attempt) -> str:
    if isinstance(attempt, Unsendable):
        return "malformed"
    return "" if isinstance(attempt, Answered) else attempt.failure


def _text(headers: list[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)
