"""``--fail-on moved>1%``: what a change may do at most, written so that it can stand in a CI file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from proxy.cli.rules.diff.phrases import about, count, percent
from rules.changes.difference import Difference
from rules.changes.replay import Traffic

OF_REQUESTS = ("moved", "undecidable")
OF_CLIENTS = ("clients",)
OF_ROUTES = ("added", "removed", "renamed", "changed", "reordered", "unreachable")
_FORM = re.compile(r"\s*([a-z]+)\s*(>=|>)\s*([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*(%?)\s*")
_EXAMPLES = "write it like moved>1%, moved>0, clients>=0.5%, undecidable>5%, added>0 or renamed>0"


class Judged(StrEnum):
    HOLDS = "holds"
    """What must not be is: the check fails."""
    FINE = "fine"
    OPEN = "open"
    """The logs cannot tell."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One ``--fail-on``."""

    text: str
    what: str
    or_equal: bool
    amount: Fraction
    """Requests, clients or routes; a part of all, where `relative`."""
    relative: bool

    @property
    def needs_log(self) -> bool:
        """Whether it cannot be judged from the rules alone. That something moves at all can."""
        if self.what in OF_ROUTES:
            return False
        return not (self.what == "moved" and self.amount == 0 and not self.or_equal)

    def exceeded_by(self, number: Fraction | int, of: int) -> bool:
        """Whether `number`, of so many, is more than is allowed."""
        allowed = self.amount * of if self.relative else self.amount
        return number >= allowed if self.or_equal else number > allowed


def parse_limit(text: str) -> Limit:
    """Raises ValueError saying what is wrong, with right ones."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(f"--fail-on '{text:.60}' says nothing; {_EXAMPLES}")
    what, operator, number, sign = found.groups()
    if what not in (*OF_REQUESTS, *OF_CLIENTS, *OF_ROUTES):
        known = ", ".join((*OF_REQUESTS, *OF_CLIENTS, *OF_ROUTES))
        raise ValueError(f"--fail-on '{text:.60}': known are {known}; {_EXAMPLES}")
    if sign and what in OF_ROUTES:
        raise ValueError(f"--fail-on '{text:.60}': routes are counted, not part of anything; write {what}>{number}")
    amount = Fraction(Decimal(number)) / (100 if sign else 1)
    if sign and amount > 1:
        raise ValueError(f"--fail-on '{text:.60}': more than 100% never holds; {_EXAMPLES}")
    if operator == ">=" and amount == 0:
        raise ValueError(f"--fail-on '{text:.60}' always holds; write {what}>0")
    return Limit(text.strip(), what, operator == ">=", amount, bool(sign))


@dataclass(frozen=True, slots=True)
class Answer:
    limit: Limit
    judged: Judged
    why: str


def judge(limit: Limit, difference: Difference, traffic: Traffic | None) -> Answer:
    """Whether the limit is passed. `traffic` is None without a log; then `limit.needs_log` must be false."""
    if limit.what in OF_ROUTES:
        kind = {"reordered": "moved"}.get(limit.what, limit.what)
        number = len(difference.starved) if kind == "unreachable" else difference.count(kind)
        holds = limit.exceeded_by(number, 1)
        return Answer(limit, Judged.HOLDS if holds else Judged.FINE, f"{number:,} {limit.what}")
    if traffic is None:
        judged = {"moves": Judged.HOLDS, "may move": Judged.OPEN, "stays": Judged.FINE}[difference.effect]
        why = {"moves": "requests go elsewhere", "stays": "no request goes elsewhere"}
        return Answer(limit, judged, why.get(difference.effect, "it is not known whether requests go elsewhere"))
    return _by_log(limit, traffic)


def _by_log(limit: Limit, traffic: Traffic) -> Answer:
    if not traffic.requests:
        return Answer(limit, Judged.OPEN, "the logs hold no request")
    if limit.what == "undecidable":
        holds = limit.exceeded_by(traffic.undecidable, traffic.requests)
        return Answer(
            limit, Judged.HOLDS if holds else Judged.FINE, _of(Fraction(traffic.undecidable), traffic.requests)
        )
    expected = traffic.all.is_expected
    number, of = traffic.all.requests, traffic.requests
    if limit.what == "clients":
        number, of = traffic.all.clients, traffic.clients.count()
    if limit.exceeded_by(number, of):
        return Answer(limit, Judged.HOLDS, _of(number, of, expected))
    if limit.exceeded_by(number + traffic.undecidable, of):
        more = f"{count(traffic.undecidable, 'request')} cannot be told: with them it may be too many"
        why = f"{_of(number, of, expected)}, and {more}"
        return Answer(limit, Judged.OPEN, why)
    return Answer(limit, Judged.FINE, _of(number, of, expected))


def _of(number: Fraction, of: int, is_expected: bool = False) -> str:
    return f"{about(number, is_expected=is_expected)} of {of:,} ({percent(number / of)})"
