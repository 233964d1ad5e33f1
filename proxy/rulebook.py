"""A whole rules file: what rules, shadow and canary each read of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from collections.abc import Mapping as Environment
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, Field

from canary.plan import Pace, RolloutPlan
from canary.slo.spec import Objective
from canary.source_spec import Source
from canary.spec import Gate
from proxy.control.telling.references import secrets_in_files
from proxy.control.telling.spec import Notify, Webhook
from proxy.cross_references import ages_past_deadlines, cross_references
from proxy.file_schema import file_schema
from proxy.probing.reach import missed, missing
from rules.document import Route, Rules, Shadow
from rules.effective import Effective
from rules.names import Name
from rules.probes import Probe
from rules.problems import Problem, RulesError, Severity
from rules.reading.loader import BlockModels, Loaded
from rules.reading.loader import load as load_rules
from rules.reading.nodes import Sequence
from rules.review import Review, review
from rules.table import compile_table
from shadow.comparing.mask_review import review_masks
from shadow.spec import CertificateTarget, Comparison


@dataclass(frozen=True, slots=True)
class Rulebook:
    """Everything that a rules file says, validated."""

    rules: Rules
    comparisons: dict[str, Comparison]
    gates: dict[str, Gate]
    rollouts: dict[str, RolloutPlan]
    """By route."""
    certificates: dict[str, CertificateTarget]
    """By route."""
    warnings: tuple[Problem, ...]
    variables: frozenset[str] = frozenset()
    """The names of the environment's variables that the files ask for."""
    sources: dict[str, Source] = field(default_factory=dict, repr=False)
    """Where metrics of kind `query` get their numbers."""
    probes: dict[str, Probe] = field(default_factory=dict, repr=False)
    webhooks: dict[str, Webhook] = field(default_factory=dict, repr=False)
    notify: dict[str, Notify] = field(default_factory=dict, repr=False)
    slo: dict[str, Objective] = field(default_factory=dict)
    given: Environment[str, str] = field(default_factory=dict, repr=False)
    """What the environment gave for them, by how they are written: what is shown of probes is shown without it."""
    pilot: Pace = field(default_factory=Pace)
    """What binds the pilot over all rollouts."""


def load(path: Path, environment: Environment[str, str] = os.environ) -> Rulebook:
    """The file, or folder, at `path`. Raises RulesError with every problem of all four parts, each with its place.

    Variables in values are filled in from `environment`.
    """
    loaded = _loaded(path, environment)
    rulebook = _rulebook(loaded)
    routes = loaded.root.get("routes")
    nodes = list(routes.items) if isinstance(routes, Sequence) else []
    del loaded, routes
    while nodes:  # one by one: of 100,000 routes the whole tree at once would hold up control for half a second
        nodes.pop()
    return rulebook


def load_reviewed(
    path: Path, environment: Environment[str, str] = os.environ, today: date | None = None
) -> tuple[Rulebook, Review]:
    """As `load`, and what the whole file allows and probably does not mean: for people, too slow for reloads.

    Without `today` (UTC), no mask is held against the day it expires on.
    """
    loaded = _loaded(path, environment)
    found = review(loaded.rules, loaded.place, loaded.rollouts)
    rulebook = _rulebook(loaded)
    problems = (*found.problems, *_of_masks(rulebook, loaded, today or date.min), *_of_probes(rulebook, loaded))
    return rulebook, replace(found, problems=tuple(loaded.hide(problems)))


def _of_masks(rulebook: Rulebook, loaded: Loaded, today: date) -> Iterator[Problem]:
    users: dict[str, list[str]] = {}
    for route in rulebook.rules.routes:
        if route.shadow.compare is not None:
            users.setdefault(route.shadow.compare, []).append(route.name)
    for remark in review_masks(rulebook.comparisons, users, today):
        place = loaded.place("comparisons", remark.comparison, "masks", remark.number, *filter(None, (remark.key,)))
        yield Problem(place, f"comparison '{remark.comparison}': {remark.message}", remark.code, None, Severity.WARNING)


def _of_probes(rulebook: Rulebook, loaded: Loaded) -> Iterator[Problem]:
    if not rulebook.probes:
        return
    for name, number in missed(compile_table(Effective(generation=1, rules=rulebook.rules)), rulebook.probes):
        place = loaded.place("probes", name, "routes", number)
        message = f"probe '{name}': {missing(rulebook.probes[name].routes[number])}"
        yield Problem(place, message, "missed-route", None, Severity.WARNING)


_NAMED: dict[str, type[BaseModel]] = {
    "probes": Probe,
    "sources": Source,
    "webhooks": Webhook,
    "notify": Notify,
    "slo": Objective,
}
"""Further keys of the file that hold blocks by name."""


def _loaded(path: Path, environment: Environment[str, str]) -> Loaded:
    blocks = BlockModels(Comparison, Gate, RolloutPlan, CertificateTarget, _NAMED, check=cross_references)
    return load_rules(path, replace(blocks, single={"pilot": Pace}), environment)


def _rulebook(loaded: Loaded) -> Rulebook:
    if problems := [*secrets_in_files(loaded), *ages_past_deadlines(loaded)]:
        raise RulesError(problems)
    return Rulebook(
        loaded.rules,
        cast(dict[str, Comparison], loaded.comparisons),
        cast(dict[str, Gate], loaded.gates),
        cast(dict[str, RolloutPlan], loaded.rollouts),
        cast(dict[str, CertificateTarget], loaded.certificates),
        loaded.warnings,
        loaded.variables,
        cast(dict[str, Source], loaded.named["sources"]),
        cast(dict[str, Probe], loaded.named["probes"]),
        cast(dict[str, Webhook], loaded.named["webhooks"]),
        cast(dict[str, Notify], loaded.named["notify"]),
        cast(dict[str, Objective], loaded.named["slo"]),
        loaded.given,
        cast(Pace, loaded.single.get("pilot", Pace())),
    )


class _ShadowBlock(Shadow):
    certificate: CertificateTarget | None = None
    """What must be shown before the route may leave stage shadow."""


class _RouteBlock(Route):
    shadow: _ShadowBlock = _ShadowBlock()
    """How exchanges are copied and compared."""
    rollout: RolloutPlan | None = None
    """The shares over time, and the gate that judges them."""


class _File(Rules):
    routes: tuple[_RouteBlock, ...] = ()
    """In order: the first one that matches a request takes it."""
    comparisons: dict[str, Comparison] = Field(default_factory=dict)
    """What differences are excused, by name; `shadow.compare` names one."""
    gates: dict[str, Gate] = Field(default_factory=dict)
    """What must hold before a rollout goes on, by name; `rollout.gate` names one."""
    sources: dict[str, Source] = Field(default_factory=dict)
    """Where metrics of kind `query` get their numbers, by name."""
    probes: dict[Name, Probe] = Field(default_factory=dict)
    """Scripts of requests, by name, that must pass on the candidate before a route that they guard has a share."""
    webhooks: dict[Name, Webhook] = Field(default_factory=dict)
    """Programs that are asked before routes move and told afterwards, by name."""
    notify: dict[Name, Notify] = Field(default_factory=dict)
    """People who are told of what happens, by name."""
    slo: dict[Name, Objective] = Field(default_factory=dict)
    """Service level objectives, by name: how much may fail, and what is left of that."""

    pilot: Pace = Pace()
    """What binds the pilot over all rollouts."""


FILE = _File
"""The model of a whole file, for what follows the grammar and not the values: the schema, the canonical layout."""


def schema() -> dict[str, Any]:
    """The JSON Schema of a whole rules file."""
    return file_schema(FILE)
