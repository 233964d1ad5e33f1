"""Payloads that made real servers disagree: refused by fig, or forwarded so that nobody can.

Data: desync.json in the folder that FIG_CASES names (HTTP Garden's list of findings, read in place).
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from proxy.dataplane.ports import Limits
from tests.fakes.planes import running, table
from tests.fakes.readers import by_h11, by_httptools
from tests.fakes.wires import Service, Wire, answer

FILE = Path(os.environ.get("FIG_CASES", Path(__file__).parents[2].parent / "shared" / "cases")) / "desync.json"


def payloads() -> list[bytes]:
    if not FILE.exists():
        return []
    return [item["payload_latin1"].encode("latin-1") for item in json.loads(FILE.read_text())["items"]]


class Recording(Service):
    """Keeps every byte of every connection; answers whenever anything has come."""

    def __init__(self) -> None:
        super().__init__(self._record)
        self.streams: list[bytes] = []

    async def _record(self, wire: Wire) -> None:
        number = len(self.streams)
        self.streams.append(b"")
        while data := await wire.some():
            self.streams[number] += data
            read = by_h11(self.streams[number])
            if read and read[-1].is_complete:
                wire.send(answer())


async def test_published_payloads_are_refused_or_come_out_so_that_nobody_can_disagree() -> None:
    cases = payloads()
    if not cases:
        pytest.skip(f"{FILE.name} is not there; FIG_CASES names its folder")
    forwarded = 0
    for payload in cases:
        async with Recording() as legacy:
            spec = {"url": legacy.url, "timeout": "300ms", "idle_timeout": "300ms"}
            async with running(table({"legacy": spec}), limits=Limits(linger=0.05)) as fig:
                client = await fig.connect()
                client.send(payload)
                await asyncio.sleep(0)
                client.finish()
                await client.rest()
                answered = [f.exchange.head for f in fig.notes.finished_all if f.status == 200]

            for stream in legacy.streams:
                read = [request for request in by_h11(stream) if request.is_complete]
                assert read == by_httptools(stream), payload
                for request in read:
                    names = [name for name, _ in request.fields]
                    assert names.count(b"host") == 1, payload
                    assert not {b"content-length", b"transfer-encoding"} <= set(names), payload
            complete = sum(request.is_complete for stream in legacy.streams for request in by_h11(stream))
            assert complete == len(answered), payload
            forwarded += complete
    assert 0 < forwarded < len(cases)  # some are harmless when written anew; most are refused
