"""What the pairs of a state folder say, as data: read once, in one snapshot, and rendered elsewhere.

Words for people who own a product, not a service: `sentence` says what differs, `PlaceReport.rate` how often.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shadow.certificate import Certificate
from shadow.kept import KeptDifference, KeptPair, MaskCount, PlaceCount, Unproven, Window
from shadow.reader import PairReader
from shadow.report.wording import sentence
from shadow.spec import CertificateTarget


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
