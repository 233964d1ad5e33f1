"""The causes of a route, read from pairs.db: what the report, `fig shadow causes` and the certificate show of them."""

from __future__ import annotations

from shadow.causes.grouping import causes
from shadow.causes.states import Known, known_causes
from shadow.pairs.reader import PairReader


def read_causes(reader: PairReader, route: str) -> tuple[Known, ...]:
    """Every cause of the route, in any window that is kept; those of the current window first."""
    windows = reader.windows(route)
    found = {window.number: causes(route, reader.groups(window)) for window in windows}
    return known_causes(windows, found, reader.acknowledgements(route))


def examples(known: Known) -> tuple[str, ...]:
    """Ids of pairs with a member, the earliest of each place first; some may have been dropped with `shadow.keep`."""
    return tuple(dict.fromkeys(example.pair for example in known.cause.examples))
