"""From two rulebooks, and the state folder of a running fig where there is one, to the editions that are compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from canary.source_spec import Source
from proxy.control.standings import declared, position_for
from proxy.probing.hiding import SHORTEST
from proxy.rulebook import Rulebook
from rules.changes.edition import Edition
from rules.document import Route
from rules.effective import Position
from rules.hidden import NOT_SHOWN, header_may_be_secret


def editions(before: Rulebook, after: Rulebook, running: Mapping[str, Position]) -> tuple[Edition, Edition]:
    """`running`: where the routes of `before` stand now, by name; a route that is not in it stands where its file says.

    After the change a route stands where it stood, unless its name is not known or what its file says of the stage
    changed: so does an accepted load (proxy.control.standings.reconcile).
    """
    first = {route.name: running.get(route.name) or _by_file(before, route) for route in before.rules.routes}
    said = {route.name: declared(route) for route in before.rules.routes}
    second = {
        route.name: first[route.name] if said.get(route.name) == declared(route) else _by_file(after, route)
        for route in after.rules.routes
    }
    return _edition(before, first), _edition(after, second)


def _by_file(rulebook: Rulebook, route: Route) -> Position:
    plan = rulebook.rollouts.get(route.name)
    return position_for(route.stage, route.share or None, plan.shares if plan is not None else ())


def _edition(rulebook: Rulebook, positions: Mapping[str, Position]) -> Edition:
    blocks: dict[str, dict[str, Any]] = {
        "comparisons": {name: _plain(each) for name, each in rulebook.comparisons.items()},
        "gates": {name: _plain(each) for name, each in rulebook.gates.items()},
        "sources": {name: _told(each) for name, each in rulebook.sources.items()},
        "probes": {name: _veiled(_plain(each), rulebook.given) for name, each in rulebook.probes.items()},
        "webhooks": {name: _veiled(_plain(each), rulebook.given) for name, each in rulebook.webhooks.items()},
        "notify": {name: _veiled(_plain(each), rulebook.given) for name, each in rulebook.notify.items()},
        "slo": {name: _plain(each) for name, each in rulebook.slo.items()},
        "pilot": _plain(rulebook.pilot),
    }
    of_routes: dict[str, dict[str, Any]] = {}
    for key, found in (("rollout", rulebook.rollouts), ("certificate", rulebook.certificates)):
        for name, each in found.items():
            of_routes.setdefault(name, {})[key] = _plain(each)
    return Edition(rulebook.rules, blocks, of_routes, dict(positions))


def _plain(block: Any) -> Any:
    return block.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def _told(source: Source) -> dict[str, Any]:
    """Without passwords and header values, which no screen shows: a change of nothing else is not told."""
    found: dict[str, Any] = _plain(source) | {"headers": dict.fromkeys(sorted(source.headers), NOT_SHOWN)}
    return {key: source.place if key == "url" else value for key, value in found.items() if value}


def _veiled(value: Any, given: Mapping[str, str], name: str = "") -> Any:
    """A probe's part without what the environment gave, and without texts under names that sound like secrets."""
    if isinstance(value, dict):
        return {key: _veiled(each, given, key) for key, each in value.items()}
    if isinstance(value, list):
        return [_veiled(each, given, name) for each in value]
    if not isinstance(value, str):
        return value
    if header_may_be_secret(name):
        return NOT_SHOWN
    for written, filled in sorted(given.items(), key=lambda each: -len(each[1])):
        if len(filled) >= SHORTEST:
            value = value.replace(filled, written)
    return value
