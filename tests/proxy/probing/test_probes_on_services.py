"""Probes run on real services: what they are asked, how they fail, and what is said of it."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from proxy.probing.findings import Finding, Outcome, Result
from proxy.probing.judging import Reply, judge
from proxy.probing.report import to_dict, to_markdown, to_text
from proxy.probing.running import LARGE, Runner, ground, sides_of
from proxy.probing.script import Script
from proxy.probing.sending import LARGEST, Sender
from proxy.rulebook import load
from rules.effective import Effective
from rules.probes import ProbeStep
from rules.stages import Side
from rules.table import compile_table
from tests.fakes.certificates import Authority, server
from tests.fakes.probed import NOBODY, Got, Probed, both, probe, rules_of, says, write


def run(
    folder: Path, rules: dict[str, Any], environment: dict[str, str] | None = None, only: Side | None = None
) -> Finding:
    """The one probe of these rules, run once."""
    rulebook = load(write(folder, rules), environment or {})
    [name] = rulebook.probes

    async def main() -> Finding:
        sender = Sender(time.monotonic)
        runner = Runner(sender, time.time, time.monotonic, os.urandom)
        stands = ground(rulebook, compile_table(Effective(1, rulebook.rules)))
        try:
            return await runner.run(stands, name, sides_of(rulebook.probes[name], only))
        finally:
            await sender.close()

    return asyncio.run(main())


def everything(finding: Finding) -> str:
    """All that any report shows of it."""
    return to_text([finding]) + json.dumps(to_dict([finding])) + to_markdown([finding]) + repr(finding)


def test_a_probe_that_passes_on_both_sides_says_what_it_asked_and_got(tmp_path: Path) -> None:
    with both(says(200, b'{"total": 12.50}'), says(200, b'{"total": 12.49}')) as (legacy, candidate):
        expect = {"json": [{"at": "/total", "equals": 12.5, "within": 0.02}], "latency": "30s"}
        found = run(tmp_path, rules_of(legacy, candidate, {"buy": probe({"path": "/cart/1", "expect": expect})}))
    assert (found.result, found.result.exit_code, found.passes) == (Result.PASSED, 0, True)
    text = to_text([found])
    assert "GET /cart/1 -> shop: 200" in text
    assert "json /total: expected 12.5 within 0.02, got 12.49" in text
    assert found.reason == "probe 'buy' passed on legacy and candidate"


def test_what_a_service_is_asked_is_what_a_client_of_that_side_would_have_sent(tmp_path: Path) -> None:
    """The route's rewrites, headers and Host, and what fig adds; the marker; and a key where writes are journaled."""
    step = {"path": "/cart/7?a=b", "method": "POST", "headers": {"X-App": "shop"}, "json": {"n": 1}}
    with both() as (legacy, candidate):
        changes = {
            "rewrite": {"prefix": "/v2", "host": "service"},
            "request_headers": {"set": {"X-Side": "{side}"}, "remove": ["x-app"]},
            "writes": {"order_by": "header:x-app"},
        }
        rules = rules_of(legacy, candidate, {"buy": probe(step, host="shop.example")}, **changes)
        assert run(tmp_path, rules).passes
    [old], [new] = legacy.got, candidate.got
    assert (old.method, old.target, new.target) == ("POST", "/cart/7?a=b", "/v2/7?a=b")
    assert (old.headers["host"], new.headers["host"]) == ("shop.example", candidate.url.removeprefix("http://"))
    assert (old.headers.get("x-app"), new.headers.get("x-app")) == ("shop", None)
    assert (old.headers.get("x-side"), new.headers["x-side"]) == (None, "candidate")
    for got in (old, new):
        assert got.headers["x-fig-probe"] == "buy"
        assert (got.headers["x-forwarded-host"], got.headers["via"]) == ("shop.example", "1.1 fig")
        assert json.loads(got.body) == {"n": 1}
        assert got.headers["content-type"] == "application/json"
    assert old.headers["idempotency-key"] != new.headers["idempotency-key"]  # two runs, which no side may mix up


