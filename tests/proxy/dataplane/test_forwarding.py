"""What a service gets of a request and what a client gets of an answer, over real sockets."""

from __future__ import annotations

import asyncio

import pytest

from tests.fakes.planes import running, table
from tests.fakes.wires import Answering, Message, Service, Wire, answer

GET = b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n"


async def forwarded(*lines: bytes, start: bytes = b"GET / HTTP/1.1") -> Message:
    """The request as the service got it."""
    async with Answering() as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(b"\r\n".join((start, *lines, b"", b"")))
        await client.message()
        return legacy.requests[0]


async def answered(raw: bytes, request: bytes = GET) -> Message:
    """The answer as the client got it."""
    async with Answering(lambda _: raw) as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(request)
        return await client.message()


async def test_fields_that_end_at_a_connection_are_not_forwarded() -> None:
    got = await forwarded(
        b"Host: shop.example",
        b"Connection: X-Private, keep-alive",
        b"X-Private: 1",
        b"Keep-Alive: timeout=5",
        b"Proxy-Connection: keep-alive",
        b"Proxy-Authorization: Basic x",
        b"TE: trailers",
        b"Accept: */*",
    )

    assert {name for name, _ in got.fields} == {
        *("host", "accept", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-request-id", "traceparent"),
        "via",
    }


async def test_a_named_field_is_dropped_however_often_and_in_whatever_case_it_comes() -> None:
    got = await forwarded(b"Host: a", b"CONNECTION: x-a", b"connection: Close, X-B", b"X-A: 1", b"x-a: 1", b"X-b: 2")

    assert got.get("x-a") is None
    assert got.get("x-b") is None


async def test_fields_of_an_answer_that_end_at_a_connection_are_not_forwarded() -> None:
    got = await answered(answer(b"ok", "200 OK", "Connection: x-inner", "X-Inner: 1", "Keep-Alive: 5", "ETag: W/1"))

    assert got.get("x-inner") is None
    assert got.get("keep-alive") is None
    assert got.get("etag") == "W/1"


async def test_names_that_some_services_take_for_figs_own_are_not_forwarded() -> None:
    got = await forwarded(
        *(b"Host: a", b"X_Forwarded_For: 6.6.6.6", b"Content_Length: 5", b"x_request_id: 1", b"My_Own: 2"),
        *(b"X.Forwarded.For: 6.6.6.6", b"Transfer~Encoding: chunked", b"X-Fig|Copy: 1", b"X+Real_IP: 1", b"My.Own: 2"),
    )

    assert {name for name, _ in got.fields if not name.replace("-", "").isalnum()} == {"my_own", "my.own"}


async def test_what_fig_saw_stands_in_place_of_what_a_client_says_of_itself() -> None:
    got = await forwarded(
        b"Host: shop.example",
        b"X-Forwarded-For: 203.0.113.9",
        b"X-Forwarded-For: 198.51.100.1",
        b"X-Forwarded-Proto: https",
        b"X-Forwarded-Host: evil.example",
    )

    assert got.get("x-forwarded-for") == "127.0.0.1"
    assert got.get("x-forwarded-proto") == "http"
    assert got.get("x-forwarded-host") == "shop.example"


async def test_the_forwarded_lines_of_a_connection_follow_its_requests() -> None:
    async with Answering() as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        for host in (b"a", b"b", b"a"):
            client.send(b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % host)
            await client.message()

        assert [r.get("x-forwarded-host") for r in legacy.requests] == ["a", "b", "a"]
        assert [r.get("host") for r in legacy.requests] == ["a", "b", "a"]


async def test_ids_that_came_are_kept() -> None:
    parent = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    got = await forwarded(b"Host: a", b"X-Request-Id: mine-1", b"traceparent: " + parent, b"tracestate: v=1")

    assert got.get("x-request-id") == "mine-1"
    assert got.get("traceparent") == parent.decode()
    assert got.get("tracestate") == "v=1"


@pytest.mark.parametrize(
    "parent",
    [
        b"00-00000000000000000000000000000000-b7ad6b7169203331-01",
        b"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        b"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        b"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        b"nonsense",
    ],
)
async def test_a_malformed_traceparent_is_replaced_and_its_state_dropped(parent: bytes) -> None:
    got = await forwarded(b"Host: a", b"traceparent: " + parent, b"tracestate: vendor=1")

    made = got.get("traceparent")
    assert made is not None
    assert made != parent.decode()
    assert [len(part) for part in made.split("-")] == [2, 32, 16, 2]
    assert got.get("tracestate") is None  # W3C Trace Context 3.3: without a valid parent there is no state


async def test_a_request_id_is_made_and_the_trace_begins_with_it() -> None:
    got = await forwarded(b"Host: a")

    made = got.get("x-request-id")
    assert made is not None
    assert len(made) == 32
    assert (got.get("traceparent") or "").split("-")[1] == made


async def test_an_answer_names_its_request_whatever_the_service_says() -> None:
    got = await answered(
        answer(b"ok", "200 OK", "X-Request-Id: other"), b"GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: mine\r\n\r\n"
    )

    assert got.get("x-request-id") == "mine"


async def test_the_path_is_forwarded_as_it_was_matched() -> None:
    got = await forwarded(b"Host: a", start=b"GET /a/../b//%7Ec?q=%2F&x=\xc3\xa9 HTTP/1.1")

    assert got.start == "GET /b/~c?q=%2F&x=%C3%A9 HTTP/1.1"


async def test_the_absolute_form_becomes_the_origin_form_with_its_host() -> None:
    got = await forwarded(b"Host: shop.example", start=b"GET http://shop.example/x?y HTTP/1.1")

    assert got.start == "GET /x?y HTTP/1.1"
    assert got.get("host") == "shop.example"


async def test_options_for_the_whole_server_is_forwarded_as_such() -> None:
    got = await forwarded(b"Host: a", start=b"OPTIONS * HTTP/1.1")

    assert got.start == "OPTIONS * HTTP/1.1"


async def test_one_service_connection_carries_the_requests_of_several_clients() -> None:
    async with Answering() as legacy, running(table({"legacy": legacy.url})) as fig:
        for _ in range(3):
            client = await fig.connect()
            for _ in range(2):
                client.send(GET)
                assert (await client.message()).body == b"ok"
            client.close()

        assert len(legacy.requests) == 6
        assert legacy.connections == 1


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with (
        Answering(lambda request: answer(request.start.encode())) as legacy,
        running(table({"legacy": legacy.url})) as fig,
    ):
        client = await fig.connect()
        client.send(
            b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
            b"POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
            b"GET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            b"GET /4 HTTP/1.1\r\nHost: a\r\n\r\n"
        )

        bodies = [(await client.message()).body for _ in range(3)]
        assert bodies == [b"GET /1 HTTP/1.1", b"POST /2 HTTP/1.1", b"GET /3 HTTP/1.1"]
        assert await client.rest() == (b"", True)
        assert [r.body for r in legacy.requests] == [b"", b"abc", b""]


async def test_requests_that_came_before_a_half_close_are_all_answered() -> None:
    async with Answering() as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(GET * 3)
        client.finish()

        for _ in range(3):
            assert (await client.message()).body == b"ok"
        assert await client.rest() == (b"", True)


async def test_a_request_in_single_bytes_is_one_request() -> None:
    async with Answering() as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        for byte in b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n":
            client.send(bytes((byte,)))
            await asyncio.sleep(0)

        assert (await client.message()).body == b"ok"
        assert legacy.requests[0].body == b"abc"


async def test_an_answer_in_single_bytes_is_one_answer() -> None:
    async def drip(wire: Wire) -> None:
        await wire.message()
        for byte in b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n":
            wire.send(bytes((byte,)))
            await asyncio.sleep(0)
        await wire.some()

    async with Service(drip) as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(GET)

        assert (await client.message()).body == b"abcde"


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
async def test_an_answer_that_has_no_body_leaves_both_connections_usable(status: str) -> None:
    raw = f"HTTP/1.1 {status}\r\nETag: x\r\n\r\n".encode()
    async with Answering(lambda _: raw) as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        for _ in range(2):
            client.send(GET)
            got = await client.message()
            assert got.start == f"HTTP/1.1 {status}"
            assert got.get("transfer-encoding") is None

        assert legacy.connections == 1


async def test_the_answer_to_head_keeps_its_length_and_has_no_body() -> None:
    def reply(request: Message) -> bytes:
        whole = answer(b"x" * 50)
        return whole[:-50] if request.start.startswith("HEAD") else whole

    async with Answering(reply) as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(GET.replace(b"GET", b"HEAD"))
        got = await client.message(bodiless=True)
        assert got.get("content-length") == "50"

        client.send(GET)
        assert (await client.message()).body == b"x" * 50
        assert legacy.connections == 1


async def test_a_body_where_none_may_be_is_not_taken_for_the_next_answer() -> None:
    raws = iter(
        [b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", answer(b"clean")]
    )
    async with Answering(lambda _: next(raws)) as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(GET)
        assert (await client.message()).status == 204
        client.send(GET)

        assert (await client.message()).body == b"clean"
        assert legacy.connections == 2


async def test_chunks_and_trailers_pass_both_ways() -> None:
    raw = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwxyz\r\n0\r\nX-Sum: 9\r\nContent-Length: 1\r\n\r\n"
    )
    async with Answering(lambda _: raw) as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3;note=1\r\nabc\r\n2\r\nde\r\n0\r\nX-Check: 7\r\nHost: evil\r\n\r\n"
        )
        got = await client.message()

        assert got.body == b"wxyz"
        assert got.trailers == ("X-Sum: 9",)
        assert legacy.requests[0].body == b"abcde"
        assert legacy.requests[0].trailers == ("X-Check: 7",)


