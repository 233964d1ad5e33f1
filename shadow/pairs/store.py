"""Pairs on disk: counts of all of them, samples of those that differ. One writer, the shadower.

Every pair is counted, by window, path and kind. Pairs are kept where they tell something: the first SAMPLES of each
path and kind, and the latest few equal ones. Everything is redacted on its way in, so nobody can forget to; bounds on
paths, samples and bodies keep a state folder small whatever the services answer.
"""

from __future__ import annotations

import hmac
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import msgspec

from shadow.atomic import atomically
from shadow.causes.common import marking
from shadow.causes.signature import members
from shadow.causes.states import Acknowledgement
from shadow.certifying.chain import BrokenChainError, Link, fingerprint, following
from shadow.certifying.segments import SEGMENT, segment_of
from shadow.certifying.strata import StratumKind, key_of, method_name, status_class
from shadow.comparing.compare import Judged
from shadow.comparing.differences import Difference, DifferenceKind, Outcome
from shadow.journal.pairless import Pairless
from shadow.pair import Kind, Pair
from shadow.pairs import cause_tables, certified_tables, chain_tables, shedding
from shadow.pairs.batch import Batch, Place
from shadow.pairs.certified_tables import Pin
from shadow.pairs.kept import Unproven, encode, encode_request, keep_pair, request_place, short_path
from shadow.pairs.tables import open_for_writing
from shadow.pairs.windows import OpenWindow, Windows
from shadow.redaction.redact import Redactor
from shadow.sealing import Sealer

SAMPLES = 50
"""Pairs kept per window, path and kind."""
MOST_PLACES = 500
"""Paths and kinds told apart per window; what differs elsewhere counts as ELSEWHERE."""
MOST_ORDINALS = 100_000
"""Differing pairs whose ordinal is kept per window; a certificate that allows more than that has no meaning."""
MOST_COUNTED = 100_000
"""Writes whose ids are remembered, so that none counts twice: far more than can be between two commits."""
ELSEWHERE = "(other places)"


