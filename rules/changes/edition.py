"""One version of a rules file, as the comparison sees it: the rules, where routes stand, and the blocks of others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from rules.document import Route, Rules
from rules.effective import Effective, Position
from rules.table import Table, compile_table

Plain = dict[str, Any]
"""A mapping as JSON knows it."""


@dataclass(frozen=True)
class Edition:
    """A rules file that loaded. Two of them are compared."""

    rules: Rules
    blocks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """``comparisons`` and ``gates``: by name, as plain data."""
    of_routes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By route: its ``rollout`` and ``certificate``, as plain data, where it has them."""
    positions: Mapping[str, Position] = field(default_factory=dict)
    """Where routes stand; a route that is not in it stands where its file says."""

    @cached_property
    def table(self) -> Table:
        return compile_table(Effective(generation=1, rules=self.rules, positions=dict(self.positions)))

    @cached_property
    def settings(self) -> Plain:
        """Everything but the routes, as plain data; what has its default value is left out."""
        found = self.rules.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"routes"})
        return found | {name: dict(block) for name, block in self.blocks.items() if block}

    def route(self, route: Route) -> Plain:
        """One route of the rules as plain data, with its blocks where the file has them."""
        found = route.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        found.setdefault("match", {})
        blocks = self.of_routes.get(route.name, {})
        if "rollout" in blocks:
            found["rollout"] = blocks["rollout"]
        if "certificate" in blocks:
            found["shadow"] = found.get("shadow", {}) | {"certificate": blocks["certificate"]}
        return found

    def document(self) -> Plain:
        """The whole file as plain data."""
        return self.settings | {"routes": [self.route(route) for route in self.rules.routes]}
