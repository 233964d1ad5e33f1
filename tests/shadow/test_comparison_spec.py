"""Comparisons as the rules file writes them: what is taken, and what is refused with what to write instead."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from shadow.spec import DEFAULT_HEADERS, Comparison, Mask


def test_a_comparison_survives_being_written_and_read() -> None:
    comparison = Comparison.model_validate(
        {
            "headers": ["ETag"],
            "masks": [
                {"path": "/generated_at", "kind": "timestamp", "within": "2s", "owner": "ada", "expires": "2027-01-01"},
                {"path": "/items", "kind": "any_order", "by": "id"},
                {"path": "/total", "kind": "number", "within": 0.01},
                {"path": "header:X-Code", "kind": "matches", "pattern": "[a-z]+"},
            ],
            "redact": {"fields": ["/**/pin"], "headers": ["X-Tenant"], "query": ["token"]},
        }
    )
    assert Comparison.model_validate_json(comparison.model_dump_json()) == comparison
    assert Comparison.model_validate(comparison.model_dump(mode="json")) == comparison
    assert comparison.headers == ("etag",)
    assert Comparison().headers == DEFAULT_HEADERS


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ({"path": "items", "kind": "ignore"}, "'items' is no path of an answer; write a JSON Pointer"),
        ({"path": "/a", "kind": "timestamp"}, "needs 'within', for example within: 2s"),
        ({"path": "/a", "kind": "timestamp", "within": "2"}, "2s"),
        ({"path": "/a", "kind": "number", "within": "some"}, "write 0.01 for an absolute or 1% for a relative one"),
        ({"path": "/a", "kind": "number", "within": -1}, "no tolerance"),
        ({"path": "/a", "kind": "matches"}, "needs 'pattern'"),
        ({"path": "/a", "kind": "matches", "pattern": "("}, r"no RE2 expression: missing \)"),
        ({"path": "/a", "kind": "uuid", "by": "id"}, "has no 'by'"),
        ({"path": "/a", "kind": "any_order", "within": "2s"}, "has no 'within'"),
        ({"path": "/a", "kind": "same"}, "'timestamp', 'uuid'"),
        ({"path": "/a", "kind": "number", "within": 1, "version": 4}, "has no 'version'"),
        ({"path": "/a", "kind": "uuid", "version": 9}, "less than or equal to 8"),
        ({"path": "/a", "kind": "timestamp", "within": "1s", "pattern": "("}, "no RE2 expression"),
        ({"path": "header:etag", "kind": "same_set"}, "is for lists in JSON; 'header:etag' is none"),
        ({"path": "/a", "kind": "uuid", "ownr": "ada"}, "Extra inputs"),
    ],
)
def test_a_mask_that_cannot_be_meant_is_refused(mask: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Mask.model_validate(mask)
