"""The tightest mask that excuses what legacy disagrees with itself about at one path. Pure.

What is asked of a mask is not that it excuses much, but that nothing hides behind it. So every fit names a predicate
with the narrowest bound that the examples allow, and the form that their values have: two prices that are one cent
apart are not excused when one of them has three decimals. Where values wander too far for a bound to mean anything, or
alternate between a few words, nothing fits: a mask could not tell the wrong one from noise.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, Context, Decimal
from enum import StrEnum
from statistics import median
from typing import Any

from shadow.comparing.masks import moment, number
from shadow.comparing.values import Absent, Json, written
from shadow.noise.shapes import escape, shape_of
from shadow.spec import Mask

FEWEST_EXAMPLES = 10
"""Differences of legacy with itself from which a bound is learnt."""
COVERED = 0.9
"""Part of the examples that a predicate must hold for; the others are its counter-examples."""
WIDEST = Decimal("0.1")
"""Part of a number's usual size that a tolerance may be."""
FARTHEST = 3600.0
"""Seconds between answers that were asked for within seconds, beyond which two times are no 'about now'."""
LEAST_DRAWN = 8
"""Characters that vary in a text that counts as drawn at random."""

Values = tuple["Json | Absent", "Json | Absent"]
"""What two answers have at one place."""


class Family(StrEnum):
    """What kind of values a fit is about."""

    UUID = "uuid"
    TIMESTAMP = "timestamp"
    NUMBER = "number"
    DRAWN = "drawn"
    ORDER = "order"


@dataclass(frozen=True, slots=True)
class Fit:
    """A mask, and what it rests on."""

    mask: Mask
    family: Family
    sentence: str
    """What holds on both sides: ``both are UUIDv4``."""
    support: int
    """Examples that it holds for."""
    examples: int
    """All of them."""

    @property
    def is_drawn(self) -> bool:
        """Whether values come from so many that none should ever come twice."""
        return self.family in (Family.UUID, Family.DRAWN)


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why no mask is made of these examples."""

    reason: str


def fit(path: str, examples: Sequence[Values]) -> Fit | Unfit:
    """The tightest mask at `path` that holds for nearly all examples, or why there is none."""
    if len(examples) < FEWEST_EXAMPLES:
        return Unfit(f"only {len(examples)} examples; a bound is learnt from {FEWEST_EXAMPLES} or more")
    reason = "the values have nothing in common that a mask could hold them to"
    for family, belongs, make in _FAMILIES:
        members = [each for each in examples if belongs(each)]
        if len(members) < COVERED * len(examples):
            continue
        made = make(members)
        if isinstance(made, Unfit):
            reason = made.reason
            continue
        options, sentence = made
        mask = Mask.model_validate({"path": path, **options})
        return Fit(mask, family, sentence, len(members), len(examples))
    return Unfit(reason)


Made = tuple[dict[str, Any], str] | Unfit
"""Options of a mask and its sentence."""

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-([1-8])[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def _are_uuids(values: Values) -> bool:
    return all(isinstance(each, str) and _UUID.fullmatch(each) for each in values)


def _uuids(examples: Sequence[Values]) -> Made:
    versions = {found[1] for each in _texts(examples) if (found := _UUID.fullmatch(each)) is not None}
    if len(versions) != 1:
        return Unfit("the UUIDs are of several versions")
    (version,) = versions
    return {"kind": "uuid", "version": int(version)}, f"both are UUIDv{version}"


def _are_times(values: Values) -> bool:
    left, right = map(moment, values)
    if isinstance(left, datetime) and isinstance(right, datetime):
        return (left.tzinfo is None) is (right.tzinfo is None)
    return _is_epoch(values[0]) and _is_epoch(values[1])


def _is_epoch(value: Json | Absent) -> bool:
    """Seconds or milliseconds since the epoch, of a date from 2001 to 2128: wider, and prices would be dates."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return False
    return 10**9 <= value < 5 * 10**9 or 10**12 <= value < 5 * 10**12


def _times(examples: Sequence[Values]) -> Made:
    seconds = max(_apart(*each) for each in examples)
    if seconds > FARTHEST:
        return Unfit(f"the times are up to {seconds:,.0f} s apart, which is no 'about now'")
    if not seconds:
        return Unfit("the times are equal, and only written differently")
    pattern = _form_of_times(examples)
    if pattern is None:
        return Unfit("the times are written in several forms")
    within = _duration(seconds)
    options = {"kind": "timestamp", "within": within}
    return options | ({"pattern": pattern} if pattern else {}), f"they differ by at most {within}"


def _apart(a: Json | Absent, b: Json | Absent) -> float:
    left, right = moment(a), moment(b)
    if isinstance(left, datetime) and isinstance(right, datetime):
        return abs((left - right).total_seconds())
    assert isinstance(left, float) and isinstance(right, float)
    return abs(left - right) / (1000 if max(left, right) >= 10**11 else 1)


