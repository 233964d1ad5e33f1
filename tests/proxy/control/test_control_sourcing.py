"""Control asks sources beside the pilot: numbers come into the judgement, outlive control, and are missed when gone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import yaml

from tests.fakes.running_control import Running, control, write

DEPTH = {"name": "depth", "kind": "query", "source": "export", "margin": "10%", "step": "1s", "critical": True}
GATES = {"errors": {"metrics": [{"name": "errors", "kind": "error_rate", "margin": "2pp"}, DEPTH], "silence": "1h"}}
ROLLOUT = {"steps": ["10%", "50%"], "hold": "1h", "gate": "errors"}


def rules(folder: Path) -> None:
    write(folder, gates=GATES, stage="canary", rollout=ROLLOUT)
    file = folder / "fig.yaml"
    source = {"kind": "jsonl", "path": str(folder / "export.jsonl"), "delay": "300ms"}
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | {"sources": {"export": source}}))


@contextlib.asynccontextmanager
async def exporting(file: Path) -> AsyncIterator[None]:
    """Something writes a number of either side every tenth of a second."""

    async def write_on() -> None:
        while True:
            with file.open("a") as lines:
                for side in ("legacy", "candidate"):
                    lines.write(json.dumps({"time": time.time(), "side": side, "value": 40}) + "\n")
            await asyncio.sleep(0.1)

    task = asyncio.create_task(write_on())
    try:
        yield
    finally:
        task.cancel()


async def until(running: Running, true: Callable[[dict[str, Any], str], bool]) -> dict[str, Any]:
    """The metric of the source as the gate tells it, once it and the gate's reason are so."""
    found: dict[str, Any] = {}

    async def look() -> bool:
        judgement = (await running.api.get("/api/routes/cart/gate")).json()
        found.update(judgement["metrics"][1])
        return true(found, judgement["reason"])

    await running.until(look)
    return found


async def test_a_sources_numbers_are_judged_kept_and_missed(tmp_path: Path) -> None:
    export = tmp_path / "export.jsonl"
    rules(tmp_path)
    async with exporting(export):
        async with control(tmp_path) as running:
            before = await until(running, lambda metric, _: metric["legacy_count"] >= 2)
            assert before["counted"] == "steps"
            assert 0 <= before["age"] < 30
        async with control(tmp_path) as running:
            after = (await running.api.get("/api/routes/cart/gate")).json()["metrics"][1]
            assert after["legacy_count"] >= before["legacy_count"]
    async with control(tmp_path) as running:
        export.unlink()
        await until(running, lambda _, reason: "No such file" in reason)
