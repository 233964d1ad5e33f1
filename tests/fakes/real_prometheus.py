"""The real Prometheus, where it is installed, with a past that a test wrote: its own promtool makes blocks of it."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.programs import need


@contextmanager
def running_prometheus(samples: Sequence[str], folder: Path, *flags: str) -> Iterator[str]:
    """Its URL while it runs with these samples, each a line of OpenMetrics with its time, and these further flags;
    skips where it is missing."""
    prometheus, promtool = need("prometheus", "prometheus"), need("promtool", "prometheus")
    (folder / "past.txt").write_text("\n".join([*samples, "# EOF", ""]))
    (folder / "prometheus.yml").write_text("global: {scrape_interval: 1h}\n")
    subprocess.run(
        [promtool, "tsdb", "create-blocks-from", "openmetrics", folder / "past.txt", folder / "data"],
        check=True,
        capture_output=True,
        timeout=30,
    )
    command = [prometheus, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    command += ["--storage.tsdb.retention.time=100y", "--web.listen-address=127.0.0.1:0", *flags]
    log = folder / "prometheus.log"
    with log.open("wb") as written:
        process = subprocess.Popen(command, stderr=written)
    try:
        yield f"http://{_listening(process, log)}"
    finally:
        process.terminate()
        process.wait(20)


def _listening(process: subprocess.Popen[bytes], log: Path) -> str:
    for _ in range(1000):
        found = re.search(r'"Listening on" address=(\S+)', log.read_text())
        if found and "Server is ready" in log.read_text():
            return found[1]
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise RuntimeError(f"prometheus did not start: {log.read_text()}")
