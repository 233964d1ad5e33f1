"""The real HAProxy, where it is installed: reading what fig sends, and passing it to a service behind."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fakes.real_nginx import wait_for
from tests.programs import need


@contextmanager
def running_haproxy(port: int, behind: int, folder: Path) -> Iterator[Path]:
    """While HAProxy listens on `port` and passes requests to `behind`; gives its log, a line for each request that it
    read or refused: request id, method, target and status, blanks between. Skips where HAProxy is missing."""
    haproxy = need("haproxy", "haproxy")
    conf, log = folder / "haproxy.cfg", folder / "haproxy.log"
    conf.write_text(
        "global\n  log stdout format raw local0\n"
        "defaults\n  mode http\n  log global\n  option dontlognull\n"
        "  timeout connect 5s\n  timeout client 10s\n  timeout server 10s\n"
        f"frontend front\n  bind 127.0.0.1:{port}\n  http-request capture req.hdr(x-request-id) len 64\n"
        '  log-format "%[capture.req.hdr(0)] %HM %HU %ST"\n  default_backend behind\n'
        f"backend behind\n  server one 127.0.0.1:{behind}\n"
    )
    with log.open("wb") as out:
        process = subprocess.Popen([haproxy, "-db", "-f", str(conf)], stdout=out, stderr=out)
    try:
        wait_for(port, process, log)
        yield log
    finally:
        process.terminate()
        process.wait(10)
