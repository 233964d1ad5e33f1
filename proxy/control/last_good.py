"""What control needs of the last rules that it accepted, to go on judging when it starts on a file that is broken.

Gates and rollouts only, as the store keeps them: what is under way is judged by them and taken back where it does harm,
and nothing rises. Routes, sides and services are those of the published table.
"""

from __future__ import annotations

import msgspec
import structlog

from canary.plan import RolloutPlan
from canary.spec import Gate
from proxy.rulebook import Rulebook
from rules.document import Rules

log = structlog.get_logger(__name__)


class _Written(msgspec.Struct):
    gates: dict[str, bytes]
    plans: list[bytes]
    """Each once: a hundred thousand routes may share one."""
    rollouts: dict[str, int]
    """Route -> place of its plan."""


def encode(rulebook: Rulebook) -> bytes:
    """Gates and rollouts of accepted rules."""
    places: dict[bytes, int] = {}
    rollouts = {
        name: places.setdefault(plan.model_dump_json().encode(), len(places))
        for name, plan in rulebook.rollouts.items()
    }
    gates = {name: gate.model_dump_json().encode() for name, gate in rulebook.gates.items()}
    return msgspec.msgpack.encode(_Written(gates, list(places), rollouts))


def decode(data: bytes, running: Rules) -> Rulebook | None:
    """For the routes of the `running` rules; None where the bytes are damaged or of a fig that wrote otherwise."""
    try:
        written = msgspec.msgpack.decode(data, type=_Written)
        gates = {name: Gate.model_validate_json(gate) for name, gate in written.gates.items()}
        plans = [RolloutPlan.model_validate_json(plan) for plan in written.plans]
        present = {route.name for route in running.routes if route.candidate is not None}
        rollouts = {name: plans[place] for name, place in written.rollouts.items() if name in present}
    except (msgspec.MsgspecError, ValueError, IndexError) as exc:
        log.warning(
            "the last good gates cannot be read; nothing is judged until the rules are mended", problem=str(exc)
        )
        return None
    rollouts = {name: plan for name, plan in rollouts.items() if plan.gate in gates}
    return Rulebook(running, {}, gates, rollouts, {}, ())
