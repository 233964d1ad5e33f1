"""A judgement as JSON, JUnit XML, Markdown and plain text. Rendering only: nothing is decided here."""

from __future__ import annotations

import dataclasses
import math
import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from canary import words
from canary.verdict import Judgement, MetricJudgement, Verdict

_ADAPTER = TypeAdapter(Judgement)
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot carry, not even escaped."""


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


def _clean(text: str) -> str:
    return _NOT_XML.sub("?", text)


_OUTCOMES = {Verdict.ROLLBACK: "failure", Verdict.FAULT: "error", Verdict.KEEP_WATCHING: "skipped"}
"""What JUnit calls a verdict; a test case without any of these has passed."""


def to_junit(judgement: Judgement) -> str:
    """JUnit XML: a test case per metric, and one named ``verdict`` for the gate as a whole."""
    cases = [("verdict", judgement.verdict, judgement.reason, "")]
    cases += [(one.name, one.verdict, one.reason, _line(one)) for one in judgement.metrics]
    outcomes = [_OUTCOMES.get(verdict, "") for _, verdict, _, _ in cases]
    suite = ET.Element(
        "testsuite",
        name=_clean(f"gate {judgement.gate} of route {judgement.route}"),
        tests=str(len(cases)),
        failures=str(outcomes.count("failure")),
        errors=str(outcomes.count("error")),
        skipped=str(outcomes.count("skipped")),
        time=f"{max(0.0, judgement.at - judgement.since):.3f}",
        timestamp=datetime.fromtimestamp(judgement.at, UTC).strftime("%Y-%m-%dT%H:%M:%S"),
    )
    for (name, verdict, reason, line), outcome in zip(cases, outcomes, strict=True):
        case = ET.SubElement(
            suite, "testcase", classname=_clean(f"fig.canary.{judgement.route}"), name=_clean(name), time="0"
        )
        if outcome:
            ET.SubElement(case, outcome, message=_clean(f"{verdict}: {reason}")).text = _clean(line)
        elif line:
            ET.SubElement(case, "system-out").text = _clean(line)
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _line(metric: MetricJudgement) -> str:
    return (
        f"{words.sides(metric)}; worse by {words.difference(metric.estimate, metric)} {words.interval(metric)}; "
        f"margin {words.bound(metric.margin, metric)}, harm {words.bound(metric.harm, metric)}; "
        f"evidence to promote {words.evidence(metric.evidence_promote)}, "
        f"to roll back {words.evidence(metric.evidence_rollback)}"
    )


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
            "| metric | legacy | candidate | worse by | margin | evidence | verdict |",
            "| --- | ---: | ---: | ---: | ---: | ---: | --- |",
        ]
    for one in judgement.metrics:
        marks = "".join((", critical" if one.critical else "", "" if one.required else ", watched only"))
        cells = (
            one.name + marks,
            words.value(one.legacy, one),
            words.value(one.candidate, one),
            f"{words.difference(one.estimate, one)} {words.interval(one)}",
            words.bound(one.margin, one),
            f"{words.evidence(one.evidence_promote)} of {words.evidence(1 / judgement.alpha)}",
            f"{one.verdict.value}: {one.reason}",
        )
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    lines += ["", _cell(_footer(judgement)), ""]
    return "\n".join(lines)


def to_text(judgement: Judgement) -> str:
    """For a terminal: the verdict first, then a paragraph a metric."""
    lines = [f"{judgement.route}: {judgement.verdict.value}", f"  {judgement.reason}"]
    for one in judgement.metrics:
        lines += [f"  {one.name}: {one.verdict.value}; {one.reason}", f"    {_line(one)}"]
    lines.append(f"  {_footer(judgement)}")
    return "\n".join(lines)


def _footer(judgement: Judgement) -> str:
    minutes = max(0.0, judgement.at - judgement.since) / 60
    return (
        f"gate {judgement.gate}, {judgement.legacy_requests:,} requests of legacy and "
        f"{judgement.candidate_requests:,} of the candidate in {minutes:.1f} min, "
        f"alpha {words.percent(judgement.alpha)}; each end of an interval holds at alpha however often it is looked at"
    )
