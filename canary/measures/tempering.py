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

    def __init__(
        self, sensitivity: Callable[[float], float], former: Tempering | None = None, *, alike: bool = True
    ) -> None:
        """`sensitivity`: of legacy's rate, see canary.stats.dispersion.unproven. `former`: of the same noise, though of
        other events; what it knows stands in for that guess. `alike`: see Blocks.variance."""
        self._sensitivity = sensitivity
        self._alike = alike
        self._proven: Floats = np.array([0.0, 1.0])
        """Windows in which the noise was known before, and the D they showed."""
        if former is not None:
            self._proven[:] = former.windows + former._proven[0], former.dispersion()
        self.events = np.zeros((2, CLUSTERS))
        self.exchanges = np.zeros((2, CLUSTERS))
        self._weights = np.zeros(2)
        """Per side: sum over windows of h^2 / n."""
        self._cumulants = np.zeros((2, 2))
        """Per side: sums over windows of (h / n)^2 and of (h / n)^4 times the events."""
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
        self._cumulants += (h / n[:, None]) ** np.array([2, 4]) * x[:, None]
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
        excess = dispersion.excess(self._cumulants[CANDIDATE], self._cumulants[LEGACY], ratio)
        variance, _ = self._blocks.variance(line, beyond=by_unit * expected, excess=excess, alike=self._alike)
        by_time = variance / expected if expected > 0 else 1.0
        proven, known = self._proven.tolist()
        size = float(self._blocks.own[0, 2, 2]) / weight  # of the windows that carry the sum, and their number:
        unproven = dispersion.unproven(size, self._sensitivity(float(rate[LEGACY])), weight / size + proven)
        return max(by_unit, by_time, unproven, known if self.windows < dispersion.PROVING else 1.0)

    def state(self) -> State:
        own: State = {"events": self.events, "exchanges": self.exchanges, "weights": self._weights}
        own |= {"cumulants": self._cumulants, "proven": self._proven}
        return own | {f"blocks.{name}": value for name, value in self._blocks.state().items()}

    def forget(self) -> None:
        """The arrays were written from elsewhere."""
        self._known = None

    def restore(self, state: State) -> None:
        self.forget()
        self.events[...] = state["events"]
        self.exchanges[...] = state["exchanges"]
        self._weights[...] = state["weights"]
        self._cumulants[...] = state["cumulants"]
        self._proven[...] = state["proven"]
        self._blocks.restore({name.removeprefix("blocks."): value for name, value in state.items()})
