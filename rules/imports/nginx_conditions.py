"""What nginx asks of one variable, in an `if` or a `map`, as part of a match."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rules.imports.conf import Directive
from rules.imports.draft import Plain
from rules.imports.locations import as_sent, literal_path, path_regex, whole_regex

_PARTS = {"http": "headers", "cookie": "cookies", "arg": "query"}
_METHODS = re.compile(r"\^\(?([A-Z]+(?:\|[A-Z]+)*)\)?\$")


def condition(words: Sequence[str]) -> Plain | None:
    """Of ``$http_x ~* beta``, as a match; None for what a match cannot say."""
    if len(words) != 3 or words[1].lstrip("!") not in ("=", "~", "~*"):
        return None
    try:
        found = _asked(words[0].removeprefix("$"), words[1].lstrip("!"), words[2])
    except ValueError:
        return None
    return {"not": found} if found is not None and words[1].startswith("!") else found


def _asked(name: str, operator: str, value: str) -> Plain | None:
    """Raises ValueError."""
    if not value or "$" in value.removesuffix("$"):
        return None
    if name == "request_method":
        several = _METHODS.fullmatch(value) if operator == "~" else None
        methods = several[1].split("|") if several else [value]
        return {"methods": methods} if several or (operator == "=" and value.isupper()) else None
    if name in ("uri", "document_uri"):
        paths = {"regex": path_regex(value, operator == "~*")} if operator != "=" else literal_path(as_sent(value), "")
        return {"path": paths}
    regex = {"regex": whole_regex(value, fold=operator == "~*")} if operator != "=" else None
    if name in ("host", "http_host"):
        return {"host": regex or value.lower()}
    kind, _, rest = name.partition("_")
    if kind not in _PARTS or not rest:
        return None
    return {_PARTS[kind]: {rest.replace("_", "-") if kind == "http" else rest: regex or value}}


def cases(block: Directive) -> list[tuple[Plain, str]] | None:
    """Of a `map`: (match, value) of each line in nginx's order, the default last; None where one cannot be said."""
    if len(block.args) != 2 or not block.args[0].startswith("$"):
        return None
    exact, regexes, default = list[tuple[Plain, str]](), list[tuple[Plain, str]](), list[tuple[Plain, str]]()
    for line in block.block:
        if len(line.args) != 1 or "$" in line.args[0]:
            return None
        if line.name == "default":
            default.append(({}, line.args[0]))
            continue
        if line.name.startswith("~"):
            folds = line.name.startswith("~*")
            found = condition((block.args[0], "~*" if folds else "~", line.name[2 if folds else 1 :]))
        else:
            found = condition((block.args[0], *_plain(block.args[0], line.name.removeprefix("\\"))))
        if found is None:
            return None
        (regexes if line.name.startswith("~") else exact).append((found, line.args[0]))
    return [*exact, *regexes, *default] if len(default) == 1 else None


def _plain(name: str, value: str) -> tuple[str, str]:
    """A `map` compares texts without regard to letter case."""
    if name in ("$request_method", "$host") or value.lower() == value.upper():
        return "=", value
    return "~*", f"^{re.escape(value)}$"
