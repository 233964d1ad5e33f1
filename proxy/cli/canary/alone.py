"""`fig canary gate --config FILE`: a gate judged by its sources alone, with no fig running.

The file is a rules file, of which one route's gate is asked; or a small one of its own, which holds the gate, the
sources that its metrics name, and since when their numbers count::

    since: 30m                      # ago; or 2026-11-23T09:00:00Z
    route: products                 # what reports, $route and :route call it; the gate's name without it
    sources:
      prometheus: {kind: prometheus, url: "http://prometheus:9090"}
    gates:
      storefront:
        metrics:
          - {name: errors, kind: query, source: prometheus, measure: rate, query: ..., count: ..., margin: 0.5pp}
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field

from canary.source_spec import Source
from canary.spec import Gate, MetricKind
from canary.verdict import Judgement
from proxy.cli.canary.moments import parse_when
from proxy.cross_references import check_sources
from proxy.rulebook import Rulebook, load
from rules.names import Block, Name
from rules.problems import Problem, RulesError, Severity, meant, suggestion
from rules.reading.located import validate
from rules.reading.nodes import Mapping as Node
from rules.reading.source import read
from rules.reading.variables import Variables

OVERLAPPING = "overlapping-range"
_OF_RULES = ("version", "services", "routes")
"""Keys by which a file is taken for a rules file."""
_OF_OWN = ("since", "until", "route")
"""Keys that only a file of a gate alone has."""
LOOK_EVERY = 15.0
"""Seconds between two looks while waiting: each asks every source anew."""


class AloneError(ValueError):
    """A question that cannot be asked so; says what to do."""


class GateFile(Block):
    """A file of its own for `--config`."""

    since: str | None = Field(default=None, min_length=1)
    """Since when numbers count: ``30m`` (ago) or ``2026-11-23T09:00:00Z``; ``--since`` without it."""
    until: str = "now"
    """Until when, likewise; ``now`` looks further at every look."""
    route: Name | None = None
    """What is judged, for reports and for ``$route`` in queries."""
    sources: dict[Name, Source] = Field(min_length=1)
    """As in the rules file."""
    gates: dict[Name, Gate] = Field(min_length=1)
    """As in the rules file."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A gate, and what it is to be judged by."""

    route: str
    gate_name: str
    gate: Gate
    sources: Mapping[str, Source] = field(repr=False)
    since: float
    """Seconds since the epoch."""
    until: float | None
    """None for as long as one looks."""
    warnings: tuple[str, ...] = ()
    """What of the questions can be asked and is hardly meant, with its place."""

    def judge(self, now: float) -> Judgement:
        """Ask every source, and judge by what they say. Never raises: a source that is down is a fault."""
        # A second of scipy, which no other command is to wait for.
        from canary.gate import judge
        from canary.sources.collecting import collect

        end = now if self.until is None else min(self.until, now)
        evidence = asyncio.run(collect(self.route, self.gate_name, self.gate, self.sources, self.since, end))
        return judge(self.gate, evidence, end)


def read_asked(
    path: Path,
    environment: Mapping[str, str],
    now: float,
    route: str | None = None,
    gate: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> Asked:
    """What the file at `path` asks; arguments count before what it says. Raises RulesError and ValueError."""
    variables = Variables(environment)
    root, problems, _ = read(path, variables)
    if root is None:
        said = _of_rules(load(path, environment), path, route, gate)
    elif any(root.get(key) is not None for key in _OF_RULES):
        try:
            said = _of_rules(load(path, environment), path, route, gate)
        except RulesError as exc:
            raise _taken_for_rules(root, exc) from exc
    else:
        said = _of_own(_own(root, problems, variables), route, gate)
    judged = said.gates.get(said.gate_name)
    if judged is None:
        raise AloneError(f"{path}: no gate is named '{said.gate_name}'{meant(said.gate_name, said.gates)}")
    _check_measured(path, judged)
    since, until = since or said.since, until or said.until
    if since is None:
        raise AloneError("since when do numbers count? write --since 30m, or a time: 2026-11-23T09:00:00Z")
    began, end = parse_when(since, now), parse_when(until, now)
    if began >= end:
        raise AloneError(f"since {since} until {until}: nothing lies between them")
    warnings = tuple(str(problem) for problem in variables.hide(_overlapping(root)))
    return Asked(said.route, said.gate_name, judged, said.sources, began, None if until == "now" else end, warnings)


def _taken_for_rules(root: Node, found: RulesError) -> RulesError:
    """What is wrong with a file that was taken for a rules file: `found`, unless it was hardly meant for one."""
    has_parts = any(root.get(key) is not None for key in ("services", "routes", "legacy"))
    if has_parts and not any(root.get(key) is not None for key in _OF_OWN):
        return found
    key = next(key for key in map(root.key, _OF_RULES) if key is not None)
    message = (
        f"'{key.value}' is a key of rules files, so this was taken for one, with services and routes; leave it out of "
        "a file that holds a gate alone"
    )
    return RulesError([Problem(key.place, message, "taken-for-rules"), *(found.problems if has_parts else ())])


def _overlapping(root: Node | None) -> list[Problem]:
    return [problem for problem in (check_sources(root) if root is not None else ()) if problem.code == OVERLAPPING]


@dataclass(frozen=True, slots=True)
class _Said:
    """What a file says, whichever of the two it is."""

    route: str
    gate_name: str
    gates: Mapping[str, Gate]
    sources: Mapping[str, Source] = field(repr=False)
    since: str | None = None
    until: str = "now"


def _of_rules(rulebook: Rulebook, path: Path, route: str | None, gate: str | None) -> _Said:
    """Raises AloneError."""
    if route is None and gate is None:
        raise AloneError(f"{path}: say which route's gate is asked: fig canary gate ROUTE --config {path}")
    if gate is None and route not in rulebook.rollouts:
        raise AloneError(f"{path}: {_without_gate(str(route), rulebook.rollouts)}")
    name = gate or rulebook.rollouts[str(route)].gate
    return _Said(route or name, name, rulebook.gates, rulebook.sources)


def _of_own(own: GateFile, route: str | None, gate: str | None) -> _Said:
    """Raises AloneError."""
    name = gate or _only(own.gates)
    return _Said(route or own.route or name, name, own.gates, own.sources, own.since, own.until)


def _check_measured(path: Path, gate: Gate) -> None:
    """Raises AloneError where promotion would wait for what no source says."""
    for metric in gate.metrics:
        if metric.required and metric.kind is not MetricKind.QUERY:
            raise AloneError(
                f"{path}: metric '{metric.name}' is of kind {metric.kind}, which a running fig measures: without one "
                "nothing could ever be promoted; ask that fig, or let the metric be watched only (required: false)"
            )


def _own(root: Node, problems: Sequence[Problem], variables: Variables) -> GateFile:
    """Raises RulesError, with the `problems` that were found while reading among its own."""
    own, found = validate(GateFile, root)
    found += [problem for problem in check_sources(root) if problem.severity is Severity.ERROR]
    problems = [*problems, *found]
    if problems or own is None:
        raise RulesError(variables.hide(dict.fromkeys(problems)))
    return own


def _only(gates: Mapping[str, Gate]) -> str:
    if len(gates) == 1:
        return next(iter(gates))
    raise AloneError(f"there are several gates; say which one with --gate: {', '.join(sorted(gates))}")


def _without_gate(route: str, rollouts: Mapping[str, object]) -> str:
    return f"route '{route}' has no rollout, and so no gate{suggestion(route, rollouts)}; or name one with --gate"
