"""Follows a folder of certificates: what changes there is shown to the next client, and what is broken changes nothing.

Certificate and key are written one after the other, so a change counts once the folder has stood still from one look to
the next. A pair that cannot be used leaves what is shown under its name; the others are none the worse for it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from proxy.certificates.pairs import Pair, PairError, Place, find, fingerprint, read
from proxy.certificates.shown import Shown

log = structlog.get_logger(__name__)

EVERY = 2.0
"""Seconds between two looks."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a folder holds, laid over what was shown before."""

    pairs: tuple[Pair, ...]
    contexts: tuple[ssl.SSLContext, ...]
    flaws: tuple[str, ...]


def survey(places: tuple[Place, ...], shown: Shown) -> Found:
    """Reads every pair; one that cannot be used is as it was. With none left, all stays: an emptied folder is a mistake
    rather than a wish to serve nobody."""
    former = dict(zip((pair.name for pair in shown.pairs), shown.pairs, strict=True))
    pairs, contexts, flaws = [], [], []
    for place in places:
        try:
            pair = read(place)
            context = shown.context_of(pair)
        except PairError as exc:
            flaws.append(str(exc))
            if place.name not in former:
                continue
            pair = former[place.name]
            context = shown.context_of(pair)
        pairs.append(pair)
        contexts.append(context)
    if not pairs and shown.pairs:
        flaws = flaws or ["the folder holds no certificate any more; put one there"]
        pairs = list(shown.pairs)
        contexts = [shown.context_of(pair) for pair in pairs]
    return Found(tuple(pairs), tuple(contexts), tuple(flaws))


class Following:
    """Keeps `shown` as the folder says. `wall` is seconds since the epoch."""

    def __init__(self, folder: Path, shown: Shown, wall: Callable[[], float]) -> None:
        self.folder = folder
        self.shown = shown
        self.is_well = False
        """Whether everything that was found last could be used."""
        self._wall = wall
        self._seen: object = None
        """The folder's fingerprint at the last look."""
        self._read: object = None
        """The fingerprint of what was read last."""
        self._warned: set[tuple[Pair, str]] = set()
        self._hurry = asyncio.Event()

    def reload(self) -> None:
        """Read everything at once, without waiting for the folder to stand still."""
        self._hurry.set()

    async def run(self) -> None:
        """Look again and again; does not return."""
        while True:
            try:
                async with asyncio.timeout(EVERY):
                    await self._hurry.wait()
            except TimeoutError:
                pass
            asked = self._hurry.is_set()
            self._hurry.clear()
            try:
                await self.look(asked=asked)
                self._warn()
            except Exception:  # whatever it was, the next look may fare better, and what is shown stays
                self.is_well = False
                log.exception("certificates could not be looked at")

    async def look(self, *, asked: bool = False) -> None:
        """One look; reads where something has changed and settled, or where it was `asked` for."""
        try:
            places, seen = await asyncio.to_thread(_view, self.folder)
        except PairError as exc:
            self._tell_of_folder(str(exc), asked=asked)
            return
        settled, self._seen = seen == self._seen, seen
        if not asked and (seen == self._read or not settled):
            return
        found = await asyncio.to_thread(survey, places, self.shown)
        self._read = seen
        self._take(found)

    def _tell_of_folder(self, problem: str, *, asked: bool) -> None:
        self.is_well = False
        if asked or self._seen != problem:
            log.error("certificates cannot be read; those shown so far stay", problem=problem)
        self._seen, self._read = problem, None

    def _take(self, found: Found) -> None:
        former = set(self.shown.pairs)
        changed = [pair.name for pair in found.pairs if pair not in former]
        gone = sorted({pair.name for pair in former} - {pair.name for pair in found.pairs})
        self.shown.show(found.pairs, found.contexts)
        self.is_well = bool(found.pairs) and not found.flaws
        for flaw in found.flaws:
            log.error("a certificate cannot be used; what was shown in its place stays", problem=flaw)
        log.info("certificates are shown", count=len(found.pairs), changed=changed[:20], gone=gone[:20])

    def _warn(self) -> None:
        """Say once of each pair what clients may not like, also when it expires while it is shown."""
        now = self._wall()
        remarks = {(pair, remark) for pair in self.shown.pairs for remark in pair.remarks(now)}
        for pair, remark in sorted(remarks - self._warned, key=lambda each: each[0].name):
            log.warning("a certificate that clients may refuse", certificate=pair.name, problem=remark)
        self._warned = remarks


def _view(folder: Path) -> tuple[tuple[Place, ...], object]:
    places = find(folder)
    return places, fingerprint(places)
