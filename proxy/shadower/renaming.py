"""Ids that the sides assign differently: put into what is copied, learnt from answers, undone in pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from proxy.shadower.tables import Tables
from rules.stages import Side
from shadow.delivery.deliver import CopyRequest
from shadow.delivery.identities import (
    UnfitPathError,
    as_legacy_says,
    learn,
    renamed_said,
    rewrite_body,
    rewrite_target,
)
from shadow.delivery.read_back import Said, said_by
from shadow.journal.identity_store import Identities, keep
from shadow.journal.journal import Journal
from shadow.journal.writes import Copy, Original
from shadow.pair import Answer, Pair
from shadow.sealing import Sealer


class Renaming:
    """For the loop's thread. Routes without `ids` cost one comparison."""

    def __init__(self, tables: Tables, journal: Journal, sealer: Sealer, wall: Callable[[], float]) -> None:
        self._tables = tables
        self._journal = journal
        self._sealer = sealer
        self._wall = wall
        self._known = Identities(journal.reader, sealer)

    def request(self, route: str, request: CopyRequest, original: Original) -> CopyRequest:
        """What the receiving side is asked in place of `request`: with its own ids, where `ids` says that they stand.

        Raises UnknownIdError, UnfitPathError, JournalError, SealError.
        """
        ids = self._tables.writes(route).ids
        if not ids:
            return request
        match = self._tables.match(route)
        if match is None:
            raise UnfitPathError("the rules do not have its route any more")
        said = said_by(request.method, original, match)
        side, lookup = request.to.other, self._known.lookup
        target = rewrite_target(ids, match, said, request.target, original.target, side, lookup)
        return replace(request, target=target, body=rewrite_body(ids, request.body, side, lookup))

    def said(self, route: str, said: Said, side: Side) -> Said:
        """What a request of `side` says, with the ids of the other side. Raises as `request`."""
        ids = self._tables.writes(route).ids
        return renamed_said(ids, said, side, self._known.lookup) if ids else said

    def pair(self, pair: Pair) -> Pair:
        """The pair as it is compared: ids that were learnt are no difference. Raises JournalError, SealError."""
        ids = self._tables.writes(pair.route).ids
        return replace(pair, candidate=as_legacy_says(ids, pair.candidate, self._known.lookup)) if ids else pair

    def teaches(self, route: str) -> bool:
        """Whether writes of the route make ids that are learnt from their answers."""
        return any(identity.made is not None for identity in self._tables.writes(route).ids.values())

    async def learn(self, copy: Copy, answer: Answer, copied: Answer) -> None:
        """What the answers to a write and to its copy say of ids. Raises JournalError."""
        legacy, candidate = (answer, copied) if copy.to is Side.CANDIDATE else (copied, answer)
        if learnt := learn(self._tables.writes(copy.route).ids, legacy, candidate):
            await keep(self._journal, self._sealer, learnt, self._wall())
