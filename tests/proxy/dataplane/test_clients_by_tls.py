"""Clients that come by TLS: the handshake, what services are told, and every way in which such a connection ends."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import socket
import ssl
from pathlib import Path

import pytest

from proxy.dataplane import plane
from proxy.dataplane.handshakes import reason_of
from proxy.dataplane.ports import Limits
from tests.fakes.certificates import Authority, serial_of
from tests.fakes.planes import Fig, running, table, until
from tests.fakes.secured import secured
from tests.fakes.wires import Answering, Message, Service, Wire, answer

AUTHORITY = Authority()
SHOP = AUTHORITY.issue("shop.example", "*.shop.example")
GET = b"GET /a HTTP/1.1\r\nHost: shop.example\r\n\r\n"
HANDSHAKE = (
    b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
MB = 2**20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    SHOP.write(tmp_path, "shop")
    return tmp_path


def resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def get(wire: Wire) -> Message:
    wire.send(GET)
    return await wire.message()


# --- the handshake ---------------------------------------------------------------------------------------------------


async def test_a_client_by_tls_is_answered_and_its_service_is_told_https(folder: Path) -> None:
    routes = [{"name": "safe", "match": {"path": "/**", "scheme": "https"}, "candidate": "legacy", "stage": "live"}]
    async with (
        Answering() as legacy,
        running(table({"legacy": legacy.url}, *routes)) as fig,
        secured(fig, folder, AUTHORITY) as tls,
    ):
        client = await tls.connect()
        assert (await get(client)).status == 200
        assert (await get(client)).status == 200

        assert [request.get("x-forwarded-proto") for request in legacy.requests] == ["https", "https"]
        assert [each.route for each in await fig.finished(2)] == ["safe", "safe"]
        assert client.writer.get_extra_info("ssl_object").selected_alpn_protocol() is None
        assert tls.versions == ["TLSv1.3"]

        plain = await fig.connect()
        await get(plain)
        assert legacy.requests[-1].get("x-forwarded-proto") == "http"
        assert (await fig.finished(3))[-1].route == "-"


async def test_http_1_1_is_the_protocol_that_is_agreed_on(folder: Path) -> None:
    context = AUTHORITY.client()
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with (
        Answering() as legacy,
        running(table({"legacy": legacy.url})) as fig,
        secured(fig, folder, AUTHORITY) as tls,
    ):
        client = await tls.connect(context=context)

        assert client.writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"


async def test_the_name_chooses_the_certificate_and_without_one_the_first_is_shown(folder: Path) -> None:
    first, exact = AUTHORITY.issue("first.example"), AUTHORITY.issue("pay.shop.example")
    first.write(folder, "a")
    exact.write(folder, "pay/", "tls.crt", "tls.key")
    unsure = AUTHORITY.client(verify=False)
    async with (
        Answering() as legacy,
        running(table({"legacy": legacy.url})) as fig,
        secured(fig, folder, AUTHORITY) as tls,
    ):

        async def shown(name: str | None) -> int:
            wire = await tls.connect(name, None if name and name.endswith("shop.example") else unsure)
            return serial_of(wire.writer.get_extra_info("ssl_object").getpeercert(binary_form=True))

        assert await shown("shop.example") == SHOP.serial
        assert await shown("www.shop.example") == SHOP.serial
        assert await shown("pay.shop.example") == exact.serial
        assert await shown("first.example") == first.serial
        assert await shown("unknown.example") == first.serial
        assert await shown(None) == first.serial


@pytest.mark.parametrize(
    ("version", "expected"), [(ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")]
)
async def test_both_versions_of_today_are_spoken(folder: Path, version: ssl.TLSVersion, expected: str) -> None:
    context = AUTHORITY.client()
    context.maximum_version = version
    async with (
        Answering() as legacy,
        running(table({"legacy": legacy.url})) as fig,
        secured(fig, folder, AUTHORITY) as tls,
    ):
        client = await tls.connect(context=context)
        assert (await get(client)).status == 200

        assert tls.versions == [expected]
        assert "GCM" in client.writer.get_extra_info("cipher")[0]


HANDSHAKE_RECORD = b"\x16"
HELLO_OF_SSL3 = bytes.fromhex(
    "16030000290100002503000000000000000000000000000000000000000000000000000000000000000000000200350100"
)


def hello(name: bytes) -> bytes:
    """A ClientHello that asks for this name, of 15 bytes, which may be no host name at all."""
    outgoing = ssl.MemoryBIO()
    client = AUTHORITY.client().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="strange.example")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    said = outgoing.read()
    assert said.count(b"strange.example") == 1
    return said.replace(b"strange.example", name)


@pytest.mark.parametrize(
    ("said", "reasons"),
    [
        (b"\x00" * 100, {"not_tls", "other"}),
        (b"\x16\x03\x01\xff\xff" + b"\xff" * 70_000, {"not_tls", "other"}),
        (HELLO_OF_SSL3, {"version", "other"}),
        pytest.param(
            hello(b"str\xffnge.example"),
            {"other"},
            # Python can only print that it cannot read the name; a worker leaves that out (proxy/worker/secure.py).
            marks=pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
        ),
        (b"\r\n" * 10, {"not_tls", "other"}),
    ],
    ids=["zeros", "large", "ssl3", "strange name", "lines"],
)
async def test_what_is_no_handshake_ends_and_is_counted(folder: Path, said: bytes, reasons: set[str]) -> None:
    async with (
        Answering() as legacy,
        running(table({"legacy": legacy.url})) as fig,
        secured(fig, folder, AUTHORITY) as tls,
    ):
        stranger = await tls.connect_plainly()
        stranger.send(said)
        await stranger.rest()

        assert (await get(await tls.connect())).status == 200
        assert len(tls.failures) == 1
        assert set(tls.failures) <= reasons


@pytest.mark.parametrize(
    "said",
    [
        GET,
        b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"OPTIONS * HTTP/1.0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 3_000_000,
        b"G",
    ],
    ids=["get", "head", "options", "body", "one byte"],
)
async def test_who_speaks_plain_http_is_told_that_it_has_to_be_tls(folder: Path, said: bytes) -> None:
    """The answer arrives however much is sent behind the head, and the connection is good for nothing more."""
    async with (
        Answering() as legacy,
        running(table({"legacy": legacy.url})) as fig,
        secured(fig, folder, AUTHORITY) as tls,
    ):
        stranger = await tls.connect_plainly()
        stranger.send(said)
        got = await stranger.message(bodiless=said.startswith(b"HEAD"))
        stranger.send(GET)
        assert (got.status, got.get("connection")) == (400, "close")
        assert b"TLS" in got.body or said.startswith(b"HEAD")
        assert await stranger.rest() == (b"", True)
        stranger.close()

        await until(lambda: not (fig.plane.arriving or fig.plane.clients), "the end of the connection")
        assert tls.failures == fig.notes.refusals == ["plain_http"]
        assert legacy.requests == []
        assert (await get(await tls.connect())).status == 200


async def test_who_speaks_plain_http_where_there_is_no_room_is_told_so_once(folder: Path) -> None:
    async with (
        Answering() as legacy,
        running(table({"legacy": legacy.url}), limits=Limits(connections=8)) as fig,
        secured(fig, folder, AUTHORITY) as tls,
    ):
        for _ in range(8):
            await tls.connect()
        stranger = await tls.connect_plainly()
        stranger.send(GET)

        assert (await stranger.message()).status == 503
        assert await stranger.rest() == (b"", True)
        assert tls.failures == ["plain_http"]


async def test_a_hello_that_comes_byte_by_byte_is_as_good_as_any(folder: Path) -> None:
    async with (
        Answering() as legacy,
        running(table({"legacy": legacy.url})) as fig,
        secured(fig, folder, AUTHORITY) as tls,
    ):
        stranger = await tls.connect_plainly()
        for byte in hello(b"strange.example"):
            stranger.send(bytes((byte,)))
            await asyncio.sleep(0.0001)

        assert (await stranger.some())[:1] == HANDSHAKE_RECORD
        assert tls.failures == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # names that are none, as above
async def test_mutated_hellos_come_to_an_end_and_leave_nothing_behind(folder: Path) -> None:
    chance = random.Random(0)
    whole = hello(b"strange.example")

    def mutated() -> bytes:
        said = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            said[chance.randrange(len(said))] = chance.randrange(256)
        return bytes(said[: chance.randint(1, len(said))] if chance.random() < 0.3 else said)

    async with (
        Answering() as legacy,
        running(table({"legacy": legacy.url})) as fig,
        secured(fig, folder, AUTHORITY, patience=0.5) as tls,
    ):

        async def meet(said: bytes) -> None:
            stranger = await tls.connect_plainly()
            stranger.send(said)
            await stranger.rest()

        await asyncio.gather(*(meet(mutated()) for _ in range(150)))

        await until(lambda: not fig.plane.arriving, "the end of every handshake")
        assert len(tls.failures) == 150
        assert (await get(await tls.connect())).status == 200


async def test_tls_at_the_plain_port_is_refused_and_fig_lives(folder: Path) -> None:
    async with Answering() as legacy, running(table({"legacy": legacy.url})) as fig:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("127.0.0.1", fig.port, ssl=AUTHORITY.client(), server_hostname="shop.example")

        assert (await get(await fig.connect())).status == 200


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01"])
async def test_a_handshake_that_takes_too_long_is_given_up(folder: Path, said: bytes) -> None:
    async with (
        Answering() as legacy,
        running(table({"legacy": legacy.url})) as fig,
        secured(fig, folder, AUTHORITY, patience=0.1) as tls,
    ):
        idle = await tls.connect_plainly()
        idle.send(said)

        assert (await idle.rest())[0] == b""
        await until(lambda: not fig.plane.arriving, "the end of the handshake")
        assert tls.failures == ["timeout"]


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_client_that_leaves_during_the_handshake_leaves_nothing_behind(folder: Path, how: str) -> None:
    async with (
        Answering() as legacy,
        running(table({"legacy": legacy.url})) as fig,
        secured(fig, folder, AUTHORITY) as tls,
    ):
        for _ in range(5):
            stranger = await tls.connect_plainly()
            stranger.send(b"\x16\x03")
            getattr(stranger, how)()

        await until(lambda: len(tls.failures) == 5, "five failures")
        assert set(tls.failures) == {"client_left"}
        await until(lambda: not (fig.plane.arriving or fig.plane.clients), "the end of all five")


def shake(port: int, context: ssl.SSLContext) -> None:
    """A handshake as programs without a loop make it: they say why they end it."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
        context.wrap_socket(raw, server_hostname="shop.example").close()


