"""What `fig serve` takes for itself before anything starts: its ports and its state folder."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import time
from pathlib import Path

from proxy.settings import BACKLOG, Address


class StartError(Exception):
    """Something outside the rules file keeps fig from starting: a port, the state folder. Exit code 2."""


def listening(address: Address | None, count: int) -> tuple[Address | None, list[socket.socket]]:
    """A socket for each worker, and where they listen; nothing where nothing listens. Raises StartError."""
    if address is None:
        return None, []
    sockets = bind(address, count)
    return with_port(address, sockets), sockets


def with_port(address: Address | None, sockets: list[socket.socket]) -> Address | None:
    """The address with the port that its sockets really have: 0 is any that is free."""
    return Address(address.host, sockets[0].getsockname()[1]) if address is not None else None


def bind(address: Address, count: int) -> list[socket.socket]:
    """`count` listening sockets on one port, between which the kernel spreads connections. Raises StartError."""
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as exc:
        raise StartError(f"cannot listen on {address}: {exc.strerror}; is the name right?") from exc
    sockets: list[socket.socket] = []
    try:
        # SO_REUSEPORT would let a second fig share the port unnoticed: first see that nobody listens there.
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
        for _ in range(count):
            one = socket.socket(family, kind, protocol)
            sockets.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # [::] takes IPv4 too
            one.bind(where)
            where = (where[0], one.getsockname()[1], *where[2:])  # port 0: all of them take the first one's
            one.listen(BACKLOG)
    except OSError as exc:
        for one in sockets:
            one.close()
        advice = "stop the program that listens there, or choose another address"
        if exc.errno == errno.EACCES:
            advice = "ports below 1024 need a privilege; choose another one"
        elif exc.errno == errno.EADDRNOTAVAIL:
            advice = "this machine has no such address"
        raise StartError(f"cannot listen on {address}: {os.strerror(exc.errno or 0)}; {advice}") from exc
    return sockets


def hold(state: Path, patience: float) -> int:
    """Take the state folder for ourselves; gives the lock's descriptor. Raises StartError when another fig has it.

    Children inherit the lock, so it lasts until the last process that writes there is gone. When its supervisor was
    killed, they are draining; they get `patience` seconds.
    """
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(state / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as exc:
        raise StartError(f"cannot use the state folder {state}: {exc.strerror}; choose another with --state") from exc
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(lock, 20, 0).decode("ascii", "replace").strip()
            if Path(f"/proc/{holder}").exists() or time.monotonic() > until:
                os.close(lock)
                raise StartError(
                    f"the state folder {state} is in use by another `fig serve` (process {holder}); "
                    "stop that one, or choose another folder with --state"
                ) from None
            time.sleep(0.05)
        else:
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
            return lock
