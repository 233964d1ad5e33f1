"""How fig runs: the flags of `fig serve`, each also a FIG_ variable. What fig routes is the rules file's business.

The supervisor imports this, so it imports nothing but the standard library.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

DEFAULT_RULES = "fig.yaml"
DEFAULT_LISTEN = "0.0.0.0:8080"
NOWHERE = "none"
"""In place of an address: nothing listens."""
DEFAULT_ADMIN = "127.0.0.1:9900"
DEFAULT_STATE = ".fig"
DEFAULT_DRAIN = "30s"
DEFAULT_HANDOVER = "10m"
DEFAULT_ACCESS_LOG = "1%"
BACKLOG = 4096
"""Connections that may wait in the kernel for one worker (net.core.somaxconn caps it): a restart loses none of them."""

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_BYTES = re.compile(r"([0-9]{1,7})(MB|GB)")
_UNITS = {"MB": 1024**2, "GB": 1024**3}
_PART = re.compile(r"(\d{1,3}(?:\.\d{1,4})?)%")
_ADDRESS = re.compile(r"(?:\[(?P<six>[^\]]+)\]|(?P<host>[^:\[\]]*)):(?P<port>\d{1,5})")


class SettingsError(Exception):
    """A flag or variable that cannot be used; says which, and shows a right one."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where something listens. `host` carries no brackets."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, flag: str) -> Self:
        """From ``127.0.0.1:9900``, ``[::]:8080``, ``localhost:80`` or ``:8080`` (every IPv4 address)."""
        match = _ADDRESS.fullmatch(text.strip())
        if match is None or int(match["port"]) > 65535:
            raise SettingsError(f"{flag}: '{text}' is not an address; write 127.0.0.1:9900 or [::]:8080")
        if match["six"] is not None:
            try:
                ipaddress.IPv6Address(match["six"])
            except ValueError:
                raise SettingsError(f"{flag}: '{match['six']}' is not an IPv6 address; write [::1]:9900") from None
        return cls(match["six"] or match["host"] or "0.0.0.0", int(match["port"]))  # noqa: S104 - asked for by ":port"

    @property
    def is_loopback(self) -> bool:
        return is_loopback(self.host)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`: ``localhost`` or a loopback address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def parse_duration(text: str, flag: str) -> float:
    """Seconds, from ``30s``, ``500ms``, ``2m`` or ``1h``."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise SettingsError(f"{flag}: '{text}' is not a duration; write 30s, 500ms or 2m")
    return float(match[1]) * _SECONDS[match[2]]


def parse_count(text: str, flag: str) -> int:
    """A whole number from 1 to a million."""
    if not (text.isascii() and text.isdigit() and len(text) <= 7 and 1 <= int(text) <= 1_000_000):
        raise SettingsError(f"{flag}: '{text}' is not a number from 1 to 1000000; write 20000")
    return int(text)


def parse_bytes(text: str, flag: str) -> int:
    """A number of bytes of at least a megabyte, from ``500MB`` or ``20GB``."""
    match = _BYTES.fullmatch(text.strip())
    if match is None or int(match[1]) < 1:
        raise SettingsError(f"{flag}: '{text}' is not a size of at least a megabyte; write 500MB or 20GB")
    return int(match[1]) * _UNITS[match[2]]


def parse_part(text: str, flag: str) -> float:
    """0 to 1, from ``1%``, ``0.5%`` or ``100%``."""
    match = _PART.fullmatch(text.strip())
    if match is None or float(match[1]) > 100:
        raise SettingsError(f"{flag}: '{text}' is not a part; write 1%, 0.5% or 100%")
    return float(match[1]) / 100


def cores() -> int:
    """How many cores this process may use (a container's CPU set counts, not the machine's)."""
    return len(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that `fig serve` was told."""

    rules: Path
    listen: Address | None
    """For plain HTTP; None where there is none."""
    admin: Address
    workers: int
    state: Path
    drain: float
    """Seconds from SIGTERM until whatever still runs is killed."""
    handover: float = 600.0
    """Seconds that a worker which was replaced may go on with what it carries."""
    max_connections: int | None = None
    """Clients that one worker holds at the same time; None for as many as file descriptors allow, within reason."""
    journal_quota: int | None = None
    """Bytes that the journal may hold before writes are refused; None for as many as the disk takes."""
    access_log: float = 0.01
    """The part of good exchanges that the access log tells of, 0 to 1; it always tells of 5xx and failures."""
    tls_listen: Address | None = None
    """For TLS."""
    certificates: Path | None = None
    """The folder of the certificates that clients are shown there."""
    admin_token: str = field(default="", repr=False)
    read_token: str = field(default="", repr=False)

    @classmethod
    def parse(cls, texts: Mapping[str, str]) -> Self:
        """From the FIG_ variables in `texts`; what is absent or empty takes its default. Raises SettingsError."""

        def text(name: str, default: str) -> str:
            return texts.get(f"FIG_{name}", "").strip() or default

        workers = text("WORKERS", str(cores()))
        if not workers.isascii() or not workers.isdigit() or not 1 <= int(workers) <= 1024:
            raise SettingsError(f"--workers: '{workers}' is not a number of workers; write 1 to 1024")
        settings = cls(
            rules=Path(text("CONFIG", DEFAULT_RULES)),
            listen=parse_listen(text("LISTEN", DEFAULT_LISTEN), "--listen"),
            tls_listen=parse_listen(text("TLS_LISTEN", NOWHERE), "--tls-listen"),
            certificates=Path(folder) if (folder := text("CERTIFICATES", "")) else None,
            admin=Address.parse(text("ADMIN", DEFAULT_ADMIN), "--admin"),
            workers=int(workers),
            state=Path(text("STATE", DEFAULT_STATE)),
            drain=parse_duration(text("DRAIN", DEFAULT_DRAIN), "--drain"),
            max_connections=parse_count(most, "--max-connections") if (most := text("MAX_CONNECTIONS", "")) else None,
            handover=parse_duration(text("HANDOVER", DEFAULT_HANDOVER), "--handover"),
            journal_quota=parse_bytes(quota, "--journal-quota") if (quota := text("JOURNAL_QUOTA", "")) else None,
            access_log=parse_part(text("ACCESS_LOG", DEFAULT_ACCESS_LOG), "--access-log"),
            admin_token=text("ADMIN_TOKEN", ""),
            read_token=text("READ_TOKEN", ""),
        )
        check_tokens(settings.admin, settings.admin_token, settings.read_token)
        _check_listening(settings)
        return settings


def parse_listen(text: str, flag: str) -> Address | None:
    """An address, or None for ``none``. Raises SettingsError."""
    return None if text == NOWHERE else Address.parse(text, flag)


def _check_listening(settings: Settings) -> None:
    """Raises SettingsError."""
    plain, tls = settings.listen, settings.tls_listen
    if plain is None and tls is None:
        raise SettingsError("--listen none: then clients need --tls-listen; give an address for one of them")
    if tls is not None and settings.certificates is None:
        raise SettingsError("--tls-listen: needs --certificates, the folder of the certificates that clients are shown")
    if tls is None and settings.certificates is not None:
        raise SettingsError("--certificates: has no use without --tls-listen; write --tls-listen 0.0.0.0:8443")
    if plain is not None and plain == tls and plain.port:
        raise SettingsError(f"--tls-listen {tls}: plain HTTP listens there; choose another port, or --listen none")


def check_tokens(admin: Address, admin_token: str, read_token: str) -> None:
    """Refuse an admin API that strangers could use (DESIGN section 6). Raises SettingsError."""
    if not admin.is_loopback and not (admin_token and read_token):
        raise SettingsError(
            f"--admin {admin}: an address that other machines reach needs --admin-token and --read-token "
            "(or FIG_ADMIN_TOKEN and FIG_READ_TOKEN); or listen on 127.0.0.1"
        )
    if read_token and not admin_token:
        raise SettingsError("--read-token without --admin-token would leave changes open to everyone; set both")
    if admin_token and admin_token == read_token:
        raise SettingsError("--admin-token and --read-token must differ: who may look may not move traffic")
    for flag, token in (("--admin-token", admin_token), ("--read-token", read_token)):
        if any(not 33 <= ord(char) <= 126 for char in token):
            raise SettingsError(f"{flag}: a token is printable ASCII without blanks")
