"""`fig rules test`: unit tests of rules, from YAML files beside them (their form: rules/expecting/expectations.py)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from proxy.cli import junit as junit_xml
from proxy.cli.rules.reading import table_of
from proxy.cli.rules.screen import refuse, save, tell, write
from proxy.settings import DEFAULT_RULES
from rules.expecting.coverage import Coverage, coverage_of
from rules.expecting.expectations import Cases, read_cases
from rules.expecting.judging import Failure, Judged, judge, misplaced
from rules.problems import Problem, RulesError
from rules.quantities import parse_share, share_text
from rules.reading.source import TESTS


@dataclass(frozen=True, slots=True)
class Ran:
    """Every test of one rules file."""

    rules: Path
    judged: tuple[Judged, ...]
    coverage: Coverage


def run_tests(
    files: Annotated[list[Path], typer.Argument(help="Test files, or folders with *.test.yaml.", show_default=False)],
    rules: Annotated[
        Path | None,
        typer.Option("-c", "--config", help="The rules file, whatever the test files name.", show_default=False),
    ] = None,
    named: Annotated[
        str, typer.Option("-k", "--named", help="Only tests whose name contains this.", show_default=False)
    ] = "",
    cover: Annotated[bool, typer.Option("--cover", help="Say which routes no test reached.")] = False,
    fail_under: Annotated[
        str | None, typer.Option(help="Fail when fewer routes are reached: 90%.", show_default=False)
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="Also write JUnit XML there.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check what rules do against what their tests expect.

    Exit code 0: all holds, 1: an expectation fails or too few routes are reached, 2: a file cannot be used.
    """
    least = _least(fail_under)
    ran = [_run(path, found, named.lower()) for path, found in _by_rules(_files(files), rules).items()]
    judged = [each for one in ran for each in one.judged]
    if named and not judged:
        refuse(f"no test's name contains '{named}'")
    under = [one for one in ran if one.coverage.reached < least]
    if as_json:
        write(json.dumps(_as_json(ran, judged, not under), indent=2) + "\n")
    else:
        _tell(ran, judged, cover or fail_under is not None)
        for one in under:
            tell(_too_few(one, least))
    if junit is not None:
        save(junit, junit_xml.render("fig rules test", _junit(judged, [(one, _too_few(one, least)) for one in under])))
    if under or any(not each.ok for each in judged):
        raise typer.Exit(1)


def _least(fail_under: str | None) -> int:
    """Millionths."""
    try:
        return parse_share(fail_under) if fail_under is not None else 0
    except ValueError as exc:
        refuse(f"--fail-under: {exc}")


def _files(given: Iterable[Path]) -> list[Path]:
    """The test files that the arguments stand for, each once."""
    found: list[Path] = []
    for path in given:
        inside = sorted(each for each in path.rglob("*") if each.name.endswith(TESTS)) if path.is_dir() else [path]
        if not inside:
            refuse(f"{path} holds no *.test.yaml")
        found += inside
    return list(dict.fromkeys(found))


def _by_rules(files: Iterable[Path], rules: Path | None) -> dict[Path, list[Cases]]:
    """What each test file holds, by the rules file that it is about."""
    found: dict[Path, list[Cases]] = {}
    problems: list[Problem] = []
    for file in files:
        try:
            cases = read_cases(file)
        except RulesError as exc:
            problems += exc.problems
            continue
        found.setdefault(rules or file.parent / (cases.rules or DEFAULT_RULES), []).append(cases)
    if problems:
        refuse(*map(str, problems))
    return found


def _run(path: Path, found: list[Cases], named: str) -> Ran:
    table = table_of(path)
    unknown = [problem for cases in found for problem in misplaced(table, cases)]
    if unknown:
        refuse(*map(str, unknown))
    wanted = (case for cases in found for case in cases.cases if named in case.name.lower())
    judged = tuple(judge(table, case) for case in wanted)
    return Ran(path, judged, coverage_of(table, judged))


def _too_few(one: Ran, least: int) -> str:
    reached, wanted = share_text(one.coverage.reached), share_text(least)
    missing = ", ".join(one.coverage.unreached)
    return f"{one.rules}: tests reach {reached} of the routes, and --fail-under wants {wanted}; not reached: {missing}"


def _junit(judged: list[Judged], under: list[tuple[Ran, str]]) -> list[junit_xml.Case]:
    found = [
        junit_xml.Case(
            name=each.case.name,
            classname=each.case.place.file,
            file=each.case.place.file,
            line=each.case.place.line,
            failure="\n".join(f"{failure.place}: {failure}" for failure in each.failures) or None,
        )
        for each in judged
    ]
    return [*found, *(junit_xml.Case("coverage", str(one.rules), str(one.rules), failure=why) for one, why in under)]


def _tell(ran: list[Ran], judged: list[Judged], cover: bool) -> None:
    for each in judged:
        for failure in each.failures:
            tell(f"{failure.place}: {each.case.name}: {failure}")
    for one in ran if cover else ():
        coverage = one.coverage
        reached = coverage.routes - len(coverage.unreached)
        tell(f"{one.rules}: tests reach {reached} of {coverage.routes} routes ({share_text(coverage.reached)})")
        for name in coverage.unreached:
            tell(f"  {name}: no test reaches it")
        for name, side in coverage.one_sided:
            tell(f"  {name}: no test sees {side.value} answer")
    failed = sum(not each.ok for each in judged)
    tests = "1 test" if len(judged) == 1 else f"{len(judged)} tests"
    tell(f"{tests}: {len(judged) - failed} fine, {failed} failed")


def _as_json(ran: list[Ran], judged: list[Judged], reached: bool) -> dict[str, object]:
    return {
        "ok": reached and all(each.ok for each in judged),
        "tests": len(judged),
        "failed": sum(not each.ok for each in judged),
        "results": [
            {
                "name": each.case.name,
                "file": each.case.place.file,
                "line": each.case.place.line,
                "ok": each.ok,
                "route": each.route,
                "side": each.side.value if each.side is not None else None,
                "failures": [_failure_json(failure) for failure in each.failures],
            }
            for each in judged
        ],
        "coverage": [
            {
                "rules": str(one.rules),
                "routes": one.coverage.routes,
                "reached": share_text(one.coverage.reached),
                "unreached": one.coverage.unreached,
                "one_sided": [{"route": name, "unseen": side.value} for name, side in one.coverage.one_sided],
            }
            for one in ran
        ],
    }


def _failure_json(failure: Failure) -> dict[str, object]:
    return {
        "key": failure.key,
        "expected": failure.expected,
        "got": failure.got,
        "why": failure.why or None,
        "file": failure.place.file,
        "line": failure.place.line,
    }
