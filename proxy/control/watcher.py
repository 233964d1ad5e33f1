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

Signature = tuple[tuple[str, int, int, int], ...]


def signature(rules: Path) -> Signature:
    """What tells two contents apart without reading them: name, inode, size and time of every file."""
    files = sorted(path for path in rules.rglob("*") if path.suffix in SUFFIXES) if rules.is_dir() else [rules]
    found = []
    for path in files:
        try:
            told = path.stat()
        except OSError:
            continue  # gone since it was listed; that is a change too
        found.append((str(path), told.st_ino, told.st_size, told.st_mtime_ns))
    return tuple(found)


async def changes(rules: Path, stop: asyncio.Event, known: Signature) -> AsyncIterator[None]:
    """Yields whenever the rules may have changed since `known`, which is to be taken before they are loaded.

    The folder is watched, not the file: editors and ConfigMaps put another file in its place, under a name that was
    never written to (Kubernetes swaps the link ``..data``). Events are only hints; signatures decide.
    """
    folder = rules if rules.is_dir() else rules.absolute().parent
    async for _ in _hints(folder, rules.is_dir(), stop):
        if (now := signature(rules)) != known:
            known = now
            yield


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
