"""Which host a server answers, and in what order nginx asks its servers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rules.imports.conf import Directive
from rules.imports.draft import Plain
from rules.imports.locations import whole_regex
from rules.match import Match

Refuse = Callable[[Directive, str], None]
Named = tuple[tuple[int, int], Any]
"""(place in nginx's order, host as a rules file says it)."""


@dataclass(frozen=True, slots=True)
class Hosts:
    names: tuple[Any, ...]
    """As a rules file says them; empty for any host."""
    notes: tuple[str, ...] = ()

    @property
    def is_broad(self) -> bool:
        """Whether other servers may name some of its hosts, too."""
        return any(not isinstance(name, str) or name.startswith("*") for name in self.names) or not self.names

    def match(self, match: Plain) -> Plain:
        if not self.names:
            return match
        return {"host": self.names[0] if len(self.names) == 1 else list(self.names)} | match


def servers_in_order(servers: Sequence[Directive], refuse: Refuse) -> list[tuple[Directive, Hosts]]:
    """Exact names first, then ``*.name`` the longest first, then ``name.*``, then regexes, then the default server."""
    ports = [_ports(server) for server in servers]
    differ = len({frozenset(each) for each in ports}) > 1
    default = {port: _default(servers, ports, port) for each in ports for port in each}
    found = [[each for name in _names(server) for each in _host(name, server, refuse)] for server in servers]
    entries: list[tuple[tuple[int, int, int], Directive, Hosts]] = []
    for number, server in enumerate(servers):
        for directive in server.all("listen"):
            _listen(directive, refuse)
        named = found[number]
        if differ:
            rest = [port for port in ports[number] if default[port] is server]
            named = [*_with_ports(server, named, ports[number], refuse), *_left_over(rest, found, ports)]
            if rest:
                _default_of(server, rest, refuse)
        elif default[ports[number][0]] is server:
            entries.append(((9, 0, number), server, Hosts((), _rest_note(_names(server)))))
            if not any(rank > (0, 0) for other in found if other is not named for rank, _ in other):
                continue  # else its own names must come before another server's less particular ones
        elif not named:
            why = "it has no name, and fig tells servers apart by the host; write its routes with `match: {host: ...}`"
            refuse(server, why)
        note = ("the port is that of Host, or of X-Forwarded-Proto from `trusted_proxies:`",) if differ else ()
        for rank in sorted({rank for rank, _ in named}):
            hosts = tuple(host for its, host in named if its == rank)
            entries.append(((*rank, number), server, Hosts(hosts, note)))
    return [(server, hosts) for _, server, hosts in sorted(entries, key=lambda entry: entry[0])]


def _with_ports(server: Directive, named: Sequence[Named], ports: Sequence[int], refuse: Refuse) -> list[Named]:
    for _, host in named:
        if not isinstance(host, str):
            refuse(server, f"its name {host['regex']} is a regex here, which says no port; it holds for all")
    return [
        each
        for rank, host in named
        for each in ([(rank, f"{host}:{port}") for port in ports] if isinstance(host, str) else [(rank, host)])
    ]


def _left_over(
    defaults: Sequence[int], found: Sequence[Sequence[Named]], ports: Sequence[Sequence[int]]
) -> list[Named]:
    """What a server takes as the default of ports: the hosts that servers name on other ports only."""
    left = []
    for port in defaults:
        here = [host for its, on in zip(found, ports, strict=True) if port in on for _, host in its]
        if any(not isinstance(host, str) for host in here):
            continue  # whether the regex takes them cannot be told
        ends = tuple(host[1:] for host in here if host.startswith("*."))
        elsewhere = {(rank, host) for its in found for rank, host in its if isinstance(host, str)}
        for rank, host in sorted(elsewhere):
            if host not in here and not (ends and host.endswith(ends)):
                left.append((rank, f"{host}:{port}"))
    return left


def _names(server: Directive) -> list[str]:
    return [name for directive in server.all("server_name") for name in directive.use().args if name not in ("_", "")]


def _default_of(server: Directive, ports: Sequence[int], refuse: Refuse) -> None:
    if len(ports) == 1 and not any({"default_server", "default"} & set(each.args) for each in server.all("listen")):
        what = f"it is the first on port {ports[0]}, so nginx's default there"
    else:
        what = f"it is nginx's default on port {', '.join(map(str, ports))}"
    refuse(server, f"{what}: hosts that no server names go to it, and here to legacy")


def _rest_note(names: list[str]) -> tuple[str, ...]:
    if not names:
        return ()
    return (f"the server of {', '.join(names[:3])} is nginx's default: it takes every host that no other one names",)


def _ports(server: Directive) -> tuple[int, ...]:
    found = [re.search(r"(?:^|:)([0-9]{1,5})$", each.args[0]) for each in server.all("listen") if each.args]
    return tuple(dict.fromkeys(int(each[1]) if each else 80 for each in found)) or (80,)


def _default(servers: Sequence[Directive], ports: Sequence[tuple[int, ...]], port: int) -> Directive:
    on = [server for server, its in zip(servers, ports, strict=True) if port in its]
    said = [
        server for server in on if any({"default_server", "default"} & set(each.args) for each in server.all("listen"))
    ]
    return (said or on)[0]


def _listen(directive: Directive, refuse: Refuse) -> None:
    if "ssl" in directive.args or "quic" in directive.args:
        refuse(
            directive, "TLS ends before fig: let what ends it send X-Forwarded-Proto, and name it in `trusted_proxies:`"
        )
    else:
        directive.use()  # where fig listens is its flag --listen


def _host(name: str, server: Directive, refuse: Refuse) -> list[Named]:
    """(place in nginx's order, host as a rules file says it)."""
    if name.startswith("~"):
        expression = name[1:]
        try:
            whole = whole_regex(expression, fold=re.search("[A-Z]", expression) is not None)
        except ValueError as exc:
            refuse(server, f"server_name {name}: {exc}")
            return []
        return [((3, 0), {"regex": whole})]
    if name.startswith("."):
        return [((0, 0), name[1:].lower()), ((1, -len(name)), f"*{name}".lower())]
    if name.startswith("*."):
        return _checked(((1, -len(name)), name.lower()), server, refuse)
    if name.endswith(".*"):
        return [((2, -len(name)), {"regex": re.escape(name[:-1].lower()) + ".+"})]
    return _checked(((0, 0), name.lower()), server, refuse)


def _checked(found: Named, server: Directive, refuse: Refuse) -> list[Named]:
    try:
        Match(host=(found[1],))
    except ValueError:
        refuse(server, f"server_name {found[1]} is no host that a rules file takes")
        return []
    return [found]
