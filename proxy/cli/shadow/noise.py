"""`fig shadow noise` and `fig shadow suggest`: what legacy disagrees with itself about, and masks that it suggests."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from proxy.cli.shadow.reading import StateOption, comparisons_of, refuse, running, state_folder, visible
from proxy.settings import DEFAULT_STATE
from rules.problems import suggestion as nearest
from shadow.comparing.values import written
from shadow.noise.rates import CONFIDENCE, PathVerdict, Rate
from shadow.noise.suggesting import Advice, Refusal, Suggestion
from shadow.noise.yaml_text import as_yaml
from shadow.pairs.noise_reading import PathReport, RouteNoise, read_advice, read_noise
from shadow.pairs.reader import PairReader
from shadow.pairs.tables import StoreError
from shadow.spec import Comparison

_STYLES = {
    PathVerdict.BEYOND: "bold red",
    PathVerdict.TOO_FEW: "yellow",
    PathVerdict.EXPLAINED: "green",
    PathVerdict.NO_DIFFERENCE: "dim",
}
_SHOWN = 50
_SHOWN_VALUE = 80
_GOOD_FOR = timedelta(days=90)
"""How long a suggested mask is proposed to hold."""

RouteArgument = Annotated[str | None, typer.Argument(help="Only this route.", show_default=False)]


def show_noise(
    route: RouteArgument = None,
    state: StateOption = Path(DEFAULT_STATE),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what legacy, asked again, disagrees with itself about, beside how often the candidate differs there.

    Exit 0: noise explains every difference; 1: some are beyond noise; 2: nothing to read; 3: too few samples to tell.
    """
    database = state_folder(state) / "pairs.db"
    try:
        found = [read_noise(database, name) for name in _routes(database, route)]
    except StoreError as exc:
        refuse(str(exc))
    if as_json:
        typer.echo(json.dumps({"routes": [_noise_document(each) for each in found]}, indent=2))
    else:
        console = Console(soft_wrap=False, highlight=False)
        for each in found:
            _print_noise(console, each)
    verdicts = {path.verdict for each in found for path in each.paths}
    if PathVerdict.BEYOND in verdicts:
        raise typer.Exit(1)
    raise typer.Exit(3 if PathVerdict.TOO_FEW in verdicts or not any(each.asked for each in found) else 0)


def suggest_masks(
    route: RouteArgument = None,
    state: StateOption = Path(DEFAULT_STATE),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_text: Annotated[bool, typer.Option("--yaml", help="Print only masks to paste into the rules file.")] = False,
) -> None:
    """Suggest masks for what legacy disagrees with itself about, with what speaks against each. Applies nothing.

    Exit 0: there are suggestions, or none is needed; 2: nothing to read; 3: legacy was not asked again yet.
    """
    if as_json and as_text:
        refuse("--json and --yaml both write to standard output; give one of them")
    database = state_folder(state) / "pairs.db"
    comparisons = comparisons_of(running(state))
    expires = (datetime.now(UTC) + _GOOD_FOR).date()
    try:
        names = _routes(database, route)
        plain = Comparison()
        found = {name: read_advice(database, name, comparisons.get(name, plain)) for name in names}
        asked = sum(read_noise(database, name).asked for name in names)
    except StoreError as exc:
        refuse(str(exc))
    if as_json:
        document = [_advice_document(name, advice, expires) for name, advice in found.items()]
        typer.echo(json.dumps({"routes": document}, indent=2))
    elif as_text:
        for line in _yaml(found, expires):
            typer.echo(line)
    else:
        console = Console(soft_wrap=False, highlight=False)
        for name, advice in found.items():
            _print_advice(console, name, advice, expires)
    raise typer.Exit(0 if asked or any(advice.suggestions for advice in found.values()) else 3)


def _routes(database: Path, route: str | None) -> Sequence[str]:
    with PairReader(database) as reader:
        known = reader.routes()
    if route is None:
        return known
    if route not in known:
        hint = nearest(route, known) or f"; there are: {', '.join(known[:_SHOWN]) or 'none'}"
        refuse(f"no pairs of a route '{visible(route)}'{hint}")
    return (route,)


# --- noise ------------------------------------------------------------------------------------------------------------


def _print_noise(console: Console, found: RouteNoise) -> None:
    head = f"{found.asked:,} samples beside {found.pairs:,} pairs"
    console.print(Text.assemble((visible(found.route), "bold"), f"  {head}"))
    if not found.asked:
        console.print(Text("  legacy was not asked again; set shadow.noise on the route, for example noise: 2%"))
    if not found.paths:
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2))
    table.add_column("  PATH", overflow="fold")
    table.add_column("LEGACY AGAIN", justify="right")
    table.add_column("CANDIDATE", justify="right")
    table.add_column("ALL PAIRS", justify="right")
    table.add_column("VERDICT", no_wrap=True)
    for path in found.paths[:_SHOWN]:
        table.add_row(
            f"  {visible(path.path) or '(the whole body)'}",
            _rate(path.noise),
            _rate(path.difference),
            _rate(path.wide) if path.wide is not None else "-",
            Text(str(path.verdict), _STYLES[path.verdict]),
        )
    console.print(table)
    if len(found.paths) > _SHOWN:
        console.print(Text(f"  and {len(found.paths) - _SHOWN} more paths; --json shows all", "dim"))
    console.print(Text(f"  intervals: Clopper-Pearson, {CONFIDENCE:.0%}", "dim"))


