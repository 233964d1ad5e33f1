"""A service that takes requests and answers none until it is told to: for what a busy pair of connections costs."""

from __future__ import annotations

import selectors
import socket
import threading
import time

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BACKLOG = 16384


class HoldingService:
    """Listens on a free port in a thread of its own from when it is made. What is asked while `hold` is set is answered
    when it is cleared."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
        self.port = int(self._listener.getsockname()[1])
        self._listener.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._held: list[socket.socket] = []
        self._begun: dict[socket.socket, bytes] = {}
        """What has come of a request that is not complete."""
        self._hold = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def held(self) -> int:
        """Requests that wait for their answer."""
        return len(self._held)

    def hold(self) -> None:
        """From now on answer nobody."""
        self._hold = True

    def let_go(self) -> None:
        """Answer everyone, those who wait first."""
        self._hold = False

    def close(self) -> None:
        self._stopping = True
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]  # sockets, all of them
        self._selector.close()

    def _run(self) -> None:
        while not self._stopping:
            for key, _ in self._selector.select(0.05):
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    assert isinstance(key.fileobj, socket.socket)
                    self._read(key.fileobj)
            if not self._hold:
                while self._held:
                    self._held.pop().sendall(ANSWER)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except BlockingIOError:
                return
            self._selector.register(connection, selectors.EVENT_READ)

    def _read(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            self._selector.unregister(connection)
            connection.close()
            return
        data = self._begun.pop(connection, b"") + data
        if not data.endswith(b"\r\n\r\n"):  # GET: nothing stands behind a head
            self._begun[connection] = data
        elif self._hold:
            self._held.append(connection)
        else:
            connection.sendall(ANSWER)


def until_held(service: HoldingService, count: int, seconds: float = 60.0) -> None:
    """Wait for `count` requests that wait. Raises RuntimeError when they do not come in time."""
    end = time.monotonic() + seconds
    while service.held < count:
        if time.monotonic() > end:
            raise RuntimeError(f"{service.held} of {count} requests reached the service")
        time.sleep(0.05)
