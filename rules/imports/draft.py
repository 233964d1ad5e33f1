"""What an import yields: draft routes with where each came from, and a list of everything that was not carried.

A draft says what happens today, so that a route can then be given a candidate: a service that answers is the route's
`legacy`, without candidate, and changes are for `sides: both`. Nothing is dropped in silence: what a reader did not use
it lists.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import yaml
from pydantic import ValidationError

from rules.document import Route

Plain = dict[str, Any]


class ImportFailed(Exception):  # noqa: N818 (said to people as it stands)
    """The configuration cannot be read; the message says where and why."""


def printable(text: str) -> str:
    """In one line, and without what a terminal would act on: it comes from a file that somebody else wrote."""
    return "".join(character if character.isprintable() else " " for character in text)


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class NotCarried:
    """Something of the configuration that the draft does not do."""

    origin: Origin
    what: str
    why: str
    """Why, and what to do about it."""

    def __str__(self) -> str:
        return printable(f"{self.origin}: {self.what}: {self.why}")


@dataclass(frozen=True, slots=True)
class DraftRoute:
    origin: Origin
    content: Plain
    """As a rules file says it, but for its name."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    services: dict[str, Plain]
    legacy: str
    chosen: str
    """Why it is the legacy, in words."""
    routes: tuple[DraftRoute, ...]
    not_carried: tuple[NotCarried, ...]
    irrelevant: tuple[NotCarried, ...] = ()
    """What concerns the other proxy's own running only, so that there is nothing to carry."""
    notes: tuple[str, ...] = ()

    def as_json(self) -> Plain:
        return {
            "rules": self.content(),
            "legacy": {"service": self.legacy, "why": self.chosen},
            "origins": {
                name: {"origin": str(route.origin), "notes": list(route.notes)} for name, route in self._named()
            },
            "not_carried": [_as_json(each) for each in self.not_carried],
            "irrelevant": [_as_json(each) for each in self.irrelevant],
            "notes": list(self.notes),
        }

    def content(self) -> Plain:
        """The rules file as plain data."""
        routes = [{"name": name} | _escaped(route.content) for name, route in self._named()]
        return {"version": 1, "services": self.services, "legacy": self.legacy, "routes": routes}

    def _named(self) -> list[tuple[str, DraftRoute]]:
        taken: set[str] = set()
        numbers: dict[str, int] = {}
        named = []
        for route in self.routes:
            wanted = name = _route_name(route.content)
            while name in taken:
                numbers[wanted] = numbers.get(wanted, 1) + 1
                name = f"{wanted}-{numbers[wanted]}"
            taken.add(name)
            named.append((name, route))
        return named


def loading(routes: Iterable[DraftRoute]) -> tuple[list[DraftRoute], list[NotCarried]]:
    """Those that a rules file takes, and why it would refuse the others: a draft always loads."""
    taken, refused = [], []
    for route in routes:
        try:
            Route.model_validate({"name": "x"} | route.content)
        except ValidationError as exc:
            why = in_words(exc)
            path = str(route.content["match"].get("path", ""))
            refused.append(NotCarried(route.origin, f"route {path:.80}".strip(), f"{why}; write it by hand"))
        else:
            taken.append(route)
    return taken, refused


def in_words(error: ValidationError) -> str:
    """What a model found wrong, in one line; of the forms that a value may have, the one that it tried to be."""
    found = [each["msg"] for each in error.errors(include_url=False)]
    own = next((each for each in found if each.startswith("Value error, ")), found[0])
    return own.removeprefix("Value error, ")


def with_legacy(content: Plain, legacy: str) -> Plain:
    """A split in which the file's legacy stands as the candidate is turned round."""
    if content.get("candidate") != legacy or content.get("stage") != "canary":
        return content
    share = Decimal(100) - Decimal(content["share"].removesuffix("%"))
    turned = {"legacy": content["candidate"], "candidate": content["legacy"], "share": f"{share.normalize():f}%"}
    return content | turned


