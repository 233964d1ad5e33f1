from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shadow.journal.journal import Journal
from shadow.sealing import Sealer


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    """An empty one, in `tmp_path`."""
    opened = Journal.open(tmp_path / "journal.db", Sealer(bytes(range(32))))
    yield opened
    await opened.close()
