"""Backfill, the pure half: what is asked of the sides for one key, and what their answers make of it.

A key is seeded when the candidate has taken legacy's answer. It is left alone when the candidate has it already, or
when it has had a copy since the journal began: what is seeded must never overwrite what a copy brought.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from urllib.parse import quote, unquote

from rules.action import SERVICE_HOST
from rules.asked import DEFAULT_HOST, Asked
from rules.backfill import ANSWER, Backfill
from rules.document import Route
from rules.matching.captures import capture_reader
from rules.matching.predicates import PathPredicate
from rules.rewriting import SideChange
from rules.stages import Side
from rules.templates import parse_template
from shadow.comparing.bodies import CodingError, plain
from shadow.delivery.deliver import CopyRequest
from shadow.delivery.retry import Answered, Attempt, Unsendable
from shadow.pair import Answer

_SEGMENT = "!$'()*,-.:;@_~"
"""What stays as it is in a path's segment and in a query's value (RFC 3986 sections 3.3 and 3.4)."""
_GONE = (404, 410)
Lines = Sequence[tuple[bytes, bytes]]
"""Header lines."""


class Seed(StrEnum):
    """Where one key stands."""

    PENDING = "pending"
    SEEDED = "seeded"
    """The candidate took what legacy has."""
    HELD = "held"
    """The candidate had it already."""
    COPIED = "copied"
    """It has had a copy since the journal began; copies say more than what is seeded."""
    GONE = "gone"
    """Legacy has no such thing."""
    FAILED = "failed"


UNSEEDED = (Seed.PENDING, Seed.FAILED)
"""Those of which it is not proven that the candidate has them."""


@dataclass(frozen=True, slots=True)
class Seeding:
    """A route's backfill as it stands."""

    counts: Mapping[Seed, int] = field(default_factory=dict)
    running: bool = False
    rate: float = 0.0
    """Keys a second."""
    started: float = 0.0
    """Seconds since the epoch."""
    ended: float | None = None

    @property
    def unseeded(self) -> int:
        """Keys of which it is not proven that the candidate has them: a stratum of the certificate."""
        return sum(self.counts.get(seed, 0) for seed in UNSEEDED)


@dataclass(frozen=True, slots=True)
class Step:
    """What an answer makes of a key: its end, or (`seed` is None) that it goes on."""

    seed: Seed | None
    reason: str = ""
    again: bool = False
    """Worth another try before it counts as failed."""


_ON = Step(None)


class MissingVariableError(ValueError):
    """A credential cannot be given; the message names the variable, and shows nothing of what it holds."""


def credentials(backfill: Backfill, side: Side, environment: Mapping[str, str]) -> Lines:
    """The header lines that a side wants to see. Raises MissingVariableError."""
    sides = backfill.credentials
    if sides is None:
        return ()
    found = []
    for name, variable in (sides.legacy if side is Side.LEGACY else sides.candidate).items():
        value = environment.get(variable, "").strip()
        if not value:
            raise MissingVariableError(f"the variable {variable} is not set in the environment of fig serve")
        if not value.isascii() or not value.isprintable():
            raise MissingVariableError(f"what the variable {variable} holds is no header's value: one line of ASCII")
        found.append((name.encode("ascii"), value.encode("ascii")))
    return found


def as_route_sends(request: CopyRequest, route: Route, change: SideChange | None) -> CopyRequest:
    """What the receiving side gets of a request that a client might have sent, by what the route changes for it.

    A path that is none of the route's goes out as it is. Raises RewriteError.
    """
    path, _, query = request.target.partition("?")
    asked = Asked(request.method, DEFAULT_HOST, path, query)
    if change is None or not PathPredicate(route.match.path).holds(asked):
        return request
    values = {
        **capture_reader(route.match)(asked),
        "client": asked.client,
        "host": asked.host,
        "path": path,
        "query": query,
        "request_id": request.request_id,
        "route": route.name,
        "side": request.to.value,
    }
    line = change.request(asked, values)
    headers = list(request.headers)
    if change.request_fields is not None:
        gone = {name.replace("_", "-") for name in change.request_fields.removed}
        headers = [one for one in headers if one[0].decode("ascii").lower().replace("_", "-") not in gone]
        headers += [(n.encode("ascii"), v.encode("latin-1")) for n, v in change.request_fields.lines(values)]
    target = f"{line.path}?{line.query}" if line.query else line.path
    return replace(request, target=target, host="" if line.host == SERVICE_HOST else line.host, headers=headers)


