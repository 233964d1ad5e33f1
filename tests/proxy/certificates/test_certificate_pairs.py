"""What a folder of certificates holds, and what is said of what cannot be used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from proxy.certificates.pairs import PairError, find, fingerprint, read
from tests.fakes.certificates import Authority, Issued

AUTHORITY = Authority()
SHOP = AUTHORITY.issue("shop.example", "*.shop.example")
OTHER = AUTHORITY.issue("other.example")


def only(folder: Path) -> tuple[str, ...]:
    (place,) = find(folder)
    return read(place).hosts


@pytest.mark.parametrize(
    ("name", "certificate", "key"),
    [
        ("shop", ".crt", ".key"),
        ("shop", ".pem", ".key"),
        ("shop/", "tls.crt", "tls.key"),
        ("shop/", "fullchain.pem", "privkey.pem"),
        ("", "tls.crt", "tls.key"),
        ("", "fullchain.pem", "privkey.pem"),
    ],
)
def test_pairs_lie_as_the_usual_tools_leave_them(tmp_path: Path, name: str, certificate: str, key: str) -> None:
    SHOP.write(tmp_path, name, certificate, key)

    assert only(tmp_path) == ("shop.example", "*.shop.example")


def test_what_tools_leave_beside_a_pair_is_no_pair(tmp_path: Path) -> None:
    SHOP.write(tmp_path, "", "fullchain.pem", "privkey.pem")
    OTHER.write(tmp_path, "..data/", "tls.crt", "tls.key")
    for name in ("ca.crt", "cert.pem", "chain.pem", "README", "shop.csr"):
        (tmp_path / name).write_bytes(OTHER.certificate)

    assert only(tmp_path) == ("shop.example", "*.shop.example")


def test_a_chain_stands_behind_the_certificate(tmp_path: Path) -> None:
    Issued(SHOP.certificate + AUTHORITY.pem, SHOP.key, 0).write(tmp_path, "shop")

    assert only(tmp_path) == ("shop.example", "*.shop.example")


@pytest.mark.parametrize(
    ("certificate", "key", "problem"),
    [
        (SHOP.certificate, OTHER.key, r"shop\.key: does not belong to shop\.crt; replace one of the two"),
        (SHOP.certificate, None, r"shop\.key: is not there; put its private key there"),
        (SHOP.certificate, b"", r"shop\.key: holds no private key"),
        (SHOP.certificate, SHOP.key[: len(SHOP.key) // 2], r"shop\.key: holds no private key"),
        (SHOP.certificate, SHOP.certificate, r"shop\.key: holds no private key"),
        (b"", SHOP.key, r"shop\.crt: holds no certificate"),
        (SHOP.certificate[:200], SHOP.key, r"shop\.crt: holds no certificate"),
        (SHOP.key, SHOP.key, r"shop\.crt: holds no certificate"),
        (b"\0" * 2_000_000, SHOP.key, r"shop\.crt: is larger than 1048576 bytes"),
        (OTHER.certificate + SHOP.certificate, SHOP.key, r"own certificate has to come first"),
        (
            (locked := AUTHORITY.issue("shop.example", password=b"secret")).certificate,
            locked.key,
            r"shop\.key: the private key is encrypted, .*decrypt it with `openssl pkey`",
        ),
    ],
)
def test_what_cannot_be_used_is_said_with_file_and_advice(
    tmp_path: Path, certificate: bytes, key: bytes | None, problem: str
) -> None:
    (tmp_path / "shop.crt").write_bytes(certificate)
    if key is not None:
        (tmp_path / "shop.key").write_bytes(key)
    (place,) = find(tmp_path)

    with pytest.raises(PairError, match=problem) as caught:
        read(place)
    assert "PRIVATE" not in str(caught.value)


def test_a_key_is_never_printed_with_its_pair(tmp_path: Path) -> None:
    SHOP.write(tmp_path, "shop")

    assert "PRIVATE" not in repr(read(find(tmp_path)[0]))


def test_every_change_of_a_file_is_seen(tmp_path: Path) -> None:
    SHOP.write(tmp_path, "shop")
    before = fingerprint(find(tmp_path))

    replaced = tmp_path / "coming"
    replaced.write_bytes(SHOP.key)
    replaced.rename(tmp_path / "shop.key")

    assert fingerprint(find(tmp_path)) != before


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PairError, match="nowhere: No such file or directory; put certificates there"):
        find(tmp_path / "nowhere")


def check(folder: Path) -> tuple[int, str]:
    """What the supervisor asks before it starts anybody."""
    argv = [sys.executable, "-P", "-m", "proxy.certificates", str(folder)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30)
    return done.returncode, done.stderr


def test_a_folder_without_anything_usable_is_refused_at_start(tmp_path: Path) -> None:
    Issued(SHOP.certificate, OTHER.key, 0).write(tmp_path, "shop")

    code, said = check(tmp_path)

    assert code == 2
    assert "shop.key: does not belong to shop.crt" in said
    assert "holds no certificate that can be used; put a pair there, such as shop.crt with shop.key" in said


def test_one_usable_pair_is_enough_to_start_and_an_expired_one_is_usable(tmp_path: Path) -> None:
    AUTHORITY.issue("shop.example", begins=-10, days=5).write(tmp_path, "shop")
    (tmp_path / "other.crt").write_bytes(OTHER.certificate)

    code, said = check(tmp_path)

    assert code == 0
    assert "certificate 'shop' has expired" in said
    assert "other.key: is not there" in said
