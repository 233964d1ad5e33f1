"""Matches of HTTPRoutes as fig's, and the order in which a Gateway asks them."""

from __future__ import annotations

from pydantic import ValidationError

from rules.imports.draft import Plain, in_words
from rules.imports.locations import literal_path
from rules.imports.manifests import Field
from rules.match import Match

_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")


def match_of(match: Field | None) -> Plain:
    """fig's match. Raises ValueError saying what cannot be said."""
    if match is None:
        return {"path": "/**"}
    wanted: Plain = {"path": _path(match)}
    method = match.text("method")
    if method:
        if method not in _METHODS:
            raise ValueError(f"'{method:.40}' is not a method of the Gateway API")
        wanted["methods"] = [method]
    for key, ours in (("headers", "headers"), ("queryParams", "query")):
        values = [(each.text("name"), _value(each)) for each in match.list(key)]
        if values:
            first: Plain = {}
            for name, value in values:  # of a name that comes twice the first counts (HTTPRouteMatch)
                known = {each.lower() for each in first} if ours == "headers" else set(first)
                if (name.lower() if ours == "headers" else name) not in known:
                    first[name] = value
            wanted[ours] = first
    try:
        Match.model_validate(wanted)
    except ValidationError as exc:
        raise ValueError(in_words(exc)) from exc
    return wanted


def _path(match: Field) -> object:
    kind, value = match.text("path", "type") or "PathPrefix", match.text("path", "value") or "/"
    if kind == "Exact":
        return literal_path(value, "")
    if kind == "PathPrefix":
        return literal_path(value.rstrip("/"), "/**")
    if kind == "RegularExpression":
        return {"regex": value}
    raise ValueError(f"the path type '{kind:.40}' is not known")


def _value(field: Field) -> object:
    kind, value = field.text("type") or "Exact", field.text("value")
    if kind == "Exact":
        return value
    if kind == "RegularExpression":
        return {"regex": value}
    raise ValueError(f"the type '{kind:.40}' is not known")


def host_ranks(hosts: list[str]) -> list[tuple[tuple[int, int], list[str]]]:
    """Exact hosts before ``*.name``, the longest first, before none: a more particular host is asked first."""
    if not hosts:
        return [((2, 0), [])]
    exact = [host for host in hosts if not host.startswith("*")]
    wild = sorted((host for host in hosts if host.startswith("*")), key=lambda host: -len(host))
    return ([((0, 0), exact)] if exact else []) + [((1, -len(host)), [host]) for host in wild]


def precedence(match: Field | None) -> tuple[int, ...]:
    """HTTPRouteRule.matches: exact path, longest prefix, a method, most headers, most parameters."""
    if match is None:
        return (2, 0, 1, 0, 0)
    kind, value = match.text("path", "type") or "PathPrefix", match.text("path", "value") or "/"
    rank = {"Exact": 0, "RegularExpression": 1}.get(kind, 2)
    length = -len(value.rstrip("/")) if kind == "PathPrefix" else -len(value)
    method = 0 if match.text("method") else 1
    return (rank, length, method, -len(match.list("headers")), -len(match.list("queryParams")))
