"""Why a request goes where it goes: the winner, what kept every earlier route from it, the unit, and the copies. Pure.

The winner is found by asking each route's predicates one after the other, as a person would; the table finds it by its
index. tests/rules/test_explain.py holds that the two always agree. The decision itself is the table's own.
"""

from __future__ import annotations

from dataclasses import dataclass

from rules.asked import Asked as Asked
from rules.buckets import BUCKETS
from rules.checks import SAFE_METHODS
from rules.decision import Choice, Request
from rules.predicates import predicates
from rules.quantities import share_text
from rules.stages import MILLION
from rules.table import NO_ROUTE, CompiledRoute, Table


@dataclass(frozen=True, slots=True)
class Miss:
    """An earlier route, and the first of its predicates that failed."""

    route: str
    predicate: str
    why: str


@dataclass(frozen=True, slots=True)
class Explanation:
    request: Asked
    misses: tuple[Miss, ...]
    choice: Choice
    because: str
    """One sentence: why this side."""
    bucket: int | None
    """0 to 999,999; None without a unit."""
    copies: str
    """One sentence: who gets a copy."""

    @property
    def is_open(self) -> bool:
        """Whether the side is not known yet, because the bucket of a unit that fig is to issue will decide it."""
        return self.choice.issue != "" and self.choice.decision.reason == "share"

    def as_json(self) -> dict[str, object]:
        """What ``fig rules explain --json`` prints."""
        decision, route = self.choice.decision, self.choice.decision.route
        unit = self.choice.unit
        flips_at = None if self.bucket is None else share_text(self.bucket + 1)
        return {
            "method": self.request.method,
            "host": self.request.host,
            "path": self.request.path,
            "query": self.request.query,
            "misses": [{"route": miss.route, "predicate": miss.predicate, "why": miss.why} for miss in self.misses],
            "route": route.name,
            "captures": route.captures(self.request),
            "stage": decision.stage.value,
            "share": share_text(route.share),
            "unit": None if self.choice.issue else unit or None,
            "unit_issued": bool(self.choice.issue),
            "salt": route.spec.salt,
            "bucket": self.bucket,
            "candidate_from_share": flips_at,
            "side": None if self.is_open else decision.side.value,
            "service": None if self.is_open else decision.service,
            "reason": decision.reason,
            "because": self.because,
            "copy_to": None if self.is_open or decision.copy_to is None else decision.copy_to.value,
            "copies": self.copies,
        }


def explain(table: Table, request: Asked) -> Explanation:
    """Why `request` (path already normalised) goes where it goes. A unit that fig would issue shows as ``(fresh)``."""
    misses = []
    for route in table.routes:
        miss = _miss(route, request)
        if miss is None:
            break
        misses.append(miss)
    choice = table.decide(request, lambda: "(fresh)")
    bucket = choice.unit_hash % BUCKETS if choice.unit and not choice.issue else None
    return Explanation(request, tuple(misses), choice, _because(choice, bucket), bucket, _copies(choice, request))


def _miss(route: CompiledRoute, request: Request) -> Miss | None:
    for predicate in predicates(route.spec.match):
        if not predicate.holds(request):
            return Miss(route.name, predicate.name, predicate.why_not(request))
    return None


def _because(choice: Choice, bucket: int | None) -> str:
    decision = choice.decision
    route, side = decision.route, decision.side.value
    share = share_text(route.share)
    if decision.reason == "no route":
        return "no route takes it, so legacy answers"
    if decision.reason == "forced":
        return f"the request forces {side} with a valid token"
    if decision.reason == "stage":
        return f"in stage {decision.stage.value} {side} always answers"
    if decision.reason == "no unit":
        return "it has no unit, so legacy answers and nothing is counted"
    if bucket is None:
        return f"fig issues a unit, and {share} of units go to the candidate"
    flips = f"the candidate answers from a share of {share_text(bucket + 1)} on"
    return f"bucket {bucket} of {BUCKETS:,} against a share of {share}: {flips}"


def _copies(choice: Choice, request: Asked) -> str:
    decision = choice.decision
    route, other = decision.route, decision.copy_to
    if other is None:
        return "nobody gets a copy"
    receiver = "the other side" if choice.issue and decision.reason == "share" else other.value
    if request.method in SAFE_METHODS:
        if not route.sample:
            return "nobody gets a copy: the sample is 0%"
        part = "" if route.sample == MILLION else f" (a sample of {share_text(route.sample)})"
        return f"{receiver} gets a copy after the client has its answer{part}, and the pair is compared"
    if route.writes is None:
        return "nobody gets a copy: it is a write, and the route has no 'writes'"
    key = route.order_key(request)
    order = f", in order with other writes of '{key}'" if key else ""
    return f"the write is journaled first, and delivered to {receiver} after a good answer{order}"


def render(explanation: Explanation) -> list[str]:
    """Lines for a terminal."""
    choice, request = explanation.choice, explanation.request
    decision = choice.decision
    route = decision.route
    width = max((len(miss.route) for miss in explanation.misses), default=0)
    lines = [f"{request.method} {request.path}  (host {request.host})"]
    lines += [f"  not {miss.route:<{width}}  {miss.predicate}: {miss.why}" for miss in explanation.misses]
    taken = (
        "no route; the file's legacy" if route.name == NO_ROUTE else f"route {route.name}, stage {decision.stage.value}"
    )
    lines.append(f"  taken by {taken}")
    captures = route.captures(request)
    if captures:
        lines.append("  captures " + ", ".join(f"{name}={value}" for name, value in captures.items()))
    if choice.issue:
        lines.append("  unit     none yet; fig issues one with the answer")
    elif choice.unit:
        lines.append(f"  unit     {choice.unit}, bucket {explanation.bucket} under salt '{route.spec.salt}'")
    answers = "either side" if explanation.is_open else f"{decision.side.value}, service {decision.service}"
    lines.append(f"  answers  {answers}: {explanation.because}")
    lines.append(f"  copies   {explanation.copies}")
    return lines
