"""TLS to services: the contexts that connections to them begin with, and what to say when a handshake fails.

A context is kept for every `tls:` block, and made anew when a file of it has changed, so that the connections after a
rotation prove themselves with the new certificate. Files that cannot be used leave the former context in force.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from rules.endpoint import Endpoint
from rules.service import Service, Tls

log = structlog.get_logger(__name__)


class TlsError(Exception):
    """No handshake can be begun: a file of the service's `tls:` block cannot be used. Says which, and what to do."""


FAILURES = (ssl.SSLError, ssl.CertificateError, TlsError)
"""What a connection by TLS may fail with, beside what every connection may."""
MESSAGE = "no connection by TLS to the service came about"
"""What the client is told; the reason is the operator's, and in the log."""
TELL_EVERY = 60.0
"""Seconds between two log lines about the same trouble with the same service."""
_MOST = 1024
"""Contexts and troubles that are remembered."""
_MACHINE = Tls()

# OpenSSL's x509_vfy.h: what verification found, and what to do about it.
_DATES, _NAMES = frozenset((9, 10)), frozenset((62, 64))
_UNTRUSTED = frozenset((2, 18, 19, 20, 21))
_REVERSED = "write http:// in its URL, or the port on which it speaks TLS"
_REASONS = {
    "WRONG_VERSION_NUMBER": f"it does not speak TLS there; {_REVERSED}",
    "HTTP_REQUEST": f"it does not speak TLS there; {_REVERSED}",
    "UNSUPPORTED_PROTOCOL": "it speaks no TLS of version 1.2 or 1.3; bring it up to date",
    "TLSV1_ALERT_PROTOCOL_VERSION": "it speaks no TLS of version 1.2 or 1.3; bring it up to date",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it asks for a certificate of fig's; give 'certificate' and 'key' under 'tls'",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it does not take fig's certificate; see 'certificate' and 'key' under 'tls'",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "fig's certificate has expired; replace the files of 'certificate' and 'key'",
    "TLSV1_ALERT_UNKNOWN_CA": "it does not know the authority of fig's certificate; see 'certificate' under 'tls'",
    "TLSV1_UNRECOGNIZED_NAME": "it does not know the name that is asked for; give 'server_name' under 'tls'",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "it wants what fig does not offer: a certificate of fig's, or other ciphers",
}


def server_name(service: Service, endpoint: Endpoint) -> str:
    """The name that is asked for, and that the certificate must have. RFC 6066 section 3: without a final dot."""
    named = service.tls.server_name if service.tls is not None else None
    return named or endpoint.host.rstrip(".")


def explain(exc: BaseException) -> str:
    """What is wrong with the service, and what to do about it."""
    if isinstance(exc, TlsError):
        return str(exc)
    if isinstance(exc, ssl.SSLCertVerificationError):
        found = exc.verify_message or "it cannot be verified"
        if exc.verify_code in _DATES:
            return f"its certificate is not valid now ({found}); renew it there, and see that both clocks are right"
        if exc.verify_code in _NAMES:
            return f"its certificate is for another name ({found}); give 'server_name' under 'tls', or the right URL"
        if exc.verify_code in _UNTRUSTED:
            return f"its certificate is not trusted ({found}); give the file of its authorities as 'ca' under 'tls'"
        return f"its certificate is not accepted ({found})"
    reason = getattr(exc, "reason", None) or type(exc).__name__
    return _REASONS.get(reason, f"no TLS connection came about ({reason})")


_Files = tuple[tuple[str, int, int, int], ...]
"""Path, inode, size and time of change of each file; zeros for one that is not there."""


@dataclass(slots=True)
class _Kept:
    """What is known of one `tls:` block."""

    files: _Files | None = None
    """As they were when they were last read."""
    context: ssl.SSLContext | None = None
    """Of the last files that could be used."""
    problem: str = ""
    """Why those that were read last cannot be."""
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)


class Contexts:
    """The client's side of TLS, for every service. `now` is monotonic seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._kept: dict[Tls, _Kept] = {}
        self._told: dict[tuple[str, str], float] = {}

    async def of(self, service: Service) -> ssl.SSLContext:
        """The context of a connection that begins now. Reads files, in a thread, when they changed.

        Raises TlsError when there is none. A service that is not spoken to by TLS must not be asked for.
        """
        tls = service.tls or _MACHINE
        kept = self._kept.get(tls)
        if kept is None:
            if len(self._kept) >= _MOST:
                self._kept.clear()
            kept = self._kept[tls] = _Kept()
        if kept.files != _look(tls) and not (kept.context is not None and kept.reading.locked()):
            async with kept.reading:
                await self._read(tls, kept)
        if kept.context is None:
            raise TlsError(kept.problem)
        return kept.context

    async def _read(self, tls: Tls, kept: _Kept) -> None:
        files = _look(tls)
        if kept.files == files:
            return  # somebody else has read them meanwhile
        try:
            kept.context = await asyncio.to_thread(make_context, tls)
            kept.problem = ""
        except TlsError as exc:
            kept.problem = str(exc)
            if kept.context is not None:
                log.error("changed files of a service's TLS cannot be used; the former stay in use", problem=str(exc))
        kept.files = files

    def tell(self, service: str, exc: BaseException) -> None:
        """Say in the log what is wrong and what to do; the same of the same service once in a while."""
        message, now = explain(exc), self._now()
        if now - self._told.get((service, message), -TELL_EVERY) >= TELL_EVERY:
            if len(self._told) >= _MOST:
                self._told.clear()
            self._told[service, message] = now
            log.error("no TLS connection to a service", service=service, problem=message)


def make_context(tls: Tls) -> ssl.SSLContext:
    """TLS 1.2 or 1.3 with OpenSSL's ciphers of today. Raises TlsError; takes 20 ms where the machine's authorities are
    read."""
    if tls.ca is not None:
        try:
            context = ssl.create_default_context(cafile=tls.ca)
        except OSError as exc:  # of which ssl.SSLError is one
            raise TlsError(f"'ca' {tls.ca}: {_reading(exc, 'a PEM file of certificates')}") from exc
    elif tls.verify:
        context = ssl.create_default_context()
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])  # RFC 7301: nothing else is spoken
    if tls.certificate is not None and tls.key is not None:
        try:
            context.load_cert_chain(tls.certificate, tls.key, _refuse_password)
        except OSError as exc:
            absent = [path for path in (tls.certificate, tls.key) if not Path(path).exists()]
            where = " and ".join(absent or (tls.certificate, tls.key))
            what = _reading(exc, "a certificate in PEM and the private key that belongs to it")
            raise TlsError(f"'certificate' and 'key' {where}: {what}") from exc
    return context


def _refuse_password() -> str:
    raise TlsError("'key' is encrypted, and nobody can be asked for its password; decrypt it with openssl pkey")


def _reading(exc: OSError, wanted: str) -> str:
    if isinstance(exc, ssl.SSLError):
        return f"{exc.reason or 'not readable'}; this has to be {wanted}"
    return f"{exc.strerror}; put {wanted} there, readable for fig"


def _look(tls: Tls) -> _Files:
    """Four `stat` at most: a few microseconds, for each new connection."""
    ca = tls.ca or (ssl.get_default_verify_paths().cafile if tls.verify else None)
    return tuple(_stat(path) for path in (ca, tls.certificate, tls.key) if path is not None)


def _stat(path: str) -> tuple[str, int, int, int]:
    try:
        found = Path(path).stat()
    except OSError:
        return (path, 0, 0, 0)
    return (path, found.st_ino, found.st_size, found.st_mtime_ns)
