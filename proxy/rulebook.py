"""A whole rules file: what rules, shadow and canary each read of it, and how the parts refer to one another."""

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
from canary.query_spec import overlapping, problems_between
from canary.slo.spec import Objective
from canary.source_spec import Source
from canary.spec import Gate, Metric, MetricKind
from proxy.control.telling.references import references, secrets_in_files
from proxy.control.telling.spec import Notify, Webhook
from proxy.file_schema import file_schema
from rules.document import Route, Rules, Shadow
from rules.names import Name, check_name
from rules.probes import Probe
from rules.problems import Problem, RulesError, Severity, suggestion
from rules.reading.checks import keys_of, name_of, routes_of, text_of
from rules.reading.loader import BlockModels, Loaded
from rules.reading.loader import load as load_rules
from rules.reading.located import validate
from rules.reading.nodes import Mapping, Node, Sequence
from rules.review import Review, review
from shadow.comparing.mask_review import review_masks
from shadow.spec import CertificateTarget, Comparison, Mask


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
    problems = (*found.problems, *_of_masks(rulebook, loaded, today or date.min))
    return rulebook, replace(found, problems=tuple(loaded.hide(problems)))


def _of_masks(rulebook: Rulebook, loaded: Loaded, today: date) -> Iterator[Problem]:
    users: dict[str, list[str]] = {}
    for route in rulebook.rules.routes:
        if route.shadow.compare is not None:
            users.setdefault(route.shadow.compare, []).append(route.name)
    for remark in review_masks(rulebook.comparisons, users, today):
        place = loaded.place("comparisons", remark.comparison, "masks", remark.number, *filter(None, (remark.key,)))
        yield Problem(place, f"comparison '{remark.comparison}': {remark.message}", remark.code, None, Severity.WARNING)


_NAMED: dict[str, type[BaseModel]] = {
    "probes": Probe,
    "sources": Source,
    "webhooks": Webhook,
    "notify": Notify,
    "slo": Objective,
}
"""Further keys of the file that hold blocks by name."""


def _loaded(path: Path, environment: Environment[str, str]) -> Loaded:
    blocks = BlockModels(Comparison, Gate, RolloutPlan, CertificateTarget, _NAMED, check=_references)
    return load_rules(path, replace(blocks, single={"pilot": Pace}), environment)


def _rulebook(loaded: Loaded) -> Rulebook:
    if problems := secrets_in_files(loaded):
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


def _references(root: Mapping) -> list[Problem]:
    return [
        *_of_services(root),
        *_of_routes(root),
        *_of_watches(root),
        *_of_comparisons(root),
        *_of_gates(root),
        *check_sources(root),
        *_of_probes(root),
        *references(root),
    ]


def _of_services(root: Mapping) -> Iterator[Problem]:
    """Not errors: the file may be looked at where no fig runs, and where one does, only this service fails."""
    services = root.get("services")
    for name, service in services.entries if isinstance(services, Mapping) else ():
        tls = service.get("tls") if isinstance(service, Mapping) else None
        for key in ("ca", "certificate", "key"):
            file = tls.get(key) if isinstance(tls, Mapping) else None
            if file is not None and text_of(file).startswith("/") and not Path(text_of(file)).exists():
                message = (
                    f"'{key}': {text_of(file)} is not on this machine; where fig runs it has to be, or every request "
                    f"to the service '{name.value}' fails"
                )
                yield Problem(file.place, message, "absent-file", severity=Severity.WARNING)


