"""A worker's TLS: the certificates that its clients are shown, its handshakes, and what is told of both."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from pathlib import Path

import structlog

from proxy.certificates.following import EVERY, Following
from proxy.certificates.shown import Shown
from proxy.dataplane.handshakes import Handshakes
from proxy.dataplane.plane import Plane
from proxy.worker.tallies import Labels, Tallies

log = structlog.get_logger(__name__)


class Secure:
    """Accepts the clients of `plane` by TLS. SIGHUP has the certificates read at once."""

    def __init__(self, folder: Path, plane: Plane, tallies: Tallies) -> None:
        self._shown = Shown()
        self._following = Following(folder, self._shown, time.time)
        self._handshakes = Handshakes(
            plane,
            lambda: self._shown.context,
            seen=lambda version: tallies.count("tls_handshakes", (("version", version),)),
            failed=lambda reason: tallies.count("tls_handshake_failures", (("reason", reason),)),
        )
        self._task: asyncio.Task[None] | None = None

    def accept(self) -> asyncio.Protocol:
        """The protocol of a connection that was accepted."""
        return self._handshakes.accept()

    async def start(self, stopping: asyncio.Event) -> None:
        """Returns when there is something to show, or when the worker is to stop before.

        A worker that takes another one's place finds the folder as it is now. Where nothing in it can be used, its
        connections wait in the kernel until somebody has mended it.
        """
        sys.unraisablehook = _without_strange_names
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._following.reload)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGHUP,))
        await self._following.look(asked=True)
        self._task = asyncio.create_task(self._following.run())
        while not (self._shown.pairs or stopping.is_set()):
            log.error("no certificate can be shown; no client is accepted by TLS", folder=str(self._following.folder))
            await asyncio.sleep(EVERY)

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def gauges(self, worker: Labels) -> list[tuple[str, Labels, float]]:
        """What /metrics tells of the certificates that this worker shows."""
        found = [("certificates_last_reload_success", worker, float(self._following.is_well))]
        for pair in self._shown.pairs:
            of_pair = (("certificate", pair.name), *worker)
            found.append(("certificate_not_after_seconds", of_pair, float(pair.not_after)))
        return found


def _without_strange_names(told: sys.UnraisableHookArgs) -> None:
    """A client may ask for bytes that are no host name. Python refuses the handshake, which is counted, and would print
    the exception besides: a log that strangers could fill."""
    if not (isinstance(told.object, bytes) and isinstance(told.exc_value, UnicodeDecodeError)):
        sys.__unraisablehook__(told)
