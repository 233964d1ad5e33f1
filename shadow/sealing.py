"""What keeps secrets unreadable on disk: the state folder's key, sealing (AES-GCM), and keyed hashes.

Sealing is for what must be read again (a write that is still to be delivered); a keyed hash is for what only has to
be recognised (an order key). Both derive from the one key in the state folder, by HKDF, so that neither gives the
other away.
"""

from __future__ import annotations

import binascii
import hashlib
import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_SIZE = 32
KEY_FILE = "key"
KEY_VARIABLE = "FIG_KEY"
"""Where it is set in the environment, the state folder holds no key: whoever copies the folder reads nothing."""
_NONCE = 12
_HASH = 16


class SealError(Exception):
    """A key that is none, or sealed bytes that this key does not open (another key, another place, or altered)."""


def state_key(state: Path, given: str = "", *, make: bool = False) -> bytes:
    """The key of a state folder: `given` (what KEY_VARIABLE holds), else its file, made where there is none if `make`.

    A new key opens nothing that another one has sealed, so only whoever begins a state folder makes one. Raises
    SealError, OSError.
    """
    if given:
        try:
            key = binascii.unhexlify(given.strip())
        except ValueError:
            key = b""
        if len(key) != KEY_SIZE:
            raise SealError(
                f"{KEY_VARIABLE}: is no key; write {2 * KEY_SIZE} hex digits, as `openssl rand -hex 32` does"
            )
        return key
    path = state / KEY_FILE
    if not make and not path.exists():
        raise SealError(
            f"{path}: the key of this state folder is missing, so what it sealed cannot be read; restore it from a "
            f"copy, or set {KEY_VARIABLE} if that is where it is kept"
        )
    return load_key(path)


def load_key(path: Path) -> bytes:
    """The 32 random bytes in `path`; made, readable by this user only, by whichever process comes first.

    The file appears under its name only when it is complete, so that a killed process leaves no half a key.
    Raises SealError when the file holds anything but 32 bytes, OSError when it cannot be made or read.
    """
    if not path.exists():
        write_secret(path, os.urandom(KEY_SIZE))
    key = path.read_bytes()
    if len(key) != KEY_SIZE:
        raise SealError(
            f"{path}: holds {len(key)} bytes, not the {KEY_SIZE} of a key; restore it from a copy (what the journal "
            "sealed with the lost key cannot be read without it)"
        )
    return key


def write_secret(path: Path, secret: bytes) -> None:
    """A file for this user only, under its name only when it is complete; of several that write it, the first wins."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(fd, secret)
        os.fsync(fd)
    finally:
        os.close(fd)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was first; its key counts
    finally:
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class Sealer:
    """Seals and opens bytes, and hashes text, under one key."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_SIZE:
            raise SealError(f"a key is {KEY_SIZE} bytes, not {len(key)}")
        # 96-bit random nonces: NIST SP 800-38D section 8.3 allows 2^32 seals under one key.
        self._cipher = AESGCM(_derive(key, b"fig journal sealing 1"))
        self._hash_key = _derive(key, b"fig journal hashing 1")

    def seal(self, plain: bytes, place: str) -> bytes:
        """Unreadable, unalterable, and of use at `place` only (``17:original``): moved elsewhere it does not open."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, plain, place.encode())

    def open(self, sealed: bytes, place: str) -> bytes:
        """What was sealed for `place`. Raises SealError."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], place.encode())
        except (InvalidTag, ValueError) as exc:
            raise SealError(f"{place}: sealed with another key, or altered") from exc

    def hash(self, *parts: bytes) -> bytes:
        """16 bytes; equal parts give equal hashes under one key, and without the key they say nothing."""
        digest = hashlib.blake2b(key=self._hash_key, digest_size=_HASH)
        for part in parts:  # with lengths, so that ("ab", "c") is not ("a", "bc")
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.digest()


def _derive(key: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), KEY_SIZE, salt=None, info=purpose).derive(key)