def test_values_of_earlier_answers_go_into_later_requests(tmp_path: Path) -> None:
    def behave(got: Got) -> Any:
        if got.target == "/cart/new":
            lines = {"set-cookie": "sid=s3cret; Path=/", "x-shard": "b 7"}
            return 201, lines, b'{"cart": {"id": 41, "lines": [{"sku": "A/1"}]}}'
        return 200, {}, b'{"id": 41, "sku": "A/1"}'

    take = {"id": "response:/cart/id", "sku": "response:/cart/lines/0/sku", "sid": "cookie:sid", "at": "header:x-shard"}
    steps = (
        {"path": "/cart/new", "method": "POST", "take": take, "expect": {"status": 201}},
        {
            "path": "/cart/lines?of={at}",
            "method": "POST",
            "headers": {"cookie": "sid={sid}"},
            "json": {"id": "{id}", "note": "cart {id} of {probe}-{run}"},
            "expect": {"json": [{"at": "/id", "equals": "{id}"}, {"at": "/sku", "equals": "{sku}"}]},
        },
    )
    with both(behave, behave) as (legacy, candidate):
        found = run(tmp_path, rules_of(legacy, candidate, {"buy": probe(*steps)}))
    assert found.result is Result.PASSED, found.reason
    [_, second] = candidate.got
    assert (second.target, second.headers["cookie"]) == ("/cart/lines?of=b%207", "sid=s3cret")
    body = json.loads(second.body)
    assert body["id"] == 41  # a place alone keeps its type
    assert body["note"].startswith("cart 41 of buy-")
    assert body != json.loads(legacy.got[1].body)  # each run has its own {run}


def test_a_candidate_that_fails_what_legacy_passes_is_told_with_the_step(tmp_path: Path) -> None:
    steps = ({"path": "/cart/1"}, {"name": "pay", "path": "/cart/pay"}, {"path": "/cart/never"})
    with both(says(200), lambda got: (500 if "pay" in got.target else 200, {}, b"")) as (legacy, candidate):
        found = run(tmp_path, rules_of(legacy, candidate, {"buy": probe(*steps)}))
    assert (found.result, found.result.exit_code, found.passes) == (Result.CANDIDATE_FAILS, 1, False)
    assert found.reason == (
        "probe 'buy' fails on the candidate, legacy passes: step pay: status: expected 2xx, got 500"
    )
    assert "1 further step was not asked" in to_text([found])
    assert [got.target for got in candidate.got] == ["/cart/1", "/cart/pay"]


def test_what_legacy_fails_too_is_no_fault_of_the_candidate(tmp_path: Path) -> None:
    with both(says(500), says(500)) as (legacy, candidate):
        found = run(tmp_path, rules_of(legacy, candidate, {"buy": probe()}))
    assert (found.result, found.result.exit_code) == (Result.FAULT, 4)
    assert "fails on legacy too" in found.reason


def test_a_candidate_alone_is_judged_by_itself(tmp_path: Path) -> None:
    with both(says(500), says(200)) as (legacy, candidate):
        found = run(tmp_path, rules_of(legacy, candidate, {"buy": probe(sides="candidate")}))
    assert (found.result, legacy.got) == (Result.PASSED, [])


def test_nobody_there_is_a_fault_of_the_data_and_one_that_is_down_is_not(tmp_path: Path) -> None:
    with both() as (legacy, _):
        found = run(tmp_path, rules_of(legacy, NOBODY, {"buy": probe()}))
        assert (found.result, found.sides[1].outcome) == (Result.CANDIDATE_FAILS, Outcome.UNREACHABLE)
        assert "no connection to the service 'shop'" in found.reason
    found = run(tmp_path, rules_of(NOBODY, NOBODY, {"buy": probe()}))
    assert (found.result, found.result.exit_code) == (Result.FAULT, 4)
    assert "reaches neither side" in found.reason


