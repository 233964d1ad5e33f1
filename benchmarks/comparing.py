"""How fast pairs are compared, what hostile lists cost, and whether the laws of the comparison hold for a million.

    python benchmarks/comparing.py                             # speed beside the peers that are installed, and lists
    python benchmarks/comparing.py --again 200000              # judge so many kept pairs again, in two processes
    python benchmarks/comparing.py --cases 1000000 --seed 1    # the laws, for so many random pairs
    python benchmarks/comparing.py --again 200000 --cases 1000000 --output benchmarks/comparing.md

The peers are deepdiff, jsonpatch and dictdiffer (`pip install deepdiff jsonpatch dictdiffer`); those that are not
installed are left out, and said to be. Times are of processor time.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import json
import multiprocessing
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.programs import machine
from shadow.comparing.compare import compare, judge
from shadow.comparing.findings import Findings
from shadow.comparing.masks import Masks
from shadow.comparing.values import Json, parse
from shadow.comparing.walk import BUDGET, Budget, Walk
from shadow.pair import Answer
from shadow.pairs.kept import decode, encode, keep_pair
from shadow.spec import Comparison
from tests.fakes.pairs import pair
from tests.shadow.comparing.drawn_json import changed, drawn_value, spelled
from tests.shadow.comparing.laws import refutation

PAIRS = 200
"""Different ones per kind, so that no cache holds what was seen before."""
ROUNDS = 7
HEADERS = (
    ("Content-Type", "application/json"),
    ("Cache-Control", "no-store"),
    ("Date", "Sun, 22 Nov 2026 10:00:00 GMT"),
)
PLAIN = Comparison()
MASKED = Comparison.model_validate({"masks": [{"path": "/generated_at", "kind": "timestamp", "within": "2s"}]})
GOALS = {
    "equal to the byte": 20_000,
    "equal, other blanks": 20_000,
    "equal, other order of keys": 20_000,
    "equal, other order of keys and blanks": 20_000,
    "one leaf changed": 5_000,
}
HEADING = (
    "# Comparing",
    "",
    "Written by `python benchmarks/comparing.py --again N --cases N --output benchmarks/comparing.md`. Pairs a second",
    "are those of one processor, bytes in and differences with their full paths out: the best round's, of processor",
    "time, for the machine had other work too. The peers get parsed values (`json.loads`, counted) and no masks.",
    "",
)

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


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


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


def rate(judging: Judge, pairs: Sequence[tuple[bytes, bytes]]) -> float:
    """Pairs a second of processor time, in the best of the rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for legacy, candidate in pairs:
            judging(legacy, candidate)
        best = min(best, time.process_time() - began)
    return len(pairs) / best


def measure_pairs(seed: int) -> list[str]:
    """Pairs a second on one core, and how many times as fast as each peer."""
    others, lacking = peers()
    lines = ["| pairs | fig, pairs a second | goal |" + "".join(f" times {name} |" for name in others)]
    lines.append("| --- " * (3 + len(others)) + "|")
    for kind, pairs in draws(seed).items():
        mine = rate(partial(fig, comparison=MASKED if "mask" in kind else PLAIN), pairs)
        ratios = "".join(f" {mine / rate(judging, pairs[:20]):.0f} |" for judging in others.values())
        lines.append(f"| {kind} | {mine:,.0f} | {f'{GOALS[kind]:,}' if kind in GOALS else ''} |{ratios}")
    size = sum(len(legacy) for legacy, _ in draws(seed)["one leaf changed"]) / PAIRS
    lines += ["", f"Bodies of {size / 1000:.1f} KB in the mean, {PAIRS} different pairs of each kind."]
    if lacking:
        lines.append(f"Not installed here, so not measured: {', '.join(lacking)}.")
    return lines


