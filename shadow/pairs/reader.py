"""Pairs read back, while the shadower goes on writing: for reports, and for the certificate that the pilot asks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256

from shadow.causes.states import Acknowledgement
from shadow.causes.tally import Row
from shadow.certifying.certificate import Certificate, Evidence, judge_certificate
from shadow.certifying.segments import Segment
from shadow.certifying.strata import Stratum, StratumKind
from shadow.comparing.differences import DifferenceKind
from shadow.pairs import cause_tables, certified_tables, chain_tables
from shadow.pairs.certified_tables import Dropped, Pin
from shadow.pairs.chain_tables import Chained
from shadow.pairs.kept import (
    KeptPair,
    KeptRequest,
    MaskCount,
    PlaceCount,
    Unproven,
    Window,
    decode,
    decode_request,
    request_place,
)
from shadow.pairs.snapshot import Snapshot
from shadow.sealing import Sealer
from shadow.spec import CertificateTarget


class PairReader(Snapshot):
    """A reader's end of pairs.db."""

    def routes(self) -> tuple[str, ...]:
        """Every route that has pairs, or a window for them."""
        rows = self._connection.execute(
            "SELECT route FROM windows UNION SELECT route FROM unproven ORDER BY route"
        ).fetchall()
        return tuple(route for (route,) in rows)

    def windows(self, route: str) -> tuple[Window, ...]:
        """The route's windows, latest first; the first one is the current one."""
        rows = self._connection.execute(
            "SELECT route, number, digest, reason, started, pairs, differing, writes, excused, unsettled, last"
            " FROM windows WHERE route = ? ORDER BY number DESC",
            (route,),
        )
        return tuple(Window(*row) for row in rows)

    def places(self, window: Window) -> tuple[PlaceCount, ...]:
        """Where the window's pairs differ, most pairs first."""
        rows = self._connection.execute(
            "SELECT path, kind, pairs, count, first, last FROM places WHERE window = ?"
            " ORDER BY pairs DESC, count DESC, path",
            (self._id(window),),
        )
        return tuple(PlaceCount(path, DifferenceKind(kind), *numbers) for path, kind, *numbers in rows)

    def last_difference(self, window: Window) -> int | None:
        """Ordinal of the window's last pair that differs; None where none does, or their ordinals are not all kept."""
        count, last = self._connection.execute(
            "SELECT count(*), max(ordinal) FROM ordinals WHERE window = ?", (self._id(window),)
        ).fetchone()
        return last if count == window.differing else None

    def masks(self, window: Window) -> tuple[MaskCount, ...]:
        """What masks excused in the window, most pairs first."""
        rows = self._connection.execute(
            "SELECT mask, pairs, count FROM masks WHERE window = ? ORDER BY pairs DESC, mask", (self._id(window),)
        )
        return tuple(MaskCount(*row) for row in rows)

    def samples(self, window: Window, place: PlaceCount, limit: int) -> tuple[KeptPair, ...]:
        """Kept pairs that differ at that place, latest first."""
        return self._pairs(
            "SELECT record FROM samples JOIN pairs ON pairs.number = samples.pair"
            " WHERE samples.window = ? AND path = ? AND kind = ? ORDER BY pairs.number DESC LIMIT ?",
            (self._id(window), place.path, str(place.kind), limit),
        )

    def groups(self, window: Window) -> tuple[Row, ...]:
        """All differences of the window, by place and by what fits them: what causes are made from."""
        return cause_tables.read_rows(self._connection, self._id(window))

    def acknowledgements(self, route: str) -> dict[str, Acknowledgement]:
        """Whoever said that a cause of the route is known, by cause."""
        return cause_tables.read_acknowledgements(self._connection, route)

    def equal(self, window: Window, limit: int) -> tuple[KeptPair, ...]:
        """Kept pairs that agree, latest first."""
        return self._pairs(
            "SELECT record FROM pairs WHERE window = ? AND NOT differs ORDER BY number DESC LIMIT ?",
            (self._id(window), limit),
        )

    def pair(self, id: str) -> KeptPair | None:
        """The kept pair of that id."""
        return next(iter(self._pairs("SELECT record FROM pairs WHERE id = ?", (id,))), None)

    def request(self, id: str, sealer: Sealer) -> KeptRequest | None:
        """The request of a kept read, to be sent again; None where none is kept. Raises SealError."""
        row = self._connection.execute("SELECT request FROM pairs WHERE id = ?", (id,)).fetchone()
        if row is None or row[0] is None:
            return None
        return decode_request(sealer.open(row[0], request_place(id)))

    def strata(self, window: Window) -> tuple[Stratum, ...]:
        """What became of every request captured in the window, by method, status class and kind."""
        rows = self._connection.execute(
            "SELECT method, status_class, kind, pairs, differing, excused, attempts FROM strata WHERE window = ?"
            " ORDER BY method, status_class, kind",
            (self._id(window),),
        )
        return tuple(
            Stratum(method, answered, StratumKind(kind), *numbers) for method, answered, kind, *numbers in rows
        )

    def chain(self, window: Window) -> Chained:
        """How the window's chain stands. Raises BrokenChainError."""
        return chain_tables.chained(self._connection, self._id(window))

    def segments(self, route: str, number: int, until: int) -> Iterator[Segment]:
        """The first `until` links of the route's window of that number, as shadow.certifying.segments.follow takes
        them."""
        return chain_tables.segments_until(self._connection, self._window_id(route, number), until)

    def kept_hashes(self, route: str, number: int, until: int) -> dict[str, tuple[int, int, bytes]]:
        """(ordinal, whether it differs, SHA-256 of what is kept) of each kept pair among the window's first `until`, by
        its id."""
        rows = self._connection.execute(
            "SELECT id, ordinal, differs, record FROM pairs WHERE window = ? AND ordinal BETWEEN 1 AND ?",
            (self._window_id(route, number), until),
        )
        return {id: (ordinal, differs, sha256(record).digest()) for id, ordinal, differs, record in rows}

    def pins(self) -> tuple[Pin, ...]:
        """What is kept for which certificate, latest first."""
        return certified_tables.read_pins(self._connection)

    def dropped(self, route: str, number: int) -> tuple[Dropped, ...]:
        """What was dropped, in its time, of the kept pairs of the route's window of that number."""
        return certified_tables.read_dropped(self._connection, self._window_id(route, number))

    def unproven(self, route: str) -> Unproven:
        """What the journal said of the route's writes when the shadower last noted it."""
        row = self._connection.execute(
            "SELECT gaps, doubts, undelivered, overdue, at, dead, declared FROM unproven WHERE route = ?", (route,)
        ).fetchone()
        return Unproven(*row) if row else Unproven()

    def certificate(self, route: str, target: CertificateTarget) -> Certificate:
        """The verdict on the route's current window; TOO FEW where there is none."""
        return judge_certificate(self.evidence(route, target), target)

    def evidence(self, route: str, target: CertificateTarget) -> Evidence:
        """What the route's current window holds, and what the shadower last noted of the journal."""
        unproven = self.unproven(route)
        window = next(iter(self.windows(route)), None)
        pairs = differing = first = 0
        if window is not None:
            pairs, differing = window.pairs, window.differing
            (first,) = self._connection.execute(
                "SELECT count(*) FROM ordinals WHERE window = ? AND ordinal <= ?", (self._id(window), target.pairs)
            ).fetchone()
        return Evidence(
            pairs,
            differing,
            first,
            unproven.gaps,
            unproven.doubts,
            unproven.overdue,
            unproven.dead,
            unproven.undelivered,
            unproven.declared,
            self.strata(window) if window is not None else (),
        )

    def _id(self, window: Window) -> int:
        return self._window_id(window.route, window.number)

    def _window_id(self, route: str, number: int) -> int:
        row = self._connection.execute(
            "SELECT id FROM windows WHERE route = ? AND number = ?", (route, number)
        ).fetchone()
        return int(row[0]) if row else -1

    def _pairs(self, query: str, values: Sequence[str | int]) -> tuple[KeptPair, ...]:
        rows: list[tuple[bytes]] = self._connection.execute(query, values).fetchall()
        return tuple(decode(record) for (record,) in rows)
