"""The path pattern around a regular expression: `/v[0-9]+/items/.*` only matches what `/*/items/**` matches too.

So the index can file an expression under its literal segments, and asks it only about paths of that shape. Whatever
this file does not understand makes the pattern wider, never narrower: at worst it is ``/**``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rules.pattern import LONGEST, PathPattern, parse_pattern
from rules.regex import whole_matcher

_EVERYWHERE = parse_pattern("/**")
_QUANTIFIER = re.compile(r"(?:[*+?]|\{([0-9]+)(?:,[0-9]*)?\})\??")
_GROUP = re.compile(r"\((?:\?:|\?P?<[A-Za-z_][A-Za-z0-9_]*>)?(?!\?)")
_CLASS = re.compile(r"\[\^?\]?(?:\[:\^?[a-z]+:\]|\\[^\n]|[^\]\\])*\]")
_WITHIN_A_SEGMENT = frozenset("dws")
"""The letters behind a backslash that stand for characters other than '/'."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """One character, class or group, with how often it may come."""

    literal: str
    """The one character that it stands for; ``""`` where it may be several."""
    slash: bool
    """Whether it may match a '/'; where it is no literal, it ends what can be known."""
    empty: bool
    """Whether it may match nothing."""
    leads: bool = False
    """Whether what it matches, if it is anything, begins with a '/'."""


_Alternative = list[_Piece]


class _UnknownError(Exception):
    """Something that this file does not understand."""


def skeleton(regex: str) -> PathPattern:
    """A pattern that matches every path that `regex` (which compiles) matches as a whole."""
    text = regex.removeprefix("^")
    if text.endswith("$") and not text.endswith("\\$"):
        text = text[:-1]
    try:
        alternatives, end = _alternatives(text, 0, depth=0)
    except _UnknownError:
        return _EVERYWHERE
    return _pattern(regex, alternatives[0]) if len(alternatives) == 1 and end == len(text) else _EVERYWHERE


def _pattern(regex: str, pieces: _Alternative) -> PathPattern:
    if not pieces or pieces[0].literal != "/":
        return _EVERYWHERE
    segments: list[str | None] = []
    segment: _Alternative = []
    for at, piece in enumerate(pieces[1:], 1):
        if piece.literal == "/":
            if all(each.empty for each in segment):
                break  # it may match '//', where the pattern would see one segment less
            segments.append(_segment(segment))
            segment = []
        elif piece.slash:
            if not all(each.empty for each in segment) and _lead(pieces[at:]):
                segments.append(_segment(segment))  # /items(/.*)? goes on with a slash or not at all
            break
        else:
            segment.append(piece)
    else:
        if not segment or not all(each.empty for each in segment):
            last = _segment(segment) if segment else ""
            if len(segments) < LONGEST:
                return PathPattern(regex, (*segments, last), (), rest=False)
    return PathPattern(regex, tuple(segments[:LONGEST]), (), rest=True)


def _lead(pieces: _Alternative) -> bool:
    """Whether what they match together, if it is anything, begins with a '/'."""
    for piece in pieces:
        if not piece.leads:
            return False
        if not piece.empty:
            return True
    return True


def _segment(pieces: _Alternative) -> str | None:
    """The literal, or None for a wildcard."""
    return "".join(piece.literal for piece in pieces) if all(piece.literal for piece in pieces) else None


def _alternatives(text: str, at: int, depth: int) -> tuple[list[_Alternative], int]:
    """What stands between ``|`` up to the end of a group or of the text, and where that is."""
    if depth > LONGEST:
        raise _UnknownError
    found: list[_Alternative] = [[]]
    while at < len(text) and text[at] != ")":
        if text[at] == "|":
            found.append([])
            at += 1
            continue
        piece, at = _piece(text, at, depth)
        quantifier = _QUANTIFIER.match(text, at)
        if quantifier is not None:
            at = quantifier.end()
            least = quantifier[1] or ("1" if quantifier[0][0] == "+" else "0")
            piece = _Piece("", piece.slash, piece.empty or int(least) == 0, piece.leads)
        found[-1].append(piece)
    return found, at


def _piece(text: str, at: int, depth: int) -> tuple[_Piece, int]:
    character = text[at]
    if character == "(":
        return _group(text, at, depth)
    if character == "[":
        found = _CLASS.match(text, at)
        if found is None:
            raise _UnknownError
        return _Piece("", whole_matcher(found[0])("/"), empty=False), found.end()
    if character == "\\":
        return _escaped(text[at + 1 : at + 2]), at + 2
    if character == ".":
        return _Piece("", slash=True, empty=False), at + 1
    if character in "^$*+?{":
        raise _UnknownError
    return _literal(character), at + 1


def _escaped(character: str) -> _Piece:
    if character in _WITHIN_A_SEGMENT and character:
        return _Piece("", slash=False, empty=False)
    if not character or character.isalnum() or not character.isascii():
        raise _UnknownError
    return _literal(character)


def _literal(character: str) -> _Piece:
    return _Piece(character, slash=character == "/", empty=False, leads=character == "/")


def _group(text: str, at: int, depth: int) -> tuple[_Piece, int]:
    opening = _GROUP.match(text, at)
    if opening is None:  # flags, which change the meaning of what follows
        raise _UnknownError
    alternatives, end = _alternatives(text, opening.end(), depth + 1)
    if end >= len(text):
        raise _UnknownError
    slash = any(piece.slash for pieces in alternatives for piece in pieces)
    empty = any(all(piece.empty for piece in pieces) for pieces in alternatives)
    return _Piece("", slash, empty, leads=all(map(_lead, alternatives))), end + 1