def _rate(rate: Rate) -> str:
    return f"{rate.hits:,} of {rate.of:,}\n{rate.value:.2%} ({rate.low:.2%} to {rate.high:.2%})"


def _noise_document(found: RouteNoise) -> dict[str, Any]:
    return {
        "route": found.route,
        "samples": found.asked,
        "first": found.first or None,
        "last": found.last or None,
        "pairs": found.pairs,
        "confidence": CONFIDENCE,
        "interval": "Clopper-Pearson",
        "paths": [_path_document(each) for each in found.paths],
    }


def _path_document(path: PathReport) -> dict[str, Any]:
    return {
        "path": path.path,
        "verdict": str(path.verdict),
        "noise": _rate_document(path.noise),
        "noise_before": _rate_document(path.at_once),
        "difference": _rate_document(path.difference),
        "all_pairs": _rate_document(path.wide) if path.wide is not None else None,
    }


def _rate_document(rate: Rate) -> dict[str, Any]:
    return {**asdict(rate), "rate": rate.value}


# --- suggestions ------------------------------------------------------------------------------------------------------


def _print_advice(console: Console, route: str, advice: Advice, expires: date) -> None:
    recommended = [each for each in advice.suggestions if not each.withheld]
    withheld = [each for each in advice.suggestions if each.withheld]
    told = f"{len(recommended)} mask{'s' if len(recommended) != 1 else ''} suggested; none is applied by itself"
    console.print(Text.assemble((visible(route), "bold"), f"  {told}"))
    for each in recommended:
        for line in _told(each):
            console.print(Text(f"  {line}", overflow="fold"))
        for line in as_yaml(each, route, expires):
            console.print(Text(f"      {visible(line)}", "green", overflow="fold"))
    for each in withheld:
        console.print(Text(f"  withheld: {each.mask.name}: {visible(each.withheld)}", "yellow", overflow="fold"))
    for refusal in advice.refusals:
        console.print(Text(f"  {_refused(refusal)}", "dim", overflow="fold"))


def _told(each: Suggestion) -> Iterator[str]:
    reach = each.reach
    yield f"{visible(each.mask.path)}: {visible(each.sentence)}"
    if not each.from_noise:
        yield "  WITHOUT evidence of noise: it explains differences of the candidate, and may hide a bug"
    yield f"  support: {each.support} of {each.examples} examples; {len(each.counter)} counter-examples shown"
    for example in each.counter:
        yield f"    not: {_short(example.legacy)} and {_short(example.other)} (pair {example.pair})"
    yield f"  would excuse {reach.wholly} of {reach.pairs} kept pairs that differ there, parts of {reach.partly} more"
    for shown in reach.examples:
        values = f"{_short(_text(shown.difference.legacy))} and {_short(_text(shown.difference.candidate))}"
        yield f"    {shown.pair}  {visible(shown.method)} {_short(shown.target)}  {values}"
    for shown in reach.remaining:
        values = f"{_short(_text(shown.difference.legacy))} and {_short(_text(shown.difference.candidate))}"
        yield f"    stays: {shown.pair}  {values}"


def _refused(refusal: Refusal) -> str:
    path = visible(refusal.path) or "(the whole body)"
    return f"no mask for {path}, noisy in {refusal.noisy:,} of {refusal.asked:,} samples: {refusal.reason}"


def _text(value: Any) -> str:
    return written(value)


def _short(text: str | None) -> str:
    if text is None:
        return "(none)"
    return visible(text if len(text) <= _SHOWN_VALUE else text[:_SHOWN_VALUE] + "…")


def _yaml(found: dict[str, Advice], expires: date) -> Iterator[str]:
    for route, advice in found.items():
        lines = [line for each in advice.suggestions if not each.withheld for line in as_yaml(each, route, expires)]
        if lines:
            yield f"# for the comparison of route {visible(route)}:"
            yield "masks:"
            yield from (f"  {visible(line)}" for line in lines)


def _advice_document(route: str, advice: Advice, expires: date) -> dict[str, Any]:
    return {
        "route": route,
        "suggestions": [_suggestion_document(each, route, expires) for each in advice.suggestions],
        "none_for": [asdict(each) for each in advice.refusals],
    }


def _suggestion_document(each: Suggestion, route: str, expires: date) -> dict[str, Any]:
    reach = each.reach
    return {
        "mask": each.mask.model_dump(mode="json", exclude_none=True, exclude_defaults=True),
        "sentence": each.sentence,
        "from_noise": each.from_noise,
        "withheld": each.withheld or None,
        "support": each.support,
        "examples": each.examples,
        "counter_examples": [asdict(example) for example in each.counter],
        "differing_samples": each.differing,
        "stay_differences": each.beyond,
        "would_excuse": {
            "kept_pairs": reach.pairs,
            "wholly": reach.wholly,
            "partly": reach.partly,
            "pairs": [shown.pair for shown in reach.examples],
            "remaining": [shown.pair for shown in reach.remaining],
        },
        "yaml": None if each.withheld else "\n".join(as_yaml(each, route, expires)),
    }
