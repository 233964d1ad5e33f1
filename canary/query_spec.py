"""What a metric of kind `query` asks, of whom, and how its numbers are read. Part of `gates.*.metrics[]`.

Placeholders of a PromQL query are ``$side``, ``$route``, ``$step`` (``$$`` is a dollar), filled in as text; a SELECT
has ``:side``, ``:route``, ``:from``, ``:to``, ``:step``, which are bound and never become part of the text.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Self

from pydantic import Field, field_validator, model_validator

from canary.source_spec import Source, SourceKind
from rules.names import Block, Name
from rules.quantities import Duration, duration_text

LONGEST_QUERY = 16_384
STALE_STEPS = 5
"""Steps without a number of either side after which a source is stale, unless `stale` says otherwise."""
_PLACEHOLDER = re.compile(r"\$(\$|[A-Za-z_][A-Za-z0-9_]*)")
_PROMQL = ("side", "route", "step")
_OF_PROMQL = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)|#[^\n]*""", re.DOTALL)
"""A text, or a comment."""
_BOUND = re.compile(r"(?<![:\w]):([A-Za-z_]\w*)")
SQL_PARAMETERS = ("side", "route", "from", "to", "step")
_LITERALS = re.compile(
    r"(?<!\w)[eE]'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|(\$(?:[A-Za-z_]\w*)?\$).*?\1"
    r"|--[^\n]*|/\*.*?\*/",
    re.DOTALL,
)
"""What of a SELECT is text, a quoted name or a comment, in the forms of the standard, PostgreSQL and MySQL."""
_COLON = re.compile(_BOUND.pattern + "|:")
_RANGE = re.compile(r"\[\s*((?:[0-9]+(?:ms|[smhdwy]))+)\s*(?::[^\]]*)?\]")
"""The end of a selector of a range, or of a subquery."""
_PIECE = re.compile(r"([0-9]+)(ms|[smhdwy])")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_536_000}


class Reduction(StrEnum):
    """How the numbers of one step and side are read."""

    VALUE = "value"
    """Their mean; every step weighs the same."""
    MEAN = "mean"
    """Their mean, weighed by how many there are."""
    RATE = "rate"
    """A part of all, 0 to 1, weighed by how many there are."""


class Direction(StrEnum):
    HIGHER_IS_WORSE = "higher_is_worse"
    LOWER_IS_WORSE = "lower_is_worse"


class SideTexts(Block):
    """A text for either side."""

    legacy: str = Field(min_length=1, max_length=LONGEST_QUERY)
    """Of legacy."""
    candidate: str = Field(min_length=1, max_length=LONGEST_QUERY)
    """Of the candidate."""

    def of(self, side: int) -> str:
        """0 legacy, 1 candidate."""
        return self.candidate if side else self.legacy


NAMES = SideTexts(legacy="legacy", candidate="candidate")


