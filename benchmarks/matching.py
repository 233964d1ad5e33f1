"""What one decision costs as tables grow, whether the table decides as a plain loop would, and whether anything raises.

    python benchmarks/matching.py                          # time and memory at 10 to 100,000 routes
    python benchmarks/matching.py --draws 1000000          # the table against tests/rules/naive_table.py
    python benchmarks/matching.py --strange 100000         # paths, hosts and headers that no client should send
    python benchmarks/matching.py --times --draws 1000000 --strange 100000 --output benchmarks/matching.md

Requests are heads as the data plane parses them, with the headers of a browser.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from benchmarks.programs import machine
from proxy.dataplane.heads import RequestHead, parse_request
from rules.document import Rules
from rules.effective import Effective
from rules.table import Table, compile_table
from tests.rules.drawn_rules import drawn_matches, drawn_request, strange_request
from tests.rules.naive_table import captures, first_route

SIZES = (10, 20, 1_000, 10_000, 100_000)
PLACES = ("first third", "middle third", "last third", "nowhere")
ROUNDS = 15
REQUESTS = 2_000
"""Different ones per place: a table that fits the processor's caches only for one request would be no measure."""
PER_TABLE = 200
"""Draws against one table."""
HEADING = (
    "# Matching",
    "",
    "Written by `python benchmarks/matching.py --times --draws N --strange N --output benchmarks/matching.md`. Times",
    "are microseconds of processor time per `Table.decide`, medians of the rounds; a third of the routes are canaries,",
    "whose unit is read and hashed. Requests are for routes of one part of the table, or for none of them; the mean is",
    "over these four, and behind it that of the least of the rounds: other programs share the machine's caches. Memory",
    "is what compiling adds to the process, beside the rules themselves.",
    "",
)
_HEADERS = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: text/html,application/xhtml+xml\r\nAccept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, br\r\n"
    "Connection: keep-alive\r\nX-App: shop-web\r\nReferer: http://shop.example/\r\n"
    "Cookie: theme=dark; fig_unit=u{n}\r\n"
)


class Kind(NamedTuple):
    """One way in which routes of a large migration ask, and what a request that route number n takes looks like."""

    match: Callable[[int], dict[str, Any]]
    path: str
    host: str = "shop.example"
    field: str = ""


KINDS = (
    Kind(lambda n: {"path": f"/api/s{n % 400}/list{n}"}, "/api/s{s}/list{n}"),
    Kind(lambda n: {"path": f"/api/s{n % 400}/items{n}/{{id}}", "methods": ["GET"]}, "/api/s{s}/items{n}/4711"),
    Kind(lambda n: {"path": f"/area{n}/**"}, "/area{n}/any/thing/below.html"),
    Kind(lambda n: {"path": f"/pages/p{n}", "methods": ["GET", "HEAD"]}, "/pages/p{n}"),
    Kind(lambda n: {"host": f"t{n}.shop.example"}, "/cart", host="t{n}.shop.example"),
    Kind(
        lambda n: {"path": "/tenant/**", "headers": {"x-tenant": f"t{n}"}}, "/tenant/cart", field="X-Tenant: t{n}\r\n"
    ),
    Kind(lambda n: {"path": f"/*/s{n % 400}/orders{n}/{{order}}/**"}, "/de/s{s}/orders{n}/17/items"),
    Kind(lambda n: {"host": f"*.t{n}.example", "path": "/cart/**"}, "/cart/7", host="a.t{n}.example"),
    Kind(lambda n: {"path": f"/h/r{n}", "headers": {"x-app": {"prefix": "shop-"}}}, "/h/r{n}"),
    Kind(lambda n: {"path": {"regex": f"/v[0-9]+/re{n}/.*"}}, "/v12/re{n}/x/y"),
)


def rules_of(matches: Sequence[dict[str, Any]]) -> Rules:
    """One route per match; a third of them are canaries with a cookie for a unit."""
    canary = {"stage": "canary", "share": "5%", "unit": {"cookie": "fig_unit"}}
    routes = [
        {"name": f"route-{n}", "match": match, "candidate": "candidate"} | (canary if n % 3 == 0 else {})
        for n, match in enumerate(matches)
    ]
    services = {name: {"url": f"http://127.0.0.1:{port}"} for port, name in enumerate(("legacy", "candidate"), 9000)}
    return Rules.model_validate({"version": 1, "services": services, "legacy": "legacy", "routes": routes})


def head_of(number: int) -> RequestHead:
    """A request that route `number` of a large table takes."""
    kind = KINDS[number % len(KINDS)]
    lines = f"GET {kind.path} HTTP/1.1\r\nHost: {kind.host}\r\n{_HEADERS}{kind.field}"
    return parse_request(lines.format(n=number, s=number % 400).removesuffix("\r\n").encode(), "192.0.2.7")


