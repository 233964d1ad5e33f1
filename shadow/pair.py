"""One request as both sides answered it. Values only: what the shadower hands to the comparison and the store.

A pair carries the real answers, secrets included; nothing here may be written anywhere before shadow.redaction.redact
has been over it (shadow.pairs.store does that by itself).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rules.stages import Side

Headers = tuple[tuple[str, str], ...]
"""Header lines in order, names as received. Bytes outside ASCII are decoded as ISO-8859-1 (RFC 9110 section 5.5)."""


class Kind(StrEnum):
    """Whether the request was safe (a read, mirrored) or changed something (a write, journaled and delivered)."""

    READ = "read"
    WRITE = "write"
    STATE = "state"
    """No client's request: what both sides hold of a key, asked for once it was quiet."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one side answered, or why it did not."""

    status: int
    """0 when no complete answer came; `failure` then says why."""
    headers: Headers = ()
    body: bytes = b""
    """As on the wire after framing: a content coding is still on it."""
    truncated: bool = False
    """The body was longer than the capture limit; `body` is its beginning."""
    seconds: float = 0.0
    """Request sent to answer's head received."""
    failure: str = ""
    """``""`` for an answer, else ``connect``, ``timeout``, ``reset``, ``malformed`` (proxy.wire.FAILURES)."""

    def values(self, name: str) -> tuple[str, ...]:
        """Every value of the header `name` (lower case), in order."""
        return tuple([value for key, value in self.headers if key.lower() == name])

    def header(self, name: str) -> str:
        """The first value of the header `name` (lower case), or ``""``."""
        for key, value in self.headers:
            if key.lower() == name:
                return value
        return ""


@dataclass(frozen=True, slots=True)
class Asked:
    """How the candidate was asked, secrets included: never kept but sealed, for asking it again."""

    target: str
    """Path and query."""
    host: str
    """``""``: that of the service."""
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    answer_removed: tuple[str, ...] = ()
    """Names in lower case: fields of its answer that no client would get."""
    answer_added: Headers = ()
    """Lines that every client would get."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Both sides' answers to one request, and which request that was."""

    id: str
    """Unique and without meaning; what `fig shadow` commands name a pair by."""
    route: str
    generation: int
    """Of the effective table that decided the request."""
    kind: Kind
    method: str
    target: str
    """Path and query as the client asked for them, in canonical form, whatever a route makes of them for a side."""
    request_headers: Headers
    request_id: str
    side: Side
    """The side whose answer the client got; the other one got the copy."""
    legacy: Answer
    candidate: Answer
    started: float
    """Seconds since the epoch, when the client's request arrived."""
    sequence: int = 0
    """Of the write's record in the journal; 0 for a read."""
    attempts: int = 0
    """Attempts at its copy that failed before the answer that is compared."""
    asked: Asked | None = None
    """Of a read that can be sent again; a write's request is in the journal."""
    terms: str = ""
    """Digest of the window (shadow.certifying.terms) in which the copy was sent, and once it is judged, of the one that
    it counts in; empty where that is not known: then it is the current one."""