async def test_a_client_that_does_not_take_the_certificate_is_counted(folder: Path) -> None:
    strict = ssl.create_default_context()
    strict.maximum_version = ssl.TLSVersion.TLSv1_2  # in 1.3 the server's part is over before the client says so
    async with (
        Answering() as legacy,
        running(table({"legacy": legacy.url})) as fig,
        secured(fig, folder, AUTHORITY) as tls,
    ):
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.to_thread(shake, tls.port, strict)

        await until(lambda: tls.failures, "a failure")
        assert tls.failures == ["refused_by_client"]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_versions_of_yesterday_are_refused(folder: Path) -> None:
    old = AUTHORITY.client(verify=False)
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    async with (
        Answering() as legacy,
        running(table({"legacy": legacy.url})) as fig,
        secured(fig, folder, AUTHORITY) as tls,
    ):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.to_thread(shake, tls.port, old)

        assert tls.failures == ["version"]


def test_only_a_few_words_are_reasons() -> None:
    assert reason_of(ValueError()) == "other"
    assert reason_of(ConnectionResetError()) == "client_left"
    assert reason_of(ConnectionAbortedError()) == "timeout"
    assert reason_of(TimeoutError()) == "timeout"


async def test_far_more_clients_than_there_may_be_are_not_even_shaken_hands_with(folder: Path) -> None:
    async with (
        Answering() as legacy,
        running(table({"legacy": legacy.url}), limits=Limits(connections=8)) as fig,
        secured(fig, folder, AUTHORITY) as tls,
    ):
        clients = [await tls.connect() for _ in range(8)]
        ninth, tenth = await tls.connect(), await tls.connect_plainly()

        refused = await ninth.message()
        assert (refused.status, await ninth.rest()) == (503, (b"", True))
        await until(lambda: len(fig.plane.clients) == 8, "the end of the ninth")
        crowd = [await tls.connect_plainly() for _ in range(4)]
        for each in crowd[1:]:
            await each.rest()
        assert set(tls.failures) == {"crowded"}
        assert [(await get(client)).status for client in clients] == [200] * 8
        tenth.close()


