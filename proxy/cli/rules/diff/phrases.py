"""Sentences of the report that terminal, Markdown and JUnit share. Plain text: each of them escapes for itself."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from typing import Any

from rules.asked import DEFAULT_CLIENT, DEFAULT_HOST, Asked
from rules.changes.destination import Destination, Outcome, Shift
from rules.changes.difference import Change, Difference
from rules.changes.edits import ABSENT, KeyChange, differences
from rules.changes.notes import position_text
from rules.changes.pairs import Elsewhere
from rules.decision import OWN_PORTS
from rules.hidden import header_may_be_secret, query_shown
from rules.quantities import share_text
from rules.stages import MILLION
from rules.table import NO_ROUTE, CompiledRoute
from rules.witness.solved import PLAIN

LONGEST_VALUE = 100
"""Characters of a key's value that are shown."""
_NAMES_TO_VALUES = ("headers", "query", "set", "add")
"""Keys whose values are values of headers or parameters, by name."""
_DEFAULTS: dict[tuple[str, ...], str] = {("stage",): "legacy", ("share",): "0%"}
"""What holds where a route does not say it."""
_ANY_HOST = ("", DEFAULT_HOST, PLAIN.host)
_ANY_CLIENT = (DEFAULT_CLIENT, PLAIN.client)
_KINDS = ("added", "removed", "renamed", "changed", "moved")


