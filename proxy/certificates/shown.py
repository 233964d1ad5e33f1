"""The certificates that clients are shown now: one context that every handshake begins with, and picks from by name."""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence

from proxy.certificates.names import Named, Names
from proxy.certificates.pairs import Pair, PairError

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2: with forward secrecy and authenticated encryption only (RFC 9325 section 4.2). Those of 1.3 all are."""


class Shown:
    """Begins without certificates; handshakes then fail."""

    def __init__(self) -> None:
        self.pairs: tuple[Pair, ...] = ()
        """In the order of their names."""
        self._contexts: list[ssl.SSLContext] = []
        self._names = Names(())
        # It has no certificate of its own and lives as long as the process: sessions survive a change of certificates.
        self.context = _context()
        self.context.sni_callback = self._choose

    def show(self, pairs: Sequence[Pair], contexts: Sequence[ssl.SSLContext]) -> None:
        """Handshakes that begin from now on get these."""
        self._contexts = list(contexts)
        self._names = Names([Named(pair.hosts, pair.not_after) for pair in pairs])
        self.pairs = tuple(pairs)

    def context_of(self, pair: Pair) -> ssl.SSLContext:
        """The one that this pair has already, or another one. Raises PairError. To be called in any thread."""
        for known, context in zip(self.pairs, self._contexts, strict=True):
            if known == pair:
                return context
        return make_context(pair)

    def _choose(self, connection: ssl.SSLObject, asked: str | None, _: ssl.SSLContext) -> int | None:
        """Called in every handshake, with None where the client asks for no name."""
        if not self._contexts:
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
        connection.context = self._contexts[self._names.choose(asked)]
        return None


def make_context(pair: Pair) -> ssl.SSLContext:
    """Raises PairError where OpenSSL does not take what could be read, as a key of too few bits."""
    context = _context()
    # load_cert_chain reads a file. What was checked must be what is served, so it is not read again from the folder:
    # somebody may just be replacing it. A file in memory never reaches a disk.
    file = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(file), "wb") as whole:
            whole.write(pair.chain + b"\n" + pair.key)
        context.load_cert_chain(f"/proc/self/fd/{file}")
    except ssl.SSLError as exc:
        raise PairError(f"certificate '{pair.name}': OpenSSL does not take it ({exc.reason}); replace it") from exc
    finally:
        os.close(file)
    return context


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 9325 section 3.1.1
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])  # RFC 7301
    return context