def hostile_lists() -> dict[str, tuple[Json, Json, Comparison]]:
    """Lists of a megabyte that are made to be hard to match."""
    alike = [
        {"n": number, "name": "an item that is like all the others", "tags": ["a", "b"]} for number in range(14_000)
    ]
    changed_items = [{**item, "name": "an item that is like all the rest"} for item in alike]
    chance = Random(1)
    shuffled = changed_items[:]
    chance.shuffle(shuffled)
    any_order = Comparison.model_validate({"masks": [{"path": "/**", "kind": "any_order"}]})
    bits = [[chance.randrange(2) for _ in range(500_000 - less)] for less in (0, 1)]
    return {
        "items nearly alike, reversed": (alike, alike[::-1], PLAIN),
        "items nearly alike, reversed, one less": (alike, alike[:0:-1], PLAIN),
        "every item changed and shuffled, any order": (alike, shuffled, any_order),
        "half a million of two values, one less": (bits[0], bits[1], PLAIN),
        "150 levels of lists": (_nested(150, 1), _nested(150, 2), PLAIN),
        "150 levels of lists, one less on each": (_nested(150, 1), _nested(150, 2, 1), PLAIN),
        "150 levels of lists, any order": (_nested(150, 1), _nested(150, 2), any_order),
    }


def _nested(levels: int, leaf: int, less: int = 0) -> Json:
    value: Json = leaf
    for _ in range(levels):
        value = [value, *range(1_500 - less)]
    return value


def measure_lists() -> list[str]:
    """Seconds that hostile lists take, parsing included, and what of the budget they used."""
    lines = [f"| lists | KB | seconds | steps of {BUDGET:,} | found |", "| --- | --- | --- | --- | --- |"]
    for name, (legacy, candidate, comparison) in hostile_lists().items():
        bodies = compact(legacy), compact(candidate)
        best, budget, findings = float("inf"), Budget(), Findings(Masks(comparison.masks))
        for _ in range(3):
            began = time.process_time()
            budget, findings = Budget(), Findings(Masks(comparison.masks))
            Walk(findings, budget, trial=False).compare(*map(parse, bodies))
            best = min(best, time.process_time() - began)
        found = findings.outcome().differences
        kinds = ", ".join(sorted({each.kind.value for each in found})) or "nothing"
        size, spent = len(bodies[0]) / 1000, min(budget.spent, BUDGET)
        lines.append(f"| {name} | {size:,.0f} | {best:.2f} | {spent:,} | {kinds} |")
    return lines


def judged_again(records: Sequence[bytes], count: int) -> tuple[int, float]:
    """Decode and judge so many kept pairs: how many differ, and seconds of processor time."""
    began = time.process_time()
    differing = 0
    for number in range(count):
        kept = decode(records[number % len(records)])
        differing += not judge(kept.pair, MASKED).outcome.equal
    return differing, time.process_time() - began


def measure_again(count: int, seed: int) -> list[str]:
    """Kept pairs judged again in two processes; a seventh of each kind, and two of those equal to the byte."""
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
    busy = sum(seconds for _, seconds in results)
    differing = sum(each for each, _ in results)
    return [
        f"{count:,} kept pairs, decoded and judged again in 2 processes: {took:.1f} s ({busy:.1f} s of processor time; "
        f"goal 60 s), {differing:,} of them differ."
    ]


def measure_laws(count: int, seed: int) -> tuple[list[str], int]:
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
        f"(`apply(diff(a, b), a) == b`, symmetry, equal exactly when canonically equal); {took:.0f} s."
    )
    return [line, *broken[:10]], len(broken)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=0, help="hold so many random pairs against the laws")
    parser.add_argument("--again", type=int, default=0, help="judge so many kept pairs again")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, help="also write the results here, with the machine")
    given = parser.parse_args()
    broken, lines = 0, []
    if given.output or not (given.cases or given.again):
        lines += [*measure_pairs(given.seed), "", "## Hostile lists of a megabyte", "", *measure_lists(), ""]
    if given.again:
        lines += ["## Judged again", "", *measure_again(given.again, given.seed), ""]
    if given.cases:
        said, broken = measure_laws(given.cases, given.seed)
        lines += ["## Laws", "", *said, ""]
    print("\n".join(lines))
    if given.output is not None:
        given.output.write_text("\n".join([*HEADING, *machine([]), "", *lines]).rstrip() + "\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
