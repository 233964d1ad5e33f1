"""One sample: a read that legacy answered three times and the candidate once, and where these answers disagree. Pure.

Legacy's first answer is held against its second, its third, and the candidate's, under the masks that the route has.
Lists that come in another order are told as such and then matched, here and nowhere else: what differs within their
items would otherwise be lost among items that only stand elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from shadow.comparing.bodies import CodingError, Form, read
from shadow.comparing.compare import compare
from shadow.comparing.differences import Difference, DifferenceKind
from shadow.comparing.headers import url_of
from shadow.comparing.values import Json, UnreadableError, parse, same
from shadow.noise.orders import Order, Reordered, reordered
from shadow.pair import Answer, Pair
from shadow.spec import Comparison, Mask, MaskKind

ORDER = "order"
"""What is said in place of a kind of difference where a list comes in another order."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A read's pair that legacy answered, and what legacy answered before and after the candidate's copy."""

    pair: Pair
    before: Answer
    after: Answer


@dataclass(frozen=True, slots=True)
class Found:
    """The first difference at one path between legacy's first answer and another one."""

    path: str
    kind: str
    """A DifferenceKind, or ORDER."""
    difference: Difference
    """For ORDER, legacy's value names the fields by which items can be told apart."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """Where legacy's first answer disagrees with each of the others: one difference for each path."""

    before: dict[str, Found]
    after: dict[str, Found]
    candidate: dict[str, Found]


def weigh(sample: Sample, comparison: Comparison) -> Weighed:
    """Hold legacy's first answer against the other three. Never raises on any answer."""
    value = _json(sample.pair.legacy)
    answers = (sample.before, sample.after, sample.pair.candidate)
    return Weighed(*(_hold(sample.pair, value, other, comparison) for other in answers))


def _hold(pair: Pair, value: _Body, other: Answer, comparison: Comparison) -> dict[str, Found]:
    first = pair.legacy
    lists = _reordered(value, _json(other), comparison) if first.body != other.body else ()
    found: dict[str, Found] = {one.path: _order(one) for one in lists}
    masks = tuple(_mask(one) for one in lists)
    wider = comparison.model_copy(update={"masks": (*comparison.masks, *masks)}) if masks else comparison
    on = datetime.fromtimestamp(pair.started, UTC).date()
    for difference in compare(first, other, wider, on, partial(url_of, pair)).differences:
        found.setdefault(difference.path, Found(difference.path, str(difference.kind), difference))
    return found


_Body = tuple[Json] | None
"""The JSON value of a body, if it is one."""


def _json(answer: Answer) -> _Body:
    if answer.failure or answer.truncated:
        return None
    try:
        readable = read(answer)
        return (parse(readable.body),) if readable.form is Form.JSON else None
    except (CodingError, UnreadableError):
        return None


def _reordered(a: _Body, b: _Body, comparison: Comparison) -> tuple[Reordered, ...]:
    if a is None or b is None or same(a[0], b[0]):
        return ()
    known = {mask.path for mask in comparison.masks if mask.kind in (MaskKind.ANY_ORDER, MaskKind.SAME_SET)}
    return tuple(one for one in reordered(a[0], b[0]) if one.path not in known)


def _mask(one: Reordered) -> Mask:
    if one.order is Order.SET:
        return Mask(path=one.path, kind=MaskKind.SAME_SET)
    return Mask(path=one.path, kind=MaskKind.ANY_ORDER, by=one.by[0] if one.by else None)


def _order(one: Reordered) -> Found:
    by: list[Json] = [str(one.order), *one.by]
    return Found(one.path, ORDER, Difference(DifferenceKind.NOT_LOCATED, one.path, one.path, by, by))


def as_pair(sample: Sample, other: Answer) -> Pair:
    """Legacy and legacy again as a pair, for whoever redacts pairs."""
    return replace(sample.pair, candidate=other)
