"""Copies sent to services that speak TLS: whom it believes, what it shows, and what it says when nobody got it."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from proxy.shadower.securing import Securing
from rules.service import Service
from rules.stages import Side
from shadow.delivery.deliver import CopyRequest, Sender
from shadow.delivery.retry import Answered, Attempt, Unsent
from tests.fakes import wires
from tests.fakes.certificates import Authority, server

REQUEST = CopyRequest(Side.CANDIDATE, "GET", "/", "", (), b"", "request-1")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@asynccontextmanager
async def service(context: ssl.SSLContext | None, **tls: object) -> AsyncIterator[Service]:
    async def run(wire: wires.Wire) -> None:
        await wire.some()
        wire.send(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with wires.Service(run, context) as listening:
        url = f"https://127.0.0.1:{listening.port}"
        yield Service.model_validate({"url": url, "tls": tls} if tls else {"url": url})


async def sent(where: Service) -> Attempt:
    sender = Sender(Securing(time.monotonic))
    try:
        return await sender.send(REQUEST, where, repeatable=True)
    finally:
        await sender.close()


@pytest.fixture
def ca(authority: Authority, tmp_path: Path) -> str:
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    return str(tmp_path / "ca.pem")


async def test_a_certificate_of_the_services_authorities_is_believed(
    authority: Authority, ca: str, tmp_path: Path
) -> None:
    async with service(server(authority.issue("127.0.0.1"), tmp_path), ca=ca) as where:
        assert isinstance(await sent(where), Answered)


async def test_the_name_that_the_rules_give_is_asked_for(authority: Authority, ca: str, tmp_path: Path) -> None:
    context = server(authority.issue("products.internal"), tmp_path)
    asked: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: asked.append(name)  # type: ignore[func-returns-value]
    async with service(context, ca=ca, server_name="products.internal") as where:
        assert isinstance(await sent(where), Answered)
    assert asked == ["products.internal"]


async def test_a_service_may_ask_for_the_certificate_of_fig(authority: Authority, ca: str, tmp_path: Path) -> None:
    clients = Authority("clients")
    clients.issue("fig").write(tmp_path, "fig")
    context = server(authority.issue("127.0.0.1"), tmp_path, clients)
    files = {"certificate": str(tmp_path / "fig.crt"), "key": str(tmp_path / "fig.key")}
    async with service(context, ca=ca, **files) as where:
        assert isinstance(await sent(where), Answered)


@pytest.mark.parametrize(
    ("hosts", "trusts", "said"),
    [
        (("127.0.0.1",), False, "its certificate is not trusted"),
        (("other.example",), True, "its certificate is for another name"),
    ],
)
async def test_a_certificate_that_proves_nothing_gets_no_copy_and_the_log_says_why(
    authority: Authority, ca: str, tmp_path: Path, hosts: tuple[str, ...], trusts: bool, said: str
) -> None:
    with capture_logs() as logs:
        async with service(server(authority.issue(*hosts), tmp_path), **({"ca": ca} if trusts else {})) as where:
            assert await sent(where) == Unsent("tls")
    assert [line["problem"].startswith(said) for line in logs] == [True]


async def test_without_verification_any_certificate_will_do(authority: Authority, tmp_path: Path) -> None:
    async with service(server(authority.issue("other.example"), tmp_path), verify=False) as where:
        assert isinstance(await sent(where), Answered)


async def test_a_service_that_speaks_no_tls_gets_no_copy() -> None:
    async with service(None, verify=False) as where:
        assert await sent(where) == Unsent("tls")


async def test_a_file_that_is_not_there_is_no_connection(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with service(None, ca=str(tmp_path / "none.pem")) as where:
            assert await sent(where) == Unsent("tls")
    assert "none.pem" in logs[0]["problem"]
