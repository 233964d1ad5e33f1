"""What ids the other side made is learnt, before a delivery is recorded: of what ends in between, once more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import structlog

from proxy.shadower.counts import Counts
from proxy.shadower.insist import insist
from proxy.shadower.questions import Questions
from proxy.shadower.renaming import Renaming
from shadow.delivery.retry import Policy
from shadow.journal.journal import Journal, JournalError
from shadow.journal.writes import Copy
from shadow.pair import Answer
from shadow.sealing import SealError

log = structlog.get_logger(__name__)

TRIES = 3
"""How often a side is asked for the id that it made, and the journal for an answer that it could not read."""


class Learning:
    """For the loop's thread."""

    def __init__(
        self,
        journal: Journal,
        questions: Questions,
        renaming: Renaming,
        counts: Counts,
        policy: Policy,
        chance: Callable[[], float],
    ) -> None:
        self._journal = journal
        self._questions = questions
        self._renaming = renaming
        self._counts = counts
        self._policy = policy
        self._chance = chance
        self._closing = False

    def close(self) -> None:
        """Try nothing another time."""
        self._closing = True

    async def learn(self, copy: Copy, copied: Answer) -> None:
        """`copied` is what the copy was answered, or what its side showed of it when it was asked."""
        if not self._renaming.teaches(copy.route):
            return
        answer = await self._answer(copy)
        if answer is None:
            log.warning("no id is learnt: what the other side made is not known", sequence=copy.sequence)
            return
        await insist("ids", lambda: self._renaming.learn(copy, answer, copied), self._counts)

    async def _answer(self, copy: Copy) -> Answer | None:
        """What the client got; where nobody knows that, what its side shows of the write when it is asked."""
        answer = await self._kept_answer(copy)
        if answer is not None and answer.status and not answer.failure:
            return answer
        for number in range(1, TRIES + 1):
            shown = await self._questions.shown(copy.sequence, copy.route, copy.to.other)
            if shown is not None or self._closing:
                return shown
            await asyncio.sleep(self._policy.delay(number, self._chance()))
        return None

    async def _kept_answer(self, copy: Copy) -> Answer | None:
        """What the journal has of it. An error of the disk may be over at the next try."""
        for number in range(1, TRIES + 1):
            try:
                return self._journal.reader.answer(copy.sequence)
            except (SealError, msgspec.MsgspecError) as exc:  # nobody will ever read it
                log.error("an answer cannot be opened", sequence=copy.sequence, problem=str(exc))
                break
            except JournalError as exc:
                self._counts.add("journal_errors", what="read")
                log.error("an answer could not be read", sequence=copy.sequence, problem=str(exc))
            if self._closing:
                break
            await asyncio.sleep(self._policy.delay(number, self._chance()))
        return None
