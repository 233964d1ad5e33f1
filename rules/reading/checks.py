"""What two places of a rules file must agree on, and what is allowed but probably not meant.

Works on located nodes, not on validated values, so that these problems are told together with all others, also for a
route whose other keys are wrong. A value of the wrong form is left alone here: validation has told that already.
"""

from __future__ import annotations

from collections.abc import Iterator

from rules.match import Match
from rules.problems import Problem, Severity, suggestion
from rules.reading.located import validate
from rules.reading.nodes import Mapping, Node, Scalar, Sequence
from rules.selectors import parse_selector, places_of

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""RFC 9110 section 9.2.1: requests that ask for no change."""


def check(root: Mapping) -> list[Problem]:
    """Every error between places, and every warning."""
    problems = [*_names(root), *_services(root), *_ids(root)]
    legacy = text_of(root.get("legacy"))
    for route in routes_of(root):
        problems += _writes(route)
        problems += _warnings(route, legacy)
    return [*problems, *_unused(root)]


def routes_of(root: Mapping) -> list[Mapping]:
    """The routes that are mappings at all."""
    routes = root.get("routes")
    return [item for item in routes.items if isinstance(item, Mapping)] if isinstance(routes, Sequence) else []


def text_of(node: Node | None) -> str:
    """The text of a scalar; ``""`` for anything else."""
    return node.value if isinstance(node, Scalar) and isinstance(node.value, str) else ""


def name_of(route: Mapping) -> str | None:
    return text_of(route.get("name")) or None


def keys_of(node: Node | None) -> tuple[str, ...]:
    return tuple(str(key.value) for key, _ in node.entries) if isinstance(node, Mapping) else ()


def _names(root: Mapping) -> Iterator[Problem]:
    first: dict[str, Node] = {}
    for route in routes_of(root):
        node = route.get("name")
        name = text_of(node)
        if node is None or not name:
            continue
        if name in first:
            message = f"duplicate route name '{name}' (first at {first[name].place}); give each route its own"
            yield Problem(node.place, message, "duplicate-route")
        first.setdefault(name, node)


def _services(root: Mapping) -> Iterator[Problem]:
    services = root.get("services")
    if not isinstance(services, Mapping):
        return
    known = keys_of(services)
    uses: list[tuple[Mapping, str]] = [(root, "legacy")]
    for route in routes_of(root):
        uses += [(route, "candidate"), (route, "legacy")]
    for mapping, key in uses:
        node = mapping.get(key)
        name = text_of(node)
        if node is not None and name and name not in known:
            message = f"'{key}': no service is named '{name}'{suggestion(name, known)}"
            yield Problem(node.place, message, "unknown-service", name_of(mapping) if mapping is not root else None)


def _writes(route: Mapping) -> Iterator[Problem]:
    writes = route.get("writes")
    if writes is None:
        return
    fallback = route.key("fallback")
    if fallback is not None:
        message = "'fallback' cannot stand with 'writes': a journaled write never goes to the other side; remove one"
        yield Problem(fallback.place, message, "fallback-with-writes", name_of(route))
    if not isinstance(writes, Mapping):
        return
    named = [(key, at, capture) for key, at, capture in _captures_named(writes) if capture]
    node = route.get("match")
    match = validate(Match, node)[0] if node is not None and named else None
    if match is None:
        return
    path = text_of(node.get("path")) if isinstance(node, Mapping) else ""
    where = f"the path {path} names" if path else "not every path of the match names"
    for key, at, capture in named:
        if capture not in match.captures:
            message = f"'{key}': {where} no '{{{capture}}}'{suggestion(capture, match.captures)}"
            yield Problem(at.place, message, "unknown-capture", name_of(route))


def _captures_named(writes: Mapping) -> Iterator[tuple[str, Node, str]]:
    """(key, where, the capture) of all that `writes` says of the route's path."""
    yield from _capture("order_by", writes.get("order_by"))
    yield from _used_ids(writes)
    read_back = writes.get("read_back")
    if not isinstance(read_back, Mapping):
        return
    for key in ("path", "candidate"):
        asked = read_back.get(key)
        if asked is not None:
            yield from ((key, asked, capture) for capture in _captures_filled(text_of(asked)))
    applied = read_back.get("applied")
    equals = applied.get("equals") if isinstance(applied, Mapping) else None
    for each in equals.items if isinstance(equals, Sequence) else ():
        if isinstance(each, Mapping):
            yield from _capture("with", each.get("with"))


