"""nginx's choice of a location, said as an order of routes in which the first match wins.

For a request nginx takes the exact location; else it finds the longest prefix, and takes it when it says ``^~``; else
the first regex in file order; else that longest prefix (ngx_http_core_module, `location`). Prefixes count byte by byte.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rules.imports.conf import Directive
from rules.pattern import parse_pattern
from rules.regex import compile_regex

Plain = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Location:
    """A location of any kind, taken out of those around it."""

    directive: Directive
    kind: str
    """``=``, ``^~``, ``~``, ``~*``, or ``""`` for a prefix; ``@`` for a named one."""
    text: str
    parents: tuple[Directive, ...]
    """The blocks around it, the server first."""

    @property
    def is_prefix(self) -> bool:
        return self.kind in ("", "^~")


def locations_in(server: Directive) -> list[Location]:
    """Every location of a server, nested ones before those around them."""
    return _inside(server, (server,))


def _inside(block: Directive, parents: tuple[Directive, ...]) -> list[Location]:
    found = []
    for directive in block.all("location"):
        args = directive.args
        kind, text = (args[0], args[1]) if len(args) > 1 else ("", args[0] if args else "/")
        if kind == "" and text[:1] in ("=", "~", "^", "@"):  # nginx takes them without a blank, too
            found_kind = re.match(r"=|\^~|~\*|~|@", text)
            kind = found_kind[0] if found_kind else ""
            text = text[len(kind) :] if kind != "@" else text
        found += [*_inside(directive, (*parents, directive)), Location(directive, kind, text, parents)]
    return found


def in_order(locations: Sequence[Location]) -> list[tuple[Location, list[Location]]]:
    """(location, the prefixes that take requests away from it although they come later), first match first."""
    prefixes = [each for each in locations if each.is_prefix]
    longest = sorted(prefixes, key=lambda each: -len(each.text))
    firm = [each for each in longest if each.kind == "^~"]
    regexes = [each for each in locations if each.kind in ("~", "~*")]
    ordered = [(each, list[Location]()) for each in locations if each.kind == "="]
    for each in firm:
        within = [other for other in prefixes if other.kind == "" and other.text.startswith(each.text)]
        ordered.append((each, within))
    ordered += [(each, []) for each in regexes]
    return ordered + [(each, []) for each in longest if each.kind == ""]


def path_of(location: Location) -> tuple[list[Any], str]:
    """The paths of a match, and a note where something about them is not as it looks. Raises ValueError."""
    kind, text = location.kind, location.text
    if kind == "=":
        return [_literal(text)], ""
    if kind in ("~", "~*"):
        return [{"regex": whole_regex(text, kind == "~*")}], ""
    if text == "/":
        return ["/**"], ""
    if text.endswith("/"):
        return [_literal(text.rstrip("/")) + "/**"], ""
    beyond = {"regex": re.escape(text) + "[^/].*"}
    note = f"nginx compares bytes, so {text}x is taken too; remove the regex if only whole segments are meant"
    return [_literal(text) + "/**", beyond], note


def exactly(prefix: Location) -> list[Any]:
    """The paths that begin with a prefix, to the byte. Raises ValueError."""
    if prefix.text.endswith("/") and len(prefix.text) > 1:
        return [{"regex": re.escape(prefix.text) + ".*"}]
    return path_of(prefix)[0]


def _literal(text: str) -> str:
    """A path that stands for itself. Raises ValueError when it cannot."""
    pattern = parse_pattern(text)
    if pattern.names or pattern.rest or None in pattern.segments:
        raise ValueError("its braces or stars would mean something else in a rules file")
    return text


def whole_regex(text: str, fold: bool) -> str:
    """An expression that matches the whole path where nginx's finds something in it. Groups get names: g1, g2.

    Raises ValueError when RE2 cannot say it.
    """
    named = named_groups(text)
    if "|" in text:
        whole = f".*(?:{named}).*"
    else:
        ends = named.endswith("$") and not named.endswith("\\$")
        whole = ("" if named.startswith("^") else ".*") + named.removeprefix("^")
        whole = whole[:-1] if ends else f"{whole}.*"
    whole = "(?i)" + whole if fold else whole
    compile_regex(whole)
    return whole


def named_groups(text: str) -> str:
    """``/(a)/(b)`` -> ``/(?P<g1>a)/(?P<g2>b)``; groups that have names keep them."""
    pieces: list[str] = []
    number, at, in_class = 0, 0, False
    while at < len(text):
        character = text[at]
        if character == "\\":
            pieces.append(text[at : at + 2])
            at += 2
            continue
        if character == "[":
            in_class = True
        elif character == "]":
            in_class = False
        if character == "(" and not in_class:
            named = re.match(r"\(\?P?<([A-Za-z_]\w*)>", text[at:])
            if named:
                number += 1
                pieces.append(f"(?P<{named[1]}>")
                at += len(named[0])
                continue
            if text[at + 1 : at + 2] != "?":
                number += 1
                pieces.append(f"(?P<g{number}>")
                at += 1
                continue
        pieces.append(character)
        at += 1
    return "".join(pieces)
