"""`fig serve` whole: the real control, shadower and workers under the real supervisor, killed and reloaded."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import httpx
import pytest
import yaml

from tests.fakes.plain_service import plain_service
from tests.fakes.served import PATIENCE, Served, eventually, serving

pytestmark = pytest.mark.timeout(150)

FIG = [sys.executable, "-P", "-c", "from proxy.cli import main; main()", "serve"]


def write(folder: Path, port: int, stage: str = "legacy") -> None:
    rules = {
        "version": 1,
        "services": {"monolith": {"url": f"http://127.0.0.1:{port}"}},
        "legacy": "monolith",
        "routes": [
            {"name": "cart", "match": {"path": "/who", "methods": ["GET"]}, "candidate": "monolith", "stage": stage}
        ],
    }
    (folder / "fig.yaml").write_text(yaml.safe_dump(rules))


def everyone(served: Served) -> bool:
    """Whether both workers and the shadower are connected and run the current table."""
    if not served.ready():
        return False
    peers = served.status()["peers"]
    return len(peers) == 3 and all(peer["current"] for peer in peers)


def ask(served: Served) -> str:
    return httpx.get(f"http://127.0.0.1:{served.port}/who", timeout=10, trust_env=False).text


def test_killed_processes_come_back_traffic_goes_on_and_stages_survive(tmp_path: Path) -> None:
    with plain_service("monolith") as service:
        port = service.server_address[1]
        write(tmp_path, port)
        with serving(tmp_path, FIG) as served:
            eventually(lambda: everyone(served), "everyone connected")
            assert served.admin.post("/api/routes/cart/promote", json={"why": "a try"}).json()["acknowledged"]
            killed = {child: served.pid(child) for child in ("control", "shadower", "worker-1")}

            for pid in killed.values():
                os.kill(pid, signal.SIGKILL)

            assert [ask(served) for _ in range(8)] == ["monolith"] * 8
            eventually(lambda: all(served.pid(child) != pid for child, pid in killed.items()), "all three again")
            assert all(served.logged("crashed", child=child, code=-9) for child in killed)
            eventually(lambda: everyone(served), "everyone connected again")
            assert served.status()["routes"][0]["stage"] == "shadow"

            (tmp_path / "fig.yaml").write_text("routes: [")
            served.process.send_signal(signal.SIGHUP)
            eventually(lambda: served.metric("fig_config_last_reload_success") == 0, "a refused reload")
            assert served.logged("rules refused, the running table stays", process="control")
            assert ask(served) == "monolith"
            assert served.end(signal.SIGTERM) == 0

        write(tmp_path, port)
        with serving(tmp_path, FIG) as served:
            eventually(lambda: everyone(served), "everyone connected after the restart")
            assert served.status()["routes"][0]["stage"] == "shadow"
            assert served.status()["generation"] == 2
            assert served.end(signal.SIGTERM) == 0


def test_broken_rules_start_nothing_and_every_problem_is_printed(tmp_path: Path) -> None:
    write(tmp_path, 9000)
    text = (tmp_path / "fig.yaml").read_text()
    (tmp_path / "fig.yaml").write_text(text.replace("candidate:", "candidat:").replace("stage: ", "stage: x"))

    with serving(tmp_path, FIG) as served:
        assert served.process.wait(PATIENCE) == 2
        printed = [line["text"] for line in served.log if "text" in line]
        assert len(printed) == 2
        assert all(line.startswith(f"{tmp_path / 'fig.yaml'}:") for line in printed)


def test_a_wrong_flag_is_said_before_anything_starts(tmp_path: Path) -> None:
    with serving(tmp_path, FIG, more={"FIG_DRAIN": "30"}) as served:
        assert served.process.wait(PATIENCE) == 2
        assert served.log == [{"text": "fig: --drain: '30' is not a duration; write 30s, 500ms or 2m"}]
