"""The demo's programs come up, are ended in order, and never outlive it."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from proxy.demo.processes import Company, StartError, can_listen, free_ports, wait_until_well

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


NOTING = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (open(sys.argv[1], 'a').write(sys.argv[2]), sys.exit(0)))
print('up', flush=True)
time.sleep(60)
"""


def exists(pid: int) -> bool:
    """Whether the process runs; one that ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_program_that_does_not_heed_sigterm_is_killed(tmp_path: Path) -> None:
    company = Company(tmp_path)
    program = await company.start("stubborn", [sys.executable, "-c", STUBBORN], reads_stdout=True)
    assert [line async for line in _first(program.lines())] == ["up\n"]

    await company.end(0.1)

    assert program.process.returncode == -signal.SIGKILL
    assert not program.crashed


async def _first(lines):  # type: ignore[no-untyped-def]
    async for line in lines:
        yield line
        return


async def test_programs_that_need_others_are_ended_before_them(tmp_path: Path) -> None:
    company = Company(tmp_path)
    for name in "abc":
        program = await company.start(name, [sys.executable, "-c", NOTING, tmp_path / "order", name], reads_stdout=True)
        async for _ in _first(program.lines()):
            pass

    await company.end(10, first=["c", "b"])

    assert (tmp_path / "order").read_text() == "cba"


async def test_a_program_that_ends_by_itself_has_crashed(tmp_path: Path) -> None:
    company = Company(tmp_path)
    program = await company.start("brief", [sys.executable, "-c", "raise SystemExit(3)"])
    await program.process.wait()

    assert company.crashed == [program]


async def test_a_program_that_cannot_start_is_named_with_what_it_said(tmp_path: Path) -> None:
    company = Company(tmp_path)
    program = await company.start("cart", [sys.executable, "-c", "raise SystemExit('no price list')"])

    async with httpx.AsyncClient() as client:
        with pytest.raises(StartError, match=r"cart ended with exit code 1 before it was ready:\nno price list"):
            await wait_until_well(client, program, f"http://127.0.0.1:{free_ports(1)[0]}/healthz")


def test_programs_end_with_a_demo_that_was_killed_outright(tmp_path: Path) -> None:
    demo = (
        "import asyncio, sys, pathlib\n"
        "from proxy.demo.processes import Company\n"
        "async def main():\n"
        "    company = Company(pathlib.Path(sys.argv[1]))\n"
        "    program = await company.start('child', [sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "    print(program.process.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    process = subprocess.Popen([sys.executable, "-c", demo, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    process.stdout.close()

    process.kill()
    process.wait(10)

    deadline = time.monotonic() + 10
    while exists(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not exists(child)


async def test_a_port_is_free_until_somebody_listens_there() -> None:
    [port] = free_ports(1)
    assert can_listen(port)

    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", port)

    assert not can_listen(port)
    server.close()
    await server.wait_closed()


def test_free_ports_are_all_different() -> None:
    assert len(set(free_ports(8))) == 8
