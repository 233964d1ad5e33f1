"""How fast pairs are compared, what hostile answers cost, and whether the laws of the comparison hold for a million.

    pip install deepdiff jsonpatch dictdiffer                     # the peers; `make bench-comparing` does it
    python -m benchmarks.comparing                                # speed beside the peers, hostile answers, a minute
    python -m benchmarks.comparing --again 200000                 # judge so many kept pairs again, in two processes
    python -m benchmarks.comparing --cases 1000000 --seed 1       # the laws, for so many random pairs
    python -m benchmarks.comparing --again 200000 --output benchmarks/comparing.md

Peers that are not installed are left out, and said to be. Times are of processor time, the best round's. Exits with 1
where a goal is missed or a law is broken. Written into a file, sections that were not measured stay as they are there.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import json
import multiprocessing
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from benchmarks.hostile_answers import Hostile, compact, documents, lists
from benchmarks.programs import machine
from shadow.comparing import layouts
from shadow.comparing.compare import Comparer, compare, judge
from shadow.pair import Answer
from shadow.pairs.kept import decode, encode, keep_pair
from shadow.spec import Comparison
from tests.fakes.pairs import pair
from tests.shadow.comparing.drawn_json import changed, drawn_value, spelled
from tests.shadow.comparing.laws import refutation

PAIRS = 200
"""Different ones per kind, so that no cache holds what was seen before."""
ROUNDS = 7
MOST_ROUNDS = 60
"""Rounds where a goal was not met yet: other work on the machine takes the caches away in most of them."""
HEADERS = (
    ("Content-Type", "application/json"),
    ("Cache-Control", "no-store"),
    ("Date", "Sun, 22 Nov 2026 10:00:00 GMT"),
)
PLAIN = Comparison()
MASKED = Comparison.model_validate({"masks": [{"path": "/generated_at", "kind": "timestamp", "within": "2s"}]})
UNLEARNT = "equal, other order of keys, nothing learnt"
GOALS = {
    "equal to the byte": 20_000,
    "equal, other blanks": 20_000,
    "equal, other order of keys": 20_000,
    "equal, other order of keys and blanks": 20_000,
    "one leaf changed": 5_000,
}
"""Pairs a second on one processor, for JSON of 4.9 KB."""
LONGEST = 1.0
"""Seconds for hostile answers of a megabyte."""
LONGEST_AGAIN = 60.0
"""Seconds for 200,000 kept pairs judged again on two processors."""
HEADING = (
    "# Comparing",
    "",
    "Written by `make bench-comparing`. Pairs a second are those of one processor, bytes in and differences with their",
    "full paths out: the best round's, of processor time, for the machine had other work too. The peers get parsed",
    "values (`json.loads`, counted) and no masks.",
    "",
)
Section = tuple[str, list[str]]
"""Title and lines; ``""`` for what stands before all titles."""

Judge = Callable[[bytes, bytes], object]


def page(chance: Random) -> dict[str, Any]:
    """A page of a catalogue: 4.9 KB without blanks, with prices, booleans and nulls."""
    first = chance.randrange(10_000)
    items = [
        {
            "id": first + number,
            "sku": f"SKU-{chance.randrange(10**6):06d}",
            "name": f"Widget number {first + number}, {chance.choice(('blue', 'red', 'green'))}",
            "price": round(chance.random() * 100, 2),
            "currency": "EUR",
            "in_stock": chance.random() < 0.7,
            "tags": ["new", "sale", chance.choice(("spring", "summer"))],
            "stock": {"warehouse": "ber-1", "count": chance.randrange(500)},
            "note": None,
        }
        for number in range(25)
    ]
    return {"generated_at": "2026-11-22T10:00:00Z", "page": 1, "total": 240, "items": items}


def turned(value: Any) -> Any:
    """The same value with every object's keys in the opposite order."""
    if isinstance(value, dict):
        return {key: turned(value[key]) for key in reversed(value)}
    return [turned(item) for item in value] if isinstance(value, list) else value


def one_leaf(value: dict[str, Any], chance: Random) -> dict[str, Any]:
    other = copy.deepcopy(value)
    other["items"][chance.randrange(25)]["stock"]["count"] += 1000
    return other


