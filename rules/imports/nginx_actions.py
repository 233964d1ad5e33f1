"""What a location does with a request, as the actions of a route: passes it on, changed, or answers it itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

from rules.action import HeaderChanges, Redirect, Respond, Rewrite
from rules.imports.conf import Directive
from rules.imports.draft import DraftRoute, Plain
from rules.imports.locations import Location, as_sent, path_regex
from rules.imports.nginx_access import Chain
from rules.imports.nginx_conditions import condition
from rules.imports.nginx_upstreams import Sides, Upstreams
from rules.imports.nginx_values import seconds, size, template

Refuse = Callable[[Directive, str], None]

_BY_FIG = {
    "x-forwarded-for": ("$proxy_add_x_forwarded_for", "$remote_addr"),
    "x-forwarded-proto": ("$scheme",),
    "x-forwarded-host": ("$host", "$http_host"),
    "x-request-id": ("$request_id",),
    "connection": ("", "upgrade", "$connection_upgrade", "keep-alive", "close"),
    "upgrade": ("$http_upgrade",),
}
"""Header lines that fig writes by itself, and the values with which nginx is told to do the same."""
_GETS_HEADERS = frozenset((200, 201, 204, 206, 301, 302, 303, 304, 307, 308))
"""To answers with these `add_header` adds without `always` (ngx_http_headers_module)."""
_URL = re.compile(r"(?:(https?|\$scheme)://((?:\$\{?\w+\}?|[^/$?])*?))?(\$\{?(?:request_)?uri\}?.*|[/?].*|)", re.DOTALL)
_ELSEWHERE = ("http://", "https://", "$scheme")
"""What a `rewrite` begins with that redirects whatever its flag is."""
_SAME_HOST = ("$host", "$http_host", "${host}", "$server_name")


class Actions:
    def __init__(self, upstreams: Upstreams, refuse: Refuse) -> None:
        self._upstreams = upstreams
        self._refuse = refuse
        self._notes: list[str] = []
        self.sometimes = False
        """Whether there is an `add_header` that nginx heeds for some answers of a service only."""

    def take_notes(self) -> tuple[str, ...]:
        """What is to be said about the route that was just made."""
        notes, self._notes = tuple(self._notes), []
        return notes

    def own_answer(self, chain: Chain, groups: Mapping[str, str]) -> Plain | None:
        """`return` in the innermost block, or `deny all`; None where it passes requests on."""
        block = chain[-1]
        if block.all("internal"):
            block.all("internal")[0].use()
            return {"respond": {"status": 404}}  # for every request that comes from outside
        for directive in block.all("return"):
            answer = self._return(directive, groups)
            if answer is not None:
                directive.use()
                status = (answer.get("respond") or answer["redirect"])["status"]
                return answer | self._answer_headers(chain, groups, status)
        said = [(each.name, each.args) for each in block.block if each.name in ("allow", "deny")]
        if said == [("deny", ("all",))]:
            block.all("deny")[0].use()
            return {"respond": {"status": 403}}
        return None

    def _return(self, directive: Directive, groups: Mapping[str, str]) -> Plain | None:
        args = directive.args
        if args and not re.fullmatch("[0-9]{1,3}", args[0]):
            args = ("302", args[0])
        if not args or len(args) > 2:
            return None
        status, text = int(args[0]), args[1] if len(args) > 1 else ""
        if status in (301, 302, 303, 307, 308) and text:
            return self.redirect(text, groups, status, keep_query=False)
        if status == 444:
            self._refuse(directive, "fig always answers; here it is 400")
            return {"respond": {"status": 400}}
        if "$" in text:
            self._refuse(directive, "a body has no variables in fig; it is answered without one")
            text = ""
        return _checked("respond", {"status": status} | ({"body": text} if text else {}), Respond)

    def redirect(self, url: str, groups: Mapping[str, str], status: int, keep_query: bool) -> Plain | None:
        """None where fig cannot say it."""
        found = _URL.fullmatch(url)
        if found is None:
            return None
        scheme, host, rest = found.groups()
        block: Plain = {"status": status}
        if scheme in ("http", "https"):
            block["scheme"] = scheme
        if host and host not in _SAME_HOST:
            block["host"] = template(host, groups)
        path, keeps = _rest(rest, keep_query)
        if path:
            block["path"] = template(path, groups)
        if not keeps:
            block["query"] = "drop"
        return None if None in block.values() else _checked("redirect", block, Redirect)

    def redirects(self, chain: Chain, match: Plain) -> list[DraftRoute]:
        """Of the innermost block's `rewrite ... permanent` and `redirect`: routes that come before its own."""
        routes = []
        for directive in chain[-1].all("rewrite"):
            if len(directive.args) < 2:
                continue
            expression, replacement = directive.args[0], directive.args[1]
            flag = directive.args[2] if len(directive.args) > 2 else ""
            if flag not in ("permanent", "redirect") and not replacement.startswith(_ELSEWHERE):
                continue
            try:
                whole = path_regex(expression, fold=False)
            except ValueError as exc:
                self._refuse(directive, str(exc))
                continue
            names = re.findall(r"\(\?P<(\w+)>", whole)
            groups = {str(number): name for number, name in enumerate(names, 1)} | {name: name for name in names}
            ends = replacement.endswith("?")
            content = self.redirect(
                replacement.removesuffix("?"), groups, 301 if flag == "permanent" else 302, keep_query=not ends
            )
            if content is not None:
                directive.use()
                path = {"path": {"regex": whole}}
                both = path if match == {"path": "/**"} else {"all": [match, path]}
                appends = "?" in replacement and not ends
                notes = ("nginx appends the request's own query to the one it writes; here it is dropped",)
                routes.append(DraftRoute(directive.origin, {"match": both} | content, notes if appends else ()))
        return routes

    def answers_if(self, chain: Chain, groups: Mapping[str, str], match: Plain) -> list[DraftRoute]:
        """Of the innermost block's `if`s that only return: routes that come before its own."""
        routes = []
        for directive in chain[-1].block:
            if directive.name == "return":
                break  # what comes behind it is never asked
            inner = [each for each in directive.block if each.name not in ("access_log", "add_header")]
            asked = condition(directive.args) if directive.name == "if" else None
            if asked is None or [each.name for each in inner] != ["return"]:
                continue
            answer = self._return(inner[0], groups)
            if answer is not None:
                inner[0].use()
                directive.use()
                status = (answer.get("respond") or answer["redirect"])["status"]
                headers = self._answer_headers((*chain, directive), groups, status)
                routes.append(DraftRoute(directive.origin, {"match": {"all": [match, asked]}} | answer | headers))
        return routes

    def cases(self, chain: Chain) -> list[tuple[Plain, str | None]]:
        """(match, what `proxy_pass` says then), where a `map` chooses; else the one case in which it says its own."""
        passes = chain[-1].all("proxy_pass")
        found = self._upstreams.cases(passes[0]) if passes else None
        return [*found] if found is not None else [({}, None)]

    def forward(
        self, chain: Chain, location: Location, groups: Mapping[str, str], instead: str | None = None
    ) -> Plain | None:
        """Whom the innermost block passes requests to, and what it changes of them; None where to nobody.

        `instead`: what its `proxy_pass` says in one case of a `map`.
        """
        passes = chain[-1].all("proxy_pass")
        sides = self._upstreams.sides(passes[0], chain, instead) if passes else None
        if sides is None:
            return None
        passes[0].use()
        self._notes += sides.notes
        content = _who(sides)
        whole = sides.is_whole and sides.uri
        path = self._variable_path(sides.uri, groups) if whole else self._path(chain, location, sides)
        if path is None:
            self._refuse(passes[0], "fig cannot say the path that it makes; write the route by hand")
            return None
        rewrite = path | self._host(chain, sides, groups)
        if rewrite:
            content["rewrite"] = rewrite | {"sides": "both"}
        content |= self._request_headers(chain, groups) | self._answer_headers(chain, groups)
        timeout = _innermost(chain, "proxy_read_timeout")
        if timeout is not None and timeout.args and (read := seconds(timeout.args[0])):
            content["timeout"] = read
            timeout.use()
        body = _innermost(chain, "client_max_body_size")
        if body is not None and body.args:
            limit = size(body.args[0])
            if limit is not None:
                content["max_body"] = limit
            if limit is not None or body.args[0] == "0":
                body.use()
        return content

    def _path(self, chain: Chain, location: Location, sides: Sides) -> Plain | None:
        for directive in chain[-1].all("rewrite"):
            if sides.uri:  # it counts where no `rewrite` applies, and a route has one rewrite; these stay listed
                break
            if directive.args[2:] == ("break",) and not directive.args[1].startswith(_ELSEWHERE):
                found = self._substitution(directive)
                if found:
                    directive.use()
                    return found
        uri, text = sides.uri, location.text
        if not uri or not (location.is_prefix or location.kind == "="):
            return {}
        if location.kind == "=":
            if "?" in uri:
                self._notes.append(f"nginx writes the request's own query behind {uri}; here it is dropped")
            return _fitting({"path": _literal(uri)})
        if text == uri:
            return {}
        if text.endswith("/") and uri.endswith("/") and "?" not in uri:
            return _fitting({"prefix": _literal(uri.rstrip("/") or "/")})
        self._notes.append(f"nginx puts {uri} in place of {text}, byte by byte")
        return _fitting({"regex": {"match": "^" + re.escape(as_sent(text)), "replace": uri.replace("\\", "\\\\")}})

    def _variable_path(self, uri: str, groups: Mapping[str, str]) -> Plain | None:
        """A path that nginx is told whole: the query, too, is only what it names. None where fig cannot say it."""
        path, keeps = _rest(uri, keep_query=False)
        said = template(path, groups) if path else "{path}"
        block: Plain = {"path": said if keeps or said is None else f"{said}?"}
        return None if said is None else _fitting(block)

    def _substitution(self, directive: Directive) -> Plain | None:
        expression, replacement = directive.args[0], directive.args[1]
        if "?" in replacement or re.search(r"\$[^0-9]", replacement):
            return None
        begins = "" if expression.startswith("^") else "^.*"
        rest = "" if expression.endswith("$") else ".*$"  # nginx puts the replacement in place of the whole path
        replace = re.sub(r"\$([0-9])", r"\\\1", replacement.replace("\\", "\\\\"))
        block = {"regex": {"match": f"{begins}{expression}{rest}", "replace": replace}}
        return _fitting(block)

    def _host(self, chain: Chain, sides: Sides, groups: Mapping[str, str]) -> Plain:
        said = [each for each in _level(chain, "proxy_set_header") if each.args and each.args[0].lower() == "host"]
        value = said[0].args[1] if said and len(said[0].args) > 1 else "$proxy_host"
        if value in ("$host", "$http_host"):
            said[0].use()
            return {}
        found = sides.host if value == "$proxy_host" else template(value, groups)
        if found is None or not _valid({"host": found}, Rewrite):
            if said:
                return {}  # it stays unused, and is listed
            self._notes.append("nginx sends the upstream's name as Host; here the client's is preserved")
            return {}
        for each in said:
            each.use()
        return {"host": found}

    def _request_headers(self, chain: Chain, groups: Mapping[str, str]) -> Plain:
        block: Plain = {}
        for directive in _level(chain, "proxy_set_header"):
            name, value = (*directive.args, "", "")[:2]
            if name.lower() == "host":
                continue
            if name.lower() in _BY_FIG:
                if value in _BY_FIG[name.lower()]:
                    directive.use()
                else:
                    self._refuse(directive, f"fig itself writes {name}, and no rule changes it")
                continue
            filled = template(value, groups)
            if filled is not None and self._add(block, "set" if filled else "remove", name, filled):
                directive.use()
        return {"request_headers": block | {"sides": "both"}} if block else {}

    def _answer_headers(self, chain: Chain, groups: Mapping[str, str], status: int | None = None) -> Plain:
        """`status`: that of an own answer; None where a service answers."""
        block: Plain = {}
        for directive in _level(chain, "proxy_hide_header"):
            if directive.args and self._add(block, "remove", directive.args[0], ""):
                directive.use()
        for directive in _level(chain, "add_header"):
            if directive.args[2:] != ("always",):
                if status is not None and status not in _GETS_HEADERS:
                    directive.use()
                    continue
                if status is None:
                    self.sometimes = True
            filled = template(directive.args[1], groups) if len(directive.args) > 1 else None
            if filled is not None and self._add(block, "add", directive.args[0], filled):
                directive.use()
        return {"response_headers": block | {"sides": "both"}} if block else {}

    def _add(self, block: Plain, kind: str, name: str, value: str) -> bool:
        part: Any = [name] if kind == "remove" else {name: value}
        if not _valid({kind: part}, HeaderChanges) or (kind != "remove" and name in block.get(kind, {})):
            return False
        block[kind] = [*block.get(kind, []), name] if kind == "remove" else block.get(kind, {}) | part
        return True


