"""Units to buckets: the only hash in fig, and the one that Envoy's hash policy and HAProxy have too."""

from __future__ import annotations

from xxhash import xxh64_intdigest

from rules.stages import MILLION

BUCKETS = MILLION
"""One bucket per millionth of share: a unit is the candidate's if and only if its bucket < share."""


def unit_hash(salt: str, unit: str) -> int:
    """xxh64(salt + "|" + unit, seed 0), 64 bits. Salt and unit are ASCII."""
    digest: int = xxh64_intdigest(f"{salt}|{unit}".encode())
    return digest


def bucket(salt: str, unit: str) -> int:
    """0 to 999,999."""
    return unit_hash(salt, unit) % BUCKETS
