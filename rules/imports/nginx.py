"""Draft rules from an nginx configuration: servers and locations in nginx's own order, as routes in file order.

What is made use of is marked; in the end everything that is not is listed, so nothing is dropped in silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rules.imports.conf import Directive, read_conf
from rules.imports.draft import (
    NO_SERVICE,
    Draft,
    DraftRoute,
    ImportFailed,
    NotCarried,
    Plain,
    Services,
    loading,
    with_legacy,
)
from rules.imports.locations import Location, Placed, as_sent, exactly, in_order, locations_in, path_of
from rules.imports.nginx_access import Chain, narrowed_by
from rules.imports.nginx_actions import Actions
from rules.imports.nginx_hosts import Hosts, servers_in_order
from rules.imports.nginx_names import IRRELEVANT, reason
from rules.imports.nginx_upstreams import Upstreams

_ITSELF = ("nginx", "http://nginx.invalid")
"""(name, URL) of the service that stands for the nginx whose configuration it is."""
_PLACEHOLDER = "its requests go to the service 'nginx', a placeholder: write the URL under which fig reaches this nginx"


def import_nginx(path: Path, legacy: str | None = None) -> Draft:
    """`legacy`: the service that is to be the file's legacy; None lets the import choose. Raises ImportFailed."""
    root, missing = read_conf(path)
    return _Import(root).draft(legacy, missing)


class _Import:
    def __init__(self, root: Directive) -> None:
        self._root = root
        https = root.all("http")
        self._https = https or [root]  # a file that is included into http has servers at its top
        self._said: list[NotCarried] = []
        self._services = Services()
        self._upstreams = Upstreams(self._https, self._services, self._refuse)
        self._actions = Actions(self._upstreams, self._refuse)
        self._root_service: str | None = None
        self._notes: dict[str, None] = {}
        """About the whole draft, each once."""

    def _refuse(self, directive: Directive, why: str) -> None:
        """What was understood, and cannot be carried."""
        directive.use()
        self._said.append(NotCarried(directive.origin, directive.text, why))

    def draft(self, legacy: str | None, missing: list[NotCarried]) -> Draft:
        routes: list[DraftRoute] = []
        for http in self._https:
            if http is not self._root:
                http.use()
            servers = http.all("server") or ([http] if http.all("location") else [])
            ordered = servers_in_order(servers, self._refuse)
            for number, (server, hosts) in enumerate(ordered):
                routes += self._server(http, server, hosts)
                if hosts.names and any(later.is_broad for _, later in ordered[number + 1 :]):
                    routes += self._beyond(server, hosts)
        routes, refused = loading(routes)
        self._said += refused
        if not routes:
            raise ImportFailed(f"{self._root.origin.file}: no route can be made of it: {_nothing(self._root)}")
        name, chosen = self._services.legacy(legacy, self._root_service, "`location /`")
        if chosen == NO_SERVICE:
            self._said.append(NotCarried(self._root.origin, "legacy", NO_SERVICE))
        if self._actions.sometimes:
            self._notes["nginx's add_header leaves out answers such as 404 and 500 without `always`; fig does not"] = (
                None
            )
        routes = [replace(route, content=with_legacy(route.content, name)) for route in routes]
        not_carried = [*missing, *self._said]
        irrelevant: list[NotCarried] = []
        for directive, around in _with_block(self._root):
            if directive.used or directive is self._root:
                continue
            own = directive.name in IRRELEVANT or around.name == "types"
            why = (
                f"it stands in `{around.text}`, which is not carried" if _is_unknown(around) else reason(directive.name)
            )
            (irrelevant if own else not_carried).append(NotCarried(directive.origin, directive.text, why))
        listed = sorted(dict.fromkeys(not_carried), key=lambda each: each.origin)
        return Draft(
            self._services.found,
            name,
            chosen,
            tuple(routes),
            tuple(listed),
            tuple(irrelevant),
            tuple(self._notes),
        )

    def _server(self, http: Directive, server: Directive, hosts: Hosts) -> list[DraftRoute]:
        server.use()
        self._notes |= dict.fromkeys(hosts.notes)
        routes: list[DraftRoute] = []
        routes += [_on(hosts, each) for each in self._actions.answers_if((http, server), {}, {"path": "/**"})]
        whole = self._actions.own_answer((http, server), {})
        if whole is not None:  # `return` in a server comes before every location
            return [*routes, DraftRoute(server.origin, {"match": hosts.match({"path": "/**"})} | whole)]
        redirects = self._actions.redirects((http, server), {"path": "/**"})
        routes += [_on(hosts, each) for each in redirects]
        for placed in in_order(server):
            routes += self._location(http, placed, hosts)
        for named in locations_in(server, (server,)):
            if named.kind == "@":
                self._refuse(named.directive, "it is reached from within nginx only; write its routes out")
        return routes

    def _beyond(self, server: Directive, hosts: Hosts) -> list[DraftRoute]:
        """What no location of a server takes must not reach the routes of a server that takes more hosts."""
        answered = any(each.kind == "" and each.text == "/" for each in locations_in(server, (server,)))
        if answered or server.all("return"):
            return []
        content = {"match": hosts.match({"path": "/**"}), "legacy": self._services.add(*_ITSELF)}
        note = "what no location of this server takes: nginx looks for a file then"
        self._refuse(server, f"it has no `location /`; {_PLACEHOLDER}")
        return [DraftRoute(server.origin, content, (note,))]

    def _location(self, http: Directive, placed: Placed, hosts: Hosts) -> list[DraftRoute]:
        location = placed.location
        directive = location.directive
        try:
            match, notes = _match(placed)
        except ValueError as exc:
            self._refuse(directive, f"its path cannot be said in a rules file ({exc}); write the route by hand")
            return []
        chain = (http, *location.parents, directive)
        groups = _groups(match)
        before = [*self._actions.answers_if(chain, groups, match), *self._actions.redirects(chain, match)]
        routes = [_on(hosts, each) for each in before]
        content = self._actions.own_answer(chain, groups)
        if content is None and any(_takes_all(each, location) for each in directive.all("rewrite") if each.used):
            directive.use()
            return routes
        if content is not None:
            directive.use()
            return [*routes, DraftRoute(directive.origin, {"match": hosts.match(match)} | content, notes)]
        for asked, instead in self._actions.cases(chain):
            content = self._actions.forward(chain, location, groups, instead)
            narrower = {"all": [match, asked]} if asked else match
            routes += self._passed(chain, location, hosts.match(narrower), content, notes)
        return routes

    def _passed(
        self, chain: Chain, location: Location, match: Plain, content: Plain | None, notes: Sequence[str]
    ) -> list[DraftRoute]:
        """The route of a location that passes requests on; `content` None where it passes them to nobody."""
        directive = location.directive
        passes = content is not None
        if content is None:  # what nginx does there itself, it can go on doing behind fig
            self._actions.take_notes()
            self._refuse(directive, f"nginx itself answers here, or chooses who does; {_PLACEHOLDER}")
            content = {"legacy": self._services.add(*_ITSELF)}
        directive.use()
        service = content["legacy"]
        self._services.answers[service] = self._services.answers.get(service, 0) + 1
        if location.is_prefix and location.text == "/" and "all" not in match:
            self._root_service = self._root_service or service
        narrowed, refused = narrowed_by(chain) if passes else ({}, directive)
        notes = (*notes, *self._actions.take_notes())
        if narrowed:
            answer = {"match": match, "respond": {"status": 403}}
            others = DraftRoute(refused.origin, answer, (f"all others ({refused.name})",))
            return [DraftRoute(directive.origin, {"match": match | narrowed} | content, notes), others]
        return [DraftRoute(directive.origin, {"match": match} | content, notes)]


