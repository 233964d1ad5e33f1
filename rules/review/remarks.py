"""What a review finds: something that is allowed and probably not meant."""

from __future__ import annotations

from dataclasses import dataclass

from rules.asked import Asked


@dataclass(frozen=True, slots=True)
class Remark:
    code: str
    message: str
    """What is so, and what to do."""
    path: tuple[str | int, ...]
    """Where it is so, from the root of the rules: ``("routes", 3, "match")``."""
    witness: Asked | None = None
    """A request that shows it."""

    @property
    def route(self) -> int | None:
        """The number of the route, in file order."""
        number = self.path[1] if len(self.path) > 1 and self.path[0] == "routes" else None
        return number if isinstance(number, int) else None
