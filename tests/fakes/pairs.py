"""Answers and pairs to judge, made in one line each."""

from __future__ import annotations

import json
from typing import Any

from rules.stages import Side
from shadow.pair import Answer, Headers, Kind, Pair

JSON_TYPE: Headers = (("Content-Type", "application/json"),)
NOON = 1_700_000_000.0
"""Seconds since the epoch: a moment on 14 November 2023."""


def answer(body: Any, status: int = 200, headers: Headers = JSON_TYPE, **rest: Any) -> Answer:
    """An answer of JSON, or of the very bytes or text given."""
    if isinstance(body, str):
        body = body.encode()
    return Answer(status, headers, body if isinstance(body, bytes) else json.dumps(body).encode(), **rest)


def text(value: str, kind: str = "text/plain; charset=utf-8", **rest: Any) -> Answer:
    return Answer(200, (("Content-Type", kind),), value.encode(), **rest)


def pair(legacy: Answer, candidate: Answer, number: int = 1, **rest: Any) -> Pair:
    """A read of /items that legacy answered, `number` seconds after noon."""
    fields: dict[str, Any] = {
        "id": f"pair-{number}",
        "route": "items",
        "generation": 1,
        "kind": Kind.READ,
        "method": "GET",
        "target": "/items",
        "request_headers": (),
        "request_id": f"request-{number}",
        "side": Side.LEGACY,
        "started": NOON + number,
    }
    return Pair(legacy=legacy, candidate=candidate, **(fields | rest))
