"""The JSON Schema of test files, for editors. Models only to be described: expectations.py reads the files."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from rules.expecting.expectations import AnswerBlock, CaseBlock, ExpectBlock, Positions, RequestBlock
from rules.match import Conditions
from rules.names import Block, FieldName

Cell = str | int | float | bool | None


class _Expect(ExpectBlock):
    # null is written out as {absent: true} before a value of ExpectBlock is made, so there it is no form.
    request_headers: dict[FieldName, Conditions | None] = {}  # type: ignore[assignment]
    """null: is not sent."""
    response_headers: dict[FieldName, Conditions | None] = {}  # type: ignore[assignment]
    """null: the client does not get it."""


class _Case(CaseBlock):
    expect: _Expect


class _Shared(RequestBlock):
    url: str | None = None  # type: ignore[assignment]  # a row may say it


class _Table(Block):
    name: Annotated[str, Field(min_length=1, max_length=200)]
    at: Positions = {}
    request: _Shared = _Shared.model_construct()
    """What all rows share."""
    answer: AnswerBlock = AnswerBlock()
    expect: _Expect = _Expect.model_construct()
    """What all rows share."""
    table: Annotated[tuple[tuple[Cell, ...], ...], Field(min_length=2)]
    """A row of keys, then a row for each request."""


class _File(Block):
    rules: Annotated[str | None, Field(min_length=1)] = None
    at: Positions = {}
    tests: Annotated[tuple[_Case | _Table, ...], Field(min_length=1)]


def schema() -> dict[str, Any]:
    """The JSON Schema of a whole test file."""
    found = _File.model_json_schema()
    found["title"] = "tests of a fig rules file"
    return found
