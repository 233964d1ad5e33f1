"""The search for a request that some matches take and others do not; where it ends without one, none exists.

Counterexample by counterexample: solve what must hold, part by part; ask the formulas of the request that comes out;
for the first that fails, try each of its ways. So of a hundred matches to keep clear of, only those in the way are ever
taken apart. What is found is verified by the predicates that the table uses, so a witness is never wrong.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from rules.asked import Asked, ask
from rules.decision import OWN_PORTS
from rules.match import Match
from rules.witness.demands import (
    CLIENT,
    HOST,
    METHOD,
    PATH,
    SCHEME,
    AnyOf,
    Ask,
    Demand,
    Formula,
    Literal,
    NotTaken,
    Part,
    Way,
)
from rules.witness.paths import solve_paths
from rules.witness.places import solve_clients, solve_hosts, solve_methods, solve_schemes
from rules.witness.solved import PLAIN, Solved
from rules.witness.values import solve_values

MOST_ATTEMPTS = 300
"""Sets of literals that one search solves at most."""
MOST_SAMPLES = 24


class Finding(NamedTuple):
    """How a search ended."""

    request: Asked | None
    impossible: bool
    """It is proven that there is no such request. Without request and without proof nothing is known."""


class _Attempt(NamedTuple):
    """What one branch of the search has decided to hold."""

    literals: tuple[Literal, ...]
    formulas: tuple[Formula, ...]

    def and_(self, way: Way) -> _Attempt:
        new = tuple(formula for formula in way.formulas if formula not in self.formulas)
        return _Attempt(tuple(dict.fromkeys(self.literals + way.literals)), self.formulas + new)


class _Composed(NamedTuple):
    request: Asked | None
    impossible: bool
    choices: dict[Part, tuple[Any, ...]]
    """For each part that something is asked of, the values that it may have."""


def look(wanted: Sequence[Demand], unwanted: Sequence[Demand], most: int = MOST_ATTEMPTS) -> Finding:
    """A request that all of `wanted` and none of `unwanted` take."""
    first = _Attempt((), ())
    for demand in wanted:
        first = first.and_(demand.way)
    first = first.and_(Way(formulas=tuple(NotTaken(demand) for demand in unwanted)))
    return _search(first, wanted, most)[0]


def _search(first: _Attempt, wanted: Sequence[Demand], most: int) -> tuple[Finding, _Composed | None]:
    stack = [first]
    sure = True
    attempts = 0
    while stack:
        attempts += 1
        if attempts > most:
            return Finding(None, False), None
        attempt = stack.pop()
        composed = _compose(attempt.literals)
        request = composed.request
        if request is None:
            sure = sure and composed.impossible
            continue
        broken = next((formula for formula in attempt.formulas if not formula.holds(request)), None)
        if broken is None:
            if _is_shown(request, wanted, first.formulas):
                return Finding(request, False), composed
            sure = False  # two parts of the request stand in each other's way, such as Host and the header "host"
            continue
        # Its ways say together what it says, so it need not be asked again.
        rest = attempt._replace(formulas=tuple(each for each in attempt.formulas if each is not broken))
        stack += [rest.and_(way) for way in reversed(broken.ways())]
    return Finding(None, sure), None


def _is_shown(request: Asked, wanted: Sequence[Demand], formulas: Sequence[Formula]) -> bool:
    return all(demand.predicate.holds(request) for demand in wanted) and all(each.holds(request) for each in formulas)


def samples(match: Match, most: int = MOST_SAMPLES) -> Iterator[Asked]:
    """Different requests that the match takes, plainest first: each way of `any`, each part with other values."""
    demand = Demand(match)
    told: list[Asked] = []
    queue = deque([_Attempt((), ()).and_(demand.way)])
    branches = 0
    while queue and len(told) < most and branches < most:
        attempt = queue.popleft()
        branches += 1
        choice = next((formula for formula in attempt.formulas if isinstance(formula, AnyOf)), None)
        if choice is not None:
            rest = tuple(formula for formula in attempt.formulas if formula is not choice)
            queue.extend(_Attempt(attempt.literals, rest).and_(way) for way in choice.ways())
            continue
        _, composed = _search(attempt, [demand], MOST_ATTEMPTS)
        for request in _varied(composed) if composed is not None else ():
            if request is None or request in told or not demand.predicate.holds(request):
                continue
            if len(told) < most:
                told.append(request)
                yield request


def _varied(composed: _Composed) -> Iterator[Asked | None]:
    """The request that was found, then others that differ from it in one part."""
    plain = {part: values[0] for part, values in composed.choices.items()}
    yield _request(plain)
    for part, values in composed.choices.items():
        for value in values[1:]:
            yield _request({**plain, part: value})


def _compose(literals: tuple[Literal, ...]) -> _Composed:
    """A request of which every literal holds."""
    asks: dict[Part, tuple[list[Ask], list[Ask]]] = {}
    for part, asked, holds in literals:
        asks.setdefault(part, ([], []))[0 if holds else 1].append(asked)
    choices: dict[Part, tuple[Any, ...]] = {}
    is_open = False
    for part, (wanted, unwanted) in asks.items():
        solved = _solve(part, tuple(wanted), tuple(unwanted))
        if solved.impossible:
            return _Composed(None, True, {})
        is_open = is_open or not solved.values
        choices[part] = solved.values
    if is_open:
        return _Composed(None, False, {})
    return _Composed(_request({part: values[0] for part, values in choices.items()}), False, choices)


def _solve(part: Part, wanted: tuple[Ask, ...], unwanted: tuple[Ask, ...]) -> Solved[Any]:
    if part.kind == "path":
        return solve_paths(_fields(wanted), _fields(unwanted))
    if part.kind == "host":
        return solve_hosts(_fields(wanted), _fields(unwanted))
    if part.kind == "method":
        return solve_methods(_fields(wanted), _fields(unwanted))
    if part.kind == "client":
        return solve_clients(_fields(wanted), _fields(unwanted))
    if part.kind == "scheme":
        return solve_schemes(_fields(wanted), _fields(unwanted))
    return solve_values(part.kind, wanted, unwanted)


def _fields(asks: tuple[Ask, ...]) -> tuple[Any, ...]:
    """What each ask names."""
    return tuple(next(getattr(ask, name) for name in ask.__slots__) for ask in asks)


def _request(values: dict[Part, Any]) -> Asked | None:
    """The request whose parts have these values, plain in all others; None where fig would refuse it."""
    scheme = values.get(SCHEME, PLAIN.scheme)
    host, port = values.get(HOST, (PLAIN.host, OWN_PORTS[scheme]))
    lines: list[tuple[str, str]] = []
    cookies: list[str] = []
    query: list[str] = []
    for (kind, name), value in values.items():
        if kind not in ("header", "cookie", "query") or value is None:
            continue
        if kind == "header":
            lines.append((name, value))
        elif kind == "cookie":
            cookies.append(f"{name}={value}")
        else:
            query.append(f"{quote(name, safe='')}={quote(value, safe='')}")
    if cookies:
        lines.append(("cookie", "; ".join(cookies)))
    url = f"{scheme}://{host}{'' if port == OWN_PORTS[scheme] else f':{port}'}{values.get(PATH, PLAIN.path)}"
    if query:
        url += "?" + "&".join(query)
    try:
        return ask(values.get(METHOD, PLAIN.method), url, lines, values.get(CLIENT, PLAIN.client))
    except ValueError:  # a header that frames the message, a method that the data plane does not take
        return None
