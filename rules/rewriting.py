"""What a route changes of one side's requests and answers, compiled. Pure; the data plane applies it.

Values of templates come as one mapping: the captures of the match, and the variables of rules/templates.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from rules.action import HeaderChanges, Rewrite
from rules.decision import Request
from rules.document import Defaults, Route
from rules.stages import Side
from rules.templates import Template, parse_template

Values = Mapping[str, str]


class Rewritten(NamedTuple):
    """The request line and Host that a service gets."""

    path: str
    """Normalised."""
    query: str
    host: str
    """``""``: the client's own is preserved; ``service``: that of the service's URL."""


class RewriteError(ValueError):
    """What the rules make of this request cannot be sent: its path has no single reading."""


@dataclass(frozen=True, slots=True)
class FieldChanges:
    """Fields to take away, then lines to append."""

    removed: frozenset[str]
    """Lower case; also those that are set."""
    appended: tuple[tuple[str, Template], ...]

    def lines(self, values: Values) -> list[tuple[str, str]]:
        """What is appended for one message, as (name, value)."""
        return [(name, template.fill(values)) for name, template in self.appended]


@dataclass(frozen=True, slots=True)
class SideChange:
    """What one route changes of the requests to one side, and of that side's answers."""

    rewrite: Rewrite | None
    request_fields: FieldChanges | None
    answer_fields: FieldChanges | None

    def request(self, request: Request, values: Values) -> Rewritten:
        """Raises RewriteError."""
        raise NotImplementedError


def compile_changes(spec: Route, defaults: Defaults) -> dict[Side, SideChange | None]:
    """For each side, None where nothing is changed."""
    found: dict[Side, SideChange | None] = {}
    for side in Side:
        rewrite = spec.rewrite if spec.rewrite is not None and spec.rewrite.sides in (side.value, "both") else None
        request = _fields(spec.request_headers or defaults.request_headers, side)
        answer = _fields(spec.response_headers or defaults.response_headers, side)
        changes = rewrite is not None or request is not None or answer is not None
        found[side] = SideChange(rewrite, request, answer) if changes else None
    return found


def _fields(changes: HeaderChanges | None, side: Side) -> FieldChanges | None:
    if changes is None or changes.sides not in (side.value, "both"):
        return None
    removed = frozenset(name.lower() for name in (*changes.remove, *changes.set))
    appended = tuple((name, parse_template(text)) for name, text in (*changes.set.items(), *changes.add.items()))
    return FieldChanges(removed, appended)
