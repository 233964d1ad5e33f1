"""Redirects and fixed answers: fig answers, nobody is asked, and the connection goes on wherever that is safe."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.dataplane.ports import Limits
from rules.table import Table
from tests.fakes.planes import FakeCopies, running, until
from tests.fakes.planes import table as make_table
from tests.fakes.wires import Answering

GONE = {"status": 410, "body": "gone for good\n", "headers": {"X-Why": "retired by {route}"}}


def table(legacy: str, **route: Any) -> Table:
    return make_table({"legacy": legacy}, {"name": "r", "match": {"path": "/old/**"}, **route})


def request(method: str = "GET", path: str = "/old/page?a=1", *lines: str, body: bytes = b"") -> bytes:
    head = "\r\n".join((f"{method} {path} HTTP/1.1", "Host: shop.example", *lines))
    return head.encode() + b"\r\n\r\n" + body


async def test_a_retired_path_answers_with_its_body_and_no_side_is_asked() -> None:
    copies = FakeCopies()
    async with Answering() as legacy, running(table(legacy.url, respond=GONE), copies=copies) as fig:
        client = await fig.connect()
        client.send(request("GET", "/old/page", "X-Request-Id: mine"))
        got = await client.message()

        assert (got.start, got.body) == ("HTTP/1.1 410 Gone", b"gone for good\n")
        assert got.get("content-type") == "text/plain; charset=utf-8"
        assert got.get("x-why") == "retired by r"
        assert got.get("x-request-id") == "mine"
        assert got.get("connection") is None
        assert got.get("set-cookie") is None
        client.send(request("GET", "/elsewhere"))
        assert (await client.message()).body == b"ok"
        assert len(legacy.requests) == 1
        assert copies.log == []


async def test_a_redirect_sends_the_client_to_the_whole_url_with_what_it_asked_for() -> None:
    rules = table("http://127.0.0.1:1", redirect={"status": 308, "prefix": "/new", "scheme": "https"})
    async with running(rules) as fig:
        client = await fig.connect()
        client.send(request())
        got = await client.message()

        assert (got.status, got.body) == (308, b"")
        assert got.get("location") == "https://shop.example/new/page?a=1"
        assert got.get("content-length") == "0"


async def test_the_answer_to_head_is_the_same_head_without_the_body() -> None:
    async with running(table("http://127.0.0.1:1", respond=GONE)) as fig:
        client = await fig.connect()
        client.send(request("HEAD") + request("GET"))
        head = await client.message(bodiless=True)
        whole = await client.message()

        same = [line for line in head.fields if line[0] != "x-request-id"]
        assert same == [line for line in whole.fields if line[0] != "x-request-id"]
        assert head.get("content-length") == str(len(whole.body))


@pytest.mark.parametrize("status", [204, 205, 304])
async def test_an_answer_that_has_no_content_leaves_the_connection_in_order(status: int) -> None:
    async with running(table("http://127.0.0.1:1", respond={"status": status})) as fig:
        client = await fig.connect()
        for _ in range(2):
            client.send(request())
            got = await client.message()
            assert (got.status, got.body) == (status, b"")
            assert got.get("content-length") == ("0" if status == 205 else None)


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_small_body_is_thrown_away_and_the_connection_goes_on_behind_it(framing: str) -> None:
    post = (
        request("POST", "/old/x", "Content-Length: 5", body=b"GET /")
        if framing == "length"
        else request("POST", "/old/x", "Transfer-Encoding: chunked", body=b"5\r\nGET /\r\n0\r\n\r\n")
    )
    async with Answering() as legacy, running(table(legacy.url, respond=GONE)) as fig:
        client = await fig.connect()
        client.send(post * 2 + request("GET", "/elsewhere"))

        assert [(await client.message()).status for _ in range(3)] == [410, 410, 200]
        assert [seen.start for seen in legacy.requests] == ["GET /elsewhere HTTP/1.1"]


async def test_what_is_pipelined_behind_a_body_that_comes_in_pieces_is_answered() -> None:
    async with Answering() as legacy, running(table(legacy.url, respond=GONE)) as fig:
        client = await fig.connect()
        client.send(request("POST", "/old/x", "Content-Length: 6", body=b"abc"))
        await until(lambda: any(c.exchange for c in fig.plane.clients), "the first half of the body at fig")
        client.send(b"def" + request("GET", "/elsewhere"))

        assert (await client.message()).status == 410
        assert (await client.message()).body == b"ok"


@pytest.mark.parametrize(
    "post",
    [
        request("POST", "/old/x", "Content-Length: 1000000", body=b"x" * 2000),
        request("POST", "/old/x", "Content-Length: 5", "Expect: 100-continue"),
        request("POST", "/old/x", "Transfer-Encoding: chunked", body=b"7d0\r\n" + b"x" * 2000 + b"\r\n"),
    ],
)
async def test_a_body_that_is_not_read_ends_the_connection(post: bytes) -> None:
    async with running(table("http://127.0.0.1:1", respond=GONE), limits=Limits(buffer=1000)) as fig:
        client = await fig.connect()
        client.send(post)
        got = await client.message()

        assert (got.status, got.get("connection")) == (410, "close")
        assert await client.rest() == (b"", True)


async def test_an_old_client_that_asks_for_it_keeps_its_connection() -> None:
    async with running(table("http://127.0.0.1:1", respond=GONE)) as fig:
        client = await fig.connect()
        for _ in range(2):
            client.send(b"GET /old/x HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
            assert (await client.message()).get("connection") == "keep-alive"


async def test_response_headers_of_the_route_are_on_the_answer() -> None:
    changes = {"set": {"Content-Type": "text/html"}, "add": {"X-At": "{path}"}, "remove": ["X-Why"]}
    async with running(table("http://127.0.0.1:1", respond=GONE, response_headers=changes)) as fig:
        client = await fig.connect()
        client.send(request())
        got = await client.message()

        assert (got.get("content-type"), got.get("x-at"), got.get("x-why")) == ("text/html", "/old/page", None)


async def test_a_redirect_that_cannot_be_written_is_an_answer_of_fig_and_no_traceback() -> None:
    regex = {"regex": {"match": "/old/(.*)", "replace": "/\\1/../../.."}, "status": 301}
    async with running(table("http://127.0.0.1:1", redirect=regex)) as fig:
        client = await fig.connect()
        client.send(request() * 2)

        for _ in range(2):
            got = await client.message()
            assert got.status == 500
            assert b"nothing of this request that can be sent" in got.body
        assert [done.exchange.refused for done in await fig.finished(2)] == ["rewrite", "rewrite"]


@pytest.mark.parametrize("behind", [request(), request("POST", "/old/x", "Content-Length: 3", body=b"abc")])
async def test_a_client_that_sends_no_more_gets_all_answers_that_it_asked_for(behind: bytes) -> None:
    async with Answering() as legacy, running(table(legacy.url, respond=GONE)) as fig:
        client = await fig.connect()
        other = request(path="/elsewhere")
        client.send(other + behind + behind + other + behind)
        client.finish()

        got = [await client.message() for _ in range(5)]
        assert [each.status for each in got] == [200, 410, 410, 200, 410]
        assert [each.get("connection") for each in got] == [None] * 4 + ["close"]
        assert await client.rest() == (b"", True)


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_forgotten() -> None:
    async with running(table("http://127.0.0.1:1", respond=GONE)) as fig:
        client = await fig.connect()
        client.send(request("POST", "/old/x", "Content-Length: 6", body=b"abc"))
        await until(lambda: any(c.exchange for c in fig.plane.clients), "the request at fig")
        client.reset()

        (done,) = await fig.finished()
        assert (done.status, done.failure) == (0, "client")


async def test_a_body_that_does_not_come_is_given_up() -> None:
    rules = make_table(
        {"legacy": {"url": "http://127.0.0.1:1", "idle_timeout": "50ms"}},
        {"name": "r", "match": {"path": "/old/**"}, "respond": GONE},
    )
    async with running(rules) as fig:
        client = await fig.connect()
        client.send(request("POST", "/old/x", "Content-Length: 6", body=b"abc"))

        assert (await client.message()).status == 408


async def test_the_body_limit_of_the_route_holds_for_its_own_answer() -> None:
    async with running(table("http://127.0.0.1:1", respond=GONE, max_body="1KB")) as fig:
        client = await fig.connect()
        client.send(request("POST", "/old/x", "Content-Length: 1025", body=b"x" * 1025))

        assert (await client.message()).status == 413
