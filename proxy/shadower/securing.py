"""How the shadower's copies reach services that speak TLS: as the data plane reaches them, by the same contexts."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import aiohttp

from proxy.dataplane.services.tls import Contexts, TlsError
from rules.service import Service


class Securing:
    """shadow.delivery.deliver.Securing. `now` is monotonic seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._contexts = Contexts(now)

    async def context(self, service: Service) -> ssl.SSLContext:
        """Raises OSError."""
        try:
            return await self._contexts.of(service)
        except TlsError as exc:
            raise OSError(str(exc)) from exc

    def failed(self, service: Service, exc: BaseException) -> None:
        """Logged as the data plane logs it. aiohttp wraps what OpenSSL said."""
        if isinstance(exc, aiohttp.ClientConnectorCertificateError):
            exc = exc.certificate_error
        elif isinstance(exc, aiohttp.ClientConnectorError):
            exc = exc.os_error
        self._contexts.tell(service.where, exc.__cause__ or exc)
