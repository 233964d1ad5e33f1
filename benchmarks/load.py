"""The load: the requests that a shop gets, wrk sending them, and the check that a program answers them rightly.

wrk itself checks that every answer is 2xx or 3xx and well framed; here a sample is read whole besides, and the bytes
that wrk received are held against what the bodies alone must be, so that a program that answers wrongly cannot win.
"""

from __future__ import annotations

import http.client
import json
import resource
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

SMALLEST, STEP, STEPS = 400, 8, 26
"""The service's bodies, by the request's target: 400, 408, ... 600 bytes."""
SAMPLE = 200
COUNT = 5000
"""Different requests."""
_SCRIPT = Path(__file__).parent / "peers" / "shop.lua"


class WrongAnswerError(Exception):
    """A program did not answer as the service did: its figures mean nothing."""


class Seen(NamedTuple):
    """What wrk saw of one round."""

    requests: int
    rate: float
    """Answers a second."""
    seconds: float
    """Of the clock, with wrk's start."""
    cpu_seconds: float
    """What wrk itself used."""


def shop_requests(routes: int, count: int = COUNT) -> list[bytes]:
    """GET requests of nine headers with different paths, and a cookie that differs from request to request."""
    return [
        (
            f"GET /area{n % routes}/items/{n % 997}?page={n % 7} HTTP/1.1\r\n"
            "Host: shop.example\r\n"
            "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"
            "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
            "Accept-Language: en-GB,en;q=0.5\r\n"
            "Accept-Encoding: gzip, deflate, br\r\n"
            f"Referer: https://shop.example/area{n % routes}\r\n"
            f"Cookie: fig_unit=u{1_000_000 + n}; basket={n % 31}\r\n"
            "Sec-Fetch-Mode: cors\r\n"
            "Cache-Control: no-cache\r\n"
            "\r\n"
        ).encode()
        for n in range(count)
    ]


def write_requests(requests: Sequence[bytes], path: Path) -> None:
    """For shop.lua."""
    path.write_bytes(b"\1".join(requests))


def check(port: int, requests: Sequence[bytes]) -> None:
    """Send a sample over one connection and read the answers whole. Raises WrongAnswerError."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    sizes, tags = set(), set()
    try:
        for request in requests[:SAMPLE]:
            line, *lines = request.decode().split("\r\n")[:-2]
            headers = dict(each.split(": ", 1) for each in lines)
            connection.request("GET", line.split(" ")[1], headers=headers)
            answer = connection.getresponse()
            body = answer.read()
            known = SMALLEST <= len(body) <= SMALLEST + STEP * STEPS and not body.strip(b"x")
            if answer.status != 200 or not known or not answer.headers["Set-Cookie"]:
                raise WrongAnswerError(f"port {port} answered {answer.status} with {len(body)} bytes")
            sizes.add(len(body))
            tags.add(answer.headers["ETag"])
    finally:
        connection.close()
    if len(sizes) < STEPS / 2 or len(tags) < SAMPLE:
        raise WrongAnswerError(f"port {port} gave one answer to different requests")


def wrk(wrk_program: str, port: int, seconds: float, connections: int, requests: Path, cpus: str) -> Seen:
    """One round of load with wrk on `cpus`. Raises WrongAnswerError when one request failed or was refused."""
    shape = ["-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--latency", "-s", str(_SCRIPT)]
    command = ["taskset", "-c", cpus, wrk_program, *shape, f"http://127.0.0.1:{port}/", "--", str(requests)]
    began, used = time.monotonic(), _used_by_ended_children()
    printed = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=False)
    if printed.returncode != 0:
        raise RuntimeError(f"wrk failed: {printed.stderr.strip() or printed.stdout.strip()}")
    found = json.loads(printed.stdout.rpartition("REPORT ")[2])
    if found["failed"] or found["refused"] or not found["requests"]:
        raise WrongAnswerError(f"port {port}: {found['failed']} failed, {found['refused']} not 2xx")
    mean = SMALLEST + STEP * (STEPS - 1) / 2
    if found["bytes"] / found["requests"] < mean:
        raise WrongAnswerError(f"port {port}: answers are shorter than the service's bodies")
    used = _used_by_ended_children() - used
    return Seen(found["requests"], found["rate"], time.monotonic() - began, used)


def h2load(
    program: str,
    port: int,
    requests: Sequence[bytes],
    rate: float,
    seconds: float,
    connections: int,
    folder: Path,
    cpus: str,
) -> list[float]:
    """Seconds that each answer took, of `rate` requests a second. The paths are those of `requests`, the headers of the
    first. Raises WrongAnswerError when one failed."""
    base = f"http://127.0.0.1:{port}"
    targets, log = folder / "targets", folder / "latencies"
    targets.write_text("\n".join(base + request.split(b" ")[1].decode() for request in requests))
    log.unlink(missing_ok=True)
    headers = requests[0].decode().split("\r\n")[2:-2]  # all but Host
    shape = ["--h1", "-t1", f"-c{connections}", f"--rps={rate / connections:g}", f"-n{rate * seconds:.0f}"]
    command = ["taskset", "-c", cpus, program, *shape, f"--log-file={log}", f"--input-file={targets}"]
    command += [text for header in headers for text in ("-H", header)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=seconds * 10 + 30, check=False)
    if ran.returncode != 0:
        raise RuntimeError(f"h2load failed: {ran.stderr.strip()}")
    rows = [line.split("\t") for line in log.read_text().splitlines()]  # start, status, microseconds
    if len(rows) != round(rate * seconds) or {row[1] for row in rows} != {"200"}:
        raise WrongAnswerError(f"port {port}: {len(rows)} answers, not all of them 200")
    return [int(row[2]) / 1e6 for row in rows]


def _used_by_ended_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
