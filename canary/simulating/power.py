"""What many made-up attempts come to: how often each kind of candidate goes live or back, and after how long."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from canary.plan import RolloutPlan
from canary.simulating.attempts import End, Outcome, Patience, attempt, simulable
from canary.simulating.traffic import Candidate, Load, can_be_worse, worse
from canary.spec import Gate

HARMS = (1.0, 2.0)
"""Margins by which each metric is made worse, one at a time."""
FAILING = 0.2
SLOWER = 3.0


@dataclass(frozen=True, slots=True)
class Power:
    """Many attempts of one kind of candidate."""

    candidate: str
    ends: tuple[End, ...]

    def part(self, outcome: Outcome) -> float:
        """Of the attempts that ended so, 0 to 1."""
        return sum(end.outcome is outcome for end in self.ends) / len(self.ends)

    def of(self, number: Callable[[End], float], outcome: Outcome | None = None) -> float | None:
        """Median of a number over the attempts that ended so, or over all; None without any."""
        found = [number(end) for end in self.ends if outcome is None or end.outcome is outcome]
        return median(found) if found else None

    @property
    def usual(self) -> Outcome:
        """What most of them ended in."""
        return max(Outcome, key=self.part)


def candidates(gate: Gate, load: Load) -> tuple[Candidate, ...]:
    """Those that a team asks about: an equal one, one worse by each metric's margin and by twice that, a broken one."""
    of_metrics = tuple(worse(metric, times, load) for metric in gate.metrics if can_be_worse(metric) for times in HARMS)
    broken = Candidate(f"{FAILING:.0%} fail", failing=FAILING), Candidate(f"{SLOWER:g} times as slow", slower=SLOWER)
    return (Candidate(), *of_metrics, *broken)


def powers(gate: Gate, plan: RolloutPlan, load: Load, runs: int, seed: int, patience: Patience) -> Iterator[Power]:
    """Each kind of candidate with all of its attempts, one kind after the other.

    `gate` and `plan` as the rules file has them. Raises ValueError where nothing can be simulated.
    """
    gate, plan, _ = simulable(gate, plan)
    for number, kind in enumerate(candidates(gate, load)):
        ends = [attempt(gate, plan, load, kind, seed + 1000 * number + run, patience) for run in range(runs)]
        yield Power(kind.name, tuple(ends))


def advice(found: Sequence[Power]) -> list[str]:
    """What the table means for whoever plans the rollout, as sentences."""
    said = []
    equal = found[0]
    live = equal.part(Outcome.LIVE)
    if live >= 0.8:
        said.append(f"an equal candidate goes live in {live:.0%} of attempts")
    elif live:
        said.append(
            f"an equal candidate goes live in {live:.0%} of attempts only: give it more time, traffic or margin"
        )
    else:
        said.append(
            "an equal candidate never goes live: this traffic cannot exclude the margins; raise the last share, "
            "lengthen the deadline, widen a margin, or make a metric `required: false`"
        )
    unseen = [power.candidate for power in found[1:] if power.part(Outcome.ROLLED_BACK) < 0.5]
    if unseen:
        said.append(f"not rolled back in half of the attempts or more: {', '.join(unseen)}")
    wrong = equal.part(Outcome.ROLLED_BACK)
    if wrong:
        said.append(f"an equal candidate was rolled back in {wrong:.0%} of attempts")
    return said
