"""`shadow.backfill`: how what legacy held before the first copy is read there, and written to the candidate."""

from __future__ import annotations

import re

from pydantic import field_validator

from rules.names import Block
from rules.templates import parse_template

ANSWER = "answer"
"""In place of a template: legacy's answer as it came."""
_WRITE = re.compile(r"(PUT|POST|PATCH) (/\S*)")


class Backfill(Block):
    """A key at a time: read on legacy, written to the candidate."""

    read: str
    """Path (and query) that gives what legacy holds of a key: ``/api/orders/{key}``."""
    write: str
    """Method and path that give it to the candidate: ``PUT /api/orders/{key}``."""
    body: str = ANSWER
    """``answer``: what legacy answered. Or a template with ``{key}`` and ``{answer}``: ``'{{"data": {answer}}}'``."""

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
