"""The compiled table of what is in force, for whoever must know where a request leads: explanations and probes.

Compiled off the loop from what is published, and kept until that changes; a move only has routes stand elsewhere in it.
"""

from __future__ import annotations

from collections.abc import Callable

from rules.effective import Effective
from rules.table import Table, compile_table


class TableInForce:
    """To be asked by one thread at a time."""

    def __init__(self, effective: Callable[[], Effective]) -> None:
        """`effective` gives what is in force now."""
        self._effective = effective
        self._known: tuple[Effective, Table] | None = None

    def table(self) -> Table:
        """Blocking: seconds for 100,000 routes that are new."""
        now = self._effective()
        if self._known is not None and self._known[0] is now:
            return self._known[1]
        known, self._known = self._known, None  # whatever happens, two tables are not kept
        if known is not None and known[0].rules is now.rules and known[0].positions.keys() <= now.positions.keys():
            table = known[1].restand(now.generation, now.positions)
        else:
            del known
            table = compile_table(now)
        self._known = (now, table)
        return table
