"""Which host a server answers, and in what order nginx asks its servers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rules.imports.conf import Directive
from rules.imports.draft import Plain
from rules.match import Match
from rules.matching.regex import compile_regex

Refuse = Callable[[Directive, str], None]


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
    broad = {number for number, server in enumerate(servers) if any(map(_is_broad, _names(server)))}
    entries: list[tuple[tuple[int, int, int], Directive, Hosts]] = []
    for number, server in enumerate(servers):
        takes_rest = all(default[port] is server for port in ports[number])
        for directive in server.all("listen"):
            _listen(directive, refuse)
        names = _names(server)
        found = [(rank, host) for name in names for rank, host in _host(name, server, refuse)]
        if takes_rest and not differ:
            entries.append(((9, 0, number), server, Hosts((), _rest_note(names))))
            if not broad - {number}:  # else another server's name is less particular, and must not come first
                continue
        elif not found:
            why = "it has no name, and fig tells servers apart by the host; write its routes with `match: {host: ...}`"
            refuse(server, why)
            continue
        elif differ and (rest := [port for port in ports[number] if default[port] is server]):
            _default_of(server, rest, refuse)
        for rank in sorted({rank for rank, _ in found}):
            hosts = [host for its, host in found if its == rank]
            if differ:
                texts = [f"{host}:{port}" for host in hosts if isinstance(host, str) for port in ports[number]]
                regexes = [host for host in hosts if not isinstance(host, str)]
                for host in regexes:
                    refuse(server, f"its name {host['regex']} is a regex here, which says no port; it holds for all")
                hosts = [*texts, *regexes]
            note = ("the port is that of Host, or of X-Forwarded-Proto from `trusted_proxies:`",) if differ else ()
            entries.append(((*rank, number), server, Hosts(tuple(hosts), note)))
    return [(server, hosts) for _, server, hosts in sorted(entries, key=lambda entry: entry[0])]


def _names(server: Directive) -> list[str]:
    return [name for directive in server.all("server_name") for name in directive.use().args if name not in ("_", "")]


def _is_broad(name: str) -> bool:
    return name.startswith(("~", "*.", ".")) or name.endswith(".*")


def _default_of(server: Directive, ports: Sequence[int], refuse: Refuse) -> None:
    if len(ports) == 1 and not any({"default_server", "default"} & set(each.args) for each in server.all("listen")):
        what = f"it is the first on port {ports[0]}, so nginx's default there"
    else:
        what = f"it is nginx's default on port {', '.join(map(str, ports))}"
    refuse(server, f"{what}: hosts that no server names go to it; here to the file's legacy. Add a route at the end")


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


def _host(name: str, server: Directive, refuse: Refuse) -> list[tuple[tuple[int, int], Any]]:
    """(place in nginx's order, host as a rules file says it)."""
    if name.startswith("~"):
        expression = name[1:]
        try:
            whole = expression[1:-1] if expression[:1] == "^" and expression[-1:] == "$" else f".*(?:{expression}).*"
            compile_regex(whole)
        except ValueError as exc:
            refuse(server, f"server_name {name}: {exc}")
            return []
        return [((3, 0), {"regex": f"(?i){whole}" if re.search("[A-Z]", whole) else whole})]
    if name.startswith("."):
        return [((0, 0), name[1:].lower()), ((1, -len(name)), f"*{name}".lower())]
    if name.startswith("*."):
        return _checked(((1, -len(name)), name.lower()), server, refuse)
    if name.endswith(".*"):
        return [((2, -len(name)), {"regex": re.escape(name[:-1].lower()) + ".+"})]
    return _checked(((0, 0), name.lower()), server, refuse)


def _checked(
    found: tuple[tuple[int, int], str], server: Directive, refuse: Refuse
) -> list[tuple[tuple[int, int], Any]]:
    try:
        Match(host=(found[1],))
    except ValueError:
        refuse(server, f"server_name {found[1]} is no host that a rules file takes")
        return []
    return [found]
