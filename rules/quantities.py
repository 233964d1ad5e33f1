"""The quantities of a rules file: shares, fractions, margins, durations and sizes, each written with its unit.

A bare number is always refused, because nobody can tell whether ``share: 5`` is five per cent or five millionths. Each
type can stand in a pydantic model: it reads the text form, and writes it in JSON so that a dump can be loaded again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, GetCoreSchemaHandler, PlainSerializer, WithJsonSchema
from pydantic_core import core_schema

from rules.stages import MILLION

_NUMBER = r"[0-9]{1,15}(?:\.[0-9]{1,15})?"
_PERCENT = re.compile(rf"({_NUMBER})\s?%")
_MARGIN = re.compile(rf"({_NUMBER})\s?(%|pp|ms|s|absolute)")
_DURATION = re.compile(rf"({_NUMBER})\s?(ms|s|m|h|d)")
_SIZE = re.compile(r"([0-9]{1,15})\s?(B|KB|MB|GB)")

_SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600), "d": Decimal(86400)}
_BYTES = {"B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3}
LONGEST = 3650 * 86400.0
"""The longest duration, in seconds: ten years. Longer ones are slips of the pen."""


@dataclass(frozen=True, slots=True)
class Margin:
    """How much worse is acceptable: ``10%`` is relative 0.10, ``0.5pp`` absolute 0.005, ``20ms`` absolute 0.020 s,
    ``0.5 absolute`` half of whatever the numbers are in."""

    value: float
    relative: bool
    measure: str = field(default="", compare=False)
    """``%``, ``pp`` (percentage points), ``s`` or ``absolute``: how it was written, for whoever must refuse the wrong
    one."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        write = core_schema.plain_serializer_function_ser_schema(margin_text, when_used="json")
        return core_schema.no_info_plain_validator_function(parse_margin, serialization=write)

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: object, _handler: object) -> dict[str, object]:
        return {
            "type": "string",
            "pattern": f"^{_MARGIN.pattern}$",
            "examples": ["10%", "0.5pp", "20ms", "0.5 absolute"],
        }


def _refused(value: object, what: str, examples: str) -> ValueError:
    shown = f"'{value:.40}'" if isinstance(value, str) else str(value)
    return ValueError(f"{shown} is not {what}; write it like {examples}")


def parse_share(value: object) -> int:
    """Millionths (0 to 1,000,000) of ``"1%"`` or ``"0.5%"``; four decimals at most: a share is whole millionths."""
    found = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    millionths = Decimal(found[1]) * MILLION / 100 if found else Decimal(-1)
    if not 0 <= millionths <= MILLION or millionths != int(millionths):
        raise _refused(value, "a share", "1%, 0.5% or 100% (0% to 100%, at most four decimals)")
    return int(millionths)


def parse_fraction(value: object) -> float:
    """0.0 to 1.0, of ``"99.99%"``."""
    found = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if not found or Decimal(found[1]) > 100:
        raise _refused(value, "a fraction", "99.99% (0% to 100%)")
    return float(Decimal(found[1]) / 100)


def parse_margin(value: object) -> Margin:
    """A Margin of ``"10%"``, ``"0.5pp"``, ``"20ms"``, ``"1s"`` or ``"0.5 absolute"``."""
    found = _MARGIN.fullmatch(value) if isinstance(value, str) else None
    if not found:
        raise _refused(value, "a margin", "10% (relative), 0.5pp (percentage points), 20ms or 0.5 absolute")
    amount, unit = Decimal(found[1]), found[2]
    if unit in ("%", "pp"):
        return Margin(float(amount / 100), unit == "%", unit)
    if unit == "absolute":
        return Margin(float(amount), False, unit)
    return Margin(float(amount * _SECONDS[unit]), False, "s")


def parse_duration(value: object) -> float:
    """Seconds of ``"250ms"``, ``"2s"``, ``"10m"``, ``"24h"`` or ``"7d"``."""
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    seconds = float(Decimal(found[1]) * _SECONDS[found[2]]) if found else -1.0
    if not 0 <= seconds <= LONGEST:
        raise _refused(value, "a duration", "250ms, 2s, 10m, 24h or 7d")
    return seconds


def parse_size(value: object) -> int:
    """Bytes of ``"512B"``, ``"64KB"``, ``"1MB"`` or ``"2GB"``; a KB is 1,024 bytes."""
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if not found:
        raise _refused(value, "a size", "64KB or 1MB")
    return int(found[1]) * _BYTES[found[2]]


def _plain(number: Decimal) -> str:
    """Without exponent and without trailing zeros."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def share_text(millionths: int) -> str:
    """``"0.5%"`` of 5,000; `parse_share` reads it back."""
    return _plain(Decimal(millionths) / 10_000) + "%"


def fraction_text(fraction: float) -> str:
    """``"99.99%"`` of 0.9999; `parse_fraction` reads exactly the same float back."""
    return _plain(Decimal(repr(fraction)) * 100) + "%"


def margin_text(margin: Margin) -> str:
    """``"10%"``, ``"0.5pp"``, ``"0.02s"`` or ``"0.5 absolute"``; `parse_margin` reads it back."""
    if margin.measure == "absolute":
        return _plain(Decimal(repr(margin.value))) + " absolute"
    if margin.measure == "s":
        return _plain(Decimal(repr(margin.value))) + "s"
    return _plain(Decimal(repr(margin.value)) * 100) + ("%" if margin.relative else "pp")


def duration_text(seconds: float) -> str:
    """``"0.25s"`` of 0.25; `parse_duration` reads exactly the same float back."""
    return _plain(Decimal(repr(float(seconds)))) + "s"


def size_text(size: int) -> str:
    """``"1MB"`` of 1,048,576: the largest unit that divides it."""
    for unit, factor in reversed(_BYTES.items()):
        if size % factor == 0 and size:
            return f"{size // factor}{unit}"
    return f"{size}B"


def _schema(pattern: re.Pattern[str], *examples: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern.pattern}$", "examples": list(examples)})


def _written(write: Callable[[Any], str]) -> PlainSerializer:
    return PlainSerializer(write, return_type=str, when_used="json")


Share = Annotated[int, BeforeValidator(parse_share), _written(share_text), _schema(_PERCENT, "1%", "0.5%", "100%")]
"""Whole millionths, 0 to 1,000,000."""
Fraction = Annotated[float, BeforeValidator(parse_fraction), _written(fraction_text), _schema(_PERCENT, "99.99%")]
"""0.0 to 1.0."""
Duration = Annotated[
    float, BeforeValidator(parse_duration), _written(duration_text), _schema(_DURATION, "250ms", "2s", "10m")
]
"""Seconds."""
Size = Annotated[int, BeforeValidator(parse_size), _written(size_text), _schema(_SIZE, "64KB", "1MB")]
"""Bytes."""
