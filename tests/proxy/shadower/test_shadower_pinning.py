"""The action that keeps what a certificate rests on: what it takes, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy.shadower.commands import Effect, Instruction, MalformedError, RefusedError
from proxy.shadower.pinning import Pinning
from shadow.comparing.compare import judge
from shadow.pairs.reader import PairReader
from shadow.pairs.store import PairStore
from shadow.spec import Comparison
from tests.fakes.pairs import NOON, answer, pair


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PairStore]:
    opened = PairStore(tmp_path / "pairs.db", b"k" * 32)
    opened.start_window("items", "a-b-c-d", "load", NOON)
    opened.add_many([judge(pair(answer({}), answer({"n": 1}), number), Comparison()) for number in range(3)])
    yield opened
    opened.close()


def head(tmp_path: Path) -> str:
    with PairReader(tmp_path / "pairs.db") as reader:
        chain = reader.chain(reader.windows("items")[0])
    assert chain.head is not None
    return chain.head.hex()


async def pin(store: PairStore, **told: Any) -> Effect:
    asked = {"route": "items", "window": 1, "links": 3, "certificate": "c" * 64, **told}
    return await Pinning(store, lambda: NOON).pin(Instruction(asked, "ada", "certificate GO"))


async def test_what_a_certificate_rests_on_is_pinned_and_the_history_gets_the_route(
    store: PairStore, tmp_path: Path
) -> None:
    told = {"head": head(tmp_path)}
    effect = await pin(store, **told)
    assert (dict(effect.result), list(effect.routes)) == ({"pinned": 3}, ["items"])
    assert dict((await pin(store, **told)).result) == {"pinned": 3}, "asked again, it stays pinned"
    assert store.prune("items", NOON + 1000) == 0


async def test_a_chain_that_is_not_there_is_refused(store: PairStore, tmp_path: Path) -> None:
    true = head(tmp_path)
    for wrong in (
        {"head": "ab" * 32},
        {"head": true, "links": 2},
        {"head": true, "window": 2},
        {"head": true, "route": "x"},
    ):
        with pytest.raises(RefusedError, match="has no such chain here"):
            await pin(store, **wrong)
    assert store.prune("items", NOON + 1000) == 3


async def test_a_head_that_is_no_hex_is_malformed(store: PairStore) -> None:
    with pytest.raises(MalformedError, match="'head' is to be written in hex digits"):
        await pin(store, head="no hex")