def _duration(seconds: float) -> str:
    """As the rules file writes it, rounded up to the next millisecond."""
    milliseconds = int((Decimal(repr(seconds)) * 1000).to_integral_value(ROUND_CEILING))
    return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"


_HTTP_FORM = "[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT"
_ZONE = re.compile(r"(.*?)(Z|[+-][0-9]{2}:?[0-9]{2})?", re.DOTALL)
MOST_FORMS = 4
"""Ways in which one service writes times: some leave out a fraction of zero."""


def _form_of_times(examples: Sequence[Values]) -> str | None:
    """The pattern of the texts, `""` for numbers, which need none; None where they have no form in common.

    A zone stays as it is: the same moment in another zone is another text, and not what legacy ever wrote.
    """
    texts = _texts(examples)
    if not texts:
        return ""
    if all(re.fullmatch(_HTTP_FORM, text) for text in texts):
        return _HTTP_FORM
    forms: dict[tuple[int, str], list[str]] = {}
    for text in texts:
        found = _ZONE.fullmatch(text)
        assert found is not None  # it matches everything
        forms.setdefault((len(re.findall("[0-9]+", found[1])), found[2] or ""), []).append(found[1])
    patterns = []
    for (_, zone), beginnings in sorted(forms.items()):
        shape = shape_of(beginnings, digits_vary=True)
        if shape is None:
            return None
        patterns.append(shape.pattern + escape(zone))
    return "|".join(patterns) if len(patterns) <= MOST_FORMS else None


def _are_numbers(values: Values) -> bool:
    left, right = map(number, values)
    return left is not None and right is not None and isinstance(values[0], str) is isinstance(values[1], str)


_ROOM = Context(prec=200)
_FARTHEST = 100
"""Digits before or after the point beyond which a number is nothing that people tolerate a difference of."""
_DIGITS = Context(prec=6, rounding=ROUND_CEILING)


def _numbers(examples: Sequence[Values]) -> Made:
    pairs = [(left, right) for a, b in examples if (left := number(a)) is not None and (right := number(b)) is not None]
    if any(each and abs(each.adjusted()) > _FARTHEST for both in pairs for each in both):
        return Unfit("some of the numbers are too large, or too close to 0, for a tolerance")
    limit = max(abs(_ROOM.subtract(left, right)) for left, right in pairs)
    size = median(max(abs(left), abs(right)) for left, right in pairs)
    if limit > WIDEST * size:
        return Unfit(f"the numbers are up to {_plain(limit)} apart, more than a tolerance may be")
    if not limit:
        return Unfit("the numbers are equal, and only written differently")
    within = _plain(limit)
    options: dict[str, Any] = {"kind": "number", "within": within}
    pattern = _form_of_numbers([each for values in examples for each in values])
    return options | ({"pattern": pattern} if pattern else {}), f"they differ by at most {within}"


def _plain(value: Decimal) -> str:
    """Digits without an exponent; the sixth one rounded up."""
    text = format(value if len(value.as_tuple().digits) <= 6 else _DIGITS.plus(value), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _form_of_numbers(values: Sequence[Json | Absent]) -> str | None:
    """Whether there are signs and how many decimals; None where some have an exponent."""
    texts = [each if isinstance(each, str) else written(each) for each in values]
    if any("e" in text.lower() for text in texts):
        return None
    sign = "-?" if any(text.startswith("-") for text in texts) else ""
    decimals = {len(text.partition(".")[2]) for text in texts}
    if decimals == {0}:
        return f"{sign}[0-9]+"
    least, most = min(decimals), max(decimals)
    fraction = rf"\.[0-9]{{{least}}}" if least == most else rf"\.[0-9]{{{max(1, least)},{most}}}"
    return f"{sign}[0-9]+{fraction}" if least else f"{sign}[0-9]+({fraction})?"


def _are_texts(values: Values) -> bool:
    return all(isinstance(each, str) for each in values)


def _drawn(examples: Sequence[Values]) -> Made:
    texts = _texts(examples)
    distinct = len(set(texts))
    if distinct < COVERED * len(texts):
        return Unfit(
            f"legacy alternates between {distinct} values, and a mask could not tell a wrong one of them from noise"
        )
    shape = shape_of(texts)
    if shape is None:
        return Unfit("the texts have no form in common")
    if shape.varying < LEAST_DRAWN:
        return Unfit("the texts are not drawn at random, and a mask could not tell a wrong one from noise")
    return {"kind": "matches", "pattern": shape.pattern}, f"both match ^{shape.pattern}$"


def _texts(examples: Sequence[Values]) -> list[str]:
    return [each for values in examples for each in values if isinstance(each, str)]


_FAMILIES = (
    (Family.UUID, _are_uuids, _uuids),
    (Family.TIMESTAMP, _are_times, _times),
    (Family.NUMBER, _are_numbers, _numbers),
    (Family.DRAWN, _are_texts, _drawn),
)
"""From what says most about a value to what says least."""
