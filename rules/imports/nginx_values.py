"""nginx's times, sizes and variables, as a rules file says them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

_NUMBER = "([0-9]{1,12})"
_TIME = re.compile(
    rf"(?:{_NUMBER}d)?\s*(?:{_NUMBER}h)?\s*(?:{_NUMBER}m(?!s))?\s*(?:{_NUMBER}s?(?!m))?\s*(?:{_NUMBER}ms)?"
)
_VARIABLE = re.compile(r"\$\{(\w+)\}|\$(\w+)")
_KNOWN = {
    "host": "{host}",
    "http_host": "{host}",
    "remote_addr": "{client}",
    "uri": "{path}",
    "document_uri": "{path}",
    "args": "{query}",
    "query_string": "{query}",
    "request_id": "{request_id}",
}


def seconds(text: str) -> str | None:
    """``1h 30m`` -> ``5400s``, as a duration of a rules file; None for what is no time, or none at all."""
    found = _TIME.fullmatch(text.strip()[:100])
    if not found or not any(found.groups()):
        return None
    days, hours, minutes, whole, thousandths = (int(each or 0) for each in found.groups())
    total = Decimal(((days * 24 + hours) * 60 + minutes) * 60 + whole) + Decimal(thousandths) / 1000
    if not 0 < total <= 3650 * 86400:
        return None
    return f"{total.normalize():f}s"


def size(text: str) -> str | None:
    """``10m`` -> ``10MB``; None for what is no size, or 0, which means no limit."""
    found = re.fullmatch(r"([0-9]{1,12})([kKmMgG]?)", text)
    if not found or not int(found[1]):
        return None
    return found[1] + {"": "B", "k": "KB", "m": "MB", "g": "GB"}[found[2].lower()]


def template(text: str, groups: Mapping[str, str]) -> str | None:
    """nginx's text with variables as a template of fig's; None where fig does not know one of them.

    `groups`: by what nginx calls a group of the location's regex, what fig calls it.
    """
    pieces, at = [], 0
    for found in _VARIABLE.finditer(text):
        name = found[1] or found[2]
        if name.isdigit() or name in groups:
            value = f"{{{groups[name]}}}" if name in groups else None
        else:
            value = _KNOWN.get(name)
        if value is None:
            return None
        pieces += [_literal(text[at : found.start()]), value]
        at = found.end()
    return "".join([*pieces, _literal(text[at:])])


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
