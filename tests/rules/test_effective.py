from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.rulebook import load
from rules.document import Route
from rules.effective import Effective, Pointer, Position, declared_position, read_effective
from rules.stages import MILLION, Stage

DESIGN = Path(__file__).with_name("design.yaml")


def _effective(**more: Any) -> Effective:
    return Effective(**({"generation": 3, "rules": load(DESIGN).rules} | more))


def _bare(effective: Effective) -> Iterator[bytes]:
    """Its lines without line ends, as they are read."""
    return (line.removesuffix(b"\n") for line in effective.lines())


def test_an_effective_table_survives_writing_and_reading() -> None:
    effective = _effective(
        positions={"products": Position(Stage.CANARY, 50_000, frozen=True)},
        comparisons={"catalog": {"masks": []}},
        certificates={"checkout": {"pairs": 7}},
    )
    assert read_effective(Pointer.decode(effective.pointer.encode()), _bare(effective)) == effective


def test_the_digest_is_of_everything_but_generation_and_positions() -> None:
    digest = _effective().digest
    assert _effective(generation=4, positions={"products": Position(Stage.LIVE, 0)}).digest == digest
    assert read_effective(_effective().pointer, _bare(_effective())).digest == digest
    assert _effective(comparisons={"catalog": {}}).digest != digest
    assert _effective(certificates={"checkout": {}}).digest != digest
    rules = load(DESIGN).rules
    assert _effective(rules=rules.model_copy(update={"legacy": "products"})).digest != digest


def test_a_move_keeps_what_was_computed_of_the_rules_and_nothing_else() -> None:
    effective = _effective()
    digest = effective.digest
    moved = effective.moved(4, {"products": Position(Stage.LIVE, MILLION)})
    assert (moved.generation, moved.digest, moved.position("products").stage) == (4, digest, Stage.LIVE)
    assert effective.position("products").stage is Stage.CANARY


def test_the_file_says_where_a_route_without_a_position_stands() -> None:
    effective = _effective(positions={"products": Position(Stage.LIVE, 7)})
    assert effective.position("products") == Position(Stage.LIVE, 7)
    assert effective.position("checkout") == Position(Stage.SHADOW, 0)
    with pytest.raises(KeyError):
        effective.position("nothing")


@pytest.mark.parametrize(
    ("stage", "share", "expected"),
    [("legacy", 0, 0), ("shadow", 5, 0), ("canary", 5, 5), ("live", 0, MILLION), ("retired", 0, MILLION)],
)
def test_a_share_that_the_file_declares_counts_in_canary_only(stage: str, share: int, expected: int) -> None:
    route = Route.model_construct(name="r", stage=Stage(stage), share=share)
    assert declared_position(route) == Position(Stage(stage), expected)


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b'{"generation": 0}', b'{"generation": 1, "rules": {}}'])
def test_what_points_at_no_rules_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Pointer.decode(data)


def test_a_share_beyond_the_whole_is_refused() -> None:
    data = _effective(positions={"products": Position(Stage.CANARY, 5)}).pointer.encode()
    with pytest.raises(ValueError, match="less than or equal"):
        Pointer.decode(data.replace(b'"share":5', b'"share":1000001'))


def test_rules_with_a_line_too_few_or_too_many_are_refused() -> None:
    effective = _effective(certificates={"checkout": {"pairs": 7}})
    lines = list(_bare(effective))
    for wrong, why in [
        ([], "end before a head"),
        (lines[:2], "end before route 2 of"),
        (lines[:-1], "end before certificate 1 of 1"),
        ([*lines, lines[1]], "go on where they should end"),
    ]:
        with pytest.raises(ValueError, match=why):
            read_effective(effective.pointer, iter(wrong))
