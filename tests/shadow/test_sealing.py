"""shadow.sealing: the key file, sealed bytes, keyed hashes."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shadow.sealing import Sealer, SealError, load_key

SEALER = Sealer(bytes(range(32)))


def test_whoever_comes_first_makes_the_key_and_everyone_reads_the_same(tmp_path: Path) -> None:
    first = load_key(tmp_path / "key")

    assert len(first) == 32
    assert load_key(tmp_path / "key") == first
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_a_key_file_of_the_wrong_size_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"short")

    with pytest.raises(SealError, match="holds 5 bytes, not the 32"):
        load_key(tmp_path / "key")
    assert (tmp_path / "key").read_bytes() == b"short"


def test_many_who_come_at_once_agree_on_one_key(tmp_path: Path) -> None:
    code = "import sys, pathlib; from shadow.sealing import load_key; print(load_key(pathlib.Path(sys.argv[1])).hex())"
    command = [sys.executable, "-c", code, str(tmp_path / "key")]
    with ThreadPoolExecutor(4) as pool:
        keys = set(pool.map(lambda _: subprocess.check_output(command, timeout=30), range(4)))

    assert len(keys) == 1


def test_what_is_sealed_opens_at_its_place_only() -> None:
    sealed = SEALER.seal(b"card 4111", "17:original")

    assert SEALER.open(sealed, "17:original") == b"card 4111"
    assert b"card" not in sealed
    with pytest.raises(SealError, match="18:original"):
        SEALER.open(sealed, "18:original")


@pytest.mark.parametrize("place", [0, 15, -1])
def test_a_flipped_byte_does_not_open(place: int) -> None:
    sealed = bytearray(SEALER.seal(b"card 4111", "17:original"))
    sealed[place] ^= 1

    with pytest.raises(SealError):
        SEALER.open(bytes(sealed), "17:original")


def test_hashes_are_equal_for_equal_parts_under_one_key_only() -> None:
    assert SEALER.hash(b"ab", b"c") == SEALER.hash(b"ab", b"c")
    assert SEALER.hash(b"ab", b"c") != SEALER.hash(b"a", b"bc")
    assert SEALER.hash(b"ab", b"c") != Sealer(bytes(32)).hash(b"ab", b"c")
