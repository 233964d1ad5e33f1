"""Certificates with their private keys, as files in a folder: which belong together, and whether they can be used.

    FOLDER/shop.crt  or shop.pem      with  FOLDER/shop.key
    FOLDER/shop/tls.crt               with  FOLDER/shop/tls.key        (a Kubernetes secret)
    FOLDER/shop/fullchain.pem         with  FOLDER/shop/privkey.pem    (certbot), or both in FOLDER itself

Private keys live in memory only: what is read here is never logged or written anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

LARGEST = 1024 * 1024
"""Bytes of a file that is read."""
_IN_SUBFOLDERS = (("tls.crt", "tls.key"), ("fullchain.pem", "privkey.pem"))
_NO_PAIR = frozenset(("ca.crt", "ca.pem"))
"""An authority's certificate, as Kubernetes puts it beside the pair."""
_OF_CERTBOT = frozenset(("cert.pem", "chain.pem", "fullchain.pem", "privkey.pem"))


class PairError(Exception):
    """A pair, or the folder, cannot be used: which file, what is wrong, what to do."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a pair lies."""

    name: str
    """Of the files without their ending, or of the sub-folder."""
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, checked to belong together."""

    name: str
    chain: bytes
    """PEM: the certificate, and behind it those of the authorities in between."""
    key: bytes = field(repr=False)
    """PEM."""
    hosts: tuple[str, ...]
    """DNS names that it is for; `*.` in front of a wildcard."""
    not_before: float
    not_after: float
    """Seconds since the epoch."""

    def remarks(self, now: float) -> Iterator[str]:
        """What is served all the same and probably not meant. `now` is seconds since the epoch."""
        if now >= self.not_after:
            yield "has expired: clients will refuse it; replace it"
        elif now < self.not_before:
            yield "is not valid yet: clients will refuse it; see that this machine's clock is right"
        if not self.hosts:
            yield "names no hosts (subject alternative names): it is shown only where no other one fits"


def find(folder: Path) -> tuple[Place, ...]:
    """The pairs of a folder, in the order of their names. Raises PairError when the folder cannot be read."""
    try:
        entries = sorted(each for each in folder.iterdir() if not each.name.startswith("."))
    except OSError as exc:
        raise PairError(f"{folder}: {exc.strerror}; put certificates there, readable for fig") from exc
    places: dict[str, Place] = {}
    names = {entry.name for entry in entries}
    if {"fullchain.pem", "privkey.pem"} <= names:
        places[folder.name] = Place(folder.name, folder / "fullchain.pem", folder / "privkey.pem")
        entries = [entry for entry in entries if entry.name not in _OF_CERTBOT]
    for entry in entries:
        if entry.suffix in (".crt", ".pem") and entry.name not in _NO_PAIR:
            places.setdefault(entry.stem, Place(entry.stem, entry, entry.with_suffix(".key")))
        elif entry.is_dir():
            for certificate, key in _IN_SUBFOLDERS:
                if (entry / certificate).exists():
                    places.setdefault(entry.name, Place(entry.name, entry / certificate, entry / key))
    return tuple(sorted(places.values()))


def fingerprint(places: tuple[Place, ...]) -> tuple[object, ...]:
    """Differs when a file has been written or replaced."""
    return tuple((place, _stat(place.certificate), _stat(place.key)) for place in places)


def _stat(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def read(place: Place) -> Pair:
    """Raises PairError."""
    chain, key = _bytes(place.certificate, "the certificate"), _bytes(place.key, "its private key")
    try:
        certificates = x509.load_pem_x509_certificates(chain)
        public = certificates[0].public_key()
        hosts = _hosts(certificates[0])
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise PairError(f"{place.certificate}: holds no certificate that can be read; it has to be PEM") from exc
    try:
        private = load_pem_private_key(key, None)
        ours = _spki(private.public_key())
    except TypeError as exc:  # so cryptography says that a password is needed
        raise PairError(
            f"{place.key}: the private key is encrypted, and nobody can be asked for its password; "
            "decrypt it with `openssl pkey`, and let only fig read the file"
        ) from exc
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise PairError(f"{place.key}: holds no private key that can be read; it has to be PEM") from exc
    if ours != _spki(public):
        if any(ours == _spki(other.public_key()) for other in certificates[1:]):
            raise PairError(f"{place.certificate}: the server's own certificate has to come first; put it there")
        raise PairError(f"{place.key}: does not belong to {place.certificate.name}; replace one of the two")
    leaf = certificates[0]
    return Pair(
        place.name,
        chain,
        key,
        hosts,
        leaf.not_valid_before_utc.timestamp(),
        leaf.not_valid_after_utc.timestamp(),
    )


def _bytes(path: Path, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError as exc:
        raise PairError(f"{path}: is not there; put {what} there") from exc
    except OSError as exc:
        raise PairError(f"{path}: {exc.strerror}; let fig read {what}") from exc
    if len(data) > LARGEST:
        raise PairError(f"{path}: is larger than {LARGEST} bytes; {what} has to be PEM")
    return data


def _hosts(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(names.get_values_for_type(x509.DNSName))


def _spki(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
