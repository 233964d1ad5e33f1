"""A copy where a route changes something for the side that gets it. Values only.

Worked out when the request is decided, by the rules that decided it, and recorded with it: a delivery that is tried
again next week says what the first attempt said.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from shadow.pair import Headers


def size_of(headers: Sequence[tuple[bytes, bytes]]) -> int:
    """Bytes of header lines, about."""
    return sum(len(name) + len(value) for name, value in headers)


class Adapted(msgspec.Struct, frozen=True, array_like=True):
    """In place of what the client sent, and what becomes of the answer."""

    target: str
    """Path and query."""
    host: str
    """``""``: that of the service."""
    headers: list[tuple[bytes, bytes]]
    """Without hop-by-hop fields and Host."""
    answer_removed: list[str] = []
    """Names in lower case: fields of the answer that no client would get."""
    answer_added: list[tuple[bytes, bytes]] = []
    """Lines that every client would get."""

    @property
    def size(self) -> int:
        """Bytes, about."""
        return len(self.target) + size_of(self.headers)

    def answer_headers(self, headers: Headers) -> Headers:
        """The answer's headers as a client of this side would get them: these are compared."""
        removed = {name.replace("_", "-") for name in self.answer_removed}
        kept = tuple(line for line in headers if line[0].lower().replace("_", "-") not in removed)
        return kept + tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in self.answer_added)
