"""The servers of an `upstream` block, and the `proxy_ssl_` directives, as what a service of the rules file says."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rules.endpoint import parse_endpoint
from rules.imports.conf import Directive
from rules.imports.draft import Plain
from rules.service import MOST_ENDPOINTS, Tls

Refuse = Callable[[Directive, str], None]


@dataclass(frozen=True, slots=True)
class Servers:
    """What an `upstream` block says."""

    addresses: tuple[str, ...]
    """Each with its port, no two alike; none where nothing can be asked."""
    more: Plain
    """Keys of the service."""


def servers_of(upstream: Directive, refuse: Refuse) -> Servers:
    """Carries what it can, and lists what it cannot."""
    upstream.use()
    addresses: list[str] = []
    carried: list[tuple[Directive, dict[str, str]]] = []
    for server in upstream.all("server"):
        if not server.args:
            continue
        server.use()
        address, options = server.args[0], _options(server)
        if "down" in options:
            continue  # nginx asks it for nothing
        if "backup" in options:
            refuse(server, "fig has no endpoint that is asked only when others fail; it is left out")
        elif address.startswith("unix:"):
            refuse(server, "it is a Unix socket; give it a port. It is left out")
        elif _is_taken(address := with_port(address, 80), addresses, server, refuse):
            addresses.append(address)
            carried.append((server, options))
    return Servers(tuple(addresses), _balance(upstream) | _limits(carried, refuse))


def with_port(address: str, port: int) -> str:
    """``a.example`` -> ``a.example:80``; one that has a port stays as it is."""
    return address if re.search(r":[0-9]+$", address) else f"{address}:{port}"


def _options(server: Directive) -> dict[str, str]:
    """What follows the address, by name; ``""`` for what has no value."""
    return {name: value for name, _, value in (each.partition("=") for each in server.args[1:])}


def _is_taken(address: str, addresses: Sequence[str], server: Directive, refuse: Refuse) -> bool:
    try:
        endpoint = parse_endpoint(f"http://{address}")
    except ValueError:
        refuse(server, f"{address} is not the address of a service; it is left out")
        return False
    if any(parse_endpoint(f"http://{each}") == endpoint for each in addresses):
        refuse(server, "it stands there twice, and fig's endpoints get equal parts; it is left out")
        return False
    if len(addresses) >= MOST_ENDPOINTS:
        refuse(server, f"a service has at most {MOST_ENDPOINTS} URLs; it is left out")
        return False
    return True


def _balance(upstream: Directive) -> Plain:
    for directive in upstream.all("least_conn"):
        directive.use()
        return {"balance": "least_requests"}
    for directive in upstream.all("random"):
        if directive.args[:1] == ("two",) and directive.args[1:] in ((), ("least_conn",)):
            directive.use()
            return {"balance": "least_requests"}
    return {}


def _limits(carried: Sequence[tuple[Directive, dict[str, str]]], refuse: Refuse) -> Plain:
    """What every server says alike has a key of the service; the rest is listed."""
    found: Plain = {}
    conns = {options.pop("max_conns", "0") for _, options in carried}
    if len(conns) == 1 and re.fullmatch("[1-9][0-9]{0,3}", most := conns.pop()):
        found["max_connections"] = int(most)
    elif conns - {"0"}:
        refuse(carried[0][0], "endpoints of a service have one `max_connections`; write it by hand")
    fails = [options.pop("max_fails", "1") for _, options in carried]
    if len(carried) > 1 and set(fails) == {"0"}:
        found["ejection"] = "off"
    for (server, options), most in zip(carried, fails, strict=True):
        options.pop("resolve", None)  # fig looks names up anew by itself
        if options.pop("weight", "1") != "1":
            refuse(server, "endpoints of a service get equal parts; the weight is left out")
        if options.pop("fail_timeout", None) is not None or most not in ("0", "1"):
            refuse(server, "how long it is left alone after failures stands under `ejection:` of the service")
        if options:
            said = " ".join(f"{name}={value}" if value else name for name, value in options.items())
            refuse(server, f"'{said}' has no counterpart")
    return found


def tls_of(chain: Sequence[Directive], name: str, refuse: Refuse) -> Plain:
    """The `tls:` block of a service that `proxy_pass https://...` names. `name`: what nginx takes for the server's
    name unless it is told another (``$proxy_host``, without a port)."""
    verifies = _said(chain, "proxy_ssl_verify") == "on"
    found: Plain = {} if verifies else {"verify": False}  # nginx believes every certificate unless it is told not to
    said = _said(chain, "proxy_ssl_name")
    if said is not None and "$" not in said:
        name = said
    if verifies or _said(chain, "proxy_ssl_server_name") == "on":
        found["server_name"] = name
    files = [("proxy_ssl_certificate", "certificate"), ("proxy_ssl_certificate_key", "key")]
    for directive, key in [("proxy_ssl_trusted_certificate", "ca"), *files] if verifies else files:
        if (file := _said(chain, directive)) is not None:
            found[key] = file
    depth = _said(chain, "proxy_ssl_verify_depth")
    try:
        Tls.model_validate(found)
    except ValueError:
        at = next((each for name, _ in files for each in _all(chain, name)), None)
        at = at or next(iter(_all(chain, "proxy_ssl_trusted_certificate")), None) or chain[-1]
        refuse(
            at, "a service's files are named by their whole paths, certificate and key together; write `tls:` by hand"
        )
        return {} if verifies else {"verify": False}
    if depth is not None and verifies:
        refuse(_all(chain, "proxy_ssl_verify_depth")[-1], "fig follows a chain as far as OpenSSL does")
    return found


def _said(chain: Sequence[Directive], name: str) -> str | None:
    """What the innermost one says; all of them are used."""
    found = [each.use() for each in _all(chain, name)]
    return found[-1].args[0] if found and found[-1].args else None


def _all(chain: Sequence[Directive], name: str) -> list[Directive]:
    return [each for block in chain for each in block.all(name)]