def _takes_all(rewrite: Directive, location: Location) -> bool:
    """Whether a `rewrite` is for every path of its location, so that nothing is left over."""
    return rewrite.args[0] in ("^", ".*", "^.*$", "^(.*)$", "(.*)", f"^{location.text}", f"^{location.text}(.*)$")


def _nothing(root: Directive) -> str:
    if not any(each.name == "location" for each in root.everything()):
        return "it has no location; give fig the whole configuration, or the file that has the servers"
    return "none of its locations passes requests on to a service or answers them"


def _with_block(directive: Directive) -> Iterator[tuple[Directive, Directive]]:
    """Everything that stands in it, each with the block around it."""
    for each in directive.block:
        yield each, directive
        yield from _with_block(each)


def _is_unknown(block: Directive) -> bool:
    return not block.used and block.name not in ("", "http", "server", "location", *IRRELEVANT)


def _on(hosts: Hosts, route: DraftRoute) -> DraftRoute:
    return replace(route, content=route.content | {"match": hosts.match(route.content["match"])})


def _match(placed: Placed) -> tuple[Plain, tuple[str, ...]]:
    """Raises ValueError."""
    location = placed.location
    paths, note = path_of(location)
    match: Plain = {"path": _one_or_all(paths)}
    taken = [path for other in placed.without for path in exactly(other)]
    if location.is_prefix and location.text.endswith("/") and len(location.text) > 1:
        if location.directive.all("proxy_pass"):
            bare = location.text.rstrip("/")
            note = f"nginx answers {bare} with a redirect to {location.text}; here it is taken as well"
        else:
            taken.insert(0, as_sent(location.text.rstrip("/")))
    if taken:
        match["not"] = {"path": _one_or_all(taken)}
    if placed.within:
        match = {"all": [match, *({"path": _one_or_all(exactly(around))} for around in placed.within)]}
    return match, (note,) if note else ()


def _one_or_all(paths: list[Any]) -> Any:
    return paths[0] if len(paths) == 1 else paths


def _groups(match: Plain) -> dict[str, str]:
    """By what nginx calls a group of the location's regex (``1``, a name), what fig calls it."""
    inner = match["all"][0] if "all" in match else match
    path = inner.get("path")
    if not isinstance(path, dict):
        return {}
    names = re.findall(r"\(\?P<(\w+)>", path["regex"])
    return {str(number): name for number, name in enumerate(names, 1)} | {name: name for name in names}
