"""What the pairs of a state folder say, as data: read once, in one snapshot, and rendered elsewhere.

Words for people who own a product, not a service: `sentence` says what differs, `PlaceReport.rate` how often.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from itertools import islice
from typing import TYPE_CHECKING

from shadow.causes.naming import claim, detail, example, extent
from shadow.causes.naming import sentence as cause_sentence
from shadow.causes.states import Known
from shadow.causes.tally import Example
from shadow.certifying.certificate import Certificate, judge_certificate
from shadow.certifying.statement import unproven_documents
from shadow.certifying.strata import Stratum, StratumKind
from shadow.certifying.text import unproven_lines
from shadow.journal.open_lists import OpenWrites
from shadow.journal.writes import Standing
from shadow.pairs.cause_reader import examples, read_causes
from shadow.pairs.kept import KeptDifference, KeptPair, MaskCount, PlaceCount, Unproven, Window
from shadow.pairs.reader import PairReader
from shadow.report.blocking import blocks, streak
from shadow.report.wording import sentence
from shadow.spec import CertificateTarget, Comparison, Mask

if TYPE_CHECKING:  # its statistics take half a second to import, and most reports have no noise to show
    from shadow.pairs.noise_reading import PathReport, RouteNoise


@dataclass(frozen=True, slots=True)
class PlaceReport:
    """One path at which the answers of a route differ."""

    place: PlaceCount
    rate: float
    """Part of the window's pairs that differ here, 0 to 1."""
    samples: tuple[KeptPair, ...]
    noise: PathReport | None = None
    """How often legacy disagrees with itself here; None where nobody asked it twice."""

    @property
    def sentence(self) -> str:
        return sentence(self.place.kind, self.place.path)

    @property
    def noise_sentence(self) -> str:
        """What is known of noise at this path; empty where nothing is."""
        if self.noise is None:
            return ""
        again = self.noise.noise
        return (
            f"legacy, asked again, differs from itself in {again.hits:,} of {again.of:,} "
            f"({again.low:.2%} to {again.high:.2%}): {self.noise.verdict}"
        )

    def differences(self, sample: KeptPair) -> tuple[KeptDifference, ...]:
        """The sample's differences at this path."""
        return tuple(
            each for each in sample.differences if (each.path, each.kind) == (self.place.path, self.place.kind)
        )


@dataclass(frozen=True, slots=True)
class MaskReport:
    """What one mask excused in the window, and who says that it may."""

    count: MaskCount
    mask: Mask | None
    """As the rules have it now; None where they have it no more."""
    expired: bool

    @property
    def name(self) -> str:
        return self.count.mask


@dataclass(frozen=True, slots=True)
class CauseReport:
    """What many differences of a route have in common."""

    name: str
    """What `fig shadow` commands call it."""
    claim: str
    """What the candidate does, in a clause: ``price is 100 times as large in the candidate``."""
    detail: str
    """What its members have in common beyond that; empty where that is all."""
    example: Example | None
    """A member that shows it; None where the claim or the detail does."""
    extent: str
    """How often, and where: ``in 252 of 702 answers, at /items/*/price``."""
    sentence: str
    """All of this in one."""
    state: str
    why: str
    """Which rule the state follows from; empty for what is simply new."""
    pairs: int
    first: float
    last: float
    known: Known
    samples: tuple[KeptPair, ...]
    """Kept pairs with a member, earliest first."""


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
    masks: tuple[MaskReport, ...]
    """Those that excused something, most pairs first; then those of the rules that excused nothing."""
    unproven: Unproven
    streak: int
    """Pairs in a row that agree, up to now."""
    equal: tuple[KeptPair, ...] = ()
    """Pairs that agree, latest first."""
    strata: tuple[Stratum, ...] = ()
    """Every request captured in the window, in one of them."""
    causes: tuple[CauseReport, ...] = ()
    open: OpenWrites | None = None
    """Of the writes, the latest few of what is open; None where the journal has nothing open, or was not read."""

    @property
    def captured(self) -> int:
        """Requests of clients that were captured in the window, with a pair or without."""
        return sum(each.pairs for each in self.requests)

    @property
    def requests(self) -> tuple[Stratum, ...]:
        """The strata of clients' requests: every one is in exactly one of them."""
        return tuple(each for each in self.strata if each.kind is not StratumKind.STATE)

    @property
    def read_back(self) -> tuple[Stratum, ...]:
        """The strata of what both sides hold of a key, which no client asked for."""
        return tuple(each for each in self.strata if each.kind is StratumKind.STATE)

    @property
    def alone(self) -> tuple[str, ...]:
        """What shows too little on its own, a sentence each; keys from before the first copy among them."""
        found = self.certificate
        return tuple(unproven_lines({"unproven": unproven_documents(found.evidence, found.target)}))

    @property
    def blocks(self) -> tuple[str, ...]:
        """What keeps the certificate from being GO."""
        return blocks(self.certificate, self.windows[0] if self.windows else None, self.unproven)

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
        if self.causes:
            worst = self.causes[0].claim
        else:
            worst = self.places[0].sentence if self.places else "the answers differ"
        return f"{self.differing:,} of {self.pairs:,} compared answers differ; most often, {worst}."


