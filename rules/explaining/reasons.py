"""The sentences of an explanation: what was done to the path, why this side, why no unit, who gets a copy. Pure."""

from __future__ import annotations

import re

from rules.asked import Asked
from rules.buckets import BUCKETS
from rules.compiled import CompiledRoute
from rules.decision import Choice
from rules.hidden import header_may_be_secret
from rules.quantities import share_text
from rules.reading.checks import SAFE_METHODS
from rules.stages import MILLION

MIRRORED = frozenset(("GET", "HEAD"))
"""The reads that are copied (proxy/dataplane/exchange.py)."""


def normalisations(request: Asked) -> tuple[str, ...]:
    """What was done to the path before anyone looked at it (rules/matching/path.py); empty when nothing was."""
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


def because(choice: Choice, bucket: int | None, request: Asked) -> str:
    """One sentence: why this side."""
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


def is_copied(route: CompiledRoute, request: Asked) -> bool:
    """Whether the other side gets a copy of such a request, as far as the sample goes."""
    if request.method in SAFE_METHODS:
        return request.method in MIRRORED and route.sample > 0
    return route.writes is not None


def copies_made(choice: Choice, request: Asked) -> str:
    """One sentence: who gets a copy."""
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
    order = f", in order with other writes {_of_its_key(route.writes.order_by or '', key)}" if key else ""
    return f"the write is journaled first, and delivered to {receiver} after a good answer{order}"


def _of_its_key(order_by: str, key: str) -> str:
    kind, _, name = order_by.partition(":")
    if kind == "cookie" or (kind == "header" and header_may_be_secret(name)):
        return f"of the same {kind} '{name}'"
    return f"of '{key}'"
