"""The report as one offline HTML file: nothing is loaded from anywhere, and nothing that a service answered can run.

Jinja2 escapes every value; a content security policy that allows this file's own script and style by their hashes, and
nothing else, stands behind it. Characters that would not be seen, or turn the direction of what follows, are shown by
their numbers. The file holds counts of all pairs and MOST_SIZE characters of samples, so that it opens at once however
many pairs there are.
"""

from __future__ import annotations

import base64
import hashlib
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from rules.quantities import fraction_text
from shadow.certifying.certificate import CertificateVerdict
from shadow.comparing.aligned import Fold
from shadow.journal.key_history import KeyWrite
from shadow.journal.settling import short
from shadow.pairs.kept import KeptPair
from shadow.report.building import Report, RouteReport
from shadow.report.pair_view import PairView, parts, view
from shadow.report.tree import Branch, path_tree
from shadow.report.wording import sentence

MOST_PAIRS = 40
"""Pairs of one route that are shown."""
MOST_SIZE = 2_000_000
"""Characters of pairs that are shown, of all routes together."""
_BRIEF = 400
_TEMPLATES = Path(__file__).parent / "templates"
_VERDICTS = {
    CertificateVerdict.GO: "Good enough",
    CertificateVerdict.NO_GO: "Not good enough",
    CertificateVerdict.TOO_FEW: "Not enough seen yet",
    CertificateVerdict.FAULT: "A person has to look",
}
_KINDS = {
    "read": "reads compared",
    "write": "writes compared",
    "state": "read back from both sides",
    "unsettled": "reads left out: writes of their key were on their way",
    "no_pair": "no pair: nothing was owed, or the copy was given up",
    "dropped": "reads dropped: there was no room for their copy",
}

_TITLES = {
    "captured": "What was captured",
    "causes": "Causes",
    "places": "Where they differ",
    "pairs": "Pairs",
    "masks": "Masks, and what they excuse",
    "writes": "Writes and their copies",
    "windows": "Counted anew",
}
"""Parts of a route, in their order."""

History = Callable[[int], Sequence[KeyWrite]]
"""The writes around one, by its sequence in the journal."""


@dataclass(frozen=True)
class _Shown:
    """One route with the pairs that are shown of it."""

    route: RouteReport
    views: tuple[PairView, ...]
    left_out: int
    """Kept pairs that there was no room for."""

    @cached_property
    def tree(self) -> tuple[Branch, ...]:
        return path_tree(self.route.places)


def render_html(report: Report, history: History = lambda sequence: ()) -> str:
    """The whole file."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        when=_when, number=_number, rate=_rate, fraction=fraction_text, bar=_bar, milliseconds=_milliseconds,
        shown=shown, brief=_brief, capital=_capital, key=short,
    )  # fmt: skip
    script, style = _own("report.js"), _own("report.css")
    routes = tuple(_routes(report, history))
    anchors = [
        {each.kept.pair.id: f"pair-{number}-{place}" for place, each in enumerate(route.views, 1)}
        for number, route in enumerate(routes, 1)
    ]
    return environment.get_template("report.html").render(
        report=report,
        routes=routes,
        script=Markup(script),  # noqa: S704 (our own file)
        style=Markup(style),  # noqa: S704 (our own file)
        policy=f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; base-uri 'none'",
        verdicts=_VERDICTS,
        kinds=_KINDS,
        titles=_TITLES,
        parts=parts,
        sentence=sentence,
        is_fold=lambda row: isinstance(row, Fold),
        anchor_of=lambda number, view: anchors[number - 1][view.kept.pair.id],
        anchors=lambda number, samples: _anchors(anchors[number - 1], samples),
    )


def _routes(report: Report, history: History) -> Iterator[_Shown]:
    room = MOST_SIZE
    for route in report.routes:
        views: list[PairView] = []
        told = _told(route)
        for kept in told[:MOST_PAIRS]:
            one = view(kept, history(kept.pair.sequence) if kept.pair.sequence else ())
            # As long as there is any room a route shows a pair, for without one it would tell less than its counts.
            if one.size > room and (views or room <= 0):
                break
            room -= one.size
            views.append(one)
        yield _Shown(route, tuple(views), len(told) - len(views))


def _told(route: RouteReport) -> list[KeptPair]:
    """Each kept pair once: the first of every cause and place, then the second of each, at last one that agrees."""
    groups = [*(each.samples for each in route.causes), *(each.samples for each in route.places)]
    deepest = max(map(len, groups), default=0)
    samples = [group[at] for at in range(deepest) for group in groups if at < len(group)]
    return list({kept.pair.id: kept for kept in (*samples, *route.equal)}.values())


def _anchors(anchors: dict[str, str], samples: Sequence[KeptPair]) -> list[str]:
    return [anchors[kept.pair.id] for kept in samples if kept.pair.id in anchors]


def shown(text: object) -> str:
    """Text in which every character can be seen: controls, marks of direction and halves of characters by number."""
    plain = str(text)
    if plain.isprintable():
        return plain
    return "".join(
        each if each.isprintable() or each in "\t\n" or unicodedata.category(each) == "Zs" else f"\\u{{{ord(each):x}}}"
        for each in plain
    )


def _brief(text: str) -> str:
    return shown(text if len(text) <= _BRIEF else text[:_BRIEF] + "…")


def _capital(text: str) -> str:
    """A sentence from a clause; the rest of it stays as it is."""
    return text[:1].upper() + text[1:]


def _own(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _when(seconds: float | None) -> str:
    return "never" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _number(value: Any) -> str:
    return f"{value:,}"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms"


def _rate(part: float) -> str:
    """A part as per cent, with as many digits as a small one needs."""
    if part in (0, 1):
        return f"{part:.0%}"
    return f"{part * 100:.1f} %" if part >= 0.01 else f"{part * 100:.2g} %"


def _bar(part: float) -> str:
    """Width of a bar: visible however small the part is."""
    return f"{max(part * 100, 0.5):.2f}%"
