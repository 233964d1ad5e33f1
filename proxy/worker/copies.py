"""A worker's half of the copies: mirrors handed to the shadower, intents awaited, outcomes kept until they are durable.

Implements proxy.dataplane.ports.Copies. Never waits: every answer of the shadower comes as a record. While the shadower
is away for a moment, being restarted say, writes wait for its successor and are asked again there: what it granted and
the worker does not name is withdrawn before (proxy/shadower/intake.py), so that no write is recorded twice.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from proxy.dataplane.canonical import Fields, added_fields, copied_request
from proxy.link import Caller, Link
from proxy.wire import Denied, Gap, Granted, Hello, Holding, Intent, Mirror, Outcome, Record, Recorded
from proxy.worker.gap_notes import GapNotes
from rules.rewriting import RewriteError
from shadow.delivery.adapted import Adapted

if TYPE_CHECKING:
    from proxy.dataplane.exchange import Exchange
    from proxy.dataplane.recording import Recording
    from proxy.dataplane.rewrites import ForCopy
    from proxy.worker.tallies import Labels

log = structlog.get_logger(__name__)

MIRROR_LIMIT = 4 * 1024 * 1024
"""Unsent bytes beyond which mirrors are dropped: half of the link's own limit, so that reads never crowd out writes."""
KEPT_LIMIT = 100_000
"""Gaps that wait for a shadower; beyond it the oldest is given up, counted and logged. Outcomes are never given up, and
never more than the writes that a shadower has granted: one that is not named after a restart would count as never sent.
"""
KEPT_BYTES = 64 * 1024 * 1024
"""Bytes of answers that may wait with outcomes; beyond it those are kept without their answer's fields and body."""
_WHY_DENIED = {
    "in flight": "another write of the same key is still being answered; try again",
    "undelivered": "an earlier write of the same key is still being copied; try again",
    "crowded": "too many writes are waiting; try again",
}
"""The shadower's word for why a write must wait -> what its client is told. Any other word: the journal failed, and
the route's `on_journal_failure` decides."""
AWAY = 5.0
"""Seconds that writes wait for a shadower which is away; one that comes later finds that it is."""
ASKED_BYTES = 64 * 1024 * 1024
"""Of intents without an answer; while the shadower is away, a write beyond it does not wait."""
ASKED_TIMES = 2
"""How often an intent is asked at most: one that ends the shadower must not end its successors for ever."""
LOOK_EVERY = 10.0
"""Seconds between two looks for gaps of workers that were killed; the first is at the start."""
SHUTTING_DOWN = "shutting down"
"""The shadower's word for an intent that its successor is to be asked."""
UNSENT = "unsent"
"""Failure of a write that certainly never reached its service."""


@dataclass(slots=True)
class _Asked:
    """An intent without an answer."""

    recording: Recording
    intent: Intent
    times: int = 0
    """How often it was sent."""


