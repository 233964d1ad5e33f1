"""Which of the routes that a probe guards its steps come to, as far as the rules file alone tells. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rules.asked import DEFAULT_HOST, ask
from rules.probes import OWN_VALUES, Probe, ProbeStep
from rules.table import Table
from rules.templates import parse_template


def missing(route: str) -> str:
    """What is wrong with a probe none of whose steps comes to `route`."""
    return f"no step comes to the route '{route}' that it guards; check paths, methods and 'host', or leave it out"


def missed(table: Table, probes: Mapping[str, Probe]) -> Iterator[tuple[str, int]]:
    """Name of a probe, and the place among its `routes` of one that no step comes to. A probe in whose requests
    anything is filled in that it takes of answers may come anywhere."""
    for name, probe in probes.items():
        if any(_is_open(step) for step in probe.steps):
            continue
        reached = {_route_of(table, name, probe, step) for step in probe.steps}
        yield from ((name, number) for number, route in enumerate(probe.routes) if route not in reached)


def _is_open(step: ProbeStep) -> bool:
    return any(parse_template(text).names - OWN_VALUES for text in (step.path, *step.headers.values()))


def _route_of(table: Table, name: str, probe: Probe, step: ProbeStep) -> str:
    """``""`` for what fig would not forward."""
    texts = {"run": "0", "side": "candidate", "probe": name}
    headers = [(each, parse_template(value).fill(texts)) for each, value in step.headers.items()]
    try:
        target = parse_template(step.path).fill(texts)
        return table.route(ask(step.method, target, [("host", probe.host or DEFAULT_HOST), *headers])).name
    except ValueError:
        return ""
