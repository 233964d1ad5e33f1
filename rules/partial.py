"""What can be said of a match when only method, host, path and client of a request are known: yes, no, or it depends.

That is what an access log holds: header values, cookies and queries may be secrets and are not logged. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from rules.asked import Asked
from rules.match import Match, split_port
from rules.matching.conditions import ConditionPredicate
from rules.matching.predicates import AllPredicate, AnyPredicate, NotPredicate, Predicate, SchemePredicate, predicates

PORT = "port"


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a route takes a request of which the log tells."""

    takes: bool | None
    """None: it depends on `unknown`."""
    predicate: str
    """The one that failed; ``""`` unless it is known not to take it."""
    why: str
    unknown: tuple[str, ...]
    """Predicates on what no log holds: ``header x-app``, ``cookie beta``, ``query q``, ``scheme``, ``port``."""


def fit(match: Match, request: Asked) -> Fit:
    """`request` with nothing but what the log holds; no log holds the port."""
    asked = predicates(match)
    ports = sorted({request.port, *_ports(match)})
    each = [_all(asked, replace(request, port=port)) for port in ports]
    if all(truth is True for truth in each):
        return Fit(True, "", "", ())
    if all(truth is False for truth in each):
        failed = next(predicate for predicate in asked if _truth(predicate, request) is False)
        return Fit(False, failed.name, failed.why_not(request), ())
    unknown = tuple(dict.fromkeys(name for predicate in asked for name in _unknown(predicate, request)))
    return Fit(None, "", "", unknown if len(set(each)) == 1 else (*unknown, PORT))


def _truth(predicate: Predicate, request: Asked) -> bool | None:
    if isinstance(predicate, (ConditionPredicate, SchemePredicate)):
        return None
    if isinstance(predicate, AllPredicate):
        return _all(predicate.inner, request)
    if isinstance(predicate, AnyPredicate):
        found = [_truth(each, request) for each in predicate.inner]
        return True if True in found else None if None in found else False
    if isinstance(predicate, NotPredicate):
        inner = _truth(predicate.inner, request)
        return None if inner is None else not inner
    return predicate.holds(request)


def _all(asked: tuple[Predicate, ...], request: Asked) -> bool | None:
    found = [_truth(each, request) for each in asked]
    return False if False in found else None if None in found else True


def _unknown(predicate: Predicate, request: Asked) -> tuple[str, ...]:
    """The names of those inside that decide and that no log holds."""
    if isinstance(predicate, (ConditionPredicate, SchemePredicate)):
        return (predicate.name,)
    if _truth(predicate, request) is not None:
        return ()
    inner: tuple[Predicate, ...] = ()
    if isinstance(predicate, (AllPredicate, AnyPredicate)):
        inner = predicate.inner
    elif isinstance(predicate, NotPredicate):
        inner = (predicate.inner,)
    return tuple(name for each in inner for name in _unknown(each, request))


def _ports(match: Match) -> set[int]:
    found = {port for host in match.host if isinstance(host, str) and (port := split_port(host)[1]) is not None}
    inside = (*match.any, *match.all, *((match.not_,) if match.not_ is not None else ()))
    return found.union(*(_ports(each) for each in inside))
