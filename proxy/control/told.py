"""What control was told on its command line and by environment."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from proxy.settings import Address


@dataclass(frozen=True, slots=True)
class Told:
    """What control was told on its command line and by environment."""

    rules: Path
    state: Path
    admin: Address
    listen: Address | None
    """For plain HTTP; None where there is none."""
    workers: int
    admin_token: str = field(default="", repr=False)
    read_token: str = field(default="", repr=False)
    otlp: str = ""
    """URL of the collector that gets spans; ``""`` for none."""
    lifeline: int | None = None
    tls_listen: Address | None = None
    ready: int | None = None
    """Descriptor on which the supervisor awaits the word that control does its work."""
