"""Gateway API: `first_match_rules` of HTTPRoutes as fig's routes, and what its conformance cases expect."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from rules.decision import OWN_PORTS
from tests.cases.routes.first_match import match_of
from tests.cases.routes.world import OutOfScopeError, asked, happens, joined, literal, table_of

Plain = dict[str, Any]


def judge(suite: Plain, case: Plain) -> list[str]:
    """What is otherwise than expected. Raises OutOfScopeError."""
    expect, request = case["expect"], case["request"]
    unknown = sorted(set(expect) - _EXPECTED)
    if unknown:
        raise OutOfScopeError(f"what is not routing: {unknown[0]}")
    if expect.get("status") == 421:
        raise OutOfScopeError("421 for a name that the TLS handshake did not ask for (TLS only)")
    if case.get("backend_simulation") or expect.get("status") == 504:
        raise OutOfScopeError("a service that fails and recovers in time: the data plane's tests have such services")
    port = case.get("listener_port", 80)
    rules = suite["first_match_rules"]
    rules = rules[case["gateway"]] if isinstance(rules, dict) else rules
    rules = [rule for rule in rules if rule.get("listener", {}).get("port", port) == port]
    routes = [route_of(rule) for rule in rules]
    services = [frozenset(_names(rule["action"])) for rule in rules]
    head = asked(request["method"], request["host"] or "gateway.test", request["path"], request["headers"], port)
    if head is None:
        raise OutOfScopeError("a path without a single reading, which fig refuses")
    secure = case.get("tls") or any(rule.get("listener", {}).get("protocol") == "HTTPS" for rule in rules)
    happened = happens(table_of(routes), services, head, "https" if secure else "http")
    rule = rules[happened.number] if happened.number is not None else None
    grants = any(each["kind"] == "ReferenceGrant" for each in suite["manifests"])
    if grants and expect.get("status") == 500 and rule is not None and rule["action"]["type"] == "forward":
        raise OutOfScopeError("who may refer to a service of another namespace (Kubernetes only)")
    return [
        *_status(expect, happened),
        *_service(expect, happened, rule),
        *_redirect(expect, happened),
        *_sent(expect, happened, request),
        *_answered(expect, happened, request),
        *_mirrors(expect, happened, rule),
    ]


def _names(action: Plain) -> list[str]:
    if action["type"] != "forward":
        return []
    return [backend["name"] for backend in action["backends"] if backend.get("weight", 1) > 0]


_FILTERS = ("RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect", "RequestMirror", "URLRewrite")
_EXPECTED = frozenset(
    (
        *("status", "backend", "backend_namespace", "redirect", "upstream_request", "response_headers"),
        *("absent_response_headers", "mirrored_to"),
    )
)


def route_of(rule: Plain) -> Plain:
    """fig's route, plain data. Raises OutOfScopeError."""
    action = rule["action"]
    match = match_of(rule["match"])
    if action["type"] == "respond":
        return {"match": match, "respond": {"status": action.get("status", 500)}}
    filters = action.get("filters", []) + _of_the_service(action)
    beyond = [each["type"] for each in filters if each["type"] not in _FILTERS]
    if beyond:
        raise OutOfScopeError(f"the filter {beyond[0]}, which fig has nothing for")
    if action["type"] == "redirect":
        chosen = next(each for each in filters if each["type"] == "RequestRedirect")
        return {"match": match, "redirect": _redirection(chosen["requestRedirect"], rule)} | _headers(filters, True)
    names = _names(action)
    if not names:
        return {"match": match, "respond": {"status": 500}}
    return {"match": match} | _sides(names, action, filters) | _headers(filters, False) | _rewrite(filters, rule)


def _of_the_service(action: Plain) -> list[Plain]:
    """Filters that a service has for itself."""
    backends = [each for each in action.get("backends", []) if each.get("weight", 1) > 0]
    found = [each for backend in backends for each in backend.get("filters") or []]
    if found and len(backends) > 1:
        raise OutOfScopeError("changes for one of several weighted services: a route's changes name a side")
    return found


def _sides(names: list[str], action: Plain, filters: list[Plain]) -> Plain:
    mirrors = [each["requestMirror"] for each in filters if each["type"] == "RequestMirror"]
    if len(mirrors) > 1:
        raise OutOfScopeError("more than one copy of a request: a route has two sides")
    if mirrors:
        if len(names) > 1:
            raise OutOfScopeError("a mirror beside weighted services: a route has two sides")
        return {"legacy": names[0], "candidate": mirrors[0]["backendRef"]["name"], "stage": "shadow"}
    if len(names) == 1:
        return {"candidate": names[0], "stage": "live"}
    weights = [backend.get("weight", 1) for backend in action["backends"] if backend.get("weight", 1) > 0]
    share = f"{weights[0] / sum(weights) * 100:.4f}%"
    return {"candidate": names[0], "legacy": names[1], "stage": "canary", "share": share, "unit": {"address": True}}


