"""Seeded traffic of two sides for the canary's tests: units with sticky sides, lognormal times, failures at a rate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from canary import histogram
from canary.evidence import Evidence
from canary.spec import Gate
from rules.stages import MILLION

START = 1_700_000_000.0
Columns = tuple[npt.NDArray[Any], ...]

GATE = {
    "metrics": [
        {"name": "errors", "kind": "error_rate", "margin": "2pp", "critical": True},
        {"name": "p90", "kind": "latency", "quantile": 0.9, "margin": "50%"},
    ]
}

REFERENCE: dict[int, int] = {}
"""Legacy's times from before the canary, as a histogram."""
for _time in 0.005 * np.exp(np.random.default_rng(0).normal(0, 0.5, 2000)):
    REFERENCE[histogram.index(_time)] = REFERENCE.get(histogram.index(_time), 0) + 1


def gate(**changes: Any) -> Gate:
    return Gate.model_validate(GATE | changes)


class Traffic:
    """`rate` requests a second from `units` units; the candidate adds `slower` seconds and fails at `failing`."""

    def __init__(
        self,
        seed: int,
        *,
        rate: float = 100,
        units: int = 300,
        share: int = 250_000,
        failing: tuple[float, float] = (0.0, 0.0),
        slower: float = 0.0,
        leak: float = 0.0,
        typical: float = 0.005,
    ) -> None:
        """`leak`: part of the candidate's units that come to legacy all the same; `typical`: median time in seconds."""
        self._rng = np.random.default_rng(seed)
        self._units = self._rng.integers(0, 2**64 - 1, units, dtype=np.uint64)
        self._leaking = self._rng.random(units) < leak
        self.rate, self.share, self.failing, self.slower, self.typical = rate, share, failing, slower, typical

    def between(self, begin: float, end: float) -> Columns:
        """Columns as Evidence.ingest takes them, in order of time."""
        n = int(self._rng.poisson(self.rate * (end - begin)))
        chosen = self._rng.integers(0, len(self._units), n)
        unit = self._units[chosen]
        side = ((unit % np.uint64(MILLION) < np.uint64(self.share)) & ~self._leaking[chosen]).astype(np.uint8)
        seconds = self.typical * np.exp(self._rng.normal(0, 0.5, n)) + self.slower * side
        failure = (self._rng.random(n) < np.array(self.failing)[side]).astype(np.uint8)
        return np.sort(self._rng.uniform(begin, end, n)), unit, seconds.astype(np.float32), side, failure

    def batches(self, length: float, every: float = 0.5, start: float = START) -> Iterator[tuple[float, Columns]]:
        """(end of the batch, its columns) for `length` seconds."""
        for i in range(round(length / every)):
            end = start + (i + 1) * every
            yield end, self.between(end - every, end)


def begin(of: Gate, share: int = 250_000, reference: dict[int, int] | None = None, subject: str = "v2") -> Evidence:
    return Evidence("shop", "storefront", of, subject=subject, share=share, since=START, reference=reference)


def fed(evidence: Evidence, traffic: Traffic, length: float, start: float = START) -> Evidence:
    for _, columns in traffic.batches(length, start=start):
        evidence.ingest(*columns)
    return evidence


def good(of: Gate | None = None) -> Evidence:
    """Thirty seconds of evidence from START on which the gate promotes."""
    return fed(begin(of or gate(), reference=REFERENCE), Traffic(11), 30)