def draws(seed: int) -> dict[str, list[tuple[bytes, bytes]]]:
    """Kind of pair -> bodies."""
    chance = Random(seed)
    pages = [page(chance) for _ in range(PAIRS)]
    later = [{**one_leaf(each, chance), "generated_at": "2026-11-22T10:00:01Z"} for each in pages]
    return {
        "equal to the byte": [(compact(each), compact(copy.deepcopy(each))) for each in pages],
        "equal, other blanks": [(compact(each), json.dumps(each).encode()) for each in pages],
        "equal, other order of keys": [(compact(each), compact(turned(each))) for each in pages],
        UNLEARNT: [(compact(each), compact(turned(each))) for each in pages],
        "equal, other order of keys and blanks": [(compact(each), json.dumps(turned(each)).encode()) for each in pages],
        "one leaf changed": [(compact(each), compact(one_leaf(each, chance))) for each in pages],
        "one leaf changed, blanks, a time under a mask": [
            (compact(each), json.dumps(other).encode()) for each, other in zip(pages, later, strict=True)
        ],
    }


def fig(legacy: bytes, candidate: bytes, comparison: Comparison = PLAIN) -> object:
    return compare(Answer(200, HEADERS, legacy), Answer(200, HEADERS, candidate), comparison)


def peers() -> tuple[dict[str, Judge], list[str]]:
    """The peers that are installed, and the names of those that are not."""
    ways: dict[str, Callable[[Any], Callable[[Any, Any], object]]] = {
        "deepdiff": lambda module: module.DeepDiff,
        "jsonpatch": lambda module: module.make_patch,
        "dictdiffer": lambda module: lambda a, b: list(module.diff(a, b)),
    }
    found: dict[str, Judge] = {}
    lacking = []
    for name, way in ways.items():
        try:
            found[name] = partial(_parsed, way(importlib.import_module(name)))
        except ImportError:
            lacking.append(name)
    return found, lacking


def _parsed(difference: Callable[[Any, Any], object], legacy: bytes, candidate: bytes) -> object:
    return difference(json.loads(legacy), json.loads(candidate))


def rate(judging: Judge, pairs: Sequence[tuple[bytes, bytes]], goal: float = 0) -> float:
    """Pairs a second of processor time, in the best of the rounds."""
    best = float("inf")
    for number in range(MOST_ROUNDS):
        if number >= ROUNDS and len(pairs) / best >= goal:
            break
        began = time.process_time()
        for legacy, candidate in pairs:
            judging(legacy, candidate)
        best = min(best, time.process_time() - began)
    return len(pairs) / best


def unlearnt() -> Judge:
    """fig's comparison, not let learn any order of keys: as if every pair were of a kind of its own."""
    with patch.object(layouts, "MOST_LEARNT", 0):
        comparer = Comparer(PLAIN)
    return lambda legacy, candidate: comparer.compare(Answer(200, HEADERS, legacy), Answer(200, HEADERS, candidate))


def measure_pairs(seed: int) -> tuple[list[str], list[str]]:
    """Pairs a second on one core, and how many times as fast as each peer; and the goals that were missed."""
    others, lacking = peers()
    missed = []
    lines = ["| pairs | fig, pairs a second | goal |" + "".join(f" times {name} |" for name in others)]
    lines.append("| --- " * (3 + len(others)) + "|")
    drawn = draws(seed)
    for kind, pairs in drawn.items():
        judging = unlearnt() if kind is UNLEARNT else partial(fig, comparison=MASKED if "mask" in kind else PLAIN)
        goal = GOALS.get(kind, 0)
        mine = rate(judging, pairs, goal)
        ratios = "".join(f" {mine / rate(peer, pairs[:20]):,.0f} |" for peer in others.values())
        lines.append(f"| {kind} | {mine:,.0f} | {_goal(f'{goal:,}', mine >= goal) if goal else ''} |{ratios}")
        if goal and mine < goal:
            missed.append(f"{kind}: {mine:,.0f} pairs a second, not {goal:,}")
    size = sum(len(legacy) for legacy, _ in drawn["one leaf changed"]) / PAIRS
    lines += ["", f"Bodies of {size / 1000:.1f} KB in the mean, {PAIRS} different pairs of each kind."]
    if lacking:
        lines.append(f"Not installed here, so not measured: {', '.join(lacking)} (`pip install {' '.join(lacking)}`).")
    return lines, missed


def _goal(text: str, met: bool) -> str:
    return f"{text}, {'met' if met else 'MISSED'}"


def measure_hostile(answers: Hostile) -> tuple[list[str], list[str]]:
    """Seconds that hostile answers take, from bytes to differences; and those that take too long."""
    lines = ["| answers | KB | seconds | goal | found |", "| --- | --- | --- | --- | --- |"]
    missed = []
    for name, (kind, legacy, candidate, comparison) in answers.items():
        sides = [Answer(200, (("Content-Type", kind),), body) for body in (legacy, candidate)]
        best, found = float("inf"), set[str]()
        for number in range(9):
            if number >= 3 and best <= LONGEST:
                break
            began = time.process_time()
            outcome = compare(sides[0], sides[1], comparison)
            best = min(best, time.process_time() - began)
            found = {each.kind.value for each in outcome.differences}
        said = ", ".join(sorted(found)) or "nothing"
        lines.append(f"| {name} | {len(legacy) / 1000:,.0f} | {best:.2f} | {_goal('1 s', best <= LONGEST)} | {said} |")
        if best > LONGEST or not found:
            missed.append(f"{name}: {best:.2f} s, found {said}")
    return lines, missed


