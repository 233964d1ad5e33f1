"""Regular expressions that a plainer form would serve: easier to read, faster to match, and known to the index."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Literal

from rules.match import Condition, Expression, Match
from rules.matching.pattern import parse_pattern
from rules.review.remarks import Remark
from rules.witness.automaton import EVERY, Chain, Characters, Choice, Edge, Part, Repeat, characters
from rules.witness.expression import parts_of

Step = str | int
_MOST_ALTERNATIVES = 8
_PLAIN = re.compile(r"[a-z/][a-z0-9_./*-]*[a-z0-9/*]|/")
_LINE_END = characters("\n")
_ANY = (EVERY, EVERY & ~_LINE_END)
_SEGMENT = EVERY & ~characters("/")
Piece = Literal["any", "some", "segment"] | tuple[str]
"""``.*``, ``.+``, ``[^/]+``, or a literal."""


def plain_expressions(match: Match, path: tuple[Step, ...]) -> Iterator[Remark]:
    """A remark for each expression of the match (which stands at `path`) that says no more than a plain form would."""
    for key, plainer in (("path", plain_path), ("host", plain_host)):
        for number, each in enumerate(getattr(match, key)):
            if isinstance(each, Expression) and (texts := plainer(each.regex)):
                yield _remark(each.regex, f"{key}: {_listed(texts)}", (*path, key, number, "regex"))
    for kind in ("headers", "query", "cookies"):
        for name, condition in getattr(match, kind).items():
            yield from _of_condition(condition, (*path, kind, name))
    for kind, inner in (("any", match.any), ("all", match.all)):
        for number, inside in enumerate(inner):
            yield from plain_expressions(inside, (*path, kind, number))
    if match.not_ is not None:
        yield from plain_expressions(match.not_, (*path, "not"))


def _of_condition(condition: Condition, path: tuple[Step, ...]) -> Iterator[Remark]:
    if condition.regex is not None and (plainer := plain_condition(condition.regex)):
        yield _remark(condition.regex, plainer, (*path, "regex"))
    if condition.not_ is not None:
        yield from _of_condition(condition.not_, (*path, "not"))


def _remark(regex: str, plainer: str, path: tuple[Step, ...]) -> Remark:
    also = (
        " (which also takes the path that ends before the slash)" if regex.endswith("/.*") and "/**" in plainer else ""
    )
    return Remark("regex-literal", f"the regex '{regex:.80}' says no more than '{plainer}'{also}; write that", path)


def plain_path(regex: str) -> list[str]:
    """The path patterns that take what the expression takes; empty where none do."""
    found = [_pattern(pieces) for pieces in _alternatives(regex)]
    texts = [text for text in found if text is not None]
    return texts if len(texts) == len(found) else []


def plain_host(regex: str) -> list[str]:
    """The hosts and suffixes that take what the expression takes; empty where none do."""
    texts = []
    for pieces in _alternatives(regex):
        text = "".join("*" if isinstance(piece, str) else piece[0] for piece in pieces)
        is_suffix = len(pieces) == 2 and pieces[0] in ("any", "some") and text.startswith("*.")
        try:
            Match(host=(text,))
        except ValueError:
            return []
        if not is_suffix and any(isinstance(piece, str) for piece in pieces):
            return []
        texts.append(text)
    return texts


def plain_condition(regex: str) -> str:
    """``prefix: shop-`` for ``shop-.*``; ``""`` where nothing plain says the same."""
    alternatives = _alternatives(regex)
    pieces = alternatives[0] if len(alternatives) == 1 else []
    kinds = ["text" if isinstance(piece, tuple) else piece for piece in pieces]
    text = next((piece[0] for piece in pieces if isinstance(piece, tuple)), "")
    forms = {
        ("text",): "exact",
        ("text", "any"): "prefix",
        ("any", "text"): "suffix",
        ("any", "text", "any"): "contains",
    }
    how = forms.get(tuple(kinds))
    if how is None:
        return "present: true" if kinds == ["any"] else ""
    return f"{how}: {json.dumps(text)}"


def _pattern(pieces: list[Piece]) -> str | None:
    text = ""
    for number, piece in enumerate(pieces):
        is_last = number == len(pieces) - 1
        if isinstance(piece, tuple):
            if "*" in piece[0] or "{" in piece[0]:
                return None
            text += piece[0]
        elif piece == "segment" and text.endswith("/") and (is_last or _begins_with_slash(pieces[number + 1])):
            text += "*"
        elif piece == "any" and is_last and text.endswith("/"):
            text += "**"
        else:
            return None
    try:
        parse_pattern(text)
    except ValueError:
        return None
    return text


def _begins_with_slash(piece: Piece) -> bool:
    return isinstance(piece, tuple) and piece[0].startswith("/")


def _alternatives(regex: str) -> list[list[Piece]]:
    """The expression as pieces, for each of its alternatives; empty where it is more than that."""
    read = parts_of(regex)
    if read is None or not read[1]:
        return []
    part = read[0]
    parts = part.parts if isinstance(part, Choice) else (part,)
    if len(parts) > _MOST_ALTERNATIVES:
        return []
    found = [_pieces(each) for each in parts]
    return [pieces for pieces in found if pieces] if all(found) else []


def _pieces(part: Part) -> list[Piece] | None:
    pieces: list[Piece] = []
    flat = list(_flat(part))
    for number, each in enumerate(flat):
        if isinstance(each, Edge):
            at_its_edge = number == 0 if each is Edge.BEGIN else number == len(flat) - 1
            if not at_its_edge:
                return None
            continue
        piece = _piece(each)
        if piece is None:
            return None
        if pieces and isinstance(piece, tuple) and isinstance(before := pieces[-1], tuple):
            pieces[-1] = (before[0] + piece[0],)
        else:
            pieces.append(piece)
    return pieces


def _flat(part: Part) -> Iterator[Part]:
    if isinstance(part, Chain):
        for each in part.parts:
            yield from _flat(each)
    else:
        yield part


def _piece(part: Part) -> Piece | None:
    if isinstance(part, Characters):
        single = part.allowed & (part.allowed - 1) == 0 and part.allowed < 1 << 128
        return (chr(part.allowed.bit_length() - 1),) if single and part.allowed else None
    if isinstance(part, Repeat) and isinstance(part.part, Characters) and part.most is None and part.least < 2:
        if part.part.allowed in _ANY:
            return "some" if part.least else "any"
        if part.part.allowed == _SEGMENT and part.least:
            return "segment"
    return None


def _listed(texts: list[str]) -> str:
    written = [_quoted(text) for text in texts]
    return written[0] if len(written) == 1 else "[" + ", ".join(written) + "]"


def _quoted(text: str) -> str:
    """A path or host as it can stand in YAML, where ``*.shop.example`` would be an alias."""
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
