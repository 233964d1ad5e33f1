"""Compares what both sides hold of a key once it is quiet: asks both the question of `writes.read_back`.

Pairs of writes say that the sides answered alike; this says that they did alike. A sample only (`state`), at most
PER_SECOND of a route, and none of a key that is written to meanwhile.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable

import msgspec
import structlog

from proxy.shadower.counts import Counts
from proxy.shadower.questions import Questions
from proxy.shadower.quiet import Quiet
from proxy.shadower.renaming import Renaming
from proxy.shadower.tables import Tables
from rules.read_back import ReadBack
from rules.stages import MILLION, Side
from shadow.delivery.deliver import CopyRequest, Sender
from shadow.delivery.identities import UnknownIdError
from shadow.delivery.read_back import question, question_headers, said_by
from shadow.delivery.retry import NOT_PROCESSED, Answered, Attempt
from shadow.journal.journal import Journal, JournalError
from shadow.journal.writes import Copy, Original
from shadow.pair import Answer, Headers, Kind, Pair
from shadow.sealing import SealError

log = structlog.get_logger(__name__)

QUIET_FOR = 0.5
"""Seconds after its last copy that a key is left alone before its state is read."""
PER_SECOND = 10.0
"""Keys of one route that are read at most."""
PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds to wait after each time that a side did not say what it holds; then it is left."""
WAITING = 1000
"""Keys that may wait to be read; beyond it no more are taken."""


class States:
    """`ended` is told of every copy that was delivered; `on_pair` gets each pair that was made."""

    def __init__(
        self,
        journal: Journal,
        sender: Sender,
        tables: Tables,
        counts: Counts,
        quiet: Quiet,
        questions: Questions,
        renaming: Renaming,
        *,
        on_pair: Callable[[Pair], None],
        clock: Callable[[], float],
        wall: Callable[[], float],
        chance: Callable[[], float],
        quiet_for: float = QUIET_FOR,
    ) -> None:
        self._journal = journal
        self._sender = sender
        self._tables = tables
        self._counts = counts
        self._quiet = quiet
        self._questions = questions
        self._renaming = renaming
        self._on_pair = on_pair
        self._clock = clock
        self._wall = wall
        self._chance = chance
        self._quiet_for = quiet_for
        self._waiting: dict[tuple[str, bytes], asyncio.TimerHandle] = {}
        self._next: dict[str, float] = {}
        """Route -> when the next key of it may be read, on the clock."""
        self._tasks: set[asyncio.Task[None]] = set()

    def ended(self, copy: Copy) -> None:
        """Its key may be quiet now: read it in a while, if it is chosen. A later copy of the key lets it wait anew."""
        rule = self._questions.rule(copy.route)
        if rule is None or not rule.state:
            return
        line = copy.route, copy.key or copy.sequence.to_bytes(8, "big")
        waits = self._waiting.pop(line, None)
        if waits is not None:
            waits.cancel()
        elif len(self._waiting) >= WAITING or self._chance() * MILLION >= rule.state:
            return
        loop = asyncio.get_running_loop()
        self._waiting[line] = loop.call_later(self._quiet_for, self._begin, line, copy, rule)

    async def stop(self) -> None:
        """Read nothing more."""
        for timer in self._waiting.values():
            timer.cancel()
        self._waiting.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, line: tuple[str, bytes], copy: Copy, rule: ReadBack) -> None:
        self._waiting.pop(line, None)
        now = self._clock()
        if now < self._next.get(copy.route, 0.0):
            self._counts.add("shadow_states", route=copy.route, result="too_many")
            return
        self._next[copy.route] = now + 1 / PER_SECOND
        task = asyncio.get_running_loop().create_task(self._read(copy, rule))
        self._tasks.add(task)
        task.add_done_callback(self._over)

    async def _read(self, copy: Copy, rule: ReadBack) -> None:
        """Until both sides have said what they hold: a side that is away for a moment holds what it holds."""
        try:
            result = await self._read_once(copy, rule)
            for pause in PAUSES:
                if result != "unanswered":
                    break
                await asyncio.sleep(pause)
                result = await self._read_once(copy, rule)
        except (
            JournalError,
            SealError,
            msgspec.MsgspecError,
            UnknownIdError,
        ) as exc:  # forgotten meanwhile, or not to be read
            log.warning("the state of a key could not be read", sequence=copy.sequence, problem=str(exc))
            result = "unasked"
        self._counts.add("shadow_states", route=copy.route, result=result)

    async def _read_once(self, copy: Copy, rule: ReadBack) -> str:
        """What came of it, as it is counted."""
        began = self._wall()
        if not self._quiet.covers(copy.route, began, began, copy.key):
            return "unsettled"
        pair = await self._pair(copy, rule, began)
        if pair is None:
            return "unasked"
        if not (_is_said(pair.legacy) and _is_said(pair.candidate)):
            return "unanswered"
        if not self._quiet.covers(copy.route, began, self._wall(), copy.key):
            return "unsettled"
        self._on_pair(pair)
        return "compared"

    async def _pair(self, copy: Copy, rule: ReadBack, began: float) -> Pair | None:
        """Both sides' answers; None where they cannot be asked."""
        match = self._tables.match(copy.route)
        if match is None:
            return None
        method, original = self._journal.reader.original(copy.sequence)
        said = said_by(method, original, match)
        by_side = {copy.to.other: said, copy.to: self._renaming.said(copy.route, said, copy.to.other)}
        targets = {side: question(rule, side, by_side[side]) for side in Side}
        terms = self._tables.window_digest(copy.route)
        attempts = await asyncio.gather(*(self._ask(copy.route, side, targets[side], original) for side in Side))
        answers = dict(zip(Side, attempts, strict=True))
        legacy, candidate = answers[Side.LEGACY], answers[Side.CANDIDATE]
        if legacy is None or candidate is None:
            return None
        return Pair(
            id=uuid.uuid4().hex,
            route=copy.route,
            generation=self._tables.generation,
            kind=Kind.STATE,
            method="GET",
            target=targets[Side.LEGACY] or "",
            request_headers=_text(question_headers(original)),
            request_id=original.request_id,
            side=copy.to.other,
            legacy=_answer(legacy),
            candidate=_answer(candidate),
            started=began,
            terms=terms,
        )

    async def _ask(self, route: str, side: Side, target: str | None, original: Original) -> Attempt | None:
        found = self._tables.service(route, side)
        if target is None or found is None:
            return None
        headers = question_headers(original)
        request = CopyRequest(side, "GET", target, original.host, headers, b"", original.request_id)
        return await self._sender.send(request, found[1], repeatable=True)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a read of state failed in itself", exc_info=error)


def _is_said(answer: Answer) -> bool:
    """Whether this tells what the side holds; a failure tells how the side is."""
    return 0 < answer.status < 500 and answer.status not in NOT_PROCESSED


def _answer(attempt: Attempt) -> Answer:
    if isinstance(attempt, Answered):
        return attempt.answer
    return Answer(0, failure=getattr(attempt, "failure", "malformed"))


def _text(headers: list[tuple[bytes, bytes]]) -> Headers:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)
