"""What a window of pairs stands and falls with, as one short text, and which part of it changed. Pure.

Pairs count together only while they were made under the same masks, the same comparison, of the same candidate, under
the same definition of their route. Each of the four is hashed on its own, so that a restart can say what it was.
"""

from __future__ import annotations

import json
from hashlib import sha256

from rules.document import Route, Rules
from shadow.spec import Comparison

_PARTS = ("the masks", "the comparison", "the candidate", "the route's rules")
_ASIDE = {
    "name", "candidate", "legacy", "stage", "share", "unit", "group", "fallback", "timeout", "retries", "max_body",
    "trace", "shadow",
}  # fmt: skip
"""Keys of a route that change who answers, when and how patiently, and neither what is asked nor what is compared."""

_SAID = ("owner", "reason")


def window_digest(comparison: Comparison, candidate: str, rules: str = "") -> str:
    """What a window stands and falls with: how answers are compared, which service (its URL) gives them, and the
    route's own rules (`route_terms`). Keys that are not set are left out, so that a new key of fig ends no window."""
    plain = comparison.model_dump(mode="json", exclude_defaults=True)
    # Who answers for a mask, and why, changes nothing of what it excuses.
    masks = [{key: value for key, value in mask.items() if key not in _SAID} for mask in plain.pop("masks", [])]
    return "-".join((_hash(masks), _hash(plain), _hash(candidate), _hash(rules)))


def route_terms(route: Route, legacy: str) -> str:
    """A route's definition as far as its pairs depend on it; `legacy` is the URL of its legacy service."""
    plain = route.model_dump(mode="json", exclude=_ASIDE, exclude_defaults=True)
    return json.dumps([plain, legacy], sort_keys=True)


def digest_of(rules: Rules, route: Route, comparison: Comparison) -> str:
    """The digest that the window of the route's pairs has under these rules."""
    candidate = rules.services.get(route.candidate or "")
    legacy = rules.services.get(route.legacy or rules.legacy)
    terms = route_terms(route, legacy.where if legacy is not None else "")
    where = candidate.where if candidate is not None else ""
    return window_digest(comparison.for_route(route.name), where, terms)


def what_changed(before: str, after: str) -> str:
    """Which part of a window's digest is another one; ``""`` where one of the two is no digest of this form."""
    one, other = before.split("-"), after.split("-")
    if len(one) != len(_PARTS) or len(other) != len(_PARTS):
        return ""
    changed = [name for name, a, b in zip(_PARTS, one, other, strict=True) if a != b]
    if not changed:
        return ""
    return " and ".join(filter(None, (", ".join(changed[:-1]), changed[-1]))) + " changed"


def _hash(plain: object) -> str:
    return sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:12]
