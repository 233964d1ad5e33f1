"""A write on its way through the journal: its states, what is recorded of it, and the copy owed to the other side.

```
intended --success--> answered --copy answered--> delivered
   |  |                  |  `----given up-------> dead       (the copy's service kept failing)
   |  |                  `-------no answer------> in_doubt   (the copy may or may not have been applied)
   |  `--no success----> void                                (nothing is owed)
   `--no outcome-------> in_doubt                            (the write may or may not have been applied)
```
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from rules.stages import Side
from shadow.delivery.adapted import Adapted
from shadow.pair import Answer


class State(StrEnum):
    """Where a write stands. `answered` is the only one whose copy is still to be sent."""

    INTENDED = "intended"
    ANSWERED = "answered"
    DELIVERED = "delivered"
    VOID = "void"
    IN_DOUBT = "in_doubt"
    DEAD = "dead"


class Original(msgspec.Struct, frozen=True, array_like=True):
    """Everything of a write that may be secret. Never on disk but sealed."""

    request_id: str
    key: str
    """Order key as it stood in the request; ``""`` when there was none."""
    target: str
    """Path and query as the client asked for them, in canonical form."""
    host: str
    """The client's Host."""
    headers: list[tuple[bytes, bytes]]
    """As the client sent them, without hop-by-hop fields and Host, and those that fig adds."""
    body: bytes
    idempotency_key: str
    """The client's own, or the one that fig made; the same in every attempt."""
    unit: str
    copy: Adapted | None = None
    """What the copy says instead, where the route changes something for its side. Journals of before have none."""


@dataclass(frozen=True, slots=True)
class Write:
    """What is recorded before a write is forwarded."""

    route: str
    generation: int
    method: str
    side: Side
    """The side that is to answer; the copy goes to the other one."""
    copied: bool
    """Whether a copy is owed once the answer is a success (the stage decides, rules.stages)."""
    worker: int
    """Process id of the worker that asks."""
    arrival: float
    """Seconds since the epoch."""
    original: Original


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy that is owed, without its content."""

    sequence: int
    turn: int
    """Order in which outcomes became durable. Within a key it is the order of `sequence`; across keys it may differ."""
    route: str
    to: Side
    key: bytes
    """Keyed hash; ``b""`` when the write is ordered with nothing."""
    attempts: int = 0
    """Attempts that were answered with a failure; durable."""
    tries: int = 0
    """Attempts of every kind since this process started."""
    unanswered: bool = False
    """An attempt was under way when a predecessor ended, or came to no answer: nobody knows whether it arrived."""
    paired: bool = True
    """Whether the answering side's answer is there to be compared; not where read-back stood in for its outcome."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What recording an outcome came to."""

    sequence: int
    state: State
    changed: bool
    """False when this outcome was known already, or the write is not in the journal."""
    copy: Copy | None
    """What is owed now."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a person decided about a copy, a doubt or a gap, for good."""

    route: str
    kind: str
    """``copy``, ``doubt`` or ``gap``."""
    sequence: int
    """Of the write; 0 for a gap."""
    gap: str
    """The gap's id; ``""`` for a write."""
    decision: str
    """``dropped``, ``settled``, and what is decided about doubts."""
    who: str
    why: str
    at: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A write whose copy has not arrived, as people see it: nothing of what it said."""

    sequence: int
    route: str
    method: str
    to: Side
    state: State
    reason: str
    key: str
    """The first digits of the order key's keyed hash; ``""`` for none."""
    arrival: float
    """Seconds since the epoch."""
    attempts: int
    """Answers with a failure that the copy got."""
    copy_status: int
    """What the last of them was; 0 for none."""


@dataclass(frozen=True, slots=True)
class ListedGap:
    """A write that went by unrecorded, as people see it."""

    id: str
    route: str
    key: str
    """As in Listed."""
    reason: str
    started: float
    settled: bool


@dataclass(frozen=True, slots=True)
class Open:
    """A write without an outcome, as a restarted shadower finds it."""

    sequence: int
    key: bytes
    worker: int
    route: str


@dataclass(frozen=True, slots=True)
class Finished:
    """A write whose copy has had its answer, with everything that the comparison needs."""

    sequence: int
    route: str
    generation: int
    method: str
    side: Side
    arrival: float
    original: Original
    answer: Answer
    """Of the side that answered the client."""
    copy_answer: Answer
    attempts: int = 0
    """Attempts at the copy that failed before that answer."""
    terms: str = ""
    """Digest of the window of pairs in which the copy was sent (shadow.certifying.terms); empty where it is unknown."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A write known not to be recorded."""

    id: str
    route: str
    key: str
    reason: str
    started: float


@dataclass(frozen=True, slots=True)
class Standing:
    """What of a route is unsettled. Doubts, dead copies and gaps block the certificate until a person settles them."""

    intended: int = 0
    """Writes in flight."""
    undelivered: int = 0
    """Copies that are owed."""
    overdue: int = 0
    """Those of them that have been owed for longer than deliveries take when all is well."""
    in_doubt: int = 0
    dead: int = 0
    gaps: int = 0
    declared: int = 0
    """What people have settled: copies dropped, doubts and gaps decided. Kept for ever, and told in certificates."""

    @property
    def quiet(self) -> bool:
        """Nothing under way and nothing owed: the sides have been told the same."""
        return not (self.intended or self.undelivered)
