"""What a worker decides by, compiled of what control published route by route, or taken over where nothing changed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping

from xxhash import xxh3_128_digest

from rules.document import Route
from rules.effective import Pointer, Position, RulesLines, declared_position, read_route
from rules.table import Table, TableBuilder

Specs = tuple[dict[bytes, Route], ...]
"""Hash of a route's line -> the route, by the hash's first byte: one dictionary of all would take 10 ms to grow."""


_NONE: Specs = tuple({} for _ in range(256))


class Compiled:
    """The rules of one digest, compiled; `table` is replaced as routes move."""

    __slots__ = ("positions", "specs", "table")

    def __init__(self, table: Table, specs: Specs, positions: Mapping[str, Position]) -> None:
        self.table = table
        self.positions = positions
        """Where `table` has routes stand elsewhere than the rules say."""
        self.specs = specs
        """A line that the next rules have too need not be read again."""


class Deciding:
    """Implements proxy.following.Table; `decide_by` is told of every table."""

    def __init__(self, decide_by: Callable[[Table], None]) -> None:
        self._decide_by = decide_by
        self._in_force: Compiled | None = None

    @property
    def generation(self) -> int:
        return self._in_force.table.generation if self._in_force is not None else 0

    def read(self, digest: str, lines: RulesLines) -> Generator[None, None, Compiled]:
        former = self._in_force
        known = former.specs if former is not None else _NONE
        # Routes that were moved are most likely to stand there still when these rules come into force.
        positions = former.positions if former is not None else {}
        builder = TableBuilder(
            lines.head.rules, positions, 1, former.table if former is not None else None, lines.head.watches
        )
        specs: Specs = tuple({} for _ in range(256))
        for line in lines.route_lines():
            key = xxh3_128_digest(line)
            spec = known[key[0]].get(key)
            if spec is None:
                spec = read_route(line)
            specs[key[0]][key] = spec
            builder.add(spec)
            yield
        return Compiled(builder.finish(), specs, positions)

    def stand(self, pointer: Pointer, content: Compiled) -> None:
        content.table = content.table.restand(pointer.generation, _moves(content, pointer.positions))
        content.positions = pointer.positions
        self._in_force = content
        self._decide_by(content.table)

    def let_go(self, content: Compiled) -> Generator[None, None, None]:
        """Freed at once, 100,000 routes would hold up everything for a quarter of a second."""
        for some in content.specs:
            while some:
                some.popitem()
                yield
        yield from content.table.dissolve()


def _moves(content: Compiled, positions: Mapping[str, Position]) -> dict[str, Position]:
    """Where routes go that stood elsewhere until now."""
    moves = {}
    for name in {*content.positions, *positions}:
        position = positions.get(name)
        if position != content.positions.get(name) and name in content.table.by_name:
            moves[name] = position or declared_position(content.table.by_name[name].spec)
    return moves
