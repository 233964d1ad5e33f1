"""Has pairs compared and stored: reads as they come, writes as the journal lists them. In batches, beside the loop.

A write's pair is erased from the journal only when the store has it, so a pair is stored at least once whatever is
killed. Comparing and storing happen in one thread of their own: a body that takes a second to compare delays no lease.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import msgspec
import structlog

from proxy.shadower.counts import Counts
from proxy.shadower.insist import insist
from proxy.shadower.tables import Tables
from rules.stages import Side
from shadow.certifying.strata import StratumKind, key_of
from shadow.certifying.terms import window_of
from shadow.comparing.compare import UNJUDGED, Judged, judge
from shadow.delivery.identities import as_legacy_says
from shadow.journal.identity_store import Identities
from shadow.journal.journal import Journal, JournalError
from shadow.journal.pairless import pair_id
from shadow.journal.reader import JournalReader
from shadow.journal.writes import Finished
from shadow.pair import Kind, Pair
from shadow.sealing import Sealer, SealError

log = structlog.get_logger(__name__)

BATCH = 100
"""Pairs in one transaction of the store."""
GATHER = 0.05
"""Seconds that the first pair of a batch waits for others."""
WAITING = 1000
"""Pairs of reads that may wait; beyond it new ones are dropped and counted. Writes wait in the journal."""
WAITING_BYTES = 64 * 1024 * 1024
STORE_AGAIN = 1.0
"""Seconds after which pairs are stored again that could not be stored."""


_Results = Counter[tuple[str, str]]
"""Route and what came of its pairs -> how many."""
_Apart = list[tuple[Pair, StratumKind]]
_Stored = dict[str, str]
"""Id of a pair that is stored by itself, while others of its batch are still to be -> what came of it."""


class Pairs(Protocol):
    """The part of shadow.pairs.store.PairStore that is used here."""

    def add_many(self, judged: Sequence[Judged]) -> None: ...


class Pairing:
    """`run` it once. `add` gives it a read's pair, `wake` tells it that the journal has a write's."""

    def __init__(
        self, journal: Journal, path: Path, sealer: Sealer, store: Pairs, tables: Tables, counts: Counts
    ) -> None:
        self._journal = journal
        self._path = path
        self._sealer = sealer
        self._store = store
        self._tables = tables
        self._counts = counts
        self._reads: deque[Pair] = deque()
        self._bytes = 0
        self._finishing = False
        self._ready = asyncio.Event()
        self._ready.set()  # a predecessor may have left some
        self._thread = ThreadPoolExecutor(1, "pairing")
        self._reader: JournalReader | None = None

    def add(self, pair: Pair) -> None:
        if len(self._reads) >= WAITING or self._bytes > WAITING_BYTES:
            self._counts.add("shadow_dropped", reason="comparing")
            self._apart(pair, StratumKind.DROPPED)
            return
        self._reads.append(pair)
        self._bytes += _size(pair)
        self._ready.set()

    def wake(self) -> None:
        self._ready.set()

    def finish(self) -> None:
        """Let `run` end once nothing waits."""
        self._finishing = True
        self._ready.set()

    async def run(self) -> None:
        while True:
            await self._ready.wait()
            await asyncio.sleep(GATHER)
            self._ready.clear()
            await self._empty()
            if self._finishing:
                return

    async def _empty(self) -> None:
        """Compare and store everything that waits now."""
        while True:
            reads = [self._reads.popleft() for _ in range(min(BATCH, len(self._reads)))]
            self._bytes -= sum(map(_size, reads))
            sequences = await self._uncompared()
            if not reads and not sequences:
                return
            await self._run(reads, sequences)

    async def close(self) -> None:
        """To be called when `run` has ended."""
        self._thread.shutdown(wait=True)
        if self._reader is not None:
            self._reader.close()

    async def _uncompared(self) -> list[int]:
        if not self._tables.generation:
            return []  # how they are compared is not known yet; whoever learns it wakes this
        try:
            return self._journal.reader.uncompared(BATCH)
        except JournalError as exc:
            self._counts.add("journal_errors", what="read")
            log.error("the journal cannot be read", problem=str(exc))
            await asyncio.sleep(1.0)
            self._ready.set()
            return []

    async def _run(self, reads: list[Pair], sequences: list[int]) -> None:
        loop = asyncio.get_running_loop()
        stored: _Stored = {}
        while True:
            try:
                results, apart = await loop.run_in_executor(self._thread, self._judge, reads, sequences, stored)
                break
            except (
                sqlite3.Error,
                JournalError,
            ) as exc:  # a full disk, most likely: nothing is lost, nobody waits for it
                self._counts.add("shadow_store_errors")
                log.error("pairs are not stored; trying again", pairs=len(reads) + len(sequences), problem=str(exc))
                await asyncio.sleep(STORE_AGAIN)
        for pair, kind in apart:  # only now: what is stored again is judged again
            self._apart(pair, kind)
        for (route, result), count in results.items():
            self._counts.add("shadow_pairs", count, route=route, result=result)
        if sequences:
            await insist("comparison", lambda: self._journal.compared(sequences), self._counts)

    def _judge(self, reads: list[Pair], sequences: list[int], stored: _Stored) -> tuple[_Results, _Apart]:
        """In the thread: how many pairs of each route agreed, differed, or could not be read; and what has no pair.

        `stored` is what earlier attempts at these have stored; what this one stores by itself is added.
        """
        results: _Results = Counter()
        apart: _Apart = []
        judged = [one for pair in reads if (one := self._judge_one(pair, results, apart, stored)) is not None]
        for sequence in sequences:
            try:
                finished = self._finished(sequence)
            except (SealError, msgspec.MsgspecError) as exc:  # nobody will ever read it
                log.error("a write's answers cannot be opened; it has no pair", sequence=sequence, problem=str(exc))
                results["-", "fault"] += 1
                continue
            one = self._judge_one(self._pair(finished), results, apart, stored) if finished is not None else None
            if one is not None:
                judged.append(one)
        self._keep(judged, results, apart, stored)
        return results, apart

    def _keep(self, judged: list[Judged], results: _Results, apart: _Apart, stored: _Stored) -> None:
        """Store them; a pair that the store fails on in itself is counted as such, and does not hold up the others.

        Raises sqlite3.Error, which says something about the store and nothing about a pair: all of them are to be
        judged and kept again then, but for those that `stored` names.
        """
        try:
            self._store.add_many(judged)
        except sqlite3.Error:
            raise
        except Exception:  # one by one, so that it shows whose fault it is
            self._keep_each(judged, results, apart, stored)

    def _keep_each(self, judged: list[Judged], results: _Results, apart: _Apart, stored: _Stored) -> None:
        for one in judged:
            try:
                self._store.add_many([one])
                stored[one.pair.id] = _result(one)
            except sqlite3.Error:
                raise
            except Exception:
                log.exception("a pair could not be stored", route=one.pair.route, pair=one.pair.id)
                if not one.outcome.equal and self._keep_bare(one):
                    stored[one.pair.id] = _result(one)
                    continue
                results[one.pair.route, _result(one)] -= 1
                results[one.pair.route, "fault"] += 1
                apart.append((one.pair, StratumKind.NO_PAIR))

    def _keep_bare(self, one: Judged) -> bool:
        """Store that a pair differs, without what the sides said: left out, it would make the others look better."""
        legacy, candidate = (replace(side, headers=(), body=b"") for side in (one.pair.legacy, one.pair.candidate))
        try:
            self._store.add_many(
                [replace(one, pair=replace(one.pair, legacy=legacy, candidate=candidate), outcome=UNJUDGED)]
            )
        except sqlite3.Error:
            raise
        except Exception:
            log.exception("nor that it differs", route=one.pair.route, pair=one.pair.id)
            return False
        return True

    def _judge_one(self, pair: Pair, results: _Results, apart: _Apart, stored: _Stored) -> Judged | None:
        """A pair that the comparison itself fails on differs, and does not hold up the others."""
        if pair.id in stored:
            results[pair.route, stored[pair.id]] += 1
            return None
        terms = self._tables.terms(pair.route)
        if terms is None:
            results[pair.route, "gone"] += 1
            apart.append((pair, StratumKind.NO_PAIR))
            return None
        counts_in = window_of(pair.terms, terms.digest)
        if counts_in is None:
            results[pair.route, "late"] += 1
            apart.append((pair, StratumKind.NO_PAIR))
            return None
        try:
            judged = judge(replace(self._with_ids_of_legacy(pair), terms=counts_in), terms.comparison)
        except Exception:
            # Left out, it would make the pairs that count look better than they are.
            log.exception("a pair could not be judged, which counts as a difference", route=pair.route, pair=pair.id)
            judged = Judged(replace(pair, terms=counts_in), UNJUDGED, terms.comparison)
        results[pair.route, _result(judged)] += 1
        return judged

    def _apart(self, pair: Pair, kind: StratumKind) -> None:
        method, status, _ = key_of(pair)
        self._counts.apart.add_class(pair.route, kind, method, status)

    def _with_ids_of_legacy(self, pair: Pair) -> Pair:
        """Ids that the sides assign differently, and that were learnt, are no difference."""
        ids = self._tables.writes(pair.route).ids
        if not ids:
            return pair
        known = Identities(self._own_reader(), self._sealer)
        return replace(pair, candidate=as_legacy_says(ids, pair.candidate, known.lookup))

    def _finished(self, sequence: int) -> Finished | None:
        return self._own_reader().finished(sequence)

    def _own_reader(self) -> JournalReader:
        """Of the thread."""
        if self._reader is None:
            self._reader = JournalReader(self._path, self._sealer)
        return self._reader

    def _pair(self, write: Finished) -> Pair:
        original = write.original
        answer, copied = write.answer, write.copy_answer
        if original.copy is not None:
            copied = replace(copied, headers=original.copy.answer_headers(copied.headers))
        legacy, candidate = (answer, copied) if write.side is Side.LEGACY else (copied, answer)
        return Pair(
            id=pair_id(self._sealer, write.sequence, write.arrival),
            route=write.route,
            generation=write.generation,
            kind=Kind.WRITE,
            method=write.method,
            target=original.target,
            request_headers=tuple(
                (name.decode("latin-1"), value.decode("latin-1")) for name, value in original.headers
            ),
            request_id=original.request_id,
            side=write.side,
            legacy=legacy,
            candidate=candidate,
            started=write.arrival,
            sequence=write.sequence,
            attempts=write.attempts,
            terms=write.terms,
        )


def _result(judged: Judged) -> str:
    return "equal" if judged.outcome.equal else "different"


def _size(pair: Pair) -> int:
    return len(pair.legacy.body) + len(pair.candidate.body) + 4096
