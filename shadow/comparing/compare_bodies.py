"""Two bodies side by side, each kind as what it means: JSON, XML, HTML, forms, text by line, and bytes. Pure.

In this order, and each only if the one before does not agree: the bytes, what they mean, and where that differs. What
one side's body cannot be read as is a difference; where neither can be read, they are compared as text.
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar
from urllib.parse import parse_qsl

from shadow.comparing import exact
from shadow.comparing.alignment import align, gaps
from shadow.comparing.bodies import CodingError, Form, Readable, codings, read, text_of
from shadow.comparing.differences import DifferenceKind
from shadow.comparing.findings import Findings
from shadow.comparing.html_body import parse_html
from shadow.comparing.layouts import Layouts
from shadow.comparing.paths import escape
from shadow.comparing.reorder import BudgetSpentError
from shadow.comparing.trees import Element, Keys, compare_trees
from shadow.comparing.values import ABSENT, Absent, Json, UnreadableError, parse
from shadow.comparing.walk import Budget, Walk
from shadow.comparing.xml_body import parse_xml
from shadow.pair import Answer

MOST_FIELDS = 10_000
"""Fields of a form that are read; one with more is compared as text."""

T = TypeVar("T")


def compare_bodies(legacy: Answer, candidate: Answer, findings: Findings, layouts: Layouts) -> None:
    """Find every difference between the bodies of two answers. Never raises."""
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
    forms = (left.form, right.form)
    if Form.JSON in forms:
        _compare_json(left, right, findings, layouts)
    elif left.form == right.form and left.form in (Form.XML, Form.HTML):
        _compare_documents(left, right, findings)
    elif left.form == right.form is Form.FIELDS:
        _compare_fields(left, right, findings)
    elif forms != (Form.BYTES, Form.BYTES):
        _compare_text(left, right, findings)
    else:
        _compare_bytes(left.body, right.body, findings)


def _extent(answer: Answer) -> Json:
    return f"more than {len(answer.body)} bytes" if answer.truncated else f"{len(answer.body)} bytes"


def _compare_json(left: Readable, right: Readable, findings: Findings, layouts: Layouts) -> None:
    a, b = _without_blanks(left.body), _without_blanks(right.body)
    if a == b:
        text = other = a if exact.is_exact(a) else None
    elif layouts.agree(a, b):
        return
    else:
        text, other = exact.sorted_text(a), exact.sorted_text(b)
    if text is not None and text == other and not exact.too_deep(text):
        # Blanks, the order of keys, escapes: most pairs whose bytes differ.
        if a != b:
            layouts.learn(a, b)
        return
    shown = {id(left): text is not None, id(right): other is not None}
    values = _both(left, right, lambda side: parse(side.body, shown[id(side)]), "JSON body", findings)
    if values is not None:
        Walk(findings).compare(*values)


def _without_blanks(body: bytes) -> bytes:
    """The same tokens, without blanks if there are any where JSON that is written with blanks has the first of them."""
    head = body[:256]
    return exact.compact(body) if b'": ' in head or b"\n" in head else body


def _compare_documents(left: Readable, right: Readable, findings: Findings) -> None:
    kind = "XML document" if left.form is Form.XML else "HTML document"
    keys = Keys()
    with _uncollected():
        trees = _both(left, right, lambda side: _document(side, keys), kind, findings)
        if trees is not None:
            compare_trees(*trees, keys, findings)


@contextmanager
def _uncollected() -> Iterator[None]:
    """While trees grow, the garbage collector looks through them again and again: a third of the time, for nothing."""
    collected = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collected:
            gc.enable()


def _document(readable: Readable, keys: Keys) -> Sequence[Element | str]:
    if readable.form is Form.XML:
        return parse_xml(readable.body, readable.declared, keys)
    text = text_of(readable)
    if text is None:
        raise UnreadableError(f"its characters are not in the charset '{readable.charset}'")
    return parse_html(text, keys)


def _both(
    left: Readable, right: Readable, reading: Callable[[Readable], T], kind: str, findings: Findings
) -> tuple[T, T] | None:
    """What both bodies mean; None where one cannot be read, which is then among the findings."""
    problems: list[str | None] = []
    values: list[T] = []
    for readable in (left, right):
        try:
            values.append(reading(readable))
            problems.append(None)
        except UnreadableError as exc:
            problems.append(str(exc))
    if not any(problems):
        return values[0], values[1]
    if all(problems):
        _compare_text(left, right, findings)
    else:
        a, b = (problem or f"a readable {kind}" for problem in problems)
        findings.add(DifferenceKind.UNPARSABLE, "body", "body", a, b)
    return None


def _compare_fields(left: Readable, right: Readable, findings: Findings) -> None:
    """Forms by name: which fields there are, and the values of each in their order (URL Standard, section 5.1)."""
    one, other = _fields(left), _fields(right)
    if one is None or other is None:
        _compare_text(left, right, findings)
        return
    for name in one | other:
        mine, its = one.get(name, []), other.get(name, [])
        if mine == its:
            continue
        several = len(mine) > 1 or len(its) > 1
        for index in range(max(len(mine), len(its))):
            a: str | Absent = mine[index] if index < len(mine) else ABSENT
            b: str | Absent = its[index] if index < len(its) else ABSENT
            if a != b:
                kind = DifferenceKind.VALUE_CHANGED
                if isinstance(a, Absent) or isinstance(b, Absent):
                    kind = DifferenceKind.ADDED if isinstance(a, Absent) else DifferenceKind.MISSING
                place = f"form:{escape(name)}"
                findings.add(kind, f"{place}/{index}" if several else place, f"{place}/*" if several else place, a, b)


def _fields(readable: Readable) -> dict[str, list[str]] | None:
    text = text_of(readable)
    if text is None:
        return None
    found: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="surrogateescape", max_num_fields=MOST_FIELDS)
    except ValueError:
        return None
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def _compare_text(left: Readable, right: Readable, findings: Findings) -> None:
    """By line, aligned as the items of lists are (shadow.comparing.walk)."""
    one, other = text_of(left), text_of(right)
    if one is None or other is None or one == other:  # equal characters in two charsets are still different bytes
        _compare_bytes(left.body, right.body, findings)
        return
    a, b = one.split("\n"), other.split("\n")
    try:
        anchors = align(a, b, Budget().spend)
    except BudgetSpentError:
        if len(a) != len(b):
            findings.add(DifferenceKind.NOT_LOCATED, "body", "body", f"{len(a)} lines", f"{len(b)} lines")
            return
        anchors = [(index, index) for index, line in enumerate(a) if line == b[index]]
    for went, came in gaps(anchors, len(a), len(b)):
        for index, place in zip(went, came, strict=False):
            findings.add(DifferenceKind.VALUE_CHANGED, f"line:{index + 1}", "line:*", a[index], b[place])
        for index in went[len(came) :]:
            findings.add(DifferenceKind.ITEM_MISSING, f"line:{index + 1}", "line:*", a[index], ABSENT)
        for index in came[len(went) :]:
            findings.add(DifferenceKind.ITEM_ADDED, f"line:{index + 1}", "line:*", ABSENT, b[index])


def _compare_bytes(a: bytes, b: bytes, findings: Findings) -> None:
    findings.add(DifferenceKind.BODY, "body", "body", _fingerprint(a), _fingerprint(b))


def _fingerprint(body: bytes) -> Json:
    return f"{len(body)} bytes, sha256 {hashlib.sha256(body).hexdigest()}"
