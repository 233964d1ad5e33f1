"""Copies sent over real sockets: what goes out, and what is said of each way in which an answer can fail to come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from proxy.shadower.securing import Securing
from rules.service import Service
from rules.stages import Side
from shadow.delivery.deliver import CopyRequest, Sender
from shadow.delivery.retry import Answered, Lost, Unsendable, Unsent
from shadow.pair import Answer

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def service(handler: Handler, host: str = "127.0.0.1", **limits: str) -> AsyncIterator[Service]:
    """A service that does exactly what `handler` does with each connection."""

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(run, host, 0)
    port = server.sockets[0].getsockname()[1]
    try:
        at = f"[{host}]" if ":" in host else host
        yield Service.model_validate({"url": f"http://{at}:{port}", "timeout": "5s", **limits})
    finally:
        server.close()


@pytest.fixture
async def sender() -> AsyncIterator[Sender]:
    made = Sender(Securing(time.monotonic), capture=64)
    yield made
    await made.close()


def request(to: Side = Side.CANDIDATE, body: bytes = b'{"a":1}', **more: object) -> CopyRequest:
    given = {
        "method": "POST",
        "target": "/api/checkout/17?x=%2F&y=a%20b",
        "host": "shop.example",
        "headers": [
            (b"content-type", b"application/json"),
            (b"X-Two", b"a"),
            (b"X-Two", b"b"),
            (b"X-Umlaut", b"\xc3\xbc"),
        ],
        "request_id": "request-1",
        "idempotency_key": "idem-1",
    }
    return CopyRequest(to=to, body=body, **{**given, **more})  # type: ignore[arg-type]


def answering(answer: bytes, seen: list[bytes]) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next((int(x[15:]) for x in head.split(b"\r\n") if x.lower().startswith(b"content-length:")), 0)
            seen.append(head + await reader.readexactly(length))
            writer.write(answer)
            await writer.drain()

    async def until_closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handle(reader, writer)
        except asyncio.IncompleteReadError:
            return

    return until_closed


CREATED = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\nok"


async def test_a_copy_is_the_captured_request_with_its_marks(sender: Sender) -> None:
    seen: list[bytes] = []
    async with service(answering(CREATED, seen)) as where:
        attempt = await sender.send(request(), where, repeatable=True)

    assert isinstance(attempt, Answered)
    assert (attempt.answer.status, attempt.answer.body) == (201, b"ok")
    assert attempt.answer.values("set-cookie") == ("a=1", "b=2")
    head, _, body = seen[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /api/checkout/17?x=%2F&y=a%20b HTTP/1.1"
    assert sorted(lines[1:]) == sorted(
        [
            b"content-type: application/json",
            b"X-Two: a",
            b"X-Two: b",
            b"X-Umlaut: \xc3\xbc",
            b"Host: shop.example",
            b"X-Request-Id: request-1",
            b"X-Fig-Copy: shadow",
            b"Idempotency-Key: idem-1",
            b"Content-Length: 7",
        ]
    )
    assert body == b'{"a":1}'


async def test_a_copy_to_legacy_says_that_it_goes_the_other_way(sender: Sender) -> None:
    seen: list[bytes] = []
    async with service(answering(CREATED, seen)) as where:
        await sender.send(request(Side.LEGACY), where, repeatable=True)

    assert b"X-Fig-Copy: reverse" in seen[0]


async def test_what_the_client_said_about_the_connection_and_its_own_marks_does_not_go_out(sender: Sender) -> None:
    seen: list[bytes] = []
    forged = [
        (b"Connection", b"upgrade"),
        (b"X-Fig-Copy", b"no"),
        (b"Idempotency-Key", b"other"),
        (b"Content-Length", b"99"),
    ]
    async with service(answering(CREATED, seen)) as where:
        await sender.send(request(headers=forged), where, repeatable=True)

    assert seen[0].count(b"X-Fig-Copy") == seen[0].count(b"Idempotency-Key") == seen[0].count(b"Content-Length") == 1
    assert b"upgrade" not in seen[0]


async def test_redirects_are_answers_and_codings_stay_on(sender: Sender) -> None:
    coded = b"HTTP/1.1 302 Found\r\nLocation: /else\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08"
    seen: list[bytes] = []
    async with service(answering(coded, seen)) as where:
        attempt = await sender.send(request(), where, repeatable=True)

    assert isinstance(attempt, Answered)
    assert (attempt.answer.status, attempt.answer.body, len(seen)) == (302, b"\x1f\x8b\x08", 1)


async def test_cookies_of_one_copy_do_not_go_out_with_the_next(sender: Sender) -> None:
    seen: list[bytes] = []
    async with service(answering(CREATED, seen)) as where:
        await sender.send(request(), where, repeatable=True)
        await sender.send(request(), where, repeatable=True)

    assert b"cookie" not in seen[1].lower()


async def test_a_large_answer_is_kept_up_to_the_limit(sender: Sender) -> None:
    large = b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000
    async with service(answering(large, [])) as where:
        attempt = await sender.send(request(), where, repeatable=True)

    assert isinstance(attempt, Answered)
    assert (attempt.answer.body, attempt.answer.truncated) == (b"x" * 64, True)


async def test_a_large_request_goes_out_whole(sender: Sender) -> None:
    seen: list[bytes] = []
    body = bytes(range(256)) * 8192
    async with service(answering(CREATED, seen)) as where:
        await sender.send(request(body=body), where, repeatable=False)

    assert seen[0].endswith(body)
    assert b"Content-Length: %d" % len(body) in seen[0]


async def test_each_attempt_goes_to_the_next_endpoint_with_its_own_host_line(sender: Sender) -> None:
    seen: list[bytes] = []
    async with service(answering(CREATED, seen)) as one, service(answering(CREATED, seen)) as other:
        both = Service(urls=(one.where, other.where))
        for _ in range(4):
            assert isinstance(await sender.send(request(host=""), both, repeatable=True), Answered)

    lines = [f"Host: {each.authority}".encode() for each in both.endpoints]
    assert [next(line for line in each.split(b"\r\n") if line.startswith(b"Host: ")) for each in seen] == lines * 2


async def test_a_service_that_takes_no_connections_got_nothing(sender: Sender) -> None:
    async with service(answering(CREATED, [])) as where:
        pass

    assert await sender.send(request(), where, repeatable=False) == Unsent("connect")


async def test_a_name_that_does_not_resolve_got_nothing(sender: Sender) -> None:
    nowhere = Service(url="http://nowhere.invalid:80")

    assert await sender.send(request(), nowhere, repeatable=False) == Unsent("connect")


@pytest.mark.parametrize("repeatable", [True, False])
async def test_a_connection_that_breaks_after_the_request_leaves_it_open_whether_it_was_processed(
    sender: Sender, repeatable: bool
) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with service(hang_up) as where:
        assert await sender.send(request(), where, repeatable=repeatable) == Lost("reset")


async def test_an_answer_that_breaks_off_is_no_answer(sender: Sender) -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 20\r\n\r\nhalf")

    async with service(half) as where:
        assert await sender.send(request(), where, repeatable=False) == Lost("reset")


async def test_an_answer_that_is_not_http_is_no_answer(sender: Sender) -> None:
    async with service(answering(b"SMTP ready\r\n\r\n", [])) as where:
        assert await sender.send(request(), where, repeatable=False) == Lost("malformed")


async def test_an_answer_with_a_field_as_long_as_clients_get_is_an_answer(sender: Sender) -> None:
    cookie = b"a=" + b"x" * 60_000

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 201 Created\r\nSet-Cookie: " + cookie + b"\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with service(handler) as candidate:
        attempt = await sender.send(request(), candidate, repeatable=True)

    assert isinstance(attempt, Answered)
    assert ("Set-Cookie", cookie.decode()) in attempt.answer.headers


async def test_a_service_that_never_answers_is_given_up(sender: Sender) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with service(hang, timeout="100ms") as where:
        assert await sender.send(request(), where, repeatable=False) == Lost("timeout")


async def test_a_service_that_answers_a_byte_at_a_time_is_given_up(sender: Sender) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with service(drip, timeout="100ms", connect_timeout="100ms") as where:
        assert await sender.send(request(), where, repeatable=False) == Lost("timeout")


async def test_a_header_that_would_split_the_request_is_never_sent(sender: Sender) -> None:
    seen: list[bytes] = []
    async with service(answering(CREATED, seen)) as where:
        attempt = await sender.send(request(headers=[(b"X", b"a\r\nEvil: 1")]), where, repeatable=True)

    assert isinstance(attempt, Unsendable)
    assert seen == []


async def test_where_nothing_deduplicates_every_copy_has_a_connection_of_its_own(sender: Sender) -> None:
    connections = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await answering(CREATED, [])(reader, writer)

    async with service(count) as where:
        for _ in range(3):
            assert isinstance(await sender.send(request(), where, repeatable=False), Answered)
        assert connections == 3
        for _ in range(3):
            assert await sender.send(request(), where, repeatable=True) == Answered(
                Answer(
                    201,
                    (("Content-Length", "2"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")),
                    b"ok",
                    seconds=pytest.approx(1, abs=9),
                )  # type: ignore[arg-type]
            )
        assert connections == 4


@pytest.mark.parametrize(("method", "length"), [("POST", 1), ("PUT", 1), ("GET", 0)])
async def test_an_empty_body_is_said_to_be_empty_where_a_body_is_expected(
    sender: Sender, method: str, length: int
) -> None:
    seen: list[bytes] = []
    async with service(answering(CREATED, seen)) as where:
        await sender.send(request(body=b"", method=method), where, repeatable=True)

    assert seen[0].count(b"Content-Length: 0\r\n") == length


async def test_an_answer_to_head_has_no_body_to_wait_for(sender: Sender) -> None:
    async with service(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", [])) as where:
        attempt = await sender.send(request(body=b"", method="HEAD"), where, repeatable=True)

    assert isinstance(attempt, Answered)
    assert attempt.answer.body == b""


async def test_a_service_that_closed_a_kept_connection_is_asked_again_on_a_new_one(sender: Sender) -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CREATED)
        await writer.drain()

    async with service(once) as where:
        for _ in range(3):
            assert isinstance(await sender.send(request(body=b"", method="GET"), where, repeatable=True), Answered)
            await asyncio.sleep(0.02)


async def test_a_copy_to_an_ipv6_service_that_is_to_get_its_own_host_has_it_in_brackets(sender: Sender) -> None:
    seen: list[bytes] = []
    try:
        async with service(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", seen), "::1") as to:
            assert isinstance(await sender.send(request(host=""), to, repeatable=False), Answered)
    except OSError as exc:
        pytest.skip(f"this machine has no IPv6: {exc}")
    assert f"\r\nHost: [::1]:{to.endpoints[0].port}\r\n".encode() in seen[0]
