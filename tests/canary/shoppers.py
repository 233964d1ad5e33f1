"""Seeded shoppers of two sides for tests of business events: each comes, asks a few times, and may order later."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from canary.evidence import Evidence
from canary.spec import Gate
from rules.stages import MILLION
from tests.canary.traffic import GATE, START

EVENT = {"kind": "rate", "event": "order_placed", "margin": "30%"}


def gate_on(*metrics: dict[str, Any], **more: Any) -> Gate:
    named = [{"name": f"m{number}", **metric} for number, metric in enumerate(metrics)]
    return Gate.model_validate({**GATE, "metrics": [*GATE["metrics"], *named], **more})


class Shoppers:
    """`arriving` a second; `orders`: legacy's and the candidate's chance that a shopper orders, `later` seconds after
    its first request on average; `worth`: both sides' mean value of an order."""

    def __init__(
        self,
        seed: int,
        *,
        arriving: float = 60,
        orders: tuple[float, float] = (0.3, 0.3),
        worth: tuple[float, float] = (40.0, 40.0),
        later: float = 5.0,
        asks: tuple[float, float] = (2.0, 2.0),
        unreadable: float = 0.0,
    ) -> None:
        """`asks`: requests of a shopper beyond the first, on average; `unreadable`: part of orders without a value."""
        self._rng = np.random.default_rng(seed)
        self.arriving, self.orders, self.worth, self.later, self.asks = arriving, orders, worth, later, asks
        self.unreadable = unreadable
        self._due: dict[int, list[tuple[np.uint64, float]]] = defaultdict(list)
        self._asking: dict[int, list[np.uint64]] = defaultdict(list)

    def second(self, evidence: Evidence, at: int) -> None:
        """What happens in this second, to `evidence`."""
        rng, share = self._rng, evidence.share
        for unit in rng.integers(0, 2**64 - 1, int(rng.poisson(self.arriving)), dtype=np.uint64):
            side = _side(unit, share)
            for _ in range(1 + int(rng.poisson(self.asks[side]))):
                self._asking[at + int(rng.exponential(2.0))].append(unit)
            self._asking[at].append(unit)
            if rng.random() < self.orders[side]:
                value = np.nan if rng.random() < self.unreadable else self.worth[side] * rng.lognormal(-0.08, 0.4)
                self._due[at + int(rng.exponential(self.later))].append((unit, value))
        units = np.array(self._asking.pop(at, []), np.uint64)
        clock = START + at + np.sort(rng.random(len(units)))
        sides = np.array([_side(unit, share) for unit in units], np.uint8)
        times = (0.005 * np.exp(rng.normal(0, 0.5, len(units)))).astype(np.float32)
        evidence.ingest(clock, units, times, sides, np.zeros(len(units), np.uint8))
        told = self._due.pop(at, [])
        if told:
            units = np.array([unit for unit, _ in told], np.uint64)
            sides = np.array([_side(unit, share) for unit in units], np.uint8)
            values, clock = np.array([value for _, value in told]), np.full(len(told), START + at + 0.5)
            evidence.ingest_events(clock, units, values, sides, np.zeros(len(told), np.uint8))


def _side(unit: np.uint64, share: int) -> int:
    return int(int(unit) % MILLION < share)


def begin(of: Gate, share: int = 500_000) -> Evidence:
    return Evidence("shop", "storefront", of, subject="v2", share=share, since=START)


def visited(evidence: Evidence, shoppers: Shoppers, seconds: int, start: int = 0) -> Evidence:
    for at in range(start, start + seconds):
        shoppers.second(evidence, at)
    return evidence
