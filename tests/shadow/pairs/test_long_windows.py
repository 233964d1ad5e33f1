"""A window of any length is chained whole, its file has a bound, and a certificate says what can be counted again."""

from __future__ import annotations

import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shadow.certifying.certificate import judge_certificate
from shadow.certifying.chain import Link
from shadow.certifying.segments import SEGMENT, pack
from shadow.certifying.statement import Origin, sign, state
from shadow.certifying.text import to_text
from shadow.certifying.verification import Verification, verify
from shadow.comparing.compare import Judged, judge
from shadow.pairs import chain_tables, shedding
from shadow.pairs.reader import PairReader
from shadow.pairs.store import PairStore
from shadow.pairs.windows import UNCHAINED
from shadow.spec import CertificateTarget, Comparison
from tests.fakes.pairs import NOON, answer, pair

KEY = b"k" * 32
SIGNER = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
TARGET = CertificateTarget.model_validate({"accuracy": "99%", "pairs": 1000})
ORIGIN = Origin("0123", "http://candidate", "http://legacy", "rules", "0")
LINKS = 3 * SEGMENT + 17
_EQUAL = judge(pair(answer({"n": 1}), answer({"n": 1})), Comparison())


def equal(count: int) -> list[Judged]:
    return [replace(_EQUAL, pair=replace(_EQUAL.pair, id=uuid.uuid4().hex)) for _ in range(count)]


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three segments and a bit, of which the first and the latest are kept; the store was opened anew on the way."""
    file = tmp_path_factory.mktemp("long") / "pairs.db"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(chain_tables, "FIRST_LINKS", SEGMENT)
        patched.setattr(chain_tables, "LATEST_LINKS", SEGMENT)
        store = PairStore(file, KEY)
        store.start_window("items", "a-b-c-d", "load", NOON)
        store.add_many(equal(SEGMENT - 3))
        store.close()
        store = PairStore(file, KEY)
        store.add_many(equal(SEGMENT))
        store.add_many(equal(LINKS - 2 * SEGMENT + 3))
        store.close()
    return file


@pytest.fixture
def file(long: Path, tmp_path: Path) -> Path:
    """The same, to be altered."""
    for each in long.parent.glob("pairs.db*"):
        shutil.copy(each, tmp_path / each.name)
    return tmp_path / "pairs.db"


@pytest.fixture
def altered(file: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(file, isolation_level=None)
    yield connection
    connection.close()


def certify(file: Path) -> tuple[bytes, str]:
    with PairReader(file) as reader:
        windows = reader.windows("items")
        certificate = judge_certificate(reader.evidence("items", TARGET), TARGET)
        document = state(certificate, ORIGIN, windows, reader.masks(windows[0]), reader.chain(windows[0]), 2.0)
        return sign(document, SIGNER), to_text(document)


def verified(file: Path, data: bytes) -> Verification:
    with PairReader(file) as reader:
        return verify(data, None, reader)


def said(found: Verification) -> str:
    return "; ".join(check.said for check in found.checks if not check.holds)


def test_every_pair_is_chained_and_what_can_be_counted_again_is_said(file: Path) -> None:
    data, text = certify(file)
    assert f"chain: every pair, {LINKS:,}; the links of {LINKS - SEGMENT:,} are kept and can be counted again" in text
    assert f"of {SEGMENT:,} between the first and the latest only sealed sums" in text
    found = verified(file, data)
    assert found.holds, said(found)
    assert f"the sealed sums of {SEGMENT:,} pairs, whose links were kept no more" in found.checks[-1].said


def test_as_many_links_stay_as_a_certificate_is_judged_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain_tables, "FIRST_LINKS", 0)
    monkeypatch.setattr(chain_tables, "LATEST_LINKS", 0)
    store = PairStore(tmp_path / "pairs.db", KEY)
    store.expect("items", SEGMENT + 1)
    store.start_window("items", "a-b-c-d", "load", NOON)
    store.add_many(equal(3 * SEGMENT))
    store.close()
    with PairReader(tmp_path / "pairs.db") as reader:
        chain = reader.chain(reader.windows("items")[0])
    assert (chain.pairs, chain.links) == (3 * SEGMENT, 2 * SEGMENT)


def test_a_certificate_outlives_what_is_counted_after_it_if_it_is_pinned(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain_tables, "FIRST_LINKS", SEGMENT)
    monkeypatch.setattr(chain_tables, "LATEST_LINKS", 0)
    data, _ = certify(file)
    with PairReader(file) as reader:
        head = reader.chain(reader.windows("items")[0]).head
    assert head is not None
    for pinned in (True, False):
        copy = file.with_name(f"pinned-{pinned}.db")
        shutil.copy(file, copy)
        store = PairStore(copy, KEY)
        if pinned:
            assert store.pin("items", 1, "cert", LINKS, head, NOON)
            assert not store.pin("items", 1, "cert", LINKS - 1, head, NOON)
        store.add_many(equal(SEGMENT))
        if pinned:
            assert store.pin("items", 1, "again", LINKS, head, NOON), "its links are packed by now"
        store.close()
        found = verified(copy, data)
        assert found.holds is pinned, said(found)
    assert said(found) == f"links {3 * SEGMENT + 1:,} to {LINKS:,}: they are kept no more"


def test_links_that_are_shed_before_their_time_are_missed(file: Path, altered: sqlite3.Connection) -> None:
    data, _ = certify(file)
    altered.execute("UPDATE segments SET links = NULL WHERE number = 3")
    assert f"the links of {SEGMENT:,} pairs kept when it was issued are kept no more" in said(verified(file, data))


@pytest.mark.parametrize("column", ["number", "root", "sums", "seal", "links"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_flipped_bit_in_any_column_of_any_segment_fails_it(
    file: Path, altered: sqlite3.Connection, column: str, number: int
) -> None:
    data, _ = certify(file)
    (value,) = altered.execute(f"SELECT {column} FROM segments WHERE number = ?", (number,)).fetchone()
    flips: list[bytes | int] = [b"x"]  # links where there are none any more
    if isinstance(value, bytes):
        places = {0, 1, 7, len(value) // 3, len(value) // 2, len(value) - 1}
        flips = [value[:at] + bytes([value[at] ^ (1 << at % 8)]) + value[at + 1 :] for at in sorted(places)]
    elif column == "number":
        flips = [number + 8]
    for flipped in flips:
        altered.execute(f"UPDATE segments SET {column} = ? WHERE number = ?", (flipped, number))
        found = verified(file, data)
        assert not found.holds, (column, number)
        assert "links " in said(found) or "segment " in said(found)
        altered.execute(f"UPDATE segments SET {column} = ? WHERE number IN (?, ?)", (value, number, number + 8))


@pytest.mark.parametrize("column", ["root", "sums", "seal", "links"])
def test_a_value_of_another_type_in_a_segment_is_told_as_what_it_is(
    file: Path, altered: sqlite3.Connection, column: str
) -> None:
    data, _ = certify(file)
    altered.execute(f"UPDATE segments SET {column} = CAST(hex({column}) || 'a' AS TEXT) WHERE number = 1")
    assert "links 1 to 5,000: a value of a type that no segment has" in said(verified(file, data))


def test_a_segment_that_is_replaced_by_another_true_one_fails_it(file: Path, altered: sqlite3.Connection) -> None:
    data, _ = certify(file)
    altered.execute("UPDATE segments SET links = (SELECT links FROM segments WHERE number = 1) WHERE number = 2")
    assert f"links {SEGMENT + 1:,} to {2 * SEGMENT:,}: link 5,001 is missing, or link 1 stands" in said(
        verified(file, data)
    )
    altered.execute("DELETE FROM segments WHERE number = 2")
    assert "segment 2 is missing, or segment 3 stands in its place" in said(verified(file, data))


def test_a_chain_that_is_cut_and_continued_is_another_chain(file: Path, altered: sqlite3.Connection) -> None:
    data, _ = certify(file)
    altered.execute("DELETE FROM chain WHERE ordinal > ?", (LINKS - 5,))
    altered.execute("UPDATE windows SET pairs = pairs - 5")
    altered.execute("UPDATE strata SET pairs = pairs - 5")
    store = PairStore(file, KEY)
    store.add_many(equal(5))
    store.close()
    assert said(verified(file, data)) == "the chain ends in another head than the certificate names"


def test_links_of_a_former_window_go_a_few_segments_at_a_time(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shedding, "DROPPED_AT_ONCE", SEGMENT)
    store = PairStore(file, KEY)
    store.start_window("items", "a-b-c-e", "load", NOON)
    left = []
    for _ in range(4):
        with PairReader(file) as reader:
            left.append(reader.chain(reader.windows("items")[-1]).pairs)
        store.prune("items", NOON + 1000)
    store.close()
    assert left == [LINKS, 2 * SEGMENT, SEGMENT, 0]


def test_a_link_takes_so_little_room_that_a_window_has_a_bound_worth_the_name() -> None:
    links = [
        Link(n + 1, uuid.uuid4().hex, "read", "GET", "2xx", 0, "", uuid.uuid4().bytes * 2, b"") for n in range(SEGMENT)
    ]
    assert len(pack(links)) < 53 * SEGMENT


def test_a_window_whose_links_were_lost_is_followed_by_another_when_fig_starts_again(
    file: Path, altered: sqlite3.Connection
) -> None:
    altered.execute("DELETE FROM chain WHERE ordinal > ?", (LINKS - 5,))
    store = PairStore(file, KEY)
    store.add_many(equal(1))  # counted, for nothing may be left out, but in no chain
    assert store.start_window("items", "a-b-c-d", "load", NOON)
    store.add_many(equal(1))
    assert not store.start_window("items", "a-b-c-d", "load", NOON)
    store.close()
    with PairReader(file) as reader:
        later, former = reader.windows("items")
        assert (later.reason, later.pairs, reader.chain(later).pairs) == (UNCHAINED, 1, 1)
        assert (former.pairs, reader.chain(former).pairs) == (LINKS + 1, LINKS - 5)


def test_a_last_segment_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    store = PairStore(tmp_path / "pairs.db", KEY)
    store.start_window("items", "a-b-c-d", "load", NOON)
    store.add_many(equal(SEGMENT))
    store.close()
    data, _ = certify(tmp_path / "pairs.db")
    assert verified(tmp_path / "pairs.db", data).holds
    with sqlite3.connect(tmp_path / "pairs.db") as connection:
        connection.execute("DELETE FROM segments")
    connection.close()
    assert said(verified(tmp_path / "pairs.db", data)).startswith(f"0 of the {SEGMENT:,} pairs")
