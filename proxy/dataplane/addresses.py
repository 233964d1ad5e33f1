"""Who the client is when proxies stand before fig: what a trusted one says is believed, and nobody else. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from proxy.dataplane.fields import FORWARDED, FORWARDED_FOR, PASS, Field
from proxy.dataplane.heads import RequestHead
from proxy.dataplane.targets import DEFAULT_PORT

_HOPS = 32
"""Addresses of X-Forwarded-For that are looked at, from the right: a chain of a thousand must not cost milliseconds."""
_MEMORY = 1024
"""Addresses remembered as trusted or not; a peer sends many requests."""
_HTTPS_PORT = 443
_WITH_PORT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3}){3}):[0-9]{1,5}|\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?")
"""Some proxies write the client's port behind its address; it says nothing about who that is."""


def canonical_address(text: str) -> str:
    """The canonical text of an address; IPv4-mapped IPv6 becomes IPv4, so that one client has one name."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def come_by(head: RequestHead, scheme: bytes) -> None:
    """The client came by ``http`` or ``https``; a Host without a port then means that scheme's (RFC 9110 4.2)."""
    head.scheme = scheme
    if not _names_a_port(head.host_value):
        head.port = _HTTPS_PORT if scheme == b"https" else DEFAULT_PORT


class TrustedProxies:
    """The networks of `trusted_proxies`."""

    __slots__ = ("_known", "_networks")

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks = [ipaddress.ip_network(network) for network in networks]
        self._known: dict[str, bool] = {}

    def __contains__(self, address: str) -> bool:
        """`address` in canonical text; what is no address (``unknown``, the peer of a Unix socket) is not trusted."""
        known = self._known.get(address)
        if known is None:
            if len(self._known) >= _MEMORY:
                self._known.clear()
            known = self._known[address] = self._look(address)
        return known

    def _look(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)

    def read(self, head: RequestHead) -> None:
        """Let a request whose peer is trusted say who its client is, and how that client came. Else changes nothing.

        `Forwarded` (RFC 7239), `X-Real-IP` and every `X-Forwarded-*` are passed on only here: services believe them, so
        nobody else may send them through fig.
        """
        if head.peer not in self:
            return
        chain = b", ".join(field.value for field in head.fields if field.kind == FORWARDED_FOR and field.value)
        if chain:
            head.client = self.client(head.peer, chain)
        hosts = b", ".join(field.value for field in head.fields if field.name == "x-forwarded-host" and field.value)
        if chain or hosts:
            head.told = (chain, hosts)
        told = [field for field in head.fields if field.name == "x-forwarded-proto"]
        if len(told) == 1 and told[0].value.lower() in (b"http", b"https"):
            come_by(head, told[0].value.lower())
        for index, field in enumerate(head.fields):
            if field.kind == FORWARDED:
                head.fields[index] = Field(PASS, field.name, field.value, field.line)
                head.lines.append(field.line)

    def client(self, peer: str, chain: bytes) -> str:
        """The last address of the chain that is not trusted itself: who spoke to the outermost trusted proxy.

        What is no address ends the walk, for nothing before it can be told from what a client made up; the last good
        one then counts, and where all are trusted the first.
        """
        client = peer
        for entry in reversed(chain.rsplit(b",", _HOPS)[-_HOPS:]):
            address = _address(entry.strip(b" \t").decode("latin-1"))
            if not address:
                break
            client = address
            if address not in self:
                break
        return client


def _address(text: str) -> str:
    """In canonical text, without a port; ``""`` for what is no address."""
    found = _WITH_PORT.fullmatch(text)
    if found is not None:
        text = found[1] or found[2]
    address = canonical_address(text) if "%" not in text else ""
    return "" if address == "unknown" else address


def _names_a_port(host: bytes) -> bool:
    _, colon, port = host.rpartition(b":")
    return bool(colon) and port.isdigit()
