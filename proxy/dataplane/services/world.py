"""What services need from around them: limits, time, chance, names, and somebody who counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from proxy.dataplane.ports import Limits, Observer
from proxy.dataplane.sending import Outbox
from proxy.dataplane.services.resolving import Lookup
from proxy.dataplane.services.tls import Contexts


@dataclass(frozen=True, slots=True)
class World:
    """`now` gives monotonic seconds, `roll` a whole number below a million."""

    limits: Limits
    observer: Observer
    outbox: Outbox
    now: Callable[[], float]
    roll: Callable[[], int]
    lookup: Lookup
    contexts: Contexts
