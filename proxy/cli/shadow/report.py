"""`fig shadow report`: what the pairs say."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from proxy.cli.junit import render as render_junit
from proxy.cli.shadow.junit_cases import cases
from proxy.cli.shadow.markdown import render as render_markdown
from proxy.cli.shadow.reading import (
    StateOption,
    comparisons_of,
    key_history,
    noises,
    opened,
    refuse,
    running,
    stages_of,
    state_folder,
    targets_in,
    targets_of,
    unseeded,
    visible,
)
from proxy.cli.shadow.report_lists import listed
from proxy.settings import DEFAULT_STATE
from rules.problems import suggestion
from shadow.certifying.certificate import CertificateVerdict
from shadow.pairs.kept import KeptDifference
from shadow.pairs.reader import PairReader
from shadow.pairs.tables import StoreError
from shadow.report.building import PlaceReport, Report, RouteReport, build_report
from shadow.report.document import to_document
from shadow.report.html import render_html

_STYLES = {
    CertificateVerdict.GO: "bold green",
    CertificateVerdict.NO_GO: "bold red",
    CertificateVerdict.TOO_FEW: "bold yellow",
    CertificateVerdict.FAULT: "bold magenta",
}
_SHOWN_ROUTES = 50
_SHOWN_CAUSES = 10
_SHOWN_PLACES = 10
_SHOWN_VALUE = 200


def report_pairs(
    route: Annotated[str | None, typer.Argument(help="Only this route.", show_default=False)] = None,
    state: StateOption = Path(DEFAULT_STATE),
    rules: Annotated[
        Path | None,
        typer.Option(
            "-c",
            "--config",
            help="Hold certificates against this rules file instead of the one that runs.",
            envvar="FIG_CONFIG",
            show_default=False,
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(help="Also write the report into this file, to open in a browser.", show_default=False),
    ] = None,
    markdown: Annotated[
        Path | None,
        typer.Option(help="Also write a comment for a pull request into this file.", show_default=False),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(help="Also write a JUnit report into this file, for CI.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    samples: Annotated[int, typer.Option(help="Pairs shown for each place that differs.", min=0, max=50)] = 3,
) -> None:
    """Say where legacy and candidate answer differently, and how often.

    Exit 0: no difference; 1: there are some; 2: nothing to read; 3: no pair was compared yet; 4: gaps or doubts.
    """
    report = _read(state, rules, route, samples)
    if html is not None:
        _write(html, render_html(report, key_history(state)))
    if markdown is not None:
        _write(markdown, render_markdown(report))
    if junit is not None:
        _write(junit, render_junit("fig shadow report", cases(report)))
    if as_json:
        typer.echo(json.dumps(to_document(report), indent=2))
    else:
        console = Console(soft_wrap=False, highlight=False)
        console.print(_rendered(report))
        if html is not None:
            console.print(f"side by side: {html}")
    raise typer.Exit(report.exit_code)


def _write(path: Path, text: str) -> None:
    try:
        # Half a character (a lone surrogate of JSON) has no UTF-8; what shows one shows its number.
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as exc:
        refuse(f"{path}: cannot be written: {exc.strerror}")


def _read(state: Path, rules: Path | None, route: str | None, samples: int) -> Report:
    state_folder(state)
    effective = running(state)
    stages = stages_of(effective)
    targets = targets_of(effective) if rules is None else targets_in(rules)
    comparisons = comparisons_of(effective)
    try:
        with PairReader(state / "pairs.db") as reader:
            if route is not None and route not in reader.routes() and route not in stages:
                known = sorted({*reader.routes(), *stages})
                hint = suggestion(route, known) or f"; there are: {', '.join(known[:_SHOWN_ROUTES]) or 'none'}"
                refuse(f"there is no route '{route}'{hint}")
            shown = reader.routes() if route is None else (route,)
            noise = noises(state, shown)
            writes, notes = opened(state)
            seeds, more = unseeded(state)
            return build_report(
                reader,
                targets,
                stages,
                time.time(),
                route,
                samples,
                comparisons,
                noise,
                writes,
                (*notes, *more),
                seeds,
            )
    except StoreError as exc:
        refuse(str(exc))


def _rendered(report: Report) -> RenderableType:
    if not report.routes:
        return Text("Nothing was compared yet. Routes are compared while they stand in shadow, canary or live.")
    notes = [Text(visible(f"note: {each}"), "yellow", overflow="fold") for each in report.notes]
    return Group(_summary(report), *notes, *(part for route in report.routes for part in _route(route)))


def _summary(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("ROUTE", overflow="fold")
    table.add_column("STAGE")
    for name in ("PAIRS", "AGREE", "DIFFER", "EXCUSED"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("CERTIFICATE", no_wrap=True)
    for route in report.routes:
        verdict = route.certificate.verdict
        table.add_row(
            route.route,
            route.stage or "-",
            f"{route.pairs:,}",
            f"{route.matches:,}",
            f"{route.differing:,}",
            f"{route.windows[0].excused if route.windows else 0:,}",
            Text(str(verdict), _STYLES[verdict]),
        )
    return table


def _route(report: RouteReport) -> list[RenderableType]:
    certificate = report.certificate
    title = Text.assemble("\n", (report.route, "bold"), "  ", visible(report.headline))
    lines: list[RenderableType] = [
        title,
        Text.assemble("  ", (str(certificate.verdict), _STYLES[certificate.verdict]), f"  {certificate.reason}"),
    ]
    lines += [_item(each) for each in report.blocks]
    if report.causes:
        lines.append(Text("\n  causes", "bold"))
    lines += [_item(f"{cause.sentence}; {cause.state}, cause {cause.name}") for cause in report.causes[:_SHOWN_CAUSES]]
    if len(report.causes) > _SHOWN_CAUSES:
        lines.append(
            Text(f"  and {len(report.causes) - _SHOWN_CAUSES} more causes; fig shadow causes lists them", "dim")
        )
    for place in report.places[:_SHOWN_PLACES]:
        lines.extend(_place(place, report.pairs))
    if len(report.places) > _SHOWN_PLACES:
        lines.append(Text(f"  and {len(report.places) - _SHOWN_PLACES} more places; --json or --html show all", "dim"))
    for heading, found in listed(report):
        lines.append(Text(f"\n  {heading}", "bold"))
        lines += [_item(each) for each in found]
    return lines


def _item(text: str) -> RenderableType:
    """A point of a list, its further lines below its first."""
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("  -", Text(visible(text)))
    return table


def _place(report: PlaceReport, pairs: int) -> list[RenderableType]:
    place = report.place
    lines: list[RenderableType] = [
        Text.assemble(
            "\n  ",
            (visible(report.sentence), "bold"),
            f"  {place.pairs:,} of {pairs:,} pairs ({report.rate:.2%})",
            overflow="fold",
        )
    ]
    if report.noise_sentence:
        lines.append(Text(visible(f"  {report.noise_sentence}"), "dim", overflow="fold"))
    for sample in report.samples[:1]:  # one says it in a terminal; --json and --html have them all
        for difference in report.differences(sample)[:1]:
            asked = f"{sample.pair.method} {sample.pair.target}  {difference.pointer}"
            head = Text(visible(asked), "dim", overflow="fold")
            lines.append(Padding(Group(head, _values(difference, sample.pair.id)), (0, 0, 0, 4)))
    return lines


def _values(difference: KeptDifference, pair: str) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("legacy", Text(_short(difference.legacy), "red"))
    table.add_row("candidate", Text(_short(difference.candidate), "green"))
    table.add_row("pair", Text(visible(pair), "dim"))
    return table


def _short(value: str | None) -> str:
    if value is None:
        return "(none)"
    return visible(value if len(value) <= _SHOWN_VALUE else value[:_SHOWN_VALUE] + "…")
