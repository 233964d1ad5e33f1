"""What single routes say that is allowed and probably a slip, and what they say that has no effect."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterator

from rules.asked import REFUSED_METHODS
from rules.document import Force, Route, Rules
from rules.match import Match
from rules.reading.checks import SAFE_METHODS
from rules.review.remarks import Remark
from rules.stages import Stage

Step = str | int


def habits(rules: Rules, rollouts: Collection[str]) -> Iterator[Remark]:
    """`rollouts`: the routes that have one."""
    for number, network in enumerate(rules.trusted_proxies):
        if ipaddress.ip_network(network).prefixlen == 0:
            message = (
                f"'{network}' trusts everyone: any client then chooses its own address by X-Forwarded-For, and with it "
                "its unit and what 'client' takes; name the networks of the proxies"
            )
            yield Remark("trusts-everyone", message, ("trusted_proxies", number))
    for number, route in enumerate(rules.routes):
        path: tuple[Step, ...] = ("routes", number)
        yield from _of_match(route.match, rules.force, (*path, "match"))
        yield from _of_stage(route, route.name in rollouts, path)
        yield from _of_writes(route, path)
    yield from _of_legacy(rules)


def _of_match(match: Match, force: Force | None, path: tuple[Step, ...]) -> Iterator[Remark]:
    refused = sorted(REFUSED_METHODS & set(match.methods or ()))
    if refused and set(match.methods or ()) - REFUSED_METHODS:
        message = f"fig answers {' and '.join(refused)} with 405 before any route is asked; remove it"
        yield Remark("refused-method", message, (*path, "methods"))
    for name in match.headers:
        if "_" in name:
            message = (
                f"the header '{name}' has an underscore, and many servers drop such headers; is it '{_dashed(name)}'?"
            )
            yield Remark("header-underscore", message, (*path, "headers", name))
        if force is not None and force.header is not None and name == force.header.lower():
            yield Remark("matches-force", _forces("header", name), (*path, "headers", name))
    for name in match.cookies:
        if force is not None and name == force.cookie:
            yield Remark("matches-force", _forces("cookie", name), (*path, "cookies", name))
    for kind, inner in (("any", match.any), ("all", match.all)):
        for number, inside in enumerate(inner):
            yield from _of_match(inside, force, (*path, kind, number))
    if match.not_ is not None:
        yield from _of_match(match.not_, force, (*path, "not"))


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _forces(kind: str, name: str) -> str:
    return f"the {kind} '{name}' is the one that forces a side; what it holds is a secret, so match on another one"


def _of_stage(route: Route, has_rollout: bool, path: tuple[Step, ...]) -> Iterator[Remark]:
    if route.candidate is None:
        return
    if route.stage is Stage.CANARY and route.share == 0 and not has_rollout:
        message = "in stage canary with no share and no rollout, the candidate answers nobody; add 'rollout' or 'share'"
        yield Remark("candidate-never-reached", message, (*path, "stage"))
    if route.stage is Stage.SHADOW and route.shadow.sample == 0 and route.writes is None:
        message = "in stage shadow with a sample of 0% and no 'writes', the candidate gets no copy; raise 'sample'"
        yield Remark("candidate-never-reached", message, (*path, "shadow", "sample"))


def _of_writes(route: Route, path: tuple[Step, ...]) -> Iterator[Remark]:
    methods = route.match.methods
    if methods is None:
        return
    if route.writes is not None and SAFE_METHODS.issuperset(methods):
        message = f"'writes' has no effect: the route takes {' and '.join(methods)} only; remove it, or name the writes"
        yield Remark("idle-writes", message, (*path, "writes"))


def _of_legacy(rules: Rules) -> Iterator[Remark]:
    """What still names legacy where legacy is said to be done with."""
    for number, route in enumerate(rules.routes):
        if route.stage is not Stage.RETIRED:
            continue
        if route.legacy is not None:
            needed = any(route.legacy in (each.candidate, _asked_legacy(each)) for each in rules.routes)
            off = "" if needed or route.legacy == rules.legacy else f", and switch '{route.legacy}' off"
            message = f"is retired, so nobody asks its legacy '{route.legacy}' any more; remove 'legacy'{off}"
            yield Remark("retired-legacy", message, ("routes", number, "legacy"))
        if route.fallback is not None:
            message = "is retired, and would still fall back to legacy when the candidate fails; remove 'fallback'"
            yield Remark("retired-legacy", message, ("routes", number, "fallback"))


def _asked_legacy(route: Route) -> str | None:
    return None if route.stage is Stage.RETIRED else route.legacy
