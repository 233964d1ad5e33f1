"""A write on its way through the journal: read whole, recorded before it is forwarded, followed to its outcome.

reading the body --> asking the journal --> granted: forwarded, and its outcome told once
                                        `-> denied, or nobody answers: refused, or forwarded as a gap
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.dataplane import own
from proxy.dataplane.answers import CONTINUE
from proxy.dataplane.refusals import Refusal
from proxy.dataplane.rewrites import ForCopy
from rules.rewriting import RewriteError
from rules.stages import Stage

if TYPE_CHECKING:
    from proxy.dataplane.exchange import Exchange
    from proxy.dataplane.ports import Copies
    from rules.document import Writes


def has_to_be_recorded(exchange: Exchange, writes: Writes) -> bool:
    """Where a copy is owed. In stage legacy none is, but after a rollback a write must wait for the copies of its key
    that legacy has still to get; bodies too large to hold do not."""
    decision = exchange.decision
    return decision.copy_to is not None or (
        decision.stage is Stage.LEGACY and 0 <= exchange.head.length <= writes.max_body
    )


class Recording:
    """The part of an exchange that the journal knows of."""

    __slots__ = ("_copies", "_made_key", "_writes", "copy", "exchange", "key", "sequence", "waits")

    def __init__(self, exchange: Exchange, copies: Copies, writes: Writes) -> None:
        self.exchange = exchange
        self.key = ""
        """The order key."""
        self.sequence = 0
        """The journal's number for this write; 0 until it is granted."""
        self.waits = True
        """Whether the intent is not durable yet, so that nothing may be forwarded."""
        self.copy: ForCopy | None = None
        """What the other side is to get in place of what the client sent; None where that is the same."""
        self._copies = copies
        self._writes = writes
        # Not made from the request's id, which a client may send again with another write.
        self._made_key = b"fig-" + exchange.plane.ids.trace_id()

    @property
    def made_key(self) -> bytes:
        """The Idempotency-Key that fig adds; ``b""`` where the client sent its own."""
        return b"" if self.exchange.head.idempotency_key else self._made_key

    @property
    def idempotency_key(self) -> bytes:
        """The client's own key, or one that is stable for this write."""
        return self.exchange.head.idempotency_key or self._made_key

    def begin(self) -> None:
        """Once, before anything of the body has come."""
        exchange = self.exchange
        head = exchange.head
        head.upgrade = b""  # a recorded write stays a write
        exchange.deadline = exchange.started + exchange.service.spec.idle_timeout
        if exchange.request_done:
            self.ask(b"")
        elif head.expects_continue:
            exchange.client.write(CONTINUE)  # the body is read here first, so it is fig that asks for it
        head.expects_continue = False

    def ask(self, body: bytes) -> None:
        """The request is complete: have its intent recorded."""
        exchange = self.exchange
        self.key = exchange.decision.route.order_key(exchange.head, body)
        exchange.deadline = exchange.plane.now() + self._writes.settle + exchange.plane.limits.journal_seconds
        if exchange.actions is not None and exchange.decision.copy_to is not None:
            try:
                self.copy = exchange.actions.for_copy()
            except RewriteError:  # what it says would put the path, and the order key in it, into the journal in clear
                message = "the rules make no copy of this write that can be sent to the other side"
                self._missed(Refusal(500, "rewrite", message, close=False))
                return
        if not self._copies.intend(self, body):
            self.unrecorded("the journal does not answer")

    # --- the journal's reply -----------------------------------------------------------------------------------------

    def granted(self, sequence: int) -> None:
        """The intent is durable and this write holds its key's lease."""
        self.sequence = sequence
        self._go_on()

    def denied(self, reason: str, retry_after: float) -> None:
        """The journal took nothing, for a reason that passes (an undelivered copy, a full queue)."""
        own.refuse(self.exchange, Refusal(503, "settling", reason, close=False, retry_after=retry_after))

    def unrecorded(self, reason: str) -> None:
        """The journal is not there: what the route says about that is done."""
        exchange = self.exchange
        if exchange.client_gone:
            exchange.abandon()  # not forwarded, so there is nothing to record
            return
        message = "this write cannot be recorded right now"
        self._missed(Refusal(503, "journal", message, close=False, retry_after=1), reason)

    def timed_out(self) -> None:
        self._copies.withdraw(self)
        self.unrecorded("the journal did not answer in time")

    def _missed(self, refusal: Refusal, reason: str = "") -> None:
        """No record can be made: refuse, or forward and say that there is a gap."""
        exchange = self.exchange
        if exchange.decision.copy_to is None:
            self._go_on()  # nothing is owed, so nothing is missed
        elif self._writes.on_journal_failure == "forward":
            self._copies.gap(self, reason or refusal.message)
            self._go_on()
        else:
            exchange.failure = "journal"
            own.refuse(exchange, refusal)

    def _go_on(self) -> None:
        if not self.waits:
            return
        self.waits = False
        self.exchange.recorded()

    # --- the end -----------------------------------------------------------------------------------------------------

    @property
    def is_followed(self) -> bool:
        """Whether somebody waits for the outcome though the client is gone."""
        return self.exchange.request_done and bool(self.sequence or self.waits)

    def over(self) -> None:
        self.waits = False
        if self.sequence:
            self._copies.outcome(self)
