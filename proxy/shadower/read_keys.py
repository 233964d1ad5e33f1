"""The order key of a mirrored read, told as that of a write is: by what `order_by` names in its request."""

from __future__ import annotations

from proxy.shadower.tables import Tables
from proxy.wire import Mirror
from rules.asked import Asked
from shadow.journal.journal import order_key_hash
from shadow.sealing import Sealer


class ReadKeys:
    """Of the routes in force."""

    def __init__(self, tables: Tables, sealer: Sealer) -> None:
        self._tables = tables
        self._sealer = sealer

    def of(self, mirror: Mirror) -> bytes:
        """The key's keyed hash; ``b""`` where the read, or its route, has none."""
        read = self._tables.order_reader(mirror.route)
        if read is None:
            return b""
        path, _, query = mirror.target.partition("?")
        headers: dict[str, list[str]] = {}
        for name, value in mirror.headers:
            headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        host = mirror.host.rpartition(":")[0] if mirror.host.rpartition(":")[2].isdigit() else mirror.host
        key = read(Asked(mirror.method, host.lower(), path, query, headers=headers))
        return order_key_hash(self._sealer, mirror.route, key)
