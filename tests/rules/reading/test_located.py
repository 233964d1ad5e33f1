from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator

from rules.reading.located import validate
from rules.reading.nodes import parse


class Block(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Circle(Block):
    kind: Literal["circle"]
    radius: int = Field(ge=1)


class Square(Block):
    kind: Literal["square"]
    side: int
    corners: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _is_small(self) -> Square:
        if self.side > 9:
            raise ValueError("too large; 9 at most")
        return self


class Drawing(Block):
    first: Annotated[Circle | Square, Field(discriminator="kind")]
    others: tuple[Circle | Square, ...] = ()
    named: dict[str, Square] = {}
    title: str | None = None


def problems(text: str) -> list[str]:
    root, found = parse(text, "f")
    assert root is not None
    assert not found
    value, located = validate(Drawing, root, also=("author",))
    assert (value is None) == bool(located)
    return [str(problem).removeprefix("f:") for problem in located]


def test_a_node_that_fits_is_a_value() -> None:
    assert problems("first: {kind: circle, radius: 1}\nothers: [{kind: square, side: 2}]\ntitle: x") == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "first: {kind: circel, radius: 1}",
            "1:15: 'kind': must be 'circle', 'square', not 'circel'; did you mean 'circle'?",
        ),
        ("first: {radius: 1}", "1:8: the key 'kind' is missing"),
        ("first: {kind: circle}", "1:8: the key 'radius' is missing in 'first'"),
        ("first: {kind: circle, radus: 1}", "1:23: unknown key 'radus'; did you mean 'radius'?"),
        ("first: {kind: circle, radius: 0}", "1:31: 'radius': must be greater than or equal to 1, not 0"),
        ("first: {kind: circle, radius: '1'}", "1:31: 'radius': must be a whole number, not '1'"),
        ("first: {kind: circle, radius: true}", "1:31: 'radius': must be a whole number, not true"),
        ("first: {kind: circle, radius: [1]}", "1:31: 'radius': must be a whole number, not a list"),
        ("first: {kind: square, side: 10}", "1:8: 'first': too large; 9 at most"),
        ("first: {kind: square, side: 1, corners: a}", "1:41: 'corners': must be a list, not 'a'"),
        ("first: {kind: square, side: 1, corners: [a, 2]}", "1:45: 'corners': must be text, not 2"),
        (
            "first:",
            "1:1: nothing follows 'first'; write a value (a mapping with all defaults is {}), or remove the key",
        ),
    ],
)
def test_a_fault_is_told_at_its_key_or_value(text: str, problem: str) -> None:
    assert problems(text) == [problem]


def test_of_several_forms_only_the_nearest_is_spoken_of() -> None:
    text = "first: {kind: circle, radius: 1}\nothers:\n  - {kind: square, sid: 2}\n  - {kind: circle, radius: x}"
    assert problems(text) == [
        "3:20: unknown key 'sid'; did you mean 'side'?",
        "4:28: 'radius': must be a whole number, not 'x'",
    ]


def test_keys_that_others_read_serve_as_suggestions() -> None:
    assert problems("first: {kind: circle, radius: 1}\nauhtor: x") == [
        "2:1: unknown key 'auhtor'; did you mean 'author'?"
    ]


def test_keys_of_named_blocks_are_known() -> None:
    text = "first: {kind: circle, radius: 1}\nnamed:\n  a: {kind: square, side: 1, corner: []}"
    assert problems(text) == ["3:30: unknown key 'corner'; did you mean 'corners'?"]


def test_lists_as_deep_as_a_file_may_have_them_are_checked_to_their_ends() -> None:
    deep = "[" * 98 + "1, 2, 3" + "]" * 98

    assert problems(f"first: {{kind: circle, radius: {deep}}}") == [
        "1:31: 'radius': must be a whole number, not a list",
    ]
    assert problems(f"first: {{kind: circle, radius: 1}}\ntitel: {deep}") == [
        "2:1: unknown key 'titel'; did you mean 'title'?",
    ]
