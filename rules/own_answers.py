"""Answers that fig gives by itself because a route says so: redirects and fixed answers. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from rules.action import Redirect, Respond
from rules.decision import Request
from rules.document import Route
from rules.rewriting import Values


class OwnAnswer(NamedTuple):
    """Without framing fields; the data plane writes those."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Own:
    """The compiled `redirect` or `respond` of one route."""

    block: Redirect | Respond

    def answer(self, request: Request, scheme: str, values: Values) -> OwnAnswer:
        """`scheme` is the client's: ``http`` or ``https``. Raises RewriteError."""
        raise NotImplementedError


def compile_own(spec: Route) -> Own | None:
    """None for a route that sides answer."""
    block = spec.redirect or spec.respond
    return Own(block) if block is not None else None
