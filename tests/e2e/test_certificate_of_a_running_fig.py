"""A certificate of a running fig: judged, signed, pinned and verified by the commands, through a kill and a restart."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.fakes.ledger import Entries, ledger, rules_for
from tests.fakes.served import Served, eventually, serving

TARGET = "{accuracy: 85%, pairs: 20, strata: [{kind: write, accuracy: 85%, pairs: 19}]}"
WRITES = 24


def fig(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "proxy.cli", "shadow", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def write_orders(running: Served, first: int, count: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{running.port}", trust_env=False, timeout=15) as http:
        for number in range(first, first + count):
            # Refused for as long as a killed shadower's successor needs to come up.
            eventually(
                lambda number=number: http.post(f"/orders/{number}", content=b"1").is_success, f"order {number} taken"
            )


def count(state: Path, question: str) -> int:
    with contextlib.closing(sqlite3.connect(f"file:{state / 'pairs.db'}?mode=ro", uri=True)) as db:
        return int(db.execute(question).fetchone()[0])


def pairs(state: Path) -> int:
    return count(state, "SELECT coalesce(sum(pairs), 0) FROM strata WHERE kind = 'write'")


@pytest.mark.timeout(120)
def test_what_was_certified_while_it_ran_still_holds_after_a_kill_and_under_other_rules(tmp_path: Path) -> None:
    legacy, candidate = Entries(), Entries()
    with ledger(legacy) as left, ledger(candidate) as right:
        rules = rules_for(left.url, right.url, writes="dedupe: idempotency-key", shadow=f"certificate: {TARGET}")
        (tmp_path / "fig.yaml").write_text(rules)
        with serving(tmp_path) as running:
            eventually(running.ready, "fig ready")
            certificate, asked = tmp_path / "cert.json", ("--state", running.state, "--admin", running.admin_address)
            write_orders(running, 0, WRITES // 2)
            eventually(lambda: pairs(running.state) == WRITES // 2, "the first pairs stored")
            assert fig("certify", "orders", *asked).returncode == 3

            os.kill(running.pid("shadower"), signal.SIGKILL)
            write_orders(running, WRITES // 2, WRITES // 2)
            eventually(lambda: pairs(running.state) == WRITES, "all pairs stored")
            issued = fig("certify", "orders", "-o", certificate, *asked)
            assert issued.returncode == 0, issued.stderr
            assert "pinned" not in issued.stderr
            history = running.admin.get("/api/history").json()["history"]
            assert any("certificate GO" in json.dumps(entry) for entry in history)

            (tmp_path / "fig.yaml").write_text(rules.replace("dedupe: idempotency-key", "settle: 3s"))
            os.kill(running.process.pid, signal.SIGHUP)
            eventually(lambda: count(running.state, "SELECT count(*) FROM windows") == 2, "another window")
            (pin,) = json.loads(fig("pins", "--state", running.state, "--json").stdout)
            assert (pin["route"], pin["window"], pin["links"]) == ("orders", 1, WRITES)
            unpinned = fig("unpin", certificate, "--why", "superseded", "--admin", running.admin_address)
            assert unpinned.returncode == 0, unpinned.stderr
            assert f"unpinned: {pin['certificate'][:16]}, {WRITES} pairs of window 1" in unpinned.stdout
            assert count(running.state, "SELECT count(*) FROM pins") == 0
            latest = running.admin.get("/api/history").json()["history"][0]
            assert (latest["action"], latest["route"], latest["why"]) == ("shadow unpin", "orders", "superseded")
            assert running.end() == 0
            verified = fig("verify", certificate, "--state", running.state)
            assert verified.returncode == 0, verified.stdout
            assert f"{WRITES} links, computed again" in verified.stdout

            with contextlib.closing(sqlite3.connect(running.state / "pairs.db")) as db, db:
                db.execute("UPDATE chain SET answers = zeroblob(32) WHERE ordinal = 5")
            tampered = fig("verify", certificate, "--state", running.state)
            assert tampered.returncode == 1
            assert "FAILED  chain: link" in tampered.stdout, tampered.stdout
