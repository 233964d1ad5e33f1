"""Prometheus' text format (version 0.0.4), written line by line. Pure.

prometheus-client writes the same: tests read all of this with its parser. But it makes an object of every sample, and
the 80,000 lines of a thousand routes would hold up control for more than a second at every scrape; here they take a
tenth of that, and are made in pieces between which control serves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def _escaped(value: str) -> str:
    if "\\" in value or '"' in value or "\n" in value:
        return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return value


def _template(name: str, labels: Sequence[str], last: str = "") -> tuple[str, list[int]]:
    """A line up to its value, with a ``%s`` for each label, and which label stands where: by name, as is customary.

    `last` is one more label with its value, ``le="0.1"``.
    """
    order = sorted(range(len(labels)), key=lambda at: labels[at])
    pairs = sorted([*(f'{labels[at]}="%s"' for at in order), *([last] if last else [])])
    return f"{name}{{{','.join(pairs)}}} " if pairs else f"{name} ", order


class _Family:
    """The samples of one metric; `lines` begins with what it is."""

    kind = ""
    suffix = ""

    def __init__(self, name: str, documentation: str, labels: Sequence[str] = ()) -> None:
        full = name + self.suffix
        text = documentation.replace("\\", r"\\").replace("\n", r"\n")
        self.lines = [f"# HELP {full} {text}\n# TYPE {full} {self.kind}\n"]
        self._template, self._order = _template(full, labels)

    def add(self, values: Sequence[str], value: float) -> None:
        """`values` of the labels, in the order in which those were given."""
        self.lines.append(f"{self._template % self._placed(values)}{float(value)}\n")

    def _placed(self, values: Sequence[str]) -> tuple[str, ...]:
        return tuple(_escaped(values[at]) for at in self._order)

    def taken(self) -> str:
        """What has been written since this was last asked."""
        text = "".join(self.lines)
        self.lines.clear()
        return text


class CounterFamily(_Family):
    """Shown as ``name_total``."""

    kind = "counter"
    suffix = "_total"


class GaugeFamily(_Family):
    kind = "gauge"


class HistogramFamily(_Family):
    """`bounds` are upper ones in seconds, ascending; ``+Inf`` is added."""

    kind = "histogram"

    def __init__(self, name: str, documentation: str, labels: Sequence[str], bounds: Iterable[float]) -> None:
        super().__init__(name, documentation, labels)
        texts = [*(f"{bound:g}" for bound in bounds), "+Inf"]
        self._buckets = [_template(f"{name}_bucket", labels, f'le="{text}"')[0] for text in texts]
        self._sum, self._count = _template(f"{name}_sum", labels)[0], _template(f"{name}_count", labels)[0]

    def add_counts(self, values: Sequence[str], cumulative: Sequence[float], total: float) -> None:
        """`cumulative` counts, one per bound and one for ``+Inf``; `total` is the sum of what was observed."""
        placed = self._placed(values)
        self.lines += [
            f"{bucket % placed}{float(count)}\n" for bucket, count in zip(self._buckets, cumulative, strict=True)
        ]
        self.lines.append(f"{self._sum % placed}{float(total)}\n{self._count % placed}{float(cumulative[-1])}\n")
