"""All that one `fig rules diff` found, for whoever writes it down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from proxy.cli.rules.diff.limits import Answer
from proxy.cli.rules.diff.logs import Reading
from proxy.cli.rules.diff.phrases import about, count, percent, summary, verdict
from rules.changes.difference import Change, Difference
from rules.changes.replay import Going, Traffic


@dataclass(frozen=True)
class Report:
    before: str
    """As it was named: a path."""
    after: str
    difference: Difference
    by_state: bool
    """Whether routes of `before` stand where a running fig has them."""
    traffic: Traffic | None = None
    readings: tuple[Reading, ...] = ()
    answers: tuple[Answer, ...] = ()

    def headline(self) -> str:
        """``1.2% of 1,204,331 requests would go elsewhere``; without a log, what changed."""
        traffic = self.traffic
        if traffic is None:
            return verdict(self.difference).rstrip(".")
        moved = traffic.all.requests
        if not traffic.requests:
            return "The logs hold no request"
        if not moved:
            text = f"None of {count(traffic.requests, 'request')} would go elsewhere"
        else:
            text = f"{percent(moved / traffic.requests)} of {count(traffic.requests, 'request')} would go elsewhere"
        if traffic.undecidable:
            text += f", {percent(Fraction(traffic.undecidable, traffic.requests))} cannot be told"
        return text

    def changes(self) -> list[tuple[int, Change]]:
        """Numbered; those that move the most requests first, then those that move any, then the others."""

        def rank(numbered: tuple[int, Change]) -> tuple[Fraction, int]:
            number, change = numbered
            going = self.going(number)
            effect = {"moves": 0, "may move": 1, "stays": 2}[change.effect]
            return (-going.requests if going is not None else Fraction(0), effect)

        return sorted(enumerate(self.difference.changes), key=rank)

    def going(self, number: int) -> Going | None:
        """What the logs' requests do on account of a change; None without a log, or when none goes."""
        return self.traffic.by_change.get(number) if self.traffic is not None else None

    def of_log(self, number: int) -> str:
        """``~14,452 requests (1.2%) of ~311 clients``; ``""`` without a log."""
        traffic = self.traffic
        if traffic is None or not traffic.requests:
            return ""
        going, undecided = self.going(number), traffic.open_by_change[number]
        parts = []
        if going is not None:
            parts.append(_requests(going, traffic.requests))
        if undecided:
            parts.append(f"{undecided:,} cannot be told")
        return ", ".join(parts) or "no request"

    def remarks(self) -> Iterator[str]:
        """What has to be known to read the figures."""
        traffic = self.traffic
        if not self.by_state:
            yield (
                "Routes stand where the files say; a running fig may have moved them since: --state FOLDER compares "
                "against where they stand now."
            )
        if traffic is None:
            return
        total = traffic.clients.count()
        clients = traffic.all.clients
        if total:
            kind = "" if traffic.clients.is_exact else ", counted to about 0.8%"
            going = about(clients, is_expected=traffic.all.is_expected)
            told = f"{going} of {total:,} clients ({percent(clients / total)}{kind})"
            yield f"{told} would see something go elsewhere; a client is an address."
        if traffic.all.is_expected:
            yield (
                "Numbers with ~ are expected ones: the logs hold no cookies and headers, so where these are the unit, "
                "each request counts, as if it had one, with the part of the units that goes, and each client with the "
                "largest such part."
            )
        if traffic.undecidable:
            yield (
                f"{count(traffic.undecidable, 'request')} cannot be told: where they go depends on a header, cookie, "
                "query, scheme or host that the logs do not hold. They count as undecidable, not as moved."
            )
        if traffic.refused:
            refused = count(traffic.refused, "request")
            yield f"{refused} fig refuses with 400, before and after: the path has no single reading."
        for reading in self.readings:
            yield from _of_reading(reading)


def _requests(going: Going, of: int) -> str:
    expected = going.is_expected
    requests = about(going.requests, "request", is_expected=expected)
    clients = about(going.clients, "client", is_expected=expected)
    return f"{requests} ({percent(going.requests / of)}) of {clients}"


def _of_reading(reading: Reading) -> Iterator[str]:
    if reading.format.value == "fig":
        yield f"{reading.name} is fig's own log, which holds the sampled and the failed exchanges, not all of them."
    if reading.malformed:
        first = "; ".join(f"line {number}: {why}" for number, why in reading.examples)
        more = "" if reading.malformed <= len(reading.examples) else "; ..."
        yield f"{reading.name}: {count(reading.malformed, 'line')} left out as malformed ({first}{more})"


def report_summary(report: Report) -> str:
    return f"{report.before} -> {report.after}: {summary(report.difference)}"
