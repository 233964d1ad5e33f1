"""The supervisor's children must not outlive it: each holds the reading end of its pipe.

Nothing is ever written. When the supervisor is gone, killed outright included, the kernel closes the writing end, and
the end of file tells every child to drain and exit, as SIGTERM does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable

GONE = "the supervisor is gone"
"""The reason that `stop` is given at the end of the lifeline; at a signal it is the signal's name."""


def on_end(stop: Callable[[str], None], lifeline: int | None) -> None:
    """Call `stop(reason)` in the running loop at SIGTERM, at SIGINT, and when the supervisor is gone.

    `lifeline` is the number given by ``--lifeline``, or None for a process that was started by hand. `stop` may be
    called more than once.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number.name)
    if lifeline is None:
        return
    fd = lifeline

    def ready() -> None:
        if not os.read(fd, 1):
            loop.remove_reader(fd)
            stop(GONE)

    loop.add_reader(fd, ready)


def tell_ready(word: int | None) -> None:
    """Say to the supervisor that this process does its work now.

    `word` is the descriptor given by ``--ready``, or None; used once. A supervisor that waits no longer is no problem.
    """
    if word is not None:
        with contextlib.suppress(BrokenPipeError):
            os.write(word, b"\n")
        os.close(word)
