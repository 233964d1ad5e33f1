"""effective.json: the one table that workers and shadower load. Replaced in one step, never half written."""

from __future__ import annotations

import os
from pathlib import Path

import structlog

from rules.effective import Effective

log = structlog.get_logger(__name__)

NAME = "effective.json"


class Prepared:
    """A table that lies complete on the disk beside the published one; `commit` puts it in place, `discard` does not.

    Two steps, so that what can fail (a full disk) fails before the store records the move.
    """

    def __init__(self, state: Path, effective: Effective) -> None:
        self._path = state / NAME
        self._draft = state / f".{NAME}.new"  # control is the only one who writes here
        with self._draft.open("wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(effective.encode())
            file.flush()
            os.fsync(file.fileno())

    def commit(self) -> None:
        """In force from here on. That it stays so after a power cut may fail: the store has it, and the next start."""
        self._draft.replace(self._path)
        try:
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as exc:
            log.warning("the published table may not outlive a power cut", problem=str(exc))

    def discard(self) -> None:
        self._draft.unlink(missing_ok=True)


def published(state: Path) -> Effective | None:
    """What was published last; None when nothing was. Raises ValueError on a file that cannot be read."""
    try:
        return Effective.decode((state / NAME).read_bytes())
    except FileNotFoundError:
        return None
