"""proxy.worker.gap_notes: gaps outlive the worker that is killed before the journal has taken them."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.wire import Gap
from proxy.worker import gap_notes
from proxy.worker.gap_notes import ROOM, GapNotes

KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from proxy.wire import Gap
from proxy.worker.gap_notes import GapNotes

async def main():
    notes = GapNotes(Path(sys.argv[1]))
    notes.open()
    for number in range(3):
        notes.write(Gap(f"gap-{number}", "orders", "canary-key", "journal", "request-1", 1.5))
    notes.recorded("gap-1")
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def gap(name: str, route: str = "orders") -> Gap:
    return Gap(name, route, "canary-key", "journal", "request-1", 1.5)


def killed(folder: Path) -> None:
    """A worker that is killed with gaps of its own."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder)], timeout=45, check=False)
    assert done.returncode == -signal.SIGKILL


async def test_gaps_of_a_killed_worker_are_taken_over_once_and_forgotten_when_they_are_recorded(tmp_path: Path) -> None:
    killed(tmp_path)
    first, second = GapNotes(tmp_path), GapNotes(tmp_path)
    first.open()
    second.open()

    found = first.take_over()
    assert {one.id for one in found} >= {"gap-0", "gap-2"}
    assert {(one.route, one.key, one.reason, one.started) for one in found} == {("orders", "", "journal", 1.5)}
    assert second.take_over() == first.take_over() == []
    await first.close()
    assert len(second.take_over()) == len(found), "the first one ended before they were recorded"
    for one in found:
        second.recorded(one.id)
    await second.close()

    assert list(tmp_path.iterdir()) == []


async def test_a_living_worker_keeps_its_own_and_writes_no_key(tmp_path: Path) -> None:
    notes, other = GapNotes(tmp_path), GapNotes(tmp_path)
    notes.open()
    other.open()
    notes.write(gap("one"))

    assert other.take_over() == []
    (written,) = (path.read_bytes() for path in tmp_path.iterdir() if b"orders" in path.read_bytes())
    assert b"canary" not in written
    await notes.close()
    assert [one.id for one in other.take_over()] == ["one"]
    await other.close()


async def test_what_is_recorded_makes_room_and_is_not_told_again(tmp_path: Path) -> None:
    notes = GapNotes(tmp_path)
    notes.open()
    for name in ("one", "a-second-that-is-longer"):
        notes.write(gap(name))
    notes.recorded("one")
    notes.recorded("a-second-that-is-longer")
    notes.write(gap("3"))
    await notes.close()

    successor = GapNotes(tmp_path)
    assert [one.id for one in successor.take_over()] == ["3"]
    await successor.close()


async def test_the_room_is_there_before_the_disk_is_full(tmp_path: Path) -> None:
    notes = GapNotes(tmp_path)
    notes.open()
    (file,) = tmp_path.iterdir()
    assert file.stat().st_blocks * 512 >= ROOM
    assert file.stat().st_mode & 0o777 == 0o600
    await notes.close()
    assert not file.exists()


async def test_without_room_a_worker_starts_and_its_gaps_are_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    monkeypatch.setattr("os.pwrite", full)
    notes = GapNotes(tmp_path)
    notes.open()
    notes.write(gap("one"))
    notes.recorded("one")
    await notes.close()


async def test_of_very_many_the_first_of_each_route_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gap_notes, "MOST", 2)
    notes = GapNotes(tmp_path)
    notes.open()
    for name, route in (("1", "a"), ("2", "a"), ("3", "a"), ("4", "b"), ("5", "b")):
        notes.write(gap(name, route))
    await notes.close()

    successor = GapNotes(tmp_path)
    assert [one.id for one in successor.take_over()] == ["1", "2", "4"]
    await successor.close()
