"""The services that `proxy_pass` names: upstreams, hosts, constants, and what `split_clients` chooses among."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from rules.imports.conf import Directive
from rules.imports.draft import Plain, Services
from rules.imports.nginx_conditions import cases
from rules.imports.nginx_servers import Servers, servers_of, tls_of, with_port
from rules.imports.nginx_values import seconds
from rules.service import Service

Refuse = Callable[[Directive, str], None]
_PASS = re.compile(r"(https?)://([^/$]+|\$\{?\w+\}?|unix:[^:]+:?)((?:/|\$).*)?$", re.DOTALL)
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")


@dataclass(frozen=True, slots=True)
class Sides:
    """Who answers what a location passes on."""

    services: tuple[tuple[str, int], ...]
    """(service, share in millionths); one with everything where nothing is split."""
    uri: str
    """What `proxy_pass` says behind the host, with nginx's variables; ``""`` for nothing."""
    is_whole: bool
    """Whether that stands in place of the whole path and query, and not of what the location matched."""
    host: str
    """What nginx sends as Host unless it is told another: ``$proxy_host``."""
    unit: Plain
    notes: tuple[str, ...]


class Upstreams:
    def __init__(self, https: Sequence[Directive], services: Services, refuse: Refuse) -> None:
        self._services = services
        self._refuse = refuse
        self._servers: dict[str, Servers] = {}
        self._upstreams = {each.args[0]: each for http in https for each in http.all("upstream") if each.args}
        self._maps = {
            each.args[1].lstrip("$"): each for http in https for each in http.all("map") if len(each.args) > 1
        }
        self._splits = {
            each.args[1].lstrip("$"): each for http in https for each in http.all("split_clients") if len(each.args) > 1
        }

        for block in self._maps.values():
            if block.args[0] == "$http_upgrade":  # for the Connection line, which fig writes by itself
                for each in block.everything():
                    each.use()

    def cases(self, directive: Directive) -> list[tuple[Plain, str]] | None:
        """Of a `proxy_pass` whose host a `map` chooses: (match, what it says then) of each case, the default last."""
        found = _PASS.match(directive.args[0]) if directive.args else None
        variable = _VARIABLE.fullmatch(found[2]) if found is not None else None
        block = self._maps.get(variable[1]) if variable is not None else None
        said = cases(block) if block is not None else None
        if found is None or block is None or said is None:
            return None
        for each in block.everything():
            each.use()
        return [(match, f"{found[1]}://{value}{found[3] or ''}") for match, value in said]

    def sides(self, directive: Directive, chain: Sequence[Directive], instead: str | None) -> Sides | None:
        """Of a `proxy_pass`, or of what it says in one case. None, and listed, where no service can be named."""
        said = directive.args[0] if directive.args else ""
        text = self._constant(said if instead is None else instead, chain)
        found = _PASS.match(text)
        if found is None:
            self._refuse(directive, "no service can be read from it; write the route by hand")
            return None
        scheme, authority, uri = found[1], found[2], found[3] or ""
        if uri in ("$request_uri", "$uri$is_args$args"):
            uri = ""
        is_whole = "$" in said  # with a variable anywhere nginx sends what it says in place of the whole path and query
        variable = _VARIABLE.fullmatch(authority)
        if variable is not None and variable[1] not in self._splits:
            self._refuse(directive, "it has variables that fig cannot know; write a route for each value")
            return None
        timeout = _last(chain, "proxy_connect_timeout")
        more: Plain = {}
        if timeout is not None and timeout.args and (connect := seconds(timeout.args[0])):
            more["connect_timeout"] = connect
            timeout.use()
        if variable is not None:
            return self._split(self._splits[variable[1]], scheme, uri, directive, chain, more)
        name = self._service(scheme, authority, directive, chain, more)
        return Sides(((name, 1_000_000),), uri, is_whole, authority, {}, ()) if name else None

    def _constant(self, text: str, chain: Sequence[Directive]) -> str:
        """With what `set` gives a variable filled in, where that is a plain text."""
        constants = {}
        for block in chain:
            for each in block.all("set"):
                if len(each.args) == 2 and "$" not in each.args[1]:
                    constants[each.args[0].lstrip("$")] = each
            for each in block.all("if"):  # what may be set anew is no constant
                for inner in each.all("set"):
                    constants.pop(inner.args[0].lstrip("$") if inner.args else "", None)
        for name in _VARIABLE.findall(text):
            if name in constants:
                text = re.sub(rf"\$\{{?{name}\}}?", constants[name].use().args[1].replace("\\", ""), text)
        return text

    def _service(
        self, scheme: str, authority: str, directive: Directive, chain: Sequence[Directive], more: Plain
    ) -> str | None:
        upstream = self._upstreams.get(authority)
        if upstream is not None:
            if authority not in self._servers:
                self._servers[authority] = servers_of(upstream, self._refuse)
            servers = self._servers[authority]
        elif authority.startswith("unix:"):
            self._refuse(directive, f"{authority} is a Unix socket; give the service a port")
            return None
        else:
            servers = Servers((authority if scheme == "http" else with_port(authority, 443),), {})
        if not servers.addresses:
            self._refuse(directive, f"the upstream {authority} names no server that fig can ask")
            return None
        name = authority.rpartition(":")[0] if re.search(r":[0-9]+$", authority) else authority
        content: Plain = more | servers.more
        if scheme == "https":
            tls = tls_of(chain, name, self._refuse)
            content |= {"tls": tls} if tls else {}
        urls = [f"{scheme}://{address}" for address in servers.addresses]
        try:
            Service.model_validate(content | {"urls": tuple(urls)})
        except ValueError:
            self._refuse(directive, f"{', '.join(servers.addresses)} is not the address of a service")
            return None
        parts = urlsplit(urls[0])
        own = f"-{parts.port}" if parts.port and not (scheme == "https" and parts.port == 443) else ""
        return self._services.add(
            authority if upstream is not None else (parts.hostname or name) + own, *urls, **content
        )

    def _split(
        self, block: Directive, scheme: str, uri: str, directive: Directive, chain: Sequence[Directive], more: Plain
    ) -> Sides | None:
        shares: dict[str, int] = {}
        rest: Directive | None = None
        for line in block.block:
            if not line.args:
                continue
            if line.name == "*":
                rest = line.use()
                continue
            share = re.fullmatch(r"([0-9]{1,2}(?:\.[0-9]{1,2})?)%", line.name)
            name = self._service(scheme, line.args[0], directive, chain, more) if share else None
            if name and share:
                line.use()
                shares[name] = shares.get(name, 0) + round(float(share[1]) * 10_000)
        if rest is not None:
            name = self._service(scheme, rest.args[0], directive, chain, more)
            if name:
                shares[name] = shares.get(name, 0) + max(0, 1_000_000 - sum(shares.values()))
        block.use()
        parts = list(shares.items())
        if not parts:
            return None
        parts.sort(key=lambda part: -part[1])
        if len(parts) > 2:
            beyond = ", ".join(name for name, _ in parts[2:])
            self._refuse(block, f"a route has two sides; left out: {beyond}. Their units go to {parts[0][0]}")
        unit, note = _unit(block.args[0])
        return Sides(tuple(parts[:2]), uri, True, parts[0][0], unit, (note,))


def _unit(key: str) -> tuple[Plain, str]:
    names = _VARIABLE.findall(key)
    again = "fig's buckets are another hash than nginx's: each unit is given a side once more"
    for name in names:
        if name.startswith("cookie_"):
            return {"cookie": name.removeprefix("cookie_")}, again
        if name.startswith("http_"):
            return {"header": name.removeprefix("http_").replace("_", "-")}, again
        if name in ("remote_addr", "binary_remote_addr"):
            return {"address": True}, again
    return {"address": True}, f"split_clients counts by {key}; here the client's address is the unit. {again}"


def _last(chain: Sequence[Directive], name: str) -> Directive | None:
    found = [each for block in chain for each in block.all(name)]
    return found[-1] if found else None
