from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proxy.rulebook import load
from rules.effective import Effective, Position
from rules.stages import Stage

DESIGN = Path(__file__).with_name("design.yaml")


def _effective(**more: Any) -> Effective:
    return Effective(**({"generation": 3, "rules": load(DESIGN).rules} | more))


def test_an_effective_table_survives_writing_and_reading() -> None:
    effective = _effective(
        positions={"products": Position(Stage.CANARY, 50_000, frozen=True)}, comparisons={"catalog": {"masks": []}}
    )
    assert Effective.decode(effective.encode()) == effective


def test_the_digest_is_of_everything_but_generation_and_positions() -> None:
    digest = _effective().digest
    assert _effective(generation=4, positions={"products": Position(Stage.LIVE, 0)}).digest == digest
    assert Effective.decode(_effective().encode()).digest == digest
    assert _effective(comparisons={"catalog": {}}).digest != digest
    rules = load(DESIGN).rules
    assert _effective(rules=rules.model_copy(update={"legacy": "products"})).digest != digest


def test_the_file_says_where_a_route_without_a_position_stands() -> None:
    effective = _effective(positions={"products": Position(Stage.LIVE, 7)})
    assert effective.position("products") == Position(Stage.LIVE, 7)
    assert effective.position("checkout") == Position(Stage.SHADOW, 0)
    with pytest.raises(KeyError):
        effective.position("nothing")


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b'{"generation": 0}'])
def test_what_is_no_effective_table_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Effective.decode(data)


def test_a_share_beyond_the_whole_is_refused() -> None:
    data = _effective(positions={"products": Position(Stage.CANARY, 5)}).encode()
    with pytest.raises(ValueError, match="less than or equal"):
        Effective.decode(data.replace(b'"share":5', b'"share":1000001'))
