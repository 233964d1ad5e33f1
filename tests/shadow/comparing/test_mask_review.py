"""What `fig rules check` says of masks: nobody's, those that are over or nearly so, and those that hide too much."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from proxy.rulebook import load_reviewed
from shadow.comparing.mask_review import is_wide, review_masks
from shadow.spec import Comparison

TODAY = date(2026, 11, 22)
OWNED = {"owner": "ada", "reason": "made by each side"}


def codes(*masks: dict[str, Any]) -> list[str]:
    comparison = Comparison.model_validate({"masks": masks})
    return [remark.code for remark in review_masks({"orders": comparison}, {"orders": ["checkout"]}, TODAY)]


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        ({"path": "/id", "kind": "uuid", **OWNED}, []),
        ({"path": "/id", "kind": "uuid", "owner": "ada"}, ["mask-unowned"]),
        ({"path": "/id", "kind": "uuid", "reason": "made by each side"}, ["mask-unowned"]),
        ({"path": "/id", "kind": "uuid", "expires": "2026-11-22", **OWNED}, ["mask-expired"]),
        ({"path": "/id", "kind": "uuid", "expires": "2026-11-23", **OWNED}, ["mask-expires-soon"]),
        ({"path": "/id", "kind": "uuid", "expires": "2026-12-06", **OWNED}, ["mask-expires-soon"]),
        ({"path": "/id", "kind": "uuid", "expires": "2026-12-07", **OWNED}, []),
        ({"path": "/**", "kind": "ignore", **OWNED}, ["mask-too-wide"]),
        ({"path": "/id", "kind": "ignore", **OWNED}, []),
        ({"path": "/**/id", "kind": "uuid", **OWNED}, []),
        ({"path": "/id", "kind": "uuid", "routes": ["checkout"], **OWNED}, []),
        ({"path": "/id", "kind": "uuid", "routes": ["chekout"], **OWNED}, ["mask-idle-route"]),
    ],
)
def test_a_mask_is_warned_of_where_it_deserves_it(mask: dict[str, Any], expected: list[str]) -> None:
    assert codes(mask) == expected


@pytest.mark.parametrize("path", ["", "body", "status", "line:*", "/**", "/items/*", "/items/**/at", "/*/at"])
def test_paths_that_take_in_many_fields_are_wide(path: str) -> None:
    assert is_wide(path)


@pytest.mark.parametrize("path", ["/at", "/items/*/at", "header:etag"])
def test_one_field_is_not_wide_however_often_it_comes(path: str) -> None:
    assert not is_wide(path)


def test_a_rules_file_is_warned_of_its_masks_where_they_stand(tmp_path: Path) -> None:
    file = tmp_path / "fig.yaml"
    file.write_text("""\
version: 1
services:
  legacy: {url: http://127.0.0.1:9000}
  shop: {url: http://127.0.0.1:9001}
legacy: legacy
routes:
  - {name: orders, match: {path: /orders/**}, candidate: shop, shadow: {compare: orders}}
comparisons:
  orders:
    masks:
      - {path: /id, kind: uuid, owner: ada, reason: made by each side, expires: 2026-11-30}
""")
    _, review = load_reviewed(file, today=TODAY)
    (problem,) = review.problems
    assert str(problem) == (
        f"{file}:11:81: warning: comparison 'orders': mask '/id uuid' expires in 8 days, and its differences then "
        "count; renew or remove it"
    )
    assert load_reviewed(file)[1].problems == ()
