"""The effective table in the state folder: written by control, read by workers, shadower and commands.

Every file is replaced in one step and never half written. The rules file comes first, `effective.json`, which names it,
last: who reads the one finds the other. Their form is rules/effective.py's.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import structlog

from rules.effective import Effective, Pointer, digest_text, read_effective, rules_file

log = structlog.get_logger(__name__)

NAME = "effective.json"
CHUNK = 64 * 1024
"""Bytes read and hashed at once, which takes 0.1 ms or so."""


class Draft:
    """A table that lies complete on the disk beside the published one; `commit` puts it in place, `discard` does not.

    Two steps, so that what can fail (a full disk) fails before the store records the move.
    """

    def __init__(self, state: Path, effective: Effective) -> None:
        """Raises OSError. A rules file that is there already is taken as it is; `is_whole` tells what is none."""
        self._path = state / NAME
        self._draft = state / f".{NAME}.new"  # control is the only one who writes here
        self._rules = effective.digest
        if not (state / rules_file(self._rules)).exists():
            write_rules(state, effective)
        _write(self._draft, [effective.pointer.encode()])

    def commit(self) -> None:
        """In force from here on. That it stays so after a power cut may fail: the store has it, and the next start."""
        former = _named_in(self._path)
        self._draft.replace(self._path)
        try:
            _sync_folder(self._path.parent)
        except OSError as exc:
            log.warning("the published table may not outlive a power cut", problem=str(exc))
        if former != self._rules:
            _clean(self._path.parent, {former, self._rules})

    def discard(self) -> None:
        self._draft.unlink(missing_ok=True)


def publish(state: Path, effective: Effective) -> None:
    """Put the table in place. Raises OSError."""
    Draft(state, effective).commit()


def write_rules(state: Path, effective: Effective) -> None:
    """Put the rules file in place, which nothing names yet. Raises OSError."""
    draft = state / ".rules.jsonl.new"
    try:
        _write(draft, effective.lines())
        draft.replace(state / rules_file(effective.digest))
        _sync_folder(state)  # before anything names it
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _write(path: Path, pieces: Iterable[bytes]) -> None:
    with path.open("wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.writelines(pieces)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _named_in(path: Path) -> str:
    """The digest of the rules that are in force; ``""`` where that cannot be told."""
    try:
        return Pointer.decode(path.read_bytes()).rules
    except (OSError, ValueError):
        return ""


def forget_unpublished(state: Path, accepted: str) -> None:
    """Remove the rules that were written and not published; `accepted` is the digest of those that control goes by."""
    _clean(state, {accepted, _named_in(state / NAME)})


def _clean(state: Path, named: set[str]) -> None:
    """Remove rules files whose digest is not `named`, by the present or the former table: who reads one has it open."""
    keep = {rules_file(digest) for digest in named}
    with contextlib.suppress(OSError):  # a file too many does no harm; the next reload tries again
        for path in state.glob(rules_file("*")):
            if path.name not in keep:
                path.unlink(missing_ok=True)


def pointed(state: Path) -> Pointer:
    """What is in force, but for the rules themselves. Raises OSError, and ValueError on what no control of this version
    has written."""
    data = (state / NAME).read_bytes()
    try:
        return Pointer.decode(data)
    except ValueError as exc:
        raise ValueError(
            f"{NAME} is damaged or of another version of fig; control writes it anew at its start"
        ) from exc


def is_whole(state: Path, digest: str) -> bool:
    """Whether the rules file with this digest is there, and holds what its name says."""
    try:
        with (state / rules_file(digest)).open("rb") as file:
            for _ in lines_of(file, digest):
                pass
    except (OSError, ValueError):
        return False
    return True


def open_rules(state: Path, digest: str) -> BinaryIO:
    """The rules file with this digest, to be read through `lines_of`. Raises OSError."""
    return (state / rules_file(digest)).open("rb", buffering=0)


def lines_of(file: BinaryIO, digest: str) -> Iterator[bytes]:
    """The lines of a rules file, read in pieces.

    Raises ValueError at its end when it is not what its name says (torn, or another's): nothing that was read may be
    used before the end was reached.
    """
    found = hashlib.sha256()
    pending = b""
    while chunk := file.read(CHUNK):
        found.update(chunk)
        *lines, pending = (pending + chunk).split(b"\n")
        yield from lines
    if pending or digest_text(found) != digest:
        raise ValueError(f"{rules_file(digest)} is damaged: its content is not what its name says")


def published(state: Path) -> Effective | None:
    """What was published last, whole; None when nothing was. Raises OSError, ValueError where it cannot be read."""
    try:
        pointer = pointed(state)
    except FileNotFoundError:
        return None
    while True:
        try:
            with open_rules(state, pointer.rules) as file:
                return read_effective(pointer, lines_of(file, pointer.rules))
        except FileNotFoundError as exc:
            newer = pointed(state)
            if newer.rules == pointer.rules:
                raise ValueError(f"{NAME} names {pointer.file}, which is not there") from exc
            pointer = newer  # the table was replaced between the two looks
