"""Envoy: `first_match_rules` of its route configurations as fig's routes, and what its own checks expect."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any, NamedTuple

import re2

from tests.cases.routes.first_match import capture, match_of
from tests.cases.routes.world import INSIDE, Happened, OutOfScopeError, asked, happens, joined, literal, table_of

Plain = dict[str, Any]
_STATUS = {
    None: 301, "MOVED_PERMANENTLY": 301, "FOUND": 302, "SEE_OTHER": 303, "TEMPORARY_REDIRECT": 307,
    "PERMANENT_REDIRECT": 308,
}  # fmt: skip


def judge(suite: Plain, case: Plain) -> list[str]:
    """What is otherwise than expected. Raises OutOfScopeError."""
    expect, request = case["expect"], case["request"]
    if expect.get("virtual_cluster") and set(expect) <= {"virtual_cluster", "backend", "vhost_name"}:
        raise OutOfScopeError("virtual clusters, which only name statistics (xDS only)")
    scheme = "https" if request.get("ssl") else "http"
    client = INSIDE if request.get("internal") else "127.0.0.1"
    port = 443 if request.get("ssl") else 80
    head = asked(request["method"], request["host"], request["path"], request["headers"], port, client)
    if head is None:
        raise OutOfScopeError("a path without a single reading, which fig refuses")
    rules = suite["first_match_rules"]
    named = re.search(r":([0-9]+)$", request["host"])
    taken = _first_within_scope(rules, _Listener(scheme, int(named[1]) if named else None))
    services = [frozenset(_names(rules[number]["action"])) for number in taken.numbers]
    happened = happens(table_of(taken.routes), services, head, scheme)
    if happened.number in taken.beyond:
        raise OutOfScopeError(taken.beyond[happened.number])
    rule = rules[taken.numbers[happened.number]] if happened.number is not None else None
    faults = [
        *_service(expect, happened),
        *_place(expect, happened, request),
        *_own(expect, happened, rule),
        *_lines(expect, happened, request),
    ]
    if faults and re.search(r":[0-9]+$", request["host"]) and "ignore_port" not in json.dumps(suite.get("config", {})):
        raise OutOfScopeError("a name without a port that is not taken with one: fig's takes every port (Match.host)")
    return faults


class _Listener(NamedTuple):
    """What of the place where the request came in decides where Envoy sends it."""

    scheme: str
    port: int | None
    """That Host named."""


class _Taken:
    """The routes of a suite. One whose action fig lacks still takes its requests, and they are out of scope."""

    def __init__(self) -> None:
        self.routes: list[Plain] = []
        self.numbers: list[int] = []
        self.beyond: dict[int | None, str] = {}


def _first_within_scope(rules: list[Plain], listener: _Listener) -> _Taken:
    taken = _Taken()
    for number, rule in enumerate(rules):
        match = match_of(rule["match"])
        secure = _to_https(rule, match, listener.scheme)
        if secure is not None:
            taken.routes.append(secure)
            taken.numbers.append(number)
        header = rule["action"].get("host_rewrite_header")
        if header is not None:
            taken.beyond[len(taken.routes)] = "a host that the request brings along in a header (xDS only)"
            present = {"headers": {header: {"present": True}}}
            taken.routes.append({"match": {"all": [match, present]}, "respond": {"status": 501}})
            taken.numbers.append(number)
        try:
            routes = _variants(rule, match, listener)
        except OutOfScopeError as exc:
            taken.beyond[len(taken.routes)] = str(exc)
            routes = [{"match": match, "respond": {"status": 501}}]
        taken.routes += routes
        taken.numbers += [number] * len(routes)
    return taken


def _variants(rule: Plain, match: Plain, listener: _Listener) -> list[Plain]:
    """The rule's route; before it, where the host is made of parts of the path, the one whose path has those parts."""
    route = {"match": match} | _action(rule, listener)
    said = rule["action"].get("host_rewrite_path_regex")
    if said is None:
        return [route]
    pattern = said["pattern"]["regex"]
    if not (pattern.startswith("^") and pattern.endswith("$")):
        raise OutOfScopeError("a host made by replacing parts of the path (xDS only): fig's is made of captures")
    numbers = itertools.count(1)
    named = re.sub(r"\((?!\?)", lambda _: f"(?P<g{next(numbers)}>", pattern[1:-1])
    host = re.sub(r"\\([0-9])", r"{g\1}", said["substitution"])
    rewrite = route.get("rewrite", {"sides": "both"}) | {"host": host}
    return [route | {"match": {"all": [match, {"path": {"regex": named}}]}, "rewrite": rewrite}, route]