# --- exchanges ------------------------------------------------------------------------------------------------------


async def test_large_bodies_pass_both_ways_in_little_memory(folder: Path) -> None:
    size = 64

    async def echo(wire: Wire) -> None:
        await wire.head()
        wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        got = 0
        while got < size * MB:
            data = await wire.some(MB)
            got += len(data)
            wire.send(b"%x\r\n%b\r\n" % (len(data), data))
            await wire.writer.drain()
        wire.send(b"0\r\n\r\n")

    async with (
        Service(echo) as legacy,
        running(table({"legacy": legacy.url})) as fig,
        secured(fig, folder, AUTHORITY) as tls,
    ):
        client = await tls.connect()
        gc.collect()
        before = resident()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (size * MB))

        async def upload() -> None:
            for number in range(size):
                client.send(bytes([number]) * MB)
                await client.writer.drain()

        uploading = asyncio.create_task(upload())
        await client.head()
        got = bytearray()
        counts = [0] * 256
        while length := int((await client.reader.readuntil(b"\r\n"))[:-2], 16):
            got = bytearray(await client.reader.readexactly(length + 2))
            counts[got[0]] += 1
            assert all(each.unsent < MB for each in fig.plane.clients)
        await uploading

        assert resident() - before < 32 * MB  # the client's and the service's buffers are in it too


