"""Transforms that make a number out of a number: rounding, scale, sign, one more or less. Exact: no float decides.

A transform is a short text, its name and its parameters between colons: ``scale:100``, ``round:2:half_up``.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_UP, Context, Decimal

EXACT = Context(prec=120)
"""Enough for a product or a sum of any two numbers that are looked at."""
_SHORT = Context(prec=20)
"""Enough to recognise a factor, which is then held against EXACT."""
MOST_DIGITS = 50
"""Digits, before and after the point, of a number that is looked at; no price or time has more."""
ROUNDINGS = {"half_up": ROUND_HALF_UP, "half_even": ROUND_HALF_EVEN, "down": ROUND_DOWN, "up": ROUND_UP}
"""As in Python's decimal: `down` is towards zero (cut off), `up` away from it."""
_MOST_PLACES = 8
_FLOAT_DIGITS = 14
"""Significant digits from which a number looks like a printed double, which holds 15 to 17 (IEEE 754 binary64)."""
_FLOAT_NOISE = Decimal("1e-13")

SCALES = (10, 100, 1000, 10_000, 1_000_000, 1_000_000_000, 60, 3600, 86_400, 1024, 1_048_576)
"""Factors between units that services are known to confuse: cents, per mille, seconds and minutes, bytes.

No small ones: among small numbers they fit by accident, and as a common factor they are found all the same."""
_SCALES = {Decimal(scale): str(scale) for scale in SCALES}


def number_transforms(legacy: Decimal, candidate: Decimal) -> Iterator[str]:
    """Every transform of numbers that makes `candidate` out of `legacy`; both finite, and different."""
    if not (handy(legacy) and handy(candidate)):
        return
    if scale := scaled(legacy, candidate):
        yield f"scale:{scale}"
    if candidate == -legacy:
        yield "sign"
    step = EXACT.subtract(candidate, legacy)
    ours, theirs = _places(legacy), _places(candidate)
    if ours <= 0 and theirs <= 0 and step in _ONE:
        yield f"plus:{int(step):+d}"
    if theirs < ours:
        yield from (f"round:{places}:{way}" for places, way in roundings(legacy, candidate, theirs, ours))
    elif ours < theirs:
        yield from (f"unrounded:{places}:{way}" for places, way in roundings(candidate, legacy, ours, theirs))
    if max(ours, theirs) > 0 or legacy.as_tuple().exponent != 0 or candidate.as_tuple().exponent != 0:
        yield from _in_last_digit(legacy, candidate, step)


_ONE = (Decimal(1), Decimal(-1))


def _in_last_digit(legacy: Decimal, candidate: Decimal, step: Decimal) -> Iterator[str]:
    """What needs digits after the point, or written zeros there."""
    if _only_float_noise(legacy, candidate, step):
        yield "float_noise"
    places = max(written_places(legacy), written_places(candidate))
    if places and abs(step) == Decimal(1).scaleb(-places):
        yield f"last_digit:{'down' if abs(candidate) < abs(legacy) else 'up'}:{places}"


def handy(value: Decimal) -> bool:
    """Whether it has no more digits than one wants to calculate with."""
    return abs(value.adjusted()) <= MOST_DIGITS and len(value.as_tuple().digits) <= MOST_DIGITS


def scaled(legacy: Decimal, candidate: Decimal) -> str:
    """The factor among SCALES (``100``, or ``1/100``) by which `legacy` gives exactly `candidate`, else ``""``."""
    if not legacy or not candidate:
        return ""
    larger, smaller = (candidate, legacy) if abs(candidate) > abs(legacy) else (legacy, candidate)
    factor = _SHORT.divide(larger, smaller)
    name = _SCALES.get(factor, "")
    if not name or EXACT.multiply(smaller, factor) != larger:
        return ""
    return name if larger is candidate else f"1/{name}"


def roundings(exact: Decimal, rounded: Decimal, fewest: int, most: int) -> Iterator[tuple[int, str]]:
    """The decimal places (negative: tens, hundreds) and ways of rounding that make `rounded` out of `exact`.

    `fewest` are the places of `rounded`, `most` those of `exact`, which has more.
    """
    if abs(EXACT.subtract(exact, rounded)) >= Decimal(1).scaleb(-fewest):
        return
    for places in range(max(fewest, -6), min(most - 1, _MOST_PLACES) + 1):
        unit = Decimal(1).scaleb(-places)
        for name, rounding in ROUNDINGS.items():
            if exact.quantize(unit, rounding, EXACT) == rounded:
                yield places, name


def _places(value: Decimal) -> int:
    """Decimal places without trailing zeros; negative when it ends in zeros before the point. 0 has none."""
    exponent = value.normalize(EXACT).as_tuple().exponent
    assert isinstance(exponent, int)  # finite
    return -exponent if value else 0


def written_places(value: Decimal) -> int:
    """Decimal places as they were written: 2 in ``12.50``."""
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)


def _only_float_noise(legacy: Decimal, candidate: Decimal, step: Decimal) -> bool:
    """Whether they are one number but for what binary floating point makes of it: 0.3 and 0.30000000000000004."""
    if abs(step) > EXACT.multiply(_FLOAT_NOISE, max(abs(legacy), abs(candidate))):
        return False
    return max(len(each.normalize(EXACT).as_tuple().digits) for each in (legacy, candidate)) >= _FLOAT_DIGITS
