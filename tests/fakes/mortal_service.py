"""A plain service in a process of its own, so that it can be killed or stopped; SIGUSR1 makes every answer a 500.

`python mortal_service.py PORT`
"""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave together: killed between them, it has cut an answer that nobody can mend
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Length", "9")
        self.end_headers()
        self.wfile.write(b"candidate")

    def log_message(self, *_: object) -> None:
        """Nothing: tests read answers, not logs."""


def _break(*_: object) -> None:
    _Handler.status = 500


@contextlib.contextmanager
def mortal_service(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The process, listening; ended with the block, whatever became of it."""
    process = subprocess.Popen([sys.executable, str(Path(__file__)), str(port)], stderr=subprocess.DEVNULL)
    try:
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None, "the service did not start"
            time.sleep(0.02)
        yield process
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, _break)
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), _Handler).serve_forever()
