"""Arrays and plain values as bytes and back, so that evidence survives a restart of control. No code is ever loaded.

A sum over all of them stands before them: one bit of a disk that turns is noticed, and is not another e-value.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from xxhash import xxh64_digest

_ARRAY = 1
_SUM = len(xxh64_digest(b""))


class SnapshotError(Exception):
    """Bytes that are no snapshot of this evidence: another version, another gate, or damaged."""


def _pack(value: object) -> msgspec.msgpack.Ext:
    if isinstance(value, np.ndarray):
        return msgspec.msgpack.Ext(
            _ARRAY, msgspec.msgpack.encode((value.dtype.str, value.shape, np.ascontiguousarray(value).tobytes()))
        )
    raise NotImplementedError(f"{type(value).__name__} cannot be part of a snapshot")


def _unpack(code: int, data: memoryview) -> object:
    if code != _ARRAY:
        raise SnapshotError(f"unknown part {code}")
    kind, shape, raw = msgspec.msgpack.decode(data, type=tuple[str, tuple[int, ...], bytes])
    return np.frombuffer(raw, np.dtype(kind)).reshape(shape).copy()


def encode(values: dict[str, Any]) -> bytes:
    body = msgspec.msgpack.encode(values, enc_hook=_pack)
    return xxh64_digest(body) + body


def decode(data: bytes) -> dict[str, Any]:
    """Raises SnapshotError on anything that `encode` did not write."""
    if xxh64_digest(data[_SUM:]) != data[:_SUM]:
        raise SnapshotError("damaged: it is not what was written")
    try:
        values = msgspec.msgpack.decode(data[_SUM:], ext_hook=_unpack)
    except (msgspec.MsgspecError, ValueError, TypeError) as exc:
        raise SnapshotError(f"damaged: {exc}") from exc
    if not isinstance(values, dict):
        raise SnapshotError("damaged: not a record")
    return values
