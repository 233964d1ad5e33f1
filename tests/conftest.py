"""For every test."""

from __future__ import annotations

import os
import signal

from hypothesis import settings

# A shell that runs the tests in the background has them ignore SIGINT, and every program that they start inherits that;
# tests that press Ctrl-C on a program would then wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same cases in every run, so that a red run is red because of the change; FIG_EXPLORE=1 looks for further ones.
settings.register_profile("same", derandomize=True)
if not os.environ.get("FIG_EXPLORE"):
    settings.load_profile("same")
