"""Transforms that make a number out of a number: rounding, scale, sign, one more or less. Exact: no float decides.

A transform is a short text, its name and its parameters between colons: ``scale:100``, ``round:2:half_up``.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_UP, Context, Decimal

EXACT = Context(prec=120)
"""Enough for a product or a sum of any two numbers that are looked at."""
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
    if not (_handy(legacy) and _handy(candidate)):
        return
    if _only_float_noise(legacy, candidate):
        yield "float_noise"
    if scale := scaled(legacy, candidate):
        yield f"scale:{scale}"
    if candidate == -legacy:
        yield "sign"
    if abs(step := EXACT.subtract(candidate, legacy)) == 1 and legacy == legacy.to_integral_value():
        yield f"plus:{step:+f}".replace(".0", "")
    for places, rounding in roundings(legacy, candidate):
        yield f"round:{places}:{rounding}"
    for places, rounding in roundings(candidate, legacy):
        yield f"unrounded:{places}:{rounding}"
    places = max(_written_places(legacy), _written_places(candidate))
    if places and abs(step) == Decimal(1).scaleb(-places):
        yield f"last_digit:{'down' if abs(candidate) < abs(legacy) else 'up'}:{places}"


def _handy(value: Decimal) -> bool:
    """Whether it has no more digits than one wants to calculate with."""
    return len(value.as_tuple().digits) <= MOST_DIGITS and abs(value.adjusted()) <= MOST_DIGITS


def scaled(legacy: Decimal, candidate: Decimal) -> str:
    """The factor among SCALES (``100``, or ``1/100``) by which `legacy` gives exactly `candidate`, else ``""``."""
    if not legacy or not candidate:
        return ""
    larger, smaller = (candidate, legacy) if abs(candidate) > abs(legacy) else (legacy, candidate)
    factor = EXACT.divide(larger, smaller)
    name = _SCALES.get(factor, "")
    if not name or EXACT.multiply(smaller, factor) != larger:
        return ""
    return name if larger is candidate else f"1/{name}"


def roundings(exact: Decimal, rounded: Decimal) -> Iterator[tuple[int, str]]:
    """The decimal places (negative: tens, hundreds) and ways of rounding that make `rounded` out of `exact`."""
    fewest, most = _places(rounded), _places(exact)
    if fewest >= most or abs(EXACT.subtract(exact, rounded)) >= Decimal(1).scaleb(-fewest):
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


def _written_places(value: Decimal) -> int:
    """Decimal places as they were written: 2 in ``12.50``."""
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)


def _only_float_noise(legacy: Decimal, candidate: Decimal) -> bool:
    """Whether they are one number but for what binary floating point makes of it: 0.3 and 0.30000000000000004."""
    digits = max(len(each.normalize(EXACT).as_tuple().digits) for each in (legacy, candidate))
    if digits < _FLOAT_DIGITS:
        return False
    return abs(EXACT.subtract(legacy, candidate)) <= EXACT.multiply(_FLOAT_NOISE, max(abs(legacy), abs(candidate)))