def question(backfill: Backfill, key: str, side: Side, request_id: str, credentials: Lines = ()) -> CopyRequest:
    """What a side has of the key. Without a content coding, so that a template can be filled with it."""
    headers = [(b"Accept", b"application/json, */*;q=0.5"), (b"Accept-Encoding", b"identity"), *credentials]
    return CopyRequest(side, "GET", _filled(backfill.read, key), "", headers, b"", request_id)


def order(
    backfill: Backfill, key: str, answer: Answer, request_id: str, idempotency_key: str, credentials: Lines = ()
) -> CopyRequest:
    """What gives it to the candidate. `idempotency_key` is the same at every try. Raises CodingError."""
    body = plain(answer)
    kind = answer.header("content-type") or "application/octet-stream"
    if backfill.body != ANSWER:
        values = {"key": key, "answer": body.decode("utf-8", "surrogateescape")}
        body = parse_template(backfill.body).fill(values).encode("utf-8", "surrogateescape")
    headers = [(b"Content-Type", kind.encode("latin-1")), (b"Accept", b"*/*"), *credentials]
    target = _filled(backfill.target, key)
    return CopyRequest(Side.CANDIDATE, backfill.method, target, "", headers, body, request_id, idempotency_key)


def _filled(template: str, key: str) -> str:
    return parse_template(template).fill({"key": quote(key, safe=_SEGMENT, errors="surrogateescape")})


def order_key(key: str, order_by: str) -> str:
    """The key as writes of it have it in the journal: of a path its escapes are read, elsewhere it is as it is."""
    if not order_by.startswith("path:"):
        return key
    return unquote(quote(key, safe="", errors="surrogateescape"))  # bytes that are no UTF-8 are read as any path's are


def candidate_had(attempt: Attempt) -> Step:
    """Whether the candidate has the key already."""
    if not isinstance(attempt, Answered):
        return _unanswered("the candidate", attempt)
    status = attempt.answer.status
    if 200 <= status < 300:
        return Step(Seed.HELD)
    return _ON if status in _GONE else _refused("the candidate was asked for it and", status)


def legacy_has(attempt: Attempt) -> Step:
    """Whether there is something to seed."""
    if not isinstance(attempt, Answered):
        return _unanswered("legacy", attempt)
    answer = attempt.answer
    if answer.truncated:
        return Step(Seed.FAILED, f"legacy's answer is longer than the {len(answer.body)} bytes that are taken")
    if 200 <= answer.status < 300:
        try:
            plain(answer)
        except CodingError as exc:
            return Step(Seed.FAILED, f"legacy's answer cannot be read: {exc}")
        return _ON
    return Step(Seed.GONE) if answer.status in _GONE else _refused("legacy", answer.status)


def candidate_took(attempt: Attempt) -> Step:
    """Whether the write reached its end. Without an answer the next try asks first whether the candidate has it."""
    if not isinstance(attempt, Answered):
        return _unanswered("the candidate was sent it and", attempt)
    status = attempt.answer.status
    return Step(Seed.SEEDED) if 200 <= status < 300 else _refused("the candidate", status)


def _refused(who: str, status: int) -> Step:
    return Step(Seed.FAILED, f"{who} answered {status}", again=status >= 500 or status in (408, 429))


def _unanswered(who: str, attempt: Attempt) -> Step:
    if isinstance(attempt, Unsendable):
        return Step(Seed.FAILED, f"{who}: {attempt.reason}")
    failure = "" if isinstance(attempt, Answered) else attempt.failure
    return Step(Seed.FAILED, f"{who} gave no answer ({failure})", again=True)
