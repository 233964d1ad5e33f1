"""A difference as its engineer follows it: report, show, replay, mend, replay, each a command beside a running fig."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest
import yaml

from shadow.pairs.reader import PairReader
from tests.fakes.plain_service import plain_service
from tests.fakes.served import Served, eventually, serving

TOKEN = "change-token-of-the-test"


def rules(legacy: str, candidate: str) -> dict[str, Any]:
    services = {"legacy": {"url": legacy}, "shop": {"url": candidate, "timeout": "2s"}}
    route = {"name": "shop", "match": {"path": "/**"}, "candidate": "shop", "stage": "shadow"}
    writes = {"order_by": "header:x-order", "dedupe": "idempotency-key"}
    return {"version": 1, "services": services, "legacy": "legacy", "routes": [{**route, "writes": writes}]}


def fig(served: Served, *words: str) -> tuple[int, str]:
    """Exit code and output of `fig shadow ...`."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "proxy.cli", "shadow", *words, "--state", str(served.state)],
        env={"FIG_ADMIN": served.admin_address, "FIG_ADMIN_TOKEN": TOKEN, "PATH": "/usr/bin:/bin", "COLUMNS": "160"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        check=False,
        text=True,
    )
    return done.returncode, done.stdout


def kept(served: Served, count: int) -> dict[str, str]:
    """Method -> pair, of the pairs that differ."""

    def look() -> dict[str, str]:
        with PairReader(served.state / "pairs.db") as reader:
            windows = reader.windows("shop")
            if not windows or windows[0].differing < count:
                return {}
            pairs = [pair for place in reader.places(windows[0]) for pair in reader.samples(windows[0], place, 10)]
            return {each.pair.method: each.pair.id for each in pairs}

    return eventually(look, f"{count} pairs that differ")


@pytest.mark.timeout(120)  # nine commands, each a process of its own
def test_a_pair_is_reported_shown_replayed_and_fixed(tmp_path: Path) -> None:
    with plain_service("right") as legacy, plain_service("wrong") as candidate:
        (tmp_path / "fig.yaml").write_text(yaml.safe_dump(rules(legacy.url, candidate.url)))
        with serving(tmp_path, workers=1, more={"FIG_ADMIN_TOKEN": TOKEN}) as served:
            eventually(served.ready, "ready")
            with httpx.Client(base_url=f"http://127.0.0.1:{served.port}", trust_env=False) as client:
                client.get("/name", headers={"X-Order": "1"})
                for body in ("first", "second"):
                    client.post("/orders", headers={"X-Order": "17", "Cookie": "session=canary-of-show"}, content=body)
            pairs = kept(served, 3)

            files = {name: tmp_path / f"report.{name}" for name in ("html", "markdown", "junit")}
            code, told = fig(
                served, "report", *(word for name, path in files.items() for word in (f"--{name}", str(path)))
            )
            assert code == 1
            assert pairs["GET"] in told
            assert f"`{'shop'}` | ❌ NO-GO" in files["markdown"].read_text()
            suite = ElementTree.parse(files["junit"]).getroot()
            assert int(suite.attrib["failures"]) >= 2
            page = files["html"].read_text()
            assert f"<code>{pairs['POST']}</code>" in page
            assert "Writes of the same key" in page

            code, told = fig(served, "show", pairs["POST"])
            assert code == 1
            assert "≠" in told
            assert "writes of the same key" in told
            assert told.count("POST #") == 2
            assert "canary-of-show" not in told
            code, told = fig(served, "show", pairs["POST"], "--json")
            shown = json.loads(told)
            assert [each["state"] for each in shown["key_history"]] == ["delivered", "delivered"]
            assert any(row["mark"] == "changed" for row in shown["rows"])

            assert fig(served, "replay", pairs["GET"])[0] == 1
            candidate.name = "right"
            code, told = fig(served, "replay", pairs["GET"])
            assert (code, told.splitlines()[-1]) == (0, "1 pair: 1 fixed; 1 agree now")
            code, told = fig(served, "replay", pairs["POST"], "--why", "the name was mended", "--json")
            assert (code, json.loads(told)["sum"]["fixed"]) == (0, 1)
            history = served.admin.get("/api/history", headers={"Authorization": f"Bearer {TOKEN}"}).text
            assert "the name was mended" in history

            assert fig(served, "show", "nothing")[0] == 2
            code, told = fig(served, "replay", "nothing")
            assert code == 2
            assert "no pair and no cause 'nothing'" in told
