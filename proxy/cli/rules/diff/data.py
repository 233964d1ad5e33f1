"""The report as JSON, and as cases of a JUnit report."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from proxy.cli.junit import Case
from proxy.cli.rules.diff import phrases
from proxy.cli.rules.diff.limits import Judged
from proxy.cli.rules.diff.report import Report, report_summary
from rules.changes.destination import Destination
from rules.changes.difference import Change
from rules.changes.pairs import Elsewhere
from rules.changes.replay import Going
from rules.stages import MILLION

MOST_PATHS = 50


def as_json(report: Report) -> dict[str, Any]:
    """What ``fig rules diff --json`` prints. Parts are 0 to 1; requests and clients may be expected numbers."""
    traffic = report.traffic
    found: dict[str, Any] = {
        "before": report.before,
        "after": report.after,
        "summary": phrases.summary(report.difference),
        "headline": report.headline(),
        "effect": report.difference.effect,
        "changes": [_change(report, number, change) for number, change in enumerate(report.difference.changes)],
        "limits": [
            {"limit": answer.limit.text, "judged": answer.judged.value, "why": answer.why} for answer in report.answers
        ],
        "remarks": list(report.remarks()),
    }
    if traffic is not None:
        found["traffic"] = {
            "requests": traffic.requests,
            "clients": traffic.clients.count(),
            "clients_exact": traffic.clients.is_exact,
            "moved": _going(traffic.all),
            "undecidable": traffic.undecidable,
            "refused": traffic.refused,
            "paths": [{"path": path, "requests": number} for path, number in traffic.all.paths(MOST_PATHS)],
            "logs": [
                {
                    "name": reading.name,
                    "format": reading.format.value,
                    "lines": reading.lines,
                    "passed_over": reading.passed_over,
                    "malformed": reading.malformed,
                    "examples": [{"line": line, "why": why} for line, why in reading.examples],
                }
                for reading in report.readings
            ],
        }
    return found


def _change(report: Report, number: int, change: Change) -> dict[str, Any]:
    found: dict[str, Any] = {
        "subject": change.subject,
        "name": change.name or None,
        "kinds": list(change.kinds),
        "former_name": change.before.name if "renamed" in change.kinds and change.before is not None else None,
        "effect": change.effect,
        "keys": [
            {
                "key": ".".join(each.path),
                "before": phrases.shown(each.before, each.path),
                "after": phrases.shown(each.after, each.path),
            }
            for each in change.keys
        ],
        "elsewhere": [_elsewhere(each) for each in change.elsewhere],
        "further_routes": change.further,
        "unreachable": list(change.starved),
        "notes": list(change.notes),
    }
    if report.traffic is not None:
        going = report.going(number)
        found["traffic"] = (_going(going) if going is not None else {"requests": 0, "touched": 0, "clients": 0}) | {
            "undecidable": report.traffic.open_by_change[number]
        }
    return found


def _elsewhere(each: Elsewhere) -> dict[str, Any]:
    return {
        "requests": each.words,
        "witness": phrases.request(each.witness),
        "part_of_units": float(each.part),
        "movements": [
            {
                "part_of_units": float(shift.part),
                "units": None if shift.buckets is None else [edge / MILLION for edge in shift.buckets],
                "before": _destination(each.before.route.name, shift.before),
                "after": _destination(each.after.route.name, shift.after),
            }
            for shift in each.shifts
        ],
    }


def _destination(route: str, destination: Destination) -> dict[str, Any]:
    return {
        "route": route,
        "side": destination.side.value if destination.side is not None else None,
        "service": destination.service or None,
        "urls": list(destination.urls),
        "target": destination.target or None,
        "host": destination.host or None,
        "status": destination.status or None,
        "location": destination.location or None,
        "refused": destination.refused or None,
    }


def _going(going: Going) -> dict[str, Any]:
    return {
        "requests": float(going.requests),
        "touched": going.touched,
        "clients": float(going.clients),
    }


def junit_cases(report: Report) -> Iterator[Case]:
    """One case for each limit; for each change one that is always fine, so that the report shows what there is."""
    for answer in report.answers:
        name = f"--fail-on {answer.limit.text}"
        if answer.judged is Judged.HOLDS:
            failure = f"{name}: {answer.why}\n{report_summary(report)}"
            yield Case(name, "fig rules diff", file=report.after, failure=failure)
        else:
            skipped = answer.why if answer.judged is Judged.OPEN else None
            yield Case(name, "fig rules diff", file=report.after, skipped=skipped)
    for change in report.difference.changes:
        yield Case(f"{phrases.subject(change)} {change.effect}", "changes", file=report.after)
