"""What a webhook's answer means for the move that it was asked about: anything doubtful keeps the route where it is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.control.telling.answers import LONGEST, read_answer
from proxy.control.telling.retrying import MOST, Outcome

SILENT = Outcome(problem="no answer within 5 s from https://changes.example")


@pytest.mark.parametrize("body", [b"", b"OK", b"{}", b'{"allow": true}', b"[]", b'{"note": "fine"}', b"\xff\xfe"])
def test_a_2xx_allows(body: bytes) -> None:
    assert read_answer("calendar", Outcome(204 if not body else 200, body), "hold").allowed


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (Outcome(200, b'{"allow": false, "reason": "freeze until Monday"}'), "webhook 'calendar': freeze until Monday"),
        (Outcome(200, b'{"allow": false}'), "webhook 'calendar': it gave no reason"),
        (
            Outcome(200, b'{"allow": "false"}'),
            "webhook 'calendar' answered with an 'allow' that is neither true nor false",
        ),
        (
            Outcome(200, b'{"allow": null}'),
            "webhook 'calendar' answered with an 'allow' that is neither true nor false",
        ),
        (Outcome(200, b"x" * (MOST + 1)), "webhook 'calendar' answered with more than 64 KB, which is not read"),
        (Outcome(200, b' {"allow": false,'), "webhook 'calendar' answered with a JSON object that cannot be read"),
        (Outcome(403, b"no"), "webhook 'calendar' answered 403"),
        (Outcome(403, b'{"reason": "not yours"}'), "webhook 'calendar' answered 403: not yours"),
        (Outcome(302), "webhook 'calendar' answered 302"),
        (Outcome(500), "webhook 'calendar' answered 500"),
        (SILENT, f"webhook 'calendar': {SILENT.problem}; on_failure is hold"),
    ],
)
def test_everything_else_forbids_and_says_why(outcome: Outcome, reason: str) -> None:
    answer = read_answer("calendar", outcome, "hold")
    assert (answer.allowed, answer.reason) == (False, reason)


def test_on_failure_go_speaks_of_silence_alone() -> None:
    silent = read_answer("calendar", SILENT, "go")
    assert (silent.allowed, silent.reached) == (True, False)
    assert not read_answer("calendar", Outcome(503), "go").allowed
    assert not read_answer("calendar", Outcome(200, b'{"allow": false}'), "go").allowed


@given(st.text(max_size=2000))
def test_a_reason_is_one_line_that_no_terminal_obeys(reason: str) -> None:
    body = json.dumps({"allow": False, "reason": reason}).encode()
    shown = read_answer("calendar", Outcome(200, body), "hold").reason
    assert shown.isprintable()
    assert len(shown) <= LONGEST + len("webhook 'calendar': ")


@given(st.binary(max_size=300), st.integers(100, 599))
def test_no_answer_makes_the_reader_fail(body: bytes, status: int) -> None:
    answer = read_answer("calendar", Outcome(status, body), "hold")
    assert answer.allowed is False or 200 <= status < 300
