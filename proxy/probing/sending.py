"""Sends a probe's requests, one at a time, and says plainly what came of each.

Straight to the services, as clients' requests reach them, but redirects are not followed, cookies not kept, and nothing
is tried again: what a script wants of these it says itself.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from itertools import count
from types import SimpleNamespace

import aiohttp
from yarl import URL

from proxy.dataplane.services.tls import Contexts, TlsError, explain
from proxy.probing.asking import Question
from proxy.probing.judging import NoReply, Reply

LARGEST = 4 * 1024 * 1024
"""Bytes of an answer that are read."""
_HEAD = 128 * 1024
"""Bytes of an answer's line or field, as for copies."""
_NEVER_ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class Sender:
    """Must be made and closed in a running loop. `now` is monotonic seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._contexts = Contexts(now)
        self._turn = count()
        trace = aiohttp.TraceConfig()
        trace.on_connection_create_end.append(_connected)
        # A connection each: a kept one may close just when the next request goes out, and nothing is sent twice.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_NEVER_ADDED,
            max_line_size=_HEAD,
            max_field_size=_HEAD,
            trace_configs=[trace],
        )

    async def close(self) -> None:
        await self._session.close()

    async def send(self, question: Question) -> Reply | NoReply:
        """Raises nothing but CancelledError. No sentence holds more than names of services and kinds of errors."""
        service = question.service
        endpoint = service.endpoints[next(self._turn) % len(service.endpoints)]
        where = f"the service '{question.name}' at {endpoint.url}"
        seen = SimpleNamespace(connected=False)
        began = self._now()
        try:
            context = await self._contexts.of(service) if endpoint.secure else True
            async with self._session.request(
                question.method,
                URL(f"{endpoint.url}{question.target}", encoded=True),
                headers=[*question.headers, ("Host", question.host or endpoint.authority)],
                data=question.body or None,
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=service.connect_timeout, sock_read=question.timeout
                ),
                allow_redirects=False,
                trace_request_ctx=seen,
                ssl=context,
                server_hostname=service.tls.server_name if service.tls is not None else None,
            ) as response:
                body = await _read(response)
                if body is None:
                    return NoReply("too large", f"{where} answers more than {LARGEST // 1024**2} MB")
                return Reply(response.status, _headers(response), body, self._now() - began)
        except TlsError as exc:
            return NoReply("tls", f"{where} cannot be asked by TLS: {exc}")
        except aiohttp.ClientConnectorCertificateError as exc:
            return NoReply("tls", f"no TLS connection to {where}: {explain(exc.certificate_error)}")
        except (aiohttp.ClientConnectorSSLError, ssl.SSLError) as exc:
            cause = exc.os_error if isinstance(exc, aiohttp.ClientConnectorSSLError) else exc
            return NoReply("tls", f"no TLS connection to {where}: {explain(cause)}")
        except TimeoutError:
            if seen.connected:
                return NoReply("timeout", f"no answer of {where} within {question.timeout:g} s")
            return NoReply("connect", f"no connection to {where} within {service.connect_timeout:g} s")
        except aiohttp.ClientConnectorError as exc:
            return NoReply("connect", f"no connection to {where}: {exc.os_error.strerror or 'its name is not known'}")
        except (aiohttp.ClientResponseError, aiohttp.http_exceptions.HttpProcessingError):
            return NoReply("malformed", f"the answer of {where} is no HTTP")
        except (aiohttp.ClientError, OSError) as exc:
            if isinstance(exc, aiohttp.ClientPayloadError):
                return NoReply("malformed", f"the answer of {where} breaks off, or its coding is broken")
            return NoReply("reset", f"{where} closed the connection without an answer")
        except ValueError as exc:
            return NoReply("malformed", f"no request can be written: {type(exc).__name__}")


async def _connected(session: object, context: SimpleNamespace, params: object) -> None:
    context.trace_request_ctx.connected = True


async def _read(response: aiohttp.ClientResponse) -> bytes | None:
    """None of one that is too large; its connection is given up."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > LARGEST:
            response.close()
            return None
    return bytes(body)


def _headers(response: aiohttp.ClientResponse) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, value in response.raw_headers:
        lower = name.decode("latin-1").lower()
        found[lower] = (*found.get(lower, ()), value.decode("latin-1"))
    return found
