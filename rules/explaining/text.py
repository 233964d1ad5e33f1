"""An explanation as lines for a terminal. Pure; says nothing that rules/explaining/explain.py does not know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rules.action import Retries
from rules.asked import as_given
from rules.explaining.explain import Explanation, without_secrets
from rules.explaining.outcome import Changed, OwnOutcome, Sent
from rules.explaining.reasons import normalisations
from rules.quantities import duration_text, share_text, size_text
from rules.table import NO_ROUTE

_BODY_LINES = 20
"""Lines of an own answer's body that are shown."""


def render(explanation: Explanation) -> list[str]:
    """Lines for a terminal."""
    return [*_request(explanation), *_misses(explanation), *_decision(explanation), *_outcome(explanation)]


def told(explanation: Explanation) -> dict[str, Any]:
    """The explanation as JSON knows it, with its lines for a terminal under ``text``."""
    return {**explanation.as_json(), "text": render(explanation)}


def _request(explanation: Explanation) -> Iterator[str]:
    request = explanation.request
    yield f"{request.method} {request.path}  (host {request.host})"
    steps = normalisations(request)
    if steps:
        yield f"  path     was {as_given(request.received)}: " + ", ".join(steps)


def _misses(explanation: Explanation) -> Iterator[str]:
    misses = explanation.misses
    width = max((len(miss.route) for miss in misses.told), default=0)
    for miss in misses.told:
        yield f"  not {miss.route:<{width}}  {miss.predicate}: {miss.why}"
    also = "and " if misses.told else ""
    if misses.near:
        yield f"  {also}{misses.near:,} more earlier {_routes(misses.near)} whose host and path fit (--all tells each)"
    if misses.far:
        yield f"  {also}{misses.far:,} earlier {_routes(misses.far)} whose host or path does not fit (--all tells each)"


def _routes(count: int) -> str:
    return "route" if count == 1 else "routes"


def _decision(explanation: Explanation) -> Iterator[str]:
    choice, decision, route = explanation.choice, explanation.choice.decision, explanation.route
    if route.name == NO_ROUTE:
        yield "  taken by no route; the file's legacy"
    elif explanation.own is not None:
        yield f"  taken by route {route.name}"
    else:
        yield f"  taken by route {route.name}, stage {decision.stage.value}"
    captures = route.captures(explanation.request)
    if captures and route.name != NO_ROUTE:
        yield "  captures " + ", ".join(f"{name}={value}" for name, value in captures.items())
    if choice.issue:
        yield "  unit     none yet; fig issues one with the answer"
    elif choice.unit:
        yield f"  unit     {explanation.shown_unit}, bucket {explanation.bucket} under salt '{route.spec.salt}'"
    elif explanation.unread_unit:
        yield f"  unit     {explanation.unread_unit}, but nobody looks at units here"
    if explanation.own is not None:
        yield f"  answers  fig: {explanation.because}"
    elif explanation.is_open:
        yield f"  answers  either side: {explanation.because}"
    else:
        yield f"  answers  {decision.side.value}, service {decision.service}: {explanation.because}"


def _outcome(explanation: Explanation) -> Iterator[str]:
    if explanation.own is not None:
        yield from _own(explanation.own)
    for found in explanation.answering:
        yield from _sent(explanation, found)
    if explanation.route.fallback and explanation.own is None:
        yield "  fallback legacy answers when the candidate fails before its first byte and the request may be repeated"
    yield f"  copies   {explanation.copies}"
    if explanation.copy is not None:
        yield from _copied(explanation, explanation.copy)


def _own(own: OwnOutcome) -> Iterator[str]:
    if own.answer is None:
        yield f"  but      it cannot: {own.refused}"
        return
    yield f"  status   {own.answer.status}"
    for name, value in without_secrets(own.answer.headers):
        yield f"           {name}: {value}"
    lines = own.answer.body.decode("utf-8", "replace").splitlines()
    for line in lines[:_BODY_LINES]:
        yield f"  body     {line}"
    if len(lines) > _BODY_LINES:
        yield f"           and {len(lines) - _BODY_LINES} more lines"


def _sent(explanation: Explanation, found: Sent) -> Iterator[str]:
    """What is sent as it came is not told; limits are told where the rules set any."""
    request = explanation.request
    which = f"if {found.side.value} answers: " if explanation.is_open else ""
    is_same = (found.path, found.query) == (request.path, request.query) and not found.request.removed
    if found.refused:
        yield f"  sends    {which}nothing: {found.refused}"
        return
    if not is_same or found.request.appended or _host_changes(explanation, found) or which:
        yield f"  sends    {which}{request.method} {found.target} to {found.service}, host {found.host}"
    if len(found.urls) > 1:
        yield f"  endpoint {_BALANCES[found.balance]} {', '.join(found.urls)}"
    yield from _changed(found.request, "of the request")
    yield from _changed(found.answer, "of the answer")
    limits = [f"timeout {duration_text(found.timeout)}"]
    if found.retries is not None:
        limits.append(_retries(found.retries))
    if found.max_body is not None:
        limits.append(f"body at most {size_text(found.max_body)}")
    yield "  limits   " + ", ".join(limits)


_BALANCES = {"round_robin": "each in turn of", "least_requests": "the less busy of two drawn from"}


def _copied(explanation: Explanation, found: Sent) -> Iterator[str]:
    request = explanation.request
    if found.refused:
        yield f"  copy     none can be made: {found.refused}"
        return
    if (found.path, found.query) != (request.path, request.query) or _host_changes(explanation, found):
        yield f"  copy     {request.method} {found.target} to {found.service}, host {found.host}"
    yield from _changed(found.request, "of the copy")


def _host_changes(explanation: Explanation, found: Sent) -> bool:
    change = explanation.route.changes[found.side]
    return change is not None and change.rewrite is not None and change.rewrite.host is not None


def _changed(changed: Changed, whose: str) -> Iterator[str]:
    appended = {name.lower() for name, _ in changed.appended}
    for name in changed.removed:
        if name not in appended:
            yield f"           - {name}  ({whose})"
    for name, value in without_secrets(changed.appended):
        mark = "=" if name.lower() in changed.removed else "+"
        yield f"           {mark} {name}: {value}  ({whose})"


def _retries(retries: Retries) -> str:
    return f"at most {retries.attempts} retries after {', '.join(retries.on)} (budget {share_text(retries.budget)})"