class Asked(Block):
    """The keys of a metric of kind `query`."""

    source: Name | None = None
    """`query`: the name of the source under `sources:`."""
    query: str | None = Field(default=None, min_length=1, max_length=LONGEST_QUERY)
    """`query`: PromQL with ``$side``, or a SELECT with ``:from`` and ``:to``. Files need none."""
    queries: SideTexts | None = None
    """`query`: one query for each side, where one with ``$side`` cannot say it."""
    count: str | None = Field(default=None, min_length=1, max_length=LONGEST_QUERY)
    """`query`, of Prometheus: PromQL for how many observations a value stands for (`measure` `mean` and `rate`)."""
    sides: SideTexts = NAMES
    """`query`: what the source calls the sides: what ``$side`` stands for, or what a row has in its column `side`."""
    columns: dict[str, str] = Field(default_factory=dict, max_length=8)
    """`query`, of files: which column holds `time`, `side`, `value`, `n`, `sum`, `sum_squares`, where it is called
    otherwise."""
    where: dict[str, str] = Field(default_factory=dict, max_length=8)
    """`query`, of files: only lines whose columns have these values."""
    measure: Reduction = Reduction.VALUE
    """`query`: whether steps weigh the same (`value`) or by how much was observed in them (`mean`, `rate`)."""
    direction: Direction | None = None
    """Whether higher or lower numbers are worse, of what a source or business events say: higher ones of `query`, lower
    ones of all others, without it."""
    unit: str = Field(default="", max_length=16)
    """`query`: what the numbers are in, for reports: ``EUR``."""
    step: Duration = 30.0
    """`query`: how far apart numbers are; each covers the time since the one before."""
    stale: Duration | None = None
    """`query`: how long a side may be without a number before that is a fault; five steps without it."""

    @field_validator("step")
    @classmethod
    def _step_is_usable(cls, step: float) -> float:
        if not 1 <= step <= 86_400 or step != int(step):
            raise ValueError("a step lasts whole seconds, from 1s to 1d; write it like 30s")
        return step

    @field_validator("columns")
    @classmethod
    def _columns_are_known(cls, columns: dict[str, str]) -> dict[str, str]:
        for name in columns:
            if name not in COLUMNS:
                raise ValueError(f"no column is called '{name:.40}'; there are {', '.join(COLUMNS)}")
        return columns

    @model_validator(mode="after")
    def _sides_differ(self) -> Self:
        if self.sides.legacy == self.sides.candidate:
            raise ValueError("'sides': both sides are called the same, so neither can be asked for; name them apart")
        if self.queries is not None and self.queries.legacy == self.queries.candidate:
            raise ValueError("'queries': both sides have the same query, so they would be equal; ask for each")
        if self.query is not None and self.queries is not None:
            raise ValueError("has 'query' and 'queries'; remove one")
        if self.stale is not None and self.stale < self.step:
            raise ValueError(f"'stale' is shorter than a step of {duration_text(self.step)}; make it longer")
        return self

    @property
    def patience(self) -> float:
        """Seconds without a number after which a side is stale."""
        return self.stale if self.stale is not None else STALE_STEPS * self.step

    def keys_given(self, *keys: str) -> list[str]:
        """Those of the keys that say something else than without them."""
        return [
            key for key in keys if getattr(self, key) != Asked.model_fields[key].get_default(call_default_factory=True)
        ]

    def text(self, side: int) -> str:
        """The query for one side; the same for both where there is one."""
        return self.queries.of(side) if self.queries is not None else self.query or ""


COLUMNS = ("time", "side", "value", "n", "sum", "sum_squares")
QUERY_KEYS = tuple(key for key in Asked.model_fields if key != "direction")
"""What belongs to kind `query` only."""


def filled(text: str, values: dict[str, str]) -> str:
    """PromQL with its placeholders filled in. The text was checked (`problems_between`)."""
    return _PLACEHOLDER.sub(lambda found: "$" if found[1] == "$" else values[found[1]], text)


def parameters(text: str) -> set[str]:
    """The bound parameters that a SELECT names; what stands between quotes names none."""
    return set(_BOUND.findall(_without_literals(text)))


def bound(sql: str) -> str:
    """The SELECT as SQLAlchemy's ``text()`` wants it: every colon that begins no parameter is escaped, those of texts
    and of casts (``:from::float8``) too."""
    found, at = [], 0
    for literal in _LITERALS.finditer(sql):
        found += [_escaped(sql[at : literal.start()]), literal[0].replace(":", "\\:")]
        at = literal.end()
    return "".join([*found, _escaped(sql[at:])])


def _escaped(sql: str) -> str:
    return _COLON.sub(lambda found: found[0] if found[1] else "\\:", sql)


def _without_literals(sql: str) -> str:
    return _LITERALS.sub(" ", sql)


