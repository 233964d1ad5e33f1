"""The real nginx, where it is installed: what its configuration does, asked over a socket."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.programs import need


@contextmanager
def running_nginx(http: str, ports: Sequence[int], folder: Path) -> Iterator[None]:
    """While nginx runs with these directives in its `http` block, listening on `ports`; skips where it is missing."""
    nginx = need("nginx", "nginx-light")
    temporary = "\n".join(
        f"  {kind}_temp_path {folder};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    conf = folder / "nginx.conf"
    conf.write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\nevents {{}}\n"
        f"http {{\n  access_log off;\n{temporary}\n{http}}}\n"
    )
    process = subprocess.Popen([nginx, "-p", str(folder), "-c", str(conf)], stderr=subprocess.DEVNULL)
    try:
        for port in ports:
            wait_for(port, process, folder / "error.log")
        yield
    finally:
        process.terminate()
        process.wait(10)


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until something listens on `port`. Raises RuntimeError, with what `log` holds, where the process ends first."""
    for _ in range(400):
        if process.poll() is not None:
            raise RuntimeError(f"it did not start: {log.read_text() if log.exists() else ''}")
        try:
            socket.create_connection(("127.0.0.1", port), 0.1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"nothing listens on {port}")
