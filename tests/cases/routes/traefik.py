"""Traefik v3: one rule (``Host(`a`) && !Path(`/b`)``) as a match of fig's, and whether it takes a request."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from tests.cases.routes.world import OUTSIDE, OutOfScopeError, asked, happens, table_of

Plain = dict[str, Any]
_TOKEN = re.compile(r"\s*(?:(&&|\|\||[!(),])|([A-Za-z]+)|`([^`]*)`|\"((?:[^\"\\]|\\.)*)\")")


def judge(_suite: Plain, case: Plain) -> list[str]:
    """What is otherwise than expected. Raises OutOfScopeError."""
    if case["expect"].get("config_error"):
        raise OutOfScopeError("what Traefik's own syntax refuses")
    request = case["request"]
    target = f"{request['path']}?{request['query']}" if request.get("query") else request["path"]
    head = asked(request["method"], request["host"], target, request["headers"], client=_client(case))
    if head is None:
        raise OutOfScopeError("a path without a single reading, which fig refuses")
    route = {"match": match_of(case["rule"]), "candidate": "c", "stage": "live"}
    taken = happens(table_of([route]), [["c"]], head).number is not None
    if taken is case["expect"]["matched"]:
        return []
    if head.path != (request["path"] or "/"):
        raise OutOfScopeError("a path that fig writes anew before it matches (rules/matching/path.py): braces, '//'")
    names = [pair.partition("=")[0] for pair in head.query.split("&")]
    if len(set(names)) < len(names):
        raise OutOfScopeError("a parameter that comes twice: the first one counts (Condition)")
    if any(isinstance(lines, list) and len(lines) > 1 for lines in request["headers"].values()):
        raise OutOfScopeError("a header of several lines, which are one value (Condition)")
    return [f"matched {taken}"]


def _client(case: Plain) -> str:
    """Whichever key names it. Raises OutOfScopeError where the rule asks for it, and the case does not say."""
    for name, value in case["request"].items():
        host = re.sub(r"^\[(.*)\](:[0-9]+)?$|:[0-9]+$", r"\1", value) if isinstance(value, str) else ""
        if name != "host" and (address := _address(host) or _address(str(value))):
            return address
    if "clientip" in case["rule"].lower():
        raise OutOfScopeError("a client whose address the case does not say")
    return OUTSIDE


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def match_of(rule: str) -> Plain:
    """fig's match. Raises OutOfScopeError."""
    tokens, at = [], 0
    while rule[at:].strip():
        found = _TOKEN.match(rule, at)
        if found is None:
            raise OutOfScopeError("what Traefik's own syntax refuses")
        operator, name, raw, quoted = found.groups()
        text = raw if raw is not None else quoted
        tokens.append(("text", text) if text is not None else ("name", name) if name else (operator, ""))
        at = found.end()
    parser = _Parser(tokens)
    return parser.either()


class _Parser:
    """By descent; ``&&`` binds closer than ``||``."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = [*tokens, ("end", "")]

    def either(self) -> Plain:
        parts = [self.both()]
        while self._tokens[0][0] == "||":
            self._tokens.pop(0)
            parts.append(self.both())
        return parts[0] if len(parts) == 1 else {"any": parts}

    def both(self) -> Plain:
        parts = [self.one()]
        while self._tokens[0][0] == "&&":
            self._tokens.pop(0)
            parts.append(self.one())
        return parts[0] if len(parts) == 1 else {"all": parts}

    def one(self) -> Plain:
        kind, text = self._tokens.pop(0)
        if kind == "!":
            return {"not": self.one()}
        if kind == "(":
            inner = self.either()
            self._tokens.pop(0)
            return inner
        self._tokens.pop(0)
        texts = []
        while self._tokens[0][0] in ("text", ","):
            kind, value = self._tokens.pop(0)
            texts += [value] if kind == "text" else []
        self._tokens.pop(0)
        return _matcher(text.lower(), texts)


def _somewhere(expression: str) -> Plain:
    """Traefik's expressions match anywhere in the text, fig's the whole of it."""
    return {"regex": f"(?s).*(?:{expression}).*"}


def _matcher(name: str, texts: list[str]) -> Plain:
    first, last = texts[0], texts[-1]
    if name == "host":
        host = f"[{first}]" if first.count(":") > 1 and not first.startswith("[") else first
        return {"host": host.lower().removesuffix(".")}
    if name == "hostregexp":
        return {"host": _somewhere(first)}
    if name == "path":  # braces and stars stand for themselves
        return {"path": {"regex": re.escape(first)} if set(first) & set("{*}") else first}
    if name == "pathprefix":  # byte by byte, so that /foo also takes /foobar; fig's /foo/** would not
        return {"path": {"regex": f"{re.escape(first)}.*"}}
    if name == "pathregexp":
        return {"path": _somewhere(first)}
    if name == "method":
        return {"methods": [first.upper()]}
    if name == "header":  # one of its lines; fig reads several lines as one value, joined by commas
        return {"headers": {first: {"regex": f"(?:.*,)?{re.escape(last)}(?:,.*)?"}}}
    if name == "headerregexp":
        return {"headers": {first: _somewhere(last)}}
    if name in ("query", "queryregexp"):
        value = last if len(texts) > 1 else ""
        return {"query": {first: {"exact": value} if name == "query" else _somewhere(value)}}
    if name == "clientip":
        return {"client": first}
    raise OutOfScopeError(f"the matcher {name}")
