"""Asks a side, by a GET, whether it has applied a write: one question at a time, noted in the journal."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import structlog

from proxy.shadower.counts import Counts
from proxy.shadower.renaming import Renaming
from proxy.shadower.tables import Tables
from rules.read_back import ReadBack
from rules.service import Service
from rules.stages import Side
from shadow.delivery.deliver import CopyRequest, Sender
from shadow.delivery.identities import UnknownIdError
from shadow.delivery.read_back import Finding, Reply, conclude, question, question_headers, read_reply, said_by
from shadow.delivery.retry import Answered
from shadow.journal.doubts import Doubts
from shadow.journal.journal import Journal, JournalError
from shadow.pair import Answer
from shadow.sealing import SealError

log = structlog.get_logger(__name__)


class Questions:
    """Who asks again, when, and what follows from it is decided elsewhere."""

    def __init__(
        self, journal: Journal, doubts: Doubts, sender: Sender, tables: Tables, counts: Counts, renaming: Renaming
    ) -> None:
        self._journal = journal
        self._doubts = doubts
        self._sender = sender
        self._tables = tables
        self._counts = counts
        self._renaming = renaming

    def rule(self, route: str) -> ReadBack | None:
        """How the route is asked; None where it cannot be."""
        return self._tables.writes(route).read_back

    def within(self, route: str, side: Side) -> float:
        """Seconds after which that side will not apply any more what it has not."""
        rule = self.rule(route)
        if rule is not None and rule.within is not None:
            return rule.within
        found = self._tables.service(route, side)
        return found[1].timeout if found is not None else Service.model_fields["timeout"].default

    def patience(self, route: str, side: Side) -> float:
        """Seconds that others wait at most for what is asked of that side."""
        rule = self.rule(route)
        return self.within(route, side) + rule.patience if rule is not None else 0.0

    async def ask(
        self, sequence: int, route: str, side: Side, *, of_copy: bool, waited: float, overtaken: bool, now: float
    ) -> Reply:
        """Whether `side` has applied the write, as far as it can be known now. Raises nothing but CancelledError.

        `of_copy`: the side was to get the write's copy, which has its own ids. `waited` is how many seconds nobody has
        been sending it any more, `overtaken` whether a later write of its key has gone to that side, `now` the time
        since the epoch.
        """
        target, reply = await self._asked(sequence, route, side, of_copy)
        reply = conclude(reply, waited=waited, within=self.within(route, side), overtaken=overtaken)
        self._counts.add("journal_read_backs", route=route, result=reply.finding.value)
        try:
            await self._doubts.note(sequence, side, target, reply, now)
        except JournalError as exc:  # it is asked again, and noted then
            self._counts.add("journal_errors", what="question")
            log.error("what was asked could not be noted", sequence=sequence, problem=str(exc))
        return reply

    async def shown(self, sequence: int, route: str, side: Side) -> Answer | None:
        """What the side that was to answer a write shows of it; None where that does not show that it is applied.

        Nothing is noted of it: this is for a write of which it is known already. Raises nothing but CancelledError.
        """
        _, reply = await self._asked(sequence, route, side, of_copy=False)
        return reply.answer

    async def _asked(self, sequence: int, route: str, side: Side, of_copy: bool) -> tuple[str, Reply]:
        """(what was asked, what the answer shows)."""
        rule, match = self.rule(route), self._tables.match(route)
        found = self._tables.service(route, side)
        if rule is None or match is None or found is None:
            return "", Reply(Finding.UNKNOWN, "the rules say no more how to ask")
        try:
            method, original = self._journal.reader.original(sequence)
            said = said_by(method, original, match)
            if of_copy:
                said = self._renaming.said(route, said, side.other)
        except UnknownIdError as exc:
            return "", Reply(Finding.UNKNOWN, str(exc))
        except (JournalError, SealError, msgspec.MsgspecError) as exc:
            return "", Reply(Finding.UNKNOWN, f"the write cannot be read: {exc}")
        target = question(rule, side, said)
        if target is None:
            return "", Reply(Finding.UNKNOWN, "the write lacks a value that the question needs")
        request = CopyRequest(side, "GET", target, original.host, question_headers(original), b"", original.request_id)
        attempt = await self._sender.send(request, found[1], repeatable=True)
        reply = read_reply(rule, said, attempt)
        if reply.finding is Finding.APPLIED and isinstance(attempt, Answered):
            reply = replace(reply, answer=attempt.answer)
        return target, reply
