"""Pins: what a certificate rests on is kept, whatever the route's `keep` says. An action of the shadower."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable

from proxy.shadower.commands import Action, Effect, Instruction, MalformedError, RefusedError
from shadow.pairs.store import PairStore


class Pinning:
    """`actions` is what goes into the table."""

    def __init__(self, store: PairStore, wall: Callable[[], float]) -> None:
        """`wall` gives seconds since the epoch."""
        self.actions: dict[str, Action] = {"pin": self.pin}
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