def render(draft: Draft) -> str:
    """The draft as YAML, with comments that say where each route came from and what was not carried."""
    lines = ["# A draft: read it, run `fig rules check` on it, and give routes a candidate one by one."]
    lines.append(f"# legacy is '{draft.legacy}': {draft.chosen}")
    lines += [f"# {note}" for note in draft.notes]
    if draft.not_carried:
        lines += ["#", f"# Not carried ({len(draft.not_carried)}):"]
        lines += [_comment(str(each)) for each in draft.not_carried]
    if draft.irrelevant:
        lines += ["#", "# Nothing to carry, because it concerns the other proxy's own running:"]
        lines.append(_comment(", ".join(f"{each.what} ({each.origin})" for each in draft.irrelevant)))
    content = draft.content()
    routes = content.pop("routes")
    lines += ["", _yaml(content).rstrip(), "", "routes:" if routes else "routes: []"]
    for (_, route), written in zip(draft._named(), routes, strict=True):
        lines.append(_comment(str(route.origin), "  "))
        lines += [_comment(note, "  ") for note in route.notes]
        text = _yaml([written]).rstrip()
        lines += [f"  {line}" for line in text.split("\n")]
    return "\n".join(lines) + "\n"


def _comment(text: str, indent: str = "") -> str:
    plain = printable(text)
    return f"{indent}#   {plain}" if not indent else f"{indent}# {plain}"


class _Dumper(yaml.SafeDumper):
    """Without anchors; lists of plain texts in one line."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _sequence(dumper: _Dumper, data: Iterable[Any]) -> yaml.Node:
    items = list(data)
    short = all(isinstance(item, str) for item in items) and sum(len(item) for item in items) < 80
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=short)


def _mapping(dumper: _Dumper, data: Mapping[str, Any]) -> yaml.Node:
    short = all(isinstance(value, (str, int)) for value in data.values()) and len(str(data)) < 80
    return dumper.represent_mapping("tag:yaml.org,2002:map", data.items(), flow_style=short and "version" not in data)


_Dumper.add_representer(list, _sequence)
_Dumper.add_representer(dict, _mapping)


def _yaml(value: Any) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000, default_flow_style=False)


def _escaped(value: Any) -> Any:
    """``${`` is where a rules file fills in a variable of the environment."""
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, dict):
        return {key: _escaped(each) for key, each in value.items()}
    return [_escaped(each) for each in value] if isinstance(value, list) else value


def name_of(text: str) -> str:
    """The nearest name that a rules file takes."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-")[:56] or "x"


def _route_name(content: Plain) -> str:
    match = content["match"]
    while "all" in match and "path" not in match:
        match = match["all"][0]
    path = match.get("path", "/**")
    first = path[0] if isinstance(path, list) else path
    text = first if isinstance(first, str) else first["regex"]
    text = re.sub(r"\(\?P<(\w+)>|\(\?i\)", "", text)
    words = "-".join(re.findall(r"[A-Za-z0-9_]+", text)).strip("-.")
    kind = next((key for key in ("redirect", "respond") if key in content), "")
    return name_of("-".join(filter(None, [words[:40].strip("-.") or "root", kind])))


def _as_json(each: NotCarried) -> Plain:
    return {"file": each.origin.file, "line": each.origin.line, "what": each.what, "why": each.why}


def _is_same(one: Plain, other: Plain) -> bool:
    return all(one.get(key) == other.get(key) for key in ("url", "urls", "tls"))


NO_SERVICE = "a placeholder, because the configuration names no service; write the URL of what answers today"


@dataclass
class Services:
    """The services that a draft names, each under one name."""

    found: dict[str, Plain] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)
    """By name, how many routes it answers."""

    def add(self, name: str, *urls: str, **more: Any) -> str:
        """The name under which it stands; the same name with other URLs, or spoken to otherwise, gets a number."""
        content: Plain = ({"url": urls[0]} if len(urls) == 1 else {"urls": list(urls)}) | more
        wanted, number = name_of(name), 2
        name = wanted
        while name in self.found and not _is_same(self.found[name], content):
            name, number = f"{wanted}-{number}", number + 1
        self.found.setdefault(name, content)
        return name

    def legacy(self, wanted: str | None, root: str | None, root_is: str) -> tuple[str, str]:
        """(name, why): the one that was asked for, else the one of the root, else the one that answers most."""
        if wanted is not None:
            if wanted not in self.found:
                known = ", ".join(f"'{name}'" for name in self.found) or "none"
                raise ImportFailed(f"--legacy '{wanted}': no service has this name; there is {known}")
            return wanted, "--legacy says so"
        if not self.found:
            self.add("legacy", "http://127.0.0.1:9000")
            return "legacy", NO_SERVICE
        if root is not None:
            return root, f"it answers {root_is} (--legacy NAME chooses another)"
        most = max(self.found, key=lambda name: self.answers.get(name, 0))
        return most, f"it answers most routes, {self.answers.get(most, 0)} (--legacy NAME chooses another)"
