"""Transforms that make a text out of a text: blanks, case, Unicode form, escapes, damage, truncation, addresses."""

from __future__ import annotations

import base64
import html
import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Literal
from urllib.parse import quote, quote_plus, unquote, unquote_plus, urlsplit

LONGEST = 4_000
"""Characters of a text that is looked at in full; of a longer one only whether it was trimmed or cut."""

_FORMS: tuple[Literal["NFC", "NFD", "NFKC", "NFKD"], ...] = ("NFC", "NFD", "NFKC", "NFKD")
_TAGS = re.compile(r"<[^<>]*>")
_ELLIPSES = ("…", "...", " …", " ...")
_FEWEST_CUT = 3
"""Characters that must be left of a text to call it cut: one or two begin too many others."""

_CASES: dict[str, Callable[[str], str]] = {"lower": str.lower, "upper": str.upper, "title": str.title}


def text_transforms(legacy: str, candidate: str) -> Iterator[str]:
    """Every transform of text that makes `candidate` out of `legacy`, two different texts."""
    yield from _blanks(legacy, candidate)
    yield from _cut(legacy, candidate)
    if max(len(legacy), len(candidate)) > LONGEST or not legacy or not candidate:
        return
    if legacy.isdecimal() and candidate.isdecimal() and legacy.lstrip("0") == candidate.lstrip("0"):
        yield "zeros_dropped" if len(candidate) < len(legacy) else "zeros_added"
    yield from _case(legacy, candidate)
    if not (legacy.isascii() and candidate.isascii()):
        yield from _unicode(legacy, candidate)
        yield from _damage(legacy, candidate)
    yield from _escapes(legacy, candidate)
    if "://" in legacy or "://" in candidate:
        yield from _addresses(legacy, candidate)


def _blanks(a: str, b: str) -> Iterator[str]:
    if a.strip() == b:
        yield "trimmed"
    elif b.strip() == a:
        yield "padded"
    elif a.strip() == b.strip():
        yield "blanks_around"
    elif a.replace("\r\n", "\n") == b.replace("\r\n", "\n"):
        yield "line_ends"
    elif len(a) <= LONGEST and len(b) <= LONGEST and (words := a.split()) == b.split() and words:
        yield "collapsed" if b == " ".join(words) else "blanks"


def _cut(a: str, b: str) -> Iterator[str]:
    if _FEWEST_CUT <= len(b) < len(a) and a.startswith(b):
        yield "truncated"
    elif b.endswith(("…", "...")):
        for mark in _ELLIPSES:
            left = b.removesuffix(mark)
            if left != b and _FEWEST_CUT <= len(left) < len(a) and a.startswith(left):
                yield "truncated_with_dots"
                return


def _case(a: str, b: str) -> Iterator[str]:
    if len(a) != len(b) and a.isascii() and b.isascii():
        return
    if a.casefold() == b.casefold():
        name = next((name for name, change in _CASES.items() if change(a) == b), "")
        yield f"case:{name}" if name else "case"


def _unicode(a: str, b: str) -> Iterator[str]:
    for form in _FORMS:
        if unicodedata.normalize(form, a) == b:
            yield f"unicode:{form}"
            return
    if unicodedata.normalize("NFC", a) == unicodedata.normalize("NFC", b):
        yield "unicode"
    elif _plain(a) == b:
        yield "accents_dropped"


def _plain(text: str) -> str:
    """Without accents: é is e."""
    return "".join(each for each in unicodedata.normalize("NFD", text) if not unicodedata.combining(each))


def _damage(a: str, b: str) -> Iterator[str]:
    """UTF-8 read as if it were a charset of one byte per character, and what could not be written at all."""
    for charset in ("latin-1", "cp1252"):
        if _misread(a, charset) == b:
            yield "encoding:utf-8>latin-1"
            return
        if _misread(b, charset) == a:
            yield "encoding:latin-1>utf-8"
            return
    for mark in ("?", "\ufffd"):
        if mark not in b or len(a) != len(b):
            continue
        if all(x == y or (y == mark and not x.isascii()) for x, y in zip(a, b, strict=True)):
            yield "letters_lost"
            return


def _misread(text: str, charset: str) -> str | None:
    try:
        return text.encode().decode(charset)
    except UnicodeError:
        return None


def _json_escaped(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()


_ESCAPES: tuple[tuple[str, str, Callable[[str], str]], ...] = (
    ("html", "&<>\"'", html.escape),
    ("html", "&<>\"'", lambda text: html.escape(text, quote=False)),
    ("html", "&<>\"'", lambda text: html.escape(text).replace("&#x27;", "&#39;")),
    ("url", "%", lambda text: quote(text, safe="", errors="replace")),
    ("url", "%", lambda text: quote(text, errors="replace")),
    ("url", "%+", lambda text: quote_plus(text, errors="replace")),
    ("json", "\\", _json_escaped),
    ("json", "\\", lambda text: json.dumps(text)[1:-1]),
    ("json", '"', lambda text: json.dumps(text, ensure_ascii=False)),
    ("json", '"', json.dumps),
)
"""Name, marks of which one is in every escaped text, and what escapes."""
_UNESCAPES: tuple[tuple[str, str, Callable[[str], str]], ...] = (
    ("html", "&", html.unescape),
    ("url", "%", unquote),
    ("url", "%+", unquote_plus),
)


def _escapes(a: str, b: str) -> Iterator[str]:
    found: dict[str, None] = {}
    for one, other, name in ((a, b, "escaped"), (b, a, "unescaped")):
        for language, marks, escape in _ESCAPES:
            if any(mark in other for mark in marks) and escape(one) == other:
                found[f"{name}:{language}"] = None
        for language, marks, unescape in _UNESCAPES:
            if f"{name}:{language}" not in found and any(mark in other for mark in marks) and unescape(other) == one:
                found[f"{name}:{language}"] = None
    if "<" in a and _TAGS.sub("", a).strip() == b.strip():
        found["tags_removed"] = None
    if len(b) % 4 == 0 and len(b) > len(a) and _base64(a) == b:
        found["base64"] = None
    yield from found


def _addresses(a: str, b: str) -> Iterator[str]:
    """Two addresses of the same thing: only the scheme, or only the host, or host and scheme left out."""
    try:
        one, other = urlsplit(a), urlsplit(b)
    except ValueError:
        return
    if one[2:] != other[2:]:
        return
    if one.scheme and one.netloc and other.scheme and other.netloc:
        yield f"scheme:{one.scheme}>{other.scheme}" if one.netloc == other.netloc else "host"
    elif one.netloc:
        yield "made_relative"
    else:
        yield "made_absolute"