class ShadowLink:
    """The link to the shadower and what waits on it."""

    def __init__(
        self,
        path: Path,
        hello: Callable[[], Hello],
        count: Callable[[str, Labels], None],
        wall: Callable[[], float],
        away: float = AWAY,
    ) -> None:
        """`away` is how many seconds writes wait for a shadower that is not there."""
        self._away = away
        self._is_missed = False
        """Whether it has been away for so long that nobody waits for it any more."""
        self._giving_up: asyncio.TimerHandle | None = None
        self._hello = hello
        self._count = count
        self._wall = wall
        self._next = 0
        self._opened = False
        self._asked: dict[int, _Asked] = {}
        """Intents without an answer, by their id."""
        self._asked_bytes = 0
        self._carried: dict[int, Recording] = {}
        """Granted writes on their way, by sequence."""
        self._outcomes: dict[int, Outcome] = {}
        """Outcomes not known to be durable."""
        self._gaps: dict[str, Gap] = {}
        self._unsent: dict[int | str, None] = {}
        """Keys of outcomes and gaps that the present link has not taken, in order."""
        self._kept_bytes = 0
        """Bytes of answers in `_outcomes`."""
        self._read: list[Exchange] = []
        """Reads that were answered in this turn of the loop, to be mirrored."""
        self._notes = GapNotes(path.parent)
        self._looking: asyncio.TimerHandle | None = None
        self._caller = Caller(path, self._on_open, self._on_record, self._on_close)

    def start(self) -> None:
        self._notes.open()
        self._look()
        self._caller.start()
        self._miss()

    async def stop(self) -> None:
        for timer in (self._giving_up, self._looking):
            if timer is not None:
                timer.cancel()
        self._send_mirrors()
        await self._caller.stop()
        await self._notes.close()

    def _look(self) -> None:
        """For gaps of workers that were killed."""
        for gap in self._notes.take_over():
            self._gaps[gap.id] = gap
            self._unsent[gap.id] = None
        self.send_unsent()
        self._looking = asyncio.get_running_loop().call_later(LOOK_EVERY, self._look)

    @property
    def is_open(self) -> bool:
        return self._caller.is_open

    @property
    def unrecorded(self) -> int:
        """Outcomes and gaps that the shadower has not confirmed; a drain waits for them."""
        return len(self._outcomes) + len(self._gaps)

    # --- from the data plane -----------------------------------------------------------------------------------------

    def mirror(self, exchange: Exchange) -> None:
        """Mirror the read when its answer has left: what a turn of the loop writes goes out at its end."""
        self._read.append(exchange)
        if len(self._read) == 1:
            asyncio.get_running_loop().call_soon(self._send_mirrors)

    def _send_mirrors(self) -> None:
        answered, self._read = self._read, []
        for exchange in answered:
            self._mirror(exchange)

    def _mirror(self, exchange: Exchange) -> None:
        route = exchange.decision.route.name
        kept = exchange.kept
        if kept is None or not self._caller.is_open or self._caller.unsent > MIRROR_LIMIT:
            self._count("mirrors", (("result", "dropped"), ("route", route)))
            return
        head = exchange.head
        copy, unwritable = None, ""
        try:
            copy = exchange.actions.for_copy() if exchange.actions is not None else None
        except RewriteError as exc:
            unwritable = str(exc)
        record = Mirror(
            route=route,
            generation=exchange.generation,
            request_id=exchange.request_id.decode("ascii"),
            side=exchange.side.value,
            method=head.method,
            target=head.target.decode("ascii"),
            headers=_fields(exchange),
            host=head.host_value.decode("ascii"),
            body=b"",
            status=exchange.status,
            answer_headers=kept.fields,
            answer_body=kept.body,
            truncated=kept.truncated,
            started=exchange.wall - (exchange.answer - exchange.started),
            seconds=exchange.answer - exchange.sent,
            copy=_adapted(copy, exchange),
            unwritable=unwritable,
        )
        self._caller.send(record)
        self._count("mirrors", (("result", "unwritable" if unwritable else "sent"), ("route", route)))

    def intend(self, recording: Recording, body: bytes) -> bool:
        self._next += 1
        exchange = recording.exchange
        head = exchange.head
        record = Intent(
            id=self._next,
            route=exchange.decision.route.name,
            generation=exchange.generation,
            request_id=exchange.request_id.decode("ascii"),
            key=recording.key,
            side=exchange.side.value,
            method=head.method,
            target=head.target.decode("ascii"),
            headers=_fields(exchange),
            host=head.host_value.decode("ascii"),
            body=body,
            idempotency_key=recording.idempotency_key.decode("latin-1"),
            unit=exchange.choice.unit,
            started=self._wall(),
            copy=_adapted(recording.copy, exchange),
        )
        asked = _Asked(recording, record)
        if self._caller.is_open:
            if not self._caller.send(record):
                return False
            asked.times = 1
        elif self._is_missed or self._asked_bytes + record.size > ASKED_BYTES:
            return False
        self._asked[record.id] = asked
        self._asked_bytes += record.size
        return True

    def withdraw(self, recording: Recording) -> None:
        for number, asked in list(self._asked.items()):
            if asked.recording is recording:
                self._answered(number)

    def _answered(self, number: int) -> Recording | None:
        """The write that this intent is of, if it still waits for an answer; it does not any more."""
        asked = self._asked.pop(number, None)
        if asked is None:
            return None
        self._asked_bytes -= asked.intent.size
        return asked.recording

    def outcome(self, recording: Recording) -> None:
        """A granted write is over. Without an answer it is in doubt, unless it certainly never left."""
        exchange = recording.exchange
        kept = exchange.kept if exchange.answer and not exchange.failure else None
        failure = exchange.failure
        # Not "tls": that may also break when the service has read the write, and before that nothing was sent.
        if not exchange.sent or failure in ("breaker", "connect", "overloaded"):
            failure = UNSENT
        self._settle(
            Outcome(
                sequence=recording.sequence,
                status=exchange.status if kept else 0,
                answer_headers=kept.fields if kept else [],
                answer_body=kept.body if kept else b"",
                truncated=exchange.kept is not None and exchange.kept.truncated,
                seconds=exchange.answer - exchange.sent if kept else 0.0,
                failure=failure,
            )
        )

    def gap(self, recording: Recording, reason: str) -> None:
        exchange = recording.exchange
        gap = Gap(
            id=str(uuid.uuid4()),
            route=exchange.decision.route.name,
            key=recording.key,
            reason=reason,
            request_id=exchange.request_id.decode("ascii"),
            started=self._wall(),
        )
        self._gaps[gap.id] = gap
        self._notes.write(gap)
        self._count("gaps", (("route", gap.route),))
        self._bound()
        self._unsent[gap.id] = None
        self.send_unsent()

    def send_unsent(self) -> None:
        """Send the outcomes and gaps that the link had no room for. For every tick."""
        self._send_unsent(self._caller.send)

    def _send_unsent(self, send: Callable[[Record], bool]) -> None:
        while self._unsent:
            key = next(iter(self._unsent))
            record = self._outcomes.get(key) if isinstance(key, int) else self._gaps.get(key)
            if record is not None and not send(record):
                return
            del self._unsent[key]

    # --- from the shadower -------------------------------------------------------------------------------------------

    def _on_open(self, link: Link) -> None:
        link.send(self._hello())
        if self._opened:
            link.send(Holding(sorted({*self._carried, *self._outcomes})))
        self._opened = True
        self._is_missed = False
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None
        for number, asked in list(self._asked.items()):
            asked.times += 1
            if asked.times > ASKED_TIMES or not link.send(asked.intent):
                self._miss_out(number, "the link to the shadower broke")
        self._unsent = dict.fromkeys((*self._outcomes, *self._gaps))
        self._send_unsent(link.send)

    def _on_record(self, link: Link, record: Record) -> None:
        if isinstance(record, Granted):
            recording = self._answered(record.id)
            if recording is None or recording.exchange.over:
                self._settle(Outcome(record.sequence, 0, [], b"", False, 0.0, UNSENT))
                return
            self._carried[record.sequence] = recording
            recording.granted(record.sequence)
        elif isinstance(record, Denied):
            if record.reason == SHUTTING_DOWN:
                return  # it waits for the successor, as long as writes wait
            recording = self._answered(record.id)
            if recording is not None and not recording.exchange.over:
                message = _WHY_DENIED.get(record.reason)
                if message is not None:
                    recording.denied(message, record.retry_after)
                else:
                    recording.unrecorded(record.reason)
        elif isinstance(record, Recorded):
            for sequence in record.outcomes:
                self._forget(sequence)
            for gap in record.gaps:
                self._gaps.pop(gap, None)
                self._notes.recorded(gap)
            self.send_unsent()

    def _on_close(self, link: Link) -> None:
        self._miss()

    def _miss(self) -> None:
        """From now on the shadower is away."""
        if self._giving_up is None:
            self._giving_up = asyncio.get_running_loop().call_later(self._away, self._give_up)

    def _give_up(self) -> None:
        self._giving_up = None
        self._is_missed = True
        for number in list(self._asked):
            self._miss_out(number, "the link to the shadower broke")

    def _miss_out(self, number: int, reason: str) -> None:
        recording = self._answered(number)
        if recording is not None and not recording.exchange.over:
            recording.unrecorded(reason)

    def _settle(self, outcome: Outcome) -> None:
        self._carried.pop(outcome.sequence, None)
        self._unsent[outcome.sequence] = None
        if self._kept_bytes > KEPT_BYTES:
            # What happened still becomes durable; only how the answer compares is lost.
            outcome.answer_headers, outcome.answer_body, outcome.truncated = [], b"", True
        self._outcomes[outcome.sequence] = outcome
        self._kept_bytes += _size(outcome)
        self.send_unsent()

    def _forget(self, sequence: int) -> None:
        outcome = self._outcomes.pop(sequence, None)
        if outcome is not None:
            self._kept_bytes -= _size(outcome)

    def _bound(self) -> None:
        """Give up the oldest gap when the shadower has been away for very long; the others tell of it."""
        if len(self._gaps) <= KEPT_LIMIT:
            return
        oldest = next(iter(self._gaps))
        del self._gaps[oldest]
        self._unsent.pop(oldest, None)
        self._count("unrecorded", ())
        log.error("gave up a gap that the shadower never confirmed", gap=oldest)


def _size(outcome: Outcome) -> int:
    return len(outcome.answer_body) + sum(len(name) + len(value) for name, value in outcome.answer_headers)


def _fields(exchange: Exchange) -> Fields:
    """The request's end-to-end fields as its client sent them, and those that fig adds."""
    return copied_request(exchange.head) + _added(exchange)


def _added(exchange: Exchange) -> Fields:
    return added_fields(exchange.head, exchange.request_id, exchange.trace())


def _adapted(copy: ForCopy | None, exchange: Exchange) -> Adapted | None:
    if copy is None:
        return None
    return Adapted(
        copy.target.decode("ascii"),
        copy.host.decode("ascii"),
        copy.fields + _added(exchange),
        sorted(copy.answer_removed),
        copy.answer_added,
    )
