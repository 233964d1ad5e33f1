"""Why a request goes where it goes, and what it comes to: the winner, what kept every earlier route from it, the unit
and the share at which it changes sides, what each side is sent, and who gets a copy. Pure.

The decision is the table's own; rules/explaining/text.py writes it for people.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Literal

from rules.action import Retries
from rules.asked import Asked
from rules.buckets import BUCKETS
from rules.decision import Choice
from rules.explaining.misses import Misses, misses_of
from rules.explaining.outcome import Lines, OwnOutcome, Sent, own_outcome, sent
from rules.explaining.reasons import because, copies_made, is_copied, normalisations
from rules.hidden import NOT_SHOWN, header_may_be_secret, may_be_secret
from rules.quantities import duration_text, share_text, size_text
from rules.stages import Side
from rules.table import CompiledRoute, Table

FRESH_UNIT = "(fresh)"
"""Stands for the unit that fig would make up."""


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
    shown_unit: str
    """The unit that decides, as far as a screen may show it: a cookie's value only where the asker named the unit."""
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
            "unit": self.shown_unit or None,
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
    copied_to = decision.copy_to if not is_open and is_copied(route, request) else None
    return Explanation(
        request=request,
        generation=table.generation,
        misses=misses_of(islice(table.routes, earlier), request, tell == "all"),
        choice=choice,
        because=because(choice, bucket, request),
        bucket=bucket,
        own=own,
        answering=tuple(sent(table, route, side, request) for side in sides),
        copy=sent(table, route, copied_to, request) if copied_to is not None else None,
        copies=copies_made(choice, request),
        shown_unit=_shown(choice, unit),
        unread_unit=unit if unit is not None and choice.unit != unit else "",
    )


def _shown(choice: Choice, asked: str | None) -> str:
    wanted = choice.decision.route.spec.unit
    if choice.issue or not choice.unit or wanted is None:
        return ""
    is_hidden = wanted.cookie is not None or (wanted.header is not None and may_be_secret(wanted.header))
    return NOT_SHOWN if is_hidden and choice.unit != asked else choice.unit


def without_secrets(lines: Lines) -> Lines:
    """The lines as they may be shown."""
    return tuple((name, NOT_SHOWN if header_may_be_secret(name) else value) for name, value in lines)


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
        "urls": list(found.urls),
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
