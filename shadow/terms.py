"""What a window of pairs stands and falls with, as one short text, and which part of it changed. Pure.

Pairs count together only while they were made under the same masks, the same comparison, of the same candidate, under
the same definition of their route. Each of the four is hashed on its own, so that a restart can say what it was.
"""

from __future__ import annotations

import json
from hashlib import sha256

from rules.document import Route
from shadow.spec import Comparison

_PARTS = ("the masks", "the comparison", "the candidate", "the route's rules")
_ASIDE = {
    "name", "stage", "share", "unit", "group", "fallback", "timeout", "retries", "max_body", "trace", "shadow",
}  # fmt: skip
"""Keys of a route that change who answers, when and how patiently, and neither what is asked nor what is compared."""


def window_digest(comparison: Comparison, candidate: str, rules: str = "") -> str:
    """What a window stands and falls with: how answers are compared, which service (its URL) gives them, and the
    route's own rules (`route_terms`)."""
    plain = comparison.model_dump(mode="json")
    masks = plain.pop("masks")
    return "-".join((_hash(masks), _hash(plain), _hash(candidate), _hash(rules)))


def route_terms(route: Route, legacy: str) -> str:
    """A route's definition as far as its pairs depend on it; `legacy` is the URL of its legacy service."""
    plain = route.model_dump(mode="json", exclude=_ASIDE | {"candidate", "legacy"})
    return json.dumps([plain, legacy], sort_keys=True)


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