def _of_routes(root: Mapping) -> Iterator[Problem]:
    gates, comparisons = keys_of(root.get("gates")), keys_of(root.get("comparisons"))
    asked: set[str] = set()
    for route in routes_of(root):
        rollout, shadow = route.get("rollout"), route.get("shadow")
        gate = rollout.get("gate") if isinstance(rollout, Mapping) else None
        compare = shadow.get("compare") if isinstance(shadow, Mapping) else None
        asked.add(text_of(gate))
        if gate is not None and text_of(gate) and text_of(gate) not in gates:
            message = f"'gate': no gate is named '{text_of(gate)}'{suggestion(text_of(gate), gates)}"
            yield Problem(gate.place, message, "unknown-gate", name_of(route))
        if compare is not None and text_of(compare) and text_of(compare) not in comparisons:
            # Not an error: without masks the comparison is as strict as it can be, so nothing is hidden by the slip.
            known = suggestion(text_of(compare), comparisons)
            message = f"'compare': no comparison is named '{text_of(compare)}', so nothing is excused{known}"
            yield Problem(compare.place, message, "unknown-comparison", name_of(route), Severity.WARNING)
    defined = root.get("gates")
    for key, _ in defined.entries if isinstance(defined, Mapping) else ():
        if key.value not in asked:
            yield Problem(key.place, f"no route asks the gate '{key.value}'", "unused-gate", severity=Severity.WARNING)


def _of_watches(root: Mapping) -> Iterator[Problem]:
    """A watch sees failures and quantiles of times alone (canary.watch): with none of them it would see nothing."""
    gates = root.get("gates")
    for route in routes_of(root):
        rollout = route.get("rollout")
        watch = rollout.get("watch") if isinstance(rollout, Mapping) else None
        if watch is None or not isinstance(rollout, Mapping) or not isinstance(gates, Mapping):
            continue
        name = text_of(rollout.get("gate"))
        gate = gates.get(name)
        metrics = gate.get("metrics") if isinstance(gate, Mapping) else None
        listed = [each for each in metrics.items if isinstance(each, Mapping)] if isinstance(metrics, Sequence) else []
        seen = any(text_of(each.get("kind")) == "error_rate" or each.get("quantile") is not None for each in listed)
        if listed and not seen:
            message = f"'watch': gate '{name}' has neither error_rate nor a quantile of latency, so nothing is watched"
            yield Problem(watch.place, message, "blind-watch", name_of(route), Severity.WARNING)


def _of_comparisons(root: Mapping) -> Iterator[Problem]:
    """Masks that excuse the same on the same route: the first one would excuse, and count, for both, and after its end
    the other one would go on for it."""
    comparisons = root.get("comparisons")
    for name, comparison in comparisons.entries if isinstance(comparisons, Mapping) else ():
        masks = comparison.get("masks") if isinstance(comparison, Mapping) else None
        before: dict[Mask, list[tuple[Mask, Node]]] = {}
        for node in masks.items if isinstance(masks, Sequence) else ():
            mask, _ = validate(Mask, node)  # whose problems are told where the comparison is read
            if mask is None:
                continue
            alike = before.setdefault(mask.alone, [])
            first = next((there for other, there in alike if other.meets(mask)), None)
            if first is not None:
                message = (
                    f"comparison '{name.value}': mask '{mask.name}' excuses the same as the one at {first.place}, so "
                    "neither has a count or an end of its own; remove one of them"
                )
                yield Problem(node.place, message, "duplicate-mask")
            alike.append((mask, node))


def _of_gates(root: Mapping) -> Iterator[Problem]:
    events, gates = keys_of(root.get("events")), root.get("gates")
    counted: set[str] = set()
    for _, gate in gates.entries if isinstance(gates, Mapping) else ():
        metrics = gate.get("metrics") if isinstance(gate, Mapping) else None
        for metric in metrics.items if isinstance(metrics, Sequence) else ():
            event = metric.get("event") if isinstance(metric, Mapping) else None
            counted.add(text_of(event))
            if event is not None and text_of(event) and text_of(event) not in events:
                message = f"'event': no event is named '{text_of(event)}'{suggestion(text_of(event), events)}"
                yield Problem(event.place, message, "unknown-event")
            elif event is not None and not _has_value(root, text_of(event), _kind_of(metric)):
                message = (
                    f"'event': '{text_of(event)}' has no value to be averaged; give it one under 'events:' "
                    '(value: "response:/total")'
                )
                yield Problem(event.place, message, "event-without-value")
    defined = root.get("events")
    for key, _ in defined.entries if isinstance(defined, Mapping) else ():
        if key.value not in counted:
            message = f"no gate counts the event '{key.value}', so nobody looks for it"
            yield Problem(key.place, message, "unused-event", severity=Severity.WARNING)


