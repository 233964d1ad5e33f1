"""nginx's choice of a location, said as an order of routes in which the first match wins.

For a request nginx takes the exact location; else it finds the longest prefix, and takes it when it says ``^~``; else
the first regex in file order; else that longest prefix (ngx_http_core_module, `location`). Prefixes count byte by byte.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from rules.imports.conf import Directive
from rules.matching.pattern import parse_pattern
from rules.matching.regex import compile_regex

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


@dataclass(frozen=True, slots=True)
class Placed:
    """A location at its place in the order, and which others bound it there."""

    location: Location
    within: tuple[Location, ...] = ()
    """Locations around it; it is asked only for what they take."""
    without: tuple[Location, ...] = ()
    """Prefixes that take requests away from it although they come later."""

    def inside(self, around: Location, longer: Sequence[Location]) -> Placed:
        """Asked only where nginx chose `around`, and none of the `longer` prefixes beside that."""
        own = self.location
        bound = own.kind in ("~", "~*") or not around.is_prefix
        if bound and (around.kind, around.text) not in (("", "/"), ("^~", "/")):
            return Placed(own, (*self.within, around), (*self.without, *longer))
        taken = [other for other in longer if bound or own.text.startswith(other.text)]
        return Placed(own, self.within, (*self.without, *taken))


def locations_in(block: Directive, parents: tuple[Directive, ...]) -> list[Location]:
    """The locations that stand in a block itself; `parents` ends with it."""
    found = []
    for directive in block.all("location"):
        args = directive.args
        kind, text = (args[0], args[1]) if len(args) > 1 else ("", args[0] if args else "/")
        if kind == "" and text[:1] in ("=", "~", "^", "@"):  # nginx takes them without a blank, too
            found_kind = re.match(r"=|\^~|~\*|~|@", text)
            kind = found_kind[0] if found_kind else ""
            text = text[len(kind) :] if kind != "@" else text
        found.append(Location(directive, kind, text, parents))
    return found


def in_order(server: Directive) -> list[Placed]:
    """Every location of a server that a request can reach, first match first."""
    final, fallbacks = _in_order(server, (server,))
    return final + fallbacks


def _in_order(block: Directive, parents: tuple[Directive, ...]) -> tuple[list[Placed], list[Placed]]:
    """What ends nginx's search when it matches, and the prefixes that are taken when nothing else does.

    Within the longest prefix nginx first asks what stands in it, then the regexes beside it, unless it says ``^~``;
    a prefix in a prefix is a fallback only: the outer regexes come before it (ngx_http_core_find_location).
    """
    here = locations_in(block, parents)
    prefixes = sorted((each for each in here if each.is_prefix), key=lambda each: -len(each.text))
    is_top = len(parents) == 1
    final = [Placed(each) for each in here if each.kind == "="]
    firm: list[Placed] = []
    fallbacks: list[Placed] = []
    for prefix in prefixes:
        inner_final, inner_fallbacks = _in_order(prefix.directive, (*parents, prefix.directive))
        longer = [other for other in prefixes if other is not prefix and other.text.startswith(prefix.text)]
        final += [each.inside(prefix, longer) for each in inner_final]
        falls = [*inner_fallbacks, Placed(prefix)]
        if prefix.kind == "^~" and is_top:
            later = tuple(other for other in longer if other.kind == "")
            firm += [Placed(each.location, each.within, (*each.without, *later)) for each in falls]
        else:
            fallbacks += falls
    final += firm
    # Deeper down a firm prefix keeps off only the regexes beside it: those further out still come before it.
    kept_off = () if is_top else tuple(each for each in prefixes if each.kind == "^~")
    for regex in here:
        if regex.kind in ("~", "~*"):
            inner_final, inner_fallbacks = _in_order(regex.directive, (*parents, regex.directive))
            inner = [each.inside(regex, ()) for each in (*inner_final, *inner_fallbacks)]
            final += [
                Placed(each.location, each.within, (*each.without, *kept_off)) for each in (*inner, Placed(regex))
            ]
    return final, fallbacks


def path_of(location: Location) -> tuple[list[Any], str]:
    """The paths of a match, and a note where something about them is not as it looks. Raises ValueError."""
    kind = location.kind
    if kind in ("~", "~*"):
        return [{"regex": path_regex(location.text, kind == "~*")}], ""
    text = as_sent(location.text)
    if kind == "=":
        return [literal_path(text, "")], ""
    if text == "/":
        return ["/**"], ""
    if text.endswith("/"):
        return [literal_path(text.rstrip("/"), "/**")], ""
    beyond = {"regex": re.escape(text) + "[^/].*"}
    note = f"nginx compares bytes, so {text}x is taken too; remove the regex if only whole segments are meant"
    return [literal_path(text, "/**"), beyond], note


def exactly(location: Location) -> list[Any]:
    """The paths that it takes, to the byte. Raises ValueError."""
    text = location.text
    if location.is_prefix and text.endswith("/") and len(text) > 1:
        return [{"regex": re.escape(as_sent(text)) + ".*"}]
    return path_of(location)[0]


def as_sent(text: str) -> str:
    """A path as fig sees it: nginx compares paths with their escapes decoded."""
    return quote(text, safe="/:@!$&'()*+,;=~-._")


def literal_path(text: str, end: str) -> Any:
    """A path, or with ``/**`` all beneath it too, that stands for itself. Raises ValueError when it cannot."""
    if "*" in text:
        parse_pattern(text.replace("*", "_"))
        return {"regex": re.escape(text) + ("(?:/.*)?" if end else "")}
    if parse_pattern(text + end).names:
        raise ValueError("its braces would mean something else in a rules file")
    return text + end


def path_regex(text: str, fold: bool) -> str:
    """`whole_regex` for a path. Raises ValueError, also for what nginx compares decoded and fig never sees so."""
    if re.search(r"[ %]|[^\x00-\x7f]", text):
        raise ValueError("nginx compares decoded paths, and fig sees them with escapes such as %20")
    return whole_regex(text, fold)


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
