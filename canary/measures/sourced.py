"""Numbers of a source, compared step by step: each step is a pair of values of legacy and candidate at one time.

What both sides have in common in a step (load, hour, a noisy exporter) cancels in the pair. The sum of the pairs is
judged as a mean latency is (stats/means.py): its variance over time from blocks of every length (stats/blocks.py), or
from what varies within steps where the source says how much was observed and that is larger; no evidence before
BURN_IN steps. Assumed: the difference of a pair does not depend on how long the attempt has lasted, and resembles that
of its neighbours for at most a sixtieth of the attempt. A step in which the share changed is left out.

Each step is taken once and for all when it is complete; sums and the last KEPT steps are all that is kept.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from canary.measures.mean_series import farthest
from canary.measures.measure import CANDIDATE, LEGACY, Batch, Floats, Reading, State
from canary.measures.onsets import log_joined
from canary.measures.pairs import Pairs
from canary.query_spec import Reduction
from canary.series import Series
from canary.spec import Metric
from canary.stats import means
from canary.stats.blocks import LEAST_BLOCKS
from canary.steps import Answer, Stretch

KEPT = 1024
"""Steps of both sides that are kept as they are, for reports and for judges that want them."""
MOST_STEPS = 120
"""In one question, whose answer is taken at once: 40 ms of a loop. What was missed for longer takes several."""
SPELL = 128
"""Steps of a spell: harm that begins late is looked for in each by itself (as measures/onsets.py does, whose weights
these are), against the noise of all before, so that a long good past does not outweigh it."""
MOST_MISSING = 0.2
"""Part of the steps that may lack a side: numbers that come only in good times tell of good times only."""
ALIKE = 16
"""Changes from one step to the next in which both sides came to the very same number, before that is no chance: two
sides that toss a coin between two numbers are as much alike in less than one of a million attempts, and all others more
seldom. Numbers that stay as they are, nothing failing above all, are alike with good reason."""
MOST_APART = 0.05
"""Part of the changes in which they may differ nevertheless: one query may see a late number that the other did not."""
_SAME = 1e-14
"""Relative: a Prometheus' rate is multiplied by its count and divided again."""
_FEW = 5
_MOVES = 64
_SIDES = ("legacy", "the candidate")


