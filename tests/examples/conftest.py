"""Pinnacle's programs as real processes on free ports, for the tests in this folder."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.fakes.ports import free_port

PINNACLE = Path(__file__).parents[2] / "examples" / "pinnacle"


@dataclass(frozen=True)
class Running:
    """One program that answers, and a client whose paths start at it."""

    client: httpx.Client
    process: subprocess.Popen[bytes]
    command: list[str]


Start = Callable[..., Running]
"""(program, folder of its data, *flags) -> the program, running until the test or module ends."""


@contextmanager
def running(name: str, data: Path, *flags: str) -> Iterator[Running]:
    """`name`.py on a free port; ended by SIGTERM."""
    port = free_port()
    command = [sys.executable, str(PINNACLE / f"{name}.py"), "--port", str(port), "--data", str(data), *flags]
    process = subprocess.Popen(command)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            wait_until_healthy(client, process)
            yield Running(client, process, command)
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:
        yield lambda name, data, *flags: stack.enter_context(running(name, data, *flags))


@pytest.fixture(scope="module")
def start_once() -> Iterator[Start]:
    with ExitStack() as stack:
        yield lambda name, data, *flags: stack.enter_context(running(name, data, *flags))


def wait_until_healthy(client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        assert process.poll() is None, f"ended with {process.returncode} before it was healthy"
        try:
            if client.get("/healthz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.02)
    raise AssertionError("not healthy within 20 seconds")