@pytest.mark.parametrize("timeout", ["500ms", "20s"], ids=["of the script", "of the service"])
def test_a_candidate_that_hangs_ends_in_time(tmp_path: Path, timeout: str) -> None:
    with both(says(), lambda got: None) as (legacy, candidate):
        found = run(tmp_path, rules_of(legacy, candidate, {"buy": probe(timeout=timeout)}))
    assert (found.result, found.sides[1].outcome) == (Result.CANDIDATE_FAILS, Outcome.FAILED)
    assert ("the script takes longer than its timeout of 0.5 s" in found.reason) == (timeout == "500ms")
    assert ("within 1 s" in found.reason) == (timeout == "20s")


@pytest.mark.parametrize(
    ("rubbish", "told"),
    [
        (b"\x00\x01 rubbish\r\n\r\n", "is no HTTP"),
        (b"", "closed the connection without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "breaks off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Encoding: gzip\r\n\r\nno", "its coding is broken"),
        (says(200, b"<html>"), "no JSON"),
        (says(200, b"[" * 100_000), "no JSON"),
        (says(200, b'{"id": NaN}'), "no JSON"),
        (says(200, b" " * (LARGEST + 1)), "answers more than 4 MB"),
        (says(200, gzip.compress(b" " * (LARGEST + 1), mtime=0), content_encoding="gzip"), "answers more than 4 MB"),
        (says(200, b'{"id": true}'), "json /id: expected 1, got true"),
        (says(200, b'{"id": 1e999999999}'), "json /id: expected 1, got 1E+999999999"),
        (says(204, b""), "expected 200, got 204"),
    ],
)
def test_a_candidate_that_answers_rubbish_fails_the_probe_and_nothing_else(
    tmp_path: Path, rubbish: Any, told: str
) -> None:
    step = {"path": "/cart/1", "expect": {"status": 200, "json": [{"at": "/id", "equals": 1}]}}
    with both(says(200, b'{"id": 1.0}'), rubbish if callable(rubbish) else lambda got: rubbish) as (legacy, candidate):
        found = run(tmp_path, rules_of(legacy, candidate, {"buy": probe(step)}))
    assert found.result is Result.CANDIDATE_FAILS
    assert told in found.reason


@pytest.mark.parametrize("expected", [{"equals": 20, "within": 0.5}, {"at_least": 19.5, "at_most": 20.5}])
@pytest.mark.parametrize(
    ("number", "is_right"),
    [
        ("20", True),
        ("20.5", True),
        ("19.49", False),
        ("1e999999999", False),
        ("-1e999999999", False),
        ("9" * 5000, False),
    ],
)
def test_a_number_is_held_against_its_bounds_however_large_it_is(
    tmp_path: Path, expected: dict[str, Any], number: str, is_right: bool
) -> None:
    step = {"path": "/cart/1", "expect": {"json": [{"at": "/total", **expected}]}}
    with both(says(200, b'{"total": 20}'), says(200, b'{"total": %s}' % number.encode())) as (legacy, candidate):
        found = run(tmp_path, rules_of(legacy, candidate, {"buy": probe(step)}))
    assert found.result is (Result.PASSED if is_right else Result.CANDIDATE_FAILS)


def test_a_fault_of_fig_at_one_side_is_told_and_ends_that_side_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(step: ProbeStep, reply: Reply, *more: Any) -> Any:
        if b"odd" in reply.body:
            raise RuntimeError("hidden-word")
        return judge(step, reply, *more)

    monkeypatch.setattr("proxy.probing.script.judge", fails)
    with both(says(), says(200, b'"odd"')) as (legacy, candidate):
        found = run(tmp_path, rules_of(legacy, candidate, {"buy": probe()}))
    assert found.result is Result.CANDIDATE_FAILS
    assert "fig itself failed at this step: RuntimeError" in found.reason
    assert "hidden-word" not in everything(found)


def test_a_large_answer_is_judged_beside_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control's loop carries rollbacks, too."""
    threads: dict[int, str] = {}

    def watched(step: ProbeStep, reply: Reply, *more: Any) -> Any:
        threads[len(reply.body)] = threading.current_thread().name
        return judge(step, reply, *more)

    monkeypatch.setattr("proxy.probing.script.judge", watched)
    with both(says(200, b" " * LARGE + b"1"), says()) as (legacy, candidate):
        found = run(tmp_path, rules_of(legacy, candidate, {"buy": probe()}))
    assert found.result is Result.PASSED
    assert threads[2] == threading.main_thread().name != threads[LARGE + 1]


def test_an_answer_that_is_judged_too_late_counts_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def slow(step: ProbeStep, reply: Reply, *more: Any) -> Any:
        if len(reply.body) > LARGE:
            assert over.wait(20)
        return judge(step, reply, *more)

    def late(script: Script) -> None:
        assert over.is_set()
        was(script)

    was = Script.late
    monkeypatch.setattr("proxy.probing.script.judge", slow)
    monkeypatch.setattr(Script, "late", late)
    threading.Timer(1.0, over.set).start()
    with both(says(), says(200, b" " * LARGE + b"1")) as (legacy, candidate):
        found = run(tmp_path, rules_of(legacy, candidate, {"buy": probe(timeout="500ms")}))
    assert (found.sides[1].outcome, len(found.sides[1].steps), found.sides[1].left) == (Outcome.FAILED, 1, 0)
    assert "the script takes longer than its timeout" in found.reason


def test_what_the_candidate_answered_and_no_request_can_hold_is_its_own_fault(tmp_path: Path) -> None:
    steps = ({"path": "/cart/new", "take": {"id": "response:/id"}}, {"path": "/cart/{id}"})
    with both(says(200, b'{"id": 7}'), says(200, b'{"id": "a/../b"}')) as (legacy, candidate):
        found = run(tmp_path, rules_of(legacy, candidate, {"buy": probe(*steps)}))
    assert found.result is Result.CANDIDATE_FAILS
    assert "fig would not forward this request" in found.reason


def test_headers_are_held_against_what_a_client_would_get(tmp_path: Path) -> None:
    headers = {"x-kind": "plain", "etag": {"matches": "W/.*"}, "server": {"exists": False}, "vary": {"contains": "cc"}}
    step = {"path": "/cart/1", "expect": {"headers": headers, "contains": ["ell", "o"]}}
    answers = says(200, b"hello", x_kind="plain", etag='W/"1"', vary="accept")
    with both(answers, answers) as (legacy, candidate):
        changes = {"response_headers": {"remove": ["server"], "sides": "both"}}
        found = run(tmp_path, rules_of(legacy, candidate, {"buy": probe(step)}, **changes))
    assert found.result is Result.PASSED, found.reason


def test_steps_on_other_routes_go_to_whoever_answers_there_and_blame_nobody_else(tmp_path: Path) -> None:
    login = {"name": "login", "match": {"path": "/login"}, "candidate": "shop"}
    steps = ({"path": "/login"}, {"path": "/cart/1"})
    with both(says(), says()) as (legacy, candidate):
        rules = rules_of(legacy, candidate, {"buy": probe(*steps, sides="candidate")}, [login])
        assert run(tmp_path, rules).passes
        assert [got.target for got in legacy.got] == ["/login"]
        legacy.behave = says(500)
        found = run(tmp_path, rules)
    assert (found.result, found.sides[0].outcome) == (Result.FAULT, Outcome.ELSEWHERE)
    assert "on a route that it does not guard" in found.reason


def test_a_path_that_fig_answers_itself_can_be_asked_of_nobody(tmp_path: Path) -> None:
    own = {"name": "old", "match": {"path": "/old"}, "respond": {"status": 410}}
    with both() as (legacy, candidate):
        found = run(tmp_path, rules_of(legacy, candidate, {"buy": probe({"path": "/old"})}, [own]))
    assert found.result.exit_code == 4
    assert "fig itself answers this path (route 'old')" in found.reason


def test_a_service_is_asked_by_tls_as_fig_asks_it(tmp_path: Path) -> None:
    authority, stranger = Authority(), Authority("somebody else")
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    (tmp_path / "other.pem").write_bytes(stranger.pem)
    context = server(authority.issue("127.0.0.1"), tmp_path)
    with both() as (legacy, _), Probed().up(context) as candidate:
        rules = rules_of(legacy, candidate, {"buy": probe()}, tls={"ca": str(tmp_path / "ca.pem")})
        assert run(tmp_path, rules).result is Result.PASSED
        rules = rules_of(legacy, candidate, {"buy": probe()}, tls={"ca": str(tmp_path / "other.pem")})
        found = run(tmp_path, rules)
    assert found.sides[1].outcome is Outcome.UNREACHABLE
    assert "its certificate is not trusted" in found.reason
    assert len(candidate.got) == 1


def test_no_report_shows_a_secret(tmp_path: Path) -> None:
    """Of the environment, of credentials and cookies, taken under a telling name, configured, or of a secret's form;
    neither where it was sent nor where a service repeats it."""
    secrets = ("sesame-7", "c00kie-value", "tok-en-991", "Jane Roe", "4111 1111 1111 1111", "jane@shop.example")
    body = {
        "token": "tok-en-991",
        "name": "Jane Roe",
        "card": "4111 1111 1111 1111",
        "echo": "sesame-7 and jane@shop.example and tok-en-991",
    }
    steps = (
        {
            "path": "/cart/new?key=${SECRET}&x=sesame-7",
            "method": "POST",
            "headers": {"authorization": "Basic ${SECRET}", "cookie": "a=c00kie-value", "x-note": "${SECRET}"},
            "json": {"password": "${SECRET}", "customer": {"name": "Jane Roe"}, "mail": "jane@shop.example"},
            "take": {"token": "response:/token", "sid": "cookie:sid"},
            "expect": {"headers": {"set-cookie": {"contains": "sid"}}},
        },
        {
            "path": "/cart/{token}",
            "headers": {"x-session": "{sid}"},
            "expect": {
                "json": [
                    {"at": "/name", "equals": "Jane Roe!"},
                    {"at": "/card", "equals": 1},
                    {"at": "/echo", "matches": "no"},
                    {"at": "/echo", "equals": "{token}"},
                ],
                "headers": {"x-echo": "nothing"},
                "contains": "${SECRET}!",
            },
        },
    )
    answer = says(200, json.dumps(body).encode(), set_cookie="sid=c00kie-value; Path=/", x_echo="sesame-7")
    with both(answer, answer) as (legacy, candidate):
        rules = rules_of(legacy, candidate, {"buy": probe(*steps, redact=["/name", "/customer/name"])})
        found = run(tmp_path, rules, {"SECRET": "sesame-7"})
    assert candidate.got[0].headers["authorization"] == "Basic sesame-7"
    assert candidate.got[1].target == "/cart/tok-en-991"
    assert found.result is Result.FAULT  # the expectations of the second step are wrong on purpose, all of them
    shown = everything(found)
    assert len(found.sides[1].steps[1].checks) > 5
    assert [secret for secret in secrets if secret in shown] == []


def test_comparisons_say_what_their_routes_probes_must_not_show(tmp_path: Path) -> None:
    step = {"path": "/cart/1?id=i-9999", "expect": {"json": [{"at": "/who/first", "exists": False}]}}
    answer = says(200, b'{"who": {"first": "Jane"}}', x_who="Jane")
    with both(answer, answer) as (legacy, candidate):
        rules = rules_of(legacy, candidate, {"buy": probe(step)}, shadow={"compare": "carts"})
        rules["comparisons"] = {"carts": {"redact": {"fields": ["/who"], "query": ["id"], "headers": ["x-who"]}}}
        shown = everything(run(tmp_path, rules))
    assert "Jane" not in shown
    assert "i-9999" not in shown


def test_an_answer_steers_no_terminal_and_breaks_no_table(tmp_path: Path) -> None:
    step = {"path": "/cart/1", "expect": {"json": [{"at": "/a", "equals": 1}]}}
    with both(says(200, b'{"a": 1}'), says(200, '{"a": "\\u001b[31m|<script>\u202e"}'.encode())) as (legacy, candidate):
        found = run(tmp_path, rules_of(legacy, candidate, {"buy": probe(step)}))
    page = to_markdown([found])
    assert "\x1b" not in to_text([found]) + page
    assert "<script>" not in page
