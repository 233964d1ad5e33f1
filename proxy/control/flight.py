"""What the pilot needs of control, in canary.pilot's own terms: where routes stand, how they move, what is proven."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import structlog

from canary import report
from canary.plan import RolloutPlan
from canary.rollout import Command, Freeze, Note, Rest, Rollout
from canary.rollout import Standing as CertificateStanding
from canary.verdict import Judgement
from proxy.control.desk import Desk
from proxy.control.proofs import Proofs, digest_of, target_of
from proxy.control.records import Standing
from proxy.control.standings import MoveError
from proxy.rulebook import Rulebook
from rules.document import Route
from rules.stages import Stage

log = structlog.get_logger(__name__)

PILOT = "pilot"
"""What the history calls it."""


class OvertakenError(MoveError):
    """The route was moved, or other rules came, between the pilot's look and its move; the pilot looks again."""


class Positions:
    """canary.pilot.Positions over the desk."""

    def __init__(self, desk: Desk, on_forward: Callable[[str, float], None] = lambda *_: None) -> None:
        """`on_forward` is told which route was moved forward and when, in seconds since the epoch."""
        self._desk = desk
        self._on_forward = on_forward
        self._seen: dict[str, Rollout] = {}
        self._seen_by: Rulebook | None = None
        """The rules by which the pilot has looked last."""

    def rollouts(self) -> Mapping[str, tuple[RolloutPlan, Rollout]]:
        book = self._desk.book
        self._seen_by = book.judged_by
        plans = book.judged_by.rollouts if book.judged_by is not None else {}
        standing = {name: book.standings[name].rollout for name in plans if name in book.standings}
        # In the other stages only people move a route, and a hundred thousand of those need not be looked at.
        found = {
            name: (plans[name], one) for name, one in standing.items() if one.stage is Stage.SHADOW or one.is_exposed
        }
        self._seen = {name: rollout for name, (_, rollout) in found.items()}
        return found

    async def perform(
        self, route: str, after: Rollout, commands: Sequence[Command], judgement: Judgement | None
    ) -> None:
        """Raises OvertakenError, and what the desk raises."""
        seen, seen_by = self._seen[route], self._seen_by
        gains = after.share > seen.share or (after.proven is not None and seen.proven is None)

        def decide(_: Route, standing: Standing, now: float) -> Rollout:
            if standing.rollout != seen:
                raise OvertakenError(f"route '{route}' was moved meanwhile")
            if gains and self._desk.book.judged_by is not seen_by:
                # Another gate, or an approval that is wanted now: what former rules allowed allows nothing.
                raise OvertakenError(f"other rules came while route '{route}' was looked at")
            return after

        moved = await self._desk.carry_out(
            route,
            decide,
            action=_action(seen, after, commands),
            actor=PILOT,
            why="; ".join(command.why for command in commands),
            evidence=report.to_dict(judgement) if judgement is not None else {},
        )
        if after.share > seen.share:
            self._on_forward(route, moved.entry.at)
        if moved.acknowledgement.missing:
            log.warning(
                "a move is not acknowledged by every worker", route=route, missing=moved.acknowledgement.missing
            )


def _action(before: Rollout, after: Rollout, commands: Sequence[Command]) -> str:
    if any(isinstance(command, Freeze) for command in commands):
        return "freeze"
    if any(isinstance(command, Rest) for command in commands):
        return "watched"
    if any(isinstance(command, Note) for command in commands):
        return "proven"
    return "rollback" if after.share < before.share else "promote"


class Certificates:
    """canary.pilot.Certificates over what the shadower's files prove."""

    def __init__(self, desk: Desk, proofs: Proofs) -> None:
        self._desk = desk
        self._proofs = proofs

    def standing(self, route: str) -> CertificateStanding | None:
        if target_of(self._desk.book, route) is None:
            return None
        proof = self._proofs.of(route)
        if self._proofs.are_old:
            return CertificateStanding.FAULT
        if proof is None or proof.digest != digest_of(self._desk.book, route):
            return CertificateStanding.TOO_FEW
        return proof.standing
