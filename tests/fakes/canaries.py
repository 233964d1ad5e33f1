"""Secrets that are planted to be looked for: each is unlike any other, and all of a kind have a part in common.

So one look for the common parts, in every way that they may be written in, finds a leak of any of them, or of half of
one.
"""

from __future__ import annotations

import base64
import itertools
import threading
from collections.abc import Callable, Iterator
from urllib.parse import quote

WORD = "kanarie"
CARD = "49297160"
ACCOUNT = "7654321098"
KINDS = 4


def card(number: int) -> str:
    digits = f"{CARD}{number:07}"
    doubled = [int(d) * 2 - 9 * (int(d) > 4) if place % 2 == 0 else int(d) for place, d in enumerate(digits[::-1])]
    return digits + str(-sum(doubled) % 10)


def address(number: int) -> str:
    return f"{WORD}-{number}@shop.example"


def token(number: int) -> str:
    parts = (b'{"alg":"HS256"}', f'{{"sub":"{WORD}-{number}"}}'.encode(), f"{WORD}{number}".encode())
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def account(number: int) -> str:
    rest = f"{ACCOUNT}{number:08}"
    return f"DE{98 - int(f'{rest}131400') % 97:02}{rest}"


class Canaries:
    """Gives another one at every call, of each kind in turn. Safe in any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self.planted = 0

    def __call__(self) -> str:
        number = self._next()
        makers: tuple[Callable[[int], str], ...] = (card, address, token, account)
        return makers[number % KINDS](number)

    def word(self) -> str:
        """One without a form: only for places that are secret in themselves."""
        return f"{WORD}-{self._next()}"

    def card(self) -> str:
        """For places that take letters and digits only."""
        return card(self._next())

    def _next(self) -> int:
        with self._lock:
            self.planted += 1
            return next(self._numbers)


def _written(part: str) -> Iterator[bytes]:
    raw = part.encode()
    yield raw
    yield part.encode("utf-16-le")
    yield raw.hex().encode()
    yield raw.hex().upper().encode()
    yield "".join(f"%{byte:02x}" for byte in raw).encode()
    yield "".join(f"%{byte:02X}" for byte in raw).encode()
    yield "".join(f"\\u{byte:04x}" for byte in raw).encode()
    yield quote(part).encode()
    for shift in range(3):  # Base64 writes the same bytes in three ways, by what stands before them
        encoded = base64.b64encode(b"\0" * shift + raw)
        yield encoded[(0, 2, 3)[shift] : len(encoded) - 4]


NEEDLES = tuple(
    sorted(
        {
            needle
            for part in (WORD, CARD, f"{CARD[:4]} {CARD[4:]}", f"{CARD[:4]}-{CARD[4:]}", ACCOUNT)
            for needle in _written(part)
        }
    )
)


def found_in(data: bytes) -> list[tuple[str, str]]:
    """What of the canaries shows in these bytes, and with what around it."""
    shown = []
    for needle in NEEDLES:
        at = data.find(needle)
        if at >= 0:
            shown.append((needle.decode(), data[max(0, at - 80) : at + 60].decode("utf-8", "replace")))
    return shown
