"""Notices that the rules file (or folder) changed, however an editor or a deployment replaces it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import structlog
from watchfiles import awatch

log = structlog.get_logger(__name__)

SUFFIXES = (".yaml", ".yml")
QUIET = 100
"""Milliseconds without a further event before a change is told: an editor's save is several events."""

SETTLING = 0.1
"""Seconds between two looks at files that are being replaced one after the other, as a checkout replaces a folder's."""
LOOKS = 20
"""Such looks before a folder that goes on changing is read as it is."""

Signature = tuple[tuple[str, int, int, int, int], ...]


def signature(rules: Path) -> Signature:
    """What tells two contents apart without reading them: name, inode, size and times of every file.

    The inode's own time changes with what may be read too, and nobody can set it back. What cannot be looked at counts
    as not there: loading it says what is wrong.
    """
    found = []
    for path in _files(rules):
        try:
            told = path.stat()
        except OSError:
            continue  # gone since it was listed; that is a change too
        found.append((str(path), told.st_ino, told.st_size, told.st_mtime_ns, told.st_ctime_ns))
    return tuple(found)


def _files(rules: Path) -> list[Path]:
    if not _is_folder(rules):
        return [rules]
    try:
        return sorted(path for path in rules.rglob("*") if path.suffix in SUFFIXES)
    except OSError:  # a folder that vanished since it was listed
        return []


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # it may not be looked at, or its file system is away
        return False


async def changes(rules: Path, stop: asyncio.Event, known: Signature) -> AsyncIterator[None]:
    """Yields whenever the rules may have changed since `known`, which is to be taken before they are loaded.

    The folder is watched, not the file: editors and ConfigMaps put another file in its place, under a name that was
    never written to (Kubernetes swaps the link ``..data``). Events are only hints; signatures decide.
    """
    is_folder = _is_folder(rules)
    folder = rules if is_folder else rules.absolute().parent
    async for _ in _hints(folder, is_folder, stop):
        if signature(rules) != known:
            known = await _settled(rules)
            yield


async def _settled(rules: Path) -> Signature:
    """The signature once it stays: a folder half of whose files are replaced would be rules without their routes."""
    now = signature(rules)
    for _ in range(LOOKS):
        await asyncio.sleep(SETTLING)
        before, now = now, signature(rules)
        if now == before:
            break
    return now


async def _hints(folder: Path, recursive: bool, stop: asyncio.Event) -> AsyncIterator[None]:
    """Whenever something in the folder may have changed, and every second or so besides."""
    events = awatch(
        folder,
        watch_filter=None,
        debounce=QUIET,
        step=50,
        stop_event=stop,
        recursive=recursive,
        rust_timeout=1000,  # and then look all the same: not every file system tells
        yield_on_timeout=True,
    )
    try:
        async for _ in events:
            yield
    except OSError as exc:  # no such folder, or the machine's limit of watches: looking every second will do
        log.warning("the rules are looked at every second", folder=str(folder), problem=str(exc))
        while not stop.is_set():
            await asyncio.sleep(1.0)
            yield
