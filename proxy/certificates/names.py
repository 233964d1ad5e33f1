"""Which of several certificates a client gets that asks for a name. Pure.

RFC 9525 section 6.3: names are compared without letter case; `*` stands for the whole first label, and for one label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Named:
    """A certificate as far as choosing needs it."""

    hosts: tuple[str, ...]
    """DNS names from its subject alternative names, ``*.`` in front of a wildcard."""
    not_after: float
    """Seconds since the epoch."""


class Names:
    """An index of certificates by the names that they are for; a look-up costs two dictionary accesses."""

    __slots__ = ("_exact", "_wild")

    def __init__(self, certificates: Sequence[Named]) -> None:
        """Where several are for one name, the one that is valid longest counts; the earlier of equal ones."""
        self._exact: dict[str, int] = {}
        self._wild: dict[str, int] = {}
        order = sorted(range(len(certificates)), key=lambda number: -certificates[number].not_after)
        for number in order:
            for host in certificates[number].hosts:
                name = normal(host)
                label, _, parent = name.partition(".")
                if label == "*" and parent:
                    self._wild.setdefault(parent, number)
                elif "*" not in name:  # RFC 9525 6.3: no other wildcard is one
                    self._exact.setdefault(name, number)

    def choose(self, asked: str | None) -> int:
        """The number of the certificate for this name (SNI, RFC 6066 section 3); 0, the first, when none is for it."""
        if not asked:
            return 0
        name = normal(asked)
        found = self._exact.get(name)
        if found is None:
            found = self._wild.get(name.partition(".")[2])
        return 0 if found is None else found


def normal(name: str) -> str:
    """As names are compared: lower case, without the final dot of the root."""
    return name.lower().rstrip(".")
