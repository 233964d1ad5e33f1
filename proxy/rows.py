"""What workers tell control of a route in canary: the columns of a row in `proxy.wire.Rows`, one exchange, and in
`proxy.wire.EventRows`, one business event.

Apart from the other records, because the shadower, which speaks those, has no use for numpy and starts without it.
"""

from __future__ import annotations

import numpy as np

ROW = np.dtype(
    [
        ("clock", "<f8"),  # seconds since the epoch, when the answer's head was complete
        ("unit", "<u8"),  # unit hash
        ("seconds", "<f4"),  # service time
        ("side", "u1"),  # 0 legacy, 1 candidate
        ("status_class", "u1"),  # 1 to 5; 0 when no answer came
        ("failure", "u1"),  # 0 none, else index into rules.failures.FAILURES
        ("flags", "u1"),
    ]
)
"""proxy.wire.ROW_STRUCT packs it."""

EVENT_ROW = np.dtype(
    [
        ("clock", "<f8"),  # seconds since the epoch, when the answer's head was complete
        ("unit", "<u8"),  # unit hash, by the salt of the route in canary
        ("value", "<f8"),  # not a number where none could be read, or the event has none
        ("side", "u1"),  # 0 legacy, 1 candidate: what the route in canary chooses for the unit
        ("event", "u1"),  # the event's place among those of the route (rules.effective.Effective.watches)
    ]
)
"""proxy.wire.EVENT_ROW_STRUCT packs it."""
