"""Why a request goes where it goes, and what it comes to: the winner, what kept every earlier route from it, the unit
and the share at which it changes sides, what each side is sent, and who gets a copy. Pure.

The decision is the table's own; rules/explain_text.py writes it for people.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from rules.action import Retries
from rules.asked import Asked as Asked
from rules.buckets import BUCKETS
from rules.checks import SAFE_METHODS
from rules.decision import Choice
from rules.misses import Misses, misses_of
from rules.outcome import Lines, OwnOutcome, Sent, own_outcome, sent
from rules.quantities import duration_text, share_text, size_text
from rules.stages import MILLION, Side
from rules.table import CompiledRoute, Table

FRESH_UNIT = "(fresh)"
"""Stands for the unit that fig would make up."""
_SECRET = re.compile(r"cookie|auth|token|secret|passw|key|session", re.IGNORECASE)
"""Names of header fields whose values no screen shows, also when it is the rules file that holds them."""
NOT_SHOWN = "(not shown)"


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything that `fig rules explain` tells of one request."""

    request: Asked
    generation: int
    misses: Misses
    choice: Choice
    because: str
    """One sentence: why this side."""
    bucket: int | None
    """0 to 999,999; None without a unit."""
    own: OwnOutcome | None
    """Set where fig answers by itself."""
    answering: tuple[Sent, ...]
    """What the side that answers is sent; both sides while it is open which one does; none where fig answers."""
    copy: Sent | None
    """What the other side is sent when it gets a copy."""
    copies: str
    """One sentence: who gets a copy."""
    unread_unit: str
    """The unit that it was asked as, where nobody looks at units; else ``""``."""

    @property
    def route(self) -> CompiledRoute:
        return self.choice.decision.route

    @property
    def is_open(self) -> bool:
        """Whether the side is not known yet, because the bucket of a unit that fig is to issue will decide it."""
        return self.choice.issue != "" and self.choice.decision.reason == "share"

    @property
    def flips_at(self) -> str | None:
        """The share from which on the candidate answers this unit; None without a bucket."""
        return None if self.bucket is None else share_text(self.bucket + 1)

    def as_json(self) -> dict[str, object]:
        """What ``fig rules explain --json`` prints, and what the admin API answers."""
        decision, route = self.choice.decision, self.route
        is_own = self.own is not None
        told = [{"route": miss.route, "predicate": miss.predicate, "why": miss.why} for miss in self.misses.told]
        return {
            "method": self.request.method,
            "host": self.request.host,
            "path": self.request.path,
            "query": self.request.query,
            "client": self.request.client,
            "normalised": list(normalisations(self.request)),
            "generation": self.generation,
            "misses": told,
            "misses_not_told": {"host_or_path": self.misses.far, "other": self.misses.near},
            "route": route.name,
            "captures": route.captures(self.request),
            "stage": decision.stage.value,
            "share": share_text(route.share),
            "unit": None if self.choice.issue else self.choice.unit or None,
            "unread_unit": self.unread_unit or None,
            "unit_issued": bool(self.choice.issue),
            "salt": route.spec.salt,
            "bucket": self.bucket,
            "candidate_from_share": self.flips_at,
            "side": None if self.is_open or is_own else decision.side.value,
            "service": None if self.is_open or is_own else decision.service,
            "reason": decision.reason,
            "because": self.because,
            "answer": own_json(self.own) if self.own is not None else None,
            "sent": [sent_json(each) for each in self.answering],
            "copy_to": None if self.is_open or decision.copy_to is None else decision.copy_to.value,
            "copy": sent_json(self.copy) if self.copy is not None else None,
            "copies": self.copies,
            "fallback": "legacy" if route.fallback else None,
        }


Tell = Literal["nothing", "near", "all"]
"""Of the earlier routes: nothing, those that might have taken the request (and a few others), or each of them."""


def explain(table: Table, request: Asked, unit: str | None = None, tell: Tell = "near") -> Explanation:
    """Why `request` (path already normalised) goes where it goes, as `unit` if one is given.

    A unit that fig would issue is FRESH_UNIT. `tell` says how much is told of the earlier routes.
    """
    if unit is not None:
        request = request.with_unit(table.route(request), unit)
    choice = table.decide(request, lambda: FRESH_UNIT)
    decision = choice.decision
    route = decision.route
    bucket = choice.unit_hash % BUCKETS if choice.unit and not choice.issue else None
    own = own_outcome(choice, request)
    is_open = choice.issue != "" and decision.reason == "share"
    sides = () if own is not None else tuple(Side) if is_open else (decision.side,)
    earlier = 0 if tell == "nothing" else route.index
    copied_to = decision.copy_to if not is_open and _copies_this(route, request) else None
    return Explanation(
        request=request,
        generation=table.generation,
        misses=misses_of(islice(table.routes, earlier), request, tell == "all"),
        choice=choice,
        because=_because(choice, bucket, request),
        bucket=bucket,
        own=own,
        answering=tuple(sent(table, route, side, request) for side in sides),
        copy=sent(table, route, copied_to, request) if copied_to is not None else None,
        copies=_copies(choice, request),
        unread_unit=unit if unit is not None and choice.unit != unit else "",
    )


def is_secret(name: str) -> bool:
    """Whether the header `name` may carry a secret, so that its values are not shown."""
    return _SECRET.search(name) is not None


