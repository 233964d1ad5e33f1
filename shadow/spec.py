"""The blocks of the rules file that this package reads: `comparisons.*` and `routes[].shadow.certificate`.

Frozen pydantic models; unknown keys are refused. rules.reading.loader validates nodes against them and maps every error
to its line, so messages here say what is wrong and show what would be right.
"""

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Literal, Self

import re2
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from rules.quantities import Fraction, fraction_text, parse_duration
from shadow.redaction.forms import Detector

DEFAULT_HEADERS = ("content-type", "location", "cache-control")
"""Compared unless a comparison lists others: the three that change what a client or a cache does with an answer."""


class Block(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MaskKind(StrEnum):
    """The predicates that can excuse a difference. Each must hold on both sides (`ignore` always holds)."""

    TIMESTAMP = "timestamp"
    UUID = "uuid"
    ANY_ORDER = "any_order"
    SAME_SET = "same_set"
    NUMBER = "number"
    MATCHES = "matches"
    IGNORE = "ignore"


def _check_path(path: str) -> str:
    """`/items/*/price` (JSON, XML, HTML), `header:etag`, `form:name`, `status`, `body` or `line:*` (paths.py)."""
    if path == "" or path.startswith(("/", "line:", "form:")) or path in ("status", "body"):
        return path
    if path.startswith("header:"):
        name, slash, cookie = path.partition("/")  # names of cookies are told apart by case
        return name.lower() + slash + cookie
    raise ValueError(
        f"'{path}' is no path of an answer; write a JSON Pointer with * for one and ** for any number of steps "
        "('/items/*/price'), 'header:NAME', 'form:NAME', 'status', 'body' or 'line:*'"
    )


def _check_field(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError(f"'{path}' is no JSON path; write '/card/number', or '/**/number' for one at any depth")
    return path


def _lower(name: str) -> str:
    return name.lower()


AnswerPath = Annotated[str, AfterValidator(_check_path)]
FieldPath = Annotated[str, AfterValidator(_check_field)]
HeaderName = Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"), AfterValidator(_lower)]


def compile_expression(text: str) -> re2._Regexp:
    """An RE2 expression: linear in what it reads, whatever was written. Raises ValueError."""
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error as exc:
        detail = exc.args[0].decode(errors="replace") if exc.args and isinstance(exc.args[0], bytes) else str(exc)
        raise ValueError(f"'{text}' is no RE2 expression: {detail}") from exc


class Tolerance(BaseModel):
    """How far two numbers may be apart: absolute, or relative to the larger of the two."""

    model_config = ConfigDict(frozen=True)
    value: Decimal
    relative: bool


def parse_tolerance(text: str) -> Tolerance:
    """``0.01`` is absolute, ``1%`` relative. Raises ValueError."""
    relative = text.endswith("%")
    try:
        value = Decimal(text.removesuffix("%").strip())
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value < 0:
        raise ValueError(f"'{text}' is no tolerance; write 0.01 for an absolute or 1% for a relative one")
    return Tolerance(value=value / 100 if relative else value, relative=relative)


_NEEDS = {
    MaskKind.TIMESTAMP: ("within", "2s"),
    MaskKind.NUMBER: ("within", "0.01"),
    MaskKind.MATCHES: ("pattern", "'[a-z]{2}-[0-9]+'"),
}
"""Mask kind -> the option that it cannot do without, and an example of it."""
_TAKES = {
    MaskKind.TIMESTAMP: ("within", "pattern"),
    MaskKind.NUMBER: ("within", "pattern"),
    MaskKind.UUID: ("version",),
    MaskKind.MATCHES: ("pattern",),
    MaskKind.ANY_ORDER: ("by",),
}
"""Mask kind -> the options that mean something to it."""
_OPTIONS = ("within", "by", "version", "pattern")
"""What makes two masks of one path and kind excuse different things."""
_LONGEST = 80
"""Characters of an option that a mask's name has."""
OF_LISTS = frozenset((MaskKind.ANY_ORDER, MaskKind.SAME_SET))
"""Kinds that say how the items of a list are matched."""


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({sha256(text.encode()).hexdigest()[:8]})"


class Mask(Block):
    """A predicate that excuses a difference at the places that `path` names, and counts what it excused."""

    path: AnswerPath
    """Where: ``/generated_at``, ``/items/*/id``, ``/**/updated``, ``header:etag``, ``body``."""
    kind: MaskKind
    """What must hold on both sides for the difference to be excused."""
    routes: tuple[str, ...] = ()
    """The routes where it holds, of those that name the comparison; empty for all of them."""
    within: str | None = None
    """`timestamp`: how far apart (``2s``). `number`: absolute (``0.01``) or relative (``1%``)."""
    by: str | None = None
    """`any_order`: the field that identifies an item; without it the lists are compared as multisets."""
    pattern: str | None = None
    """`matches`: RE2 expression that both values match in full. `timestamp`, `number`: that both must match besides."""
    version: int | None = Field(default=None, ge=1, le=8)
    """`uuid`: both are of this version, and written as RFC 9562 section 4 has it, in lower case."""
    owner: str | None = None
    """Who answers for this mask."""
    reason: str | None = None
    """Why the difference is fine."""
    expires: date | None = None
    """From this day (UTC) on the mask excuses nothing."""

    @field_validator("within", mode="before")
    @classmethod
    def _number_as_text(cls, value: object) -> object:
        """YAML reads ``within: 0.01`` as a number; keep the digits as written."""
        return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value

    @field_validator("within")
    @classmethod
    def _check_within(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("kind") is MaskKind.TIMESTAMP:
            parse_duration(value)
        if value is not None and info.data.get("kind") is MaskKind.NUMBER:
            parse_tolerance(value)
        return value

    @field_validator("pattern")
    @classmethod
    def _check_pattern(cls, value: str | None) -> str | None:
        if value is not None:
            compile_expression(value)
        return value

    @model_validator(mode="after")
    def _check_needs(self) -> Self:
        """Each kind has the option that it needs, and none that means nothing to it."""
        needed, example = _NEEDS.get(self.kind, ("", ""))
        if needed and getattr(self, needed) is None:
            raise ValueError(f"a mask of kind '{self.kind}' needs '{needed}', for example {needed}: {example}")
        for name in _OPTIONS:
            if getattr(self, name) is not None and name not in _TAKES.get(self.kind, ()):
                raise ValueError(f"a mask of kind '{self.kind}' has no '{name}'")
        if self.kind in OF_LISTS and self.path and not self.path.startswith("/"):
            raise ValueError(f"a mask of kind '{self.kind}' is for lists in JSON; '{self.path}' is none")
        return self

    @property
    def name(self) -> str:
        """How reports and counters call this mask: ``/at timestamp within 2s``, on one line.

        Masks of one name excuse the same, so that each has a count of its own: on one route there are no two the same
        (proxy.rulebook).
        """
        told = [f"{key} {_short(str(value))}" for key in _OPTIONS if (value := getattr(self, key)) is not None]
        return " ".join([self.path or "(whole body)", self.kind, *told]).replace("\n", "\\n")

    @property
    def alone(self) -> Mask:
        """What it excuses, whoever answers for it, wherever and however long it holds."""
        return self.model_copy(update={"routes": (), "owner": None, "reason": None, "expires": None})

    def meets(self, other: Mask) -> bool:
        """Whether there are routes where both hold, of those that name the comparison."""
        return not self.routes or not other.routes or not set(self.routes).isdisjoint(other.routes)

    @property
    def seconds(self) -> float:
        """`within` of a timestamp mask, in seconds."""
        return parse_duration(self.within)

    @property
    def tolerance(self) -> Tolerance:
        """`within` of a number mask."""
        return parse_tolerance(self.within or "0")

    def is_expired(self, on: date) -> bool:
        """Whether it excuses nothing any more, on that day (UTC)."""
        return self.expires is not None and on >= self.expires


class Redact(Block):
    """What is replaced by keyed hashes before anything is stored, beside Authorization, Cookie and their kin."""

    headers: tuple[HeaderName, ...] = ()
    """Header names, in requests and answers."""
    fields: tuple[FieldPath, ...] = ()
    """Paths in JSON, XML and HTML bodies: ``/card/number``, ``/**/password``, ``/card/@number``. The last step also
    names fields of forms."""
    query: tuple[str, ...] = ()
    """Names of query parameters."""
    detect: tuple[Detector, ...] = tuple(Detector)
    """What is found by its form, wherever it stands: card numbers, e-mail addresses, JWTs, IBANs."""
    because: str | None = None
    """Why `detect` leaves something out."""

    @model_validator(mode="after")
    def _says_why(self) -> Self:
        missing = [each.value for each in Detector if each not in self.detect]
        if missing and not (self.because or "").strip():
            raise ValueError(
                f"'detect' leaves out {', '.join(missing)}, so it may be stored as it stands; say in 'because' why "
                "that is right, for example because: 'orders are found by e-mail, agreed with data protection'"
            )
        if self.because is not None and not missing:
            raise ValueError("'because' says why 'detect' leaves something out, and it leaves out nothing; remove it")
        return self


class Comparison(Block):
    """How the two sides of a route are compared, and what of them may be kept."""

    status: bool = True
    """Whether the status codes must agree."""
    headers: tuple[HeaderName, ...] = DEFAULT_HEADERS
    """The answer headers that must agree."""
    masks: tuple[Mask, ...] = ()
    """What excuses a difference."""
    redact: Redact = Redact()
    """What is replaced before it is stored."""

    def for_route(self, route: str) -> Comparison:
        """As one route is compared: without the masks of other routes."""
        masks = tuple(mask for mask in self.masks if not mask.routes or route in mask.routes)
        return self if len(masks) == len(self.masks) else self.model_copy(update={"masks": masks})

    def in_force(self, on: date) -> Comparison:
        """As it compares on that day (UTC): without the masks that have expired, whatever day a pair is of."""
        if all(mask.expires is None for mask in self.masks):
            return self
        masks = tuple(mask.model_copy(update={"expires": None}) for mask in self.masks if not mask.is_expired(on))
        return self.model_copy(update={"masks": masks})


def _check_shares(accuracy: float, confidence: float) -> None:
    if not 0 < accuracy < 1:
        raise ValueError("no number of pairs proves an accuracy of 0% or 100%; write for example 99.99%")
    if not 0 < confidence < 1:
        raise ValueError("confidence lies between 0% and 100%; write for example 95%")


def least_pairs(accuracy: float, confidence: float) -> int:
    """Fewest pairs that can show the accuracy when none of them differs."""
    return math.ceil(math.log1p(-confidence) / math.log(accuracy))


class Differences(StrEnum):
    """Whether pairs that differ may stand in a certificate that is GO."""

    NONE = "none"
    """Any difference is NO-GO: it is known, so it is to be mended or excused, not averaged away."""
    ALLOWED = "allowed"
    """As many of the pairs may differ as the accuracy leaves room for."""


class StratumTarget(Block):
    """What the pairs of one method, status class or kind must show on their own, whatever all pairs together show."""

    method: str | None = Field(default=None, pattern="^[A-Z]+$")
    """Only pairs of this method: ``DELETE``."""
    status: str | None = Field(default=None, pattern="^([1-5]xx|none)$")
    """Only pairs whose client got a status of this class: ``4xx``."""
    kind: Literal["read", "write", "state"] | None = None
    """Only reads, only writes, or only what was read back."""
    accuracy: Fraction = 0.99
    """The share of these pairs that must agree."""
    pairs: int = Field(default=300, ge=1, le=1_000_000_000)
    """How many of them it takes."""

    @property
    def name(self) -> str:
        """``POST 4xx (write)``."""
        kind = f"({self.kind})" if self.kind else ""
        return " ".join(filter(None, (self.method or "any method", self.status, kind)))

    @model_validator(mode="after")
    def _selects(self) -> Self:
        if self.method is None and self.status is None and self.kind is None:
            raise ValueError("names no stratum; give 'method', 'status' or 'kind'")
        return self


class CertificateTarget(Block):
    """What a route must prove before it may leave shadow; the default holds where a route has a rollout but names none.

    Without a difference in n pairs, the one-sided upper bound of the rate of differences is 1 - (1 - confidence)^(1/n)
    (Clopper-Pearson at k = 0): 99 % at 95 % confidence takes 299 pairs, 99.99 % takes 29,956.
    """

    accuracy: Fraction = 0.99
    """The share of pairs that must agree, shown at `confidence`."""
    pairs: int = Field(default=300, ge=1, le=1_000_000_000)
    """Judged once, when this many pairs were compared: a number fixed beforehand is what makes the bound honest."""
    confidence: Fraction = 0.95
    """Of the one-sided bound."""
    differences: Differences = Differences.NONE
    """Whether any difference is NO-GO (``none``), or as many are ``allowed`` as the accuracy leaves room for."""
    strata: tuple[StratumTarget, ...] = Field(default=(), max_length=50)
    """What must be shown of some pairs on their own."""

    @model_validator(mode="after")
    def _check_reach(self) -> Self:
        _check_shares(self.accuracy, self.confidence)
        for stratum in self.strata:
            _check_shares(stratum.accuracy, self.confidence)
            least = least_pairs(stratum.accuracy, self.confidence)
            if stratum.pairs < least:
                raise ValueError(
                    f"{stratum.pairs} pairs of {stratum.name} cannot show {fraction_text(stratum.accuracy)} at "
                    f"{fraction_text(self.confidence)} confidence; it takes at least {least}"
                )
        if self.pairs < self.least_pairs:
            raise ValueError(
                f"{self.pairs} pairs cannot show {fraction_text(self.accuracy)} at {fraction_text(self.confidence)} "
                f"confidence even without a single difference; it takes at least {self.least_pairs}"
            )
        return self

    @property
    def least_pairs(self) -> int:
        """Fewest pairs that can reach the accuracy when none of them differs."""
        return least_pairs(self.accuracy, self.confidence)
