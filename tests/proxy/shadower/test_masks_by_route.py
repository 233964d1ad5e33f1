"""A mask that names routes: the shadower compares each route with its own masks, and no other route's window ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from proxy.following import read_now
from proxy.publication import pointed, publish
from proxy.shadower.tables import Tables
from rules.document import Rules
from rules.effective import Effective

UUID = {"path": "/id", "kind": "uuid"}


def tables(folder: Path, *masks: dict[str, Any], force: str = "") -> Tables:
    """Routes `a` and `b`, both of which name the comparison with these masks."""
    rules = {
        "version": 1,
        "services": {"legacy": {"url": "http://127.0.0.1:1"}, "shop": {"url": "http://127.0.0.1:2"}},
        "legacy": "legacy",
        "routes": [
            {
                "name": n,
                "match": {"path": f"/{n}"},
                "candidate": "shop",
                "stage": "shadow",
                "shadow": {"compare": "all"},
            }
            for n in "ab"
        ],
        **({"force": {"header": force, "token": "0123456789abcdef"}} if force else {}),
    }
    found = Tables()
    publish(
        folder,
        Effective(generation=1, rules=Rules.model_validate(rules), comparisons={"all": {"masks": list(masks)}}),
    )
    pointer = pointed(folder)
    found.stand(pointer, read_now(folder, found, pointer))
    return found


def paths(found: Tables, route: str) -> list[str]:
    comparison = found.judging(route)
    assert comparison is not None
    return [mask.path for mask in comparison.masks]


def test_each_route_is_compared_with_its_own_masks(tmp_path: Path) -> None:
    found = tables(tmp_path, UUID, {**UUID, "path": "/key", "routes": ["b"]}, force="x-fig-side")
    assert paths(found, "a") == ["/id"]
    assert paths(found, "b") == ["/id", "/key"]
    judging = found.judging("b")
    assert judging is not None
    assert "x-fig-side" in judging.redact.headers


def test_a_mask_of_one_route_ends_no_window_of_another(tmp_path: Path) -> None:
    before = tables(tmp_path, UUID)
    after = tables(tmp_path, UUID, {**UUID, "path": "/key", "routes": ["b"]})
    assert before.window_digest("a") == after.window_digest("a")
    assert before.window_digest("b") != after.window_digest("b")
