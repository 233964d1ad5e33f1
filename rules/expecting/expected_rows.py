"""The table form of rules' unit tests: each row as the long form that it stands for, every cell keeping its place.

Works on located nodes, so that a problem in a cell is told where the cell stands. Pure.
"""

from __future__ import annotations

from typing import NamedTuple

from rules.compiled import NO_ROUTE
from rules.problems import Problem, suggestion
from rules.reading.nodes import Mapping, Node, Scalar, Sequence

EXPECT = "expect"
REQUEST = "request"
_REQUEST_KEYS = ("url", "method", "headers", "cookies", "client", "unit")
_EXPECT_KEYS = (
    *("refused", "route", "stage", "side", "service", "reason", "path", "query", "host", "request_headers"),
    *("response_headers", "status", "location", "body", "captures", "copies", "issued", "timeout"),
)
_MAY_BE_ABSENT = frozenset(("route", "query", "location", "body"))
_HEADERS = frozenset(("request_headers", "response_headers"))
"""In these null means that there is none; anywhere else in a row, that nothing is given or expected."""
_NAMES_OF_FIELDS = _HEADERS | {"headers"}
"""What is named in these is the same in upper case."""


def rows_of(test: Mapping) -> tuple[list[Mapping], list[Problem]]:
    """The tests that `test` stands for: itself, or one for each row of its table."""
    table = test.get("table")
    if table is None:
        return [test], []
    if not isinstance(table, Sequence) or len(table.items) < 2:
        return [], [Problem(table.place, "'table': needs a row of keys, and a row for each request", "wrong-type")]
    head = table.items[0]
    width = len(head.items) if isinstance(head, Sequence) else 0
    columns, problems = _columns(head)
    found = []
    for number, row in enumerate(table.items[1:], 1):
        if not isinstance(row, Sequence) or len(row.items) != width:
            message = f"row {number} of 'table' needs a cell for each of the {width} keys above"
            problems.append(Problem(row.place, message, "wrong-type"))
        elif not problems:
            found.append(_row(test.without("table"), number, columns, row))
    return found, problems


class _Column(NamedTuple):
    block: str
    """``at``, ``request`` or ``expect``."""
    key: Scalar
    inner: Scalar | None
    """The key within `key`, for what was written with a dot."""

    @property
    def may_be_absent(self) -> bool:
        return self.key.value in (_MAY_BE_ABSENT if self.inner is None else _HEADERS)


def _columns(row: Node) -> tuple[list[_Column], list[Problem]]:
    columns: list[_Column] = []
    problems = []
    known: dict[str, int] = {}
    for number, cell in enumerate(row.items if isinstance(row, Sequence) else (), 1):
        text = str(cell.value) if isinstance(cell, Scalar) and cell.value is not None else ""
        key, _, inner = text.partition(".")
        first = known.setdefault(f"{key}.{inner.lower()}" if key in _NAMES_OF_FIELDS else text, number)
        if first != number and text:
            message = f"column {number} is '{text:.80}' again (column {first}); remove one of them"
            problems.append(Problem(cell.place, message, "duplicate-key"))
            continue
        if isinstance(cell, Scalar) and key == "at" and inner:
            columns.append(_Column("at", cell._replace(value=inner), None))
        elif isinstance(cell, Scalar) and key in (*_REQUEST_KEYS, *_EXPECT_KEYS):
            block = REQUEST if key in _REQUEST_KEYS else EXPECT
            columns.append(_Column(block, cell._replace(value=key), cell._replace(value=inner) if inner else None))
        else:
            near = suggestion(key, (*_REQUEST_KEYS, *_EXPECT_KEYS)) if key != "at" else "; name a route after 'at.'"
            message = f"'{text:.80}' is no key of 'request' or 'expect', and no at.ROUTE{near}"
            problems.append(Problem(cell.place, message, "unknown-key"))
    if not columns and not problems:
        problems.append(
            Problem(row.place, "the first row of 'table' names keys, like [url, route, side]", "wrong-type")
        )
    return columns, problems


def _row(test: Mapping, number: int, columns: list[_Column], row: Sequence) -> Mapping:
    """The long form of one row; its cells go before what all rows share."""
    name = test.get("name")
    for column, cell in zip(columns, row.items, strict=True):
        if isinstance(cell, Scalar) and cell.value is None and not column.may_be_absent:
            continue
        block, key, inner = column
        inside = _mapping(test.get(block), row)
        value = cell if inner is None else _with(_mapping(inside.get(str(key.value)), row), inner, cell)
        test = _with(test, key._replace(value=block), _with(inside, key, value))
    if isinstance(name, Scalar) and isinstance(name.value, str):
        test = _with(test, name._replace(value="name"), name._replace(value=f"{name.value}, row {number}"))
    return test._replace(line=row.line, column=row.column)


def _mapping(node: Node | None, at: Node) -> Mapping:
    return node if isinstance(node, Mapping) else Mapping((), at.file, at.line, at.column)


def _with(mapping: Mapping, key: Scalar, value: Node) -> Mapping:
    return mapping._replace(entries=(*mapping.without(str(key.value)).entries, (key, value)))


def with_nothing_said(test: Mapping) -> Mapping:
    """The test with what null means in its `expect` written out: no route, and a value that is absent."""
    expect = test.get(EXPECT)
    key = test.key(EXPECT)
    if not isinstance(expect, Mapping) or key is None:
        return test
    entries = tuple((name, _said(str(name.value), value)) for name, value in expect.entries)
    return _with(test, key, expect._replace(entries=entries))


def _said(key: str, value: Node) -> Node:
    if key in _HEADERS and isinstance(value, Mapping):
        return value._replace(entries=tuple((name, _or_absent(each)) for name, each in value.entries))
    if key == "route" and isinstance(value, Scalar) and value.value is None:
        return value._replace(value=NO_ROUTE)
    return _or_absent(value) if key in _MAY_BE_ABSENT else value


def _or_absent(value: Node) -> Node:
    if not isinstance(value, Scalar) or value.value is not None:
        return value
    absent = (value._replace(value="absent"), value._replace(value=True))
    return Mapping((absent,), value.file, value.line, value.column)
