"""The shadow report as a comment on a pull request: verdicts in a table, then what blocks each route and why.

Everything that comes from services or rules is escaped: it shows as it is written, and no markup of its own takes
effect.
"""

from __future__ import annotations

from collections.abc import Iterator

from proxy.cli.rules.diff.markdown import LONGEST, code, plain
from proxy.cli.shadow.reading import visible
from shadow.certifying.certificate import CertificateVerdict
from shadow.report.building import Report, RouteReport

_MARKS = {
    CertificateVerdict.GO: "✅",
    CertificateVerdict.NO_GO: "❌",
    CertificateVerdict.TOO_FEW: "⏳",
    CertificateVerdict.FAULT: "❗",
}
_MOST_ROUTES = 50
_MOST_PLACES = 10
_LONGEST_SENTENCE = 500


def render(report: Report) -> str:
    """The comment, with a line end; without the details where it would be too long to post."""
    head, details = list(_head(report)), [line for route in report.routes for line in _route(route)]
    text = "\n".join([*head, *details]) + "\n"
    if len(text) <= LONGEST:
        return text
    return "\n".join([*head, "", "The details are too long for a comment; `fig shadow report` prints them."]) + "\n"


def _head(report: Report) -> Iterator[str]:
    yield "### Do legacy and candidate agree?"
    yield ""
    if not report.routes:
        yield "Nothing was compared yet."
    yield from (f"> {plain(visible(note))}\n" for note in report.notes)
    if not report.routes:
        return
    yield "| route | certificate | pairs | differ | streak |"
    yield "| --- | --- | ---: | ---: | ---: |"
    for route in report.routes[:_MOST_ROUTES]:
        verdict = route.certificate.verdict
        yield (
            f"| {code(route.route)} | {_MARKS[verdict]} {verdict} | {route.pairs:,} | {route.differing:,} "
            f"| {route.streak:,} |"
        )
    if len(report.routes) > _MOST_ROUTES:
        yield f"\n... and {len(report.routes) - _MOST_ROUTES:,} more routes."


def _route(route: RouteReport) -> Iterator[str]:
    if route.certificate.verdict is CertificateVerdict.GO and not route.differing:
        return
    yield ""
    yield f"**{plain(route.route)}**: {plain(visible(route.headline))}"
    yield ""
    yield from (f"- {plain(each)}" for each in route.blocks)
    told = [each.sentence for each in route.causes] or [
        f"{each.sentence} in {each.place.pairs:,} of {route.pairs:,} pairs" for each in route.places
    ]
    if told:
        yield ""
        yield f"<details><summary>{'Causes' if route.causes else 'Where they differ'}</summary>"
        yield ""
        yield from (f"- {plain(visible(each[:_LONGEST_SENTENCE]))}" for each in told[:_MOST_PLACES])
        if len(told) > _MOST_PLACES:
            yield f"- and {len(told) - _MOST_PLACES:,} more"
        yield ""
        yield "</details>"
