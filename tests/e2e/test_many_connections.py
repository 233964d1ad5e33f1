"""Thousands of clients with requests in flight at the same time, through real processes: nobody fails."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from collections.abc import Iterator

import httpx
import pytest

from tests.fakes import crowd
from tests.fakes.lively_service import LivelyService, lively_service
from tests.fakes.ports import free_port
from tests.fakes.served import Served, eventually, serving

COUNT = 12_000
# Each worker may have as many connections to the service as there are checkouts at most. So many at once overflow any
# listen queue; what is dropped there the kernel sends again after 1, 3 and 7 seconds, hence the longer connect_timeout.
RULES = """
version: 1
services:
  legacy: {{url: "{shop}", max_connections: 12000, connect_timeout: 10s}}
legacy: legacy
routes:
  - {{name: checkout, match: {{path: "/together/*", methods: [POST]}}, candidate: legacy, stage: live}}
"""


@pytest.fixture(scope="module")
def shop() -> Iterator[LivelyService]:
    with lively_service("shop", free_port()) as service:
        yield service


@pytest.fixture(scope="module")
def fig(shop: LivelyService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("many")
    (folder / "fig.yaml").write_text(RULES.format(shop=shop.url))
    with serving(folder, more={"FIG_MAX_CONNECTIONS": "12000"}) as served:
        eventually(served.ready, "fig ready")
        yield served


@pytest.mark.timeout(120)
async def test_twelve_thousand_checkouts_in_flight_at_once_are_all_answered(fig: Served, shop: LivelyService) -> None:
    """The service answers nobody before all of them wait there, so that they are in flight together for certain."""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < COUNT * 3 // 2:
        pytest.skip(f"{COUNT} clients need a hard limit of {COUNT * 3 // 2} file descriptors (ulimit -Hn)")
    command = [sys.executable, crowd.__file__, str(fig.port), str(COUNT), f"/together/{COUNT}"]

    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    told, _ = await process.communicate()

    assert json.loads(told) == {"200": COUNT}
    async with httpx.AsyncClient(trust_env=False) as client:
        assert int((await client.get(f"{shop.url}/peak", timeout=10)).text) == COUNT
