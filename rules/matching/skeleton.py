"""The path pattern around a regular expression: `/v[0-9]+/items/.*` only matches what `/*/items/**` matches too.

So the index can file an expression under its literal segments, or under that with which one begins, and asks it only
about paths of that shape. Whatever this file does not understand makes the pattern wider, never narrower: at worst
it is ``/**``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import takewhile
from typing import NamedTuple

from rules.matching.pattern import LONGEST, PathPattern, parse_pattern
from rules.matching.regex import whole_matcher

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


class Skeleton(NamedTuple):
    """What a path must be for an expression to match it at all."""

    pattern: PathPattern
    stem: str = ""
    """With what the segment after the pattern's begins, where the pattern goes on with ``**``."""

    def matches(self, path: str) -> bool:
        """The readable way to ask; the table asks its trie."""
        following = [*path[1:].split("/")[len(self.pattern.segments) :], ""][0]
        return self.pattern.matches(path) and following.startswith(self.stem)


def skeleton(regex: str) -> Skeleton:
    """What every path is like that `regex` (which compiles) matches as a whole."""
    text = regex.removeprefix("^")
    if text.endswith("$") and not text.endswith("\\$"):
        text = text[:-1]
    try:
        alternatives, end = _alternatives(text, 0, depth=0)
    except _UnknownError:
        return Skeleton(_EVERYWHERE)
    return _skeleton(alternatives[0]) if len(alternatives) == 1 and end == len(text) else Skeleton(_EVERYWHERE)


def _skeleton(pieces: _Alternative) -> Skeleton:
    if not pieces or pieces[0].literal != "/":
        return Skeleton(_EVERYWHERE)
    whole: list[_Alternative] = []
    segment: _Alternative = []
    ends = False
    for at, piece in enumerate(pieces[1:], 1):
        if piece.literal == "/":
            if _may_be_empty(segment):
                break  # it may match '//', where the pattern would see one segment less
            whole.append(segment)
            segment = []
        elif piece.slash:
            if not _may_be_empty(segment) and _lead(pieces[at:]):
                whole.append(segment)  # /items(/.*)? goes on with a slash or not at all
                segment = []
            break
        else:
            segment.append(piece)
    else:
        ends = segment == [] or not _may_be_empty(segment)
    if ends:
        whole.append(segment)
    return _shaped(whole, "" if ends else _run(segment), ends)


def _shaped(whole: list[_Alternative], stem: str, ends: bool) -> Skeleton:
    """Of whole segments, and of the beginning of the one behind them."""
    if not stem:
        # A beginning tells more than the wildcards at the end: of /shop/t7-[0-9]+ it is all that is its own.
        wild = len(whole) - sum(1 for _ in takewhile(lambda each: _segment(each) is None, reversed(whole)))
        for number, segment in enumerate(whole[wild:], wild):
            if _run(segment):
                whole, stem, ends = whole[:number], _run(segment), False
                break
    if len(whole) > LONGEST:
        whole, stem, ends = whole[:LONGEST], "", False
    if not whole and not ends:
        return Skeleton(_EVERYWHERE, stem)
    segments = tuple(_segment(each) for each in whole)
    text = "".join(f"/{segment if segment is not None else '*'}" for segment in segments) + ("" if ends else "/**")
    return Skeleton(PathPattern(text, segments, (), rest=not ends), stem)


def _may_be_empty(pieces: _Alternative) -> bool:
    return all(piece.empty for piece in pieces)


def _run(pieces: _Alternative) -> str:
    """The characters with which a segment surely begins."""
    return "".join(piece.literal for piece in takewhile(lambda piece: piece.literal, pieces))


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