def count(number: int, noun: str) -> str:
    """``1 route``, ``2,000 routes``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def percent(part: float | Fraction) -> str:
    """``1.2%``; three digits that count, and never 0% or 100% of what is not quite so."""
    value = float(part) * 100
    if 0 < value < 0.001:
        return "<0.001%"
    if 99.95 <= value < 100:
        return ">99.9%"
    return f"{value:.3g}%"


def about(number: Fraction, noun: str = "", *, is_expected: bool = False) -> str:
    """``1,204 requests``; ``~1,204 requests`` of an expected number, ``<1 request`` of less than one."""
    text = f"~{round(number):,}" if number >= 1 else "<1"
    if number.denominator == 1 and not (is_expected and number):
        text = f"{int(number):,}"
    plural = "" if text in ("1", "~1", "<1") else "s"
    return f"{text} {noun}{plural}" if noun else text


def summary(difference: Difference) -> str:
    """``1 route added, 2 changed; service 'cart' changed``."""
    parts: list[str] = []
    for kind in _KINDS:
        number = difference.count(kind)
        if number:
            noun = "" if parts else " route" if number == 1 else " routes"
            parts.append(f"{number:,}{noun} {'moved in the order' if kind == 'moved' else kind}")
    others = [f"{subject(change)} {change.kinds[0]}" for change in difference.changes if change.subject != "route"]
    if len(others) > 2:
        others = [count(len(others), "other key") + " changed"]
    return "; ".join(filter(None, (", ".join(parts), ", ".join(others)))) or "no difference"


def verdict(difference: Difference) -> str:
    """Whether anything moves, in one sentence."""
    return {
        "moves": "Requests go elsewhere.",
        "may move": "No request was found that goes elsewhere, but it is not excluded.",
        "stays": "No request goes elsewhere.",
    }[difference.effect]


_SUBJECTS = {
    "services": "service",
    "gates": "gate",
    "comparisons": "comparison",
    "events": "event",
    "sources": "source",
    "probes": "probe",
}


def subject(change: Change) -> str:
    """``route 'orders'``, ``service 'cart'``, ``legacy``."""
    kind = _SUBJECTS.get(change.subject, change.subject)
    return f"{kind} '{change.name}'" if change.name else kind


def effect(change: Change) -> str:
    """Whether requests go elsewhere on its account."""
    if change.effect == "moves":
        return "sends requests elsewhere"
    return "may send requests elsewhere" if change.effect == "may move" else "sends no request elsewhere"


def headline(change: Change) -> str:
    """What was done: ``renamed from 'orders'; share: 5% -> 10%``."""
    parts = []
    if "added" in change.kinds:
        parts.append(_added(change))
    if "removed" in change.kinds:
        parts.append("removed")
    if "renamed" in change.kinds and change.before is not None:
        parts.append(f"renamed from '{change.before.name}'")
    if "moved" in change.kinds and change.before is not None and change.after is not None:
        parts.append(f"moved in the order: {_place(change.behind)}, was {_place(change.was_behind)}")
    return "; ".join(parts)


def _added(change: Change) -> str:
    if change.after is None:
        return "added"
    return f"added {_place(change.behind)}: {standing(change.after)}"


def _place(behind: str) -> str:
    return f"behind '{behind}'" if behind else "first"


def standing(route: CompiledRoute) -> str:
    """Where a route leads: ``stage canary 5%, candidate orders``."""
    if route.own is not None:
        return "fig itself answers"
    if route.spec.candidate is None:
        return f"always {route.legacy}"
    return f"stage {position_text(route)}, candidate {route.candidate}"


def further(change: Change) -> str:
    """Of routes that were not looked at one by one."""
    routes = count(change.further, "further route")
    return f"{routes} may be concerned too" if change.subject == "route" else f"so do requests of {routes}"


def keys(change: Change) -> Iterator[str]:
    """``share: 5% -> 10%``, a line for each key; of lists of named blocks one for each key within."""
    root = 0 if change.subject == "route" else 2 if change.name else 1
    for each in [inner for outer in change.keys for inner in _by_name(outer)]:
        name = ".".join(each.path[root:])
        yield f"{name}: {_from_to(each)}" if name else _from_to(each)


def _by_name(change: KeyChange) -> Iterator[KeyChange]:
    first, second = _named(change.before), _named(change.after)
    if first is None or second is None:
        yield change
    else:
        yield from differences(first, second, change.path)


def _named(value: Any) -> dict[str, Any] | None:
    """A list of blocks by their names; None where it is no such list."""
    if not isinstance(value, list) or not all(isinstance(each, dict) and "name" in each for each in value):
        return None
    found = {each["name"]: each for each in value}
    return found if len(found) == len(value) else None


def _from_to(change: KeyChange) -> str:
    default = _DEFAULTS.get(change.path, "(none)")
    first, second = (
        default if value is ABSENT else shown(value, change.path) for value in (change.before, change.after)
    )
    if isinstance(change.before, list) and isinstance(change.after, list):
        gone = [shown([each], change.path) for each in change.before if each not in change.after]
        come = [shown([each], change.path) for each in change.after if each not in change.before]
        if (gone or come) and len(change.before) + len(change.after) > 4:
            return " ".join([*(f"- {each}" for each in gone), *(f"+ {each}" for each in come)])
    return f"{first} -> {second}" if first != second else f"changed {first}"


def shown(value: Any, path: tuple[str, ...] = ()) -> str:
    """The value at `path` in one short line; what may be secret is left out."""
    if value is ABSENT:
        return "(none)"
    text = _flow(value, path)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 3] + "..."


def _flow(value: Any, path: tuple[str, ...]) -> str:
    """As YAML's flow style writes it, more or less."""
    if _is_hidden(path):
        return "(not shown)"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(each, (*path, key))}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        inside = [_flow(each, path) for each in value]
        return inside[0] if len(inside) == 1 else f"[{', '.join(inside)}]"
    if isinstance(value, str):
        return value if value.isprintable() and value else json.dumps(value, ensure_ascii=False)
    return json.dumps(value)


def _is_hidden(path: tuple[str, ...]) -> bool:
    """Whether it is the value of a cookie, of a header or parameter with such a name, or a forcing token."""
    if path[-1:] == ("token",):
        return True
    return any(
        step == "cookies" or (step in _NAMES_TO_VALUES and header_may_be_secret(name)) for step, name in pairwise(path)
    )


