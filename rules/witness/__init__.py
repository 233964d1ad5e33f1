"""Witnesses: requests that show a claim about matches, and proofs that no request could.

`witness` and `meet` give a request, `samples` gives some, `within` a proof; `look` with prepared demands says both, and
is what many searches over the same matches should use. All are bounded and give the same answer every time.
"""

from __future__ import annotations

from collections.abc import Sequence

from rules.asked import Asked
from rules.match import Match
from rules.witness.demands import Demand
from rules.witness.search import Finding, look, samples

__all__ = ["Demand", "Finding", "look", "meet", "samples", "within", "witness"]


def witness(wanted: Sequence[Match], unwanted: Sequence[Match] = ()) -> Asked | None:
    """A request that all of `wanted` take and none of `unwanted`; None when none was found."""
    return look([Demand(match) for match in wanted], [Demand(match) for match in unwanted]).request


def meet(a: Match, b: Match) -> Asked | None:
    """A request that both take; None when none was found."""
    return witness((a, b))


def within(a: Match, b: Match) -> bool:
    """True only if it is proven that every request that `a` takes is taken by `b` too."""
    return look([Demand(a)], [Demand(b)]).impossible