def _who(sides: Sides) -> Plain:
    if len(sides.services) == 1:
        return {"legacy": sides.services[0][0]}
    (legacy, _), (candidate, share) = sides.services
    percent = f"{share / 10_000:.4f}".rstrip("0").rstrip(".") + "%"
    return {"legacy": legacy, "candidate": candidate, "stage": "canary", "share": percent, "unit": sides.unit}


def _rest(rest: str, keep_query: bool) -> tuple[str, bool]:
    """(path, whether the request's query is kept) of what stands behind the host; ``""`` keeps the path."""
    if rest in ("$request_uri", "$uri$is_args$args"):
        return "", True
    if rest == "$uri":
        return "", False
    for kept in ("$is_args$args", "?$args", "?$query_string"):
        if rest.endswith(kept):
            return rest.removesuffix(kept) or "/", True
    if rest.endswith("$request_uri"):
        return rest.removesuffix("$request_uri") + "$uri", True
    return (rest or "/") if not rest.startswith("?") else "/" + rest, keep_query or "?" in rest


def _innermost(chain: Chain, name: str) -> Directive | None:
    found = _level(chain, name)
    return found[-1] if found else None


def _level(chain: Chain, name: str) -> list[Directive]:
    """nginx inherits such lines from outside only where the block has none of its own."""
    for block in reversed(chain):
        found = block.all(name)
        if found:
            return found
    return []


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _valid(block: Plain, model: type[BaseModel]) -> bool:
    try:
        model.model_validate(block)
    except ValueError:
        return False
    return True


def _fitting(block: Plain) -> Plain | None:
    return block if _valid(block, Rewrite) else None


def _checked(key: str, block: Plain, model: type[BaseModel]) -> Plain | None:
    return {key: block} if _valid(block, model) else None
