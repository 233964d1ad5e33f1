"""What `fig shadow report` lists of a route in a terminal beside its differences: masks, and what is unproven."""

from __future__ import annotations

from collections.abc import Iterator

from shadow.report.building import MaskReport, RouteReport

SHOWN = 20
"""Of each list."""


def listed(report: RouteReport) -> Iterator[tuple[str, list[str]]]:
    """Titles, and what stands below each; nothing where a list is empty."""
    for title, found in (
        ("masks, and what they excuse", [_mask(each) for each in report.masks]),
        ("unproven on its own", list(report.alone)),
    ):
        if found:
            more = [f"and {len(found) - SHOWN} more; --json and --html list them"] if len(found) > SHOWN else []
            yield title, [*found[:SHOWN], *more]


def _mask(report: MaskReport) -> str:
    """``/at ignore: 4 differences in 3 pairs; a clock of its own (ada, until 2027-01-01)``."""
    count, mask = report.count, report.mask
    differences = f"{count.count:,} {'difference' if count.count == 1 else 'differences'}"
    pairs = f"{count.pairs:,} {'pair' if count.pairs == 1 else 'pairs'}"
    excused = f"{differences} in {pairs}" if count.pairs else "nothing so far"
    if mask is None:
        return f"{report.name}: {excused}; not in the rules any more"
    until = f", until {mask.expires}" if mask.expires else ""
    if report.expired:
        until = f", expired {mask.expires}: excuses nothing any more"
    return f"{report.name}: {excused}; {mask.reason or 'no reason given'} ({mask.owner or 'no owner'}{until})"
