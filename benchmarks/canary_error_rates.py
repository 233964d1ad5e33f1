"""Does the canary's gate keep its promises while one keeps looking? And how soon does it find what is wrong?

    python -m benchmarks.canary_error_rates --runs 2000                        # half a day to two of one processor
    python -m benchmarks.canary_error_rates --runs 2000 --minutes 30           # as far as that goes; again goes on
    python -m benchmarks.canary_error_rates --runs 100 --part speed
    python -m benchmarks.canary_error_rates --report --pack                    # only the tables, of what is there

Real evidence, real judge, eight metrics, seeded traffic (canary_traffic.py), a look after every batch
(canary_gate_run.py). Every run is a line in `--results`, so that a run that was ended goes on where it was; lines of
another gate (its digest is in them) are not used. `--pack` puts them beside the page (canary_error_rates.jsonl.xz),
where another machine goes on with them and a wrong verdict is found again by its seed. Exits with 1 where a goal is
missed, and where runs are too few to tell. Writes `--output`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import lzma
import multiprocessing
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import beta

from benchmarks.canary_gate_run import METRICS, SCHEDULE, Cell, gate, run
from benchmarks.canary_rivals import RIVALS, rival_run
from benchmarks.canary_traffic import EFFECTS, REQUIRED
from benchmarks.programs import machine

EVEN, SMALL = 500_000, 10_000
GOAL = 0.05
CONFIDENCE = 0.99
"""Of the one-sided Clopper-Pearson limits."""
FIGURES = {
    "errors 0 -> 2 %": 450,
    "errors 1 -> 1.5 %": 8_000,
    "mean +5 %": 2_100,
    "tail 2 % x5": 1_400,
    "median +10 %": 1_100,
    "A/A promote": 2_000,
}
"""Asked medians, in requests a side."""
NOTES = {
    "errors 0 -> 2 %": 440,
    "errors 1 -> 1.5 %": 8_938,
    "mean +5 %": 2_375,
    "tail 2 % x5": 1_338,
    "median +10 %": 1_075,
    "A/A promote": 1_988,
}
"""What the design that fig started from reached."""
MOST = {"errors 0 -> 2 %": 3_000, "errors 1 -> 1.5 %": 60_000}
JUDGES = ("arrivals", "cohort", "evidence", "gate", "happenings", "histogram", "soundness")
"""Modules of canary/ that decide a run beside its statistics and measures."""
FOREIGN = ("sourced", "points")
"""Measures of what this traffic does not have."""
Record = dict[str, Any]


def _pairs(workloads: tuple[str, ...], share: int, most: int) -> list[Cell]:
    return [Cell(question, workload, share, most) for workload in workloads for question in ("A/A", "at margin")]


PARTS: dict[str, list[Cell]] = {
    "speed": [Cell(question, "lognormal", EVEN, MOST.get(question, 20_000)) for question in EFFECTS],
    "even": _pairs((*REQUIRED, "slow"), EVEN, 100_000),
    "small": _pairs(REQUIRED, SMALL, 10_000),
    "rivals": [Cell("A/A", workload, EVEN, 10_000) for workload in ("lognormal", "ar1", "slow", "clustered")],
    "long": _pairs(("lognormal", "clustered"), EVEN, 1_000_000),
    "longest": _pairs(REQUIRED, SMALL, 100_000),
}
"""What is run. `long` and `longest`: two and ten million exchanges a run, only where asked for by name."""
RATES = ("even", "small", "long", "longest")
PACKED = Path(__file__).with_suffix(".jsonl.xz")
"""The runs behind the page."""


def upper_limit(found: int, runs: int, confidence: float = CONFIDENCE) -> float:
    """Of a part of which `found` of `runs` were seen (Clopper and Pearson 1934)."""
    return 1.0 if found >= runs else float(beta.ppf(confidence, found + 1, runs - found))


def digest() -> str:
    """Of what is judged: results of another gate, schedule or statistics are not used."""
    root = Path(__file__).parent.parent
    sources = [root / "benchmarks/canary_gate_run.py", root / "benchmarks/canary_traffic.py"]
    sources += [root / f"canary/{name}.py" for name in JUDGES]
    sources += sorted((root / "canary/stats").glob("*.py"))
    sources += [path for path in sorted((root / "canary/measures").rglob("*.py")) if path.stem not in FOREIGN]
    found = hashlib.sha256(gate().model_dump_json().encode())
    for source in sources:
        found.update(source.read_bytes())
    return found.hexdigest()[:12]


def kept(files: Iterable[Path], versions: Iterable[str]) -> dict[str, dict[int, Record]]:
    """Cell -> seed -> record; a line that was cut off by an end is not used."""
    found: dict[str, dict[int, Record]] = defaultdict(dict)
    for path in files:
        if not path.exists():
            continue
        content = path.read_bytes()
        text = (lzma.decompress(content) if path.suffix == ".xz" else content).decode()
        for line in text.splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if record["version"] in versions:
                found[record["cell"]][record["seed"]] = record
    return found


def pack(found: dict[str, dict[int, Record]], path: Path = PACKED) -> None:
    """Write the runs where `kept` reads them."""
    records = [record for cell in sorted(found) for _, record in sorted(found[cell].items())]
    with lzma.open(path, "wt", preset=9) as file:
        file.writelines(json.dumps(record) + "\n" for record in records)


def _timed(job: tuple[Cell, int, bool]) -> Record:
    cell, seed, rival = job
    began = time.process_time()
    record = rival_run(cell, seed) if rival else run(cell, seed)
    return {**record, "seconds": round(time.process_time() - began, 2)}


def _jobs(
    chosen: list[tuple[Cell, bool]], runs: int, done: dict[str, dict[int, Record]]
) -> Iterator[tuple[Cell, int, bool]]:
    """Every cell's run before any cell's next, so that an early end leaves them alike."""
    for seed in range(runs):
        for cell, rival in chosen:
            name = f"rival {cell.name}" if rival else cell.name
            if seed not in done.get(name, {}):
                yield cell, seed, rival


def collect(
    chosen: list[tuple[Cell, bool]], runs: int, results: Path, versions: list[str], jobs: int, minutes: float
) -> None:
    """Run what is missing and append it to `results`, until the time is up."""
    end = time.monotonic() + 60 * minutes
    due = _jobs(chosen, runs, kept((PACKED, results), versions))
    with results.open("a") as file:
        for record in _results(due, jobs):
            file.write(json.dumps({**record, "version": versions[0]}) + "\n")
            file.flush()
            if time.monotonic() > end:
                break


def _results(due: Iterable[tuple[Cell, int, bool]], jobs: int) -> Iterator[Record]:
    if jobs == 1:
        yield from map(_timed, due)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap_unordered(_timed, due)


def rates_table(found: dict[str, dict[int, Record]], chosen: list[Cell]) -> tuple[list[str], list[bool | None]]:
    """Lines of wrong verdicts, and of each cell whether its goal was met (None: too few runs to tell)."""
    lines = [
        "| truth | workload | share | requests a side | runs | wrong verdicts | upper 99 % limit | goal 5 % |"
        " wrong by itself, at most |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    met: list[bool | None] = []
    for cell in chosen:
        records = list(found.get(cell.name, {}).values())
        if not records:
            continue
        end = "rollback" if cell.question == "A/A" else "promote"
        wrong = sum(record[end] is not None for record in records)
        limit, runs = upper_limit(wrong, len(records)), len(records)
        lower = 0.0 if not wrong else float(beta.ppf(1 - CONFIDENCE, wrong, runs - wrong + 1))
        verdict: bool | None = True if limit <= GOAL else False if lower > GOAL else None
        if cell.workload in REQUIRED:
            met.append(verdict)
        lines.append(
            f"| {'equal' if end == 'rollback' else 'worse by the margin'} | {cell.workload} | "
            f"{'50/50' if cell.share == EVEN else '1/99'} | {cell.most:,} | {runs} | "
            f"{wrong} {'rolled back' if end == 'rollback' else 'promoted'} ({wrong / runs:.1%}) | {limit:.1%} | "
            f"{'met' if verdict else 'MISSED' if verdict is False else 'not shown'} | {_alone(cell, records)} |"
        )
    lines += _together(found, chosen)
    return lines, met


def _together(found: dict[str, dict[int, Record]], chosen: list[Cell]) -> list[str]:
    """The same of the six workloads together: how often on average over them, where runs are too few for each."""
    lines: list[str] = []
    kinds = dict.fromkeys((cell.question, cell.share, cell.most) for cell in chosen if cell.workload in REQUIRED)
    for question, share, most in kinds:
        end = "rollback" if question == "A/A" else "promote"
        alike = [cell for cell in chosen if (cell.question, cell.share, cell.most) == (question, share, most)]
        names = [cell.name for cell in alike if cell.workload in REQUIRED]
        records = [record for name in names for record in found.get(name, {}).values()]
        if sum(name in found for name in names) < 2:
            continue
        wrong, runs = sum(record[end] is not None for record in records), len(records)
        lines.append(
            f"| {'equal' if end == 'rollback' else 'worse by the margin'} | *all of these* | "
            f"{'50/50' if share == EVEN else '1/99'} | {most:,} | {runs} | {wrong} ({wrong / runs:.1%}) | "
            f"{upper_limit(wrong, runs):.1%} | no goal of its own | |"
        )
    return lines


def _alone(cell: Cell, records: list[Record]) -> str:
    """Which metric excluded its margin most often, where every one was at its margin."""
    if cell.question == "A/A":
        return ""
    times = {one["name"]: sum(one["name"] in record["excluded"] for record in records) for one in METRICS}
    name = max(times, key=lambda key: times[key])
    return f"{name} {times[name]} of {len(records)}" if times[name] else "none"


def speeds_table(found: dict[str, dict[int, Record]], chosen: list[Cell]) -> tuple[list[str], list[bool | None]]:
    lines = [
        "| difference | runs | median requests a side | 99 % interval of it | asked | the design's | goal | verdicts |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    met: list[bool | None] = []
    for cell in chosen:
        records = list(found.get(cell.name, {}).values())
        if not records:
            continue
        at = np.sort([record["at"] if record["verdict"] else np.inf for record in records])
        due = FIGURES[cell.question]
        low, high = _median_interval(at)
        middle = float(np.median(at)) if np.isfinite(at[len(at) // 2]) else float("inf")
        verdict: bool | None = middle <= due
        met.append(verdict)
        verdicts = [record["verdict"] for record in records]
        lines.append(
            f"| {cell.question} | {len(records)} | {middle:,.0f} | {low:,.0f} to {high:,.0f} | {due:,} | "
            f"{NOTES[cell.question]:,} | {'met' if verdict else 'MISSED'} | "
            f"{verdicts.count('rollback')} rollback, {verdicts.count('promote')} promote, {verdicts.count(None)} none |"
        )
    return lines, met


def _median_interval(ordered: Any) -> tuple[float, float]:
    """By order statistics: the median lies between with 99 % (binomial, normal approximation)."""
    n = len(ordered)
    half = 2.576 * np.sqrt(n) / 2
    low, high = max(0, int(np.floor(n / 2 - half))), min(n - 1, int(np.ceil(n / 2 + half)))
    return float(ordered[low]), float(ordered[high])


def rivals_table(found: dict[str, dict[int, Record]], chosen: list[Cell]) -> list[str]:
    lines = [
        "| workload | requests a side | runs | looks | " + " | ".join(RIVALS) + " | fig's gate |",
        "| --- | --- | --- | --- | " + "--- | " * (len(RIVALS) + 1),
    ]
    for cell in chosen:
        records = list(found.get(f"rival {cell.name}", {}).values())
        if not records:
            continue
        parts = []
        for name in (*RIVALS, "fig"):
            asked = [record[name] for record in records if record.get(name) is not None]
            parts.append(f"{np.mean(asked):.1%}" if asked else "not there")
        lines.append(
            f"| {cell.workload} | {cell.most:,} | {len(records)} | {records[0]['looks']} | {' | '.join(parts)} |"
        )
    return lines


def report(found: dict[str, dict[int, Record]], versions: list[str]) -> tuple[str, bool]:
    """The page, and whether every goal was met."""
    rates, met_rates = rates_table(found, [cell for part in RATES for cell in PARTS[part]])
    speeds, met_speeds = speeds_table(found, PARTS["speed"])
    met = [*met_rates, *met_speeds]
    runs = sum(len(records) for records in found.values())
    seconds = sum(record["seconds"] for records in found.values() for record in records.values())
    schedule = ", ".join(f"{size:,} a side to {until:,}" for until, size in SCHEDULE)
    weights = ", ".join(f"{one['name']} {one['weight']:g} (margin {one['margin']})" for one in METRICS)
    lines = [
        "# Error rates of the canary's gate",
        "",
        f"Written by `python -m benchmarks.canary_error_rates`: {runs:,} runs, {seconds / 3600:.1f} hours of one",
        f"processor, gate and statistics {', '.join(versions)} (digests of their sources).",
        *(
            ["The first is this tree's; runs of the others count because drawn ones came out the same when made again."]
            if len(versions) > 1
            else []
        ),
        "",
        *machine([]),
        "",
        f"Goals: {met.count(True)} met, {met.count(False)} missed, {met.count(None)} not shown: the runs are too few",
        "for the upper limit to come under 5 %, which does not say that they are kept.",
        "",
        "The real evidence and the real judge, alpha 5 %, harm 0; `errors` is critical. Weights:",
        weights + ".",
        f"A look after every batch: {schedule};",
        "for the requests to a verdict 15 a side to 2,400, then 60 to 12,000, then 300;",
        "errors 0 -> 2 % at 20 requests a minute, a look a minute. A verdict comes a batch after its last request.",
        "A percent of the exchanges fails (0.1 % where a figure is about times): a failed exchange counts as slow,",
        "which makes tails slower to find than without. Weights and schedule were chosen on these workloads, partly on",
        "the same seeds.",
        "",
        "## Wrong verdicts",
        "",
        "'Worse by the margin': all eight metrics of the candidate are worse by exactly their margins (times 5 %,",
        "errors +0.5 pp, orders -10 %), and only the mean is required; promotion counts also after a rollback, so that",
        "a rollback hides nothing. The last column says which metric alone excluded its margin most often. Equal: all",
        "the run to its end counts, also after a promotion. `slow` is none of the six: either side has a level of its",
        "own, 10 % up and down, that changes with every batch with a correlation of 0.7.",
        "",
        *rates,
        "",
        "## Requests a side to the verdict",
        "",
        "Medians over all runs, also those without a verdict; independent requests, lognormal times.",
        "",
        *speeds,
        "",
        "## Beside it: tests that are asked again and again",
        "",
        "Equal sides; how often the method said at one of the looks that the candidate is worse.",
        "",
        *rivals_table(found, PARTS["rivals"]),
        "",
    ]
    return "\n".join(lines), all(verdict is True for verdict in met) and bool(met)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=2000, help="of every cell")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="end after so many")
    parser.add_argument("--workload", help="only this one")
    parser.add_argument("--part", action="append", choices=list(PARTS), help="only this one; may be repeated")
    parser.add_argument("--results", type=Path, default=Path("canary_error_rates.jsonl"))
    parser.add_argument("--report", action="store_true", help="run nothing")
    parser.add_argument("--pack", action="store_true", help=f"keep the runs in {PACKED.name}, for whoever goes on")
    parser.add_argument(
        "--also", action="append", default=[], help="a version whose lines are used too: where only words were changed"
    )
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"))
    given = parser.parse_args(arguments)
    version = digest()
    versions = [version, *given.also]
    if not given.report:
        parts = given.part or [name for name in PARTS if not name.startswith("long")]
        chosen = [(cell, name == "rivals") for name in parts for cell in PARTS[name]]
        if given.workload:
            chosen = [(cell, rival) for cell, rival in chosen if cell.workload == given.workload]
        collect(chosen, given.runs, given.results, versions, given.jobs, given.minutes)
    found = kept((PACKED, given.results), versions)
    page, met = report(found, versions)
    given.output.write_text(page)
    if given.pack:
        pack(found)
    print(page)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
