"""A link between two of fig's processes: records over a Unix socket, bounded when sending, remade when it breaks.

`listen` is the answering end (control, shadower), `Caller` the calling one (workers, shadower). Neither ever blocks its
caller: what does not fit into `limit` bytes of unsent data is refused, and the caller counts it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

import structlog

from proxy.frames import HEADER, MAX_FRAME, Decoder, WireError, encode
from proxy.wire import Record

log = structlog.get_logger(__name__)

SEND_LIMIT = 8 * 1024 * 1024
"""Bytes that may wait unsent on one link before records are dropped."""
BACK_OFF = (0.05, 0.1, 0.2, 0.5, 1.0)
"""Seconds between attempts to reconnect; the last one repeats."""


class Link(asyncio.Protocol):
    """One connected socket. `send` says whether the record was taken; records come in through `on_record`."""

    def __init__(
        self,
        on_record: Callable[[Link, Record], None],
        on_open: Callable[[Link], None] | None = None,
        on_close: Callable[[Link], None] | None = None,
    ) -> None:
        self._on_record = on_record
        self._on_open = on_open
        self._on_close = on_close
        self._decoder = Decoder()
        self._transport: asyncio.Transport | None = None

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def unsent(self) -> int:
        """Bytes taken by `send` that the socket has not taken yet."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def send(self, record: Record, limit: int = SEND_LIMIT) -> bool:
        """Queue the record; False (and nothing queued) when the link is down or `limit` bytes already wait.

        Also for one that the other end would take for nonsense because of its size.
        """
        transport = self._transport
        if transport is None or transport.is_closing() or transport.get_write_buffer_size() > limit:
            return False
        frame = encode(record)
        if len(frame) > MAX_FRAME + HEADER:
            log.error(
                "a record is too large to be sent", record=type(record).__name__, bytes=len(frame), most=MAX_FRAME
            )
            return False
        transport.write(frame)
        return True

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        if self._on_open is not None:
            self._on_open(self)

    def data_received(self, data: bytes) -> None:
        try:
            records = self._decoder.feed(data)
        except WireError as exc:
            log.error("link closed", problem=str(exc))
            self.close()
            return
        for record in records:
            self._on_record(self, record)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._on_close is not None:
            self._on_close(self)


@contextlib.contextmanager
def _short(path: Path):  # type: ignore[no-untyped-def]
    """The socket's path by way of its folder's descriptor: sun_path holds 108 bytes, state folders may lie deeper."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


async def listen(path: Path, make: Callable[[], Link]) -> asyncio.Server:
    """Answer on `path` (readable by this user only); what a killed predecessor left there is replaced."""
    path.unlink(missing_ok=True)
    with _short(path) as address:
        old = os.umask(0o177)
        try:
            return await asyncio.get_running_loop().create_unix_server(make, address)
        finally:
            os.umask(old)


class Caller:
    """The calling end: connects, says hello, reconnects with back-off until `stop`."""

    def __init__(
        self,
        path: Path,
        on_open: Callable[[Link], None],
        on_record: Callable[[Link, Record], None],
        on_close: Callable[[Link], None] | None = None,
    ) -> None:
        self._path = path
        self._on_open = on_open
        self._on_record = on_record
        self._on_close = on_close
        self._link: Link | None = None
        self._closed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        return self._link is not None and self._link.is_open

    @property
    def unsent(self) -> int:
        """As Link.unsent; 0 while there is no link."""
        return self._link.unsent if self._link is not None else 0

    def send(self, record: Record, limit: int = SEND_LIMIT) -> bool:
        """As Link.send; False also while there is no link."""
        return self._link is not None and self._link.send(record, limit)

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._link is not None:
            self._link.close()

    def _lost(self, link: Link) -> None:
        self._closed.set()
        if self._on_close is not None:
            self._on_close(link)

    async def _run(self) -> None:
        failures = 0
        while True:
            self._closed.clear()
            link = Link(self._on_record, self._on_open, self._lost)
            try:
                with _short(self._path) as address:
                    await asyncio.get_running_loop().create_unix_connection(lambda link=link: link, address)  # type: ignore[misc]
            except OSError:
                await asyncio.sleep(BACK_OFF[min(failures, len(BACK_OFF) - 1)])
                failures += 1
                continue
            failures = 0
            self._link = link
            await self._closed.wait()
            self._link = None
            await asyncio.sleep(BACK_OFF[0])  # the other end may accept and close at once, again and again