async def test_an_http_1_0_client_gets_no_chunks_and_the_end_of_its_connection() -> None:
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwxyz\r\n0\r\n\r\n"
    async with Answering(lambda _: raw) as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        got = await client.message()

        assert got.get("transfer-encoding") is None
        assert got.get("connection") == "close"
        assert got.body == b"wxyz"
        assert legacy.requests[0].start == "GET / HTTP/1.1"
        assert legacy.requests[0].get("host") == f"127.0.0.1:{legacy.port}"


async def test_an_http_1_0_client_may_ask_to_keep_its_connection() -> None:
    async with Answering() as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        for _ in range(2):
            client.send(b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
            got = await client.message()
            assert got.get("connection") == "keep-alive"
            assert got.body == b"ok"


async def test_an_http_1_0_client_that_asks_for_nothing_is_closed() -> None:
    async with Answering() as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(b"GET / HTTP/1.0\r\n\r\n")

        assert (await client.message()).body == b"ok"
        assert await client.rest() == (b"", True)


async def test_an_http_1_0_service_is_understood() -> None:
    async def once(wire: Wire) -> None:
        await wire.message()
        wire.send(b"HTTP/1.0 200 OK\r\n\r\nall of it")

    async with Service(once) as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        for _ in range(2):
            client.send(GET)
            got = await client.message()
            assert (got.body, got.is_complete) == (b"all of it", True)

        assert legacy.connections == 2


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_a_client_can_tell_that_an_answer_without_length_was_cut(version: bytes) -> None:
    half_sent = asyncio.Event()

    async def cut(wire: Wire) -> None:
        await wire.message()
        wire.send(b"HTTP/1.1 200 OK\r\n\r\nhalf of")
        await half_sent.wait()
        wire.reset()

    async with Service(cut) as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(b"GET / HTTP/%b\r\nHost: a\r\n\r\n" % version)
        head = await client.head()
        if version == b"1.1":
            assert b"Transfer-Encoding: chunked" in head
        assert await client.some()
        half_sent.set()
        rest, orderly = await client.rest()

        assert not rest.endswith(b"0\r\n\r\n")
        if version == b"1.0":
            assert not orderly  # only a reset tells an HTTP/1.0 client
        assert [(f.status, f.failure) for f in await fig.finished()] == [(200, "reset")]


async def test_interim_answers_are_passed_on() -> None:
    raw = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + answer()
    async with Answering(lambda _: raw) as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(GET)
        hints = await client.message()

        assert (hints.status, hints.get("link")) == (103, "</a.css>")
        assert (await client.message()).status == 200
        client.send(GET.replace(b"1.1", b"1.0"))
        assert (await client.message()).status == 200  # RFC 9110 15.2: not to HTTP/1.0


async def test_a_client_that_waits_for_100_gets_it_from_the_service() -> None:
    async def ask(wire: Wire) -> None:
        head = await wire.head()
        assert b"Expect: 100-continue" in head
        wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await wire.reader.readexactly(3) == b"abc"
        wire.send(answer(b"thanks"))

    async with Service(ask) as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert (await client.message()).status == 100
        client.send(b"abc")

        assert (await client.message()).body == b"thanks"


async def test_an_early_final_answer_reaches_a_client_that_still_sends() -> None:
    async def refuse(wire: Wire) -> None:
        await wire.head()
        wire.send(answer(b"too large", "413 Content Too Large"))

    async with Service(refuse) as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000)
        got = await client.message()
        client.send(b"x" * 100_000)  # not reset away

        assert (got.status, got.body, got.get("connection")) == (413, b"too large", "close")
        assert await client.rest() == (b"", True)
        assert [f.status for f in await fig.finished()] == [413]


