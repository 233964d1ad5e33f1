"""Signatures of what fig posts, and how long it waits before it posts again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.control.telling.retrying import LONGEST, Outcome, wait
from proxy.control.telling.signature import is_genuine, sign

SECRETS = st.text(min_size=1, max_size=40)


@given(SECRETS, st.binary(max_size=200), st.integers(0, 10**11), st.floats(-299, 299))
def test_whoever_knows_the_secret_finds_a_signature_genuine(secret: str, body: bytes, at: int, late: float) -> None:
    assert is_genuine(secret, body, sign(secret, body, at), at + late)


def test_a_receiver_can_compute_the_signature_with_any_tool() -> None:
    """printf '1700000000.{}' | openssl dgst -sha256 -hmac correct-horse-battery"""
    digest = "e4e06d0f191f673a5c791baba9bff071801db02cae56ba36de20d51021604c61"
    assert sign("correct-horse-battery", b"{}", 1_700_000_000.9) == f"t=1700000000,v1={digest}"


@pytest.mark.parametrize(
    ("secret", "body", "header", "now"),
    [
        ("other-secret", b"{}", None, 1000.0),
        ("correct-horse", b"{ }", None, 1000.0),
        ("correct-horse", b"{}", None, 1301.0),
        ("correct-horse", b"{}", None, 699.0),
        ("correct-horse", b"{}", "", 1000.0),
        ("correct-horse", b"{}", "t=1000,v1=" + "0" * 64, 1000.0),
        ("correct-horse", b"{}", "t=1000", 1000.0),
    ],
)
def test_anything_else_is_not_genuine(secret: str, body: bytes, header: str | None, now: float) -> None:
    given = sign("correct-horse", b"{}", 1000.0) if header is None else header
    assert not is_genuine(secret, body, given, now)


@given(st.integers(1, 10), st.floats(0.01, 30), st.floats(0, 1), st.none() | st.floats(0, 10**6))
def test_waits_are_bounded_and_no_shorter_than_the_receiver_asks_for(
    attempts: int, backoff: float, chance: float, asked: float | None
) -> None:
    seconds = wait(attempts, backoff, Outcome(503, retry_after=asked), chance)
    assert 0 <= seconds <= LONGEST
    assert seconds >= min(asked or 0.0, LONGEST)
    if asked is None:
        assert seconds <= chance * backoff * 2 ** (attempts - 1) + 1e-9


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503, None])
def test_what_may_fare_better_later_is_tried_again(status: int | None) -> None:
    assert Outcome(status).worth_another


@pytest.mark.parametrize("status", [200, 204, 301, 400, 401, 404, 410])
def test_what_is_settled_is_not(status: int) -> None:
    assert not Outcome(status).worth_another
