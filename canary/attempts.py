"""The evidence of every route in canary: begun, fed, judged and ended as routes move. What control holds.

At most one Evidence a route, none for routes outside canary. An attempt ends, and its evidence with it, when the route
leaves canary, when what is tried changes, or when the gate does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import structlog

from canary.evidence import Evidence
from canary.gate import fault, judge
from canary.rollout import Rollout
from canary.snapshot import SnapshotError
from canary.spec import Gate
from canary.verdict import Judgement
from rules.stages import Stage

log = structlog.get_logger(__name__)


class Attempts:
    """Implements canary.pilot.Gates."""

    def __init__(self) -> None:
        self._evidence: dict[str, Evidence] = {}

    def __getitem__(self, route: str) -> Evidence:
        return self._evidence[route]

    def __contains__(self, route: object) -> bool:
        return route in self._evidence

    def follow(
        self,
        route: str,
        rollout: Rollout,
        gate_name: str,
        gate: Gate,
        reference: Mapping[int, int] | None = None,
    ) -> None:
        """The route stands at `rollout` now: begin, go on, or end its evidence. Call it after every move and load.

        `reference` (histogram index -> count) is legacy's latency before the canary; it is used when an attempt begins.
        """
        if rollout.stage is not Stage.CANARY:
            self._evidence.pop(route, None)
            return
        fresh = Evidence(
            route,
            gate_name,
            gate,
            subject=rollout.subject,
            share=rollout.share,
            since=rollout.began if rollout.began is not None else rollout.since,
            reference=reference,
        )
        running = self._evidence.get(route)
        if running is None or running.digest() != fresh.digest() or running.since != fresh.since:
            self._evidence[route] = fresh
        else:
            running.share_changed(rollout.share)

    def keep(self, routes: frozenset[str]) -> None:
        """Forget the evidence of every other route: they left the rules file, or their gate did."""
        for route in self._evidence.keys() - routes:
            del self._evidence[route]

    def ingest(self, route: str, rows: npt.NDArray[Any], *, share: int | None = None, dropped: int = 0) -> None:
        """Rows with the fields clock, unit, seconds, side and failure (proxy.wire.ROW), decided under `share`.

        Rows of a route without evidence are stale (it left canary a moment ago) and are passed over.
        """
        evidence = self._evidence.get(route)
        if evidence is not None:
            evidence.ingest(
                rows["clock"],
                rows["unit"].astype(np.uint64, copy=False),
                rows["seconds"],
                rows["side"],
                rows["failure"],
                share=share,
                dropped=dropped,
            )

    def judge(self, route: str, now: float) -> Judgement:
        """The route's verdict; a fault for a route without evidence."""
        evidence = self._evidence.get(route)
        if evidence is None:
            return fault(route, "-", "the route is not in canary with a gate, so there is no evidence", now)
        return judge(evidence.gate, evidence, now)

    def snapshots(self) -> dict[str, bytes]:
        """Route -> its evidence as bytes, to be kept for `restore`."""
        return {route: evidence.snapshot() for route, evidence in self._evidence.items()}

    def restore(self, kept: Mapping[str, bytes]) -> None:
        """Take up what a former process kept, after `follow` has begun the attempts that stand now.

        A snapshot of another attempt, or a damaged one, is left: that evidence begins anew, and the log says so.
        """
        for route, data in kept.items():
            evidence = self._evidence.get(route)
            if evidence is None:
                continue
            share = evidence.share
            try:
                evidence.restore(data)
            except SnapshotError as exc:
                log.warning("the evidence begins anew", route=route, reason=str(exc))
            else:
                evidence.share_changed(share)
