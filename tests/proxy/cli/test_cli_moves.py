"""The commands that look at and move routes, as people type them, against an admin API over real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from proxy.cli import app
from tests.fakes.ports import free_port

SIDE = {"requests": 1200, "errors": 3, "p50": 0.0123, "p99": 0.25, "recent": {"requests": 9, "p50": 0.0004, "p99": 1.5}}
STATUS = {
    "at": 1000.0,
    "generation": 7,
    "listen": "0.0.0.0:8080",
    "workers_expected": 2,
    "peers": [{"name": "worker 0", "current": True}, {"name": "worker 1", "current": False}],
    "rules": {"problems": ["fig.yaml:3:1: unknown key 'rout'"]},
    "routes": [
        {
            "name": "cart",
            "stage": "canary",
            "share": 0.05,
            "frozen": True,
            "since": 400.0,
            "step": {"number": 2, "of": 5, "next": 0.25},
            "sides": {"legacy": SIDE, "candidate": SIDE},
            "verdict": {"verdict": "keep_watching", "reason": "too early"},
            "certificate": None,
            "writes": {"delivered": 40, "undelivered": 3, "gaps": 0, "doubts": 1},
        }
    ],
}
MOVED = {
    "route": "cart",
    "before": {"stage": "shadow", "share": 0.0, "frozen": False},
    "after": {"stage": "canary", "share": 0.05, "frozen": False},
    "generation": 8,
    "workers": 2,
    "acknowledged": True,
    "missing": [],
}
LINE = {
    "at": 0.0,
    "route": "cart",
    "actor": "pilot",
    "action": "rollback",
    "why": "too slow",
    "before": MOVED["after"],
    "after": MOVED["before"],
}


class AdminApi:
    """Answers every request with one status and document, and remembers what was asked."""

    def __init__(self, status: int, document: Any) -> None:
        self.asked: list[tuple[str, str, Any, str | None]] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                api.asked.append((self.command, self.path, body, self.headers.get("Authorization")))
                raw = document if isinstance(document, bytes) else json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            do_GET = do_POST = answer  # noqa: N815 - the names that http.server calls

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.server_address[1]}"


@contextmanager
def admin_api(document: Any, status: int = 200) -> Iterator[AdminApi]:
    api = AdminApi(status, document)
    thread = threading.Thread(target=api.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield api
    finally:
        api.server.shutdown()
        thread.join()
        api.server.server_close()


def fig(*words: str, **variables: str) -> Result:
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "160", **variables})


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"tls_listen": "0.0.0.0:8443"}, "listening on 0.0.0.0:8080 and 0.0.0.0:8443 (TLS)"),
        ({"listen": None, "tls_listen": "0.0.0.0:8443"}, "listening on 0.0.0.0:8443 (TLS)"),
    ],
)
def test_status_says_where_clients_connect(told: dict[str, str | None], said: str) -> None:
    with admin_api({**STATUS, **told}) as api:
        assert said in fig("status", FIG_ADMIN=api.address).output


def test_status_shows_each_route_with_figures_people_can_read() -> None:
    with admin_api(STATUS) as api:
        result = fig("status", FIG_ADMIN=api.address)

    assert result.exit_code == 0
    assert "generation 7, 1 of 2 workers, listening on 0.0.0.0:8080" in result.output
    assert "rules refused: fig.yaml:3:1: unknown key 'rout'" in result.output
    [row] = [line for line in result.output.splitlines() if line.startswith("cart")]
    for words in ("canary 5%, frozen (2 of 5)", "10 min", "1,200", "400 us", "1.5 s", "keep_watching: too early"):
        assert words in row
    assert "writes: 3 undelivered, 1 in doubt" in " ".join(result.output.split())


def test_status_tells_how_long_ago_each_source_answered() -> None:
    metrics = [
        {"name": "errors", "kind": "error_rate", "age": None},
        {"name": "queue", "kind": "query", "age": 12.4},
        {"name": "jobs", "kind": "query", "age": None},
    ]
    [route] = STATUS["routes"]
    judged = route | {"verdict": route["verdict"] | {"metrics": metrics}}
    with admin_api({**STATUS, "routes": [judged]}) as api:
        told = " ".join(fig("status", FIG_ADMIN=api.address).output.split())

    assert "too early; sources: 'queue' answered 12 s ago, 'jobs' has no answer yet" in told


def test_status_ends_with_routes_that_have_no_sides_and_how_many_are_not_shown() -> None:
    unsided = [{"name": "gone", "answers": "fig itself (respond)", "requests": 1234}]
    with admin_api({**STATUS, "unsided": unsided, "routes_left_out": 99_000}) as api:
        result = fig("status", FIG_ADMIN=api.address)

    [row] = [line for line in result.output.splitlines() if line.startswith("gone")]
    assert "1,234" in row
    assert "fig itself (respond) answers" in row
    assert "and 99,000 more routes" in result.output.splitlines()[-1]


def test_a_shop_that_is_taken_for_the_admin_api_is_told_and_no_traceback() -> None:
    with admin_api(b"<!doctype html>") as shop:
        result = fig("status", "--admin", shop.address)

    assert result.exit_code == 2
    assert "is no admin API of fig; is --admin right?" in result.output


def test_json_is_the_answer_itself() -> None:
    with admin_api(STATUS) as api:
        assert json.loads(fig("status", "--json", "--admin", api.address).output) == STATUS


@pytest.mark.parametrize(
    ("words", "path", "body"),
    [
        (["promote", "cart"], "promote", {}),
        (["rollback", "cart"], "rollback", {"to": "shadow"}),
        (["rollback", "cart", "--to", "legacy", "--why", "slow"], "rollback", {"to": "legacy", "why": "slow"}),
        (["stage", "cart", "canary", "--share", "5%"], "stage", {"stage": "canary", "share": "5%"}),
        (["approve", "cart"], "approve", {}),
        (["approve", "cart", "--step", "25%"], "approve", {"step": "25%"}),
        (["abort", "cart", "--why", "sale"], "abort", {"why": "sale"}),
        (["freeze", "cart"], "freeze", {}),
        (["freeze", "cart", "--hold-against-rollback"], "freeze", {"hold_against_rollback": True}),
        (["unfreeze", "cart"], "unfreeze", {}),
    ],
)
def test_a_move_is_one_post_that_says_who_asks(
    words: list[str], path: str, body: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    with admin_api(MOVED) as api:
        result = fig(*words, "--admin", api.address, FIG_ADMIN_TOKEN="changing")

    assert result.exit_code == 0
    assert result.output == "cart: shadow -> canary 5% (generation 8, 2 workers)\n"
    assert api.asked == [("POST", f"/api/routes/cart/{path}", {"why": "", "by": "ada", **body}, "Bearer changing")]


def test_what_moves_nothing_is_said_by_its_name() -> None:
    with admin_api({**MOVED, "before": MOVED["after"], "why": "25%: looks well"}) as api:
        result = fig("approve", "cart", "--admin", api.address)

    assert result.output == "cart: approve, 25%: looks well (generation 8, 2 workers)\n"


def test_status_says_what_a_route_waits_for_and_why_its_attempt_ended() -> None:
    route = STATUS["routes"][0] | {
        "waiting": ["outside of Mon-Fri 09-16 UTC"],
        "ended": "aborted by ada",
        "pinned": True,
    }
    with admin_api({**STATUS, "routes": [route]}) as api:
        said = " ".join(fig("status", FIG_ADMIN=api.address).output.split())

    assert "canary 5%, frozen against rollback too (2 of 5)" in said
    assert "attempt over: aborted by ada; waits: outside of Mon-Fri 09-16 UTC" in said


def test_a_move_that_a_worker_does_not_decide_by_exits_1_and_names_it() -> None:
    with admin_api({**MOVED, "acknowledged": False, "missing": ["worker 1: has not answered"]}) as api:
        result = fig("promote", "cart", "--admin", api.address)

    assert result.exit_code == 1
    assert "not every worker decides by it yet" in result.output
    assert "worker 1: has not answered" in result.output


@pytest.mark.parametrize(("status", "code"), [(409, 1), (404, 2), (400, 2), (403, 2)])
def test_a_refused_move_is_said_in_controls_words(status: int, code: int) -> None:
    with admin_api({"error": "route 'cart' is frozen"}, status) as api:
        result = fig("promote", "cart", "--admin", api.address)

    assert (result.exit_code, result.output) == (code, "fig: route 'cart' is frozen\n")


def test_a_missing_token_is_said_with_the_variable_to_set() -> None:
    with admin_api({"error": "send a token"}, 401) as api:
        result = fig("status", "--admin", api.address)

    assert (result.exit_code, "FIG_ADMIN_TOKEN" in result.output) == (2, True)


def test_a_control_that_is_not_there_is_said_with_what_to_do() -> None:
    result = fig("status", "--admin", f"127.0.0.1:{free_port()}")

    assert result.exit_code == 2
    assert "is `fig serve` running there? if it is elsewhere: --admin HOST:PORT" in result.output


def test_something_else_on_that_port_is_said_so() -> None:
    with admin_api(b"<h1>It works!</h1>", 404) as api:
        result = fig("status", "--admin", api.address)

    assert (result.exit_code, "is no admin API of fig" in result.output) == (2, True)


def test_an_address_that_means_everywhere_is_asked_on_this_machine() -> None:
    with admin_api(STATUS) as api:
        assert fig("status", FIG_ADMIN=api.address.replace("127.0.0.1", "0.0.0.0")).exit_code == 0


def test_history_shows_who_moved_what_and_why() -> None:
    with admin_api({"history": [LINE]}) as api:
        result = fig("history", "cart", "--limit", "3", "--admin", api.address)

    assert api.asked[0][1] == "/api/history?limit=3&route=cart"
    for words in ("cart", "pilot", "rollback: canary 5% -> shadow", "too slow"):
        assert words in result.output


def test_a_stage_that_does_not_exist_is_refused_before_anything_is_asked() -> None:
    result = fig("stage", "cart", "canarry")

    assert result.exit_code == 2
    assert "canarry" in result.output


def test_serve_refuses_wrong_flags_with_a_right_example() -> None:
    for words, said in (
        (["--listen", "8080"], "--listen: '8080' is not an address; write 127.0.0.1:9900 or [::]:8080"),
        (["--workers", "0"], "--workers: '0' is not a number of workers"),
        (["--drain", "30"], "--drain: '30' is not a duration; write 30s"),
        (["--admin", "0.0.0.0:9900"], "needs --admin-token and --read-token"),
        (["--admin", "[::g]:1"], "'::g' is not an IPv6 address"),
    ):
        result = fig("serve", *words)
        assert (result.exit_code, said in result.output) == (2, True), result.output


def test_in_a_narrow_terminal_no_word_is_cut() -> None:
    with admin_api({"history": [{**LINE, "why": "because it answers far too slowly"}]}) as api:
        result = fig("history", "--admin", api.address, COLUMNS="60")

    assert "because it answers far too slowly" in result.output


def test_a_move_says_what_the_pilot_would_have_waited_for() -> None:
    past = ["search of the same group ('shop') is under way; one at a time"]
    with admin_api(MOVED | {"went_past": past}) as api:
        result = fig("promote", "cart", FIG_ADMIN=api.address)

    assert result.exit_code == 0, "it was moved all the same"
    assert f"fig: the pilot would have waited: {past[0]}" in result.stderr
