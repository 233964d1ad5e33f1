"""Findings of probes for people and programs: text, plain data, Markdown. Pure.

Nothing is hidden here any more: findings hold only what may be shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from proxy.probing.findings import Check, Finding, Outcome, SideFinding, StepFinding, exit_code


def to_text(findings: Sequence[Finding]) -> str:
    """Every step: what was asked, what was expected, what came."""
    return "\n".join(line for finding in findings for line in _lines(finding))


def _lines(finding: Finding) -> Iterator[str]:
    yield f"{finding.probe}: {finding.result.value}: {finding.reason}"
    for side in finding.sides:
        yield f"  {side.side.value}: {side.outcome.value} in {_milliseconds(side.seconds)}{_left(side)}"
        for step in side.steps:
            yield f"    {'ok  ' if step.ok else 'FAIL'} {step.name}: {_asked(step)}"
            if step.problem:
                yield f"           {step.problem}"
            for check in step.checks:
                yield f"         {'ok  ' if check.ok else 'FAIL'} {_said(check)}"


def _left(side: SideFinding) -> str:
    return f"; {side.left} further {'step was' if side.left == 1 else 'steps were'} not asked" if side.left else ""


def _asked(step: StepFinding) -> str:
    """``POST /api/cart {"sku": 1} -> the service 'cart': 201 in 12 ms``."""
    headers = "".join(f" {name}={value}" for name, value in step.headers)
    text = f"{step.method} {step.target}{headers}{f' {step.body}' if step.body else ''}"
    if step.service:
        text += f" -> {step.service}"
    if step.status is not None and step.seconds is not None:
        text += f": {step.status} in {_milliseconds(step.seconds)}"
    return text


def _said(check: Check) -> str:
    return f"{check.what}: expected {check.expected}, got {check.got}"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def to_dict(findings: Sequence[Finding]) -> dict[str, Any]:
    """What ``--json`` prints; seconds as numbers."""
    return {"exit_code": exit_code(findings), "probes": [finding_document(each) for each in findings]}


def finding_document(finding: Finding) -> dict[str, Any]:
    """One probe's."""
    return {
        "probe": finding.probe,
        "routes": list(finding.routes),
        "critical": finding.critical,
        "result": finding.result.value,
        "reason": finding.reason,
        "at": finding.at,
        "sides": {each.side.value: _side_document(each) for each in finding.sides},
    }


def _side_document(side: SideFinding) -> dict[str, Any]:
    return {
        "outcome": side.outcome.value,
        "seconds": side.seconds,
        "why": side.why or None,
        "steps_left": side.left,
        "steps": [
            {
                "name": step.name,
                "service": step.service or None,
                "method": step.method,
                "target": step.target,
                "headers": [list(line) for line in step.headers],
                "body": step.body or None,
                "status": step.status,
                "seconds": step.seconds,
                "ok": step.ok,
                "problem": step.problem or None,
                "checks": [
                    {"what": each.what, "expected": each.expected, "got": each.got, "ok": each.ok}
                    for each in step.checks
                ],
            }
            for step in side.steps
        ],
    }


def to_markdown(findings: Sequence[Finding]) -> str:
    """A table for a pull request or a step's summary, and below it what is wrong."""
    lines = ["| probe | routes | legacy | candidate | result |", "| --- | --- | --- | --- | --- |"]
    for finding in findings:
        sides = {each.side.value: each.outcome.value for each in finding.sides}
        told = [sides.get(name, "not asked") for name in ("legacy", "candidate")]
        cells = [to_cell(finding.probe), to_cell(", ".join(finding.routes)), *told, f"**{finding.result.value}**"]
        lines.append(f"| {' | '.join(cells)} |")
    wrong = [finding for finding in findings if any(each.outcome is not Outcome.PASSED for each in finding.sides)]
    return "\n".join([*lines, *_bullets(wrong)]) + "\n"


def _bullets(findings: Iterable[Finding]) -> Iterator[str]:
    for finding in findings:
        yield ""
        yield f"- {to_cell(finding.reason)}"
        for side in finding.sides:
            if side.steps and side.outcome is not Outcome.PASSED:
                yield f"  - {side.side.value}: {to_cell(_asked(side.steps[-1]))}: {to_cell(side.steps[-1].why)}"


def to_cell(text: str) -> str:
    r"""What a service said must not become markup: ``|`` ends a cell, and ``<`` begins a tag."""
    for character in "\\`*_[]|#!@":
        text = text.replace(character, f"\\{character}")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
