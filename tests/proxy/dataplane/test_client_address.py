"""Who the client is: its peer, unless that is a trusted proxy; then whom the proxies speak for."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from typing import Any

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from proxy.dataplane.addresses import TrustedProxies, canonical_address
from proxy.dataplane.heads import parse_request
from proxy.worker.access import AccessLog
from rules.table import Table
from tests.fakes.planes import running
from tests.fakes.planes import table as make_table
from tests.fakes.wires import Answering

OFFICE = ("10.0.0.0/8", "2001:db8:1::/48", "192.168.7.7")
HERE = ("127.0.0.0/8",)


def head(*lines: str, peer: str = "10.1.1.1", trusted: tuple[str, ...] = OFFICE) -> Any:
    parsed = parse_request("\r\n".join(("GET / HTTP/1.1", "Host: shop.example", *lines)).encode("latin-1"), peer)
    TrustedProxies(trusted).read(parsed)
    return parsed


def client(*chains: str, peer: str = "10.1.1.1", trusted: tuple[str, ...] = OFFICE) -> str:
    found = head(*(f"X-Forwarded-For: {chain}" for chain in chains), peer=peer, trusted=trusted).client
    assert isinstance(found, str)
    return found


# --- the chain ---


@pytest.mark.parametrize(
    ("chains", "expected"),
    [
        (("203.0.113.9",), "203.0.113.9"),
        (("203.0.113.9, 10.2.2.2",), "203.0.113.9"),
        (("6.6.6.6, 203.0.113.9, 10.2.2.2, 192.168.7.7",), "203.0.113.9"),  # what stands before it may be made up
        (("6.6.6.6", "203.0.113.9", "10.2.2.2"), "203.0.113.9"),  # several lines are one list (RFC 9110 5.3)
        (("10.3.3.3, 10.2.2.2",), "10.3.3.3"),  # all trusted: a client of our own
        (("2001:db8:2::1, 2001:db8:1::5",), "2001:db8:2::1"),
        (("203.0.113.9:4711",), "203.0.113.9"),
        (("[2001:db8:2::1]:4711, [2001:DB8:1::5]",), "2001:db8:2::1"),
        (("::ffff:203.0.113.9, ::ffff:10.2.2.2",), "203.0.113.9"),
        (("\t203.0.113.9 \t,10.2.2.2",), "203.0.113.9"),
        ((), "10.1.1.1"),
    ],
)
def test_the_client_is_the_last_address_of_the_chain_that_is_not_trusted(
    chains: tuple[str, ...], expected: str
) -> None:
    assert client(*chains) == expected


@pytest.mark.parametrize(
    "garbage",
    ["unknown", "", "_hidden", "1.2.3", "1.2.3.4.5", "fe80::1%eth0", "01.2.3.4", "a.example", "\xff", "1.2.3.4:"],
)
def test_what_is_no_address_ends_the_walk_and_the_last_good_one_counts(garbage: str) -> None:
    assert client(f"203.0.113.9, {garbage}, 10.2.2.2") == "10.2.2.2"
    assert client(f"203.0.113.9, {garbage}") == "10.1.1.1"


def test_an_endless_chain_is_not_walked_to_its_end() -> None:
    assert client("203.0.113.9" + ", 10.2.2.2" * 1000) == "10.2.2.2"


addresses = st.one_of(st.ip_addresses().map(str), st.sampled_from(["10.1.2.3", "127.0.0.1", "192.168.7.7"]))
chains = st.lists(st.one_of(addresses, st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF)), st.just("")))
lines = st.lists(
    st.tuples(
        st.sampled_from(["X-Forwarded-For", "x_forwarded_for", "X-Forwarded-Proto", "Forwarded", "X-Real-IP"]),
        chains.map(", ".join),
    ),
    max_size=4,
)


@given(lines, st.sampled_from(["203.0.113.1", "9.255.255.255", "192.168.7.8", "2001:db8:2::1", "::1", "unknown"]))
def test_whatever_an_untrusted_peer_sends_the_client_is_that_peer(sent: list[tuple[str, str]], peer: str) -> None:
    said = [f"{name}: {value}".replace("\x7f", "") for name, value in sent]
    parsed = head(*said, peer=peer)

    assert (parsed.client, parsed.peer, parsed.scheme, parsed.port) == (peer, peer, b"http", 80)
    assert not any(line.lower().startswith((b"forwarded", b"x-forwarded")) for line in parsed.lines)


@given(chains.map(", ".join))
def test_whatever_a_trusted_peer_sends_the_client_is_an_address_that_is_there(chain: str) -> None:
    found = client(chain.replace("\x7f", ""))

    assert canonical_address(found) == found
    assert found == "10.1.1.1" or found in [
        canonical_address(text) for entry in chain.split(",") for text in _spellings(entry.strip(" \t"))
    ]


def _spellings(entry: str) -> list[str]:
    return [entry, entry.rpartition(":")[0], entry.strip("[]"), entry.rpartition("]")[0].lstrip("[")]


# --- the scheme ---


@pytest.mark.parametrize(
    ("said", "host", "expected"),
    [
        (("https",), "shop.example", (b"https", 443)),
        (("HTTPS",), "shop.example:8443", (b"https", 8443)),
        (("https",), "shop.example:80", (b"https", 80)),
        (("https",), "[::1]", (b"https", 443)),
        (("http",), "shop.example", (b"http", 80)),
        (("gopher",), "shop.example", (b"http", 80)),
        (("https, http",), "shop.example", (b"http", 80)),
        (("https", "https"), "shop.example", (b"http", 80)),
        ((), "shop.example", (b"http", 80)),
    ],
)
def test_the_scheme_that_a_trusted_proxy_tells_decides_the_port(
    said: tuple[str, ...], host: str, expected: tuple[bytes, int]
) -> None:
    lines = [f"X-Forwarded-Proto: {scheme}" for scheme in said]
    parsed = parse_request("\r\n".join(("GET / HTTP/1.1", f"Host: {host}", *lines)).encode(), "10.1.1.1")
    TrustedProxies(OFFICE).read(parsed)

    assert (parsed.scheme, parsed.port) == expected


# --- through a running plane ---


def table(url: str, trusted: tuple[str, ...] = HERE, **route: Any) -> Table:
    routes = [{"name": "r", "match": {"path": "/**"}, "candidate": "candidate", **route}] if route else []
    return make_table({"legacy": url, "candidate": url}, *routes, trusted_proxies=list(trusted))


ASKED = (
    b"GET / HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 203.0.113.9\r\n"
    b"X-Forwarded-Proto: https\r\nForwarded: for=203.0.113.9;proto=https\r\n\r\n"
)


async def test_a_service_is_told_the_chain_with_the_peer_and_the_scheme_of_a_trusted_proxy() -> None:
    async with Answering() as legacy, running(table(legacy.url)) as fig:
        wire = await fig.connect()
        for _ in range(2):
            wire.send(ASKED)
            await wire.message()
        wire.send(b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n")
        await wire.message()

        first, second, bare = legacy.requests
        for seen in (first, second):
            assert seen.get("x-forwarded-for") == "6.6.6.6, 203.0.113.9, 127.0.0.1"
            assert seen.get("x-forwarded-proto") == "https"
            assert seen.get("x-forwarded-host") == "shop.example"
            assert seen.get("forwarded") == "for=203.0.113.9;proto=https"
        assert (bare.get("x-forwarded-for"), bare.get("x-forwarded-proto")) == ("127.0.0.1", "http")


async def test_an_untrusted_peer_is_the_client_and_what_it_says_of_schemes_is_dropped() -> None:
    async with Answering() as legacy, running(table(legacy.url, trusted=OFFICE)) as fig:
        wire = await fig.connect()
        wire.send(ASKED)
        await wire.message()

        (seen,) = legacy.requests
        assert seen.get("x-forwarded-for") == "127.0.0.1"
        assert seen.get("x-forwarded-proto") == "http"
        assert seen.get("forwarded") is None
        assert (await fig.finished())[0].exchange.head.client == "127.0.0.1"


async def test_what_a_trusted_proxy_says_in_other_headers_goes_on_and_what_others_say_does_not() -> None:
    asked = (
        b"GET / HTTP/1.1\r\nHost: inner\r\nX-Forwarded-Host: shop.example\r\nX-Real-IP: 203.0.113.9\r\n"
        b"X-Forwarded-Prefix: /shop\r\nX-Forwarded-Port: 443\r\n\r\n"
    )
    for trusted, host, prefix in ((HERE, "shop.example", "/shop"), (OFFICE, "inner", None)):
        async with Answering() as legacy, running(table(legacy.url, trusted=trusted)) as fig:
            wire = await fig.connect()
            wire.send(asked)
            await wire.message()

            (seen,) = legacy.requests
            assert (seen.get("x-forwarded-host"), seen.get("x-forwarded-prefix")) == (host, prefix)
            assert (seen.get("x-real-ip"), seen.get("x-forwarded-port")) == (
                ("203.0.113.9", "443") if prefix else (None, None)
            )


@pytest.mark.parametrize(
    ("header", "said", "own"),
    [
        ("x-forwarded-host", "evil.example", "shop.example"),
        ("x-forwarded-proto", "https", "http"),
        ("x-forwarded-for", "6.6.6.6", "127.0.0.1"),
        ("x-forwarded-user", "root", None),
        ("x-real-ip", "6.6.6.6", None),
        ("forwarded", "for=6.6.6.6", None),
    ],
)
async def test_routes_match_what_services_get_and_not_what_a_client_says_of_itself(
    header: str, said: str, own: str | None
) -> None:
    async with Answering() as legacy:
        for value in filter(None, (said, own)):
            rules = table(legacy.url, (), match={"path": "/**", "headers": {header: value}})
            async with running(rules) as fig:
                wire = await fig.connect()
                wire.send(f"GET / HTTP/1.1\r\nHost: shop.example\r\n{header}: {said}\r\n\r\n".encode())
                await wire.message()

                assert (await fig.finished())[0].route == ("r" if value == own else "-")
                assert legacy.requests[-1].get(header) == own


async def test_units_matches_templates_and_the_access_log_mean_the_client() -> None:
    log = AccessLog(1_000_000, lambda: 0, time.time)
    async with Answering() as service:
        rules = table(
            service.url,
            stage="canary",
            share="100%",
            unit={"address": True},
            match={"client": ["203.0.113.0/24"]},
            request_headers={"set": {"X-Client": "{client}"}},
        )
        async with running(rules) as fig:
            wire = await fig.connect()
            wire.send(ASKED)
            await wire.message()
            wire.send(b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n")
            await wire.message()

            through, direct = await fig.finished(2)
            assert (through.route, through.exchange.choice.unit) == ("r", "203.0.113.9")
            assert direct.route == "-"
            assert service.requests[0].get("x-client") == "203.0.113.9"
            log.finished(through.exchange)
            assert log._lines[0]["client"] == "203.0.113.9"


async def test_trust_follows_the_table() -> None:
    async with Answering() as legacy, running(table(legacy.url, trusted=OFFICE)) as fig:
        wire = await fig.connect()
        for trusted in (HERE, OFFICE):
            wire.send(ASKED)
            await wire.message()
            fig.plane.load(table(legacy.url, trusted=trusted))
        wire.send(ASKED)
        await wire.message()

        clients = [done.exchange.head.client for done in await fig.finished(3)]
        assert clients == ["127.0.0.1", "203.0.113.9", "127.0.0.1"]


async def test_http_is_sent_to_https_once_and_only_a_trusted_proxy_can_say_that_it_came_by_https() -> None:
    async with Answering() as legacy:
        to_https = {"match": {"path": "/**", "scheme": "http"}, "redirect": {"scheme": "https", "status": 301}}
        for trusted, expected in ((HERE, 200), ((), 301)):
            rules = make_table({"legacy": legacy.url}, {"name": "r", **to_https}, trusted_proxies=list(trusted))
            async with running(rules) as fig:
                client = await fig.connect()
                client.send(b"GET /a HTTP/1.1\r\nHost: shop.example\r\n\r\n")
                plain = await client.message()
                client.send(b"GET /a HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-Proto: https\r\n\r\n")
                told = await client.message()

                assert (plain.status, plain.get("location")) == (301, "https://shop.example/a")
                assert told.status == expected


def test_a_client_that_was_gone_before_it_was_accepted_asks_for_nothing() -> None:
    """Its address cannot be found out any more, and a service must not take its request for that of nobody."""

    async def scenario() -> None:
        async with Answering() as legacy, running(table(legacy.url)) as fig:
            client = await fig.connect()
            client.send(b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n")
            await client.message()  # a connection to the service is at hand from now on
            with socket.create_connection(("127.0.0.1", fig.port)) as gone:  # accepted only when the loop runs again
                gone.sendall(b"POST /gone HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
                gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await asyncio.sleep(0.05)
            client.send(b"GET /last HTTP/1.1\r\nHost: a\r\n\r\n")
            await client.message()

            assert [request.start for request in legacy.requests] == ["GET /first HTTP/1.1", "GET /last HTTP/1.1"]

    uvloop.run(scenario())  # what workers run on; the standard loop keeps the address that accept gave
