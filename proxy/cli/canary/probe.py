"""`fig canary probe`: run the scripts of `probes:` straight from the rules file, with no fig running."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from proxy.cli import junit as junit_report
from proxy.cli.canary.accidents import without_finding
from proxy.cli.rules.screen import UnwritableError, put, refuse, refuse_one_file, tell
from proxy.cli.workflow import harmless, harmless_json
from proxy.probing.findings import Finding, Outcome, SideFinding, exit_code
from proxy.probing.report import to_cell, to_dict, to_markdown, to_text
from proxy.probing.running import Ground, Runner, ground, sides_of
from proxy.probing.sending import Sender
from proxy.rulebook import Rulebook, load
from proxy.settings import DEFAULT_RULES
from rules.effective import Effective
from rules.problems import RulesError, suggestion
from rules.stages import Side
from rules.table import compile_table

SUITE = "fig canary probe"
BEGUN = "the probes were still being run: whoever ran them ended without a word"


class Asked(StrEnum):
    """Whom a run asks."""

    BOTH = "both"
    LEGACY = "legacy"
    CANDIDATE = "candidate"


def run_probes(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Of the probes; else all.", show_default=False)
    ] = None,
    route: Annotated[
        list[str] | None,
        typer.Option(help="Only probes that guard this route; may be repeated.", show_default=False),
    ] = None,
    side: Annotated[
        Asked | None, typer.Option(help="Ask only these sides, whatever the probes say.", show_default=False)
    ] = None,
    rules: Annotated[Path, typer.Option("-c", "--config", help="The rules file.", envvar="FIG_CONFIG")] = Path(
        DEFAULT_RULES
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    junit: Annotated[Path | None, typer.Option(help="Also write JUnit XML there.", show_default=False)] = None,
    markdown: Annotated[Path | None, typer.Option(help="Also write Markdown there.", show_default=False)] = None,
) -> None:
    """Run probes on both sides, straight from the rules file.

    Exit code 0: all passed on the sides that were asked, 1: the candidate fails what legacy passes, 4: legacy fails
    itself, neither side can be reached, or a script cannot be asked, 2: the rules file or a name is wrong.
    """
    with without_finding("nothing is known of either side"):
        _run_probes(names or [], route or [], side, rules, as_json, junit, markdown)


def _run_probes(
    names: Sequence[str],
    routes: Sequence[str],
    side: Asked | None,
    rules: Path,
    as_json: bool,
    junit: Path | None,
    markdown: Path | None,
) -> NoReturn:
    refuse_one_file(junit, markdown)
    try:
        rulebook = load(rules)
        chosen = choose(rulebook, names, routes)
        _write(junit, junit_report.render(SUITE, [_unasked(BEGUN)]), markdown, f"{BEGUN}\n")
        found = asyncio.run(_run(rulebook, chosen, side))
    except (RulesError, LookupError, OSError, UnwritableError) as exc:
        told = str(exc.args[0]) if isinstance(exc, LookupError) else str(exc)
        with contextlib.suppress(UnwritableError):  # which may be what is told
            _write(junit, junit_report.render(SUITE, [_unasked(told)]), markdown, f"{to_cell(told)}\n")
        refuse(*told.splitlines())
    if as_json:
        tell(*harmless_json(json.dumps(to_dict(found), indent=2)).splitlines())
    else:
        tell(*map(harmless, to_text(found).splitlines()))
    try:
        _write(junit, to_junit(found), markdown, to_markdown(found))
    except UnwritableError as exc:
        refuse(str(exc))
    raise typer.Exit(exit_code(found))


def _write(junit: Path | None, xml: str, markdown: Path | None, page: str) -> None:
    """Raises UnwritableError."""
    for path, text in ((junit, xml), (markdown, page)):
        if path is not None:
            put(path, text)


def _unasked(problem: str) -> junit_report.Case:
    """In the place of cases, where there are none: those of a run before would be taken for this one's."""
    return junit_report.Case("asked", "probes", error=problem)


def choose(rulebook: Rulebook, names: Sequence[str], routes: Sequence[str]) -> list[str]:
    """The probes to run, in the order of the file. Raises LookupError saying what there is."""
    known = rulebook.probes
    if not known:
        raise LookupError("the rules file has no probes; see `probes:` in docs/rules-reference.md")
    for name in names:
        if name not in known:
            raise LookupError(f"no probe is named '{name}'{suggestion(name, known)}; there are: {', '.join(known)}")
    guarded = {route for probe in known.values() for route in probe.routes}
    for route in routes:
        if route not in guarded:
            told = ", ".join(sorted(guarded))
            raise LookupError(f"no probe guards a route '{route}'{suggestion(route, guarded)}; guarded are: {told}")
    chosen = [
        name
        for name, probe in known.items()
        if (not names or name in names) and (not routes or set(routes) & set(probe.routes))
    ]
    if not chosen:
        raise LookupError("none of these probes guards these routes, so there is nothing to run")
    return chosen


async def _run(rulebook: Rulebook, names: Sequence[str], side: Asked | None) -> list[Finding]:
    stands = ground(rulebook, compile_table(Effective(1, rulebook.rules)))
    sender = Sender(time.monotonic)
    runner = Runner(sender, time.time, time.monotonic, os.urandom)
    try:
        return list(await asyncio.gather(*(runner.run(stands, name, _sides(stands, name, side)) for name in names)))
    finally:
        await sender.close()


def _sides(stands: Ground, name: str, side: Asked | None) -> tuple[Side, ...]:
    if side is Asked.BOTH:
        return (Side.LEGACY, Side.CANDIDATE)
    return sides_of(stands.probes[name], Side(side.value) if side is not None else None)


def to_junit(findings: Sequence[Finding]) -> str:
    """A case for each side of each probe: that legacy fails is an error, for it says nothing of the candidate."""
    return junit_report.render(SUITE, (_case(each, side) for each in findings for side in each.sides))


def _case(finding: Finding, side: SideFinding) -> junit_report.Case:
    name = f"{finding.probe} on {side.side.value}"
    failed = f"{finding.reason}\n{to_text([finding])}" if side.outcome is not Outcome.PASSED else None
    blamed = side.side is Side.CANDIDATE and finding.result.exit_code == 1
    return junit_report.Case(
        name, f"probes.{finding.probe}", failure=failed if blamed else None, error=None if blamed else failed
    )
