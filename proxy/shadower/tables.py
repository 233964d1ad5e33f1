"""What the shadower reads of the effective table: services, stages, comparisons, how writes are handled."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

from rules.document import Route, Writes
from rules.effective import Effective
from rules.service import Service
from rules.stages import Side
from shadow.spec import Comparison
from shadow.store import window_digest

GENERATIONS = 64
"""How many former generations are remembered: an intent may have been decided by one of them."""
_PLAIN = Comparison()
_DEFAULT = Writes()


class Tables:
    """The table in force. Everything may be asked before the first one is there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.generation = 0
        self._effective: Effective | None = None
        self._routes: dict[str, Route] = {}
        self._comparisons: dict[str, Comparison] = {}
        self._hiding: dict[Comparison, Comparison] = {}
        """The same, with the header that forces a side among what is redacted. Apart, so that no window ends by it."""
        self._copied: OrderedDict[int, frozenset[str]] = OrderedDict()
        """Generation -> the routes whose stage copies."""

    def load(self) -> None:
        """Read what control published. Raises OSError, ValueError; the former table then stays in force."""
        effective = Effective.decode(self._path.read_bytes())
        comparisons = {name: Comparison.model_validate(plain) for name, plain in effective.comparisons.items()}
        force = effective.rules.force
        self._effective = effective
        self._comparisons = comparisons
        self._hiding = (
            {one: _hiding(one, force.header) for one in (_PLAIN, *comparisons.values())}
            if force is not None and force.header is not None
            else {}
        )
        self._routes = {route.name: route for route in effective.rules.routes}
        self.generation = effective.generation
        self._copied[effective.generation] = frozenset(
            name for name in self._routes if effective.position(name).stage.copies
        )
        self._copied.move_to_end(effective.generation)
        while len(self._copied) > GENERATIONS:
            self._copied.popitem(last=False)

    @property
    def routes(self) -> tuple[str, ...]:
        """Names, in file order."""
        return tuple(self._routes)

    def service(self, route: str, side: Side) -> tuple[str, Service] | None:
        """(name, service) of a side; None for a route that the table does not have, or has without that side."""
        found = self._routes.get(route)
        if found is None or self._effective is None:
            return None
        rules = self._effective.rules
        name = found.candidate if side is Side.CANDIDATE else found.legacy or rules.legacy
        service = rules.services.get(name) if name else None
        return (name, service) if name and service is not None else None

    def copied(self, route: str, generation: int) -> bool:
        """Whether a write that was decided by `generation` owes the other side a copy.

        Owed when the generation is not known here: a copy too many is told apart by its key, one too few by nobody.
        """
        routes = self._copied.get(generation)
        return routes is None or route in routes

    def writes(self, route: str) -> Writes:
        """The route's `writes:`, or its defaults."""
        found = self._routes.get(route)
        return found.writes or _DEFAULT if found is not None else _DEFAULT

    def keep(self, route: str) -> float:
        """Seconds that what is over is kept."""
        found = self._routes.get(route)
        return found.shadow.keep if found is not None else 86_400.0

    def window_digests(self) -> dict[str, str]:
        """Per route, what its pairs stand and fall with: how they are compared, and where the candidate is."""
        digests = {}
        for route in self._routes:
            found = self.service(route, Side.CANDIDATE)
            digests[route] = window_digest(self.comparison(route), found[1].url if found else "")
        return digests

    def comparison(self, route: str) -> Comparison:
        """What judges this route's pairs; without one of its own, the plain one, which excuses nothing."""
        found = self._routes.get(route)
        name = found.shadow.compare if found is not None else None
        return self._comparisons.get(name, _PLAIN) if name is not None else _PLAIN

    def judging(self, route: str) -> Comparison:
        """`comparison`, and of what is kept it also hides the header whose value forces a side: a token stands in it.

        A cookie that forces is hidden as every cookie is.
        """
        comparison = self.comparison(route)
        return self._hiding.get(comparison, comparison)


def _hiding(comparison: Comparison, header: str) -> Comparison:
    redact = comparison.redact
    return comparison.model_copy(
        update={"redact": redact.model_copy(update={"headers": (*redact.headers, header.lower())})}
    )
