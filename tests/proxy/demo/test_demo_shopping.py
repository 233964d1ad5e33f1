"""What the shoppers say is believed once they have said all of it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from proxy.demo.processes import Company
from proxy.demo.run import Shopping

LINE = '{{"requests": {n}, "failed": 0, "failures": [], "orders": 1, "final": {final}}}'


async def heard(tmp_path: Path, *lines: str) -> Shopping:
    """From a program that prints those lines."""
    shopping = Shopping()
    program = f"print({chr(10).join(lines)!r})"
    shoppers = await Company(tmp_path).start("shoppers", [sys.executable, "-c", program], reads_stdout=True)
    async with asyncio.timeout(20):
        await shopping.read(shoppers)
        await shoppers.end(5)
    return shopping


async def test_counts_are_complete_with_the_last_line_only(tmp_path: Path) -> None:
    first, last = LINE.format(n=7, final="false"), LINE.format(n=9, final="true")

    killed = await heard(tmp_path, first)
    home = await heard(tmp_path, first, last)

    assert (killed.counts["requests"], killed.told_all) == (7, False)
    assert (home.counts["requests"], home.told_all) == (9, True)
    assert not Shopping().told_all
