"""One real worker of fig under fuzz, and its signs of life: process, log, memory, file descriptors."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from proxy.publication import publish
from rules.document import Rules
from rules.effective import Effective

MAX_CONNECTIONS = 12
"""To one endpoint: fewer than clients, so that exchanges wait and connections are handed on."""
SERVICE_PATIENCE = 0.5
"""Seconds: `timeout` and `idle_timeout` of each service, short so that what hangs is told from what waits."""
_SPARE_FDS = 16


class Worker:
    """A running worker. Sizes in bytes."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self._log = log
        self._read = 0
        """Bytes of the log that were looked at."""
        self._said: set[str] = set()
        self.fds_at_start = self.fds

    @property
    def rss(self) -> int:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    @property
    def fds(self) -> int:
        with os.scandir(f"/proc/{self.process.pid}/fd") as found:
            return sum(1 for _ in found)

    def faults(self) -> list[str]:
        """What a worker that is well neither does nor says, since this was last asked."""
        found = []
        if self.process.poll() is not None:
            found.append(f"the worker is gone: exit code {self.process.returncode}")
        with self._log.open("rb") as log:
            log.seek(self._read)
            lines = log.read().splitlines(keepends=True)
        for line in lines:
            if not line.endswith(b"\n"):
                break
            self._read += len(line)
            try:
                said: dict[str, Any] = json.loads(line)
            except ValueError:
                found.append(f"in the log: {line.decode(errors='replace').strip()}")
                continue
            what = f"{said.get('event')} {said.get('exception')}"
            if (said.get("level") in ("error", "critical") or "exception" in said) and what not in self._said:
                self._said.add(what)
                found.append(f"in the log: {line.decode(errors='replace').strip()}")
        return found

    def descriptors_left(self) -> str:
        """What is wrong with the file descriptors when every client is gone; ``""`` for nothing."""
        most = self.fds_at_start + 4 * MAX_CONNECTIONS + _SPARE_FDS
        end = time.monotonic() + 15
        while self.process.poll() is None and time.monotonic() < end:
            if self.fds <= most:
                return ""
            time.sleep(0.2)
        return f"{self.fds} file descriptors are open where no client is left, {self.fds_at_start} were at the start"


def rules(*ports: int) -> Rules:
    """One service behind several ports. ``/candidate/...`` is a route in canary with everything on: units, fallback,
    retries, a candidate of several endpoints with care that shows within seconds; legacy answers the rest."""
    patience = f"{SERVICE_PATIENCE * 1000:.0f}ms"
    bounds = {"timeout": patience, "idle_timeout": patience, "max_connections": MAX_CONNECTIONS}
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    care = {
        "balance": "least_requests",
        "ejection": {"interval": "500ms", "base_ejection_time": "300ms", "max_ejection_percent": "50%"},
        "breaker": {"consecutive": 10, "open_for": "200ms", "max_open_for": "500ms"},
        "max_age": "2s",
    }
    return Rules.model_validate(
        {
            "version": 1,
            "services": {"legacy": {"url": urls[0], **bounds}, "candidate": {"urls": urls, **care, **bounds}},
            "legacy": "legacy",
            "routes": [
                {
                    "name": "candidate",
                    "match": {"path": "/candidate/**"},
                    "candidate": "candidate",
                    "stage": "canary",
                    "share": "50%",
                    "unit": {"cookie": "fig_unit", "issue": True},
                    "shadow": {"sample": "0%"},
                    "fallback": "legacy",
                    "retries": {"attempts": 1, "on": ["connect", "reset", "503"]},
                },
                {"name": "small", "match": {"path": "/small/**"}, "legacy": "legacy", "max_body": "1KB"},
                {"name": "own", "match": {"path": "/own/**"}, "respond": {"status": 200, "body": "own"}},
            ],
        }
    )


@contextlib.contextmanager
def fuzzed_worker(folder: Path, table: Rules) -> Iterator[Worker]:
    """As `fig serve` runs it, every exchange in the access log; control and shadower are away."""
    state = folder / "state"
    state.mkdir()
    publish(state, Effective(generation=1, rules=table))
    log = folder / "worker.log"
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener, log.open("wb") as out:
        fd, port = listener.fileno(), int(listener.getsockname()[1])
        command = [sys.executable, "-m", "proxy.worker", "--fd", str(fd), "--state", str(state), "--drain", "1"]
        process = subprocess.Popen(command, stdout=out, stderr=out, pass_fds=(fd,))
        try:
            with socket.create_connection(("127.0.0.1", port), 10) as probe:
                probe.sendall(b"GET /own/probe HTTP/1.0\r\n\r\n")
                probe.recv(1)
            yield Worker(process, port, log)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