def judged_again(records: Sequence[bytes], count: int) -> tuple[int, float]:
    """Decode and judge so many kept pairs: how many differ, and seconds of processor time."""
    began = time.process_time()
    differing = 0
    for number in range(count):
        kept = decode(records[number % len(records)])
        differing += not judge(kept.pair, MASKED).outcome.equal
    return differing, time.process_time() - began


def measure_again(count: int, seed: int) -> tuple[list[str], list[str]]:
    """Kept pairs judged again in two processes; an eighth of each kind, and two of those equal to the byte."""
    kinds = list(draws(seed).values())
    records = [
        encode(keep_pair(each.pair, each.outcome))
        for bodies in (*kinds, kinds[0])
        for each in (
            judge(pair(Answer(200, HEADERS, legacy), Answer(200, HEADERS, candidate)), MASKED)
            for legacy, candidate in bodies
        )
    ]
    began = time.monotonic()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        results = pool.starmap(judged_again, [(records, count // 2), (records[::-1], count - count // 2)])
    took = time.monotonic() - began
    busiest = max(seconds for _, seconds in results)
    differing = sum(each for each, _ in results)
    limit = LONGEST_AGAIN * count / 200_000
    line = (
        f"{count:,} kept pairs judged again in 2 processes: {busiest:.1f} s of processor time in the busier "
        f"(goal {_goal(f'{limit:.0f} s', busiest <= limit)}), {took:.1f} s by the clock; {differing:,} of them differ."
    )
    return [line], [line] if busiest > limit else []


def measure_laws(count: int, seed: int) -> tuple[list[str], list[str]]:
    """Random pairs held against the laws: which broke one, and how many."""
    chance = Random(seed)
    broken: list[str] = []
    began = time.process_time()
    for _ in range(count):
        value = drawn_value(chance)
        kind = chance.random()
        other = value if kind < 0.3 else changed(value, chance) if kind < 0.85 else drawn_value(chance)
        twice = chance.random() < 0.1
        said = refutation(spelled(value, chance, twice), spelled(other, chance, twice and chance.random() < 0.5))
        if said:
            broken.append(said)
    took = time.process_time() - began
    line = (
        f"{count:,} random pairs from seed {seed}, in every spelling of JSON: {len(broken)} broke a law "
        f"(`apply(diff(a, b), a) == b`, symmetry, equal exactly when canonically equal); {took:.0f} s of processor "
        f"time, at commit {_commit()}."
    )
    return [line], broken[:10]


def _commit() -> str:
    said = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return said.stdout.strip() or "unknown"


def kept_sections(file: Path, measured: Sequence[Section]) -> list[Section]:
    """The sections of an earlier run that this one has not measured."""
    titles = {title for title, _ in measured}
    found: list[Section] = []
    for part in re.split(r"^## ", file.read_text() if file.exists() else "", flags=re.MULTILINE)[1:]:
        title, _, body = part.partition("\n")
        if title not in titles:
            found.append((title, body.strip().splitlines()))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=0, help="hold so many random pairs against the laws")
    parser.add_argument("--again", type=int, default=0, help="judge so many kept pairs again")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, help="also write the results here, with the machine")
    given = parser.parse_args()
    sections: list[Section] = []
    missed: list[str] = []
    speed = given.output or not (given.cases or given.again)
    for title, wanted, measure in (
        ("", speed, lambda: measure_pairs(given.seed)),
        ("Hostile lists of a megabyte", speed, lambda: measure_hostile(lists())),
        ("Hostile documents of a megabyte", speed, lambda: measure_hostile(documents())),
        ("Judged again", given.again, lambda: measure_again(given.again, given.seed)),
        ("Laws", given.cases, lambda: measure_laws(given.cases, given.seed)),
    ):
        if wanted:
            lines, fallen_short = measure()
            sections.append((title, lines))
            missed += fallen_short
            print("\n".join([*([f"## {title}"] if title else []), *lines, ""]), flush=True)
    if given.output is not None:
        text = [*HEADING, *machine([]), ""]
        for title, lines in [*sections, *kept_sections(given.output, sections)]:
            text += [*([f"## {title}", ""] if title else []), *lines, ""]
        given.output.write_text("\n".join(text).rstrip() + "\n")
    print("\n".join(f"MISSED  {each}" for each in missed) or "every goal met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
