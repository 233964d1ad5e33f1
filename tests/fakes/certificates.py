"""Certificates for tests: an authority of one's own, and what it issues, as PEM in files."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

YEAR = 365.0


@dataclass(frozen=True)
class Issued:
    """A certificate and its key, PEM."""

    certificate: bytes
    key: bytes
    serial: int

    def write(self, folder: Path, name: str, certificate: str = ".crt", key: str = ".key") -> None:
        """As `name`.crt and `name`.key; `name` may end in a slash for a sub-folder with `certificate` and `key`."""
        (folder / f"{name}{certificate}").parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}{certificate}").write_bytes(self.certificate)
        (folder / f"{name}{key}").write_bytes(self.key)


class Authority:
    """Issues certificates that whoever trusts `pem` takes."""

    def __init__(self, name: str = "fig's test authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(self._name)
            .issuer_name(self._name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=2 * YEAR))
            .not_valid_after(now + timedelta(days=2 * YEAR))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.pem = certificate.public_bytes(Encoding.PEM)

    def issue(self, *hosts: str, begins: float = -1.0, days: float = YEAR, password: bytes = b"") -> Issued:
        """For these DNS names or addresses, valid from `begins` days after now for `days` days."""
        key = ec.generate_private_key(ec.SECP256R1())
        start = datetime.now(UTC) + timedelta(days=begins)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fig test")]))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(serial := x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + timedelta(days=days))
        )
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName(_names(hosts)), critical=False)
        locked: KeySerializationEncryption = BestAvailableEncryption(password) if password else NoEncryption()
        return Issued(
            builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM),
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked),
            serial,
        )

    def client(self, *, verify: bool = True) -> ssl.SSLContext:
        """The context of a client that trusts this authority, or anybody."""
        context = ssl.create_default_context(cadata=self.pem.decode())
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def server(issued: Issued, folder: Path, clients: Authority | None = None) -> ssl.SSLContext:
    """The context of a server with this certificate; with `clients`, it wants one of theirs from whoever connects."""
    issued.write(folder, f"server-{issued.serial}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"server-{issued.serial}.crt", folder / f"server-{issued.serial}.key")
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=clients.pem.decode())
    return context


def serial_of(der: bytes | None) -> int:
    """The serial number of the certificate that a peer showed."""
    assert der is not None, "no certificate was shown"
    return x509.load_der_x509_certificate(der).serial_number


def _names(hosts: Sequence[str]) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = []
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    return names