async def test_a_reader_that_stalls_keeps_the_rest_at_the_service_and_is_given_up(folder: Path) -> None:
    sent = 0

    async def large(wire: Wire) -> None:
        nonlocal sent
        await wire.message()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (200 * MB))
        for _ in range(200):
            wire.send(bytes(MB))
            await wire.writer.drain()
            sent += MB

    limits = Limits(stall=0.3)
    async with (
        Service(large) as legacy,
        running(table({"legacy": {"url": legacy.url, "idle_timeout": "300ms"}}), limits=limits) as fig,
        secured(fig, folder, AUTHORITY) as tls,
    ):
        client = await tls.connect()
        client.writer.transport.pause_reading()
        client.send(GET)
        await until(lambda: any(c.writing_paused for c in fig.plane.clients), "a client that does not keep up")
        assert max(c.unsent for c in fig.plane.clients) < MB

        (finished,) = await fig.finished()
        assert (finished.status, finished.failure) == (200, "client")
        assert sent < 100 * MB


async def test_requests_may_be_pipelined(folder: Path) -> None:
    async with (
        Answering(lambda request: answer(request.start.encode())) as legacy,
        running(table({"legacy": legacy.url})) as fig,
        secured(fig, folder, AUTHORITY) as tls,
    ):
        client = await tls.connect()
        client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(10)))

        bodies = [(await client.message()).body for _ in range(10)]
        assert bodies == [b"GET /%d HTTP/1.1" % number for number in range(10)]


# --- ends -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("request_line", [b"GET / HTTP/1.0", b"GET / HTTP/1.1"])
async def test_the_last_answer_is_followed_by_an_orderly_end(folder: Path, request_line: bytes) -> None:
    async def endless(wire: Wire) -> None:
        await wire.message()
        wire.send(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 300_000)

    async with (
        Service(endless) as legacy,
        running(table({"legacy": legacy.url}), limits=Limits(linger=60.0)) as fig,
        secured(fig, folder, AUTHORITY) as tls,
    ):
        client = await tls.connect()
        client.send(request_line + b"\r\nHost: a\r\nConnection: close\r\n\r\n")

        data, orderly = await client.rest()
        assert orderly
        assert data.count(b"x") >= 300_000
        await until(lambda: not fig.plane.clients, "the end of the connection")


async def test_an_early_answer_arrives_though_the_client_goes_on_sending(folder: Path) -> None:
    routes = [
        {"name": "small", "match": {"path": "/**"}, "candidate": "legacy", "stage": "live", "max_body": "1KB"},
    ]
    async with (
        Answering() as legacy,
        running(table({"legacy": legacy.url}, *routes), limits=Limits(linger=0.5)) as fig,
        secured(fig, folder, AUTHORITY) as tls,
    ):
        client = await tls.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n" + b"x" * 100_000)

        assert (await client.message()).status == 413
        await until(lambda: not fig.plane.clients, "the end of the connection")


async def test_a_client_that_ends_its_half_is_gone(folder: Path) -> None:
    asked = asyncio.Event()
    gone = asyncio.Event()

    async def slow(wire: Wire) -> None:
        await wire.message()
        asked.set()
        await wire.rest()
        gone.set()

    async with (
        Service(slow) as legacy,
        running(table({"legacy": legacy.url})) as fig,
        secured(fig, folder, AUTHORITY) as tls,
    ):
        client = await tls.connect()
        client.send(GET)
        await asked.wait()
        client.close()

        async with asyncio.timeout(5):
            await gone.wait()
        assert [each.failure for each in await fig.finished()] == ["client"]


