"""`shadow.backfill`: how what legacy held before the first copy is read there, and written to the candidate."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, field_validator

from rules.action import HeaderName
from rules.names import Block
from rules.templates import parse_template

ANSWER = "answer"
"""In place of a template: legacy's answer as it came."""
_WRITE = re.compile(r"(PUT|POST|PATCH) (/\S*)")


_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,127}")


def _is_variable(name: str) -> str:
    if not _VARIABLE.fullmatch(name):  # the message does not show it: it may be the credential itself
        raise ValueError(
            "names no variable; write the name of one in the environment of fig serve, in capitals (SHOP_TOKEN), that "
            "holds the header's whole value: what stands here lies on disk"
        )
    return name


VariableName = Annotated[str, AfterValidator(_is_variable)]


class Credentials(Block):
    """Headers that a side is sent, each with the environment's variable that holds its value."""

    legacy: dict[HeaderName, VariableName] = {}
    """For what legacy is asked."""
    candidate: dict[HeaderName, VariableName] = {}
    """For what the candidate is asked and given."""


class Backfill(Block):
    """A key at a time: read on legacy, written to the candidate."""

    read: str
    """Path (and query) that gives what legacy holds of a key: ``/api/orders/{key}``."""
    write: str
    """Method and path that give it to the candidate: ``PUT /api/orders/{key}``."""
    body: str = ANSWER
    """``answer``: what legacy answered. Or a template with ``{key}`` and ``{answer}``: ``'{{"data": {answer}}}'``."""
    credentials: Credentials | None = None
    """What the sides want to see of whoever asks: names of variables, never values."""

    @field_validator("read")
    @classmethod
    def _names_the_key(cls, read: str) -> str:
        if not read.startswith("/"):
            raise ValueError(f"'{read:.80}' is no path; write '/api/orders/{{key}}'")
        return _with_key(read, read)

    @field_validator("write")
    @classmethod
    def _is_a_write(cls, write: str) -> str:
        found = _WRITE.fullmatch(write)
        if found is None:
            raise ValueError(f"'{write:.80}' is no write; give a method and a path: 'PUT /api/orders/{{key}}'")
        if found[1] != "POST":
            _with_key(found[2], write)
        elif parse_template(found[2]).names - {"key"}:
            raise ValueError(f"in '{write:.80}' only '{{key}}' can be filled in")
        return write

    @field_validator("body")
    @classmethod
    def _is_a_template(cls, body: str) -> str:
        unknown = sorted(parse_template(body).names - {"key", "answer"})
        if unknown:
            raise ValueError(
                f"nothing is named '{{{unknown[0]}}}' here; known are '{{key}}' and '{{answer}}', and '{{{{' is a brace"
            )
        return body

    @property
    def method(self) -> str:
        return self.write.partition(" ")[0]

    @property
    def target(self) -> str:
        """The template of the path that is written to."""
        return self.write.partition(" ")[2]


def _with_key(template: str, shown: str) -> str:
    if parse_template(template).names != {"key"}:
        raise ValueError(
            f"'{shown:.80}' is to have '{{key}}' where a key is filled in, and nothing else: '/api/orders/{{key}}'"
        )
    return shown
