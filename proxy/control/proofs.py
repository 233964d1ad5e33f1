"""What the shadower's files prove of each route: its certificate, and what became of its writes.

Reads pairs.db and journal.db beside the shadower, never writes. Implements canary.pilot.Certificates. What is read is
at most a second old; what was read under another comparison or candidate than the running ones counts for nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from canary.rollout import Standing as CertificateStanding
from proxy.control.book import Book
from rules.stages import Stage
from shadow.certifying import terms
from shadow.certifying.certificate import Certificate, CertificateVerdict
from shadow.journal import writes
from shadow.journal.standings import StandingReader
from shadow.journal.tables import JournalError
from shadow.pairs.reader import PairReader
from shadow.pairs.tables import StoreError
from shadow.spec import CertificateTarget, Comparison

PAIRS = "pairs.db"
JOURNAL = "journal.db"
FRESH = 1.0
"""Seconds for which a reading is good enough."""
OLD = 10.0
"""Seconds after which nothing is begun on a reading: gaps and doubts may have come since."""
_PLAIN = Comparison()


@dataclass(frozen=True, slots=True)
class Proof:
    """What is known about one route."""

    standing: CertificateStanding
    reason: str
    """One sentence."""
    certificate: Certificate | None = None
    """None where the files tell nothing about the route as it now is."""
    digest: str = ""
    """Of comparison and candidate, as the pairs' window has it."""
    writes: writes.Standing = field(default_factory=writes.Standing)


_STANDINGS = {
    CertificateVerdict.GO: CertificateStanding.GO,
    CertificateVerdict.NO_GO: CertificateStanding.NO_GO,
    CertificateVerdict.TOO_FEW: CertificateStanding.TOO_FEW,
    CertificateVerdict.FAULT: CertificateStanding.FAULT,
}


def target_of(book: Book, route: str) -> CertificateTarget | None:
    """What the route must prove to leave shadow; None where no rollout waits for it and no certificate is asked."""
    if book.rulebook is None:
        return None
    asked = book.rulebook.certificates.get(route)
    return asked or (CertificateTarget() if route in book.rulebook.rollouts else None)


def _asked_of(book: Book, route: str) -> CertificateTarget | None:
    """What the rules themselves say, without what holds where they say nothing."""
    return book.rulebook.certificates.get(route) if book.rulebook is not None else None


def targets(book: Book) -> dict[str, CertificateTarget]:
    """`target_of` of every route that has one."""
    if book.rulebook is None:
        return {}
    named = {*book.rulebook.certificates, *book.rulebook.rollouts}
    return {name: target for name in named if name in book.standings and (target := target_of(book, name))}


def digest_of(book: Book, route: str, now: float | None = None) -> str:
    """The digest that the window of the route's pairs has today, under the rules that run now.

    `now` is in seconds since the epoch.
    """
    spec = book.routes[route]
    comparison = _PLAIN
    if book.rulebook is not None and spec.shadow.compare is not None:
        comparison = book.rulebook.comparisons.get(spec.shadow.compare, _PLAIN)
    today = terms.day_of(time.time() if now is None else now)
    return terms.digest_of(book.effective.rules, spec, comparison, today, _asked_of(book, route))


class Proofs:
    """The latest reading of every route."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._lock = asyncio.Lock()
        self._read_at = -math.inf
        self._generation = 0
        self._proofs: Mapping[str, Proof] = {}
        self._journal = StandingReader(state / JOURNAL, time.monotonic, time.time)
        self._writes: Mapping[str, writes.Standing] | None = None

    def of(self, route: str) -> Proof | None:
        """The last reading, without waiting; None where there was none yet."""
        if self._writes is None:
            return None
        owed = self._writes.get(route, writes.Standing())
        return self._proofs.get(route) or Proof(CertificateStanding.TOO_FEW, "no certificate is asked for", writes=owed)

    @property
    def are_old(self) -> bool:
        """Whether nothing was read for so long that what was proven then may be so no more."""
        return time.monotonic() - self._read_at > OLD

    async def refresh(self, book: Book) -> None:
        """Read anew, in a thread, unless the last reading is fresh and of this book."""
        async with self._lock:
            now, generation = time.monotonic(), book.effective.generation
            if now - self._read_at < FRESH and generation == self._generation:
                return
            self._proofs, self._writes = await asyncio.to_thread(self._read, book)
            self._read_at, self._generation = time.monotonic(), generation

    def _read(self, book: Book) -> tuple[dict[str, Proof], Mapping[str, writes.Standing]]:
        """Blocking. Of routes whose certificate counts now, which of many routes may be few; and of all writes."""
        journal: Mapping[str, writes.Standing] = {}
        problem = ""
        try:
            journal = self._journal.read()
        except JournalError as exc:
            problem = str(exc)
        found = {}
        with contextlib.ExitStack() as stack:
            pairs: PairReader | None = None
            try:  # once for all routes: a thousand of them would take a second of every second to open it for each
                if (self._state / PAIRS).exists():
                    pairs = stack.enter_context(PairReader(self._state / PAIRS))
            except (StoreError, sqlite3.Error) as exc:
                problem = problem or str(exc)
            for name, target in targets(book).items():
                owed = journal.get(name, writes.Standing())
                if book.standings[name].rollout.stage in (Stage.LEGACY, Stage.RETIRED):
                    continue
                if problem:
                    found[name] = Proof(CertificateStanding.FAULT, problem, writes=owed)
                elif pairs is None:
                    found[name] = Proof(CertificateStanding.TOO_FEW, "no pairs yet", writes=owed)
                else:
                    found[name] = self._read_route(pairs, book, name, target, owed)
        return found, journal

    def _read_route(
        self, pairs: PairReader, book: Book, name: str, target: CertificateTarget, owed: writes.Standing
    ) -> Proof:
        expected = digest_of(book, name)
        try:
            windows = pairs.windows(name)
            certificate = pairs.certificate(name, target)
        except sqlite3.Error as exc:
            return Proof(CertificateStanding.FAULT, str(exc), writes=owed)
        digest = windows[0].digest if windows else ""
        if digest != expected:
            return Proof(CertificateStanding.TOO_FEW, "no pairs under these rules yet", digest=expected, writes=owed)
        standing, reason = _STANDINGS[certificate.verdict], certificate.reason
        if standing is CertificateStanding.GO and (owed.gaps or owed.in_doubt or owed.dead):
            # The journal is ahead of what the shadower last noted beside the pairs.
            standing = CertificateStanding.FAULT
            reason = f"{owed.gaps} gaps, {owed.in_doubt} writes in doubt, {owed.dead} given up"
        return Proof(standing, reason, certificate, digest, owed)
