"""Both ends of a large body: a service in a thread that sends and takes them, and a client. Blocking sockets, pieces of
a megabyte, nothing of fig: what arrives is counted by its framing, so that a lost byte is seen.
"""

from __future__ import annotations

import socket
import threading
import time

MB = 2**20
CHUNK = 64 * 1024
"""Bytes of a chunk, where a body is chunked."""
_FRAMED = b"%x\r\n%b\r\n" % (CHUNK, bytes(CHUNK)) * (MB // CHUNK)
_PLAIN = bytes(MB)
_LAST = b"0\r\n\r\n"


class BrokenBodyError(Exception):
    """A body came with other bytes, or other framing, than it was sent with."""


class Source:
    """Reads from a socket into one buffer, heads and bodies of either framing."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = bytearray(MB)
        self._at = self._end = 0

    def head(self) -> bytes:
        """Up to the empty line; b"" when the connection ended instead."""
        head = bytearray()
        while not head.endswith(b"\r\n\r\n"):
            if not self._filled():
                return b""
            end = self._buffer.find(b"\r\n\r\n", self._at, self._end)
            stop = end + 4 if end >= 0 else self._at + 1  # a byte at a time where the end may be cut in two
            head += self._buffer[self._at : stop]
            self._at = stop
        return bytes(head).lower()

    def body(self, head: bytes) -> int:
        """Read what the head announces; its bytes without framing. Raises BrokenBodyError."""
        if b"\r\ntransfer-encoding: chunked\r\n" in head:
            return self._chunks()
        _, found, rest = head.partition(b"\r\ncontent-length: ")
        length = int(rest.partition(b"\r\n")[0]) if found else 0
        self._skip(length)
        return length

    def number(self, head: bytes) -> int:
        """A body that is a number. Raises BrokenBodyError."""
        digits = b""
        length = head.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]
        if not length:
            raise BrokenBodyError(f"an answer without a length: {head[:200]!r}")
        while len(digits) < int(length):
            if not self._filled():
                raise BrokenBodyError("the connection ended within a body")
            stop = self._at + int(length) - len(digits)
            digits += self._buffer[self._at : min(stop, self._end)]
            self._at = min(stop, self._end)
        return int(digits)

    def _chunks(self) -> int:
        total = 0
        while size := int(self._line(), 16):
            self._skip(size)
            total += size
            if self._line():
                raise BrokenBodyError("a chunk does not end where its size says")
        while self._line():
            pass
        return total

    def _line(self) -> bytes:
        line = b""
        while not line.endswith(b"\r\n"):
            if not self._filled():
                raise BrokenBodyError("the connection ended within a body")
            end = self._buffer.find(b"\n", self._at, self._end)
            stop = end + 1 if end >= 0 else self._end
            line += self._buffer[self._at : stop]
            self._at = stop
        return line[:-2]

    def _skip(self, count: int) -> None:
        while count:
            if not self._filled():
                raise BrokenBodyError("the connection ended within a body")
            step = min(count, self._end - self._at)
            self._at += step
            count -= step

    def _filled(self) -> bool:
        """Whether there is something to read; waits for it."""
        if self._at == self._end:
            self._at, self._end = 0, self._connection.recv_into(self._buffer)
        return self._at < self._end


def send_body(connection: socket.socket, size: int, *, chunked: bool) -> None:
    """`size` bytes, whole megabytes."""
    for _ in range(size // MB):
        connection.sendall(_FRAMED if chunked else _PLAIN)
    if chunked:
        connection.sendall(_LAST)


def _framing(size: int, *, chunked: bool) -> bytes:
    return b"Transfer-Encoding: chunked\r\n" if chunked else b"Content-Length: %d\r\n" % size


class LargeService:
    """Answers GET /length/BYTES and GET /chunked/BYTES with that many, and any body with how many bytes it had."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """No further connections; those that are open end with their clients."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        source = Source(connection)
        try:
            with connection:
                while head := source.head():
                    self._answer(connection, head, source.body(head))
        except (ConnectionError, BrokenBodyError):
            return  # the client sees it, and says so

    def _answer(self, connection: socket.socket, head: bytes, came: int) -> None:
        _, kind, size = (head.split(b" ", 2)[1] + b"//").split(b"/")[:3]
        chunked = kind == b"chunked"
        if chunked or kind == b"length":
            connection.sendall(b"HTTP/1.1 200 OK\r\n%b\r\n" % _framing(int(size), chunked=chunked))
            send_body(connection, int(size), chunked=chunked)
        else:
            told = b"%d" % came
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(told), told))


def download(port: int, size: int, *, chunked: bool) -> float:
    """Seconds for a body of `size` bytes to come. Raises BrokenBodyError."""
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        began = time.perf_counter()
        kind = b"chunked" if chunked else b"length"
        connection.sendall(b"GET /%b/%d HTTP/1.1\r\nHost: large.example\r\n\r\n" % (kind, size))
        source = Source(connection)
        head = source.head()
        came = source.body(head)
        if not head.startswith(b"http/1.1 200 ") or came != size:
            raise BrokenBodyError(f"{came} of {size} bytes came back: {head[:200]!r}")
        return time.perf_counter() - began


def upload(port: int, size: int, *, chunked: bool) -> float:
    """Seconds until the service has said that a body of `size` bytes arrived. Raises BrokenBodyError."""
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        began = time.perf_counter()
        framing = _framing(size, chunked=chunked)
        connection.sendall(b"POST /upload HTTP/1.1\r\nHost: large.example\r\n%b\r\n" % framing)
        send_body(connection, size, chunked=chunked)
        source = Source(connection)
        head = source.head()
        told = source.number(head)
        if not head.startswith(b"http/1.1 200 ") or told != size:
            raise BrokenBodyError(f"{told} of {size} bytes arrived: {head[:200]!r}")
        return time.perf_counter() - began
