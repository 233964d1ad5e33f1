"""A mask that names routes: the shadower compares each route with its own masks, and no other route's window ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from proxy.following import read_now
from proxy.publication import pointed, publish
from proxy.shadower.tables import Tables
from rules.document import Rules
from rules.effective import Effective
from shadow.comparing.compare import judge
from tests.fakes.pairs import NOON, answer, pair

DAY = 86_400.0
UUID = {"path": "/id", "kind": "uuid"}


def tables(folder: Path, *masks: dict[str, Any], force: str = "", now: float = NOON) -> Tables:
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
    found = Tables(now=now)
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


def test_a_mask_that_expires_is_in_force_no_more_from_that_day_on_and_the_window_is_another(tmp_path: Path) -> None:
    found = tables(tmp_path, {**UUID, "expires": "2023-11-16", "routes": ["b"]})  # two days after NOON
    digests = {name: found.window_digest(name) for name in "ab"}
    assert not found.turn(NOON + DAY), "another day, and the same masks"
    assert found.turn(NOON + 2 * DAY)
    assert not found.turn(NOON + 2 * DAY + 1)
    assert paths(found, "b") == []
    assert found.window_digest("a") == digests["a"]
    assert found.window_digest("b") != digests["b"]
    assert found.other_days("b")[digests["b"]] == "the mask '/id uuid' (2023-11-16) expired"
    assert not found.turn(NOON + DAY), "a clock that is set back by less than a day"


def test_the_masks_of_the_day_that_is_in_force_judge_pairs_of_whatever_day(tmp_path: Path) -> None:
    found = tables(tmp_path, {**UUID, "expires": "2023-11-16"})
    comparison = found.judging("a")
    assert comparison is not None
    one, other = "6c84fb90-12c4-11e1-840d-7b25c5ee775a", "7c84fb90-12c4-11e1-840d-7b25c5ee775a"
    late = pair(answer({"id": one}), answer({"id": other}), started=NOON + 2 * DAY)
    assert judge(late, comparison).outcome.equal, "the window that it counts in has this mask"
