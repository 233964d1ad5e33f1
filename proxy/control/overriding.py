"""What a person's move forward goes past: everything that the pilot would have waited for. Nobody is held up by it; it
is told to whoever moves the route, and stands in the history. (Webhooks bind people too: proxy.control.telling.asking.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from canary.pilot import Veto
from canary.rollout import Move, hindrances
from canary.verdict import Verdict
from proxy.control.desk import Desk
from proxy.control.telling.happenings import Intention
from proxy.control.telling.spec import FORWARD
from rules.stages import Stage


class Overriding:
    """Asks what the pilot asks, of a move that is made anyway."""

    def __init__(self, desk: Desk, vetoes: Sequence[Veto], verdict: Callable[[str], Verdict | None]) -> None:
        """`vetoes`: those that claim nothing by being asked; `verdict`: what a route's gate said last in canary."""
        self._desk = desk
        self._vetoes = vetoes
        self._verdict = verdict

    def reasons(self, intended: Intention, now: float) -> list[str]:
        """Sentences for people; none of a way back, or of a route without a rollout. Raises UnknownRouteError."""
        plan = self._desk.plan(intended.route)
        if plan is None or intended.kind not in FORWARD or intended.after.stage not in (Stage.CANARY, Stage.LIVE):
            return []
        rollout = self._desk.standing(intended.route).rollout
        move = Move(intended.after.stage, intended.after.share, "")
        found = [*hindrances(rollout, plan, move, now)]
        for veto in self._vetoes:
            found += veto.reasons(intended.route, rollout, move, now)
        said = self._verdict(intended.route) if rollout.stage is Stage.CANARY else None
        if move.stage is Stage.LIVE and said is not Verdict.PROMOTE:
            found.append(f"gate '{plan.gate}' {f'says {said}' if said is not None else 'has compared nothing'}")
        return found
