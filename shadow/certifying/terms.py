"""What a window of pairs stands and falls with, as one short text, and which part of it changed. Pure.

Pairs count together only while they were made under the same masks, the same comparison, of the same candidate, under
the same definition of their route. Each of the four is hashed on its own, so that a restart can say what it was. A mask
that has expired is in force no more, so the day on which it expires ends a window as a change of the rules does.

Where differences are allowed, what is asked of the certificate is a fifth part: the number of pairs must be fixed
before they are counted, else whoever saw a difference could ask for more of them until it is rare enough. Where none is
allowed nothing can be gained by that (docs/decisions/0054), and the part is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from itertools import zip_longest

from rules.document import Route, Rules
from shadow.spec import CertificateTarget, Comparison, Differences, Mask

_NAMED = 5
"""Masks that a reason names; of more it says how many."""
_PARTS = ("the masks", "the comparison", "the candidate", "the route's rules", "what the certificate asks")
_ASIDE = {
    "name", "candidate", "legacy", "stage", "share", "unit", "group", "fallback", "timeout", "retries", "max_body",
    "trace", "shadow",
}  # fmt: skip
"""Keys of a route that change who answers, when and how patiently, and neither what is asked nor what is compared."""

_SAID = {"owner", "reason"}


def window_digest(comparison: Comparison, candidate: str, rules: str = "", on: date | None = None) -> str:
    """What a window stands and falls with: how answers are compared, which service (URL, release) gives them, and the
    route's own rules (`route_terms`). Keys that are not set are left out, so that a new key of fig ends no window.

    `on` is the day (UTC) on which masks are in force or have expired; without it all are in force.
    """
    plain = comparison.model_dump(mode="json", exclude_defaults=True, exclude={"masks"})
    # Who answers for a mask, and why, changes nothing of what it excuses.
    masks = [
        mask.model_dump(mode="json", exclude_defaults=True, exclude=_SAID)
        for mask in comparison.masks
        if on is None or not mask.is_expired(on)
    ]
    return "-".join((_hash(masks), _hash(plain), _hash(candidate), _hash(rules)))


def route_terms(route: Route, legacy: str) -> str:
    """A route's definition as far as its pairs depend on it; `legacy` says which its legacy service is."""
    plain = route.model_dump(mode="json", exclude=_ASIDE, exclude_defaults=True)
    return json.dumps([plain, legacy], sort_keys=True)


def digest_of(
    rules: Rules, route: Route, comparison: Comparison, on: date, target: CertificateTarget | None = None
) -> str:
    """The digest that the window of the route's pairs has under these rules on that day (UTC); `target` is what the
    rules ask of the route's certificate."""
    candidate = rules.services.get(route.candidate or "")
    legacy = rules.services.get(route.legacy or rules.legacy)
    terms = route_terms(route, legacy.what if legacy is not None else "")
    what = candidate.what if candidate is not None else ""
    digest = window_digest(comparison.for_route(route.name), what, terms, on)
    if target is None or target.differences is Differences.NONE:
        return digest
    return f"{digest}-{_hash(target.model_dump(mode='json'))}"


def day_of(seconds: float) -> date:
    """The day, in UTC, of a moment in seconds since the epoch."""
    return datetime.fromtimestamp(seconds, UTC).date()


def day_after(known: date | None, seconds: float) -> date:
    """The day on which masks are in force, `known` having been it so far.

    A clock that is set back over midnight by less than a day changes nothing: a window that ended stays ended.
    """
    today = day_of(seconds)
    return known if known is not None and timedelta() < known - today <= timedelta(days=1) else today


def ends(masks: Iterable[Mask]) -> tuple[date, ...]:
    """The days on which one of these masks expires, in order."""
    return tuple(sorted({mask.expires for mask in masks if mask.expires is not None}))


def other_days(
    rules: Rules, route: Route, comparison: Comparison, on: date, target: CertificateTarget | None = None
) -> Mapping[str, str]:
    """Digests that the route's window would have on other days under these very rules -> why they are not that of `on`.

    So whoever finds a window with one of them knows that no person changed anything, but that a day went by.
    """
    comparison = comparison.for_route(route.name)
    found: dict[str, str] = {}
    gone: list[str] = []
    for day in reversed([day for day in ends(comparison.masks) if day <= on]):
        gone = [f"'{mask.name}' ({day})" for mask in comparison.masks if mask.expires == day] + gone
        found[digest_of(rules, route, comparison, day - timedelta(days=1), target)] = f"{_masks(gone)} expired"
    back: list[str] = []
    for day in [day for day in ends(comparison.masks) if day > on]:
        back += [f"'{mask.name}' ({day})" for mask in comparison.masks if mask.expires == day]
        again = "is in force again" if len(back) == 1 else "are in force again"
        found[digest_of(rules, route, comparison, day, target)] = f"the clock was set back, and {_masks(back)} {again}"
    return found


def _masks(names: list[str]) -> str:
    shown = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    return f"the mask{'' if len(names) == 1 else 's'} {shown}"


def window_of(sent: str, judged: str) -> str | None:
    """The digest of the window that a pair counts in whose copy was sent under one digest and that is judged under
    another; None where it counts in none.

    What was asked, and of whom, is settled when the copy is sent; what of it matters, when it is judged. Where only the
    masks or the comparison changed in between, it is a pair of the window that it is judged in; where only the
    candidate or the route did, of the one in which it was sent. `sent` is empty where that is not known.
    """
    if not sent or sent.split("-")[2:4] == judged.split("-")[2:4]:
        return judged
    return sent if sent.split("-")[:2] == judged.split("-")[:2] else None


def what_changed(before: str, after: str) -> str:
    """Which part of a window's digest is another one; ``""`` where one of the two is no digest of this form."""
    one, other = before.split("-"), after.split("-")
    if not all(len(_PARTS) - 1 <= len(each) <= len(_PARTS) for each in (one, other)):
        return ""
    changed = [name for name, a, b in zip_longest(_PARTS, one, other) if a != b]
    if not changed:
        return ""
    return " and ".join(filter(None, (", ".join(changed[:-1]), changed[-1]))) + " changed"


def _hash(plain: object) -> str:
    return sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:12]
