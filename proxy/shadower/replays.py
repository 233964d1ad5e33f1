"""Asks the candidate again: kept requests, sent as they were the first time, and their answers compared anew.

A read may always be sent again. A write is sent only where its route says that the candidate deduplicates, with the
idempotency key that it had, or where a person insists and says why.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path

import msgspec

from proxy.shadower.commands import Action, Effect, Instruction, MalformedError
from proxy.shadower.renaming import Renaming
from proxy.shadower.tables import Tables
from rules.service import Service
from rules.stages import Side
from shadow.comparing.replayed import Replayed, Result, judge_again
from shadow.delivery.asked import asked_of
from shadow.delivery.deliver import CopyRequest, Sender
from shadow.delivery.identities import UnfitPathError, UnknownIdError, as_legacy_says
from shadow.delivery.retry import Answered, Lost, Unsendable
from shadow.journal.identity_store import Identities
from shadow.journal.journal import Journal, JournalError
from shadow.journal.writes import Original
from shadow.pair import Answer, Asked, Headers, Kind
from shadow.pairs.kept import KeptPair, KeptRequest
from shadow.pairs.reader import PairReader
from shadow.pairs.tables import StoreError
from shadow.redaction.redact import Redactor
from shadow.sealing import Sealer, SealError

MOST = 50
"""Pairs of one command; whoever has more asks again."""
AT_ONCE = 4
"""Requests under way: a replay is no load test."""


class Replays:
    """The action `replay`: ``pairs`` by name, ``force`` for writes where nothing deduplicates."""

    def __init__(
        self,
        path: Path,
        key: bytes,
        journal: Journal,
        sealer: Sealer,
        sender: Sender,
        tables: Tables,
        renaming: Renaming,
    ) -> None:
        """`path` is that of pairs.db, `key` the state folder's."""
        self._path = path
        self._redactor = Redactor(key)
        self._journal = journal
        self._sealer = sealer
        self._sender = sender
        self._tables = tables
        self._renaming = renaming
        self._known = Identities(journal.reader, sealer)

    @property
    def actions(self) -> dict[str, Action]:
        return {"replay": self._replay}

    async def _replay(self, instruction: Instruction) -> Effect:
        names = instruction.arguments.get("pairs")
        if not isinstance(names, list) or not 0 < len(names) <= MOST:
            raise MalformedError(f"'pairs' is to be a list of 1 to {MOST} names of pairs")
        force = instruction.flag("force")
        if force:
            instruction.reason()
        room = asyncio.Semaphore(AT_ONCE)
        written: set[str] = set()

        async def one(name: str) -> Replayed:
            async with room:
                return await self._one(name, force, written)

        replayed = await asyncio.gather(*(one(str(name)) for name in dict.fromkeys(names)))
        sum_of = Counter(str(each.result) for each in replayed)
        result = {"replayed": msgspec.to_builtins(replayed), "sum": dict(sum_of)}
        return Effect(result, sorted(written))

    async def _one(self, name: str, force: bool, written: set[str]) -> Replayed:
        """`written` gets the route of a write that was sent."""
        try:
            kept, request = await asyncio.to_thread(self._read, name)
        except (StoreError, SealError, msgspec.MsgspecError) as exc:
            return Replayed(name, Result.UNASKED, str(exc))
        if kept is None:
            return Replayed(name, Result.UNASKED, "there is no such pair, or it is kept no more")
        route = kept.pair.route
        found, comparison = self._tables.service(route, Side.CANDIDATE), self._tables.judging(route)
        if found is None or comparison is None:
            return Replayed(name, Result.UNASKED, f"the rules have no route '{route}' with a candidate now")
        key = ""
        dedupes = self._tables.writes(route).dedupe is not None
        if kept.pair.kind is Kind.WRITE:
            if not (dedupes or force):
                return Replayed(
                    name,
                    Result.UNASKED,
                    f"a write, and route '{route}' does not say that its candidate deduplicates (dedupe:); "
                    "sent again it may be applied twice, so insist with --force and say --why",
                )
            try:
                request, key = self._write(kept)
            except (JournalError, SealError, msgspec.MsgspecError) as exc:
                return Replayed(name, Result.UNASKED, f"its request is not kept any more ({exc})")
        if request is None:
            return Replayed(name, Result.UNASKED, "its request as the candidate was asked it is not kept")
        if kept.pair.kind is Kind.WRITE:
            written.add(route)
        fresh = await self._ask(kept, request, key, found[1], dedupes or kept.pair.kind is Kind.READ)
        if isinstance(fresh, str):
            return Replayed(name, Result.UNASKED, fresh)
        headers: Headers = tuple((n.decode("latin-1"), v.decode("latin-1")) for n, v in request.asked.headers)
        return await asyncio.to_thread(judge_again, kept, headers, fresh, comparison, self._redactor)

    def _read(self, name: str) -> tuple[KeptPair | None, KeptRequest | None]:
        """In a thread. Raises StoreError, SealError."""
        with PairReader(self._path) as reader:
            return reader.pair(name), reader.request(name, self._sealer)

    def _write(self, kept: KeptPair) -> tuple[KeptRequest | None, str]:
        """The write as the candidate is asked it, and its idempotency key. Raises JournalError, SealError."""
        method, original = self._journal.reader.original(kept.pair.sequence)
        asked = asked_of(original, kept.pair.side)
        return (KeptRequest(method, asked) if asked is not None else None), original.idempotency_key

    async def _ask(
        self, kept: KeptPair, request: KeptRequest, key: str, service: Service, repeatable: bool
    ) -> Answer | str:
        """What the candidate answers, or why it was not asked."""
        asked = request.asked
        copy = CopyRequest(
            Side.CANDIDATE, request.method, asked.target, asked.host, asked.headers, asked.body,
            kept.pair.request_id, key,
        )  # fmt: skip
        try:
            copy = self._renamed(kept, copy)
        except (UnknownIdError, UnfitPathError, JournalError, SealError) as exc:
            return f"what the candidate calls the things that it names is not known: {exc}"
        attempt = await self._sender.send(copy, service, repeatable=repeatable)
        match attempt:
            case Answered():
                return self._as_legacy_names_it(kept.pair.route, _as_a_client_gets_it(attempt.answer, asked))
            case Lost():
                return Answer(0, failure=attempt.failure)
            case Unsendable():
                return f"it {attempt.reason}"
        return f"the candidate takes no connection ({attempt.failure})"

    def _renamed(self, kept: KeptPair, copy: CopyRequest) -> CopyRequest:
        """With the candidate's ids, where the client named legacy's. Raises as Renaming.request."""
        if kept.pair.side is Side.CANDIDATE:
            return copy
        original = Original(
            copy.request_id, "", copy.target, copy.host, list(copy.headers), copy.body, copy.idempotency_key, ""
        )
        return self._renaming.request(kept.pair.route, copy, original)

    def _as_legacy_names_it(self, route: str, answer: Answer) -> Answer | str:
        """The answer with legacy's ids where the candidate's were learnt, or why they are not known."""
        ids = self._tables.writes(route).ids
        try:
            return as_legacy_says(ids, answer, self._known.lookup) if ids else answer
        except (JournalError, SealError) as exc:
            return f"it was answered, and ids in the answer cannot be read: {exc}"


def _as_a_client_gets_it(answer: Answer, asked: Asked) -> Answer:
    if not (asked.answer_removed or asked.answer_added):
        return answer
    removed = {name.replace("_", "-") for name in asked.answer_removed}
    kept = tuple(line for line in answer.headers if line[0].lower().replace("_", "-") not in removed)
    return replace(answer, headers=kept + asked.answer_added)
