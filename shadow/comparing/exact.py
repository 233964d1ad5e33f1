"""JSON texts read in C where that is shown to be exact, and written in C in one order of keys. Hot. Pure.

msgspec decodes three times as fast as the standard library, but keeps the last of two equal keys without a word. Whole
numbers stay whole numbers whatever their length, and a number with a fraction or exponent keeps the digits that were
written, so repeated keys are all that can get lost. That none did is shown by writing the value again: no token gets
longer by that, so a text of the same length has lost nothing; and a dropped member takes its quotes along, while
nothing else takes any. What is not shown here is decoded by shadow.comparing.values in its own time.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import accumulate
from typing import Any

import msgspec

MAX_DEPTH = 200
"""Levels of nesting: no known service sends more, and every walk here recurses at most this deep."""

# Raw is written as it was read: cheaper than a Decimal, and a text of equal length proves more by it, for Decimal
# writes 1e-5 as 0.00001, which would make room for a member that got lost. (orjson would write a third faster, but
# some nested lists of whole numbers make it write beyond its memory: orjson 3.13, its issue 620.)
_reader = msgspec.json.Decoder(float_hook=msgspec.Raw)
_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number", order="sorted")
_unsorted = msgspec.json.Encoder()

_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NOT_BRACKETS = bytes(set(range(256)) - set(_STEP))

REFUSALS = (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError)
"""What is raised at texts and values that are not for C: no JSON, lone surrogates, exponents beyond Decimal."""


def sorted_text(body: bytes) -> bytes | None:
    """A JSON text without blanks, keys sorted, numbers as they were written; None unless shown to be exact.

    Equal texts mean the same value; different ones may, because 1.0 and 1 keep their digits. None also for what is no
    JSON. The text may be `too_deep`.
    """
    return _written_again(body, _encoder)


def is_exact(body: bytes) -> bool:
    """Whether `sorted_text` would give a text; cheaper."""
    return _written_again(body, _unsorted) is not None


def _written_again(body: bytes, encoder: msgspec.json.Encoder) -> bytes | None:
    try:
        text = encoder.encode(_reader.decode(body))
    except REFUSALS:
        return None
    if len(text) != len(body) and _unescaped(body).count(b'"') != _unescaped(text).count(b'"'):
        return None
    return text


def decode(body: bytes) -> Any:
    """The value of a text that `sorted_text` has shown to be exact. Raises one of REFUSALS beyond Decimal's range."""
    return _decoder.decode(body)


def compact(body: bytes) -> bytes:
    """The same tokens without the blanks between them; the text itself where it is no JSON."""
    try:
        return msgspec.json.format(body, indent=-1)
    except REFUSALS:
        return body


def encode(value: Any) -> bytes:
    """A value as text with sorted keys and numbers with their digits. Raises one of REFUSALS at lone surrogates."""
    return _encoder.encode(value)


def too_deep(text: bytes) -> bool:
    """Whether a JSON text is nested deeper than MAX_DEPTH, without reading it."""
    if text.count(b"[") + text.count(b"{") <= MAX_DEPTH:
        return False
    outside = b"".join(_unescaped(text).split(b'"')[::2])
    return max(accumulate(map(_STEP.__getitem__, outside.translate(None, _NOT_BRACKETS))), default=0) > MAX_DEPTH


def _unescaped(text: bytes) -> bytes:
    """A JSON text in which every quote begins or ends a string."""
    if b"\\" not in text:
        return text
    return text.replace(b"\\\\", b"").replace(b'\\"', b"")  # backslashes first: a quote behind two is not escaped