def _to_https(rule: Plain, match: Plain, scheme: str) -> Plain | None:
    """`require_tls` on a plain listener: who is bound to come by https is sent there."""
    wanted = rule.get("require_tls")
    if wanted in (None, "NONE") or scheme == "https":
        return None
    bound = match if wanted == "ALL" else {"all": [match], "not": {"client": "10.0.0.0/8"}}
    return {"match": bound, "redirect": {"scheme": "https", "status": 301}}


def _names(action: Plain) -> list[str]:
    backends = action.get("backends", [])
    return [each["name"] for each in backends if isinstance(each["name"], str) and each.get("weight", 1)]


def _action(rule: Plain, listener: _Listener) -> Plain:
    action = rule["action"]
    kind = action["type"]
    if kind == "respond":
        body = (action.get("body") or {}).get("inline_string", "")
        plain = {"headers": {"Content-Type": "text/plain"}} if body else {}  # Envoy's; fig would name a charset too
        return {"respond": {"status": action["status"], "body": body} | plain} | _headers(action)
    if kind == "redirect":
        return {"redirect": _redirect(rule, listener)} | _headers(action)
    return _sides(action) | _headers(action) | _rewrite(rule)


def _sides(action: Plain) -> Plain:
    if "backend_from_header" in action or any(not isinstance(each["name"], str) for each in action["backends"]):
        raise OutOfScopeError("a service whose name the request brings along (xDS only)")
    names = _names(action)
    if len(names) == 1:
        return {"candidate": names[0], "stage": "live"}
    # fig decides by the unit and not by chance; with more than two, any further one is a route of its own.
    return {"candidate": names[0], "legacy": names[1], "stage": "canary", "share": "50%", "unit": {"address": True}}


def _path(rule: Plain) -> Plain:
    action, path = rule["action"], rule["match"].get("path") or {"type": "prefix", "value": "/"}
    if "prefix_rewrite" in action:
        new = action["prefix_rewrite"]
        if path["type"] in ("exact", "regex_full", "template"):  # Envoy: what was matched is the whole path
            return {"path": literal(new)}
        fold = "(?i)" if path.get("case_sensitive") is False else ""
        return {"regex": {"match": f"{fold}^{re.escape(path['value'])}", "replace": new.replace("\\", "\\\\")}}
    if "regex_rewrite" in action:
        said = action["regex_rewrite"]
        return {"regex": {"match": said["pattern"]["regex"], "replace": said["substitution"]}}
    if "path_rewrite_policy" in action:
        template = action["path_rewrite_policy"]["typed_config"]["path_template_rewrite"]
        return {"path": re.sub(r"\{(\w+)\}", lambda found: f"{{{capture(found[1])}}}", template)}
    return {"path": literal(action["path_redirect"])} if "path_redirect" in action else {}


def _rewrite(rule: Plain) -> Plain:
    action, found = rule["action"], _path(rule)
    if "host_rewrite_literal" in action:
        found["host"] = literal(action["host_rewrite_literal"])
    if "host_rewrite_header" in action and "request_headers_to_add" in action:
        raise OutOfScopeError("a host from a header that was just written (xDS only)")
    return {"rewrite": found | {"sides": "both"}} if found else {}


def _redirect(rule: Plain, listener: _Listener) -> Plain:
    action = rule["action"]
    found = _path(rule) | {"status": _STATUS[action.get("response_code")]}
    if "host_redirect" in action:
        found["host"] = literal(action["host_redirect"])
    if str(action.get("https_redirect", "")).lower() == "true":
        found["scheme"] = "https"
    if "scheme_redirect" in action:
        found["scheme"] = action["scheme_redirect"]
    scheme = found.get("scheme", listener.scheme)
    if "port_redirect" in action:
        found["port"] = action["port_redirect"]
    elif "host_redirect" in action and not re.search(r":[0-9]+$", action["host_redirect"]):
        found["port"] = 443 if scheme == "https" else 80  # Envoy's new host has no port; fig keeps the request's
    elif scheme != listener.scheme and listener.port not in (None, 80, 443):
        found["port"] = listener.port  # which Envoy keeps, and fig, as the Gateway API says, does not
    if str(action.get("strip_query", "")).lower() == "true":
        found["query"] = "drop"
    return found


