"""Processes of fig under test: a running `fig serve` (or its like), its log, and waiting for events."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tests.fakes.ports import free_port

Found = TypeVar("Found")
PATIENCE = 45.0
"""Seconds before a test gives up waiting; nothing is asserted about how fast things happen."""


def eventually(look: Callable[[], Found], what: str) -> Found:
    """What `look` gives once it is true; an assertion that names `what` when it never is."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError(f"never came: {what}")


class Served:
    """One running fig. `admin` talks to its API."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, admin_port: int, state: Path, log: Path) -> None:
        self.process = process
        self.port = port
        self.admin_address = f"127.0.0.1:{admin_port}"
        self.state = state
        self.log_file = log
        self.admin = httpx.Client(base_url=f"http://{self.admin_address}", timeout=5, trust_env=False)

    @property
    def log(self) -> list[dict[str, Any]]:
        """Its log lines so far, of all processes; lines that are no JSON under the key ``text``."""
        lines = []
        for line in self.log_file.read_text().splitlines():
            try:
                lines.append(json.loads(line))
            except ValueError:
                lines.append({"text": line})
        return lines

    def logged(self, event: str, **values: Any) -> list[dict[str, Any]]:
        return [line for line in self.log if line.get("event") == event and values.items() <= line.items()]

    def pid(self, child: str) -> int:
        """Of the child's latest start."""
        return int(eventually(lambda: self.logged("started", child=child), f"{child} started")[-1]["pid"])

    def ready(self) -> bool:
        """Raises AssertionError where it has ended, with what it said."""
        assert self.process.poll() is None, self.log_file.read_text()
        try:
            return self.admin.get("/readyz").status_code == 200
        except httpx.HTTPError:
            return False

    def metric(self, name: str) -> float | None:
        """The value of a metric, name and labels as /metrics writes them."""
        for line in self.admin.get("/metrics").text.splitlines():
            if line.startswith(f"{name} "):
                return float(line.rpartition(" ")[2])
        return None

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.admin.get("/api/status").json()
        return found

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal and wait; gives the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def serving(
    folder: Path, argv: list[str] | None = None, workers: int = 2, more: Mapping[str, str] | None = None
) -> Iterator[Served]:
    """Run `fig serve` on folder/fig.yaml with its state in folder/state, and end it at the end, whatever happened."""
    port, admin_port, state = free_port(), free_port(), folder / "state"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("FIG_")},
        "FIG_CONFIG": str(folder / "fig.yaml"),
        "FIG_LISTEN": f"127.0.0.1:{port}",
        "FIG_ADMIN": f"127.0.0.1:{admin_port}",
        "FIG_STATE": str(state),
        "FIG_WORKERS": str(workers),
        "FIG_DRAIN": "5s",
        **(more or {}),
    }
    log = folder / f"log-{admin_port}"
    with log.open("wb") as stderr:
        command = argv or [sys.executable, "-P", "-m", "proxy.supervisor"]
        process = subprocess.Popen(command, env=environment, stderr=stderr, stdin=subprocess.DEVNULL)
    served = Served(process, port, admin_port, state, log)
    try:
        yield served
    finally:
        served.admin.close()
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
