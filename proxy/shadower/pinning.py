"""Pins: what a certificate rests on is kept, whatever the route's `keep` says, until somebody lets it go. Actions of
the shadower."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Callable

from proxy.shadower.commands import Action, Effect, Instruction, MalformedError, RefusedError
from shadow.pairs.store import PairStore

_DIGITS = re.compile(r"[0-9a-f]{8,64}")


class Pinning:
    """`actions` is what goes into the table."""

    def __init__(self, store: PairStore, wall: Callable[[], float]) -> None:
        """`wall` gives seconds since the epoch."""
        self.actions: dict[str, Action] = {"pin": self.pin, "unpin": self.unpin}
        self._store = store
        self._wall = wall

    async def pin(self, told: Instruction) -> Effect:
        """Pin the first `links` pairs of a window, whose chain must have the digest `head` there."""
        route, number, links = told.text("route"), told.number("window"), told.number("links")
        certificate = told.text("certificate")
        try:
            head = bytes.fromhex(told.text("head"))
        except ValueError as exc:
            raise MalformedError("'head' is to be written in hex digits") from exc
        try:
            found = await asyncio.to_thread(self._store.pin, route, number, certificate, links, head, self._wall())
        except sqlite3.Error as exc:
            raise RefusedError(f"the pairs cannot be written: {exc}") from exc
        if not found:
            raise RefusedError(
                f"window {number} of route {route} has no such chain here; is this the fig that the pairs are of?"
            )
        return Effect({"pinned": links}, [route])

    async def unpin(self, told: Instruction) -> Effect:
        """Let go what is kept for one `certificate` alone, named by the first digits of its file's SHA-256, at least 8.

        It goes when its time is over, as if it had never been pinned.
        """
        beginning = told.text("certificate")
        if not _DIGITS.fullmatch(beginning):
            raise MalformedError("'certificate' is to be 8 to 64 hex digits, as `fig shadow pins` lists them")
        if not told.why.strip():
            raise MalformedError("say why (--why): it stands in the history")
        try:
            found = await asyncio.to_thread(self._store.unpin, beginning)
        except sqlite3.Error as exc:
            raise RefusedError(f"the pairs cannot be written: {exc}") from exc
        if not found:
            raise RefusedError(f"nothing is pinned for a certificate {beginning:.16}; `fig shadow pins` lists what is")
        if len({pin.certificate for pin in found}) > 1:
            raise RefusedError(f"{len(found)} certificates begin with {beginning}; name more of its digits")
        (pin, *_) = found
        result = {"certificate": pin.certificate, "route": pin.route, "window": pin.window, "unpinned": pin.links}
        return Effect(result, [pin.route])
