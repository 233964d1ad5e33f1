"""What a comparison's masks allow and probably do not mean, and which of them are over. Pure: today is an argument."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from shadow.spec import Comparison, Mask, MaskKind

SOON = timedelta(days=14)
"""Before the end of a mask that somebody should hear of it."""


@dataclass(frozen=True, slots=True)
class MaskRemark:
    """What is to be said of one mask."""

    comparison: str
    number: int
    """Of the mask, in the order of the file."""
    code: str
    message: str
    """What is so, and what to do."""
    key: str = ""
    """The key of the mask that it is about; empty for the mask itself."""


def review_masks(
    comparisons: Mapping[str, Comparison], users: Mapping[str, Collection[str]], today: date
) -> Iterator[MaskRemark]:
    """`users`: the routes that name each comparison. `today` is a day in UTC."""
    for name, comparison in comparisons.items():
        for number, mask in enumerate(comparison.masks):
            for code, message, key in _of_mask(mask, users.get(name, ()), today):
                yield MaskRemark(name, number, code, f"mask '{mask.name}' {message}", key)


def _of_mask(mask: Mask, routes: Collection[str], today: date) -> Iterator[tuple[str, str, str]]:
    missing = [key for key in ("owner", "reason") if not getattr(mask, key)]
    if missing:
        message = f"has no {' and no '.join(missing)}; say who answers for it and why the difference is fine"
        yield "mask-unowned", message, ""
    if mask.expires is not None and mask.is_expired(today):
        message = f"has expired on {mask.expires} and excuses nothing any more; remove it, or let somebody renew it"
        yield "mask-expired", message, "expires"
    elif mask.expires is not None and mask.is_expired(today + SOON):
        days = (mask.expires - today).days
        message = f"expires in {days} day{'s' if days != 1 else ''}, and its differences then count; renew or remove it"
        yield "mask-expires-soon", message, "expires"
    if mask.kind is MaskKind.IGNORE and is_wide(mask.path):
        message = "hides everything at so many places that a bug among them stays unseen; name the fields one by one"
        yield "mask-too-wide", message, "path"
    for route in mask.routes:
        if route not in routes:
            message = f"names the route '{route}', which does not use this comparison, so it holds nowhere there"
            yield "mask-idle-route", message, "routes"


def is_wide(path: str) -> bool:
    """Whether a pattern takes in the whole body, everything below a place, or all fields of one depth."""
    return path in ("", "body", "status", "line:*") or "**" in path or path.endswith("/*") or path.startswith("/*")