def _headers(action: Plain) -> Plain:
    found: Plain = {}
    for side in ("request", "response"):
        block: Plain = {}
        for each in action.get(f"{side}_headers_to_add", []):
            append = each.get("append_action", "APPEND_IF_EXISTS_OR_ADD")
            if append not in ("APPEND_IF_EXISTS_OR_ADD", "OVERWRITE_IF_EXISTS_OR_ADD"):
                raise OutOfScopeError(f"a header by '{append}' (xDS only)")
            kind = "add" if append.startswith("APPEND") else "set"
            block.setdefault(kind, {})[each["header"]["key"]] = _value(each["header"].get("value", ""))
        if action.get(f"{side}_headers_to_remove"):
            block["remove"] = action[f"{side}_headers_to_remove"]
        if block and not (side == "request" and action["type"] != "forward"):
            found[f"{side}_headers"] = block | {"sides": "both"}
    return found


def _value(text: str) -> str:
    known = {"%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%": "{client}", "%%": "%"}
    filled = re.sub(r"%[A-Z_()a-z:-]*%", lambda found: known.get(found[0], found[0]), literal(text))
    if "%" in filled.replace("%%", ""):
        raise OutOfScopeError(f"a header from Envoy's own variable {text}")
    return filled


def _service(expect: Plain, happened: Happened) -> list[str]:
    wanted = expect.get("backend")
    if wanted is None or (wanted == "" and not happened.services):
        return []
    return [] if wanted in happened.services else [f"services {sorted(happened.services)}"]


def _place(expect: Plain, happened: Happened, request: Plain) -> list[str]:
    sent, wrong = happened.sent, []
    target = f"{sent.path}?{sent.query}" if sent.query else sent.path
    if expect.get("upstream_path") and expect["upstream_path"] != target:
        wrong.append(f"path {target}")
    if expect.get("upstream_host") and expect["upstream_host"] != (sent.host or request["host"]):
        wrong.append(f"host {sent.host}")
    return wrong


def _own(expect: Plain, happened: Happened, rule: Plain | None) -> list[str]:
    wrong = []
    answer = happened.answer
    status = answer.status if answer is not None else 404 if happened.number is None else 200
    if expect.get("status") not in (None, status):
        wrong.append(f"status {status}")
    if expect.get("vhost_name") and (rule is None or rule["vhost"] != expect["vhost_name"]):
        wrong.append(f"vhost {rule and rule['vhost']}")
    location = joined(list(answer.headers), "location") if answer is not None else None
    redirect = expect.get("redirect")
    if redirect == "" and location is not None:
        wrong.append(f"redirect to {location}")
    if redirect and rule is not None and rule["action"]["type"] == "respond":
        return wrong  # Envoy's tool shows the request's own URL as the redirect of a fixed answer
    if redirect and redirect != location:
        wrong.append(f"redirect to {location}")
    return wrong


def _lines(expect: Plain, happened: Happened, request: Plain) -> list[str]:
    sent, wrong = happened.sent, []
    target = f"{sent.path}?{sent.query}" if sent.query else sent.path
    host = sent.host or request["host"]
    ours = [(":authority", host), (":path", target), (":method", request["method"]), *happened.request_lines]
    theirs = happened.answer_lines([])
    if happened.answer is not None:
        theirs = list(happened.answer.headers)
        if happened.answer.body:  # framing is the data plane's; Envoy's tool shows none of an empty body
            theirs.append(("content-length", str(len(happened.answer.body))))
    for kind, lines in (("upstream_header_matches", ours), ("response_header_matches", theirs)):
        for wanted in expect.get(kind, []):
            got = joined(lines, wanted["name"])
            if not _fits(wanted, got):
                wrong.append(f"{wanted['name']}: {got}")
    return wrong


def _fits(wanted: Plain, got: str | None) -> bool:
    said = wanted.get("string_match") or {}
    if "present_match" in wanted or set(wanted) <= {"name", "invert_match"}:
        holds = (got is not None) is wanted.get("present_match", True)
    elif got is None:
        return False
    elif "range_match" in wanted:
        holds = wanted["range_match"]["start"] <= int(got) < wanted["range_match"]["end"]
    elif "safe_regex" in said:
        holds = re2.fullmatch(said["safe_regex"]["regex"], got) is not None
    else:
        kind, value = next(iter(said.items()))
        holds = {"exact": got == value, "prefix": got.startswith(value), "suffix": got.endswith(value)}.get(
            kind, value in got
        )
    return holds is not bool(wanted.get("invert_match"))
