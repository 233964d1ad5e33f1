from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.fakes.shadowing import Service


@pytest.fixture
async def candidate() -> AsyncIterator[Service]:
    """Up until the test is over; what it answers may be changed meanwhile."""
    async with Service() as service:
        yield service