def _ids(root: Mapping) -> Iterator[Problem]:
    """Ids that copies are to say and that no answer tells: each such copy would be dead."""
    named: list[tuple[Mapping, Scalar, Mapping]] = []
    for route in routes_of(root):
        writes = route.get("writes")
        ids = writes.get("ids") if isinstance(writes, Mapping) else None
        for name, identity in ids.entries if isinstance(ids, Mapping) else ():
            if isinstance(identity, Mapping):
                named.append((route, name, identity))
    made = {str(name.value) for _, name, identity in named if identity.get("made") is not None}
    for route, name, identity in named:
        if name.value not in made and identity.get("used") is not None and text_of(identity.get("unknown")) != "same":
            hint = suggestion(str(name.value), made) or "; add 'made: response:/id' to the route that makes it"
            message = f"'ids': no route says where '{name.value}' is made{hint}"
            yield Problem(name.place, message, "id-never-made", name_of(route))


def _used_ids(writes: Mapping) -> Iterator[tuple[str, Node, str]]:
    ids = writes.get("ids")
    for _, identity in ids.entries if isinstance(ids, Mapping) else ():
        used = identity.get("used") if isinstance(identity, Mapping) else None
        for each in used.items if isinstance(used, Sequence) else ():
            yield from _capture("used", each)


def _capture(key: str, node: Node | None) -> Iterator[tuple[str, Node, str]]:
    kind, _, capture = text_of(node).partition(":")
    if node is not None and kind == "path":
        yield key, node, capture


def _captures_filled(template: str) -> list[str]:
    """Captures that a question fills in; none where it is malformed, which validation has told."""
    try:
        places = [parse_selector(place) for _, place in places_of(template) if place]
    except ValueError:
        return []
    return [place.name for place in places if place.kind == "path"]


def _warnings(route: Mapping, legacy: str) -> Iterator[Problem]:
    """`legacy` is the service that is legacy where a route names none."""

    def warn(node: Node, message: str, code: str) -> Problem:
        return Problem(node.place, message, code, name_of(route), Severity.WARNING)

    match = route.get("match")
    for path in _paths(match):
        if text_of(path).endswith("/*"):
            message = f"'*' is exactly one segment; write {text_of(path)}* if the route is to take everything below"
            yield warn(path, message, "one-segment")
    stage = text_of(route.get("stage")) or "legacy"
    shared = next((node for key in ("share", "rollout") if (node := route.key(key)) is not None), None)
    if shared is None and stage == "canary":
        shared = route.key("stage")
    if shared is not None and route.get("unit") is None:
        message = f"'{shared.value}' without 'unit': legacy answers every request; add 'unit: {{cookie: NAME}}', say"
        yield warn(shared, message, "share-without-unit")
    if stage in ("shadow", "canary", "live") and route.get("writes") is None and _takes_writes(match):
        at = route.key("stage") or route
        message = (
            "takes writes, but has no 'writes': they reach one side only; add 'writes', or limit 'methods' to reads"
        )
        yield warn(at, message, "writes-not-journaled")
    unit = route.get("unit")
    cookie = unit.get("cookie") if isinstance(unit, Mapping) else None
    issue = unit.get("issue") if isinstance(unit, Mapping) else None
    issued = isinstance(issue, Scalar) and issue.value is True
    if cookie is not None and issued and not text_of(cookie).lower().startswith("fig"):
        message = (
            f"fig would set the cookie '{text_of(cookie)}'; issue only one that no application uses, such as fig_unit"
        )
        yield warn(cookie, message, "issued-cookie")
    same = route.get("candidate")
    if same is not None and text_of(same) and text_of(same) == (text_of(route.get("legacy")) or legacy):
        yield warn(same, f"'{text_of(same)}' is both legacy and candidate of this route", "same-sides")


def _paths(match: Node | None) -> Iterator[Node]:
    """Every path that the match names, also within `any`, `all` and `not`."""
    if not isinstance(match, Mapping):
        return
    path = match.get("path")
    if path is not None:
        yield from path.items if isinstance(path, Sequence) else (path,)
    for key in ("any", "all"):
        inside = match.get(key)
        for each in inside.items if isinstance(inside, Sequence) else ():
            yield from _paths(each)
    yield from _paths(match.get("not"))


def _takes_writes(match: Node | None) -> bool:
    methods = match.get("methods") if isinstance(match, Mapping) else None
    if methods is None:
        return True
    items = methods.items if isinstance(methods, Sequence) else (methods,)
    return any(text_of(item) not in SAFE_METHODS for item in items)


def _unused(root: Mapping) -> Iterator[Problem]:
    services = root.get("services")
    used = {text_of(root.get("legacy"))}
    for route in routes_of(root):
        used |= {text_of(route.get("candidate")), text_of(route.get("legacy"))}
    if isinstance(services, Mapping):
        for key, _ in services.entries:
            if key.value not in used:
                message = f"no route uses the service '{key.value}'"
                yield Problem(key.place, message, "unused-service", severity=Severity.WARNING)
