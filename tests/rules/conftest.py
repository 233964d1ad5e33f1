"""What the tests of rules share: rules from plain data, without a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings

from rules.document import Rules
from rules.effective import Effective, Position
from rules.table import Table, compile_table

settings.register_profile("fig", deadline=None)  # a busy machine is no failure
settings.load_profile("fig")

MakeTable = Callable[..., Table]


def _rules(routes: list[dict[str, Any]], **more: Any) -> Rules:
    services = {name: {"url": f"http://127.0.0.1:{port}"} for port, name in enumerate(("legacy", "candidate"), 9000)}
    whole = [_filled(route) | {"name": f"r{number}"} | route for number, route in enumerate(routes)]
    content = {"version": 1, "services": services, "legacy": "legacy", "routes": whole} | more
    return Rules.model_validate_json(json.dumps(content), strict=True)


def _filled(route: dict[str, Any]) -> dict[str, Any]:
    own = {"redirect", "respond"} & set(route)
    return {} if own else {"candidate": "candidate"}


@pytest.fixture(scope="session")
def make_rules() -> Callable[..., Rules]:
    """Rules of these routes; `name` and `candidate` are filled in."""
    return _rules


@pytest.fixture(scope="session")
def make_table() -> MakeTable:
    """The compiled table of these routes, standing where `positions` says."""

    def make(routes: list[dict[str, Any]], positions: dict[str, Position] | None = None, **more: Any) -> Table:
        return compile_table(Effective(generation=1, rules=_rules(routes, **more), positions=positions or {}))

    return make
