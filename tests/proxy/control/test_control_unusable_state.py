"""A state folder whose database cannot be used: `fig serve` says where, why and what to do, and ends with 2."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from proxy.control.store import SqlStore
from tests.fakes.ports import free_port

RULES = "version: 1\nservices: {a: {url: 'http://127.0.0.1:9'}}\nlegacy: a\nroutes: []\n"


def no_database(path: Path) -> None:
    path.write_text("no database, and longer than the head of one " * 30)


def damaged(path: Path) -> None:
    SqlStore.at(path).close()
    whole = path.read_bytes()
    path.write_bytes(whole[:200] + b"\xff" * (len(whole) - 200))


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (no_database, "file is not a database"),
        (damaged, "database disk image is malformed"),
        (Path.mkdir, "Is a directory"),
    ],
)
def test_a_database_that_cannot_be_used_is_told_in_a_sentence(tmp_path: Path, spoil: object, why: str) -> None:
    state = tmp_path / "state"
    state.mkdir()
    assert callable(spoil)
    spoil(state / "state.db")
    (tmp_path / "fig.yaml").write_text(RULES)
    listen, admin = (f"127.0.0.1:{free_port()}" for _ in range(2))
    command = [sys.executable, "-m", "proxy.cli", "serve", "-c", str(tmp_path / "fig.yaml"), "--state", str(state)]
    command += ["--listen", listen, "--admin", admin, "--workers", "1"]

    ended = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[3], timeout=50)

    assert ended.returncode == 2
    assert ended.stderr == (
        f"fig: {state / 'state.db'} cannot be used: {why}; put a copy of it back, or move it away to begin anew, with "
        "every route where the rules file says\n"
    )
