"""Skipper: routes of eskip (``a: Path("/x/:id") && Method("GET") -> <shunt>;``) as fig's.

Skipper has no order: the most particular path wins, then the route with more predicates. The adapter writes that order
down, as someone who comes from Skipper would.
"""

from __future__ import annotations

import re
from typing import Any

from tests.cases.routes.world import OutOfScopeError, asked, happens, table_of

Plain = dict[str, Any]
_ROUTE = re.compile(r"(?s)\s*(\w+)\s*:\s*(.*?)->.*?;")
_PREDICATE = re.compile(r"""\s*(?:&&\s*)?(\w+|\*)\(?((?:\s*,?\s*(?:"(?:[^"\\]|\\.)*"|/(?:[^/\\]|\\.)*/))*)\)?""")
_LAST = (9,) * 64
_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"|/((?:[^/\\]|\\.)*)/')


def judge(suite: Plain, case: Plain) -> list[str]:
    """What is otherwise than expected. Raises OutOfScopeError."""
    expect, request = case["expect"], case["request"]
    options = suite.get("options", {}) | case.get("options", {})
    path = request.get("path") or "/"
    head = asked(request.get("method", "GET"), request.get("host", "h"), path, request.get("headers", {}))
    any_slash = bool(options.get("ignore_trailing_slash"))
    try:
        ordered = sorted(_routes(suite, any_slash), key=lambda each: each[2])
        routes = [{"match": match, "candidate": "c", "stage": "live"} for _, match, _ in ordered]
        table = table_of(routes)
    except ValueError:
        if not expect.get("must_not_crash"):
            raise
        return []  # refused when it is loaded, in words
    if head is None or head.path != path:
        if expect.get("must_not_crash"):
            return []
        raise OutOfScopeError("a path that fig refuses or writes anew before it matches (rules/matching/path.py)")
    happened = happens(table, [["c"]] * len(routes), head)
    if expect.get("must_not_crash"):
        return []
    name = ordered[happened.number][0] if happened.number is not None else None
    wrong = [] if name == expect["rule"] else [f"route {name}"]
    return wrong or _captured(expect, happened.captures, any_slash)


def _captured(expect: Plain, captures: dict[str, str], any_slash: bool) -> list[str]:
    wanted = dict(expect.get("params") or {})
    got = {name: value for name, value in captures.items() if name != "**"}
    rest = captures.get("**")
    if rest is not None and wanted:  # Skipper names the rest, and calls none of it "/"
        name = next((name for name in wanted if name not in got), None)
        if name is not None:
            got[name] = (rest.rstrip("/") if any_slash else rest) or "/"
    return [] if not wanted or got == wanted else [f"captures {got}"]


def _routes(suite: Plain, any_slash: bool) -> list[tuple[str, Plain, tuple[object, ...]]]:
    if "rules" in suite:
        return [(rule["id"], *_with_path("Path", rule["path"], any_slash, {})) for rule in suite["rules"]]
    found = []
    for name, predicates in _ROUTE.findall(suite["config_text"]):
        where, more = ("", ""), {}
        for kind, arguments in _PREDICATE.findall(predicates.strip()):
            texts = [quoted or expression for quoted, expression in _TEXT.findall(arguments)]
            if kind in ("Path", "PathSubtree"):
                where = (kind, texts[0] if texts else "")
            elif kind not in ("*", "True"):
                more = _merged(more, _predicate(kind, texts))
        found.append((name, *_with_path(*where, any_slash, more)))
    return found


def _merged(one: Plain, other: Plain) -> Plain:
    return one | other if not set(one) & set(other) else {"all": [one, other]}


def _predicate(kind: str, texts: list[str]) -> Plain:
    somewhere = {"regex": f"(?s).*(?:{texts[-1]}).*"} if texts else {}
    if kind == "Method":
        return {"methods": [texts[0]]}
    if kind == "Methods":
        return {"methods": texts}
    if kind == "Host":
        return {"host": somewhere}
    if kind == "HostAny":
        return {"host": texts}
    if kind == "PathRegexp":
        return {"path": somewhere}
    if kind in ("Header", "HeaderRegexp"):
        return {"headers": {texts[0]: {"exact": texts[1]} if kind == "Header" else somewhere}}
    if kind == "QueryParam":
        return {"query": {texts[0]: somewhere if len(texts) > 1 else {"present": True}}}
    if kind == "Cookie":
        return {"cookies": {texts[0]: somewhere}}
    if kind in ("ClientIP", "Source", "SourceFromLast"):
        return {"client": texts}
    raise OutOfScopeError(f"the predicate {kind}")


def _with_path(kind: str, path: str, any_slash: bool, more: Plain) -> tuple[Plain, tuple[object, ...]]:
    """The match and its place in the order: literals before ``:name`` before ``*``, more predicates first."""
    if not kind:
        return more or {"path": "/**"}, (_LAST, -len(more))
    bare = path.rstrip("/") if kind == "PathSubtree" else path
    segments = [_segment(each) for each in bare.split("/")]
    named_rest = segments[-1] == "**"
    text = "/".join(segments) + ("/**" if kind == "PathSubtree" and not named_rest else "") or "/"
    wanted: Plain = {"path": text}
    if named_rest and kind == "Path":  # Skipper's ``/x/*name`` wants something there
        before = text.removesuffix("/**")
        wanted["not"] = {"path": [before, before + "/"] if before else ["/"]}
    elif any_slash and kind == "Path" and len(text) > 1:
        wanted["path"] = [text.rstrip("/"), text.rstrip("/") + "/"]
    rank = tuple(2 if each == "**" else 1 if each.startswith("{") else 0 for each in segments if each)
    return _merged(wanted, more), (rank + _LAST[len(rank) :], -len(more))


def _segment(segment: str) -> str:
    if segment.startswith("*"):
        return "**"
    return f"{{{segment[1:]}}}" if segment.startswith(":") else segment