def place(outcome: Outcome, destination: Destination) -> str:
    """``route 'orders', candidate (orders-v2)``."""
    if destination.side is None:
        return f"route '{outcome.route.name}': {answer(destination)}"
    if outcome.route.name == NO_ROUTE:
        return f"no route: {server(destination)}"
    return f"route '{outcome.route.name}': {server(destination)}"


def server(destination: Destination) -> str:
    """``candidate orders``; fig's own answer where it answers."""
    if destination.side is None:
        return answer(destination)
    if destination.refused:
        return f"fig's error, for {destination.refused}"
    return f"{destination.side.value} {destination.service}"


def answer(destination: Destination) -> str:
    """``fig's redirect 301 to https://shop.example/``, ``fig's answer 410``."""
    if destination.refused:
        return f"fig's error, for {destination.refused}"
    if destination.location:
        return f"fig's redirect {destination.status} to {destination.location}"
    return f"fig's answer {destination.status}"


def movements(each: Elsewhere) -> Iterator[str]:
    """One sentence for each part of the units that goes elsewhere."""
    for shift in each.shifts:
        yield f"{_who(shift, each)} {_from(shift, each)}"


def _who(shift: Shift, each: Elsewhere) -> str:
    if shift.buckets is None:
        return f"{percent(shift.part)} of the units, drawn anew, go"
    low, high = shift.buckets
    if (low, high) == (0, MILLION):
        return "all go"
    return f"units [{share_text(low)}, {share_text(high)}) go"


def _from(shift: Shift, each: Elsewhere) -> str:
    same_route = _is_same(each.before.route, each.after.route)
    first = server(shift.before) if same_route else place(each.before, shift.before)
    second = server(shift.after) if same_route else place(each.after, shift.after)
    if shift.before.service == shift.after.service and shift.before.urls != shift.after.urls and _asks_same(shift):
        return f"from {first} at {shift.before.url} to {shift.after.url}"
    if first == second:  # the same service, asked for another path
        first, second = _detail(shift.before), _detail(shift.after)
    elif shift.before.target != shift.after.target and shift.before.target and shift.after.target:
        first, second = f"{first} as {shift.before.target}", f"{second} as {shift.after.target}"
    return f"from {first} to {second}"


def _is_same(before: CompiledRoute, after: CompiledRoute) -> bool:
    """Whether it is one route, under another name or not."""
    first, second = before.spec, after.spec
    return before.name == after.name or (first.match == second.match and first.candidate == second.candidate)


def _asks_same(shift: Shift) -> bool:
    return (shift.before.target, shift.before.host) == (shift.after.target, shift.after.host)


def _detail(destination: Destination) -> str:
    if destination.side is None:
        body = destination.body[:60].decode("utf-8", "replace")
        return f"{answer(destination)} {json.dumps(body, ensure_ascii=False)}" if body else answer(destination)
    asked = " or ".join(f"{url}{destination.target}" for url in destination.urls)
    return f"{asked} (Host {destination.host})"


def request(asked: Asked) -> str:
    """One request as a person would write it; values that may be secret are left out."""
    port = "" if asked.port == OWN_PORTS[asked.scheme] else f":{asked.port}"
    is_any = asked.host in _ANY_HOST and not port and asked.scheme == "http"
    authority = "" if is_any else f"{asked.scheme}://{asked.host}{port}"
    text = f"{asked.method} {authority}{asked.path}" + (f"?{query_shown(asked.query)}" if asked.query else "")
    for name, values in asked.headers.items():
        for value in values if name != "host" else ():
            text += f" -H {shlex.quote(f'{name}: {_header_value(name, value)}')}"
    return text if asked.client in _ANY_CLIENT else f"{text} from {asked.client}"


def _header_value(name: str, value: str) -> str:
    if name == "cookie":
        return "; ".join(f"{pair.partition('=')[0]}=..." for pair in value.split("; "))
    return "..." if header_may_be_secret(name) else value