class Sourced:
    """The evidence of one metric of kind `query`. Windows of exchanges mean nothing to it."""

    reference_needed = 0

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.since = 0.0
        self.delay = 0.0
        """Seconds that numbers need to come, as the source says."""
        self.trouble = ""
        """What is wrong with the newest answer, in words; says nothing of the evidence before it."""
        self.answered = 0.0
        """When the source last answered well, seconds since the epoch; 0 before it did."""
        self._upto = np.full(1, -1, np.int64)
        """The last step that was taken."""
        self._missing = np.zeros(2, np.int64)
        """Steps without a number, per side."""
        self._changes = np.zeros(2, np.int64)
        """Steps in which a side's mean is another than in the step before: those in which both have the same one, and
        the others."""
        self._before = np.full(2, np.nan)
        """Both sides' means in the last step that had both."""
        self._newest = np.zeros(2)
        """End of each side's newest step with a number."""
        self._whole = Pairs(metric)
        self._spell = Pairs(metric)
        """The present spell."""
        self._spells = np.ones(1)
        """The number of the present spell."""
        self._ended = np.full(1, -np.inf)
        """ln of the weighted sum of the e-values of spells that are over."""
        self._noise = np.zeros(2)
        """Of all steps up to the end of the spell before the last, and up to the last one's: the spell in which harm
        begins must not pass for noise at once."""
        self._moves = np.zeros(_MOVES)
        """When the share changed, the newest ones; 0 for none."""
        self._kept = np.full((3, KEPT), np.nan)
        """Beginning, legacy, candidate of the last steps, as a ring."""
        self._written = np.zeros(1, np.int64)
        self._read: tuple[float, Reading] | None = None

    # What it does not need of exchanges.

    def fix(self, reference: npt.NDArray[np.int64]) -> None:
        """Nothing to fix."""

    def add(self, batch: Batch) -> None:
        """Exchanges are not its business."""

    def close(self, counts: Floats) -> None:
        """Nor are their windows."""

    def cut(self) -> None:
        """`moved` says when the share changed."""

    def discard(self) -> None:
        """Nothing is open."""

    # Taking answers.

    def begin(self, since: float) -> None:
        """The attempt began then; steps that begin before it do not count. Once, before anything is taken."""
        self.since = since
        self._upto[0] = math.ceil(since / self.metric.step)

    def moved(self, at: float) -> None:
        """The share changed then: the step in which it did mixes two shares."""
        if at not in self._moves:
            self._moves[:] = np.append(self._moves[1:], at)

    def due(self, now: float) -> Stretch | None:
        """The complete steps that were not taken yet, MOST_STEPS at a time; None while there is none."""
        step, first = self.metric.step, int(self._upto[0]) + 1
        last = min(math.floor((now - self.delay) / step), first + MOST_STEPS - 1)
        return Stretch(first, last, step) if last >= first else None

    def failed(self, trouble: str) -> None:
        """The source did not answer, or not so that it could be used. The same steps are due again."""
        self.trouble = trouble

    def take(self, answer: Answer, now: float) -> None:
        """What the source says about steps that were due. Steps that were taken meanwhile are passed over."""
        self.trouble = self._unusable(answer)
        if self.trouble:
            return
        self.answered = now
        self._read = None
        series = answer.series()
        step = self.metric.step
        for place in range(len(answer.stretch)):
            number = answer.stretch.first + place
            if number <= self._upto[0]:
                continue
            self._upto[0] = number
            if np.any((self._moves > (number - 1) * step) & (self._moves <= number * step)):
                continue
            self._step(answer, place, series)
        absent = [name for side, name in enumerate(_SIDES) if not answer.n[side].any()]
        if absent:
            of = " or ".join(absent)
            self.trouble = f"no number of {of} in the newest {len(answer.stretch)} steps of {step:g} s"

    def _unusable(self, answer: Answer) -> str:
        if not (np.isfinite(answer.n).all() and np.isfinite(answer.total).all()) or (answer.n < 0).any():
            return "a sum is not a finite number"
        if self.metric.measure is Reduction.RATE:
            with np.errstate(invalid="ignore", divide="ignore"):
                rates = answer.total / answer.n
            wrong = rates[(answer.n > 0) & ((rates < 0) | (rates > 1 + 1e-9))]
            if wrong.size:
                return f"a rate of {wrong[0]:.4g} is not a part of all (0 to 1); divide, or write measure: mean"
        return ""

    def _step(self, answer: Answer, place: int, series: Series) -> None:
        n = answer.n[:, place]
        if n.max() <= 0 and not self._newest.any():
            return  # the source begins later than the attempt, with both sides: nothing is missing yet
        self._newest[n > 0] = answer.stretch.begin + (place + 1) * self.metric.step
        self._missing += n <= 0
        at = int(self._written[0]) % KEPT
        self._kept[:, at] = series.times[place], series.legacy[place], series.candidate[place]
        self._written += 1
        if n.min() <= 0:
            return
        self._compare(float(series.legacy[place]), float(series.candidate[place]))
        for pairs in (self._whole, self._spell):
            pairs.push(n, answer.total[:, place], answer.squares[:, place])
        if self._spell.steps >= SPELL:
            harm = self.metric.tolerated.value
            self._ended[:] = np.logaddexp(self._ended, self._log_present())
            self._noise[:] = self._noise[1], self._whole.noise(harm)
            self._spells += 1
            self._spell.clear()

    def _compare(self, legacy: float, candidate: float) -> None:
        """The means of one step: whether both sides change as one."""
        means_now = np.array([legacy, candidate])
        if np.any(np.abs(means_now - self._before) > _SAME * np.abs(means_now)):  # never before the first
            self._changes[0 if math.isclose(legacy, candidate, rel_tol=_SAME) else 1] += 1
        self._before[:] = means_now

    # Saying what it knows.

    def problem(self, now: float) -> str:
        """Why these numbers cannot carry a promotion at `now`; ``""`` when they can."""
        source = f"(source '{self.metric.source}')"
        if self.trouble:
            return f"{self.trouble} {source}"
        patience = self.metric.patience + self.delay
        for side, name in enumerate(_SIDES):
            last = float(self._newest[side])
            if last > now + self.metric.step:
                return f"numbers of {name} are dated {last - now:.0f} s ahead of the clock here {source}"
            quiet = now - max(last, self.since)
            if quiet > patience + self.metric.step:
                return f"no number of {name} for {quiet:.0f} s (stale after {patience:g} s) {source}"
            missing, steps = int(self._missing[side]), int(self._written[0])
            if missing >= _FEW and missing > MOST_MISSING * steps:
                return f"{missing} of {steps} steps lack a number of {name} {source}"
        same, apart = (int(found) for found in self._changes)
        if same >= ALIKE and apart <= MOST_APART * (same + apart):
            return (
                f"both sides had the same number in {same} of {same + apart} steps in which it changed, so both are "
                "asked for the same thing: let the query, or the column 'side', tell them apart; if they are equal by "
                f"right, write required: false {source}"
            )
        return ""

    def age(self, now: float) -> float | None:
        """Seconds since the source last answered well; None before it did."""
        return max(0.0, now - self.answered) if self.answered else None

    @property
    def series(self) -> Series:
        """The newest steps, at most KEPT; those that lack a side have not-a-number there."""
        written = int(self._written[0])
        order = np.arange(max(0, written - KEPT), written) % KEPT
        return Series(*self._kept[:, order])

    def read(self, alpha: float) -> Reading:
        if self._read is None or self._read[0] != alpha:
            self._read = alpha, self._reading(alpha)
        return self._read[1]

    def _reading(self, alpha: float) -> Reading:
        metric, steps = self.metric, self._whole.steps
        scale, unit = self._shown_in()
        weighed = metric.measure is not Reduction.VALUE
        if not steps:
            return Reading(unit, waiting=f"no step of {metric.step:g} s has a number of both sides yet")
        legacy, candidate, weight = self._whole.sums
        margin, harm = metric.margin.value, metric.tolerated.value
        rollback = self._log_evidence(harm, +1, margin - harm)
        promote = self._log_evidence(margin, -1, margin)
        late = float(np.logaddexp(self._ended[0], self._log_present()))
        waiting = self._waiting(rollback, promote)
        counts = [int(found) for found in self._whole.observed] if weighed else [steps, steps]
        return Reading(
            unit=unit,
            legacy=legacy / weight * scale,
            candidate=candidate / weight * scale,
            legacy_count=counts[LEGACY],
            candidate_count=counts[CANDIDATE],
            estimate=self._whole.estimate(),
            low=None if waiting else self._end(+1, margin - harm, alpha),
            high=None if waiting else self._end(-1, margin, alpha),
            log_promote=None if waiting else promote,
            log_rollback=None if waiting else log_joined(rollback, late),
            waiting=waiting,
            lately=self._lately() if late > rollback else "",
            counted="observations" if weighed else "steps",
        )

    def _log_present(self) -> float:
        """ln of what the present spell adds to the sum of all."""
        metric, j = self.metric, float(self._spells[0])
        if j <= 2 or self._spell.steps < LEAST_BLOCKS:
            return -np.inf  # the noise of what came before is not known
        harm = metric.tolerated.value
        found = self._spell.log_evidence(harm, +1, metric.margin.value - harm, self._noise[0])
        return found - float(np.log((j - 2) * (j - 1)))

    def _lately(self) -> str:
        legacy, candidate, weight = self._spell.sums
        scale, unit = self._shown_in()
        return (
            f"legacy {legacy / weight * scale:.4g}, candidate {candidate / weight * scale:.4g} {unit}".rstrip()
            + f" in the last {self._spell.steps} steps"
        )

    def _shown_in(self) -> tuple[float, str]:
        if self.metric.measure is Reduction.RATE or self.metric.margin.measure == "pp":
            return 100.0, "%"
        if self.metric.margin.measure == "s":
            return 1000.0, "ms"
        return 1.0, self.metric.unit

    def _waiting(self, rollback: float, promote: float) -> str:
        steps = self._whole.steps
        if steps < means.BURN_IN:
            return f"{steps} of {means.BURN_IN} steps"
        if self.metric.margin.relative and self._whole.sums[0] <= 0:
            return "legacy's mean is not above 0, of which nothing can be a part; write an absolute margin"
        if max(rollback, promote) <= means.SILENT:
            nulls = self.metric.margin.value, self.metric.tolerated.value
            vary = any(self._whole.variance(null)[0] > 0 for null in nulls)
            heavy = "a few steps, or a slow drift of the numbers, outweigh all else"
            why = heavy if vary else "the numbers do not vary"
            return f"{why}, so nothing tells how much chance may move them"
        return ""

    def _log_evidence(self, null: float, sign: int, design: float) -> float:
        """ln E that the candidate is worse by more than `null` (sign +1) or by less (-1), since the attempt began."""
        if self._whole.steps < means.BURN_IN:
            return means.SILENT
        return self._whole.log_evidence(null, sign, design)

    def _end(self, sign: int, design: float, alpha: float) -> float | None:
        """Where the evidence against 'at most' (sign +1) or 'at least' (-1) reaches 1 / alpha."""
        middle = self._whole.estimate()
        if middle is None:
            return None

        return farthest(lambda null: self._log_evidence(null, sign, design) + math.log(alpha), middle, sign, design)

    # Surviving a restart.

    def state(self) -> State:
        own: State = {
            "upto": self._upto,
            "missing": self._missing,
            "changes": self._changes,
            "before": self._before,
            "newest": self._newest,
            "spells": self._spells,
            "ended": self._ended,
            "noise": self._noise,
            "moves": self._moves,
            "kept": self._kept,
            "written": self._written,
        }
        for name, pairs in (("whole", self._whole), ("spell", self._spell)):
            own |= {f"{name}.{key}": value for key, value in pairs.state().items()}
        return own

    def restore(self, state: State) -> None:
        for name, array in self.state().items():
            array[...] = state[name]
        self._read = None
