"""What the pairs of a state folder say, as data: read once, in one snapshot, and rendered elsewhere.

Words for people who own a product, not a service: `sentence` says what differs, `PlaceReport.rate` how often.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shadow.certificate import Certificate, CertificateVerdict
from shadow.differences import DifferenceKind
from shadow.kept import KeptDifference, KeptPair, MaskCount, PlaceCount, Unproven, Window
from shadow.reader import PairReader
from shadow.spec import CertificateTarget

_SENTENCES = {
    DifferenceKind.NO_ANSWER: "one side gave no answer",
    DifferenceKind.STATUS: "the status differs",
    DifferenceKind.HEADER: "the header {name} differs",
    DifferenceKind.VALUE_CHANGED: "{name} has another value",
    DifferenceKind.TYPE_CHANGED: "{name} has another type",
    DifferenceKind.MISSING: "{name} is missing",
    DifferenceKind.ADDED: "{name} is extra",
    DifferenceKind.ITEM_MISSING: "{name} is missing",
    DifferenceKind.ITEM_ADDED: "{name} is extra",
    DifferenceKind.UNPARSABLE: "the candidate's or legacy's body cannot be read",
    DifferenceKind.BODY: "the bytes of the body differ",
    DifferenceKind.NOT_LOCATED: "{name} differs in more places than are listed",
    DifferenceKind.NOT_COMPARED: "the body is too large to be compared in full",
}
"""What is wrong with the candidate's answer, seen from legacy's."""


def sentence(kind: DifferenceKind, path: str) -> str:
    """One clause about the candidate's answer: ``/items/*/price has another value``."""
    item = kind in (DifferenceKind.ITEM_MISSING, DifferenceKind.ITEM_ADDED)
    name = path.removeprefix("header:") or "the whole body"
    if path.startswith("line:"):
        name = "a line of the text"
    elif path == "body":
        name = "the body"
    elif item and path.endswith("/*"):
        name = f"an item of {path[:-2] or 'the list'}"
    return _SENTENCES[kind].format(name=name)


@dataclass(frozen=True, slots=True)
class PlaceReport:
    """One path at which the answers of a route differ."""

    place: PlaceCount
    rate: float
    """Part of the window's pairs that differ here, 0 to 1."""
    samples: tuple[KeptPair, ...]

    @property
    def sentence(self) -> str:
        return sentence(self.place.kind, self.place.path)

    def differences(self, sample: KeptPair) -> tuple[KeptDifference, ...]:
        """The sample's differences at this path."""
        return tuple(
            each for each in sample.differences if (each.path, each.kind) == (self.place.path, self.place.kind)
        )


@dataclass(frozen=True, slots=True)
class RouteReport:
    """What the pairs of one route say."""

    route: str
    stage: str
    """Where it stands; empty when that is not known."""
    windows: tuple[Window, ...]
    """Latest first; what is counted here is the first one's."""
    certificate: Certificate
    places: tuple[PlaceReport, ...]
    masks: tuple[MaskCount, ...]
    unproven: Unproven

    @property
    def pairs(self) -> int:
        return self.windows[0].pairs if self.windows else 0

    @property
    def differing(self) -> int:
        return self.windows[0].differing if self.windows else 0

    @property
    def matches(self) -> int:
        return self.pairs - self.differing

    @property
    def headline(self) -> str:
        """One sentence that a product owner understands."""
        if not self.pairs:
            return "Nothing was compared yet."
        if not self.differing:
            return f"All {self.pairs:,} compared answers agree."
        worst = self.places[0].sentence if self.places else "the answers differ"
        return f"{self.differing:,} of {self.pairs:,} compared answers differ; most often, {worst}."


@dataclass(frozen=True, slots=True)
class Report:
    """What the pairs of a state folder say."""

    made: float
    """Seconds since the epoch."""
    routes: tuple[RouteReport, ...]

    @property
    def exit_code(self) -> int:
        """DESIGN section 7: 1 when anything differs, 4 with gaps or doubts, 3 when nothing was compared, else 0."""
        if any(route.differing for route in self.routes):
            return 1
        if any(route.unproven.gaps or route.unproven.doubts for route in self.routes):
            return 4
        return 0 if any(route.pairs for route in self.routes) else 3


