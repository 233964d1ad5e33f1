"""For every test."""

from __future__ import annotations

import signal

# A shell that runs the tests in the background has them ignore SIGINT, and every program that they start inherits that;
# tests that press Ctrl-C on a program would then wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
