"""Hosts, ports, methods, schemes and clients that satisfy what is asked of them, or the proof that none does."""

from __future__ import annotations

import ipaddress
import re
import string
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import count, product
from typing import TypeAlias

from rules.asked import REFUSED_METHODS
from rules.decision import OWN_PORTS
from rules.match import Expression, split_port
from rules.matching.hosts import plain_host
from rules.matching.predicates import ClientPredicate, HostPredicate
from rules.witness.automaton import (
    ANYTHING,
    EVERY,
    Automaton,
    Chain,
    Characters,
    Choice,
    Part,
    Repeat,
    UnreadableError,
    characters,
    literal,
)
from rules.witness.expression import parts_of
from rules.witness.solved import PLAIN, Solved, fitting, solve_texts

Address: TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"
Network: TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"
HostAndPort = tuple[str, int]

_HOST = re.compile(r"[a-z0-9_][a-z0-9._~-]*|\[[0-9a-f:.]+\]")
_COMPARED = Automaton(Repeat(Characters(EVERY & ~characters(string.ascii_uppercase)), 0, None))
"""Hosts are compared in lower case."""
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_LABELS = ("www", "a", "x", "shop")
_OTHER_CLIENTS = ("198.51.100.1", "203.0.113.1", "10.0.0.1", "2001:db8::1")
_PORTS = (80, 443, 8080)


@lru_cache(maxsize=8192)
def solve_methods(wanted: tuple[tuple[str, ...], ...], unwanted: tuple[tuple[str, ...], ...]) -> Solved[str]:
    refused = REFUSED_METHODS.union(*unwanted)
    if wanted:
        left = [method for method in wanted[0] if all(method in methods for methods in wanted[1:])]
        left.sort(key=lambda method: _METHODS.index(method) if method in _METHODS else len(_METHODS))
        values = fitting(left, lambda method: method not in refused)
        return Solved(values, impossible=not values)
    others = (f"X{number}" for number in count(1))  # there are always more methods than a file names
    return Solved(fitting(_first([*_METHODS, "PROPFIND"], others, len(refused) + 1), lambda m: m not in refused))


def solve_schemes(wanted: tuple[str, ...], unwanted: tuple[str, ...]) -> Solved[str]:
    values = fitting(OWN_PORTS, lambda scheme: set(wanted) <= {scheme} and scheme not in unwanted)
    return Solved(values, impossible=not values)


def _first(known: Sequence[str], others: Iterator[str], number: int) -> list[str]:
    return [*known, *(next(others) for _ in range(number))]


@lru_cache(maxsize=8192)
def solve_clients(wanted: tuple[tuple[str, ...], ...], unwanted: tuple[tuple[str, ...], ...]) -> Solved[str]:
    """The lowest address of what is left begins a wanted network or follows an unwanted one; all of these are tried."""
    asked = [(ClientPredicate(each), True) for each in wanted] + [(ClientPredicate(each), False) for each in unwanted]
    candidates = [PLAIN.client, *_OTHER_CLIENTS]
    for networks in wanted:
        for network in map(ipaddress.ip_network, networks):
            candidates += [str(network[min(1, network.num_addresses - 1)]), str(network[0]), str(network[-1])]
    for networks in unwanted:
        for network in map(ipaddress.ip_network, networks):
            candidates += [str(address) for address in _neighbours(network)]
    if not wanted:
        candidates += ["0.0.0.0", "::"]  # noqa: S104 (an address to ask about, not one to listen on)

    def fits(client: str) -> bool:
        request = replace(PLAIN, client=client)
        return all(predicate.holds(request) is holds for predicate, holds in asked)

    values = fitting(candidates, fits)
    return Solved(values, impossible=not values)


def _neighbours(network: Network) -> Iterator[Address]:
    for address, step in ((network[-1], 1), (network[0], -1)):
        try:
            yield address + step
        except ipaddress.AddressValueError:
            continue


@lru_cache(maxsize=8192)
def solve_hosts(
    wanted: tuple[tuple[str | Expression, ...], ...], unwanted: tuple[tuple[str | Expression, ...], ...]
) -> Solved[HostAndPort]:
    """For every port that may matter, a host: a named one, one below a named suffix, or one that nobody names."""
    asked = [(HostPredicate(each), True) for each in wanted] + [(HostPredicate(each), False) for each in unwanted]
    named = [split_port(host) for hosts in (*wanted, *unwanted) for host in hosts if isinstance(host, str)]
    ports = list(dict.fromkeys([*_PORTS[:1], *(port for _, port in named if port), *_PORTS]))
    ports.append(next(port for port in count(9000) if port not in ports))  # stands for every port that nobody names
    values: list[HostAndPort] = []
    impossible = True
    plain = list(_plain_hosts(named))
    for port in ports:

        def fits(host: str, port: int = port) -> bool:
            request = replace(PLAIN, host=host, port=port)
            return _is_host(host) and all(predicate.holds(request) is holds for predicate, holds in asked)

        found = solve_texts(
            plain,
            [_COMPARED, *(_host_automaton(_on_port(hosts, port)) for hosts in wanted)],
            [_host_automaton(_on_port(hosts, port)) for hosts in unwanted],
            fits,
        )
        values += [(host, port) for host in found.values]
        impossible = impossible and found.impossible
        if values:
            break
    return Solved(tuple(values), impossible=impossible and not values)


def _plain_hosts(named: Sequence[tuple[str, int | None]]) -> Iterator[str]:
    texts = list(dict.fromkeys(host for host, _ in named))
    fresh = next(label for label in _fresh_labels() if not any(label in host for host in texts))
    yield from (host for host in texts if not host.startswith("*"))
    suffixes = sorted((host[1:] for host in texts if host.startswith("*")), key=len, reverse=True)
    yield from (label + suffix for suffix, label in product(suffixes, (*_LABELS, fresh)))
    yield from (PLAIN.host, f"{fresh}.{fresh}")


def _fresh_labels() -> Iterator[str]:
    yield "other"
    yield from (f"other{number}" for number in count(1))


def _is_host(host: str) -> bool:
    """In the one form in which hosts are compared, and one that a client may send."""
    return host == plain_host(host.lower()) and _HOST.fullmatch(host) is not None


def _on_port(hosts: tuple[str | Expression, ...], port: int) -> tuple[str | Expression, ...]:
    """Those that can take a host on that port, without the port."""
    split = [(host, None) if isinstance(host, Expression) else split_port(host) for host in hosts]
    return tuple(host for host, only in split if only in (None, port))


@lru_cache(maxsize=4096)
def _host_automaton(hosts: tuple[str | Expression, ...]) -> Automaton | None:
    parts: list[Part] = []
    exact = True
    for host in hosts:
        if isinstance(host, Expression):
            read = parts_of(host.regex)
            if read is None:
                return None
            parts.append(read[0])
            exact = exact and read[1]
        elif host.startswith("*"):
            parts.append(Chain((Characters(EVERY), ANYTHING, literal(host[1:]))))
        else:
            parts.append(literal(host))
    try:
        return Automaton(Choice(tuple(parts)), exact)
    except UnreadableError:
        return None
