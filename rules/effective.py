"""The effective table as it lies in the state folder: rules, where each route stands, and a generation number."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from rules.document import Rules
from rules.stages import MILLION, Stage


@dataclass(frozen=True, slots=True)
class Position:
    """Where a route stands."""

    stage: Stage
    share: Annotated[int, Field(ge=0, le=MILLION)]
    """Millionths of the units that the candidate answers; counts in stage canary only."""
    frozen: bool = False
    """Nothing but a person moves it."""


class Effective(BaseModel):
    """What workers load, and nothing else. Control writes it, atomically."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    generation: Annotated[int, Field(ge=1)]
    rules: Rules
    positions: dict[str, Position] = {}
    """By route; the file's own stage and share apply to a route that is not in it."""
    comparisons: dict[str, Any] = {}
    """Plain data of the comparisons, for the shadower; rules does not know their form."""
    certificates: dict[str, Any] = {}
    """Plain data of what each route's certificate must show, for reports."""

    @cached_property
    def digest(self) -> str:
        """16 hex digits of SHA-256 over all but generation and positions: what a certificate was issued under."""
        content = self.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"generation", "positions"})
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def position(self, route: str) -> Position:
        """Where `route` stands. Raises KeyError for a route that the rules do not have."""
        return self.positions.get(route) or self._of_file[route]

    @cached_property
    def _of_file(self) -> dict[str, Position]:
        return {route.name: Position(route.stage, route.share) for route in self.rules.routes}

    def encode(self) -> bytes:
        return self.model_dump_json(by_alias=True, exclude_unset=True).encode()

    @classmethod
    def decode(cls, data: bytes) -> Effective:
        """Raises ValueError when the data is not what `encode` of this version writes."""
        return cls.model_validate_json(data, strict=True)
