"""Logging of every process of fig: one JSON line per event on stderr, also for what libraries log."""

from __future__ import annotations

import json
import logging
import sys
from types import ModuleType
from typing import Any, cast

import msgspec

# structlog imports rich where that is installed, for tracebacks on a terminal: 60 ms of every process's start, and for
# nothing, as fig's lines are JSON. None in sys.modules says that there is none.
if "rich" in sys.modules:
    import structlog
else:
    sys.modules["rich"] = cast(ModuleType, None)
    import structlog

    del sys.modules["rich"]

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


_encode = msgspec.json.Encoder(enc_hook=str).encode


def _dumps(event: Any, **_: Any) -> bytes:
    try:
        return _encode(event)
    except UnicodeEncodeError:  # half a surrogate pair, out of a service's JSON or a file's name: written as "?"
        text = json.dumps(event, default=str, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "replace")


class _Lines(logging.Handler):
    """Hands what libraries log through the standard library to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger(record.name)
        log.log(record.levelno, record.getMessage(), library=record.name, exc_info=record.exc_info or None)


def configure(process: str) -> None:
    """Set logging up; every line then carries `process` (``supervisor``, ``control``, ``worker-0``...)."""
    structlog.configure(
        processors=[*_SHARED, structlog.processors.JSONRenderer(serializer=_dumps)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        # Bytes with their newline in one write: lines of processes that share a stderr never interleave.
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
    logging.basicConfig(handlers=[_Lines()], level=logging.WARNING, force=True)
