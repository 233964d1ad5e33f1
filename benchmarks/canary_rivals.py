"""What others do, on the same traffic: tests that are run again at every look as if each were the only one."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import mannwhitneyu, norm

from benchmarks.canary_gate_run import START, Cell, gate, run_evidence
from benchmarks.canary_traffic import Traffic
from canary.gate import judge
from canary.kayenta.classifying import Label, classify
from canary.kayenta.terms import Direction, KayentaMetric
from canary.verdict import Verdict
from rules.stages import MILLION

LOOKS = 20
ALPHA = 0.05
KAYENTA_POINTS = 50
"""Windows that Kayenta's users are told to have at least."""
Floats = npt.NDArray[np.float64]


def worse_by_ranks(legacy: Floats, candidate: Floats) -> bool:
    """Mann-Whitney, one-sided: are the candidate's times longer?"""
    return bool(mannwhitneyu(candidate, legacy, alternative="greater").pvalue < ALPHA)


def worse_by_means(legacy: Floats, candidate: Floats) -> bool:
    """z test of the means, one-sided."""
    error = np.sqrt(legacy.var(ddof=1) / len(legacy) + candidate.var(ddof=1) / len(candidate))
    return bool(norm.sf((candidate.mean() - legacy.mean()) / error) < ALPHA)


def worse_by_errors(legacy: Floats, candidate: Floats) -> bool:
    """z test of two proportions, one-sided; 0 or 1 for every exchange."""
    both = np.concatenate((legacy, candidate)).mean()
    error = np.sqrt(both * (1 - both) * (1 / len(legacy) + 1 / len(candidate)))
    return bool(error > 0 and norm.sf((candidate.mean() - legacy.mean()) / error) < ALPHA)


def worse_to_kayenta(points: npt.NDArray[np.float64]) -> bool:
    """Kayenta's judge as it is: per window the mean time and the part that failed, (windows, 2 metrics, 2 sides)."""
    terms = KayentaMetric(direction=Direction.INCREASE)
    found = [classify(points[:, metric, 0], points[:, metric, 1], terms) for metric in range(points.shape[1])]
    return any(one.label is Label.HIGH for one in found)


RIVALS = ("Mann-Whitney again", "z of means again", "z of errors again", "one of the three", "Kayenta again")


def rival_run(cell: Cell, seed: int) -> dict[str, Any]:
    """Whether each said 'worse' at one of LOOKS looks, each at all exchanges so far; and fig's gate at the same."""
    part = cell.share / MILLION
    size = round(cell.most / min(part, 1 - part) / LOOKS)
    traffic = Traffic(cell.workload, seed, cell.share, cell.effect, size * LOOKS)
    judged = gate()
    evidence = run_evidence(cell, seed, judged)
    said = dict.fromkeys(RIVALS, False)
    fig = False
    times: list[Floats] = []
    failed: list[npt.NDArray[np.bool_]] = []
    sides: list[npt.NDArray[np.uint8]] = []
    points: list[Floats] = []
    steps = 100
    for look in range(LOOKS):
        for step in range(steps // LOOKS):
            begin = START + look * (steps // LOOKS) + step
            batch = traffic.batch(size * LOOKS // steps, begin)
            evidence.ingest(batch.clock, batch.unit, batch.seconds, batch.side, batch.failure)
            times.append(batch.seconds)
            failed.append(batch.failure > 0)
            sides.append(batch.side)
            points.append(
                np.array(
                    [[column[batch.side == one].mean() for one in (0, 1)] for column in (batch.seconds, failed[-1])]
                )
            )
        seconds, errors, side = np.concatenate(times), np.concatenate(failed).astype(float), np.concatenate(sides)
        legacy, candidate = side == 0, side == 1
        answers = (
            worse_by_ranks(seconds[legacy], seconds[candidate]),
            worse_by_means(seconds[legacy], seconds[candidate]),
            worse_by_errors(errors[legacy], errors[candidate]),
        )
        kayenta = len(points) >= KAYENTA_POINTS and worse_to_kayenta(np.array(points))
        for name, answer in zip(RIVALS, (*answers, any(answers), kayenta), strict=True):
            said[name] |= answer
        fig |= judge(judged, evidence, START + (look + 1) * (steps // LOOKS)).verdict is Verdict.ROLLBACK
    return {"cell": f"rival {cell.name}", "seed": seed, "looks": LOOKS, **said, "fig": fig}
