"""The figures that decide, as the running rules file has them: certificates, steps, holds, margins. Printed first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from canary.plan import RolloutPlan
from canary.spec import Gate, Metric
from proxy.demo.pace import Pace
from proxy.demo.story import Fault
from proxy.rulebook import Rulebook, load
from rules.quantities import fraction_text, margin_text, share_text
from shadow.spec import CertificateTarget


def describe(rules: Path, pace: Pace, faults: frozenset[Fault]) -> Iterator[str]:
    """Lines for the terminal. Raises RulesError when the file cannot be used."""
    rulebook = load(rules)
    for route in rulebook.rules.routes:
        yield f"  {route.name:9} {', '.join(_asked(rulebook, route.name))}"
    for name, gate in rulebook.gates.items():
        yield f"  gate {name}: {_gate(gate)}"
    yield f"  planted: {', '.join(sorted(faults)) or 'nothing'}; {pace.rate:g} requests/s, at most {pace.limit:g} s"


def _asked(rulebook: Rulebook, route: str) -> Iterator[str]:
    if (target := rulebook.certificates.get(route)) is not None:
        yield _certificate(target)
    if (plan := rulebook.rollouts.get(route)) is not None:
        yield _plan(plan)
    else:
        yield "no rollout: it stays in shadow"


def _certificate(target: CertificateTarget) -> str:
    return f"{fraction_text(target.accuracy)} of answers equal, shown on {target.pairs} pairs"


def _plan(plan: RolloutPlan) -> str:
    steps = ", ".join(share_text(share) for share in plan.shares)
    return f"then {steps} for at least {plan.hold:g} s each, then live if gate {plan.gate} says promote"


def _gate(gate: Gate) -> str:
    metrics = ", ".join(_metric(metric) for metric in gate.metrics)
    return (
        f"{metrics}; at least {gate.min_requests} requests a side; at most {fraction_text(gate.alpha)} wrong verdicts"
    )


def _metric(metric: Metric) -> str:
    """What promotion asks of it, and what rolls back: ``errors not worse by 3pp (critical)``."""
    which = f" p{100 * metric.quantile:g}" if metric.quantile is not None else ""
    harm = margin_text(metric.tolerated) if metric.tolerated.value else "nothing"
    asked = f"not worse by {margin_text(metric.margin)}" if metric.required else f"only watched, may be worse by {harm}"
    return f"{metric.name}{which} {asked}{' (critical)' if metric.critical else ''}"
