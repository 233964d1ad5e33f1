"""Ids that the sides assign differently: learnt from two answers to one write, and put into later copies. Pure.

`Lookup` knows what was learnt; nothing here keeps it. An id is told by its text, for services write the number of a
path as a number or as text in their bodies, and it goes out in the form in which it stood.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias
from urllib.parse import quote, unquote, unquote_plus

from rules.identities import Identity
from rules.match import Match
from rules.matching.pattern import parse_pattern
from rules.selectors import EVERY, Selector, parse_selector
from rules.stages import Side
from shadow.comparing.bodies import CodingError, Form, form_of, plain
from shadow.comparing.values import Absent, Json, UnreadableError, canonical, parse, written
from shadow.delivery.read_back import Said, found_at
from shadow.pair import Answer

Lookup: TypeAlias = "Callable[[str, Side, str], Json | Absent]"
"""(name, side, that side's id as text) -> what the other side calls it; absent where that was not learnt."""


class UnknownIdError(Exception):
    """A request names an id of which the other side's is not known. The message says which, without the id."""


class UnfitPathError(Exception):
    """The path of a copy does not show where the id stands."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """One thing, as both sides call it. Both are a text or a number."""

    name: str
    legacy: Json
    candidate: Json


def text_of(value: Json) -> str:
    """What an id is told by."""
    return value if isinstance(value, str) else canonical(value)


def learn(ids: Mapping[str, Identity], legacy: Answer, candidate: Answer) -> list[Learnt]:
    """What two answers to one write say of ids; nothing where either has none."""
    found = []
    for name, identity in ids.items():
        if identity.made is not None:
            steps = parse_selector(identity.made).steps
            ours, theirs = _only(_body(legacy), steps), _only(_body(candidate), steps)
            if _is_id(ours) and _is_id(theirs):
                found.append(Learnt(name, ours, theirs))
    return found


def rewrite_target(
    ids: Mapping[str, Identity], match: Match, said: Said, target: str, asked: str, side: Side, lookup: Lookup
) -> str:
    """`target` with the ids of `side` that `asked`, the client's own target, names turned into the other side's.

    Raises UnknownIdError, UnfitPathError.
    """
    path, mark, query = target.partition("?")
    renamed: dict[str, str] = {}
    for name, identity in ids.items():
        for selector in map(parse_selector, identity.used):
            if selector.kind == "path" and selector.name in said.captures:
                other = _other(name, identity, side, unquote(said.captures[selector.name]), lookup)
                renamed[selector.name] = quote(text_of(other), safe="")
            elif selector.kind == "query":
                query = _in_query(query, selector.name, name, identity, side, lookup)
    if renamed:
        path = _in_path(match, said.captures, path, asked.partition("?")[0], renamed)
    return f"{path}{mark}{query}"


def rewrite_body(ids: Mapping[str, Identity], body: bytes, side: Side, lookup: Lookup) -> bytes:
    """The same of a JSON body; the very bytes where it names none, or is no JSON. Raises UnknownIdError."""
    places = [
        (name, identity, selector)
        for name, identity in ids.items()
        for selector in map(parse_selector, identity.used)
        if selector.kind == "request"
    ]
    if not places:
        return body
    try:
        value = parse(body)
    except UnreadableError:
        return body
    changed = value
    for name, identity, selector in places:
        changed = _put(changed, selector.steps, _changing(name, identity, side, lookup))
    return body if changed is value else written(changed).encode()


def renamed_said(ids: Mapping[str, Identity], said: Said, side: Side, lookup: Lookup) -> Said:
    """What a request of `side` says, with the other side's ids where `ids` has them. Raises UnknownIdError."""
    captures, query, body = dict(said.captures), said.query, said.body
    for name, identity in ids.items():
        for selector in map(parse_selector, identity.used):
            if selector.kind == "path" and selector.name in captures:
                other = _other(name, identity, side, unquote(said.captures[selector.name]), lookup)
                captures[selector.name] = quote(text_of(other), safe="")
            elif selector.kind == "query":
                query = _in_query(query, selector.name, name, identity, side, lookup)
            elif selector.kind == "request" and not isinstance(body, Absent):
                body = _put(body, selector.steps, _changing(name, identity, side, lookup))
    return replace(said, captures=captures, query=query, body=body)


def _changing(name: str, identity: Identity, side: Side, lookup: Lookup) -> Callable[[Json], Json]:
    return lambda old: _in_form_of(old, _other(name, identity, side, text_of(old), lookup)) if _is_id(old) else old


def as_legacy_says(ids: Mapping[str, Identity], answer: Answer, lookup: Lookup) -> Answer:
    """The candidate's answer with ids that were learnt as legacy calls them; all else as it came."""
    selectors: list[tuple[str, Selector]] = []
    for name, identity in ids.items():
        places = ((identity.made,) if identity.made is not None else ()) + identity.shown
        selectors += [(name, parse_selector(place)) for place in dict.fromkeys(places)]
    value = _body(answer) if selectors and not answer.truncated else None
    if not isinstance(value, list | dict):
        return answer
    changed: Json = value
    for name, selector in selectors:

        def known(old: Json, name: str = name) -> Json:
            other = lookup(name, Side.CANDIDATE, text_of(old)) if _is_id(old) else old
            return old if isinstance(other, Absent) else _in_form_of(old, other)

        changed = _put(changed, selector.steps, known)
    if changed is value:
        return answer
    # Its content coding is off now, and its length another one.
    dropped = ("content-encoding", "content-length")
    headers = tuple(line for line in answer.headers if line[0].lower() not in dropped)
    return replace(answer, headers=headers, body=written(changed).encode())


def _other(name: str, identity: Identity, side: Side, text: str, lookup: Lookup) -> Json:
    found = lookup(name, side, text)
    if not isinstance(found, Absent):
        return found
    if identity.unknown == "same":
        return text
    raise UnknownIdError(f"what the {side.other} calls its '{name}' is not known")


def _in_form_of(old: Json, other: Json) -> Json:
    """A text stays a text."""
    return text_of(other) if isinstance(old, str) else other


def _is_id(value: Json | Absent) -> bool:
    return not isinstance(value, Absent | bool | list | dict) and value is not None and value != ""


def _only(value: Json | Absent, steps: Sequence[str]) -> Json | None:
    found = list(found_at(value, steps))
    return found[0] if len(found) == 1 else None


def _body(answer: Answer) -> Json | None:
    if answer.truncated:
        return None
    try:
        body = plain(answer)
        return parse(body) if form_of(answer.header("content-type"), body) is Form.JSON else None
    except (CodingError, UnreadableError):
        return None


def _put(value: Json, steps: Sequence[str], change: Callable[[Json], Json]) -> Json:
    """The value with what stands at a pointer changed; the very same object where nothing is."""
    if not steps:
        return change(value)
    step, rest = steps[0], steps[1:]
    if isinstance(value, dict):
        inside = {key: _put(item, rest, change) for key, item in value.items() if step in (EVERY, key)}
        return value if all(inside[key] is value[key] for key in inside) else {**value, **inside}
    if isinstance(value, list):
        items = [_put(item, rest, change) if step in (EVERY, str(index)) else item for index, item in enumerate(value)]
        return value if all(new is old for new, old in zip(items, value, strict=True)) else items
    return value


def _in_query(query: str, parameter: str, name: str, identity: Identity, side: Side, lookup: Lookup) -> str:
    parts = []
    for part in query.split("&"):
        key, equals, text = part.partition("=")
        if equals and text and unquote_plus(key) == parameter:
            other = _other(name, identity, side, unquote_plus(text), lookup)
            part = f"{key}={quote(text_of(other), safe='')}"
        parts.append(part)
    return "&".join(parts)


def _in_path(match: Match, captures: Mapping[str, str], path: str, asked: str, renamed: Mapping[str, str]) -> str:
    """`path` with captures renamed. Where the route changes the path for the side, by whole segments."""
    if path == asked:
        for pattern in (parse_pattern(text) for text in match.path if isinstance(text, str)):
            if pattern.matches(path):
                given = path[1:].split("/")
                for name, index in pattern.names:
                    given[index] = renamed.get(name, given[index])
                return "/" + "/".join(given)
    segments = path.split("/")
    for name, other in renamed.items():
        at = [index for index, segment in enumerate(segments) if segment == captures[name]]
        if len(at) != 1:
            raise UnfitPathError(f"the copy's path does not show which segment is '{name}'")
        segments[at[0]] = other
    return "/".join(segments)
