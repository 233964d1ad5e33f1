"""Who vouches for a certificate: an Ed25519 key pair (RFC 8032) of the state folder, made when it is first needed.

The private key never leaves the folder. Whoever is to trust a certificate gets the public key once, by another way
(`fig shadow key`), for a certificate that names its own key proves only that nobody altered it since.
"""

from __future__ import annotations

import binascii
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from shadow.sealing import write_secret

KEY_FILE = "certificate.key"
"""In the state folder: the 32 bytes of the private key, for its owner only."""
_SIZE = 32


class SigningError(Exception):
    """A key that is none; the message names the file and says what to do."""


def load_signer(folder: Path, *, make: bool = True) -> Ed25519PrivateKey:
    """The state folder's private key; made where there is none yet, if `make`. Raises SigningError, OSError."""
    path = folder / KEY_FILE
    if make and not path.exists():
        write_secret(path, Ed25519PrivateKey.generate().private_bytes_raw())
    try:
        raw = path.read_bytes()
    except FileNotFoundError as exc:
        raise SigningError(f"{path}: there is no key yet; `fig shadow key` or `fig shadow certify` makes one") from exc
    if len(raw) != _SIZE:
        raise SigningError(f"{path}: holds {len(raw)} bytes, not the {_SIZE} of a key; restore it from a copy")
    return Ed25519PrivateKey.from_private_bytes(raw)


def public_bytes(signer: Ed25519PrivateKey) -> bytes:
    """The 32 bytes of its public key."""
    return signer.public_key().public_bytes_raw()


def public_pem(public: bytes) -> str:
    """The public key as SubjectPublicKeyInfo in PEM (RFC 8410), which openssl reads too."""
    key = Ed25519PublicKey.from_public_bytes(public)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def fingerprint(public: bytes) -> str:
    """What people read to each other: SHA-256 of the key's bytes, the first 16 of its hex digits in groups of four."""
    digits = sha256(public).hexdigest()[:16]
    return " ".join(digits[index : index + 4] for index in range(0, len(digits), 4))


def parse_public(text: str) -> bytes:
    """The 32 bytes of a public key written in PEM, or as 64 hex digits. Raises SigningError."""
    text = text.strip()
    try:
        if not text.startswith("-----"):
            raw = binascii.unhexlify(text)
            if len(raw) != _SIZE:
                raise SigningError(f"a public key has {_SIZE} bytes, not {len(raw)}")
            return raw
        key = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise SigningError("no public key: neither PEM nor 64 hex digits, as `fig shadow key` prints it") from exc
    if not isinstance(key, Ed25519PublicKey):
        raise SigningError("a public key, but not of Ed25519; take the one that `fig shadow key` prints")
    return key.public_bytes_raw()


def signed_by(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether that key has signed the message."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