def without_secrets(lines: Lines) -> Lines:
    """The lines as they may be shown."""
    return tuple((name, NOT_SHOWN if is_secret(name) else value) for name, value in lines)


def own_json(own: OwnOutcome) -> dict[str, object]:
    """fig's own answer."""
    if own.answer is None:
        return {"error": own.refused}
    return {
        "status": own.answer.status,
        "headers": [list(line) for line in without_secrets(own.answer.headers)],
        "body": own.answer.body.decode("utf-8", "replace"),
    }


def sent_json(found: Sent) -> dict[str, object]:
    """One side's part."""
    return {
        "side": found.side.value,
        "service": found.service,
        "url": found.url,
        "path": found.path,
        "query": found.query,
        "host": found.host,
        "error": found.refused or None,
        "request_headers": {"removed": found.request.removed, "added": without_secrets(found.request.appended)},
        "response_headers": {"removed": found.answer.removed, "added": without_secrets(found.answer.appended)},
        "timeout": duration_text(found.timeout),
        "retries": _retries_json(found.retries),
        "max_body": size_text(found.max_body) if found.max_body is not None else None,
    }


def _retries_json(retries: Retries | None) -> dict[str, object] | None:
    return retries.model_dump(mode="json") if retries is not None else None


def normalisations(request: Asked) -> tuple[str, ...]:
    """What was done to the path before anyone looked at it (rules/path.py); empty when nothing was."""
    raw = request.received
    if not raw or raw == request.path:
        return ()
    escapes = [found[0] for found in re.finditer(r"%..", raw)]
    plain = [text for text in escapes if re.fullmatch(r"[A-Za-z0-9._~-]", chr(int(text[1:], 16)))]
    decoded = re.sub(r"%2[Ee]", ".", raw)
    found = []
    if plain:
        found.append(f"{plain[0]} decoded, because '{chr(int(plain[0][1:], 16))}' needs no escape")
    if any(text != text.upper() for text in escapes if text not in plain):
        found.append("escapes written in upper case")
    if re.search(r"[^%A-Za-z0-9\-._~!$&'()*+,;=:@/]", raw):
        found.append("what may not stand in a path escaped")
    if "//" in raw:
        found.append("'//' merged to '/'")
    if re.search(r"/\.\.?(?:/|$)", re.sub("//+", "/", decoded)):
        found.append("'.' and '..' resolved")
    return tuple(found)


def _because(choice: Choice, bucket: int | None, request: Asked) -> str:
    decision = choice.decision
    route, side = decision.route, decision.side.value
    share = share_text(route.share)
    if decision.reason == "no route":
        return "no route takes it, so legacy answers"
    if decision.reason in ("redirect", "respond"):
        return f"the route says '{decision.reason}', so fig answers by itself and asks no service"
    if decision.reason == "forced":
        return f"the request forces {side} with a valid token"
    if decision.reason == "stage":
        if route.spec.candidate is None:
            return "the route has no candidate, so legacy always answers"
        return f"in stage {decision.stage.value} {side} always answers"
    if decision.reason == "no unit":
        return f"it has no unit ({_why_no_unit(route, request)}), so legacy answers and nothing is counted"
    if bucket is None:
        return f"fig issues a unit, and {share} of units go to the candidate"
    flips = f"the candidate answers from a share of {share_text(bucket + 1)} on"
    return f"bucket {bucket} of {BUCKETS:,} against a share of {share}: {flips}"


def _why_no_unit(route: CompiledRoute, request: Asked) -> str:
    unit = route.spec.unit
    if unit is None:
        return "the route has no 'unit'"
    if unit.header is not None:
        count = len(request.values(unit.header))
        wrong = "is empty or not printable ASCII" if count == 1 else f"comes {count} times"
        return f"the header '{unit.header}' {wrong if count else 'is absent'}"
    if len(request.values("cookie")) > 1:
        return "several Cookie lines count as none"
    named = any(f"{unit.cookie}=" in line for line in request.values("cookie"))
    wrong = "is empty, or holds a blank, a quote or what is not printable ASCII" if named else "is absent"
    return f"the cookie '{unit.cookie}' {wrong}"


def _copies_this(route: CompiledRoute, request: Asked) -> bool:
    if request.method in SAFE_METHODS:
        return request.method in MIRRORED and route.sample > 0
    return route.writes is not None


MIRRORED = frozenset(("GET", "HEAD"))
"""The reads that are copied (proxy/dataplane/exchange.py)."""


def _copies(choice: Choice, request: Asked) -> str:
    decision = choice.decision
    route, other = decision.route, decision.copy_to
    if other is None:
        return "nobody gets a copy"
    receiver = "the other side" if choice.issue and decision.reason == "share" else other.value
    if request.method in SAFE_METHODS:
        if not route.sample:
            return "nobody gets a copy: the sample is 0%"
        if request.method not in MIRRORED:
            return f"nobody gets a copy: {request.method} is neither GET nor HEAD"
        part = "" if route.sample == MILLION else f" (a sample of {share_text(route.sample)})"
        return f"{receiver} gets a copy after the client has its answer{part}, and the pair is compared"
    if route.writes is None:
        return "nobody gets a copy: it is a write, and the route has no 'writes'"
    key = route.order_key(request)
    order = f", in order with other writes of '{key}'" if key else ""
    return f"the write is journaled first, and delivered to {receiver} after a good answer{order}"
