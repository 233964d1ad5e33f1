"""Can the exchanges of an attempt carry a promotion at all, whatever is asked of them? Pure."""

from __future__ import annotations

import math

from canary import words
from canary.evidence import DROPPED_MOST, Evidence
from canary.measures.measure import CANDIDATE, LEGACY
from canary.spec import Gate
from canary.stats.allocation import ALPHA as MISMATCH_ALPHA

_LARGEST_LOG = 700.0
"""exp of more is not a float."""


def e_value(log: float | None) -> float:
    """No evidence is an e-value of 0: always allowed, never of use."""
    return 0.0 if log is None else math.exp(min(log, _LARGEST_LOG))


def unsound(gate: Gate, evidence: Evidence, now: float) -> str:
    """Why the exchanges cannot carry a promotion; ``""`` when they can, or when there are to be none."""
    if evidence.alone:
        return ""
    for side, name in ((LEGACY, "legacy"), (CANDIDATE, "candidate")):
        last = float(evidence.last[side])
        if last - now > gate.silence:
            return f"requests of {name} are dated {last - now:.0f} s ahead of the clock here; set the clocks right"
        quiet = now - max(last, evidence.since)
        if quiet > gate.silence:
            return f"no counted request of {name} for {quiet:.0f} s (silence: {gate.silence:g} s)"
    starving = evidence.starving()
    if starving is not None:
        side, found, expected = starving
        name = "the candidate" if side == CANDIDATE else "legacy"
        return f"{found} counted requests of {name} since the last window, where about {expected:,.0f} are expected"
    if evidence.spoilt_at and now - evidence.spoilt_at <= max(gate.silence, gate.window):
        return f"more than {words.percent(DROPPED_MOST)} of a window's rows were lost; that window is not used"
    if evidence.window_loss() > DROPPED_MOST:
        return f"{words.percent(evidence.window_loss())} of the open window's rows are lost"
    mismatch = e_value(evidence.arrivals.log_mismatch)
    if mismatch >= 1 / MISMATCH_ALPHA:
        arrivals = evidence.arrivals
        return (
            f"sample ratio mismatch: {arrivals.candidate:,} of {arrivals.seen:,} units came to the candidate where the "
            f"share says {arrivals.expected:,.0f} (evidence {words.evidence(mismatch)} >= {1 / MISMATCH_ALPHA:,.0f}); "
            "the sides cannot be compared"
        )
    return ""
