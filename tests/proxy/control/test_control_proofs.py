"""What control reads of the shadower's files: certificates of this candidate under these rules, and no other."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from canary.rollout import Standing as CertificateStanding
from proxy.control.book import Book
from proxy.control.desk import Desk
from proxy.control.flight import Certificates
from proxy.control.peers import Acknowledgement
from proxy.control.proofs import OLD, Proofs, digest_of
from proxy.control.settling import open_desk
from proxy.control.store import DATABASE, SqlStore
from shadow.comparing.compare import judge
from shadow.journal.journal import Journal
from shadow.journal.writes import Gap
from shadow.pairs.store import PairStore
from shadow.sealing import Sealer
from shadow.spec import Comparison
from tests.fakes.pairs import answer, pair
from tests.fakes.running_control import write

GATES = {"errors": {"metrics": [{"name": "errors", "kind": "error_rate", "margin": "5pp"}]}}
ROLLOUT = {"steps": ["10%"], "gate": "errors"}


def opened(folder: Path, **route: Any) -> Book:
    """The book of a rules file whose route cart is in shadow, with a rollout."""
    write(folder, **{"gates": GATES, "rollout": ROLLOUT, **route})
    (folder / "state").mkdir(exist_ok=True)
    store = SqlStore.at(folder / "state" / DATABASE)
    book, _ = open_desk(folder / "fig.yaml", folder / "state", store, strict=True)
    store.close()
    return book


def fill(folder: Path, digest: str, equal: int = 400, differing: int = 0) -> None:
    """pairs.db with one window."""
    store = PairStore(folder / "state" / "pairs.db", bytes(32))
    store.start_window("cart", digest, "a test", time.time())
    one, other = answer({"id": 1}), answer({"id": 2})
    store.add_many([judge(pair(one, one, n, route="cart"), Comparison()) for n in range(equal)])
    store.add_many([judge(pair(one, other, equal + n, route="cart"), Comparison()) for n in range(differing)])
    store.close()


async def standing(folder: Path, book: Book) -> CertificateStanding:
    proofs = Proofs(folder / "state")
    await proofs.refresh(book)
    proof = proofs.of("cart")
    assert proof is not None
    assert proof.reason
    return proof.standing


async def test_without_any_file_there_are_too_few_pairs(tmp_path: Path) -> None:
    assert await standing(tmp_path, opened(tmp_path)) is CertificateStanding.TOO_FEW


async def test_enough_equal_pairs_are_go(tmp_path: Path) -> None:
    book = opened(tmp_path)
    fill(tmp_path, digest_of(book, "cart"))

    assert await standing(tmp_path, book) is CertificateStanding.GO


async def test_differing_pairs_are_no_go(tmp_path: Path) -> None:
    book = opened(tmp_path)
    fill(tmp_path, digest_of(book, "cart"), equal=200, differing=200)

    assert await standing(tmp_path, book) is CertificateStanding.NO_GO


@pytest.mark.parametrize("file", ["pairs.db", "journal.db"])
async def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path, file: str) -> None:
    book = opened(tmp_path)
    fill(tmp_path, digest_of(book, "cart"))
    (tmp_path / "state" / file).write_bytes(b"no database" * 1000)

    assert await standing(tmp_path, book) is CertificateStanding.FAULT


async def test_a_gap_in_the_journal_is_a_fault_before_the_shadower_notes_it_beside_the_pairs(tmp_path: Path) -> None:
    book = opened(tmp_path)
    fill(tmp_path, digest_of(book, "cart"))
    journal = Journal.open(tmp_path / "state" / "journal.db", Sealer(bytes(32)))
    await journal.gap(Gap("gap-1", "cart", "key", "no link", 1.0), time.time())
    await journal.close()

    assert await standing(tmp_path, book) is CertificateStanding.FAULT


async def test_what_was_proven_of_a_former_release_does_not_count_though_it_was_just_read(tmp_path: Path) -> None:
    book = opened(tmp_path)
    fill(tmp_path, digest_of(book, "cart"))
    store = SqlStore.at(tmp_path / "state" / DATABASE)

    async def nobody(generation: int) -> Acknowledgement:
        return Acknowledgement(generation, 0)

    reloading = open_desk(tmp_path / "fig.yaml", tmp_path / "state", store, strict=True)[1]
    desk = Desk(tmp_path / "fig.yaml", tmp_path / "state", store, nobody, lambda _: None, book, reloading)
    proofs = Proofs(tmp_path / "state")
    certificates = Certificates(desk, proofs)
    assert certificates.standing("cart") is CertificateStanding.FAULT, "nothing was read yet"
    await proofs.refresh(book)
    assert certificates.standing("cart") is CertificateStanding.GO

    write(tmp_path, release="http://127.0.0.1:9002", gates=GATES, rollout=ROLLOUT)
    await desk.reload()

    assert certificates.standing("cart") is CertificateStanding.TOO_FEW
    store.close()


async def test_nothing_is_begun_on_proofs_that_were_read_long_ago(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = opened(tmp_path)
    fill(tmp_path, digest_of(book, "cart"))
    store = SqlStore.at(tmp_path / "state" / DATABASE)

    async def nobody(generation: int) -> Acknowledgement:
        return Acknowledgement(generation, 0)

    reloading = open_desk(tmp_path / "fig.yaml", tmp_path / "state", store, strict=True)[1]
    desk = Desk(tmp_path / "fig.yaml", tmp_path / "state", store, nobody, lambda _: None, book, reloading)
    proofs, ahead = Proofs(tmp_path / "state"), time.monotonic() + OLD
    await proofs.refresh(book)
    assert Certificates(desk, proofs).standing("cart") is CertificateStanding.GO

    monkeypatch.setattr("proxy.control.proofs.time.monotonic", lambda: ahead + 10)

    assert Certificates(desk, proofs).standing("cart") is CertificateStanding.FAULT
    store.close()


async def test_a_route_without_a_rollout_asks_for_no_certificate(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "state").mkdir()
    store = SqlStore.at(tmp_path / "state" / DATABASE)
    book, reloading = open_desk(tmp_path / "fig.yaml", tmp_path / "state", store, strict=True)

    async def nobody(generation: int) -> Acknowledgement:
        return Acknowledgement(generation, 0)

    desk = Desk(tmp_path / "fig.yaml", tmp_path / "state", store, nobody, lambda _: None, book, reloading)

    assert Certificates(desk, Proofs(tmp_path / "state")).standing("cart") is None
    store.close()
