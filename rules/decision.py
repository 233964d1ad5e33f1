"""What is decided for one request, and what a decision may look at. Values only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from rules.stages import Side, Stage

if TYPE_CHECKING:
    from rules.compiled import CompiledRoute


OWN_PORTS = {"http": 80, "https": 443}
"""Of each scheme: what a URL or a Host without a port means."""


class Request(Protocol):
    """What matching, units and order keys may see of a request. The data plane's request head implements it."""

    @property
    def method(self) -> str: ...

    @property
    def host(self) -> str:
        """Lower case, without port."""

    @property
    def port(self) -> int:
        """The port that Host names, else that of the scheme."""

    @property
    def secure(self) -> bool:
        """Whether the client came by https, as far as fig, or a trusted proxy before it, knows."""

    @property
    def path(self) -> str:
        """Normalised (rules.matching.path.normalise), exactly as it is forwarded."""

    @property
    def query(self) -> str:
        """Without the ``?``; empty when absent."""

    @property
    def client(self) -> str:
        """The client's address in canonical text (IPv4-mapped IPv6 unmapped)."""

    def values(self, name: str) -> Sequence[str]:
        """Every value of the header `name` (given in lower case), in order; empty when absent."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Which side of which route answers, and why. One per (route, side, reason), made when the table is compiled."""

    route: CompiledRoute
    stage: Stage
    side: Side
    service: str
    reason: str
    """``forced``, ``stage``, ``share``, ``no unit``, ``no route``; ``redirect``, ``respond`` for fig's own answers."""
    copy_to: Side | None
    """The side that gets a copy of this exchange, or None."""
    counted: bool
    """Whether the exchange is evidence for the canary (a unit's bucket decided it)."""


class Choice(NamedTuple):
    """A decision for one request, with the unit it was made for."""

    decision: Decision
    unit: str
    """The unit's value, or ``""`` when there is none."""
    unit_hash: int
    """xxh64(salt + "|" + unit); the bucket is this mod 1,000,000. 0 without a unit."""
    issue: str
    """The Set-Cookie value (name=value; attributes) that this answer must carry, or ``""``."""
