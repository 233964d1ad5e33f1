"""Who may write next: one write of an order key in flight at a time, across all workers. Pure; the caller keeps time.

Arrival order at a service is not commit order, and two workers that forward writes of one key at once leave nobody who
knows which came first. So a write asks for its key's lease, gets it in order of asking, and holds it until its outcome
is durable. A write also waits for copies of its key that its own side has still to receive: after a rollback, legacy
must have the writes that the candidate answered before it answers for the key again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from rules.stages import Side

PER_KEY = 64
"""Writes that may wait for one key."""
WAITING = 10_000
"""Writes that may wait for all keys together."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A write that wants its key's lease. `ticket` is the caller's name for it, unique among all that wait or hold."""

    ticket: int
    key: bytes
    """Keyed hash; ``b""`` is ordered with nothing and granted at once."""
    side: Side
    """The side that is to answer."""
    deadline: float
    """Seconds on the caller's clock; not granted by then, the ask is refused."""


@dataclass(frozen=True, slots=True)
class Grant:
    """The lease is this ticket's; the caller gives it back with `release`."""

    ticket: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """The lease cannot be had now."""

    ticket: int
    reason: str
    """``in flight``, ``undelivered`` or ``crowded``."""


Answer = Grant | Refusal


class Leases:
    """Every lease that is held or waited for; a key that is neither takes no room.

    `owes(key, side)` says whether a copy of the key is still to be delivered to that side.
    """

    def __init__(self, owes: Callable[[bytes, Side], bool], *, per_key: int = PER_KEY, waiting: int = WAITING) -> None:
        self._owes = owes
        self._per_key = per_key
        self._limit = waiting
        self._held: dict[bytes, set[int]] = {}
        """Tickets per key; more than one only for writes whose leases a predecessor granted."""
        self._waiting: dict[bytes, deque[Ask]] = {}
        self._count = 0

    @property
    def waiting(self) -> int:
        """Asks that are neither granted nor refused."""
        return self._count

    def holds(self, key: bytes) -> bool:
        """Whether a write of this key is in flight."""
        return key in self._held

    def ask(self, ask: Ask) -> list[Answer]:
        """Grant, refuse, or let it wait (then the list is empty)."""
        if not ask.key:
            return [Grant(ask.ticket)]
        line = self._waiting.get(ask.key)
        if not line and self._is_free(ask):
            self._held[ask.key] = {ask.ticket}
            return [Grant(ask.ticket)]
        if self._count >= self._limit or (line is not None and len(line) >= self._per_key):
            return [Refusal(ask.ticket, "crowded")]
        self._waiting.setdefault(ask.key, deque()).append(ask)
        self._count += 1
        return []

    def hold(self, key: bytes, ticket: int) -> None:
        """Take a lease that was granted before this object was made, asked or not."""
        if key:
            self._held.setdefault(key, set()).add(ticket)

    def release(self, key: bytes, ticket: int) -> list[Answer]:
        """The write has its outcome, or will have none; whoever may go on because of that."""
        tickets = self._held.get(key)
        if tickets is None or ticket not in tickets:
            return []
        tickets.remove(ticket)
        if tickets:
            return []
        del self._held[key]
        return self.settled(key)

    def settled(self, key: bytes) -> list[Answer]:
        """A copy of this key was delivered, or given up; whoever may go on because of that."""
        line = self._waiting.get(key)
        if not line or not self._is_free(line[0]):
            return []
        first = line.popleft()
        self._forget(key, line, 1)
        self._held[key] = {first.ticket}
        return [Grant(first.ticket)]

    def withdraw(self, tickets: set[int]) -> list[Answer]:
        """These no longer wait (their worker is gone); whoever may go on because of that."""
        answers: list[Answer] = []
        for key, line in list(self._waiting.items()):
            stay = deque(ask for ask in line if ask.ticket not in tickets)
            if len(stay) != len(line):
                self._forget(key, stay, len(line) - len(stay))
                answers += self.settled(key)
        return answers

    def expire(self, now: float) -> list[Answer]:
        """Refuse what has waited until its deadline; whoever may go on because of that."""
        answers: list[Answer] = []
        for key, line in list(self._waiting.items()):
            late = [ask for ask in line if ask.deadline <= now]
            if not late:
                continue
            reason = "in flight" if key in self._held else "undelivered"
            answers += [Refusal(ask.ticket, reason) for ask in late]
            self._forget(key, deque(ask for ask in line if ask.deadline > now), len(late))
            answers += self.settled(key)
        return answers

    def _is_free(self, ask: Ask) -> bool:
        return ask.key not in self._held and not self._owes(ask.key, ask.side)

    def _forget(self, key: bytes, stay: deque[Ask], gone: int) -> None:
        self._count -= gone
        if stay:
            self._waiting[key] = stay
        else:
            del self._waiting[key]
