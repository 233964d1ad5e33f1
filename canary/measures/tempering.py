"""How much more the counts of a metric vary than those of independent exchanges: D, from clusters of units and from
time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from canary.measures.measure import CANDIDATE, CLUSTERS, LEGACY, Floats, State
from canary.stats import dispersion
from canary.stats.blocks import Blocks


class Tempering:
    """Sums over closed windows of one kind of event, enough to say D at any time."""

    def __init__(self, sensitivity: Callable[[float], float]) -> None:
        """`sensitivity`: of legacy's rate, see canary.stats.dispersion.unproven."""
        self._sensitivity = sensitivity
        self.events = np.zeros((2, CLUSTERS))
        self.exchanges = np.zeros((2, CLUSTERS))
        self._weights = np.zeros(2)
        """Per side: sum over windows of h^2 / n."""
        self._blocks = Blocks()
        self._known: float | None = None
        """What `dispersion` last said, until another window comes: it is asked for several times a window."""

    def add(self, events: Floats, exchanges: Floats) -> None:
        """One closed window, both (2, CLUSTERS); both sides have exchanges."""
        self._known = None
        self.events += events
        self.exchanges += exchanges
        n, x = exchanges.sum(axis=1), events.sum(axis=1)
        h = n[LEGACY] * n[CANDIDATE] / n.sum()
        self._weights += h * h / n
        self._blocks.push(np.array([h * x[CANDIDATE] / n[CANDIDATE], h * x[LEGACY] / n[LEGACY], h]))

    @property
    def windows(self) -> int:
        return self._blocks.windows

    def rates(self) -> tuple[float, float]:
        """Legacy's and the candidate's rate, each window with the same weight on both sides; needs a window."""
        candidate, legacy, weight = self._blocks.total
        return float(legacy / weight), float(candidate / weight)

    def dispersion(self) -> float:
        """D >= 1, the largest of what clusters say, what windows say, and what is assumed before they can."""
        if self._known is None:
            self._known = self._dispersion() if self.windows else 1.0
        return self._known

    def _dispersion(self) -> float:
        by_unit = dispersion.of_units(self.events, self.exchanges)
        candidate, legacy, weight = self._blocks.total
        # Residuals must vanish in sum. A common drift of the rates cancels where the ratio is constant; without any
        # event of legacy there is no ratio, and the candidate's rate alone is looked at.
        ratio = candidate / legacy if legacy > 0 else 0.0
        line = np.array([1.0, -ratio, 0.0]) if legacy > 0 else np.array([1.0, 0.0, -candidate / weight])
        n = self.exchanges.sum(axis=1)
        rate = self.events.sum(axis=1) / n
        expected = dispersion.independent(
            self._weights[CANDIDATE], self._weights[LEGACY], ratio, rate[CANDIDATE], rate[LEGACY]
        )
        variance, _ = self._blocks.variance(line, beyond=by_unit * expected)
        by_time = variance / expected if expected > 0 else 1.0
        unproven = dispersion.unproven(weight / self.windows, self._sensitivity(float(rate[LEGACY])), self.windows)
        return max(by_unit, by_time, unproven)

    def state(self) -> State:
        own: State = {"events": self.events, "exchanges": self.exchanges, "weights": self._weights}
        return own | {f"blocks.{name}": value for name, value in self._blocks.state().items()}

    def restore(self, state: State) -> None:
        self._known = None
        self.events[...] = state["events"]
        self.exchanges[...] = state["exchanges"]
        self._weights[...] = state["weights"]
        self._blocks.restore({name.removeprefix("blocks."): value for name, value in state.items()})
