"""Replaces secrets in text by marks, also where the text is written in a way that hides their form. Pure.

Looked through are percent-encoding (also twice), HTML's character references, JSON's escapes and Base64 of text. Only a
word in which something was found is written anew; everything else stays byte for byte.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Callable, Collection
from urllib.parse import quote, unquote_to_bytes

import re2

from shadow.redaction.forms import FINDERS, Detector

Mark = Callable[[Detector, str], str]
"""What stands in place of a secret, given its canonical form. A mark may itself be no secret's form."""

_SHORT = 13
"""Characters: below, letters and digits alone are no secret of any form."""
_DEEPEST = 3
"""Encodings on top of each other."""
_PERCENT = re2.compile(r"[^\s\"'<>&=?;/#,{}\[\]()%]*(?:%[0-9A-Fa-f]{2}[^\s\"'<>&=?;/#,{}\[\]()%]*)+")
_REFERENCE = re2.compile(r"[^\s\"'<>=?/,{}\[\]()&;]*(?:&#?[0-9A-Za-z]+;[^\s\"'<>=?/,{}\[\]()&;]*)+")
_ESCAPE = re2.compile(r"[^\s\"'<>&=?;#,{}\[\]()\\]*(?:\\(?:u[0-9A-Fa-f]{4}|[bfnrt/])[^\s\"'<>&=?;#,{}\[\]()\\]*)+")
_ESCAPED = re.compile(r"(?:\\u[0-9A-Fa-f]{4})+|\\[bfnrt/]")
# Every first of four characters of Base64 is in A..f where the bytes are ASCII; 12 characters are 9 bytes.
_BASE64 = re2.compile(r"(?:^|[^0-9A-Za-z+/_-])((?:[A-Za-f][0-9A-Za-z+/_-]{3}){3,}[0-9A-Za-z+/_-]{0,3}={0,2})")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def replaced(text: str, detect: Collection[Detector], mark: Mark) -> str:
    """The text without any secret of those kinds; the very same object where there is none."""
    if not detect or (len(text) < _SHORT and text.isalnum()):
        return text
    data = text.encode("utf-8", "surrogatepass")
    clean = _replaced(data, detect, mark, _DEEPEST)
    return text if clean is data else clean.decode("utf-8", "surrogatepass")


def _replaced(data: bytes, detect: Collection[Detector], mark: Mark, depth: int) -> bytes:
    if depth:
        if b"%" in data:
            data = _words(_PERCENT, data, detect, mark, depth, unquote_to_bytes, _percent)
        if b"&" in data:
            data = _words(_REFERENCE, data, detect, mark, depth, _unreferenced, _referenced)
        if b"\\" in data:
            data = _words(_ESCAPE, data, detect, mark, depth, _unescaped, _escaped)
        data = _in_base64(data, detect, mark, depth)
    for detector, find in FINDERS.items():
        if detector in detect:
            spans = [(start, end, mark(detector, secret).encode()) for start, end, secret in find(data)]
            data = _spliced(data, spans)
    return data


def _words(
    pattern: re2._Regexp,
    data: bytes,
    detect: Collection[Detector],
    mark: Mark,
    depth: int,
    decode: Callable[[bytes], bytes],
    encode: Callable[[bytes], bytes],
) -> bytes:
    """Words that are written in one way, without the secrets that they hide."""
    spans = []
    for found in pattern.finditer(data):
        plain = decode(found[0])
        clean = _replaced(plain, detect, mark, depth - 1)
        if clean != plain:
            spans.append((found.start(), found.end(), encode(clean)))
    return _spliced(data, spans)


def _in_base64(data: bytes, detect: Collection[Detector], mark: Mark, depth: int) -> bytes:
    """A word of Base64 that holds a secret is replaced as a whole, for a part of it is no Base64."""
    spans = []
    for found in _BASE64.finditer(data):
        word = found[1].rstrip(b"=").translate(_URL_SAFE)
        try:
            plain = base64.b64decode(word + b"=" * (-len(word) % 4), validate=True)
        except binascii.Error:
            continue
        if not plain.isascii():
            continue
        marks: list[str] = []

        def noted(detector: Detector, secret: str, marks: list[str] = marks) -> str:
            marks.append(mark(detector, secret))
            return marks[-1]

        if _replaced(plain, detect, noted, depth - 1) != plain:
            # Of the whole text: two texts with the same secret in them are not the same.
            kind = Detector(marks[0].partition(":")[0])
            spans.append((*found.span(1), mark(kind, plain.decode("ascii")).encode()))
    return _spliced(data, spans)


def _spliced(data: bytes, spans: list[tuple[int, int, bytes]]) -> bytes:
    if not spans:
        return data
    parts = []
    over = 0
    for start, end, mark in spans:
        parts += [data[over:start], mark]
        over = end
    return b"".join((*parts, data[over:]))


def _percent(plain: bytes) -> bytes:
    return quote(plain, safe=":").encode("ascii")


def _unreferenced(word: bytes) -> bytes:
    return html.unescape(word.decode("utf-8", "surrogatepass")).encode("utf-8", "surrogatepass")


def _referenced(plain: bytes) -> bytes:
    return html.escape(plain.decode("utf-8", "surrogatepass")).encode("utf-8", "surrogatepass")


def _unescaped(word: bytes) -> bytes:
    text = word.decode("utf-8", "surrogatepass")
    return _ESCAPED.sub(lambda found: str(json.loads(f'"{found[0]}"')), text).encode("utf-8", "surrogatepass")


def _escaped(plain: bytes) -> bytes:
    return json.dumps(plain.decode("utf-8", "surrogatepass"))[1:-1].encode("ascii")
