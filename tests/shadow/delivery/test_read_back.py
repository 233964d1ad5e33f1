"""What read-back asks and concludes: never "applied" or "not applied" where that is not shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.match import Match
from rules.read_back import ReadBack
from rules.stages import Side
from shadow.delivery.read_back import Finding, Said, conclude, question, question_headers, read_reply, said_by
from shadow.delivery.retry import Answered, Lost, Unsendable, Unsent
from shadow.journal.writes import Original
from shadow.pair import Answer

MATCH = Match.model_validate({"path": "/orders/{order}"})
BY_KEY = {"equals": [{"body": "/last_key", "with": "header:idempotency-key"}]}


def write(target: str = "/orders/17", body: bytes = b'{"version": 3}', key: str = "idem-1") -> Original:
    headers = [(b"Authorization", b"Bearer x"), (b"Content-Type", b"application/json"), (b"X-Tenant", b"a/b")]
    return Original("r", "17", target, "shop.example:8080", headers, body, key, "u")


def said(**more: Any) -> Said:
    return said_by("POST", write(**more), MATCH)


def rule(path: str = "/api/orders/{order}", applied: Any = BY_KEY, **more: Any) -> ReadBack:
    return ReadBack.model_validate({"path": path, "applied": applied, **more})


def replied(body: Any, status: int = 200, rule: ReadBack | None = None, **more: Any) -> Finding:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = Answer(status, (("Content-Type", "application/json"),), text, **more)
    return read_reply(rule or globals()["rule"](), said(), Answered(answer)).finding


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/api/orders/{order}", "/api/orders/17"),
        ("/w/{header:idempotency-key}", "/w/idem-1"),
        ("/o?version={request:/version}&t={header:x-tenant}", "/o?version=3&t=a%2Fb"),
        ("/o/{query:nothing}", None),
        ("/o/{request:/nothing}", None),
    ],
)
def test_a_question_is_filled_from_the_write(path: str, target: str | None) -> None:
    assert question(rule(path), Side.LEGACY, said()) == target


def test_a_capture_goes_out_as_it_came_and_is_compared_as_it_reads() -> None:
    asked = rule(applied={"equals": [{"body": "/id", "with": "path:order"}]})
    write_of = said(target="/orders/caf%C3%A9%2F1")

    assert question(asked, Side.LEGACY, write_of) == "/api/orders/caf%C3%A9%2F1"
    answer = Answer(200, (), '{"id": "café/1"}'.encode())
    assert read_reply(asked, write_of, Answered(answer)).finding is Finding.APPLIED


def test_the_candidate_may_be_asked_elsewhere() -> None:
    asked = rule(candidate="/v2/{order}")

    assert question(asked, Side.CANDIDATE, said()) == "/v2/17"
    assert question(asked, Side.LEGACY, said()) == "/api/orders/17"


def test_a_question_says_who_asks_and_nothing_of_the_write() -> None:
    assert question_headers(write()) == [(b"Authorization", b"Bearer x"), (b"X-Tenant", b"a/b")]


@pytest.mark.parametrize(
    ("body", "status", "finding"),
    [
        ({"last_key": "idem-1"}, 200, Finding.APPLIED),
        ({"last_key": "idem-0"}, 200, Finding.NOT_APPLIED),
        ({"last_key": None}, 200, Finding.NOT_APPLIED),
        ({}, 200, Finding.UNKNOWN),
        ([], 200, Finding.UNKNOWN),
        (b"<html>", 200, Finding.UNKNOWN),
        (b"", 404, Finding.NOT_APPLIED),
        (b"", 410, Finding.NOT_APPLIED),
        ({"last_key": "idem-1"}, 500, Finding.UNKNOWN),
        ({"last_key": "idem-1"}, 401, Finding.UNKNOWN),
        ({"last_key": "idem-1"}, 302, Finding.UNKNOWN),
    ],
)
def test_an_answer_shows_what_it_shows(body: Any, status: int, finding: Finding) -> None:
    assert replied(body, status) is finding


@pytest.mark.parametrize(
    ("entries", "finding"),
    [
        ([{"key": "idem-0"}, {"key": "idem-1"}], Finding.APPLIED),
        ([{"key": "idem-0"}, {}], Finding.NOT_APPLIED),
        ([], Finding.NOT_APPLIED),
        ([{}, {}], Finding.UNKNOWN),
        ("none", Finding.UNKNOWN),
    ],
)
def test_one_item_of_a_list_is_enough(entries: Any, finding: Finding) -> None:
    asked = rule(applied={"equals": [{"body": "/entries/*/key", "with": "header:idempotency-key"}]})

    assert replied({"entries": entries}, rule=asked) is finding


def test_a_number_may_be_written_as_text_but_true_is_not_1() -> None:
    asked = rule(applied={"equals": [{"body": "/version", "with": "request:/version"}]})

    assert replied({"version": "3"}, rule=asked) is Finding.APPLIED
    assert replied(b'{"version": 3.0}', rule=asked) is Finding.APPLIED
    assert replied({"version": True}, rule=asked) is Finding.NOT_APPLIED


def test_an_answer_that_was_cut_off_shows_nothing() -> None:
    assert replied({"last_key": "idem-1"}, truncated=True) is Finding.UNKNOWN


@pytest.mark.parametrize("attempt", [Unsent("connect"), Lost("timeout"), Unsendable("no URL")])
def test_no_answer_shows_nothing(attempt: Any) -> None:
    assert read_reply(rule(), said(), attempt).finding is Finding.UNKNOWN


def test_of_several_values_one_that_differs_decides_and_one_that_is_missing_leaves_it_open() -> None:
    both = [{"body": "/last_key", "with": "header:idempotency-key"}, {"body": "/version", "with": "request:/version"}]
    asked = rule(applied={"equals": both})

    assert replied({"last_key": "idem-1", "version": 3}, rule=asked) is Finding.APPLIED
    assert replied({"last_key": "idem-1", "version": 4}, rule=asked) is Finding.NOT_APPLIED
    assert replied({"last_key": "idem-1"}, rule=asked) is Finding.UNKNOWN
    assert replied({"version": 4}, rule=asked) is Finding.NOT_APPLIED


def test_not_applied_counts_only_when_it_will_not_be_and_nothing_came_after() -> None:
    absent = read_reply(rule(), said(), Answered(Answer(404)))

    assert conclude(absent, waited=0.5, within=1.0, overtaken=False).finding is Finding.UNKNOWN
    assert conclude(absent, waited=1.0, within=1.0, overtaken=False).finding is Finding.NOT_APPLIED
    assert conclude(absent, waited=9.0, within=1.0, overtaken=True).finding is Finding.UNKNOWN


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("idem-1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["last_key", "a", "b"]), inner),
    max_leaves=8,
)


@given(values, st.integers(100, 599))
def test_applied_is_only_said_of_an_answer_with_the_writes_own_value(body: Any, status: int) -> None:
    is_there = isinstance(body, dict) and body.get("last_key") == "idem-1" and 200 <= status < 300

    assert (replied(body, status) is Finding.APPLIED) == is_there


@given(values, st.integers(100, 599), st.floats(0, 100), st.floats(0, 100), st.booleans())
def test_nothing_that_passes_makes_another_finding_than_unknown(
    body: Any, status: int, waited: float, within: float, overtaken: bool
) -> None:
    text = json.dumps(body).encode()
    reply = read_reply(rule(), said(), Answered(Answer(status, (), text)))

    assert conclude(reply, waited=waited, within=within, overtaken=overtaken).finding in (
        reply.finding,
        Finding.UNKNOWN,
    )


@given(st.sets(st.sampled_from(["before", "this", "after"])), st.floats(0, 10))
def test_asked_of_a_ledger_the_finding_is_true_or_unknown(chosen: set[str], waited: float) -> None:
    """A side that shows the last key it applied, also when a later write of the key was let through."""
    applied = [key for key in ("before", "this", "after") if key in chosen]
    body = json.dumps({"last_key": applied[-1] if applied else None}).encode()

    reply = read_reply(rule(), said(key="this"), Answered(Answer(200, (), body)))
    found = conclude(reply, waited=waited, within=5.0, overtaken="after" in applied).finding

    assert found is not Finding.APPLIED or "this" in applied
    assert found is not Finding.NOT_APPLIED or "this" not in applied