class PairStore:
    """The writer's end of pairs.db. Its methods may be called from any thread; each is one transaction."""

    def __init__(self, path: Path, key: bytes) -> None:
        """Opens or makes the database. `key` is what secrets are hashed with. Raises StoreError."""
        self._connection = open_for_writing(path)
        self._redactor = Redactor(key)
        self._sealer = Sealer(key)
        self._cause_mark = marking(hmac.digest(key, b"fig causes 1", "sha256"))
        self._answers_key = hmac.digest(key, b"fig answers 1", "sha256")  # one purpose, one key
        self._windows = Windows(self._connection)
        self._needed: dict[str, int] = {}
        """Route -> pairs that a certificate of it is to be judged on."""
        self._lock = threading.Lock()

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def start_window(
        self, route: str, digest: str, reason: str, now: float, other_days: Callable[[], Mapping[str, str]] = dict
    ) -> bool:
        """Count the route's pairs anew unless its window has this very digest. Returns whether a new one was begun.

        To be called whenever an effective table is loaded, or a mask expires, with the digest of that moment.
        `other_days` gives the digests that the window would have on other days, with why each is over
        (shadow.certifying.terms): that is the new window's reason if the former one had such a digest. Else it is what
        the two digests say has changed, and if they do not, `reason`.
        """
        with self._write():
            return self._windows.start(route, digest, reason, now, other_days)

    def add_many(self, judged: Sequence[Judged]) -> None:
        """Count the pairs, and keep those that tell something. A write's pair counts once, however often it comes.

        A pair that says which window it is of (`terms`) counts in that one, though another was begun meanwhile; where
        that one is not there any more it is a request without a pair.
        """
        with self._write():
            batches: dict[int, tuple[OpenWindow, Batch]] = {}
            late: list[Pair] = []
            for one in judged:
                pair = one.pair
                if pair.kind is Kind.WRITE and not self._count_write(pair.id):
                    continue
                window = self._windows.current_or_first(pair.route, pair.terms, pair.started)
                if pair.terms not in ("", window.digest):
                    former = self._windows.former(pair.route, pair.terms)
                    if former is None:
                        late.append(pair)
                        continue
                    window = former
                _, batch = batches.setdefault(window.id, (window, Batch()))
                self._add(one, window, batch)
            for window, batch in batches.values():
                self._flush(window, batch)
            for pair in late:
                window = self._windows.current_or_first(pair.route, pair.terms, pair.started)
                method, status, _ = key_of(pair)
                stratum = (method, status, StratumKind.NO_PAIR.value)
                certified_tables.count_strata(self._connection, window.id, [(stratum, (1, 0, 0, 0))])

    def add_apart(self, route: str, kind: StratumKind, method: str, status_class: str, count: int) -> None:
        """Count requests that were captured and have no pair."""
        self.add_apart_many({(route, kind, method, status_class): count})

    def add_apart_many(self, counts: Mapping[tuple[str, StratumKind, str, str], int]) -> None:
        """The same, of what shadow.certifying.strata.Apart has collected; all of it or nothing."""
        if not counts:
            return
        with self._write():
            for (route, kind, method, status_class), count in counts.items():
                window = self._windows.current_or_first(route, "", 0.0)
                stratum = (method, status_class, kind.value)
                certified_tables.count_strata(self._connection, window.id, [(stratum, (count, 0, 0, 0))])
                if kind is StratumKind.UNSETTLED:
                    self._connection.execute(
                        "UPDATE windows SET unsettled = unsettled + ? WHERE id = ?", (count, window.id)
                    )

    def looked_until(self, route: str) -> float:
        """Until when the route's writes without a pair are counted, in seconds since the epoch; 0.0 at first."""
        with self._lock:
            row = self._connection.execute("SELECT until FROM looked WHERE route = ?", (route,)).fetchone()
            return float(row[0]) if row else 0.0

    def add_pairless(self, route: str, writes: Iterable[Pairless], until: float) -> None:
        """Count writes that are over without a pair; one that is counted already, with a pair or without, is not."""
        with self._write():
            window = self._windows.current_or_first(route, "", until)
            strata = Counter(
                (method_name(one.method), status_class(one.status), StratumKind.NO_PAIR.value)
                for one in writes
                if self._count_write(one.id)
            )
            counts = [(stratum, (count, 0, 0, 0)) for stratum, count in strata.items()]
            certified_tables.count_strata(self._connection, window.id, counts)
            self._connection.execute("INSERT OR REPLACE INTO looked VALUES (?, ?)", (route, until))

    def set_unproven(self, route: str, unproven: Unproven) -> None:
        """Note what the journal says of the route's writes, for the certificate."""
        with self._write():
            self._connection.execute(
                "INSERT OR REPLACE INTO unproven (route, gaps, doubts, undelivered, overdue, at, dead, declared)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    route,
                    unproven.gaps,
                    unproven.doubts,
                    unproven.undelivered,
                    unproven.overdue,
                    unproven.at or 0.0,
                    unproven.dead,
                    unproven.declared,
                ),
            )

    def acknowledge(self, route: str, acknowledgement: Acknowledgement) -> None:
        """Note that somebody knows of a cause."""
        with self._write():
            cause_tables.write_acknowledgement(self._connection, route, acknowledgement)

    def forget(self, route: str, cause: str) -> bool:
        """Take an acknowledgement back. False where there is none."""
        with self._write():
            return cause_tables.drop_acknowledgement(self._connection, route, cause)

    def pin(self, route: str, number: int, certificate: str, links: int, head: bytes, made: float) -> bool:
        """Keep the first `links` pairs of the route's window of that number, for a certificate.

        False where there is no such window, or its chain has another digest there than `head`.
        """
        with self._write():
            row = self._connection.execute(
                "SELECT id FROM windows WHERE route = ? AND number = ?", (route, number)
            ).fetchone()
            if row is None or not self._leads_to(row[0], links, head):
                return False
            certified_tables.pin(self._connection, row[0], certificate, links, made)
            return True

    def unpin(self, beginning: str) -> tuple[Pin, ...]:
        """Keep nothing any more for the one certificate whose digest begins so, but what other pins hold.

        Returns the pins that begin so: where they are of several certificates, or none, nothing was changed.
        """
        with self._write():
            found = certified_tables.read_pins(self._connection, beginning)
            if len({pin.certificate for pin in found}) == 1:
                certified_tables.unpin(self._connection, found[0].certificate)
            return found

    def _leads_to(self, window: int, links: int, head: bytes) -> bool:
        try:
            return chain_tables.head_at(self._connection, window, links) == head
        except BrokenChainError:
            return False

    def expect(self, route: str, pairs: int) -> None:
        """A certificate of the route is to be judged on its first `pairs` pairs: their links are kept."""
        self._needed[route] = pairs

    def prune(self, route: str, before: float) -> int:
        """Drop the kept pairs that were made before that time (their counts stay), and say how many.

        Of windows that ended before it links go too. What is pinned stays.
        """
        with self._write():
            gone = shedding.drop_past(self._connection, route, before)
            shedding.drop_past_links(self._connection, route, before)
            self._windows.forget(route)  # its sample counts are no longer true
            return gone

    @contextmanager
    def _write(self) -> Iterator[None]:
        with self._lock:
            try:
                with atomically(self._connection):
                    yield
            except BaseException:
                self._windows.forget_all()  # what is remembered may not be what is stored
                raise

    def _count_write(self, id: str) -> bool:
        """Whether a write's pair is new."""
        cursor = self._connection.execute("INSERT OR IGNORE INTO counted (id) VALUES (?)", (id,))
        if not cursor.rowcount:
            return False
        assert cursor.lastrowid is not None
        self._connection.execute("DELETE FROM counted WHERE number <= ?", (cursor.lastrowid - MOST_COUNTED,))
        return True

    def _add(self, judged: Judged, window: OpenWindow, batch: Batch) -> None:
        pair, outcome = judged.pair, judged.outcome
        differs = not outcome.equal
        window.pairs += 1
        batch.pairs += 1
        batch.last = max(batch.last, pair.started)
        batch.writes += pair.kind is Kind.WRITE
        key = key_of(pair)
        stratum = batch.strata[key]
        stratum[0] += 1
        stratum[1] += differs
        stratum[2] += bool(outcome.excused) and not differs
        stratum[3] += pair.attempts
        for excused in outcome.excused:
            tally = batch.masks[excused.mask]
            tally[0] += 1
            tally[1] += excused.count
        kept = self._add_differing(judged, window, batch) if differs else b""
        if not differs:
            batch.excused += bool(outcome.excused)
            batch.equal = judged
        if window.tail is not None:
            answers = fingerprint(self._answers_key, pair.legacy, pair.candidate)
            masks = "\n".join(each.mask for each in outcome.excused) if outcome.excused else ""
            method, status, kind = key
            batch.links.append(Link(window.pairs, pair.id, kind, method, status, int(differs), masks, answers, kept))
            if not differs:
                batch.equal_link = len(batch.links) - 1

    def _add_differing(self, judged: Judged, window: OpenWindow, batch: Batch) -> bytes:
        """SHA-256 of the record that is kept of it; empty where there are enough like it."""
        pair = judged.pair
        window.differing += 1
        batch.differing += 1
        if window.differing <= MOST_ORDINALS:
            batch.ordinals.append(window.pairs)
        places = self._places(judged, window)
        for place, count in places.items():
            if place in batch.places:
                tallied = batch.places[place]
                tallied[0] += 1
                tallied[1] += count
                tallied[2], tallied[3] = min(tallied[2], pair.started), max(tallied[3], pair.started)
            else:
                batch.places[place] = [1, count, pair.started, pair.started]
        telling = [place for place in places if window.samples[place] < SAMPLES]
        example = self._count_causes(judged, window)
        return self._keep(judged, window, telling, window.pairs) if telling or example else b""

    def _count_causes(self, judged: Judged, window: OpenWindow) -> bool:
        """Whether the pair is an example of something, and so is to be kept."""
        pair, redact = judged.pair, judged.comparison.redact
        return window.causes.take(
            pair.id,
            window.pairs,
            pair.started,
            members(pair, judged.outcome.differences),
            lambda differences: self._redactor.pair(pair, differences, redact)[1],
            self._cause_mark,
        )

    def _places(self, judged: Judged, window: OpenWindow) -> Counter[Place]:
        """Differences of a pair by place, without secrets; places beyond the bound are one."""
        found: Counter[Place] = Counter()
        clean: Sequence[Difference] = ()
        for index, difference in enumerate(judged.outcome.differences):
            place = (short_path(difference.path), str(difference.kind))
            if place not in window.places and len(window.places) < MOST_PLACES:
                if not clean:
                    redact = judged.comparison.redact
                    _, clean = self._redactor.pair(judged.pair, judged.outcome.differences, redact)
                place = (short_path(clean[index].path), str(difference.kind))
                window.places.add(place)
            elif place not in window.places:
                place = (ELSEWHERE, str(DifferenceKind.NOT_LOCATED))
                window.places.add(place)
            found[place] += 1
        return found

    def _keep(self, judged: Judged, window: OpenWindow, places: Iterable[Place], ordinal: int) -> bytes:
        """SHA-256 of the record; empty where it is not kept."""
        pair, outcome = judged.pair, judged.outcome
        clean, differences = self._redactor.pair(pair, outcome.differences, judged.comparison.redact)
        record = encode(keep_pair(clean, Outcome(differences, outcome.excused)))
        cursor = self._connection.execute(
            "INSERT OR IGNORE INTO pairs (id, window, differs, started, record, ordinal, request)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (pair.id, window.id, not outcome.equal, pair.started, record, ordinal, self._sealed_request(pair)),
        )
        if not cursor.rowcount:  # ids are random; whoever gives one twice loses the second sample, not the count
            return b""
        for place in places:
            window.samples[place] += 1
            self._connection.execute("INSERT INTO samples VALUES (?, ?, ?, ?)", (window.id, *place, cursor.lastrowid))
        return sha256(record).digest()

    def _sealed_request(self, pair: Pair) -> bytes | None:
        """A read as it was asked, so that it can be asked again; a write's request is in the journal."""
        if pair.asked is None:
            return None
        return self._sealer.seal(encode_request(pair.method, pair.asked), request_place(pair.id))

    def _flush(self, window: OpenWindow, batch: Batch) -> None:
        execute, many = self._connection.execute, self._connection.executemany
        execute(
            "UPDATE windows SET pairs = pairs + ?, differing = differing + ?, writes = writes + ?,"
            " excused = excused + ?, last = max(coalesce(last, 0), ?) WHERE id = ?",
            (batch.pairs, batch.differing, batch.writes, batch.excused, batch.last, window.id),
        )
        many("INSERT OR IGNORE INTO ordinals VALUES (?, ?)", [(window.id, ordinal) for ordinal in batch.ordinals])
        many(
            "INSERT INTO places VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET pairs = pairs + excluded.pairs,"
            " count = count + excluded.count, first = min(first, excluded.first), last = max(last, excluded.last)",
            [(window.id, *place, *tally) for place, tally in batch.places.items()],
        )
        many(
            "INSERT INTO masks VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET pairs = pairs + excluded.pairs,"
            " count = count + excluded.count",
            [(window.id, mask, *tally) for mask, tally in batch.masks.items()],
        )
        certified_tables.count_strata(self._connection, window.id, batch.strata.items())
        cause_tables.write_rows(self._connection, window.id, window.causes.changed())
        if batch.equal is None:
            self._chain(window, batch.links)
            return
        if batch.equal_link is None:  # of a window without a chain
            self._keep(batch.equal, window, (), 0)
        else:
            link = batch.links[batch.equal_link]
            kept = self._keep(batch.equal, window, (), link.ordinal)
            batch.links[batch.equal_link] = msgspec.structs.replace(link, kept=kept)
        self._chain(window, batch.links)
        shedding.drop_surplus(self._connection, window.id)

    def _chain(self, window: OpenWindow, links: Sequence[Link]) -> None:
        """Links are inserted a segment at a time, and a segment that is whole is sealed."""
        tail = window.tail
        if tail is None:
            return
        while links:
            number = segment_of(links[0].ordinal)
            room = number * SEGMENT - links[0].ordinal + 1
            digests = []
            for link in links[:room]:
                tail.digest = following(tail.digest, link)
                digests.append((link, tail.digest))
            chain_tables.insert_links(self._connection, window.id, digests)
            if len(digests) == room:
                chain_tables.seal_segment(self._connection, window.id, number, tail)
                first = max(chain_tables.FIRST_LINKS, self._needed.get(window.route, 0))
                chain_tables.shed(self._connection, window.id, number * SEGMENT, first)
            links = links[room:]