async def test_events_pass_one_by_one() -> None:
    received = asyncio.Event()

    async def stream(wire: Wire) -> None:
        await wire.message()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        await received.wait()  # the second is not sent before the first is there
        wire.send(b"data: 2\n\n")

    async with Service(stream) as legacy, running(table({"legacy": legacy.url})) as fig:
        client = await fig.connect()
        client.send(GET)
        await client.head()
        assert b"data: 1\n\n" in await client.some()
        received.set()

        assert b"data: 2\n\n" in await client.some()


async def test_gzip_and_cookies_and_redirects_pass_untouched() -> None:
    packed = bytes(range(256))
    got = await answered(
        answer(
            packed,
            "302 Found",
            "Content-Encoding: gzip",
            "Set-Cookie: a=1; Path=/",
            "Set-Cookie: b=2; Secure",
            "Location: http://inner:9000/x",
            "Cache-Control: public",
        )
    )

    assert got.body == packed
    assert got.all("set-cookie") == ["a=1; Path=/", "b=2; Secure"]
    assert got.get("location") == "http://inner:9000/x"
    assert got.get("cache-control") == "public"


@pytest.mark.parametrize(("method", "length"), [("GET", None), ("DELETE", None), ("POST", "0"), ("PUT", "0")])
async def test_a_length_of_nothing_is_said_where_methods_usually_have_a_body(method: str, length: str | None) -> None:
    got = await forwarded(b"Host: a", b"Content-Length: 0", start=f"{method} / HTTP/1.1".encode())

    assert got.get("content-length") == length


@pytest.mark.parametrize("name", ["X-Fig-Copy", "X-Fig-Probe"])
async def test_no_client_can_pass_its_request_off_as_a_copy_or_a_probe(name: str) -> None:
    """Services leave out side effects, such as payments, for what carries X-Fig-Copy or X-Fig-Probe."""
    got = await forwarded(b"Host: a", f"{name}: shadow".encode())
    assert got.get(name.lower()) is None


async def test_a_request_id_that_cannot_be_a_trace_id_begins_no_trace_by_that_name() -> None:
    got = await forwarded(b"Host: a", b"X-Request-Id: " + b"0" * 32)

    assert got.get("x-request-id") == "0" * 32
    assert (got.get("traceparent") or "").split("-")[1].strip("0")
