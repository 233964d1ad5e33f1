"""A judgement for a step of a GitHub workflow: annotations on the lines of the rules file, the summary, the outputs."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from canary import report
from canary.report import metric_text
from canary.verdict import Judgement, MetricJudgement, Verdict
from proxy.cli.canary.places import Places
from proxy.cli.canary.policy import Policy
from proxy.cli.workflow import SHOWN_MOST, annotation, output, summary


def annotate(judgement: Judgement, policy: Policy, places: Places) -> Iterator[str]:
    """The verdict beside the gate, and each metric that is not satisfied beside its own line; no more of a level than
    GitHub shows."""
    verdict, note = judgement.verdict, policy.note(judgement.verdict)
    level = "notice" if verdict is Verdict.PROMOTE else "error" if policy.exit_code(verdict) else "warning"
    told = f"{judgement.reason}\n{note}" if note else judgement.reason
    yield annotation(level, told, f"fig: {judgement.route}: {verdict.value}", places.gate)
    shown = Counter({level: 1})
    for metric in judgement.metrics:
        level = _level(metric, policy)
        shown[level] += bool(level)
        if level and shown[level] <= SHOWN_MOST:
            title = f"fig: {judgement.route}: {metric.name}: {metric.verdict.value}"
            yield annotation(level, f"{metric.reason}\n{metric_text(metric, judgement)}", title, places.of(metric.name))


def _level(metric: MetricJudgement, policy: Policy) -> str:
    """Empty for what needs no word."""
    if metric.verdict is Verdict.PROMOTE or (metric.verdict is Verdict.KEEP_WATCHING and not metric.required):
        return ""
    if metric.verdict is Verdict.KEEP_WATCHING:
        return "warning"
    return "warning" if policy.dry_run or not (metric.required or metric.verdict is Verdict.ROLLBACK) else "error"


def append_files(judgement: Judgement, policy: Policy, environment: Mapping[str, str]) -> list[str]:
    """Write the step's summary and outputs where the runner wants them. What of that is not there is returned, in
    sentences. Raises OSError."""
    outputs = {
        "verdict": judgement.verdict.value,
        "reason": judgement.reason,
        "exit-code": str(policy.exit_code(judgement.verdict)),
    }
    return _append_all(policy.page(judgement), outputs, environment)


def append_refusal(problem: str, asked_of: str, code: int, environment: Mapping[str, str]) -> list[str]:
    """The same where nothing could be asked: there is no verdict to hand on."""
    outputs = {"verdict": "", "reason": problem, "exit-code": str(code)}
    return _append_all(report.refusal_to_markdown(asked_of, problem), outputs, environment)


def _append_all(page: str, outputs: Mapping[str, str], environment: Mapping[str, str]) -> list[str]:
    missing, delimiter = [], f"fig-{secrets.token_hex(16)}"
    told = "".join(output(name, value, delimiter) for name, value in outputs.items())
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):
        if not environment.get(name, ""):
            missing.append(f"--github: {name} is not set, so this is no step of a workflow; nothing is written there")
            continue
        file = Path(environment[name])
        taken = file.stat().st_size if file.exists() else 0
        with file.open("a", encoding="utf-8", errors="backslashreplace") as opened:
            opened.write(told if name == "GITHUB_OUTPUT" else summary(page, taken))
    return missing