def build_report(
    reader: PairReader,
    targets: Mapping[str, CertificateTarget],
    stages: Mapping[str, str],
    made: float,
    only: str | None = None,
    samples: int = 3,
) -> Report:
    """Read the report. `targets` and `stages` are by route, and need not have every one; `only` names one route.

    Routes come in the order of `stages`, then those that only the store knows.
    """
    known = reader.routes()
    order = [route for route in stages if route in known] + [route for route in known if route not in stages]
    return Report(
        made,
        tuple(
            _route(reader, route, targets.get(route, CertificateTarget()), stages.get(route, ""), samples)
            for route in order
            if only in (None, route)
        ),
    )


def _route(reader: PairReader, route: str, target: CertificateTarget, stage: str, samples: int) -> RouteReport:
    windows = reader.windows(route)
    places: Sequence[PlaceReport] = ()
    masks: Sequence[MaskCount] = ()
    if windows:
        window = windows[0]
        masks = reader.masks(window)
        places = [
            PlaceReport(place, place.pairs / max(1, window.pairs), reader.samples(window, place, samples))
            for place in reader.places(window)
        ]
    return RouteReport(
        route,
        stage,
        windows,
        reader.certificate(route, target),
        tuple(places),
        tuple(masks),
        reader.unproven(route),
    )


def to_document(report: Report) -> dict[str, Any]:
    """The report as plain data, for --json. Times are seconds since the epoch."""
    return {"made": report.made, "exit_code": report.exit_code, "routes": [_document(each) for each in report.routes]}


def _document(report: RouteReport) -> dict[str, Any]:
    window = report.windows[0] if report.windows else None
    return {
        "route": report.route,
        "stage": report.stage or None,
        "headline": report.headline,
        "pairs": report.pairs,
        "matches": report.matches,
        "differing": report.differing,
        "writes": window.writes if window else 0,
        "excused": window.excused if window else 0,
        "unsettled": window.unsettled if window else 0,
        "window": {"number": window.number, "since": window.started, "until": window.last, "reason": window.reason}
        if window
        else None,
        "restarts": [
            {"at": each.started, "reason": each.reason, "pairs": each.pairs}
            for each in report.windows
            if each.number > 1
        ],
        "certificate": certificate_document(report.certificate),
        "differences": [_place(each) for each in report.places],
        "masks": [{"mask": each.mask, "pairs": each.pairs, "excused": each.count} for each in report.masks],
        "gaps": report.unproven.gaps,
        "doubts": report.unproven.doubts,
        "undelivered": report.unproven.undelivered,
    }


def certificate_document(certificate: Certificate) -> dict[str, Any]:
    """A certificate as plain data."""
    target, evidence = certificate.target, certificate.evidence
    decided = certificate.verdict in (CertificateVerdict.GO, CertificateVerdict.NO_GO)
    return {
        "verdict": str(certificate.verdict),
        "reason": certificate.reason,
        "accuracy": target.accuracy,
        "confidence": target.confidence,
        "pairs_needed": target.pairs,
        "pairs": evidence.pairs,
        "differing": evidence.differing,
        "allowed": certificate.allowed,
        "bound": certificate.bound if decided else None,
    }


def _place(report: PlaceReport) -> dict[str, Any]:
    place = report.place
    return {
        "path": place.path,
        "kind": str(place.kind),
        "sentence": report.sentence,
        "pairs": place.pairs,
        "count": place.count,
        "rate": report.rate,
        "first": place.first,
        "last": place.last,
        "samples": [_sample(report, sample) for sample in report.samples],
    }


def _sample(report: PlaceReport, sample: KeptPair) -> dict[str, Any]:
    """One difference of a kept pair. Values are JSON text, so that no digit is lost on the way; null is no value."""
    found = report.differences(sample)
    pair = sample.pair
    return {
        "pair": pair.id,
        "method": pair.method,
        "target": pair.target,
        "started": pair.started,
        "pointer": found[0].pointer if found else report.place.path,
        "legacy": found[0].legacy if found else None,
        "candidate": found[0].candidate if found else None,
    }
