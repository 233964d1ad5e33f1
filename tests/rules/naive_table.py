"""The readable reference for the compiled table: a loop over the routes, each condition read from the rules reference.

Works on the plain data of a rules file, with Python's own `re` and `ipaddress`, and shares no code with rules/ but the
request. Slow, and meant to be checked by eye.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import parse_qsl

from rules.asked import Asked

Data = dict[str, Any]


def first_route(matches: Sequence[Data], request: Asked) -> int:
    """The number of the first match that takes the request; how many there are when none does."""
    return next((number for number, match in enumerate(matches) if takes(match, request)), len(matches))


def takes(match: Data, request: Asked) -> bool:
    return (
        ("host" not in match or any(_host_is(host, request) for host in _list(match["host"])))
        and any(_path_is(path, request.path) for path in _list(match.get("path", "/**")))
        and ("methods" not in match or request.method in match["methods"])
        and all(holds(wanted, _header(request, name)) for name, wanted in match.get("headers", {}).items())
        and all(holds(wanted, _parameter(request, name)) for name, wanted in match.get("query", {}).items())
        and all(holds(wanted, _cookie(request, name)) for name, wanted in match.get("cookies", {}).items())
        and ("client" not in match or any(_lies_in(request.client, net) for net in _list(match["client"])))
        and match.get("scheme", request.scheme) == request.scheme
        and all(takes(each, request) for each in match.get("all", ()))
        and ("any" not in match or any(takes(each, request) for each in match["any"]))
        and ("not" not in match or not takes(match["not"], request))
    )


def holds(wanted: Any, value: str | None) -> bool:
    """Whether a condition holds of a value; None is an absent one."""
    if isinstance(wanted, str):
        return value == wanted
    if wanted.get("absent") or wanted.get("present") is False:
        return value is None
    positive = [key for key in wanted if key != "not"]
    if positive and value is None:
        return False
    return all(_holds(key, wanted[key], value or "") for key in positive) and not (
        "not" in wanted and holds(wanted["not"], value)
    )


def _holds(key: str, wanted: Any, value: str) -> bool:
    if key == "range":
        return bool(re.fullmatch("-?[0-9]{1,19}", value)) and (
            wanted.get("from", int(value)) <= int(value) < wanted.get("below", int(value) + 1)
        )
    return {
        "present": lambda: True,
        "exact": lambda: value == wanted,
        "prefix": lambda: value.startswith(wanted),
        "suffix": lambda: value.endswith(wanted),
        "contains": lambda: wanted in value,
        "regex": lambda: re.fullmatch(wanted, value) is not None,
    }[key]()


def captures(match: Data, request: Asked) -> dict[str, str]:
    """What each name stands for in a request that the match takes."""
    named = _named(match, request)
    if _asks_no_path(match):
        return {"**": request.path if request.path != "*" else ""} | named
    return named


def _named(match: Data, request: Asked) -> dict[str, str]:
    named: dict[str, str] = {}
    if not _asks_no_path(match):
        path = next(path for path in _list(match["path"]) if _path_is(path, request.path))
        found = re.fullmatch(_expression(path), request.path)
        groups = found.groupdict() if found is not None else {"rest_": ""}  # OPTIONS * taken by a list with /** in it
        named = {"**" if name == "rest_" else name: value or "" for name, value in groups.items()}
    alternatives = [each for each in match.get("any", ()) if takes(each, request)]
    for each in [*match.get("all", ()), *alternatives[:1]]:
        named = _named(each, request) | named
    return named


def _asks_no_path(match: Data) -> bool:
    return match.get("path", "/**") in ("/**", ["/**"])


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _host_is(wanted: Any, request: Asked) -> bool:
    host = request.host.removesuffix(".")
    if host.startswith("["):
        host = f"[{IPv6Address(host[1:-1])}]"
    if isinstance(wanted, dict):
        return re.fullmatch(wanted["regex"], host) is not None
    name, port = re.fullmatch(r"(.*?)(?::([0-9]+))?", wanted).groups() if wanted[0] != "[" else (wanted, None)  # type: ignore[union-attr]
    if port is not None and int(port) != request.port:
        return False
    return len(host) >= len(name) and host.endswith(name[1:]) if name.startswith("*") else host == name


def _path_is(wanted: Any, path: str) -> bool:
    if path == "*":
        return bool(wanted == "/**")
    return re.fullmatch(_expression(wanted), path) is not None


def _expression(wanted: Any) -> str:
    """The path as a regular expression; the group of ``**`` is called `rest_`."""
    if isinstance(wanted, dict):
        return str(wanted["regex"])
    return "".join(
        "(?P<rest_>(/.*)?)"
        if part == "**"
        else "/[^/]+"
        if part == "*"
        else f"/(?P<{part[1:-1]}>[^/]+)"
        if part.startswith("{")
        else "/" + re.escape(part)
        for part in wanted[1:].split("/")
    )


def _header(request: Asked, name: str) -> str | None:
    values = request.values(name.lower())
    return ",".join(values) if values else None


def _parameter(request: Asked, name: str) -> str | None:
    pairs = parse_qsl(request.query, keep_blank_values=True)
    return next((value for key, value in pairs if key == name), None)


def _cookie(request: Asked, name: str) -> str | None:
    pieces = [piece.strip(" \t").partition("=") for line in request.values("cookie") for piece in line.split(";")]
    return next((value.strip(" \t") for key, equals, value in pieces if equals and key == name), None)


def _lies_in(client: str, network: str) -> bool:
    return ip_address(client) in ip_network(network)
