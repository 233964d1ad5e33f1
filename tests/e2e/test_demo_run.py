"""`fig demo` for real: programs, shoppers, rules and gates, judged by its exit code. Select with `-m demo`."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

FIG = [sys.executable, "-m", "proxy.cli"]


def processes_in(folder: Path) -> list[str]:
    """Command lines of every process that was given a file below `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue  # it ended while we looked
            if str(folder) in command:
                found.append(command)
    return found


@contextmanager
def demo(folder: Path, *flags: str) -> Iterator[subprocess.Popen[str]]:
    """The running demo, its files below `folder`."""
    process = subprocess.Popen(
        [*FIG, "demo", *flags],
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=30)


@pytest.mark.demo
@pytest.mark.timeout(150)
def test_the_story_happens_as_told_and_stays_to_be_looked_at_until_ctrl_c(tmp_path: Path) -> None:
    with demo(tmp_path, "--fast", "--limit", "60", "--keep") as process:
        assert process.stdout is not None
        told = ""
        for line in process.stdout:
            told += line
            if "Ctrl-C ends it all" in line:
                break
        [shop] = re.findall(r"^shop +(http://\S+)", told, re.MULTILINE)
        page = httpx.get(shop, timeout=10)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=40)

    assert process.returncode == 0, told
    assert re.search(r"requests +\d{3,} served, 0 failed", told)
    assert "shadow -> canary -> live" in told
    sentence = "average is smaller by 0.1 in the candidate, as if it were cut off after 1 decimal where legacy rounds"
    assert re.search(re.escape(sentence) + r".*in \d+ of \d+ answers, at /average", " ".join(told.split()))
    assert re.search(r"time from the slow release to rollback: \d+\.\d s", told)
    assert re.search(r"proof +checkout is (GO|TOO FEW): .*99\.99% takes 29,956 pairs", told)
    assert "signed, and its chain followed" in told
    [report] = re.findall(r"the shadow report lies in (\S+)", told)
    assert "/average" in Path(report).read_text()
    [canary] = re.findall(r"the canary report of the cart lies in (\S+)", told)
    assert Path(canary).read_text().count("<svg") >= 3
    assert (page.status_code, "Pinnacle" in page.text) == (200, True)
    assert processes_in(tmp_path) == []


@pytest.mark.demo
@pytest.mark.timeout(150)
def test_without_the_planted_faults_both_routes_go_live_and_the_exit_code_says_that_nothing_was_caught(
    tmp_path: Path,
) -> None:
    with demo(tmp_path, "--fast", "--limit", "60", "--without", "reviews-bug", "--without", "slow-cart") as process:
        told, _ = process.communicate(timeout=130)

    assert process.returncode == 1, told
    assert "no catch was made: there was no bug to catch, and reviews went live" in told
    assert "no catch was made: its release was not slow, and cart went live" in told
    assert re.search(r"requests +\d{3,} served, 0 failed", told)


@pytest.mark.timeout(60)
def test_ctrl_c_while_it_starts_ends_every_program_that_was_started(tmp_path: Path) -> None:
    with demo(tmp_path, "--fast", "--without", "reviews-bug") as process:
        while len(commands := processes_in(tmp_path)) < 6:
            assert process.poll() is None
            time.sleep(0.05)
        assert not any("--bug" in command for command in commands)

        process.send_signal(signal.SIGINT)
        told, _ = process.communicate(timeout=40)

    assert process.returncode == 130
    assert "every program that the demo started is ended" in told
    assert "Traceback" not in told
    assert processes_in(tmp_path) == []


def test_a_port_in_use_is_said_before_anything_starts(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        demo(tmp_path, "--port", str(taken.getsockname()[1])) as process,
    ):
        told, _ = process.communicate(timeout=30)

    assert process.returncode == 2
    assert "is in use; choose another with --port" in told
    assert list(tmp_path.iterdir()) == []
