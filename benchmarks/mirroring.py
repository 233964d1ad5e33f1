"""What mirroring every read costs legacy's clients: their p99, and processor time, beside a route that mirrors nothing.

    python -m benchmarks.mirroring             # four minutes
    python -m benchmarks.mirroring --quick     # one short round: does it work?

A real `fig serve` of one worker, with control and shadower, beside legacy, candidate and load on the same processors,
which all of it together must not fill (a rate of 300/s does not fill two). Six routes for each of two legacies, one
that takes 4 to 8 ms as a monolith does and one that answers at once: mirrored to nobody (twice: what the second differs
from the first by is the machine's noise), to a candidate like legacy, to one that is dead, that hangs for a minute, and
that answers a byte a second. Their turns follow each other in an order that is another in every round; every turn has
the same requests at the same moments, and each latency counts from the moment at which its request was due (pacing.py).
What is compared are medians of the rounds' p99; the interval comes from drawing whole rounds anew.

Every 25th request of a last route is a write that waits for the journal, so that nobody makes reads faster at the
expense of intents: it is measured with the reads beside it mirrored, and not.

Exit code 0 when every goal is met, 1 when not. Processor time says the same on a busy machine, a p99 does not.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import median

import yaml

from benchmarks import pacing
from benchmarks.figures import Estimate, Goal, quantile, ratio, shown_goals, table
from benchmarks.programs import free_port

RATE = 300.0
CONNECTIONS = 40
PAGES = 500
"""Different reads."""
LEGACIES = {"slow": "legacy of 4 to 8 ms", "prompt": "prompt legacy"}
TROUBLES = {"dead": "candidate dead", "hanging": "candidate hanging", "dripping": "candidate, a byte a second"}
READS = {"off": "off", "again": "off, once more", "mirrored": "mirrored", **TROUBLES}
WRITES = {"beside-off": "writes beside reads that are not mirrored", "beside-on": "writes beside mirrored reads"}
WRITE_EACH = 25
"""One in so many is a write, where there are writes."""
MIRRORED_MOST, TROUBLED_MOST = 1.05, 1.01
"""The p99 at most, as a part of that without mirroring."""
PART = 0.99
QUIET = 0.02
"""Part of a processor that the shadower may use between two turns."""
MADE_LEAST = 0.98
"""Pairs at least that come of reads whose candidate answers, as a part of them."""
TOLD = 2.0
"""Seconds until control knows what the shadower has counted."""
PATIENCE = 10.0
"""Seconds for it to become quiet."""


@dataclass(slots=True)
class Turns:
    """What was seen of one route, a value a round."""

    seconds: list[list[float]] = field(default_factory=list)
    """Latencies."""
    writes: list[list[float]] = field(default_factory=list)
    """Those of writes."""
    worker: list[float] = field(default_factory=list)
    """Seconds of processor time for each request."""
    shadower: list[float] = field(default_factory=list)
    pairs: int = 0
    """That came of its reads: what is dropped costs nothing."""


def rules(ports: Mapping[str, int]) -> dict[str, object]:
    """Every read of a route in shadow is mirrored."""
    services = {name: {"url": f"http://127.0.0.1:{port}", "timeout": "60s"} for name, port in ports.items()}
    compared = {"compare": "pages", "noise": "0%"}
    routes: list[dict[str, object]] = []
    for legacy in LEGACIES:
        for name in READS:
            stage = "legacy" if name in ("off", "again") else "shadow"
            candidate = name if name in TROUBLES else f"candidate-{legacy}"
            route: dict[str, object] = {
                "name": f"{legacy}-{name}",
                "match": {"path": f"/{legacy}/{name}/**"},
                "candidate": candidate,
            }
            routes.append({**route, "legacy": legacy, "stage": stage, "shadow": compared})
    for name in WRITES:
        writes: dict[str, object] = {"name": f"{name}-writes", "stage": "shadow", "shadow": compared}
        writes["match"] = {"path": f"/{name}/items/{{item}}", "methods": ["PUT"]}
        writes["writes"] = {"order_by": "path:item", "dedupe": "idempotency-key"}
        reads: dict[str, object] = {"name": f"{name}-reads", "match": {"path": f"/{name}/**"}, "shadow": compared}
        reads["stage"] = "shadow" if name == "beside-on" else "legacy"
        routes += [{**each, "candidate": "candidate-slow", "legacy": "slow"} for each in (writes, reads)]
    made = {"path": "/made", "kind": "number", "within": 60, "owner": "shop", "reason": "when a page was made"}
    masks = {"pages": {"masks": [made]}}
    return {"version": 1, "services": services, "legacy": "slow", "comparisons": masks, "routes": routes}


def requests(prefix: str, *, writes: bool) -> list[bytes]:
    """What is asked of a route, again and again: `PAGES` reads, and among them writes."""
    made = []
    for number in range(PAGES):
        method, body = ("PUT", b'{"stock": %d}' % number) if writes and number % WRITE_EACH == 0 else ("GET", b"")
        length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
        text = (
            f"{method} {prefix}/items/{number}?page={number % 7} HTTP/1.1\r\n"
            "Host: shop.example\r\n"
            "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"
            "Accept: application/json\r\n"
            "Accept-Encoding: gzip, deflate, br\r\n"
            f"Cookie: session=s{100_000 + number}; basket={number % 31}\r\n"
            f"{length}\r\n"
        )
        made.append(text.encode() + body)
    return made


class Shop:
    """All processes of the run."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._admin = free_port()
        self._folder = folder
        self._fig: subprocess.Popen[bytes] | None = None
        self._pids: dict[str, int] = {}

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """From when everything answers until the block ends."""
        sides = {"slow": "slow", "prompt": "prompt", "candidate-slow": "slow", "candidate-prompt": "prompt"}
        sides |= {"hanging": "hangs", "dripping": "drips"}
        ports = {name: free_port() for name in (*sides, "dead")}
        (self._folder / "fig.yaml").write_text(yaml.safe_dump(rules(ports)))
        started = []
        try:
            for name, how in sides.items():
                command = [sys.executable, "-m", "benchmarks.mirroring_side", str(ports[name]), how]
                started.append(subprocess.Popen(command, stdin=subprocess.DEVNULL))
            command = [sys.executable, "-P", "-m", "proxy.cli", "serve", "-c", str(self._folder / "fig.yaml")]
            command += ["--listen", f"127.0.0.1:{self.port}", "--admin", f"127.0.0.1:{self._admin}", "--workers", "1"]
            command += ["--state", str(self._folder / "state"), "--drain", "1s"]
            with (self._folder / "fig.log").open("wb") as log:
                self._fig = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            started.append(self._fig)
            self._wait()
            yield
        finally:
            for process in started:
                process.terminate()
            for process in started:
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def _wait(self) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                connection = http.client.HTTPConnection("127.0.0.1", self._admin, timeout=2)
                connection.request("GET", "/readyz")
                if connection.getresponse().status == 200:
                    self._pids = {name: self._child(f"proxy.{name}") for name in ("worker", "shadower")}
                    return
            time.sleep(0.1)
        raise TimeoutError(f"fig was not ready within a minute: {(self._folder / 'fig.log').read_text()[-2000:]}")

    def _child(self, module: str) -> int:
        assert self._fig is not None
        for task in Path(f"/proc/{self._fig.pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                if module in Path(f"/proc/{child}/cmdline").read_text().split("\0"):
                    return int(child)
        raise RuntimeError(f"fig runs no {module}")

    def pairs(self, route: str) -> int:
        """How many pairs fig has made of the route's reads so far."""
        connection = http.client.HTTPConnection("127.0.0.1", self._admin, timeout=10)
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        own = [line for line in lines if line.startswith("fig_shadow_pairs_total{") and f'route="{route}"' in line]
        return sum(int(float(line.rpartition(" ")[2])) for line in own if 'result="unsettled"' not in line)

    def used(self, name: str) -> float:
        """Seconds of processor time that fig's process of that name has used."""
        ticks = Path(f"/proc/{self._pids[name]}/stat").read_text().rpartition(")")[2].split()[11:13]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")

    def rest(self) -> None:
        """Until the shadower is through with what it was given; what hangs does not keep it busy."""
        until = time.monotonic() + PATIENCE
        before = self.used("shadower")
        while time.monotonic() < until:
            time.sleep(0.25)
            after = self.used("shadower")
            if after - before <= QUIET * 0.25:
                return
            before = after


def measure(shop: Shop, rounds: int, seconds: float) -> dict[str, Turns]:
    """Every route's turns, by its path's beginning; a short round before them counts for nothing."""
    reads = [f"/{legacy}/{name}" for legacy in LEGACIES for name in READS]
    prefixes = [*reads, *(f"/{name}" for name in WRITES)]
    asked = {prefix: requests(prefix, writes=prefix not in reads) for prefix in prefixes}
    seen = {prefix: Turns() for prefix in prefixes}
    for number in range(rounds + 1):
        due = pacing.schedule(RATE, seconds if number else 0.3, Random(number))  # the same for every route
        for prefix in Random(number).sample(prefixes, len(prefixes)):
            turn = _turn(shop, asked[prefix], due)
            if number:
                _add(seen[prefix], asked[prefix], *turn)
        if number in (0, rounds):
            time.sleep(TOLD)
            for prefix in reads:
                seen[prefix].pairs = shop.pairs(prefix[1:].replace("/", "-")) - seen[prefix].pairs
    return seen


def _turn(shop: Shop, asked: Sequence[bytes], due: Sequence[float]) -> tuple[list[float], float, float]:
    """(latencies, processor time of the worker, and of the shadower)."""
    worker, shadower = shop.used("worker"), shop.used("shadower")
    found = pacing.latencies(shop.port, asked, due, CONNECTIONS)
    shop.rest()
    return found, shop.used("worker") - worker, shop.used("shadower") - shadower


def _add(turns: Turns, asked: Sequence[bytes], found: list[float], worker: float, shadower: float) -> None:
    is_write = [asked[number % len(asked)].startswith(b"PUT") for number in range(len(found))]
    turns.seconds.append([each for each, write in zip(found, is_write, strict=True) if not write])
    turns.writes.append([each for each, write in zip(found, is_write, strict=True) if write])
    turns.worker.append(worker / len(found))
    turns.shadower.append(shadower / len(found))


def compared(ours: list[list[float]], theirs: list[list[float]], part: float = PART) -> Estimate:
    """A quantile of our latencies over the same of theirs: medians over the same rounds."""
    mine, other = ([quantile(each, part) for each in rounds] for rounds in (ours, theirs))
    return ratio(mine, other, Random(0))


def goals(seen: Mapping[str, Turns]) -> list[Goal]:
    """What was promised."""
    found = []
    for legacy, words in LEGACIES.items():
        base = seen[f"/{legacy}/off"].seconds
        noise = compared(seen[f"/{legacy}/again"].seconds, base)
        note = f"noise: {noise.value:.2f} ({noise.low:.2f} to {noise.high:.2f})"
        for name in ("mirrored", *TROUBLES):
            figure = compared(seen[f"/{legacy}/{name}"].seconds, base)
            bound = TROUBLED_MOST if name in TROUBLES else MIRRORED_MOST
            text = f"{words}, {READS[name]}: p99 over that without mirroring"
            found.append(Goal(text, figure, bound, at_least=False, note=note))
        turns = seen[f"/{legacy}/mirrored"]
        part = turns.pairs / sum(map(len, turns.seconds))
        found.append(Goal(f"{words}, mirrored: pairs over reads", Estimate(part, part, part), MADE_LEAST))
    return found


def lines(seen: Mapping[str, Turns]) -> list[str]:
    """What was seen, as Markdown."""
    rows = []
    for prefix, turns in seen.items():
        _, first, *rest = prefix.split("/")
        name = f"{LEGACIES[first]}, {READS[rest[0]]}" if rest else f"reads: {WRITES[first]}"
        rows.append([name, *_milliseconds(turns.seconds), *_microseconds(turns), f"{turns.pairs:,}" if rest else ""])
        if not rest:
            rows.append([WRITES[first], *_milliseconds(turns.writes), "", "", ""])
    headings = [
        "medians of the rounds",
        "p50 ms",
        "p99 ms",
        "worker's CPU us a request",
        "shadower's CPU us a request",
        "pairs",
    ]
    return table(headings, rows)


def _milliseconds(rounds: list[list[float]]) -> list[str]:
    return [f"{median(quantile(each, part) for each in rounds) * 1e3:.2f}" for part in (0.5, PART)]


def _microseconds(turns: Turns) -> list[str]:
    return [f"{sum(each) / len(each) * 1e6:,.0f}" for each in (turns.worker, turns.shadower)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round: the figures mean little")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each turn")
    given = parser.parse_args()
    rounds, seconds = (1, 0.5) if given.quick else (given.rounds, given.seconds)
    with tempfile.TemporaryDirectory(prefix="mirroring-") as folder:
        shop = Shop(Path(folder))
        with shop.open():
            seen = measure(shop, rounds, seconds)
    asked = goals(seen)
    print(
        "\n".join([f"{RATE:g} requests/s, {rounds} rounds of {seconds:g} s", "", *lines(seen), "", *shown_goals(asked)])
    )
    return 0 if all(goal.is_met for goal in asked) else 1


if __name__ == "__main__":
    sys.exit(main())
