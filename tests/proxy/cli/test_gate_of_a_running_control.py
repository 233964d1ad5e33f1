"""`fig canary gate --wait` against control itself, with a pilot that acts while the pipeline waits."""

from __future__ import annotations

import asyncio
import random
import time
import xml.etree.ElementTree as ET
from pathlib import Path

from typer.testing import CliRunner

from proxy.cli import app
from rules.failures import FAILURES
from tests.fakes.running_control import Running, control, write
from tests.fakes.worker_link import WorkerLink, rows, workers

GATES = {
    "errors": {
        "metrics": [{"name": "errors", "kind": "error_rate", "margin": "5pp", "critical": True}],
        "window": "100ms",
    }
}


def seconds_of_traffic(worker: WorkerLink, bad: float) -> None:
    """Five seconds that end now, at a share of a tenth, of which the candidate fails a part `bad`."""
    chance, now = random.Random(1), time.time()
    exchanges = []
    for number in range(2000):
        unit = chance.getrandbits(64)
        side = int(unit % 1_000_000 < 100_000)
        failed = FAILURES.index("reset") if side and chance.random() < bad else 0
        exchanges.append((now - 5 + number / 400, unit, 0.01, side, failed))
    worker.send(rows("cart", worker.generation, exchanges))


async def asked(running: Running, folder: Path) -> tuple[int, str]:
    words = ["canary", "gate", "cart", "--wait", "40s", "--rules", str(folder / "fig.yaml")]
    words += ["--admin", str(running.api.base_url), "--junit", str(folder / "gate.xml")]
    result = await asyncio.to_thread(CliRunner().invoke, app, words)
    return result.exit_code, result.stdout


async def test_a_pipeline_that_waits_hears_of_the_rollback_that_the_pilot_carries_out(tmp_path: Path) -> None:
    rollout = {"steps": ["10%", "50%"], "hold": "1h", "gate": "errors"}
    write(tmp_path, gates=GATES, stage="canary", rollout=rollout)
    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        await worker.at(1)
        pipeline = asyncio.create_task(asked(running, tmp_path))
        await running.until_metric('fig_gate_verdict{route="cart",verdict="keep_watching"} 1.0')

        seconds_of_traffic(worker, bad=0.5)

        code, output = await pipeline
        await running.until_metric('fig_route_stage{route="cart",stage="shadow"} 1.0')
    assert code == 1
    assert "cart: rollback\n" in output
    assert "critical metric at alpha 2.5 %" in output
    errors = ET.parse(tmp_path / "gate.xml").find(".//testcase[@name='errors']")
    assert errors is not None and errors.find("failure") is not None
    named = 1 + [line.strip() for line in (tmp_path / "fig.yaml").read_text().splitlines()].index("name: errors")
    assert (errors.get("file"), errors.get("line")) == (str(tmp_path / "fig.yaml"), str(named))
