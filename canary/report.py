"""A judgement as JSON, Markdown and plain text. Rendering only: nothing is decided here."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any

from pydantic import TypeAdapter, ValidationError

from canary import words
from canary.verdict import Judgement, MetricJudgement, Verdict

_ADAPTER = TypeAdapter(Judgement)


class ReportError(ValueError):
    """A document that is no judgement."""


def to_dict(judgement: Judgement) -> dict[str, Any]:
    """As plain JSON values; `from_dict` reads it back. Numbers that JSON does not have become null."""
    document = dataclasses.asdict(judgement)
    document["verdict"] = judgement.verdict.value
    document["exit_code"] = judgement.verdict.exit_code
    document["metrics"] = [{name: _plain(value) for name, value in metric.items()} for metric in document["metrics"]]
    return document


def _plain(value: Any) -> Any:
    if isinstance(value, Verdict):
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def from_dict(document: Any) -> Judgement:
    """The judgement of a document that `to_dict` wrote. Raises ReportError."""
    if isinstance(document, dict):
        document = {name: value for name, value in document.items() if name != "exit_code"}
    try:
        return _ADAPTER.validate_python(document)
    except ValidationError as exc:
        first = exc.errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        raise ReportError(f"not a judgement: {place}: {first['msg']}") from exc


def _cell(text: str) -> str:
    """Text that cannot break a Markdown table or become HTML."""
    text = " ".join(text.split())
    return re.sub(r"([\\|`*_\[\]<>])", r"\\\1", text)


_SIGNS = {Verdict.PROMOTE: "✅", Verdict.ROLLBACK: "❌", Verdict.KEEP_WATCHING: "⏳", Verdict.FAULT: "⚠️"}


def to_markdown(judgement: Judgement) -> str:
    """A heading, the reason and a table, fit for a pull-request comment."""
    lines = [
        f"### {_SIGNS[judgement.verdict]} {_cell(judgement.route)}: {_cell(judgement.verdict.value)}",
        "",
        _cell(judgement.reason),
        "",
    ]
    if judgement.metrics:
        lines += [
            "| metric | legacy | candidate | worse by | margin, harm | to promote | to roll back | verdict |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
        ]
    for one in judgement.metrics:
        cells = (
            f"{one.name}, {_marks(one)}" if _marks(one) else one.name,
            words.side(one.legacy, one.legacy_count, one),
            words.side(one.candidate, one.candidate_count, one),
            f"{words.difference(one.estimate, one)} {words.interval(one)}",
            *_demands(one, judgement),
            "; ".join(filter(None, (f"{one.verdict.value}: {one.reason}", words.missing(one, judgement)))),
        )
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    lines += ["", _cell(_footer(judgement)), ""]
    return "\n".join(lines)


def refusal_to_markdown(asked_of: str, problem: str) -> str:
    """A page in the place of `to_markdown`'s, where there is no judgement; `asked_of` is a route, or a gate's file."""
    return f"### ⚠️ {_cell(asked_of)}: not asked\n\n{_cell(problem)}\n"


def to_text(judgement: Judgement) -> str:
    """For a terminal: the verdict and the rule that fired first, then a paragraph a metric."""
    lines = [f"{judgement.route}: {judgement.verdict.value}", f"  {judgement.reason}"]
    for one in judgement.metrics:
        lines += ["", f"  {one.name} ({', '.join(filter(None, (one.kind, _marks(one))))}): {one.verdict.value}"]
        lines += [f"    {one.reason}", *(f"    {label:<10} {told}" for label, told in _told(one, judgement) if told)]
    return "\n".join([*lines, "", f"  {_footer(judgement)}"])


def metric_text(metric: MetricJudgement, judgement: Judgement) -> str:
    """One metric's numbers, a line each, as `to_text` shows them."""
    return "\n".join(f"{label}: {told}" for label, told in _told(metric, judgement) if told)


def _demands(metric: MetricJudgement, judgement: Judgement) -> tuple[str, str, str]:
    """Margin and harm, evidence to promote, and to roll back."""
    if judgement.is_once:
        return ("-", "-", "-")
    allowed = f"{words.bound(metric.margin, metric)}, {words.bound(metric.harm, metric)}"
    return (allowed, _to_promote(metric, judgement), _to_roll_back(metric))


def _told(metric: MetricJudgement, judgement: Judgement) -> tuple[tuple[str, str], ...]:
    values = (
        ("legacy", words.side(metric.legacy, metric.legacy_count, metric)),
        ("candidate", words.side(metric.candidate, metric.candidate_count, metric)),
        ("worse by", f"{words.difference(metric.estimate, metric)} {words.interval(metric)}"),
    )
    source = ("source", "" if metric.age is None else f"answered {metric.age:.0f} s before")
    if judgement.is_once:
        return (*values, source)
    return (
        *values,
        ("allowed", f"margin {words.bound(metric.margin, metric)}, harm {words.bound(metric.harm, metric)}"),
        ("evidence", f"to promote {_to_promote(metric, judgement)}, to roll back {_to_roll_back(metric)}"),
        ("missing", words.missing(metric, judgement)),
        source,
    )


def _marks(metric: MetricJudgement) -> str:
    return ", ".join(["critical"] * metric.critical + ["watched only"] * (not metric.required))


def _to_promote(metric: MetricJudgement, judgement: Judgement) -> str:
    return f"{words.evidence(metric.evidence_promote)} of {words.evidence(1 / judgement.alpha)}"


def _to_roll_back(metric: MetricJudgement) -> str:
    alone = f" of {words.evidence(metric.rollback_due)} alone" if metric.rollback_due is not None else ""
    return words.evidence(metric.evidence_rollback) + alone


def _footer(judgement: Judgement) -> str:
    minutes = max(0.0, judgement.at - judgement.since) / 60
    ended = words.moment(judgement.at)
    harm = f"{words.evidence(judgement.harm)} of {words.evidence(judgement.harm_due)}" if judgement.harm_due else ""
    requests = (
        f"{judgement.legacy_requests:,} requests of legacy and {judgement.candidate_requests:,} of the candidate in "
    )
    if not judgement.legacy_requests and not judgement.candidate_requests:
        requests = ""  # a gate that is judged by sources alone
    if judgement.is_once:
        return (
            f"gate {judgement.gate}, {requests}{minutes:.1f} min until {ended}; judged once, by the method kayenta: "
            f"intervals hold at {words.percent(judgement.alpha)} for that one look"
        )
    return (
        f"gate {judgement.gate}, {requests}{minutes:.1f} min until {ended}, "
        f"alpha {words.percent(judgement.alpha)}{f'; all metrics together to roll back: {harm}' if harm else ''}; "
        "each end of an interval holds at alpha however often it is looked at"
    )
