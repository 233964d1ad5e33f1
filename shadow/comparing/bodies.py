"""How a body is read before it is compared: content coding off, then JSON, XML, HTML, a form, text, or bytes.

Only gzip and deflate are taken off (bounded: a small body must not become a large one in memory); what carries another
coding is compared as bytes.
"""

from __future__ import annotations

import re
import zlib
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from shadow.pair import Answer

MOST_DECODED = 16 * 1024 * 1024
"""Bytes that a compressed body may become."""

MOST_MEMBERS = 100
"""gzip members in one body; each costs a copy of what follows it."""


class Form(StrEnum):
    """How a body is compared."""

    JSON = "json"
    XML = "xml"
    HTML = "html"
    FIELDS = "fields"
    """``application/x-www-form-urlencoded``."""
    TEXT = "text"
    BYTES = "bytes"


class CodingError(ValueError):
    """A content coding that cannot be taken off; the message says why."""


_JSON_TYPE = re.compile(r"(?:application|text)/json|[^;\s]+\+json")
_XML_TYPE = re.compile(r"(?:application|text)/xml|[^;\s]+\+xml")
_TEXT_TYPE = re.compile(r"text/.*|application/(?:javascript|x-javascript|x-ndjson|jsonl?|graphql)")
_EXACT_TYPES = {
    "text/html": Form.HTML,
    "application/x-www-form-urlencoded": Form.FIELDS,
}


def media_type(content_type: str) -> str:
    """``text/html`` of ``Text/HTML; charset=utf-8``."""
    return content_type.split(";", 1)[0].strip().lower()


def form_of(content_type: str, body: bytes) -> Form:
    """What the content type says the body is; without one, whatever it begins like (RFC 9110 section 8.3)."""
    form = _form_of_type(content_type)
    if form is None:
        return Form.JSON if body.lstrip()[:1] in (b"{", b"[") else Form.BYTES
    return form


@lru_cache(maxsize=256)
def _form_of_type(content_type: str) -> Form | None:
    kind = media_type(content_type)
    if not kind:
        return None
    if _JSON_TYPE.fullmatch(kind):
        return Form.JSON
    if _XML_TYPE.fullmatch(kind):
        return Form.XML
    return _EXACT_TYPES.get(kind) or (Form.TEXT if _TEXT_TYPE.fullmatch(kind) else Form.BYTES)


def codings(answer: Answer) -> tuple[str, ...]:
    """The content codings on the body, in the order in which they were applied."""
    values = answer.values("content-encoding")
    if not values:
        return ()
    names = (name.strip().lower() for value in values for name in value.split(","))
    return tuple(name for name in names if name and name != "identity")


def plain(answer: Answer) -> bytes:
    """The body without its content coding. Raises CodingError."""
    body = answer.body
    for coding in reversed(codings(answer)):
        if coding not in ("gzip", "x-gzip", "deflate"):
            raise CodingError(f"content coding '{coding}' is not read")
        body = _inflate(body, _GZIP if coding != "deflate" else _ZLIB if body[:1] and body[0] & 15 == 8 else _RAW)
    return body


# "deflate" is zlib's format (RFC 9110 section 8.4.1.2), but some servers send it without zlib's header. What is called
# by the other one's name is broken: most clients cannot read it.
_GZIP, _ZLIB, _RAW = 31, 15, -15


def _inflate(body: bytes, window: int) -> bytes:
    parts: list[bytes] = []
    left = MOST_DECODED
    while body:
        if len(parts) == MOST_MEMBERS:
            raise CodingError(f"the compressed body has more than {MOST_MEMBERS} members")
        stream = zlib.decompressobj(window)
        try:
            part = stream.decompress(body, left)
        except zlib.error as exc:
            raise CodingError(f"the compressed body cannot be read: {exc}") from exc
        left -= len(part)
        parts.append(part)
        if stream.unconsumed_tail or left <= 0:
            raise CodingError(f"the body is larger than {MOST_DECODED} bytes when decompressed")
        if not stream.eof:
            raise CodingError("the compressed body ends too early")
        body = stream.unused_data  # gzip: another member may follow (RFC 1952 section 2.2)
    return b"".join(parts)


class Readable(NamedTuple):
    """A body without its coding, and how it is to be compared."""

    form: Form
    body: bytes
    charset: str
    declared: str | None = None
    """The charset of the Content-Type itself, where it names one."""


_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([^\s;\"]+)", re.IGNORECASE)


def charset(content_type: str) -> str:
    """The charset parameter, or ``utf-8``, which text without one is in by now (RFC 6657 section 4)."""
    found = _CHARSET.search(content_type)
    return found[1].lower() if found else "utf-8"


def read(answer: Answer) -> Readable:
    """How the body is to be compared. Raises CodingError."""
    content_type = answer.header("content-type")
    body = plain(answer)
    return Readable(form_of(content_type, body), body, *_charsets(content_type))


@lru_cache(maxsize=256)
def _charsets(content_type: str) -> tuple[str, str | None]:
    found = charset(content_type)
    return found, found if "charset" in content_type.lower() else None


_CHARSETS = re.compile(
    r"utf-?8|us-ascii|utf-16(?:le|be)?|iso-8859-\d{1,2}|latin-?1|windows-125\d|koi8-[ru]"
    r"|shift[_-]jis|euc-(?:jp|kr)|gb(?:2312|k|18030)|big5"
)
"""Those that answers come in. Python knows more codecs by name, and not all of them are character sets."""


def text_of(readable: Readable) -> str | None:
    """The characters of a text body, or None when they are not in the charset that it declares."""
    if not _CHARSETS.fullmatch(readable.charset):
        return None
    try:
        return readable.body.decode(readable.charset)
    except (LookupError, UnicodeDecodeError):
        return None
