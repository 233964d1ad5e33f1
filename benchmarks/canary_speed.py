"""What the canary's evidence costs: exchanges a second taken in, a verdict over ten million of them, bytes it keeps.

    python -m benchmarks.canary_speed            # a minute; exits with 1 where a goal is missed

Ten metrics: the eight of canary_gate_run.py, a 99.9 % quantile and another kind of error; times are of processor time,
the best of a few rounds, for the machine may have other work.
"""

from __future__ import annotations

import argparse
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np

from benchmarks.canary_gate_run import METRICS, START
from benchmarks.canary_traffic import EQUAL, Traffic
from benchmarks.programs import machine
from canary.evidence import Evidence
from canary.gate import judge
from canary.spec import Gate
from rules.stages import MILLION

EXCHANGES = 10_000_000
BATCH = 50_000
"""Rows that control takes at once: what busy workers send in a second or so."""
FASTEST, SOONEST = 1_000_000, 1.0
"""Goals: exchanges a second on one processor, and seconds for a verdict over EXCHANGES and ten metrics."""
MORE = (
    {"name": "p99.9", "kind": "latency", "quantile": 0.999, "margin": "20%"},
    {"name": "5xx", "kind": "error_rate", "failures": ["status"], "margin": "0.5pp"},
)
ROUNDS = 5


def measured(exchanges: int, units: int = 200_000) -> dict[str, float]:
    """Exchanges a second, seconds of a verdict, bytes of a snapshot after the first tenth and after all, and the most
    that judging and the last batches allocated at once."""
    judged = Gate.model_validate({"metrics": [*METRICS, *MORE]})
    evidence = Evidence("shop", "bench", judged, subject="x", share=MILLION // 2, since=START)
    traffic = Traffic("clustered", 1, MILLION // 2, EQUAL, units * 10)
    spent: list[float] = []
    early = 0
    for number in range(exchanges // BATCH):
        batch = traffic.batch(BATCH, START + number)
        sold = np.flatnonzero(batch.revenue)
        began = time.process_time()
        evidence.ingest(batch.clock, batch.unit, batch.seconds, batch.side, batch.failure)
        evidence.ingest_events(
            batch.clock[sold], batch.unit[sold], batch.revenue[sold], batch.side[sold], np.zeros(len(sold), np.uint8)
        )
        spent.append(time.process_time() - began)
        if number == exchanges // BATCH // 10:
            early = len(evidence.snapshot())
    verdicts: list[float] = []
    for number in range(ROUNDS):
        batch = traffic.batch(BATCH, START + exchanges // BATCH + number)  # so that nothing is judged from what is kept
        evidence.ingest(batch.clock, batch.unit, batch.seconds, batch.side, batch.failure)
        began = time.process_time()
        judge(judged, evidence, START + exchanges // BATCH + number + 1)
        verdicts.append(time.process_time() - began)
    tracemalloc.start()
    batch = traffic.batch(BATCH, START + exchanges // BATCH + ROUNDS)
    tracemalloc.reset_peak()
    evidence.ingest(batch.clock, batch.unit, batch.seconds, batch.side, batch.failure)
    judge(judged, evidence, START + exchanges // BATCH + ROUNDS + 1)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {
        "per second, mean": exchanges / sum(spent),
        "per second, median batch": BATCH / float(np.median(spent)),
        "per second, best tenth": BATCH / float(np.quantile(spent, 0.1)),
        "verdict, seconds": min(verdicts),
        "snapshot after a tenth, bytes": early,
        "snapshot after all, bytes": len(evidence.snapshot()),
        "allocated at once at most, bytes": most,
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--exchanges", type=int, default=EXCHANGES)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"))
    given = parser.parse_args(arguments)
    found = measured(given.exchanges)
    grown = found["snapshot after all, bytes"] > 1.05 * found["snapshot after a tenth, bytes"]
    met = found["per second, median batch"] >= FASTEST and found["verdict, seconds"] <= SOONEST and not grown
    lines = [
        "# What the canary's evidence costs",
        "",
        f"Written by `python -m benchmarks.canary_speed`: {given.exchanges:,} exchanges of 200,000 units, orders,",
        f"ten metrics, batches of {BATCH:,} rows, one processor.",
        "",
        *machine([]),
        "",
        "| measured | |",
        "| --- | --- |",
        *(
            f"| {name} | {value:,.4f} |" if value < 10 else f"| {name} | {value:,.0f} |"
            for name, value in found.items()
        ),
        "",
        f"Goals ({FASTEST:,} exchanges a second, a verdict in {SOONEST:g} s, memory that does not grow): "
        f"{'met' if met else 'MISSED'}.",
        "",
    ]
    given.output.write_text("\n".join(lines))
    print("\n".join(lines))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
