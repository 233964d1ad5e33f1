"""What the shadower reads of the effective table: services, stages, comparisons, how writes are handled."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Mapping, Set
from dataclasses import dataclass, field
from functools import lru_cache

from rules.backfill import Backfill
from rules.compiled import order_reader
from rules.decision import Request
from rules.document import Route, Rules, Writes
from rules.effective import Pointer, Position, RulesLines, read_route
from rules.match import Match
from rules.rewriting import SideChange, compile_changes
from rules.service import Service
from rules.stages import Side, Stage
from shadow.certifying.terms import day_after, day_of, digest_of, ends, other_days
from shadow.spec import CertificateTarget, Comparison

GENERATIONS = 64
"""How many former generations are remembered: an intent may have been decided by one of them."""
MANY = 1000
"""Routes of which each is looked after every second, whether anything is copied there or not."""
_PLAIN = Comparison()
_DEFAULT = Writes()


@dataclass(frozen=True, slots=True)
class Content:
    """The rules of one digest, as far as the shadower looks at them."""

    rules: Rules
    """But for the routes."""
    routes: dict[str, Route]
    """Those that have sides, in file order."""
    copied: set[str]
    """Those of them that the file puts into a stage that copies."""
    comparisons: Mapping[str, Comparison]
    read_back: set[str] = field(default_factory=set)
    """Those of which a side can be asked whether it has applied a write."""
    order_readers: dict[str, Callable[[Request], str]] = field(default_factory=dict)
    """By route, made when first asked for."""
    changes: dict[str, Mapping[Side, SideChange | None]] = field(default_factory=dict)
    """The same of what routes change for their sides."""
    targets: dict[str, CertificateTarget] = field(default_factory=dict)
    """Route -> what its certificate is to show, where one is asked for."""

    def add(self, route: Route) -> None:
        """The next route in file order; one that has no sides is passed over."""
        if route.candidate is not None:
            self.routes[route.name] = route
            if route.stage.copies:
                self.copied.add(route.name)
            if route.writes is not None and route.writes.read_back is not None:
                self.read_back.add(route.name)


_NOTHING = Content(Rules.model_construct(version=1, services={}, legacy=""), {}, set(), {})


@dataclass(frozen=True, slots=True)
class Terms:
    """What the pairs of a route are judged by."""

    digest: str
    """Of the window that they count in."""
    comparison: Comparison
    """With the masks that are in force, and of what is kept it also hides the header whose value forces a side: a token
    stands in it. A cookie that forces is hidden as every cookie is."""


class Tables:
    """The table in force. Everything may be asked before the first one is there. Implements proxy.following.Table."""

    def __init__(self, on_stand: Callable[[], None] = lambda: None, now: float | None = None) -> None:
        """`on_stand` is called when another table has come into force; `now` is in seconds since the epoch."""
        self.generation = 0
        self._on_stand = on_stand
        self._content = _NOTHING
        self._positions: Mapping[str, Position] = {}
        self._terms: dict[str, Terms] = {}
        """By route, made when first asked for."""
        self._day = day_of(time.time() if now is None else now)
        """That `expires` of masks is held against."""
        self._hidden_header: str | None = None
        """The one that forces a side: redacted too, but no part of the comparison, so that no window ends by it."""
        self._stood: OrderedDict[int, tuple[set[str], Mapping[str, Position]]] = OrderedDict()
        """Generation -> the routes that its file has copied, and the positions that say otherwise."""

    def read(self, digest: str, lines: RulesLines) -> Generator[None, None, Content]:
        head = lines.head
        comparisons = {name: Comparison.model_validate(plain) for name, plain in head.comparisons.items()}
        content = Content(head.rules, {}, set(), comparisons)
        for line in lines.route_lines():
            content.add(read_route(line))
            yield
        for name, plain in lines.certificates():
            content.targets[name] = CertificateTarget.model_validate(plain)
            yield
        return content

    def stand(self, pointer: Pointer, content: Content) -> None:
        force = content.rules.force
        self._content, self._positions = content, pointer.positions
        self._hidden_header = force.header if force is not None else None
        self._terms = {}
        self.generation = pointer.generation
        latest = next(reversed(self._stood.values()), (content.copied, {}))[0]
        # Other rules mostly copy the same routes, and 64 sets of 100,000 names are half a gigabyte.
        self._stood[pointer.generation] = latest if latest == content.copied else content.copied, pointer.positions
        self._stood.move_to_end(pointer.generation)
        while len(self._stood) > GENERATIONS:
            self._stood.popitem(last=False)
        self._on_stand()

    def let_go(self, content: Content) -> Generator[None, None, None]:
        """Routes one at a time; `copied` stays with the generations that look at it."""
        while content.routes:
            content.routes.popitem()
            yield

    @property
    def routes(self) -> tuple[str, ...]:
        """Names of those that may have pairs and writes, in file order; of many, those whose stage copies now."""
        return tuple(self._content.routes) if len(self._content.routes) <= MANY else tuple(self.copying)

    def service(self, route: str, side: Side) -> tuple[str, Service] | None:
        """(name, service) of a side; None for a route that the table does not have, or has without that side."""
        found = self._content.routes.get(route)
        if found is None:
            return None
        rules = self._content.rules
        name = found.candidate if side is Side.CANDIDATE else found.legacy or rules.legacy
        service = rules.services.get(name) if name else None
        return (name, service) if name and service is not None else None

    def copied(self, route: str, generation: int) -> bool:
        """Whether a write that was decided by `generation` owes the other side a copy.

        Owed when the generation is not known here: a copy too many is told apart by its key, one too few by nobody.
        """
        stood = self._stood.get(generation)
        if stood is None:
            return True
        by_file, positions = stood
        position = positions.get(route)
        return route in by_file if position is None else position.stage.copies

    @property
    def copying(self) -> list[str]:
        """Routes whose stage copies now."""
        elsewhere = self._positions
        found = [name for name, position in elsewhere.items() if position.stage.copies and name in self._content.routes]
        return found + [name for name in self._content.copied if name not in elsewhere]

    def writes(self, route: str) -> Writes:
        """The route's `writes:`, or its defaults."""
        found = self._content.routes.get(route)
        return found.writes or _DEFAULT if found is not None else _DEFAULT

    def match(self, route: str) -> Match | None:
        """What the route takes; None for a route that the table does not have, or has without sides."""
        found = self._content.routes.get(route)
        return found.match if found is not None else None

    def order_reader(self, route: str) -> Callable[[Request], str] | None:
        """What reads the order key of the route's requests; None where they have none."""
        found = self._content.routes.get(route)
        if found is None or found.writes is None or found.writes.order_by is None:
            return None
        reader = self._content.order_readers.get(route)
        if reader is None:
            reader = self._content.order_readers[route] = order_reader(found.writes.order_by, found.match)
        return reader

    @property
    def read_back(self) -> Set[str]:
        """Routes of which a side can be asked whether it has applied a write."""
        return self._content.read_back

    def backfill(self, route: str) -> Backfill | None:
        """How the route's keys are given to its candidate."""
        found = self._content.routes.get(route)
        return found.shadow.backfill if found is not None else None

    def stage(self, route: str) -> Stage | None:
        """Where the route stands; None for one that the table does not have, or has without sides."""
        found = self._content.routes.get(route)
        if found is None:
            return None
        position = self._positions.get(route)
        return found.stage if position is None else position.stage

    def keep(self, route: str) -> float:
        """Seconds that what is over is kept."""
        found = self._content.routes.get(route)
        return found.shadow.keep if found is not None else 86_400.0

    def noise(self, route: str) -> int:
        """Millionths of the route's mirrored reads of which legacy is asked again."""
        found = self._content.routes.get(route)
        return found.shadow.noise if found is not None else 0

    def changes(self, route: str) -> tuple[Route, Mapping[Side, SideChange | None]] | None:
        """The route with what it changes for each side; None for one that the table does not have."""
        found = self._content.routes.get(route)
        if found is None:
            return None
        changes = self._content.changes.get(route)
        if changes is None:
            changes = self._content.changes[route] = compile_changes(found, self._content.rules.defaults)
        return found, changes

    def changes_legacy(self, route: str) -> bool:
        """Whether legacy gets, or its clients get of it, something else than was asked or answered."""
        found = self.changes(route)
        return found is not None and found[1][Side.LEGACY] is not None

    def window_digest(self, route: str) -> str:
        """What the route's pairs stand and fall with today: how they are compared, and where the candidate is."""
        terms = self.terms(route)
        return terms.digest if terms is not None else ""

    def other_days(self, route: str) -> Mapping[str, str]:
        """Digests of the route's window on other days, and why they are not today's."""
        found = self._content.routes.get(route)
        if found is None:
            return {}
        return other_days(
            self._content.rules, found, self.comparison(route), self._day, self._content.targets.get(route)
        )

    def turn(self, now: float) -> bool:
        """To be told the time (seconds since the epoch) now and then: whether masks have expired since."""
        former, self._day = self._day, day_after(self._day, now)
        if former == self._day:
            return False
        first, last = sorted((former, self._day))
        turned = any(first < day <= last for one in self._content.comparisons.values() for day in ends(one.masks))
        if turned:
            self._terms = {}
        return turned

    def judged_on(self, route: str) -> int:
        """How many pairs the route's certificate is judged on; 0 where none is asked for."""
        target = self._content.targets.get(route)
        return target.pairs if target is not None else 0

    def comparison(self, route: str) -> Comparison:
        """What judges this route's pairs; without one of its own, the plain one, which excuses nothing."""
        found = self._content.routes.get(route)
        name = found.shadow.compare if found is not None else None
        return self._content.comparisons.get(name, _PLAIN).for_route(route) if name is not None else _PLAIN

    def terms(self, route: str) -> Terms | None:
        """What a pair is judged by now. Safe in any thread.

        None for a route that the table does not have, or has without sides: what its comparison would have hidden is
        not known any more, so nothing of its pairs may be kept.
        """
        known = self._terms  # before what terms are made of: whoever changes that puts an empty one here afterwards
        terms = known.get(route)
        if terms is None:
            content, day, header = self._content, self._day, self._hidden_header
            found = content.routes.get(route)
            if found is None:
                return None
            name = found.shadow.compare
            comparison = content.comparisons.get(name, _PLAIN) if name is not None else _PLAIN
            digest = digest_of(content.rules, found, comparison, day, content.targets.get(route))
            judging = comparison.for_route(route).in_force(day)
            terms = known[route] = Terms(digest, _hiding(judging, header) if header is not None else judging)
        return terms

    def judging(self, route: str) -> Comparison | None:
        """`comparison` with the masks that are in force; None as for `terms`."""
        terms = self.terms(route)
        return terms.comparison if terms is not None else None


@lru_cache(maxsize=256)
def _hiding(comparison: Comparison, header: str) -> Comparison:
    redact = comparison.redact
    return comparison.model_copy(
        update={"redact": redact.model_copy(update={"headers": (*redact.headers, header.lower())})}
    )
