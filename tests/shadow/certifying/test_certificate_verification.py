"""A certificate that was altered in any byte does not hold, nor does one whose pairs were altered; and what is said."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shadow.certifying.certificate import judge_certificate
from shadow.certifying.signing import public_bytes
from shadow.certifying.statement import Document, Origin, canonical, claims_again, laid_out, parse, sign, state
from shadow.certifying.strata import StratumKind
from shadow.certifying.verification import Verification, verify
from shadow.comparing.compare import judge
from shadow.pair import Kind
from shadow.pairs.kept import Unproven
from shadow.pairs.reader import PairReader
from shadow.pairs.shedding import EQUAL_SAMPLES
from shadow.pairs.store import PairStore
from shadow.spec import CertificateTarget, Comparison
from tests.fakes.pairs import NOON, answer, pair

PAIRS = 60
SIGNER = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
TARGET = CertificateTarget.model_validate({"accuracy": "95%", "pairs": PAIRS, "differences": "allowed"})
ORIGIN = Origin("0123", "http://candidate", "http://legacy", "rules", "0")
MASKED = Comparison.model_validate({"masks": [{"path": "/at", "kind": "ignore"}, {"path": "/n", "kind": "uuid"}]})


@dataclass
class Issued:
    file: Path
    data: bytes

    def verify(self, data: bytes | None = None, file: Path | None = None) -> Verification:
        with PairReader(file or self.file) as reader:
            return verify(data or self.data, None, reader)


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Issued:
    """A certificate on pairs of several strata, some excused and one differing, in several batches."""
    file = tmp_path_factory.mktemp("state") / "pairs.db"
    store = PairStore(file, b"k" * 32)
    store.start_window("items", "a-b-c-d", "load", 1.0)
    for first in range(0, PAIRS, 20):
        store.add_many([judge(made(number), MASKED) for number in range(first, first + 20)])
    store.add_apart("items", StratumKind.UNSETTLED, "GET", "2xx", 4)
    store.set_unproven("items", Unproven(declared=1, undelivered=2))
    store.close()
    return Issued(file, certify(file))


def made(number: int) -> Any:
    legacy = {"at": 1, "n": number}
    candidate = {"at": 2 if number % 3 == 0 else 1, "n": number + (number == 7)}
    kind = {"kind": Kind.WRITE, "method": "POST"} if number % 5 == 0 else {}
    return pair(answer(legacy, 201 if kind else 200), answer(candidate, 201 if kind else 200), number, **kind)


def certify(file: Path) -> bytes:
    with PairReader(file) as reader:
        windows = reader.windows("items")
        certificate = judge_certificate(reader.evidence("items", TARGET), TARGET)
        return sign(
            state(certificate, ORIGIN, windows, reader.masks(windows[0]), reader.chain(windows[0]), 2.0), SIGNER
        )


def failed(found: Verification) -> list[str]:
    return [check.name for check in found.checks if not check.holds]


def test_a_certificate_holds_against_the_pairs_that_it_was_issued_on(issued: Issued) -> None:
    found = issued.verify()
    assert (failed(found), found.exit_code) == ([], 0)
    assert [check.name for check in found.checks] == ["form", "signature", "numbers", "chain"]
    document = found.document
    assert document is not None
    assert (document["evidence"]["differing"], document["evidence"]["captured"]) == (1, PAIRS + 4)
    assert document["evidence"]["masked"] == 20


def test_every_single_flipped_bit_of_the_file_fails_it(issued: Issued) -> None:
    """Every byte, and of each every bit: without the pairs, for what is signed must not need them to be found out."""
    data = bytearray(issued.data)
    for position in range(len(data)):
        for bit in range(8) if position % 16 == 0 else (position % 8,):
            data[position] ^= 1 << bit
            found = verify(bytes(data))
            assert found.exit_code == 1, (position, bit)
            assert any(check.said for check in found.checks if not check.holds)
            data[position] ^= 1 << bit
    assert verify(bytes(data)).holds


@given(st.data())
@settings(max_examples=60)
def test_bytes_left_out_added_or_replaced_fail_it(issued: Issued, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(issued.data)))
    end = data.draw(st.integers(start, min(len(issued.data), start + 20)))
    altered = issued.data[:start] + data.draw(st.binary(max_size=20)) + issued.data[end:]
    assert verify(altered).holds is (altered == issued.data)


COLUMNS = ("window", "ordinal", "id", "kind", "method", "status_class", "differs", "masks", "answers", "kept", "digest")
TEXTS = ("id", "kind", "method", "status_class", "masks")


NESTED = "[" * 900 + "]" * 900


@pytest.mark.parametrize(
    ("place", "odd", "check"),
    [
        (("route",), '"\\ud800"', "form"),
        (("rules",), NESTED, "form"),
        (("evidence", "pairs"), "Infinity", "numbers"),
        (("strata", 0, "requests"), "1" + "0" * 400, "numbers"),
        (("evidence", "declared"), '"1"', "numbers"),
        (("window", "number"), str(2**64), "chain"),
    ],
)
def test_what_no_certificate_says_fails_it_and_is_told(
    issued: Issued, place: tuple[str | int, ...], odd: str, check: str
) -> None:
    document, _ = parse(issued.data)
    told: Any = document
    for step in place[:-1]:
        told = told[step]
    told[place[-1]] = "ODD"
    data = sign(document, SIGNER).replace(b'"ODD"', odd.encode())
    if check != "form":  # signed by whoever says so, or it would be the signature that fails it
        data = sign(json.loads(data)["certificate"], SIGNER)
    found = issued.verify(data)
    assert check in failed(found)
    assert all(each.said for each in found.checks)


@pytest.fixture
def copied(issued: Issued, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """The pairs again, to be altered."""
    for file in issued.file.parent.glob("pairs.db*"):
        shutil.copy(file, tmp_path / file.name)
    connection = sqlite3.connect(tmp_path / "pairs.db", isolation_level=None)
    connection.text_factory = bytes  # a flipped bit need not leave UTF-8
    yield connection
    connection.close()


def flipped(value: Any, position: int) -> Any:
    if isinstance(value, int):
        return value ^ (1 << (position % 6))
    if not value:
        return b"x"
    place = position % len(value)
    return value[:place] + bytes([value[place] ^ (1 << (position % 7))]) + value[place + 1 :]


@pytest.mark.parametrize("column", COLUMNS)
def test_a_flipped_bit_in_any_column_of_any_link_fails_it(
    issued: Issued, copied: sqlite3.Connection, tmp_path: Path, column: str
) -> None:
    cast = "TEXT" if column in TEXTS else "BLOB"
    rows = copied.execute(f"SELECT window, ordinal, {column} FROM chain ORDER BY ordinal").fetchall()
    for number, (window, ordinal, value) in enumerate(rows):
        altered = flipped(value, number)
        written = "?" if isinstance(value, int) else f"CAST(? AS {cast})"
        copied.execute(
            f"UPDATE OR REPLACE chain SET {column} = {written} WHERE window = ? AND ordinal = ?",
            (altered, window, ordinal),
        )
        found = issued.verify(file=tmp_path / "pairs.db")
        assert failed(found) == ["chain"], (column, number)
        restore(copied, issued.file)
    assert issued.verify(file=tmp_path / "pairs.db").holds


def restore(copied: sqlite3.Connection, original: Path) -> None:
    """The chain as it was."""
    copied.execute("ATTACH ? AS original", (str(original),))
    copied.execute("DELETE FROM main.chain")
    copied.execute("INSERT INTO main.chain SELECT * FROM original.chain")
    copied.execute("DETACH original")


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM chain WHERE ordinal = 17", "link 17: is missing, or link 18 stands in its place"),
        (f"DELETE FROM chain WHERE ordinal = {PAIRS}", f"{PAIRS - 1} of {PAIRS} links are there"),
        ("DELETE FROM chain", f"links 1 to {PAIRS}: they are kept no more"),
        ("UPDATE pairs SET record = zeroblob(20) WHERE differs", "the kept pair pair-7 is not the one of link 8"),
        ("UPDATE chain SET differs = 0 WHERE ordinal = 8", "link 8: its digest is not that of what it says"),
        ("DELETE FROM pairs WHERE differs", "the kept pair pair-7 of link 8 is gone, and its time was not over"),
        ("DELETE FROM pairs WHERE id = 'pair-59'", "the kept pair pair-59 of link 60 is gone, and its time was not"),
    ],
)
def test_what_was_done_to_the_pairs_is_said(
    issued: Issued, copied: sqlite3.Connection, tmp_path: Path, statement: str, said: str
) -> None:
    copied.execute(statement)
    found = issued.verify(file=tmp_path / "pairs.db")
    assert failed(found) == ["chain"]
    assert said in found.checks[-1].said


def test_whoever_signs_other_numbers_anew_is_contradicted_by_the_chain(issued: Issued) -> None:
    document, _ = parse(issued.data)
    for one in document["strata"]:
        if one["differing"]:
            one["differing"] = 0
    document["evidence"]["differing"] = document["evidence"]["differing_first"] = 0
    unsound = laid_out(document, SIGNER.sign(canonical(document)))
    assert failed(issued.verify(unsound)) == ["numbers"]

    consistent: Document = {**document, **claims_again(document)}
    data = laid_out(consistent, SIGNER.sign(canonical(consistent)))
    assert consistent["verdict"] == "GO"
    assert verify(data).holds
    assert failed(issued.verify(data)) == ["chain"]


def test_who_signed_it_matters_only_to_whoever_knows_whom_to_trust(issued: Issued) -> None:
    document, _ = parse(issued.data)
    other = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
    foreign = sign({key: value for key, value in document.items() if key != "key"}, other)
    assert verify(foreign).holds
    assert failed(verify(foreign, public_bytes(SIGNER))) == ["key"]
    assert verify(issued.data, public_bytes(SIGNER)).holds


def test_what_was_counted_after_it_was_issued_takes_nothing_from_it(issued: Issued, tmp_path: Path) -> None:
    for file in issued.file.parent.glob("pairs.db*"):
        shutil.copy(file, tmp_path / file.name)
    store = PairStore(tmp_path / "pairs.db", b"k" * 32)
    store.add_many([judge(made(number), MASKED) for number in range(PAIRS, PAIRS + 20)])
    store.start_window("items", "e-b-c-d", "load", 5.0)
    store.add_many([judge(made(number), MASKED) for number in range(PAIRS + 20, PAIRS + 30)])
    store.close()
    assert issued.verify(file=tmp_path / "pairs.db").holds


@given(st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_kept_pair_that_was_altered_moved_or_renamed_fails_it(
    issued: Issued, copied: sqlite3.Connection, tmp_path: Path, data: st.DataObject
) -> None:
    number, record = data.draw(st.sampled_from(copied.execute("SELECT number, record FROM pairs").fetchall()))
    if data.draw(st.booleans()):
        at, bit = data.draw(st.integers(0, len(record) - 1)), data.draw(st.integers(0, 7))
        flipped_record = record[:at] + bytes([record[at] ^ (1 << bit)]) + record[at + 1 :]
        copied.execute("UPDATE pairs SET record = ? WHERE number = ?", (flipped_record, number))
    elif data.draw(st.booleans()):
        altered = data.draw(st.sampled_from(("id = 'another'", "differs = 1 - differs", "ordinal = ordinal + 1")))
        copied.execute(f"UPDATE pairs SET {altered} WHERE number = ?", (number,))
    else:
        other = copied.execute("SELECT record FROM pairs WHERE number <> ? LIMIT 1", (number,)).fetchone()[0]
        copied.execute("UPDATE pairs SET record = ? WHERE number = ?", (other, number))
    found = failed(issued.verify(file=tmp_path / "pairs.db"))
    copied.execute("ATTACH ? AS original", (str(issued.file),))
    copied.execute("REPLACE INTO main.pairs SELECT * FROM original.pairs")
    copied.execute("DETACH original")
    assert found == ["chain"]
    assert issued.verify(file=tmp_path / "pairs.db").holds


@pytest.fixture
def going_on(issued: Issued, tmp_path: Path) -> Iterator[PairStore]:
    """The pairs again, and more of them are counted."""
    for file in issued.file.parent.glob("pairs.db*"):
        shutil.copy(file, tmp_path / file.name)
    store = PairStore(tmp_path / "pairs.db", b"k" * 32)
    yield store
    store.close()


def kept_ids(file: Path) -> set[str]:
    with PairReader(file) as reader:
        return set(reader.kept_hashes("items", 1, 1000))


def test_kept_pairs_whose_time_was_over_are_not_missed(issued: Issued, going_on: PairStore, tmp_path: Path) -> None:
    file = tmp_path / "pairs.db"
    for number in range(PAIRS, PAIRS + EQUAL_SAMPLES):
        going_on.add_many([judge(pair(answer({}), answer({}), number), MASKED)])
    assert kept_ids(file).isdisjoint(kept_ids(issued.file) - {"pair-7"})  # later ones that agree took their place
    assert issued.verify(file=file).holds

    going_on.prune("items", NOON + 1000)

    assert kept_ids(file) == set()
    assert issued.verify(file=file).holds


def test_what_went_after_a_pin_explains_nothing_that_is_missing_under_it(
    issued: Issued, going_on: PairStore, tmp_path: Path
) -> None:
    file = tmp_path / "pairs.db"
    with PairReader(file) as reader:
        head = reader.chain(reader.windows("items")[0]).head
    assert head is not None
    assert going_on.pin("items", 1, "cert", PAIRS, head, NOON)
    going_on.add_many([judge(pair(answer({}), answer({"n": 1}), PAIRS), MASKED)])
    going_on.prune("items", NOON + 1000)
    assert kept_ids(file) == kept_ids(issued.file)
    assert issued.verify(file=file).holds

    with closing(sqlite3.connect(file, isolation_level=None)) as altered:
        altered.execute("DELETE FROM pairs WHERE id = 'pair-7'")

    found = issued.verify(file=file)
    assert failed(found) == ["chain"]
    assert found.checks[-1].said == "the kept pair pair-7 of link 8 is gone, and its time was not over"
