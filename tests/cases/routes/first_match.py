"""Matches of `first_match_rules` (Gateway API and Envoy) as fig's own, plain data."""

from __future__ import annotations

import re
from typing import Any

import re2

from tests.cases.routes.world import OutOfScopeError

Plain = dict[str, Any]


def match_of(wanted: Plain) -> Plain:
    """fig's match. Raises OutOfScopeError."""
    for key in sorted(set(wanted) - {"host", "path", "method", "headers", "query", "fraction"}):
        if wanted[key]:
            raise OutOfScopeError(f"match by '{key}'")
    if wanted.get("fraction"):
        raise OutOfScopeError("a runtime fraction of requests (xDS only): fig's share is of units, not of requests")
    parts = [{"path": path_of(wanted.get("path"))}]
    if wanted.get("host", "*") != "*":
        parts[0]["host"] = host_of(wanted["host"])
    if wanted.get("method"):
        parts[0]["methods"] = [wanted["method"]]
    parts += [_field(header, "headers") for header in wanted.get("headers") or []]
    parts += [_field(parameter, "query") for parameter in wanted.get("query") or []]
    asked = [part for part in parts if part]
    return asked[0] if len(asked) == 1 else {"all": asked}


def host_of(host: str) -> Any:
    host = host.lower()
    if host.startswith("*.") or "*" not in host:
        return host
    return {"regex": re.escape(host).replace(r"\*", ".+")}


def path_of(path: Plain | None) -> Any:
    if path is None:
        return "/**"
    kind, value = path["type"], str(path["value"])
    if kind == "template":
        return {"regex": template_regex(value)}
    fold = "(?i)" if path.get("case_sensitive") is False else ""
    if kind == "regex_full":
        return {"regex": value}
    quoted = re.escape(value)
    if kind == "exact":
        return {"regex": fold + quoted} if fold else value
    if kind == "segment_prefix":
        bare = value.rstrip("/")
        return {"regex": fold + re.escape(bare) + "(?:/.*)?"} if fold else f"{bare}/**"
    if kind == "prefix":
        return "/**" if value == "/" else {"regex": f"{fold}{quoted}.*"}
    raise OutOfScopeError(f"a path by '{kind}'")


def template_regex(template: str) -> str:
    """Envoy's URI templates: ``*`` one segment, ``**`` the rest, ``{name}``, ``{name=pattern}``."""

    def group(found: re.Match[str]) -> str:
        if found[1] is None:
            return "[^/]+" if found[0] == "*" else ".*"
        inner = template_regex(found[2][1:]) if found[2] else "[^/]+"
        return f"(?P<{capture(found[1])}>{inner})"

    pieces, at = [], 0
    for found in re.finditer(r"\*\*|\*|\{(\w+)(=[^}]*)?\}", template):
        pieces += [re.escape(template[at : found.start()]), group(found)]
        at = found.end()
    return "".join([*pieces, re.escape(template[at:])])


def capture(variable: str) -> str:
    """The name of a template's variable as fig's: `path`, `host` and others are variables of fig itself."""
    return f"v_{variable}"


def _field(wanted: Plain, where: str) -> Plain:
    name = wanted["name"]
    if name.startswith(":"):
        return _pseudo(wanted)
    condition = _condition(wanted)
    if wanted["type"] == "present":
        return {where: {name: condition}}
    if wanted.get("invert"):
        # Envoy: what is absent matches no value, inverted or not, unless it is to be read as empty.
        asked: Plain = {where: {name: {"present": True, "not": condition}}}
    else:
        asked = {where: {name: condition}}
    if wanted.get("treat_missing_as_empty") and _holds_of_empty(wanted):
        return {"any": [asked, {where: {name: {"absent": True}}}]}
    return asked


def _condition(wanted: Plain) -> Plain:
    kind, value = wanted["type"], wanted.get("value")
    if kind == "present":
        return {"present": bool(value) is not bool(wanted.get("invert"))}
    if kind == "range":
        low, high = (value["start"], value["end"]) if isinstance(value, dict) else value
        return {"range": {"from": low, "below": high}}
    if kind == "regex_full":
        return {"regex": value}
    if kind not in ("exact", "prefix", "suffix", "contains"):
        raise OutOfScopeError(f"a value by '{kind}'")
    return {"regex": _folded(kind, str(value))} if wanted.get("ci") else {kind: value}


def _folded(kind: str, value: str) -> str:
    before = ".*" if kind in ("suffix", "contains") else ""
    after = ".*" if kind in ("prefix", "contains") else ""
    return f"(?is){before}{re.escape(value)}{after}"


def _holds_of_empty(wanted: Plain) -> bool:
    kind, value = wanted["type"], wanted.get("value")
    if kind == "range":
        holds = False
    elif kind == "regex_full":
        holds = re2.fullmatch(value, "") is not None
    else:
        holds = value == ""
    return holds is not bool(wanted.get("invert"))


def _pseudo(wanted: Plain) -> Plain:
    name, kind, value = wanted["name"], wanted["type"], wanted.get("value")
    if kind == "present":  # every request has them
        if bool(value) is bool(wanted.get("invert")):
            raise OutOfScopeError(f"the absence of {name}, which every request of HTTP has")
        return {}
    texts = {"exact": str(value), "regex_full": None}
    if kind not in texts or wanted.get("ci"):
        raise OutOfScopeError(f"{name} by '{kind}'")
    if name == ":method":
        if kind != "exact":
            raise OutOfScopeError("methods by a regex: fig's are a list")
        asked: Plain = {"methods": [value]}
    elif name == ":authority":
        asked = {"host": value if kind == "exact" else {"regex": value}}
    elif name == ":path" and "?" not in str(value):
        asked = {"path": value if kind == "exact" else {"regex": value}}
    else:
        raise OutOfScopeError(f"{name} by '{kind}'")
    return {"not": asked} if wanted.get("invert") else asked
