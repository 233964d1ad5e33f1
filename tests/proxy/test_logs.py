"""What a line of fig's log is, whatever values it is given."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

SAY = r"""
from pathlib import PurePosixPath
from proxy import logs
import structlog
logs.configure("worker-0")
log = structlog.get_logger("fig")
log.info("plain", share=0.5, path=PurePosixPath("/orders"), problem=ValueError("no"), text="caf\u00e9", of=None)
log.info("halved", text="half of a pair: \ud83d", where=PurePosixPath("/orders"))
log.info("nested", items=[[1, [2, {"a": (3,)}]]], sides={"legacy": 1})
"""


def lines() -> list[dict[str, Any]]:
    ran = subprocess.run([sys.executable, "-P", "-c", SAY], capture_output=True, check=True, timeout=60)
    return [json.loads(line) for line in ran.stderr.decode().splitlines()]


def test_every_event_is_one_line_of_json_in_utf_8_whatever_its_values_are() -> None:
    """Half of a surrogate pair comes out of a service's JSON, and whoever logs it must not fail for it."""
    plain, halved, nested = lines()

    assert {key: plain[key] for key in ("share", "path", "problem", "text", "of")} == {
        "share": 0.5,
        "path": "/orders",
        "problem": "no",
        "text": "caf\u00e9",
        "of": None,
    }
    assert (plain["event"], plain["level"], plain["process"]) == ("plain", "info", "worker-0")
    assert halved["text"] == "half of a pair: ?"
    assert halved["where"] == "/orders"
    assert nested["items"] == [[1, [2, {"a": [3]}]]]
    assert nested["sides"] == {"legacy": 1}
