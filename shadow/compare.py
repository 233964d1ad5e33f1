"""Do two answers agree? Bytes first, then what they mean, then where they differ. Pure.

In order, and each only if the one before agrees: both answered, the status, then headers and body together: answers of
different status are different outcomes, and their bodies have nothing to say to each other.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache

from shadow import exact
from shadow.bodies import CodingError, Form, Readable, charset, codings, form_of, media_type, read, text_of
from shadow.differences import DifferenceKind, Outcome
from shadow.findings import Findings
from shadow.masks import Masks
from shadow.pair import Answer, Pair
from shadow.spec import Comparison
from shadow.values import ABSENT, Absent, Json, UnreadableError, parse, too_deep
from shadow.walk import Walk

EQUAL = Outcome()
"""The outcome of answers that agree without any mask's help."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A pair with what its comparison found, ready for the store."""

    pair: Pair
    outcome: Outcome
    comparison: Comparison


def judge(pair: Pair, comparison: Comparison) -> Judged:
    """Compare both sides of a pair, under the masks in force on the day that it was made."""
    on = datetime.fromtimestamp(pair.started, UTC).date()
    return Judged(pair, compare(pair.legacy, pair.candidate, comparison, on), comparison)


def compare(legacy: Answer, candidate: Answer, comparison: Comparison, on: date | None = None) -> Outcome:
    """Everything that differs between two answers and that no mask excuses.

    `on` is the day (UTC) that the masks' `expires` are held against; without it no mask has expired. Never raises on
    any answer; time is linear in the bodies plus a fixed budget.
    """
    return _comparer(comparison, on).compare(legacy, candidate)


@lru_cache(maxsize=256)
def _comparer(comparison: Comparison, on: date | None) -> Comparer:
    return Comparer(comparison, on)


class Comparer:
    """A comparison with its masks compiled."""

    def __init__(self, comparison: Comparison, on: date | None = None) -> None:
        self._status = comparison.status
        self._headers = comparison.headers
        self._masks = Masks(comparison.masks, on)

    def compare(self, legacy: Answer, candidate: Answer) -> Outcome:
        """As the function `compare`."""
        # Most pairs are equal to the byte; they cost no more than this.
        if (
            legacy.body == candidate.body
            and legacy.status == candidate.status
            and legacy.headers == candidate.headers
            and not (legacy.failure or candidate.failure or legacy.truncated or candidate.truncated)
        ):
            return EQUAL
        findings = Findings(self._masks)
        self._compare(legacy, candidate, findings)
        return findings.outcome() if findings.count or findings.excused else EQUAL

    def _compare(self, legacy: Answer, candidate: Answer, findings: Findings) -> None:
        if legacy.failure or candidate.failure:
            findings.add(DifferenceKind.NO_ANSWER, "status", "status", _result(legacy), _result(candidate))
            return
        if self._status and legacy.status != candidate.status:
            findings.add(DifferenceKind.STATUS, "status", "status", legacy.status, candidate.status)
            if findings.count:
                return
        if legacy.headers != candidate.headers:
            self._compare_headers(legacy, candidate, findings)
        _compare_bodies(legacy, candidate, findings)


    def _compare_headers(self, legacy: Answer, candidate: Answer, findings: Findings) -> None:
        for name in self._headers:
            one, other = legacy.values(name), candidate.values(name)
            if one != other and (left := _header(name, one)) != (right := _header(name, other)):
                findings.add(DifferenceKind.HEADER, f"header:{name}", f"header:{name}", left, right)


def _result(answer: Answer) -> Json:
    return f"no answer: {answer.failure}" if answer.failure else answer.status


def _header(name: str, values: tuple[str, ...]) -> str | Absent:
    if not values:
        return ABSENT
    return _content_type(values[0]) if name == "content-type" else ", ".join(value.strip() for value in values)


def _content_type(value: str) -> str:
    """Without what makes no difference: case, blanks, and a charset on JSON, which is UTF-8 (RFC 8259 section 11)."""
    kind = media_type(value)
    if form_of(kind, b"") is Form.JSON or "charset" not in value.lower():
        return kind
    return f"{kind}; charset={charset(value)}"


def _compare_bodies(legacy: Answer, candidate: Answer, findings: Findings) -> None:
    if legacy.truncated or candidate.truncated:
        findings.add(DifferenceKind.NOT_COMPARED, "body", "body", _extent(legacy), _extent(candidate))
        return
    if legacy.body == candidate.body and (legacy.headers == candidate.headers or codings(legacy) == codings(candidate)):
        return
    try:
        left, right = read(legacy), read(candidate)
    except CodingError:
        _compare_bytes(legacy.body, candidate.body, findings)
        return
    if left.body == right.body:
        return
    if Form.JSON in (left.form, right.form):
        _compare_json(left, right, findings)
    elif Form.TEXT in (left.form, right.form):
        _compare_text(left, right, findings)
    else:
        _compare_bytes(left.body, right.body, findings)


def _extent(answer: Answer) -> Json:
    return f"more than {len(answer.body)} bytes" if answer.truncated else f"{len(answer.body)} bytes"


def _compare_json(left: Readable, right: Readable, findings: Findings) -> None:
    one, other = exact.decode(left.body), exact.decode(right.body)
    if one is not None and other is not None and one[1] == other[1] and not too_deep(*one):
        return  # key order, blanks, escapes: most pairs whose bytes differ
    problems: list[str | None] = []
    values: list[Json] = []
    for readable, found in ((left, one), (right, other)):
        try:
            values.append(parse(readable.body, found))
            problems.append(None)
        except UnreadableError as exc:
            problems.append(str(exc))
    if not any(problems):
        Walk(findings).compare(values[0], values[1])
    elif all(problems):
        _compare_text(left, right, findings)
    else:
        a, b = (problem or "a readable JSON body" for problem in problems)
        findings.add(DifferenceKind.UNPARSABLE, "body", "body", a, b)


def _compare_text(left: Readable, right: Readable, findings: Findings) -> None:
    """By line, with the rule that shadow.walk has for lists."""
    one, other = text_of(left), text_of(right)
    if one is None or other is None or one == other:  # equal characters in two charsets are still different bytes
        _compare_bytes(left.body, right.body, findings)
        return
    a, b = one.split("\n"), other.split("\n")
    shorter = min(len(a), len(b))
    head = next((index for index in range(shorter) if a[index] != b[index]), shorter)
    tail = next((index for index in range(shorter - head) if a[-1 - index] != b[-1 - index]), shorter - head)
    a_end, b_end = len(a) - tail, len(b) - tail
    for index in range(head, max(a_end, b_end)):
        line = f"line:{index + 1}"
        if index >= b_end:
            findings.add(DifferenceKind.ITEM_MISSING, line, "line:*", a[index], ABSENT)
        elif index >= a_end:
            findings.add(DifferenceKind.ITEM_ADDED, line, "line:*", ABSENT, b[index])
        elif a[index] != b[index]:
            findings.add(DifferenceKind.VALUE_CHANGED, line, "line:*", a[index], b[index])


def _compare_bytes(a: bytes, b: bytes, findings: Findings) -> None:
    findings.add(DifferenceKind.BODY, "body", "body", _fingerprint(a), _fingerprint(b))


def _fingerprint(body: bytes) -> Json:
    return f"{len(body)} bytes, sha256 {hashlib.sha256(body).hexdigest()}"
