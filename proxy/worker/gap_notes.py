"""What a worker writes down of its gaps until the journal has them: a worker that is killed must not take them along.

The room for it is taken when the worker starts, since most gaps come while the disk is full. Each worker holds the lock
of its own file for as long as it lives, and looks for files whose worker is gone. Order keys are not written: a worker
has nothing to hide them with. So a gap that outlived its worker tells route, reason and time.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from pathlib import Path

import msgspec
import structlog

from proxy.wire import Gap

log = structlog.get_logger(__name__)

ROOM = 256 * 1024
"""Bytes that are taken before there is a gap."""
MOST = 10_000
"""Gaps that are written down; of more, the first of each route."""
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Gap).decode
_END = b"\0"


class GapNotes:
    """One worker's file in the state folder, and those that it has taken over."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / f"gaps-{os.getpid()}-{os.urandom(4).hex()}"
        self._file = -1
        self._end = 0
        self._routes: set[str] = set()
        self._noted: set[str] = set()
        """Ids of gaps in the file that the journal does not have."""
        self._taken: dict[Path, tuple[int, set[str]]] = {}
        """Files of workers that are gone: descriptor, and ids that the journal does not have."""
        self._syncing: asyncio.Future[None] | None = None

    def open(self) -> None:
        """Take the room. Where that fails the gaps of this worker are in its memory alone, and the log says so."""
        draft = self._path.with_name(f".{self._path.name}")
        try:
            self._file = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # nobody looks at it before it has its name
            draft.rename(self._path)
            os.posix_fallocate(self._file, 0, ROOM)
        except OSError as exc:
            log.error("no room to write down gaps", problem=str(exc))

    def write(self, gap: Gap) -> None:
        """Write it down: at once as far as a kill goes, and soon on the disk."""
        if self._file < 0 or (len(self._noted) >= MOST and gap.route in self._routes):
            return
        line = _encode(msgspec.structs.replace(gap, key="")) + b"\n"
        try:
            os.pwrite(self._file, line + _END, self._end)
        except OSError as exc:
            log.error("a gap could not be written down", route=gap.route, problem=str(exc))
            return
        self._end += len(line)
        self._routes.add(gap.route)
        self._noted.add(gap.id)
        if self._syncing is None or self._syncing.done():
            self._syncing = asyncio.get_running_loop().run_in_executor(None, self._sync, self._file)

    @staticmethod
    def _sync(file: int) -> None:
        try:
            os.fdatasync(file)
        except OSError as exc:
            log.error("gaps may not outlive a power cut", problem=str(exc))

    def take_over(self) -> list[Gap]:
        """Gaps of workers that are gone, each once."""
        found: list[Gap] = []
        for path in self._folder.glob("gaps-*"):
            if path == self._path or path in self._taken:
                continue
            try:
                file = os.open(path, os.O_RDWR)
            except OSError:
                continue  # another worker was first
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                gaps = _read(file)
            except OSError:
                os.close(file)  # its worker lives
                continue
            self._taken[path] = file, {gap.id for gap in gaps}
            found += gaps
        self._drop_done()
        return found

    def recorded(self, id: str) -> None:
        """The journal has it."""
        self._noted.discard(id)
        if not self._noted and self._end:
            self._end = 0
            self._routes.clear()
            try:
                os.pwrite(self._file, _END, 0)
            except OSError as exc:
                log.error("gaps that are recorded will be told again", problem=str(exc))
        for _, ids in self._taken.values():
            ids.discard(id)
        self._drop_done()

    def _drop_done(self) -> None:
        for path in [path for path, (_, ids) in self._taken.items() if not ids]:
            file, _ = self._taken.pop(path)
            path.unlink(missing_ok=True)  # before the lock goes
            os.close(file)

    async def close(self) -> None:
        """Let go of all files; what the journal has not got is for whoever starts next."""
        if self._syncing is not None:
            await self._syncing
        if self._file >= 0:
            if not self._noted:
                self._path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = -1
        for file, _ in self._taken.values():
            os.close(file)
        self._taken.clear()


def _read(file: int) -> list[Gap]:
    """What is written in a file. A line that a power cut has cut is logged."""
    text = os.pread(file, os.fstat(file).st_size, 0).partition(_END)[0]
    gaps = []
    for line in text.splitlines():
        try:
            gaps.append(_decode(line))
        except msgspec.MsgspecError as exc:
            log.error("what a worker wrote down of a gap cannot be read", problem=str(exc))
    return gaps
