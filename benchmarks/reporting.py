"""How long people wait for a report of 200,000 pairs: to be written, and to be painted by a browser.

    python -m benchmarks.reporting                                  # two minutes, most of them to make the pairs
    python -m benchmarks.reporting --pairs 20000 --keep /tmp/shop   # fewer, and the state folder stays, to look at

Makes a state folder (reporting_folder.py), runs `fig shadow report --html` as people run it, and opens the page in
chromium. First paint is what the page itself was told (`PerformancePaintTiming`, first-contentful-paint), from the
navigation on: the median of the rounds, each in a browser that was just started and has nothing in its cache.

Exit code 0 when every goal was met, 1 when not, 2 when chromium is not installed.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.figures import Goal, shown_goals, spread
from benchmarks.reporting_folder import make
from tests.fakes.browser import browsing

PAIRS = 200_000
ROUNDS = 5
FIRST_PAINT = 1000.0
"""Milliseconds."""
WIDTHS = (1280, 390)
_FIRST = """
new Promise(done => new PerformanceObserver(seen => seen.getEntriesByName('first-contentful-paint')
    .forEach(each => done(each.startTime))).observe({type: 'paint', buffered: true}))
"""


def measure(folder: Path, chromium: str, scratch: Path) -> list[Goal]:
    """Run the command, open what it wrote; prints what was found."""
    report = scratch / "report.html"
    command = [sys.executable, "-m", "proxy.cli", "shadow", "report", "--state", str(folder), "--html", str(report)]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if not report.exists():
        raise SystemExit(f"the report failed:\n{done.stderr}")
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"fig shadow report --html  {took:.2f} s, {spent:.2f} s of processor time")
    print(f"the page                  {report.stat().st_size / 1e6:.2f} MB")
    return [_painted(chromium, scratch, report, width) for width in WIDTHS]


def _painted(chromium: str, scratch: Path, report: Path, width: int) -> Goal:
    seen = [asyncio.run(_paint(chromium, scratch / f"{width}-{one}", report, width)) for one in range(ROUNDS)]
    first, whole = spread([paint for paint, _ in seen]), spread([loaded for _, loaded in seen])
    between = f"{first.low:.0f} to {first.high:.0f}"
    print(f"first paint, {width:4} px      {first.value:.0f} ms ({between}); loaded after {whole.value:.0f} ms")
    return Goal(f"first paint, {width} px wide", first, FIRST_PAINT, at_least=False, unit="ms")


async def _paint(chromium: str, folder: Path, report: Path, width: int) -> tuple[float, float]:
    """Milliseconds from the navigation to the first paint, and to the end of loading."""
    async with browsing(chromium, folder) as browser:
        await browser.see(width=width)
        await browser.open(report)
        first = await browser.value(_FIRST)
        return float(first), float(await browser.value("performance.getEntriesByType('navigation')[0].loadEventEnd"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--keep", type=Path, help="make the state folder here, or use the one that is there")
    given = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        print("chromium is not installed", file=sys.stderr)
        return 2
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fig-reporting-")))
        folder = given.keep or scratch / "state"
        if not (folder / "pairs.db").exists():
            began = time.process_time()
            make(folder, given.pairs)
            print(f"{given.pairs:,} pairs  made in {time.process_time() - began:.0f} s of processor time")
        goals = measure(folder, chromium, scratch)
    print("\n".join(["", *shown_goals(goals)]))
    return 0 if all(goal.is_met for goal in goals) else 1


if __name__ == "__main__":
    sys.exit(main())
