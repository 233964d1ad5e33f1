"""Services that are spoken to by TLS: whom fig believes, who fig says that it is, and what is said when it fails."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
from structlog.testing import capture_logs

from proxy.dataplane.services.tls import Contexts, TlsError, explain, make_context, server_name
from rules.service import Service as Spec
from rules.service import Tls
from tests.fakes.certificates import Authority, serial_of, server
from tests.fakes.endpoints import Clock
from tests.fakes.planes import Fig, running, table, until
from tests.fakes.wires import PATIENCE, Answering, Service, Wire, answer

AUTHORITY, STRANGER = Authority(), Authority("a stranger")
HERE = AUTHORITY.issue("127.0.0.1", "localhost")
GET = b"GET /a HTTP/1.1\r\nHost: shop.example\r\n\r\n"
MB = 2**20


@pytest.fixture
def ca(tmp_path: Path) -> str:
    (tmp_path / "ca.pem").write_bytes(AUTHORITY.pem)
    return str(tmp_path / "ca.pem")


async def ask(fig: Fig) -> tuple[int, str]:
    """The status that a client gets, and what went wrong."""
    client = await fig.connect()
    client.send(GET)
    got = await client.message()
    client.close()
    return got.status, (await fig.finished())[-1].failure


def by_tls(service: Service, **tls: Any) -> dict[str, Any]:
    return {"url": service.url, "tls": tls} if tls else {"url": service.url}


async def test_a_service_that_shows_a_believed_certificate_is_asked(ca: str, tmp_path: Path) -> None:
    async with (
        Answering(context=server(HERE, tmp_path)) as legacy,
        running(table({"legacy": by_tls(legacy, ca=ca)})) as fig,
    ):
        client = await fig.connect()
        for _ in range(3):
            client.send(GET)
            assert (await client.message()).status == 200

        assert legacy.connections == 1
        assert legacy.requests[0].get("x-forwarded-proto") == "http"  # how the client came


@pytest.mark.parametrize(
    ("issue", "tls", "reason"),
    [
        (lambda: STRANGER.issue("127.0.0.1"), {}, "is not trusted .*give the file of its authorities as 'ca'"),
        (lambda: AUTHORITY.issue("127.0.0.1", begins=-9, days=5), {}, "is not valid now .*expired.*renew it"),
        (lambda: AUTHORITY.issue("127.0.0.1", begins=5), {}, "is not valid now .*not yet valid"),
        (lambda: AUTHORITY.issue("127.0.0.2"), {}, "is for another name .*give 'server_name'"),
        (lambda: AUTHORITY.issue("other.example"), {"server_name": "shop.example"}, "is for another name"),
    ],
    ids=["unknown authority", "expired", "not yet valid", "another address", "another name"],
)
async def test_a_certificate_that_is_not_believed_is_a_failure_of_tls(
    ca: str, tmp_path: Path, issue: Callable[[], Any], tls: dict[str, str], reason: str
) -> None:
    async with (
        Answering(context=server(issue(), tmp_path)) as legacy,
        running(table({"legacy": by_tls(legacy, ca=ca, **tls)})) as fig,
    ):
        with capture_logs() as logged:
            assert await ask(fig) == (502, "tls")
            assert await ask(fig) == (502, "tls")

        assert legacy.requests == []
        (line,) = [line for line in logged if line["event"] == "no TLS connection to a service"]
        assert line["service"] == "legacy"
        assert re.search(reason, line["problem"])


async def test_the_name_that_is_asked_for_is_the_service_s_or_the_one_given(ca: str, tmp_path: Path) -> None:
    asked: list[str | None] = []
    issued = AUTHORITY.issue("shop.example", "127.0.0.1", "localhost")
    context = server(issued, tmp_path)
    context.sni_callback = lambda _, name, __: asked.append(name)
    async with Answering(context=context) as legacy:
        for tls in ({}, {"server_name": "shop.example"}):
            async with running(table({"legacy": by_tls(legacy, ca=ca, **tls)})) as fig:
                assert await ask(fig) == (200, "")
        local = {"url": f"https://localhost:{legacy.port}", "tls": {"ca": ca}}
        async with running(table({"legacy": local})) as fig:
            assert await ask(fig) == (200, "")

    assert asked == [None, "shop.example", "localhost"]  # an address is no name (RFC 6066 section 3)


async def test_without_verification_anybody_is_believed(tmp_path: Path) -> None:
    nobody = STRANGER.issue("elsewhere.example", begins=-9, days=1)
    async with (
        Answering(context=server(nobody, tmp_path)) as legacy,
        running(table({"legacy": by_tls(legacy, verify=False)})) as fig,
    ):
        assert await ask(fig) == (200, "")


async def test_the_machine_s_authorities_are_believed_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "machine.pem").write_bytes(AUTHORITY.pem)
    async with (
        Answering(context=server(HERE, tmp_path)) as legacy,
        running(table({"legacy": by_tls(legacy)})) as fig,
    ):
        assert await ask(fig) == (502, "tls")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "machine.pem"))
        async with running(table({"legacy": by_tls(legacy)})) as fig:
            assert await ask(fig) == (200, "")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_fig_shows_its_certificate_and_the_next_one_after_a_rotation(
    ca: str, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    context = server(HERE, tmp_path, clients=AUTHORITY)
    context.maximum_version = version
    shown: list[int] = []

    async def look(wire: Wire) -> None:
        await wire.message()
        shown.append(serial_of(wire.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)))
        wire.send(answer(b"ok", "200 OK", "Connection: close"))

    first, second = AUTHORITY.issue("fig"), AUTHORITY.issue("fig")
    first.write(tmp_path, "fig")
    files = {"certificate": str(tmp_path / "fig.crt"), "key": str(tmp_path / "fig.key")}
    async with (
        Service(look, context=context) as legacy,
        running(table({"legacy": by_tls(legacy, ca=ca, **files)})) as fig,
    ):
        assert await ask(fig) == (200, "")
        (tmp_path / "fig.key").write_bytes(second.key)  # half of it: the former pair is still shown
        assert await ask(fig) == (200, "")
        (tmp_path / "fig.crt").write_bytes(second.certificate)
        assert await ask(fig) == (200, "")

    assert shown == [first.serial, first.serial, second.serial]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_service_that_asks_for_a_certificate_of_fig_s_and_gets_none(
    ca: str, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    context = server(HERE, tmp_path, clients=AUTHORITY)
    context.maximum_version = version
    async with (
        Answering(context=context) as legacy,
        running(table({"legacy": by_tls(legacy, ca=ca)})) as fig,
    ):
        status, failure = await ask(fig)

    assert status == 502
    assert failure in ("tls", "connect", "reset")  # services may leave without saying why


async def test_files_that_are_not_there_fail_this_service_alone(ca: str, tmp_path: Path) -> None:
    routes = [{"name": "other", "match": {"path": "/other"}, "candidate": "other", "stage": "live"}]
    async with Answering(context=server(HERE, tmp_path)) as legacy, Answering() as other:
        gone = str(tmp_path / "gone.pem")
        async with running(table({"legacy": by_tls(legacy, ca=gone), "other": other.url}, *routes)) as fig:
            with capture_logs() as logged:
                assert await ask(fig) == (502, "tls")
            assert f"'ca' {gone}: No such file or directory; put a PEM file of certificates there" in str(logged)
            client = await fig.connect()
            client.send(GET.replace(b"/a", b"/other"))
            assert (await client.message()).status == 200

            Path(gone).write_bytes(AUTHORITY.pem)
            assert await ask(fig) == (200, "")


async def test_a_service_that_does_not_speak_tls_is_a_failure_of_tls(ca: str) -> None:
    async def rude(wire: Wire) -> None:
        await wire.some()
        wire.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    async with Service(rude) as legacy:
        spec = {"url": legacy.url.replace("http", "https"), "tls": {"ca": ca}}
        async with running(table({"legacy": spec})) as fig:
            with capture_logs() as logged:
                assert await ask(fig) == (502, "tls")
            assert "it does not speak TLS there; write http:// in its URL" in str(logged)


async def test_a_service_that_is_silent_in_the_handshake_is_given_up(ca: str) -> None:
    async def silent(wire: Wire) -> None:
        await wire.rest()

    async with Service(silent) as legacy:
        spec = {"url": legacy.url.replace("http", "https"), "tls": {"ca": ca}, "connect_timeout": "100ms"}
        async with running(table({"legacy": spec})) as fig:
            assert await ask(fig) == (504, "timeout")


async def test_legacy_answers_for_a_candidate_whose_certificate_has_expired(ca: str, tmp_path: Path) -> None:
    expired = server(AUTHORITY.issue("127.0.0.1", begins=-9, days=5), tmp_path)
    routes = [
        {"name": "r", "match": {"path": "/**"}, "candidate": "candidate", "stage": "live", "fallback": "legacy"},
    ]
    async with (
        Answering() as legacy,
        Answering(context=expired) as candidate,
        running(table({"legacy": legacy.url, "candidate": by_tls(candidate, ca=ca)}, *routes)) as fig,
    ):
        assert await ask(fig) == (200, "")
        assert [each.fallback for each in await fig.finished()] == ["tls"]


async def test_large_bodies_pass_both_ways(ca: str, tmp_path: Path) -> None:
    size = 32

    async def echo(wire: Wire) -> None:
        await wire.head()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (size * MB))
        got = 0
        while got < size * MB:
            data = await wire.some(MB)
            got += len(data)
            wire.send(data)
            await wire.writer.drain()

    async with (
        Service(echo, context=server(HERE, tmp_path)) as legacy,
        running(table({"legacy": by_tls(legacy, ca=ca)})) as fig,
    ):
        client = await fig.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (size * MB))

        async def upload() -> None:
            for number in range(size):
                client.send(bytes([number]) * MB)
                await client.writer.drain()

        uploading = asyncio.create_task(upload())
        await client.head()
        for number in range(size):
            assert await client.reader.readexactly(MB) == bytes([number]) * MB
        await uploading


@pytest.mark.parametrize("announced", [True, False])
async def test_an_answer_that_ends_with_its_connection_is_whole_only_when_that_was_announced(
    ca: str, tmp_path: Path, announced: bool
) -> None:
    if not (announced or isinstance(asyncio.get_running_loop(), uvloop.Loop)):
        pytest.skip("asyncio's TLS, which no worker runs on, tells of a cut as of an end")

    async def endless(wire: Wire) -> None:
        await wire.message()
        wire.send(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        await wire.writer.drain()
        await asyncio.sleep(0.05)
        if not announced:
            wire.drop()  # the connection ends, and TLS has not said goodbye: RFC 9112 section 9.8

    async with (
        Service(endless, context=server(HERE, tmp_path)) as legacy,
        running(table({"legacy": by_tls(legacy, ca=ca)})) as fig,
    ):
        client = await fig.connect()
        client.send(GET)
        got = await client.message()

        assert got.body == b"all of it"
        assert got.is_complete is announced
        assert [each.failure for each in await fig.finished()] == ["" if announced else "reset"]


async def test_a_websocket_passes_and_ends_for_both_when_it_ends_for_one(ca: str, tmp_path: Path) -> None:
    at_service = b""

    async def chat(wire: Wire) -> None:
        nonlocal at_service
        await wire.message()
        wire.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello")
        at_service, _ = await wire.rest()

    async with (
        Service(chat, context=server(HERE, tmp_path)) as legacy,
        running(table({"legacy": by_tls(legacy, ca=ca)})) as fig,
    ):
        client = await fig.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        assert (await client.message()).status == 101
        assert await client.reader.readexactly(5) == b"hello"
        client.send(b"x" * 100_000)
        client.finish()

        assert await client.rest() == (b"", True)
        assert [(each.status, each.failure) for each in await fig.finished()] == [(101, "")]
        await legacy.stop()
    assert at_service == b"x" * 100_000


@pytest.mark.parametrize(("before", "after"), [(2, 0), (0, 21)], ids=["too old", "idle for too long"])
async def test_a_service_that_says_no_goodbye_keeps_no_place(
    ca: str, tmp_path: Path, before: float, after: float
) -> None:
    """It reads nothing between two requests, so it does not see that fig closes the connection. Seconds pass before its
    answer, or after it."""
    clock = Clock()

    async def deaf(wire: Wire) -> None:
        await wire.message()
        wire.writer.transport.pause_reading()
        clock.forward(before)
        wire.send(answer(b"once"))
        await asyncio.sleep(PATIENCE)

    spec = {"max_requests": 1, "max_pending": 0, "max_age": "1s"}
    async with (
        Service(deaf, context=server(HERE, tmp_path)) as legacy,
        running(table({"legacy": {**by_tls(legacy, ca=ca), **spec}}), now=clock) as fig,
    ):
        service = fig.plane.services["legacy"]
        for _ in range(2):
            assert (await ask(fig))[0] == 200
            clock.forward(after)
            await until(lambda: not service.idle, "the end of the connection")
            assert service.in_flight == 0


async def test_an_exchange_ends_where_both_ends_close_its_connection_at_the_same_moment(
    ca: str, tmp_path: Path
) -> None:
    """The service behind its answer, fig because the connection has become too old."""
    clock = Clock()

    async def closes(wire: Wire) -> None:
        await wire.message()
        clock.forward(2)
        wire.send(answer(b"last"))
        wire.close()

    async with (
        Service(closes, context=server(HERE, tmp_path)) as legacy,
        running(table({"legacy": {**by_tls(legacy, ca=ca), "max_age": "1s"}}), now=clock) as fig,
    ):
        client = await fig.connect()
        for turn in range(3):
            client.send(GET)
            assert (await client.message()).body == b"last"
            assert [(each.status, each.failure) for each in await fig.finished(turn + 1)] == [(200, "")] * (turn + 1)


# --- contexts ---------------------------------------------------------------------------------------------------------


def spec(**tls: Any) -> Spec:
    return Spec.model_validate({"url": "https://shop.example", "tls": tls})


async def test_a_context_is_kept_until_a_file_changes(ca: str) -> None:
    contexts = Contexts(lambda: 0.0)
    first = await contexts.of(spec(ca=ca))

    assert await contexts.of(spec(ca=ca)) is first
    assert await contexts.of(spec(ca=ca, server_name="other.example")) is not first
    Path(ca).write_bytes(AUTHORITY.pem + STRANGER.pem)
    second = await contexts.of(spec(ca=ca))
    assert second is not first
    assert len(second.get_ca_certs()) == 2


async def test_many_connections_at_once_read_the_files_once(ca: str) -> None:
    contexts = Contexts(lambda: 0.0)

    found = await asyncio.gather(*(contexts.of(spec(ca=ca)) for _ in range(20)))

    assert len(set(map(id, found))) == 1


async def test_files_that_were_broken_by_a_change_leave_the_former_context(ca: str) -> None:
    contexts = Contexts(lambda: 0.0)
    first = await contexts.of(spec(ca=ca))

    Path(ca).write_text("nothing of the kind")

    assert await contexts.of(spec(ca=ca)) is first


@pytest.mark.parametrize(
    ("certificate", "key", "problem"),
    [
        (HERE.certificate, None, r"fig\.key: No such file or directory; put a certificate in PEM"),
        (HERE.certificate, STRANGER.issue("fig").key, r"KEY_VALUES_MISMATCH; this has to be"),
        (b"nothing", HERE.key, r"this has to be a certificate in PEM"),
        ((locked := AUTHORITY.issue("fig", password=b"secret")).certificate, locked.key, r"'key' is encrypted"),
    ],
)
def test_a_certificate_of_fig_s_that_cannot_be_used(
    tmp_path: Path, certificate: bytes, key: bytes | None, problem: str
) -> None:
    (tmp_path / "fig.crt").write_bytes(certificate)
    if key is not None:
        (tmp_path / "fig.key").write_bytes(key)

    with pytest.raises(TlsError, match=problem):
        make_context(Tls(certificate=str(tmp_path / "fig.crt"), key=str(tmp_path / "fig.key")))


def test_the_same_trouble_is_said_once_in_a_while() -> None:
    times = iter((0.0, 1.0, 59.0, 60.0, 61.0, 61.0, 61.0))
    contexts = Contexts(lambda: next(times))
    with capture_logs() as logged:
        for _ in range(5):
            contexts.tell("a", TlsError("broken"))
        contexts.tell("b", TlsError("broken"))
        contexts.tell("a", TlsError("broken otherwise"))

    assert [(line["service"], line["problem"]) for line in logged] == [
        ("a", "broken"), ("a", "broken"), ("b", "broken"), ("a", "broken otherwise"),
    ]  # fmt: skip


def test_a_name_has_no_final_dot() -> None:
    service = Spec.model_validate({"url": "https://shop.example.:8443"})

    assert server_name(service, service.endpoints[0]) == "shop.example"


def test_what_has_no_words_of_its_own_is_said_by_its_name() -> None:
    assert explain(ssl.SSLError(1, "strange")) == "no TLS connection came about (SSLError)"