def problems_between(metric: Asked, source: Source) -> list[tuple[str, str]]:
    """What does not fit between a metric and the source that it names: (key, what is wrong and what to do)."""
    if source.kind is SourceKind.PROMETHEUS:
        found = _of_promql(metric)
    elif source.kind is SourceKind.SQL:
        found = _of_sql(metric)
    else:
        found = _given(metric, source, "query", "queries")
    if source.kind is not SourceKind.PROMETHEUS:
        found += _given(metric, source, "count")
    if not source.kind.is_file:
        found += _given(metric, source, "columns", "where")
    return found


def _given(metric: Asked, source: Source, *keys: str) -> list[tuple[str, str]]:
    wrong = f"does not belong to a source of kind {source.kind}; remove it"
    return [(key, wrong) for key in metric.keys_given(*keys)]


def _asked(metric: Asked) -> list[tuple[str, str]]:
    """(key, text) of every query."""
    if metric.queries is not None:
        return [("queries", metric.queries.legacy), ("queries", metric.queries.candidate)]
    return [("query", metric.query)] if metric.query is not None else []


def _of_promql(metric: Asked) -> list[tuple[str, str]]:
    asked, found = _asked(metric), []
    if not asked:
        return [("source", "a source of kind prometheus needs 'query' with $side in it, or 'queries'")]
    if metric.query is not None and not _asks_for_side(metric.query):
        found.append(("query", "asks for no side; write a label like {app=\"$side\"}, or give 'queries'"))
    if metric.count is not None:
        if metric.measure is Reduction.VALUE:
            found.append(("count", "is not used by measure 'value'; write measure: mean or rate"))
        if not _asks_for_side(metric.count):
            found.append(("count", 'asks for no side; write a label like {app="$side"}'))
    elif metric.measure is not Reduction.VALUE:
        found.append(("measure", f"'{metric.measure}' needs 'count', how many observations a value stands for"))
    for key, text in [*asked, *([("count", metric.count)] if metric.count else [])]:
        unknown = [name for name in _PLACEHOLDER.findall(text) if name != "$" and name not in _PROMQL]
        if unknown:
            found.append((key, f"no placeholder is called ${unknown[0]}; there are $side, $route and $step ($$ for $)"))
    return found


def _asks_for_side(promql: str) -> bool:
    """Whether ``$side`` stands where it makes a difference: with it in a comment both sides have the same numbers."""
    return "side" in _PLACEHOLDER.findall(_OF_PROMQL.sub(lambda found: found[1] or "", promql))


def _of_sql(metric: Asked) -> list[tuple[str, str]]:
    asked, found = _asked(metric), []
    if not asked:
        return [("source", "a source of kind sql needs 'query', a SELECT with :from and :to")]
    for key, text in asked:
        plain = _without_literals(text).strip().removesuffix(";")
        names = parameters(text)
        if not re.match(r"(select|with)\b", plain, re.IGNORECASE):
            found.append((key, "must be a SELECT (or begin with WITH): a source is only read"))
        elif ";" in plain:
            found.append((key, "holds several statements; write one SELECT"))
        missing = [f":{name}" for name in ("from", "to") if name not in names]
        if missing:
            found.append((key, f"names no {' and no '.join(missing)}, seconds since 1970, so it would read everything"))
        unknown = sorted(names - set(SQL_PARAMETERS))
        if unknown:
            found.append((key, f"no parameter is called :{unknown[0]}; there are :side, :route, :from, :to and :step"))
        placeholder = next((name for name in _PLACEHOLDER.findall(_without_literals(text)) if name in _PROMQL), None)
        if placeholder:
            found.append((key, f"writes ${placeholder}; in SQL it is :{placeholder}, and is bound"))
    return found


def overlapping(metric: Asked) -> float | None:
    """Seconds of the longest range in a PromQL query that is longer than the step: its numbers overlap, so that each
    observation counts several times. None where there is none."""
    texts = [text for _, text in _asked(metric)]
    ranges = [
        sum(int(amount) * _SECONDS[unit] for amount, unit in _PIECE.findall(found))
        for text in texts
        for found in _RANGE.findall(text)
    ]
    longest = max(ranges, default=0.0)
    return longest if longest > metric.step else None
