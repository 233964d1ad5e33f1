"""How a rules file names one value of a write: ``path:order``, ``header:x-version``, ``request:/order/id``. Pure.

| selector | what it names |
| --- | --- |
| ``path:NAME`` | what ``{NAME}`` of the route's path stands for |
| ``query:NAME`` | the first parameter of that name |
| ``header:NAME``, ``cookie:NAME`` | of the request |
| ``request:/POINTER`` | a value of the request's JSON body (RFC 6901); the step ``*`` is every item |
| ``response:/POINTER`` | the same of the answer |
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

from rules.names import TOKEN

OF_REQUESTS = ("path", "query", "header", "cookie", "request")
EVERY = "*"
"""The step of a pointer that stands for every item of a list, and every member of an object."""
_POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)*")  # RFC 6901 section 3
_PLACE = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Selector:
    """One of the above, taken apart."""

    kind: str
    name: str
    """The name, or the pointer as it is written."""

    @property
    def steps(self) -> tuple[str, ...]:
        return steps_of(self.name)


def steps_of(pointer: str) -> tuple[str, ...]:
    """The reference tokens of a JSON Pointer, unescaped (RFC 6901 section 4)."""
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])


def parse_selector(text: str) -> Selector:
    """Takes one that is well-formed: those of a rules file are."""
    kind, _, name = text.partition(":")
    return Selector(kind, name)


def checked_selector(text: str, kinds: tuple[str, ...]) -> str:
    """The selector in its one form (names of headers in lower case). Raises ValueError saying how to write it."""
    kind, colon, name = text.partition(":")
    if kind in ("request", "response"):
        holds = name.startswith("/") and _POINTER.fullmatch(name) is not None
    else:
        holds = TOKEN.fullmatch(name) is not None
    if kind not in kinds or not colon or not holds:
        forms = [f"{each}:/POINTER" if each.startswith("re") else f"{each}:NAME" for each in kinds]
        raise ValueError(f"'{text:.80}' names no value here; write {', '.join(forms[:-1])} or {forms[-1]}")
    return text.lower() if kind == "header" else text


def _of_request(text: str) -> str:
    return checked_selector(text, OF_REQUESTS)


def _pointer(text: str) -> str:
    if not text.startswith("/") or not _POINTER.fullmatch(text):
        raise ValueError(f"'{text:.80}' is no JSON pointer; write it like /order/id, or /entries/*/key for every item")
    return text


RequestValue = Annotated[str, AfterValidator(_of_request)]
Pointer = Annotated[str, AfterValidator(_pointer)]


def places_of(template: str) -> Iterator[tuple[str, str]]:
    """(text, the selector behind it or ``""``) of ``/orders/{order}?key={header:idempotency-key}``.

    A place without a colon is a capture: ``{order}`` is ``{path:order}``. Raises ValueError.
    """
    at = 0
    for found in _PLACE.finditer(template):
        yield _literal(template, template[at : found.start()]), _place(found[1])
        at = found.end()
    yield _literal(template, template[at:]), ""


def _place(inside: str) -> str:
    return checked_selector(inside if ":" in inside else f"path:{inside}", OF_REQUESTS)


def _literal(template: str, text: str) -> str:
    if "{" in text or "}" in text:
        raise ValueError(f"in '{template:.80}' a brace stands alone; write {{NAME}} for what the path names so")
    return text
