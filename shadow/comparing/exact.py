"""JSON texts decoded in C where that is shown to be exact, and written in C in one order of keys. Hot. Pure.

msgspec decodes three times as fast as the standard library, but keeps the last of two equal keys without a word. Whole
numbers stay whole numbers whatever their length, and fractions become `Decimal` by the digits that were written, so
repeated keys are all that can get lost. That none did is shown by writing the value again: a dropped member takes its
quotes along, and nothing else takes any. What is not shown here is decoded by shadow.comparing.values in its own time.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number", order="sorted")

REFUSALS = (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError)
"""What msgspec raises at texts and values that are not for it: no JSON, lone surrogates, exponents beyond Decimal."""


def decode(body: bytes) -> tuple[Any, bytes] | None:
    """The value of a JSON text and that value as text with sorted keys; None unless both are shown to be exact.

    Equal texts mean the same value; different ones may, because 1.0 and 1 keep their digits.
    """
    try:
        value = _decoder.decode(body)
        text = _encoder.encode(value)
    except REFUSALS:
        return None
    # Written anew, tokens become shorter or stay as they are (blanks and escapes go), but for exponents, which gain a
    # sign: without one, a text of the same length has lost nothing.
    if len(text) == len(body) and b"E+" not in text:
        return value, text
    return (value, text) if _quotes(body) == _quotes(text) else None


def compact(body: bytes) -> bytes:
    """The same tokens without the blanks between them; the text itself where it is no JSON."""
    try:
        return msgspec.json.format(body, indent=-1)
    except REFUSALS:
        return body


def encode(value: Any) -> bytes:
    """A value as text with sorted keys and numbers with their digits. Raises one of REFUSALS at lone surrogates."""
    return _encoder.encode(value)


def _quotes(text: bytes) -> int:
    """Quotes that begin or end a string of a JSON text."""
    if b"\\" in text:  # an escaped backslash first: the quote behind it is not escaped
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    return text.count(b'"')
