"""How the parts of a rules file refer to one another: what names nothing, what nothing names, what does not suit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

from canary.plan import RolloutPlan
from canary.query_spec import overlapping, problems_between
from canary.source_spec import Source
from canary.spec import Gate, Metric, MetricKind
from proxy.control.telling.references import references as of_receivers
from rules.names import check_name
from rules.problems import Problem, Severity, meant, suggestion
from rules.reading.checks import keys_of, name_of, routes_of, text_of
from rules.reading.loader import Loaded
from rules.reading.located import validate
from rules.reading.nodes import Mapping, Node, Sequence
from shadow.spec import Mask


def cross_references(root: Mapping) -> list[Problem]:
    """Of a file as it is written, before its blocks are read."""
    return [
        *_of_services(root),
        *_of_routes(root),
        *_of_watches(root),
        *_of_comparisons(root),
        *_of_gates(root),
        *check_sources(root),
        *_of_probes(root),
        *of_receivers(root),
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
        only = rollout.get("only") if isinstance(rollout, Mapping) else None
        if isinstance(only, Sequence) and not only.items:
            # Here and not in the model, by which control reads plans that it has kept.
            message = (
                "'only' names no hours: the candidate could never get more traffic, or always; write hours, as in "
                "'Mon-Fri 09-16 Europe/Berlin', or remove it"
            )
            yield Problem(only.place, message, "wrong-value", name_of(route))
        asked.add(text_of(gate))
        if gate is not None and text_of(gate) and text_of(gate) not in gates:
            message = f"'gate': no gate is named '{text_of(gate)}'{meant(text_of(gate), gates)}"
            yield Problem(gate.place, message, "unknown-gate", name_of(route))
        if compare is not None and text_of(compare) and text_of(compare) not in comparisons:
            # Not an error: without masks the comparison is as strict as it can be, so nothing is hidden by the slip.
            known = meant(text_of(compare), comparisons)
            message = f"'compare': no comparison is named '{text_of(compare)}', so nothing is excused{known}"
            yield Problem(compare.place, message, "unknown-comparison", name_of(route), Severity.WARNING)
    defined = root.get("gates")
    for key, _ in defined.entries if isinstance(defined, Mapping) else ():
        if key.value not in asked:
            yield Problem(key.place, f"no route asks the gate '{key.value}'", "unused-gate", severity=Severity.WARNING)


def _of_watches(root: Mapping) -> Iterator[Problem]:
    """A watch sees failures and quantiles of times alone (canary.watch): with none of them it would see nothing. It
    holds them against margins, which a gate of the method kayenta has none of."""
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
        if isinstance(gate, Mapping) and text_of(gate.get("method")) == "kayenta":
            message = (
                f"'watch': gate '{name}' has 'method: kayenta', so no margins to hold a live route to; remove it, or "
                "judge by the method sequential"
            )
            yield Problem(watch.place, message, "watch-without-margins", name_of(route))
        elif listed and not any(map(_is_watched, listed)):
            message = f"'watch': gate '{name}' has neither error_rate nor a quantile of latency, so nothing is watched"
            yield Problem(watch.place, message, "blind-watch", name_of(route), Severity.WARNING)


def _is_watched(metric: Mapping) -> bool:
    counts_failures = text_of(metric.get("kind")) == "error_rate" and metric.get("failures") is None
    return counts_failures or metric.get("quantile") is not None


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
                message = f"'event': no event is named '{text_of(event)}'{meant(text_of(event), events)}"
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
                message = f"'source': no source is named '{text_of(named)}'{meant(text_of(named), keys_of(sources))}"
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


def ages_past_deadlines(loaded: Loaded) -> Iterator[Problem]:
    """A required metric whose units count only when the attempt is over: it would be frozen, whatever happened."""
    for route, plan in cast(dict[str, RolloutPlan], loaded.rollouts).items():
        gate = cast(Gate, loaded.gates[plan.gate])
        for number, metric in enumerate(gate.metrics):
            after = metric.counted_after(gate.window)
            if metric.required and plan.deadline is not None and after >= plan.deadline:
                more = metric.slack(gate.window)
                message = (
                    f"metric '{metric.name}': its units count {after:g} s after their first request, when 'within' and "
                    f"{more:g} s more are over, and the rollout's deadline is {plan.deadline:g} s; "
                    "make 'within' shorter, or the deadline longer"
                )
                place = loaded.place("gates", plan.gate, "metrics", number, "within")
                yield Problem(place, message, "within-past-deadline", route)
