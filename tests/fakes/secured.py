"""A data plane's TLS listener, and clients that speak TLS to it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

from proxy.certificates.following import Following
from proxy.certificates.shown import Shown
from proxy.dataplane.handshakes import Handshakes
from tests.fakes.certificates import Authority
from tests.fakes.planes import Fig
from tests.fakes.wires import Wire


class Secured:
    """`versions` are those of the handshakes that succeeded, `failures` the reasons of the others."""

    def __init__(self, fig: Fig, following: Following, authority: Authority, patience: float) -> None:
        self.fig = fig
        self.following = following
        self.authority = authority
        self.versions: list[str] = []
        self.failures: list[str] = []
        self.port = 0
        shown = following.shown
        self.handshakes = Handshakes(
            fig.plane, lambda: shown.context, self.versions.append, self.failures.append, patience
        )

    async def connect(self, name: str | None = "shop.example", context: ssl.SSLContext | None = None) -> Wire:
        """A client that asks for this name, and trusts the authority."""
        context = context or self.authority.client(verify=name is not None)
        wire = Wire(
            *await asyncio.open_connection("127.0.0.1", self.port, ssl=context, server_hostname=name or "", limit=2**20)
        )
        self.fig.wires.append(wire)
        return wire

    async def connect_plainly(self) -> Wire:
        """One that does not speak TLS, or not yet."""
        wire = await Wire.to(self.port)
        self.fig.wires.append(wire)
        return wire


@contextlib.asynccontextmanager
async def secured(fig: Fig, folder: Path, authority: Authority, patience: float = 10.0) -> AsyncIterator[Secured]:
    """Listens by TLS on a free port, with the certificates of `folder`."""
    following = Following(folder, Shown(), time.time)
    await following.look(asked=True)
    found = Secured(fig, following, authority, patience)
    server = await asyncio.get_running_loop().create_server(found.handshakes.accept, "127.0.0.1", 0)
    found.port = int(server.sockets[0].getsockname()[1])
    try:
        yield found
    finally:
        server.close()