def _headers(filters: list[Plain], own: bool) -> Plain:
    found: Plain = {}
    for kind, key, block in (
        ("RequestHeaderModifier", "requestHeaderModifier", "request_headers"),
        ("ResponseHeaderModifier", "responseHeaderModifier", "response_headers"),
    ):
        for each in filters:
            if each["type"] != kind or (own and block == "request_headers"):
                continue
            said = each[key]
            changes: Plain = {
                name: {one["name"]: literal(one["value"]) for one in said.get(name, [])} for name in ("set", "add")
            }
            found[block] = {name: value for name, value in changes.items() if value} | {"sides": "both"}
            if said.get("remove"):
                found[block]["remove"] = said["remove"]
    return found


def _new_path(path: Plain, rule: Plain) -> Plain:
    if path["type"] == "ReplaceFullPath":
        return {"path": literal(path["replaceFullPath"]) or "/"}
    if rule["match"]["path"]["type"] != "segment_prefix":
        raise OutOfScopeError("ReplacePrefixMatch without PathPrefix, which the Gateway API forbids")
    return {"prefix": literal(path["replacePrefixMatch"]) or "/"}


def _rewrite(filters: list[Plain], rule: Plain) -> Plain:
    for each in filters:
        if each["type"] == "URLRewrite":
            said, found = each["urlRewrite"], {"sides": "both"}
            if said.get("hostname"):
                found["host"] = said["hostname"]
            if said.get("path"):
                found |= _new_path(said["path"], rule)
            return {"rewrite": found}
    return {}


def _redirection(said: Plain, rule: Plain) -> Plain:
    found: Plain = {"status": said.get("statusCode", 302)}
    if said.get("path"):
        found |= _new_path(said["path"], rule)
    for theirs, ours in (("hostname", "host"), ("scheme", "scheme"), ("port", "port")):
        if theirs in said:
            found[ours] = said[theirs]
    return found


def _status(expect: Plain, happened: Any) -> list[str]:
    status = expect.get("status")
    wanted = status if isinstance(status, list) else [status]
    got = happened.answer.status if happened.answer is not None else 404 if happened.number is None else 200
    return [] if status is None or got in wanted else [f"status {got}"]


def _service(expect: Plain, happened: Any, rule: Plain | None) -> list[str]:
    wanted = expect.get("backend")
    if not wanted:
        return []
    if wanted not in happened.services:
        return [f"services {sorted(happened.services)}"]
    namespace = expect.get("backend_namespace")
    backends = rule["action"]["backends"] if rule else []
    found = [backend.get("namespace", namespace) for backend in backends if backend["name"] == wanted]
    return [] if not isinstance(namespace, str) or namespace in found else [f"namespaces {found}"]


def _redirect(expect: Plain, happened: Any) -> list[str]:
    wanted = expect.get("redirect")
    if not wanted:
        return []
    if happened.answer is None:
        return ["no redirect"]
    location = urlsplit(joined(list(happened.answer.headers), "location") or "")
    got = {
        "scheme": location.scheme,
        "host": location.hostname,
        "port": str(location.port or ""),
        "path": location.path,
        "query": location.query,
    }
    if str(wanted.get("port")) == str(OWN_PORTS.get(location.scheme)):  # may be left out
        got["port"] = got["port"] or str(wanted["port"])
    return [f"{key} {got[key]}" for key, value in wanted.items() if got[key] != str(value)]


def _sent(expect: Plain, happened: Any, request: Plain) -> list[str]:
    wanted = expect.get("upstream_request") or {}
    wrong = []
    sent = happened.sent
    target = f"{sent.path}?{sent.query}" if sent.query else sent.path
    if "path" in wanted and wanted["path"] not in (target, sent.path):
        wrong.append(f"path {target}")
    if "host" in wanted and wanted["host"] != (sent.host or request["host"]):
        wrong.append(f"host {sent.host}")
    if set(wanted) - {"path", "host", "headers", "absent_headers", "method"}:
        wrong.append(f"not judged: {sorted(wanted)}")
    for name, value in (wanted.get("headers") or {}).items():
        if joined(happened.request_lines, name) != value:
            wrong.append(f"request header {name}: {joined(happened.request_lines, name)}")
    wrong += [f"{name} is there" for name in wanted.get("absent_headers", []) if joined(happened.request_lines, name)]
    return wrong


def _answered(expect: Plain, happened: Any, request: Plain) -> list[str]:
    given = list((request.get("backend_sets_response_headers") or {}).items())
    lines = happened.answer_lines(given) if happened.answer is None else list(happened.answer.headers)
    wrong = []
    for name, value in (expect.get("response_headers") or {}).items():
        if joined(lines, name) != value:
            wrong.append(f"answer's header {name}: {joined(lines, name)}")
    return wrong + [f"{name} is there" for name in expect.get("absent_response_headers", []) if joined(lines, name)]


def _mirrors(expect: Plain, happened: Any, rule: Plain | None) -> list[str]:
    wanted = expect.get("mirrored_to")
    if not wanted or rule is None:
        return [] if not wanted else ["no copy"]
    said = [
        each["requestMirror"]["backendRef"]["name"] for each in rule["action"]["filters"] if "requestMirror" in each
    ]
    return [] if happened.copies and [each["name"] for each in wanted] == said else ["no copy"]
