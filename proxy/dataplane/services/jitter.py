"""How chance spreads what many workers would otherwise do at the same moment. Pure: chance is an argument."""

from __future__ import annotations

from rules.stages import MILLION

_MOST = 0.1


def sooner(seconds: float, chance: int) -> float:
    """`seconds`, less up to a tenth of them. `chance` in millionths, 0 for the whole of them.

    Less and not more, so that what a rules file says is never exceeded.
    """
    return seconds * (1 - _MOST * chance / MILLION)