def check_sources(root: Mapping) -> Iterator[Problem]:
    """What a metric asks must suit the source that it names."""
    sources, gates = root.get("sources"), root.get("gates")
    asked: set[str] = set()
    for _, gate in gates.entries if isinstance(gates, Mapping) else ():
        metrics = gate.get("metrics") if isinstance(gate, Mapping) else None
        for node in metrics.items if isinstance(metrics, Sequence) else ():
            named = node.get("source") if isinstance(node, Mapping) else None
            if not isinstance(node, Mapping) or named is None or not text_of(named):
                continue
            asked.add(text_of(named))
            source = sources.get(text_of(named)) if isinstance(sources, Mapping) else None
            if source is None:
                message = (
                    f"'source': no source is named '{text_of(named)}'{suggestion(text_of(named), keys_of(sources))}"
                )
                yield Problem(named.place, message, "unknown-source")
            else:
                yield from _of_query(node, source)
    for key, _ in sources.entries if isinstance(sources, Mapping) else ():
        if key.value not in asked:
            message = f"no metric asks the source '{key.value}'"
            yield Problem(key.place, message, "unused-source", severity=Severity.WARNING)


def _of_query(node: Mapping, source_node: Node) -> Iterator[Problem]:
    source, _ = validate(Source, source_node)  # whose problems are told where each of them is read
    metric, _ = validate(Metric, node)
    if source is None or metric is None or metric.kind is not MetricKind.QUERY:
        return
    for key, wrong in problems_between(metric, source):
        at = node.get(key)
        yield Problem((at or node).place, f"metric '{metric.name}': '{key}' {wrong}", "wrong-query")
    longest = overlapping(metric)
    if longest is not None:
        message = (
            f"metric '{metric.name}' looks back {longest:g}s at every step of {metric.step:g}s, so what it sees counts "
            "several times; write [$step]"
        )
        yield Problem(node.place, message, "overlapping-range", severity=Severity.WARNING)


def _kind_of(metric: Node) -> str:
    return text_of(metric.get("kind")) if isinstance(metric, Mapping) else ""


def _has_value(root: Mapping, event: str, kind: str) -> bool:
    """Whether the event has one, or metrics of this kind need none."""
    events = root.get("events")
    found = events.get(event) if isinstance(events, Mapping) else None
    averaged = kind in [each.value for each in MetricKind if each.is_of_values]
    return not averaged or not isinstance(found, Mapping) or found.get("value") is not None


def _of_probes(root: Mapping) -> Iterator[Problem]:
    sides = {name_of(route): route.get("candidate") is not None for route in routes_of(root)}
    known, probes = sorted(name for name in sides if name), root.get("probes")
    for key, probe in probes.entries if isinstance(probes, Mapping) else ():
        try:
            check_name(str(key.value))
        except ValueError as exc:
            yield Problem(key.place, str(exc), "wrong-value")
        guarded = probe.get("routes") if isinstance(probe, Mapping) else None
        for node in guarded.items if isinstance(guarded, Sequence) else ():
            name = text_of(node)
            if name and name not in sides:
                yield Problem(
                    node.place, f"'routes': no route is named '{name}'{suggestion(name, known)}", "unknown-route"
                )
            elif name and not sides[name]:
                message = f"'routes': route '{name}' has no candidate, so there is nothing to guard; leave it out"
                yield Problem(node.place, message, "unguardable-route")


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
