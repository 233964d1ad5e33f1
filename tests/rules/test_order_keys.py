"""Order keys in bodies: what is a key, what is none, and that a key is the same text wherever it stands."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.document import Writes
from rules.order_keys import key_in


@pytest.mark.parametrize(
    ("body", "pointer", "key"),
    [
        (b'{"order": {"id": 17}}', "/order/id", "17"),
        (b'{"order": {"id": "17"}}', "/order/id", "17"),
        (b'{"id": 90071992547409931234567890}', "/id", "90071992547409931234567890"),
        (b'{"id": 1.50}', "/id", "1.50"),
        (b'[{"id": "a"}, {"id": "b"}]', "/1/id", "b"),
        (b'{"a/b": {"~": "x"}}', "/a~1b/~0", "x"),
        (b'{"id": null}', "/id", ""),
        (b'{"id": true}', "/id", ""),
        (b'{"id": {"deep": 1}}', "/id", ""),
        (b'{"id": "17"}', "/missing", ""),
        (b"[1, 2]", "/7", ""),
        (b"[1, 2]", "/-", ""),
        (b'"text"', "/id", ""),
        (b"", "/id", ""),
        (b"\x1f\x8b\x08", "/id", ""),
        (b"[" * 100_000, "/id", ""),
    ],
)
def test_a_key_is_a_string_or_a_number_as_it_is_written(body: bytes, pointer: str, key: str) -> None:
    assert key_in(body, pointer) == key


@given(st.integers(), st.text())
def test_numbers_and_strings_are_found_wherever_a_pointer_leads(number: int, text: str) -> None:
    body = json.dumps({"a": [{"n": number, "t": text}]}).encode()

    assert key_in(body, "/a/0/n") == str(number)
    assert key_in(body, "/a/0/t") == text


@pytest.mark.parametrize("order_by", ["request:", "request:order", "response:/id", "request:/items/*/id", "query:x"])
def test_what_names_no_single_value_of_the_request_is_refused(order_by: str) -> None:
    with pytest.raises(ValueError, match=r"names no value here|names many values"):
        Writes(order_by=order_by)


def test_then_by_needs_an_order_by_and_names_a_value_of_the_answer() -> None:
    assert Writes(order_by="path:order", then_by="response:/id").then_by == "response:/id"
    with pytest.raises(ValueError, match="need an 'order_by' too"):
        Writes(then_by="response:/id")
    with pytest.raises(ValueError, match="names no value here"):
        Writes(order_by="path:order", then_by="request:/id")
