"""The actions that keep what a certificate rests on and let it go: what they take, and what they refuse."""

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


async def unpin(store: PairStore, certificate: str, why: str = "superseded") -> Effect:
    action = Pinning(store, lambda: NOON).actions["unpin"]
    return await action(Instruction({"certificate": certificate}, "ada", why))


async def test_what_is_let_go_goes_in_its_time_and_the_history_gets_the_route(store: PairStore, tmp_path: Path) -> None:
    await pin(store, head=head(tmp_path))
    effect = await unpin(store, "c" * 8)
    told = {"certificate": "c" * 64, "route": "items", "window": 1, "unpinned": 3}
    assert (dict(effect.result), list(effect.routes)) == (told, ["items"])
    assert store.prune("items", NOON + 1000) == 3


async def test_what_another_certificate_rests_on_is_kept_for_that_one(store: PairStore, tmp_path: Path) -> None:
    await pin(store, head=head(tmp_path), certificate="a" * 64)
    store.add_many([judge(pair(answer({}), answer({"n": 1}), number), Comparison()) for number in range(3, 5)])
    await pin(store, head=head(tmp_path), certificate="b" * 64, links=5)
    await unpin(store, "b" * 64)
    assert store.prune("items", NOON + 1000) == 2


async def test_a_pin_that_is_not_there_or_not_one_alone_is_not_let_go(store: PairStore, tmp_path: Path) -> None:
    for last in "de":
        await pin(store, head=head(tmp_path), certificate="c" * 63 + last)
    with pytest.raises(RefusedError, match="nothing is pinned for a certificate dddddddd"):
        await unpin(store, "d" * 8)
    with pytest.raises(RefusedError, match="2 certificates begin with cccccccc"):
        await unpin(store, "c" * 8)
    for wrong in ("c" * 7, "C" * 8, "c" * 65, "%" * 8):
        with pytest.raises(MalformedError, match="8 to 64 hex digits"):
            await unpin(store, wrong)
    with pytest.raises(MalformedError, match="say why"):
        await unpin(store, "c" * 63 + "d", why=" ")
    assert store.prune("items", NOON + 1000) == 0