@pytest.mark.parametrize("ends", ["client", "service"])
async def test_a_websocket_ends_for_both_when_it_ends_for_one(folder: Path, ends: str) -> None:
    at_service = b""

    async def chat(wire: Wire) -> None:
        nonlocal at_service
        await wire.message()
        wire.send(SWITCHED + b"hello")
        if ends == "service":
            wire.send(b"y" * 200_000)
            wire.finish()
        at_service, _ = await wire.rest()

    async with (
        Service(chat) as legacy,
        running(table({"legacy": legacy.url})) as fig,
        secured(fig, folder, AUTHORITY) as tls,
    ):
        client = await tls.connect()
        client.send(HANDSHAKE)
        assert (await client.message()).status == 101
        assert await client.reader.readexactly(5) == b"hello"
        if ends == "client":
            client.send(b"x" * 200_000)
            client.close()
            await until(lambda: legacy.ended, "the end at the service")
            assert at_service == b"x" * 200_000
        else:
            data, orderly = await client.rest()
            assert (data, orderly) == (b"y" * 200_000, True)
        assert [(each.status, each.failure) for each in await fig.finished()] == [(101, "")]


async def test_a_drain_ends_idle_connections_and_awaits_handshakes_and_answers(folder: Path) -> None:
    release = asyncio.Event()

    async def slow(wire: Wire) -> None:
        await wire.message()
        await release.wait()
        wire.send(answer(b"late"))

    async with (
        Service(slow) as legacy,
        running(table({"legacy": legacy.url})) as fig,
        secured(fig, folder, AUTHORITY, patience=1.5) as tls,
    ):
        idle, busy, silent = await tls.connect(), await tls.connect(), await tls.connect_plainly()
        busy.send(GET)
        await until(lambda: legacy.connections, "the request at the service")
        await until(lambda: fig.plane.arriving, "a handshake under way")
        draining = asyncio.create_task(fig.plane.drain(10))
        await asyncio.sleep(0)
        release.set()

        got = await busy.message()
        assert (got.body, got.get("connection")) == (b"late", "close")
        assert await busy.rest() == (b"", True)
        assert await idle.rest() == (b"", True)
        assert (await silent.rest())[0] == b""
        assert await draining == 0
        assert tls.failures == ["timeout"]


async def test_a_drain_does_not_wait_to_its_end_for_a_client_that_says_no_goodbye(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Like a pool of connections at a client, which reads nothing between two requests."""
    monkeypatch.setattr(plane, "DRAIN_IDLE", 0.1)
    async with (
        Answering() as legacy,
        running(table({"legacy": legacy.url}), limits=Limits(linger=0.2)) as fig,
        secured(fig, folder, AUTHORITY) as tls,
    ):
        client = await tls.connect()
        await get(client)
        client.writer.transport.pause_reading()
        assert await fig.plane.drain(5) == 0


# --- changing certificates ------------------------------------------------------------------------------------------


async def serial_shown(fig: Fig, port: int) -> int:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=AUTHORITY.client(), server_hostname="shop.example"
    )
    try:
        writer.write(GET)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        await reader.readexactly(2)
        return serial_of(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
    finally:
        writer.close()


async def test_certificates_change_under_load_and_nobody_fails(folder: Path) -> None:
    async with (
        Answering() as legacy,
        running(table({"legacy": legacy.url})) as fig,
        secured(fig, folder, AUTHORITY) as tls,
    ):
        lasting = await tls.connect()
        serials: list[int] = []
        is_over = False

        async def clients() -> None:
            while not is_over:
                serials.append(await serial_shown(fig, tls.port))

        loading = [asyncio.create_task(clients()) for _ in range(4)]
        issued = [SHOP.serial]
        for turn in range(8):
            following = AUTHORITY.issue("shop.example")
            issued.append(following.serial)
            # One after the other, with a look in between: the pair does not match then, and the former one is shown.
            (folder / "shop.key").write_bytes(following.key)
            await tls.following.look(asked=True)
            assert not tls.following.is_well
            (folder / "shop.crt").write_bytes(following.certificate)
            await tls.following.look(asked=True)
            assert tls.following.is_well
            if turn % 2:
                (folder / "shop.crt").write_bytes(b"broken")
                await tls.following.look(asked=True)
                assert not tls.following.is_well
            assert await serial_shown(fig, tls.port) == following.serial
        is_over = True
        await asyncio.gather(*loading)

        assert set(serials) <= set(issued)
        assert (await get(lasting)).status == 200
        assert not tls.failures