def heads_of(size: int, place: str, chance: Random) -> list[RequestHead]:
    """Requests for routes in one part of a table, or for routes that it does not have."""
    if place == "nowhere":
        return [head_of(size + chance.randrange(size)) for _ in range(REQUESTS)]
    part = -(-size // 3)
    start = {"first third": 0, "middle third": (size - part) // 2, "last third": size - part}[place]
    return [head_of(chance.randrange(start, start + part)) for _ in range(REQUESTS)]


def microseconds(table: Table, heads: list[RequestHead]) -> float:
    """Processor time of one `decide`: the mean over all requests, without what other programs took meanwhile."""
    decide = table.decide
    started = time.thread_time()
    for head in heads:
        decide(head, str)
    return (time.thread_time() - started) / len(heads) * 1e6


def resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Sized(NamedTuple):
    """A table, what its making took, and requests for each part of it."""

    table: Table
    seconds: float
    bytes_per_route: float
    heads: dict[str, list[RequestHead]]


def sized(size: int) -> Sized:
    rules = rules_of([KINDS[n % len(KINDS)].match(n) for n in range(size)])
    gc.collect()
    before, started = resident(), time.thread_time()
    table = compile_table(Effective(generation=1, rules=rules))
    seconds, memory = time.thread_time() - started, resident() - before
    chance = Random(size)
    heads = {place: heads_of(size, place, chance) for place in PLACES}
    _check(table, size, heads)
    return Sized(table, seconds, memory / size, heads)


def measure() -> list[str]:
    """The table of results, in Markdown. Rounds go over all sizes, so that a busy minute slows none of them alone."""
    gc.disable()  # as the loader has it while it makes a table; nothing here makes cycles
    tables = {size: sized(size) for size in SIZES}
    found: dict[tuple[int, str], list[float]] = {(size, place): [] for size in SIZES for place in PLACES}
    for _ in range(ROUNDS):
        for size, one in tables.items():
            for place, heads in one.heads.items():
                found[size, place].append(microseconds(one.table, heads))
    lines = [
        f"| routes | us per decision (least) | of 10 routes' | {' | '.join(PLACES)} | compiled in | bytes per route |",
        "| --- | --- | --- |" + " --- |" * (len(PLACES) + 2),
    ]
    medians = {key: statistics.median(rounds) for key, rounds in found.items()}
    whole = {size: statistics.mean(medians[size, place] for place in PLACES) for size in SIZES}
    least = {size: statistics.mean(min(found[size, place]) for place in PLACES) for size in SIZES}
    for size, one in tables.items():
        places = " | ".join(f"{medians[size, place]:.2f}" for place in PLACES)
        memory = f"{one.bytes_per_route:,.0f}" if size >= 10_000 else ""
        ratio = whole[size] / whole[SIZES[0]]
        mean = f"{whole[size]:.2f} ({least[size]:.2f})"
        lines.append(f"| {size:,} | {mean} | {ratio:.2f} | {places} | {one.seconds:.2f} s | {memory} |")
    return lines


def _check(table: Table, size: int, drawn: dict[str, list[RequestHead]]) -> None:
    """A benchmark of wrong answers would measure nothing."""
    for place, heads in drawn.items():
        hit = sum(table.route(head).index < size for head in heads)
        if hit != (0 if place == "nowhere" else len(heads)):
            raise SystemExit(f"{size} routes, {place}: {hit} of {len(heads)} requests were taken by a route")


def compare(draws: int, seed: int) -> tuple[int, str]:
    """How many of so many (table, request) draws the table decides otherwise than the plain loop; each is printed."""
    wrong = none = 0
    started = time.perf_counter()
    for number in range(0, draws, PER_TABLE):
        chance = Random(seed + number)
        matches = drawn_matches(chance)
        table = compile_table(Effective(generation=1, rules=rules_of(matches)))
        for _ in range(min(PER_TABLE, draws - number)):
            request = drawn_request(chance)
            expected, route = first_route(matches, request), table.route(request)
            none += expected == len(matches)
            if route.index != expected:
                wrong += 1
                print(f"seed {seed + number}: {request} is taken by route {route.index}, and should be by {expected}")
            elif expected < len(matches) and route.captures(request) != captures(matches[expected], request):
                wrong += 1
                print(f"seed {seed + number}: {request} has the captures {route.captures(request)}")
    seconds = time.perf_counter() - started
    return wrong, (
        f"{draws:,} (table, request) draws from seed {seed}, {none / draws:.0%} of them taken by no route: {wrong} "
        f"decided otherwise than by the plain loop, captures included; {seconds:.0f} s."
    )


def strange(requests: int, seed: int) -> str:
    """Ask drawn tables about requests made of any characters at all; what raises ends the program."""
    for number in range(0, requests, PER_TABLE):
        chance = Random(seed + number)
        table = compile_table(Effective(generation=1, rules=rules_of(drawn_matches(chance))))
        for _ in range(min(PER_TABLE, requests - number)):
            request = strange_request(chance)
            try:
                choice = table.decide(request, lambda: "fresh")
                choice.decision.route.captures(request)
            except Exception:
                print(f"seed {seed + number}: {request!a}")
                raise
    return f"{requests:,} requests made of any characters at all, from seed {seed}: none made `decide` raise."


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", action="store_true", help="measure time and memory; what is done without arguments")
    parser.add_argument("--draws", type=int, default=0, help="compare so many decisions with the plain loop's")
    parser.add_argument("--strange", type=int, default=0, help="decide so many requests made of any characters")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, help="also write the results here, with the machine")
    given = parser.parse_args()
    wrong, lines = 0, []
    if given.times or not (given.draws or given.strange):
        lines += [*measure(), ""]
    if given.draws:
        wrong, line = compare(given.draws, given.seed)
        lines += [line, ""]
    if given.strange:
        lines += [strange(given.strange, given.seed), ""]
    print("\n".join(lines))
    if given.output is not None:
        given.output.write_text("\n".join([*HEADING, *machine([]), "", *lines]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
