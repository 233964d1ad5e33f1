"""Conditions of values: how a header, query parameter or cookie is read from a request, and what its value must be.

Absent (None) and empty (``""``) are two things. Of an absent value nothing holds but `absent` and `not`: ``not`` is
plain negation. Values are the bytes of the request as Latin-1 text; only names and values of the query are decoded.
Values may be secrets: no sentence shows a request's, nor what the rules ask of one whose name sounds like a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from urllib.parse import unquote_plus

from rules.decision import Request
from rules.hidden import NOT_SHOWN, may_be_secret
from rules.match import Condition
from rules.matching.cookies import cookie_in
from rules.matching.regex import whole_matcher

Reader = Callable[[Request], str | None]
"""One value of a request; None where it is absent."""
_Check = tuple[Callable[[str], bool], str]
"""What must hold of a value that is there, and the end of the sentence where it does not."""

_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,19}").fullmatch


class ValueTest:
    """One `Condition` of one value."""

    __slots__ = ("_absence_holds", "_checks", "wanted")

    def __init__(self, wanted: Condition) -> None:
        self.wanted = wanted
        self._checks = tuple(check for check, _ in _checks(wanted))
        only_not = wanted.not_ if len(self._checks) == 1 else None
        self._absence_holds = wanted.wants_absence or (only_not is not None and not ValueTest(only_not).holds(None))

    def holds(self, value: str | None) -> bool:
        if value is None:
            return self._absence_holds
        for check in self._checks:  # noqa: SIM110 (hot: a generator costs as much again)
            if not check(value):
                return False
        return True

    def failed(self, value: str | None, hidden: bool = False) -> str | None:
        """What is wrong with it, as the end of a sentence, which does not say what is asked of a `hidden` value.

        None when nothing is.
        """
        if value is None:
            return None if self._absence_holds else "is absent"
        return next((words for check, words in _checks(self.wanted, hidden) if not check(value)), None)


def _checks(wanted: Condition, hidden: bool = False) -> Iterator[_Check]:
    """Made again for every sentence, so that a table of many conditions keeps no sentences."""

    def shown(text: str) -> str:
        return f"what is asked {NOT_SHOWN}" if hidden else f"'{text}'"

    if wanted.wants_absence:
        yield (lambda value: False), "is present, and must be absent"
    if wanted.present:
        yield (lambda value: True), ""
    if (exact := wanted.exact) is not None:
        yield exact.__eq__, f"is not {shown(exact)}"
    if (prefix := wanted.prefix) is not None:
        yield (lambda value: value.startswith(prefix)), f"does not begin with {shown(prefix)}"
    if (suffix := wanted.suffix) is not None:
        yield (lambda value: value.endswith(suffix)), f"does not end in {shown(suffix)}"
    if (part := wanted.contains) is not None:
        yield (lambda value: part in value), f"does not contain {shown(part)}"
    if wanted.regex is not None:
        yield whole_matcher(wanted.regex), f"does not match the regex {shown(wanted.regex)} as a whole"
    if wanted.range is not None:
        start, below = wanted.range.from_, wanted.range.below
        yield (lambda value: _WHOLE_NUMBER(value) is not None), "is not a whole number"
        if start is not None:
            yield (lambda value: int(value) >= start), f"is less than {start}"
        if below is not None:
            yield (lambda value: int(value) < below), f"is not below {below}"
    if wanted.not_ is not None:
        inner = ValueTest(wanted.not_)
        yield (lambda value: not inner.holds(value)), "is what it must not be"


class ConditionPredicate:
    """One header's, query parameter's or cookie's conditions."""

    __slots__ = ("_read", "_test", "key", "kind")

    def __init__(self, kind: str, key: str, wanted: Condition) -> None:
        self.kind = kind
        """``header``, ``query`` or ``cookie``."""
        self.key = key
        self._test = ValueTest(wanted)
        self._read = reader(kind, key)

    @property
    def name(self) -> str:
        return f"{self.kind} {self.key}"

    @property
    def wanted(self) -> Condition:
        return self._test.wanted

    def holds(self, request: Request) -> bool:
        return self._test.holds(self._read(request))

    def why_not(self, request: Request) -> str:
        return f"the {self.kind} '{self.key}' {self._test.failed(self._read(request), may_be_secret(self.key))}"


@lru_cache(maxsize=4096)
def reader(kind: str, key: str) -> Reader:
    """Reads one ``header``, ``query`` parameter or ``cookie``; one and the same function for one and the same thing."""
    return _READERS[kind](key)


def _header_reader(name: str) -> Reader:
    def read(request: Request) -> str | None:
        values = request.values(name)  # several lines count as one value, joined by "," (RFC 9110 section 5.3)
        return (values[0] if len(values) == 1 else ",".join(values)) if values else None

    return read


def _cookie_reader(name: str) -> Reader:
    def read(request: Request) -> str | None:
        lines = request.values("cookie")
        return cookie_in(lines[0] if len(lines) == 1 else ";".join(lines), name) if lines else None

    return read


def _query_reader(name: str) -> Reader:
    def read(request: Request) -> str | None:
        query = request.query
        if not query:
            return None
        for pair in query.split("&"):
            key, equals, value = pair.partition("=")
            if (unquote_plus(key) if "%" in key or "+" in key else key) == name and (key or equals):
                return unquote_plus(value)
        return None

    return read


_READERS: dict[str, Callable[[str], Reader]] = {
    "header": _header_reader,
    "cookie": _cookie_reader,
    "query": _query_reader,
}