@dataclass(frozen=True, slots=True)
class Report:
    """What the pairs of a state folder say."""

    made: float
    """Seconds since the epoch."""
    routes: tuple[RouteReport, ...]
    notes: tuple[str, ...] = ()
    """What could not be read, and what the report therefore does not know; a sentence each."""

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
    comparisons: Mapping[str, Comparison] | None = None,
    noises: Mapping[str, RouteNoise] | None = None,
    opened: Mapping[str, OpenWrites] | None = None,
    notes: Sequence[str] = (),
    unseeded: Mapping[str, int] | None = None,
) -> Report:
    """Read the report. What is given by route need not have every one; `only` names one route.

    `opened` is what the journal says; where it says nothing of a route, what the shadower last noted counts. `unseeded`
    is how many keys backfill has not given to the candidate, of routes of which somebody named keys.

    Routes come in the order of `stages`, then those that only the store knows.
    """
    known = reader.routes()
    order = [route for route in stages if route in known] + [route for route in known if route not in stages]
    today = datetime.fromtimestamp(made, UTC).date()
    routes = []
    for route in order:
        if only in (None, route):
            target = targets.get(route, CertificateTarget())
            masks = (comparisons or {}).get(route, Comparison()).masks
            given = _Given(
                samples, today, masks, (noises or {}).get(route), (opened or {}).get(route), (unseeded or {}).get(route)
            )
            routes.append(_route(reader, route, target, stages.get(route, ""), given))
    return Report(made, tuple(routes), tuple(notes))


@dataclass(frozen=True, slots=True)
class _Given:
    """What a route's report is made of beside its pairs."""

    samples: int
    today: date
    masks: Sequence[Mask]
    noise: RouteNoise | None
    opened: OpenWrites | None
    unseeded: int | None


def _route(reader: PairReader, route: str, target: CertificateTarget, stage: str, given: _Given) -> RouteReport:
    noisy = {each.path: each for each in given.noise.paths} if given.noise is not None else {}
    windows = reader.windows(route)
    places: Sequence[PlaceReport] = ()
    counts: Sequence[MaskCount] = ()
    equal: Sequence[KeptPair] = ()
    strata: Sequence[Stratum] = ()
    agreed = 0
    if windows:
        window = windows[0]
        counts = reader.masks(window)
        places = [
            PlaceReport(
                place,
                place.pairs / max(1, window.pairs),
                reader.samples(window, place, given.samples),
                noisy.get(place.path),
            )
            for place in reader.places(window)
        ]
        equal = reader.equal(window, 1) if given.samples else ()
        strata = reader.strata(window)
        agreed = streak(window, reader.last_difference(window))
    evidence, unproven = replace(reader.evidence(route, target), unseeded=given.unseeded), reader.unproven(route)
    if given.opened is not None:
        unproven = _as_of_the_journal(unproven, given.opened.standing)
        evidence = replace(
            evidence,
            gaps=unproven.gaps,
            doubts=unproven.doubts,
            dead=unproven.dead,
            undelivered=unproven.undelivered,
            overdue=unproven.overdue,
            declared=unproven.declared,
        )
    return RouteReport(
        route,
        stage,
        windows,
        judge_certificate(evidence, target),
        tuple(places),
        tuple(_masks(counts, given.masks, given.today)),
        unproven,
        agreed,
        tuple(equal),
        tuple(strata),
        tuple(
            _cause(reader, known, given.samples) for known in read_causes(reader, route) if known.window == windows[0]
        ),
        given.opened,
    )


def _as_of_the_journal(noted: Unproven, standing: Standing) -> Unproven:
    """What is open now, as `fig shadow certify` has it: the journal is ahead of what was noted of it."""
    return replace(
        noted,
        gaps=max(noted.gaps, standing.gaps),
        doubts=max(noted.doubts, standing.in_doubt),
        dead=max(noted.dead, standing.dead),
        undelivered=standing.undelivered,
        overdue=standing.overdue,
        declared=standing.declared,
    )


def _cause(reader: PairReader, known: Known, samples: int) -> CauseReport:
    cause = known.cause
    kept = (pair for name in examples(known) if (pair := reader.pair(name)) is not None)
    return CauseReport(
        cause.id,
        claim(cause),
        detail(cause),
        example(cause),
        extent(cause, known.window.pairs),
        cause_sentence(cause, known.window.pairs),
        str(known.state),
        known.why,
        cause.pairs,
        known.first,
        known.last,
        known,
        tuple(islice(kept, samples)),
    )


def _masks(counts: Sequence[MaskCount], masks: Sequence[Mask], today: date) -> Iterator[MaskReport]:
    named: dict[str, Mask] = {}
    for mask in masks:  # of two that excuse the same, the first one that is in force
        if mask.name not in named or (named[mask.name].is_expired(today) and not mask.is_expired(today)):
            named[mask.name] = mask
    used = {count.mask for count in counts}
    unused = [MaskCount(name, 0, 0) for name in named if name not in used]
    for count in (*counts, *unused):
        found = named.get(count.mask)
        yield MaskReport(count, found, found is not None and found.is_expired(today))
