"""Where fig's gate does otherwise than Kayenta, each on purpose: the one place that says so. docs/kayenta.md shows it.

`AS_KAYENTA` and `MENDED` are the differences that concern the arithmetic of one metric; the others are rules of
canary.kayenta.judging, named here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isnan

import numpy as np
import numpy.typing as npt

from canary.stats import rank

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Manner:
    """What differs between Kayenta's arithmetic and fig's."""

    ratio: Callable[[Floats, Floats], float]
    """The candidate's mean over legacy's."""
    tolerance: Callable[[float], float]
    """How exactly the interval's ends are sought, given the width of what they can lie in."""
    absence_passes: bool
    """Whether a side without any value passes where points without a value are replaced by 0."""


def _kayenta_ratio(candidate: Floats, legacy: Floats) -> float:
    """As Kayenta: a ratio with a mean of 0 in it counts as no effect."""
    found = rank.mean_ratio(candidate, legacy)
    return 1.0 if isnan(found) else found


AS_KAYENTA = Manner(_kayenta_ratio, lambda _: rank.TOLERANCE, absence_passes=True)
MENDED = Manner(rank.honest_ratio, lambda span: min(rank.TOLERANCE, span * 1e-6), absence_passes=False)


@dataclass(frozen=True, slots=True)
class Divergence:
    """One thing that fig does otherwise."""

    name: str
    kayenta: str
    fig: str
    fails_open: bool
    """Whether what Kayenta does lets a candidate pass that nothing speaks for."""


DIVERGENCES = (
    Divergence(
        "absence-replaced",
        "With nanStrategy replace, a side without any data passes.",
        "It is without data: a fault where the metric is required.",
        True,
    ),
    Divergence(
        "absence-outvoted",
        "Up to half of the metrics may be without data, and a group without any counts as 100.",
        "A required metric without data is a fault, unless the others roll back whatever it says; `required: "
        "false` has no say.",
        True,
    ),
    Divergence(
        "holes",
        "One value a side is enough, however many points are without.",
        "Half of the points of each side must have a value, else a fault.",
        True,
    ),
    Divergence(
        "errors-unscored",
        "A metric whose classification failed, for an infinite value say, is left out of its group's score.",
        "A fault where the metric is required.",
        True,
    ),
    Divergence(
        "ratio-to-nothing",
        "Where a mean is 0 the ratio counts as 1: errors that begin at 0 pass any allowedIncrease above 1, and a drop "
        "to 0 any allowedDecrease below 1.",
        "The ratio is infinite, or 0.",
        True,
    ),
    Divergence(
        "small-values",
        "The interval is sought to 0.0001 in the values' own unit: for seconds or rates that is often more than the "
        "values themselves, and its ends are wherever the search began.",
        "Sought to a millionth of its possible width, and never coarser than Kayenta.",
        True,
    ),
    Divergence(
        "few-points",
        "Two points a side can be High.",
        "At least 20 windows are judged (`points`, 60 unless told).",
        False,
    ),
    Divergence(
        "no-thresholds",
        "Without score thresholds every score passes.",
        "`passing` and `marginal` have defaults, 95 and 75.",
        True,
    ),
    Divergence(
        "judged-again",
        "Judged at every interval, on a growing or sliding window, and any of them decides: with every look more false "
        "verdicts.",
        "Judged once, when `points` windows are complete; later windows change nothing.",
        False,
    ),
    Divergence(
        "ungrouped",
        "A metric without a group is in no score; weights may sum to anything and name groups that no metric is in.",
        "It is in the group `metrics`; weights that cannot make 100, of a group without metrics, or that leave a "
        "required metric without a say, are errors.",
        True,
    ),
    Divergence(
        "noise",
        "Where both sides are constant, random noise is added to tell them apart.",
        "Their difference is known exactly; no chance is involved.",
        False,
    ),
)
"""Everything that is done otherwise on purpose."""
