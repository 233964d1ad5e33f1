"""A match in words: ``GET /orders/** with header x-beta``. For people; values that may be secret are not shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rules.hidden import NOT_SHOWN, header_may_be_secret
from rules.match import EVERY_PATH, Condition, Expression, Match

_MOST = 4
"""Alternatives that are named; of more the number is told."""


def in_words(*matches: Match) -> str:
    """The requests that all of the matches take, as the end of a sentence."""
    known = list(matches)
    while len(known) > 1 and (both := _merged(known[0], known[1])) is not None:
        known[:2] = [both]
    return " and also ".join(map(_in_words, known))


def _merged(one: Match, other: Match) -> Match | None:
    """A match that asks what both ask; None where no single one says it."""
    found: dict[str, Any] = {}
    for name, info in Match.model_fields.items():
        first, second, nothing = getattr(one, name), getattr(other, name), info.default
        if isinstance(first, dict):
            if any(second.get(key, value) != value for key, value in first.items()):
                return None
            found[name] = first | second
        elif first == second or second == nothing:
            found[name] = first
        elif first == nothing:
            found[name] = second
        else:
            return None
    return Match.model_construct(**found)


def _in_words(match: Match) -> str:
    text = _either(match.methods) + " " if match.methods is not None else ""
    text += _place(match)
    wanted = [
        _condition(kind, name, condition)
        for kind, conditions in (("header", match.headers), ("query", match.query), ("cookie", match.cookies))
        for name, condition in conditions.items()
    ]
    if wanted:
        text += " with " + " and ".join(wanted)
    if match.client:
        text += f" from {_either(match.client)}"
    if match.scheme is not None:
        text += f" by {match.scheme}"
    text += "".join(f" and also {in_words(each)}" for each in match.all)
    if match.any:
        text += f" and any of ({_either(in_words(each) for each in match.any)})"
    if match.not_ is not None:
        text += f" but not ({in_words(match.not_)})"
    return text


def _place(match: Match) -> str:
    hosts = _either(_text(host) for host in match.host)
    paths = _either(_text(path) for path in match.path)
    if not match.host:
        return "every path" if match.path == (EVERY_PATH,) else paths
    if match.path == (EVERY_PATH,):
        return f"everything at {hosts}"
    if len(match.host) == len(match.path) == 1 and isinstance(match.host[0], str) and isinstance(match.path[0], str):
        return hosts + paths
    return f"{paths} at {hosts}"


def _text(wanted: str | Expression) -> str:
    return wanted if isinstance(wanted, str) else f"~{wanted.regex}"


def _either(texts: Iterable[str]) -> str:
    known = list(texts)
    if len(known) > _MOST:
        known = [*known[: _MOST - 1], f"{len(known) - _MOST + 1} more"]
    return known[0] if len(known) == 1 else ", ".join(known[:-1]) + f" or {known[-1]}" if known else ""


def _condition(kind: str, name: str, wanted: Condition) -> str:
    if wanted.wants_absence:
        return f"no {kind} {name}"
    secret = kind == "cookie" or header_may_be_secret(name)
    return f"{kind} {name}{_asked(wanted, secret)}"


def _asked(wanted: Condition, secret: bool) -> str:
    def shown(value: str) -> str:
        return NOT_SHOWN if secret else f"'{value}'"

    texts = []
    if wanted.exact is not None:
        texts.append(f"= {shown(wanted.exact)}")
    for word, value in (("beginning", wanted.prefix), ("ending", wanted.suffix)):
        if value is not None:
            texts.append(f"{word} with {shown(value)}")
    if wanted.contains is not None:
        texts.append(f"containing {shown(wanted.contains)}")
    if wanted.regex is not None:
        texts.append(f"~ {shown(wanted.regex)}")
    if wanted.range is not None:
        low, high = wanted.range.from_, wanted.range.below
        texts += [f"of at least {low}"] if low is not None else []
        texts += [f"below {high}"] if high is not None else []
    if wanted.not_ is not None:
        texts.append(
            "absent or present otherwise than" if wanted.not_.wants_absence else f"not{_asked(wanted.not_, secret)}"
        )
    return " " + ", ".join(texts) if texts else ""
