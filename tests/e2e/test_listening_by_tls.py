"""A real `fig serve` that listens by TLS: certificates that change, restarts, kills and ends, under load."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.fakes.certificates import Authority, Issued, serial_of
from tests.fakes.plain_service import plain_service
from tests.fakes.ports import free_port
from tests.fakes.served import Served, eventually, serving

AUTHORITY = Authority()
FIRST = AUTHORITY.issue("shop.example")
GET = b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n"
CLIENTS = 8


@dataclass(frozen=True)
class Secured:
    served: Served
    port: int
    certificates: Path

    def show(self, issued: Issued) -> None:
        """Put a pair into the folder, the key first."""
        (self.certificates / "shop.key").write_bytes(issued.key)
        (self.certificates / "shop.crt").write_bytes(issued.certificate)

    def shown(self) -> int:
        """The serial number that a client sees, which also asks for something."""
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=20) as raw,
            AUTHORITY.client().wrap_socket(raw, server_hostname="shop.example") as wire,
        ):
            wire.sendall(LAST)
            assert wire.recv(65536).startswith(b"HTTP/1.1 200")
            return serial_of(wire.getpeercert(binary_form=True))


@contextlib.contextmanager
def listening(folder: Path, workers: int = 2, **more: str) -> Iterator[Secured]:
    """fig by TLS alone, before a service that answers everything."""
    certificates = folder / "certificates"
    FIRST.write(certificates, "shop")
    with plain_service("legacy") as legacy:
        (folder / "fig.yaml").write_text(
            f"version: 1\nservices:\n  legacy: {{url: {legacy.url}}}\nlegacy: legacy\nroutes: []\n"
        )
        port = free_port()
        told = {
            "FIG_LISTEN": "none",
            "FIG_TLS_LISTEN": f"127.0.0.1:{port}",
            "FIG_CERTIFICATES": str(certificates),
            **more,
        }
        with serving(folder, workers=workers, more=told) as served:
            eventually(served.ready, "readiness")
            eventually(lambda: len(served.logged("listening")) >= workers, "listening workers")
            yield Secured(served, port, certificates)


@dataclass
class Load:
    """What clients by TLS saw: answers by the certificate's serial number, and whatever was none."""

    port: int
    answers: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    stop: bool = False

    async def client(self, number: int) -> None:
        """Connects anew after every third request."""
        context = AUTHORITY.client()
        while not self.stop:
            try:
                async with asyncio.timeout(15):
                    await self._ask_thrice(context)
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as exc:
                self.failures.append(f"client {number}: {exc!r}")

    async def _ask_thrice(self, context: ssl.SSLContext) -> None:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=context, server_hostname="shop.example"
        )
        try:
            serial = serial_of(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
            for request in (GET, GET, LAST):
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                if not head.startswith(b"HTTP/1.1 200"):
                    self.failures.append(head.decode("latin-1"))
                (length,) = [
                    int(line[16:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length: ")
                ]
                await reader.readexactly(length)
                self.answers[serial] += 1
                if b"Connection: close" in head:  # a worker that is leaving says so
                    return
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def loaded(fig: Secured) -> AsyncIterator[Load]:
    load = Load(fig.port)
    clients = [asyncio.create_task(load.client(number)) for number in range(CLIENTS)]
    try:
        await until(lambda: load.answers.total() > 50)
        yield load
        seen = load.answers.total()
        await until(lambda: load.answers.total() > seen + 50)
    finally:
        load.stop = True
        await asyncio.gather(*clients)


async def until(look: object) -> None:
    async with asyncio.timeout(30):
        while not look():  # type: ignore[operator]
            await asyncio.sleep(0.02)


async def test_certificates_are_rotated_and_broken_and_mended_and_nobody_fails(tmp_path: Path) -> None:
    with listening(tmp_path) as fig:
        second, third = AUTHORITY.issue("shop.example"), AUTHORITY.issue("shop.example", days=9)
        async with loaded(fig) as load:
            fig.show(second)  # and nothing else: the folder is looked at
            await until(lambda: load.answers[second.serial] > 50)

            (fig.certificates / "shop.key").write_bytes(third.key)
            fig.served.process.send_signal(signal.SIGHUP)
            well = "fig_certificates_last_reload_success"
            await until(lambda: fig.served.metric(f'{well}{{worker="0"}}') == 0)
            await until(lambda: fig.served.metric(f'{well}{{worker="1"}}') == 0)
            (said, *_) = fig.served.logged("a certificate cannot be used; what was shown in its place stays")
            assert "shop.key: does not belong to shop.crt; replace one of the two" in said["problem"]
            assert load.answers[third.serial] == 0

            fig.show(third)
            fig.served.process.send_signal(signal.SIGHUP)
            await until(lambda: load.answers[third.serial] > 50)
            await until(lambda: fig.served.metric(f'{well}{{worker="0"}}') == 1)

        assert load.failures == []
        assert set(load.answers) == {FIRST.serial, second.serial, third.serial}
        assert fig.served.metric('fig_tls_handshakes_total{version="TLSv1.3"}') > 50
        ends = fig.served.metric('fig_certificate_not_after_seconds{certificate="shop",worker="0"}')
        assert ends is not None
        assert not [line for line in fig.served.log if "text" in line], "something wrote past the log"


async def test_workers_are_restarted_in_turn_and_no_client_by_tls_fails(tmp_path: Path) -> None:
    with listening(tmp_path) as fig:
        async with loaded(fig) as load:
            before = [fig.served.pid(f"worker-{number}") for number in range(2)]
            fig.served.process.send_signal(signal.SIGUSR2)
            await until(
                lambda: (
                    all(fig.served.pid(f"worker-{number}") not in before for number in range(2))
                    and not any(Path(f"/proc/{pid}").exists() for pid in before)
                )
            )

        assert load.failures == []


def test_what_is_under_way_by_tls_is_ended_by_a_drain(tmp_path: Path) -> None:
    with listening(tmp_path, workers=1) as fig:
        raw = socket.create_connection(("127.0.0.1", fig.port), timeout=20)
        with AUTHORITY.client().wrap_socket(raw, server_hostname="shop.example") as wire:
            wire.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n12")
            eventually(lambda: fig.served.metric('fig_client_connections{worker="0"}') == 1, "the connection")
            fig.served.process.send_signal(signal.SIGTERM)
            eventually(lambda: fig.served.logged("draining", process="worker-0"), "the drain")
            wire.sendall(b"34")

            got = b""
            while piece := wire.recv(65536):  # an end that TLS announces, or this raises
                got += piece
            assert got.startswith(b"HTTP/1.1 200")
        assert fig.served.process.wait(20) == 0


def test_connections_by_tls_wait_for_a_worker_that_is_down_and_for_a_certificate_to_be_mended(tmp_path: Path) -> None:
    with listening(tmp_path, workers=1) as fig:
        former = fig.served.pid("worker-0")
        os.kill(former, signal.SIGSTOP)
        with socket.create_connection(("127.0.0.1", fig.port), timeout=30) as raw:
            (fig.certificates / "shop.crt").write_text("broken")
            os.kill(former, signal.SIGKILL)
            eventually(
                lambda: fig.served.logged("no certificate can be shown; no client is accepted by TLS"), "the complaint"
            )
            fig.show(FIRST)

            with AUTHORITY.client().wrap_socket(raw, server_hostname="shop.example") as wire:
                wire.sendall(LAST)
                assert wire.recv(65536).startswith(b"HTTP/1.1 200")


def test_strangers_are_counted_and_fill_no_log(tmp_path: Path) -> None:
    with listening(tmp_path, workers=1) as fig:
        before = len(fig.served.log)
        outgoing = ssl.MemoryBIO()
        client = AUTHORITY.client().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="strange.example")
        with contextlib.suppress(ssl.SSLWantReadError):
            client.do_handshake()
        hello = outgoing.read()
        for said in (GET, b"\0" * 50, hello.replace(b"strange.", b"str\xffnge."), hello[:100]):
            with socket.create_connection(("127.0.0.1", fig.port), timeout=20) as raw:
                raw.sendall(said)
                raw.shutdown(socket.SHUT_WR)
                with contextlib.suppress(ConnectionError):
                    while raw.recv(65536):
                        pass

        eventually(lambda: fig.served.metric('fig_tls_handshake_failures_total{reason="plain_http"}') == 1, "a count")
        assert fig.shown() == FIRST.serial
        refused = eventually(lambda: fig.served.logged("refused"), "the line of the one that was answered")
        assert [line["refused"] for line in refused] == ["plain_http"]
        loud = ("warning", "error", "critical")  # a process that is slow to start may still have said so meanwhile
        assert [line for line in fig.served.log[before:] if line.get("level") in loud] == []


@pytest.mark.parametrize(
    ("certificate", "key", "problem"),
    [
        (b"", b"", "holds no certificate that can be read"),
        (FIRST.certificate, AUTHORITY.issue("shop.example").key, "does not belong to shop.crt"),
        ((locked := AUTHORITY.issue("a.example", password=b"secret")).certificate, locked.key, "is encrypted"),
    ],
)
def test_a_start_without_a_usable_certificate_is_refused(
    tmp_path: Path, certificate: bytes, key: bytes, problem: str
) -> None:
    Issued(certificate, key, 0).write(tmp_path / "certificates", "shop")
    (tmp_path / "fig.yaml").write_text("version: 1\nservices: {a: {url: http://127.0.0.1:9}}\nlegacy: a\nroutes: []\n")
    told = [
        *("-c", str(tmp_path / "fig.yaml"), "--state", str(tmp_path / "state")),
        *("--listen", "none", "--admin", f"127.0.0.1:{free_port()}"),
        *("--tls-listen", f"127.0.0.1:{free_port()}", "--certificates", str(tmp_path / "certificates")),
    ]

    done = subprocess.run(
        [sys.executable, "-m", "proxy.cli", "serve", *told], capture_output=True, text=True, timeout=30
    )

    assert done.returncode == 2
    assert problem in done.stderr
    assert "holds no certificate that can be used; put a pair there" in done.stderr
