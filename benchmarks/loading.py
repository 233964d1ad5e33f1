"""How long a large rules file takes from YAML to a compiled table, and how much memory: in a fresh process each time.

    python -m benchmarks.loading --routes 100000            # one file, then the same as a folder of 100 files

The file is like those of a large migration: most routes a path and a candidate, many with methods, a host or a header,
some with a unit, a shadow and a rollout. Figures are in benchmarks/loading.md.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

SERVICES = 400
STAGES = ("legacy", "shadow", "shadow", "canary", "live", "retired")
HEAD = """\
version: 1
legacy: legacy
services:
  legacy: {url: http://127.0.0.1:9000}
"""
TAIL = """\
comparisons:
  catalog:
    masks:
      - {path: /generated_at, kind: timestamp, within: 2s}
gates:
  storefront:
    metrics:
      - {name: errors, kind: error_rate, margin: 0.5pp, harm: 0pp, critical: true}
"""


def head() -> str:
    services = (
        f"  svc-{number}: {{url: http://10.0.{number // 250}.{number % 250}:8080}}\n" for number in range(SERVICES)
    )
    return HEAD + "".join(services) + TAIL


def route(number: int) -> str:
    """One route in block style, 140 to 400 bytes."""
    team, stage = number % 97, STAGES[number % len(STAGES)]
    path = (f"/t{team}/api/r{number}/**", f"/t{team}/r{number}/{{id}}/items", f"/t{team}/pages/p{number}")[number % 3]
    lines = [f"  - name: t{team}-r{number}", "    match:", f"      path: '{path}'"]
    if number % 2 == 0:
        lines.append("      methods: [GET, HEAD]")
    if number % 5 == 0:
        lines.append(f"      host: shop-{team}.example")
    if number % 7 == 0:
        lines.append("      headers: {x-app: {prefix: shop-}}")
    lines += [f"    candidate: svc-{number % SERVICES}", f"    stage: {stage}"]
    if stage == "canary":
        lines += ["    share: 5%", "    unit: {cookie: fig_unit, issue: true}"]
        lines.append("    rollout: {steps: [1%, 5%, 25%, 50%, 95%], hold: 10m, gate: storefront}")
    if stage in ("shadow", "canary") and number % 2 == 0:
        lines.append("    shadow: {sample: 10%, compare: catalog}")
    return "\n".join(lines) + "\n"


def write_file(file: Path, routes: int) -> None:
    file.write_text(head() + "routes:\n" + "".join(map(route, range(routes))))


def write_folder(folder: Path, routes: int, files: int = 100) -> None:
    (folder / "routes").mkdir(parents=True)
    (folder / "fig.yaml").write_text(head())
    each = -(-routes // files)
    for number in range(files):
        own = range(number * each, min(routes, (number + 1) * each))
        (folder / "routes" / f"{number:03}.yaml").write_text("routes:\n" + "".join(map(route, own)))


class Spent:
    """Seconds by part, of functions that are replaced by ones that keep time."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def keep(self, part: str, owner: Any, name: str) -> None:
        inner: Callable[..., Any] = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return inner(*args, **kwargs)
            finally:
                self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - began

        setattr(owner, name, timed)


def _loads(path: Path) -> dict[str, float]:
    import proxy.rulebook
    import rules.reading.loader
    from rules.effective import Effective
    from rules.table import compile_table

    spent = Spent()
    spent.keep("read", rules.reading.loader, "read")
    spent.keep("check", rules.reading.loader.checks, "check")
    spent.keep("check", proxy.rulebook, "_references")
    began, began_cpu = time.perf_counter(), time.process_time()
    book = proxy.rulebook.load(path)
    whole = time.perf_counter() - began
    loaded_peak = _peak()
    gc.collect()
    compiling = time.perf_counter()
    table = compile_table(Effective(generation=1, rules=book.rules))
    compiled = time.perf_counter() - compiling
    assert len(table.routes) == len(book.rules.routes) + 1
    return {
        **spent.seconds,
        "validate": whole - sum(spent.seconds.values()),
        "compile": compiled,
        "total": whole + compiled,
        "CPU": time.process_time() - began_cpu,
        "MB after load": loaded_peak,
        "MB": _peak(),
    }


def _composes(path: Path) -> dict[str, float]:
    """What PyYAML's C loader alone takes to read the file into its own nodes."""
    began, began_cpu = time.perf_counter(), time.process_time()
    for file in [path] if path.is_file() else sorted(path.rglob("*.yaml")):
        yaml.compose(file.read_bytes(), Loader=yaml.CSafeLoader)
    return {"total": time.perf_counter() - began, "CPU": time.process_time() - began_cpu, "MB": _peak()}


def _peak() -> float:
    """Megabytes that this process held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _apart(what: str, path: Path) -> dict[str, float]:
    """The figures of one reading in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.loading", what, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    return dict(json.loads(done.stdout))


def _lines(routes: int) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as scratch:
        file, folder = Path(scratch, "fig.yaml"), Path(scratch, "folder")
        write_file(file, routes)
        write_folder(folder, routes)
        yield f"{routes:,} routes, {file.stat().st_size / 1e6:.1f} MB"
        bare = _apart("--compose", file)
        yield f"compose alone: {bare['total']:.1f} s (CPU {bare['CPU']:.1f} s), {bare['MB']:.0f} MB"
        for name, path in (("one file", file), ("folder of 101 files", folder)):
            found = _apart("--load", path)
            parts = ", ".join(f"{part} {found[part]:.1f}" for part in ("read", "validate", "check", "compile"))
            yield (
                f"{name}: {found['total']:.1f} s ({parts}; CPU {found['CPU']:.1f} s), {found['MB after load']:.0f} MB "
                f"loaded, {found['MB']:.0f} MB in all, {found['CPU'] / bare['CPU']:.1f} x the CPU of compose"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--routes", type=int, default=100_000)
    parser.add_argument("--load", type=Path, metavar="PATH", help="load this path, print figures as JSON")
    parser.add_argument("--compose", type=Path, metavar="PATH", help="only compose it, print figures as JSON")
    parser.add_argument("--write", type=Path, metavar="FILE", help="only write the file")
    given = parser.parse_args()
    if given.load is not None:
        print(json.dumps(_loads(given.load)))
    elif given.compose is not None:
        print(json.dumps(_composes(given.compose)))
    elif given.write is not None:
        write_file(given.write, given.routes)
    else:
        for line in _lines(given.routes):
            print(line, flush=True)


if __name__ == "__main__":
    main()
