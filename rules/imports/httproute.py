"""Draft rules from HTTPRoutes of the Kubernetes Gateway API: its precedence of rules, as routes in file order.

What is made use of is marked; in the end every field that is not is listed, so nothing is dropped in silence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

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
from rules.imports.httproute_actions import Actions
from rules.imports.httproute_matches import host_ranks, match_of, precedence
from rules.imports.manifests import Field, read_manifests

_OF_THE_CLUSTER = ("name", "namespace", "labels", "uid", "resourceVersion", "generation", "creationTimestamp")
_NOTHING_TO_CARRY = (("apiVersion",), ("status",), *(("metadata", name) for name in _OF_THE_CLUSTER))


def import_httproutes(path: Path, legacy: str | None = None) -> Draft:
    """`legacy`: the service that is to be the file's legacy; None lets the import choose. Raises ImportFailed."""
    documents = read_manifests(path)
    routes = [each for each in documents if each.text("kind") == "HTTPRoute"]
    if not routes:
        raise ImportFailed(f"{path}: holds no HTTPRoute; give fig the manifests of kind HTTPRoute")
    return _Import(documents).draft(routes, legacy)


def _age(routes: list[Field]) -> Callable[[Field], tuple[str, str, str]]:
    """Whose match counts where two are alike: the older route's, then the first by namespace and name.

    Manifests that were never in a cluster have no age, and one without makes those of the others meaningless.
    """
    ages = {route: route.text("metadata", "creationTimestamp") for route in routes}
    have = all(ages.values())

    def age(route: Field) -> tuple[str, str, str]:
        namespace = route.text("metadata", "namespace") or "default"
        return (ages[route] if have else "", namespace, route.text("metadata", "name"))

    return age


class _Import:
    def __init__(self, documents: list[Field]) -> None:
        self._documents = documents
        self._said: list[NotCarried] = []
        self._services = Services()
        self._actions = Actions(self._services, self._refuse)
        self._root: str | None = None

    def _refuse(self, field: Field, why: str) -> None:
        field.use_all()
        self._said.append(NotCarried(field.origin, field.path or "document", why))

    def draft(self, routes: list[Field], legacy: str | None) -> Draft:
        found: list[tuple[tuple[int, ...], DraftRoute]] = []
        for route in sorted(routes, key=_age(routes)):
            found += self._route(route)
        ordered, refused = loading([each for _, each in sorted(found, key=lambda entry: entry[0])])
        self._said += refused
        if not ordered:
            raise ImportFailed(f"{routes[0].origin}: no route can be made of it: no rule names a service or answers")
        name, chosen = self._services.legacy(legacy, self._root, "the path /")
        if chosen == NO_SERVICE:
            self._said.append(NotCarried(routes[0].origin, "legacy", NO_SERVICE))
        self._listeners(routes)
        ordered = [replace(each, content=with_legacy(each.content, name)) for each in ordered]
        irrelevant: list[NotCarried] = []
        not_carried = [*self._said]
        for document in self._documents:
            self._list_rest(document, not_carried, irrelevant)
        notes = ("which Gateway and listener a route hangs on (parentRefs) is fig's flag --listen",)
        return Draft(
            self._services.found,
            name,
            chosen,
            tuple(ordered),
            tuple(sorted(dict.fromkeys(not_carried), key=lambda each: each.origin)),
            tuple(irrelevant),
            notes,
        )

    def _listeners(self, routes: list[Field]) -> None:
        """Where routes hang on several listeners, which takes what is lost, because fig has one."""
        refs = [each for route in routes for each in route.list("spec", "parentRefs")]
        names = ("group", "kind", "namespace", "name", "sectionName", "port")
        if len({tuple(each.text(name) for name in names) for each in refs}) > 1:
            for each in refs:
                self._refuse(each, "routes hang on several listeners, and fig has one: tell them apart by `host:`")

    def _list_rest(self, document: Field, not_carried: list[NotCarried], irrelevant: list[NotCarried]) -> None:
        if document.text("kind") != "HTTPRoute":
            what = f"{document.text('kind') or 'document'} {document.text('metadata', 'name')}".strip()
            why = "only HTTPRoutes are read; see what of it concerns routing"
            not_carried.append(NotCarried(document.origin, what, why))
            return
        for path in _NOTHING_TO_CARRY:
            field = document.get(*path)
            if field is not None:
                field.use_all()
                irrelevant.append(NotCarried(field.origin, field.path, "it does not route"))
        for field in document.everything():
            if field.is_leaf and not field.used and field is not document:
                why = "fig has nothing for it; look whether the route needs it"
                not_carried.append(NotCarried(field.origin, field.path, why))

    def _route(self, document: Field) -> list[tuple[tuple[int, ...], DraftRoute]]:
        namespace = document.text("metadata", "namespace") or "default"
        spec = document.get("spec")
        if spec is None:
            return []
        hosts = [str(each.value).lower() for each in spec.list("hostnames")]
        found = []
        for rule in spec.list("rules"):
            content = self._actions.of(rule, namespace)
            notes = self._actions.take_notes()
            if content is None:
                continue
            matches: list[Field | None] = [*rule.list("matches")]
            for match in matches or [None]:
                try:
                    wanted = match_of(match)
                    whole = self._actions.fitting(content, match)
                except ValueError as exc:
                    self._refuse(match or rule, str(exc))
                    continue
                if match is None or match.text("path", "value") in ("", "/"):
                    self._root = self._root or whole.get("legacy")
                if "legacy" in whole:
                    self._services.answers[whole["legacy"]] = self._services.answers.get(whole["legacy"], 0) + 1
                origin = match.origin if match is not None else rule.origin
                for rank, names in host_ranks(hosts):
                    host: Plain = {} if not names else {"host": names[0] if len(names) == 1 else names}
                    routed = DraftRoute(origin, {"match": host | wanted} | whole, notes)
                    found.append(((*rank, *precedence(match)), routed))
        return found
