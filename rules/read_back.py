"""`writes.read_back`: the question by which a side is asked whether it has applied a write, and what its answer shows.

The grammar only. What a question and an answer come to for one write is shadow/delivery/read_back.py's.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from rules.names import Block, Positive
from rules.quantities import Share
from rules.selectors import Pointer, RequestValue, places_of


def status_text(value: object) -> object:
    """A status that YAML takes for a number, as text. For a validator before pydantic's own."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


StatusPattern = Annotated[
    str,
    BeforeValidator(status_text, json_schema_input_type=int | str),
    StringConstraints(pattern=r"^[1-5](xx|[0-9]{2})$"),
]
"""``2xx`` or ``404``."""


def is_of(status: int, pattern: str) -> bool:
    """Whether `status` is one that a StatusPattern names."""
    return str(status) == pattern or (pattern.endswith("xx") and str(status // 100) == pattern[0])


def _question(path: str) -> str:
    if not re.fullmatch(r"/[!-~]*", path) or "#" in path:
        raise ValueError(f"'{path:.80}' is no path; write it like /api/orders/{{order}}")
    for _ in places_of(path):
        pass
    return path


QuestionPath = Annotated[str, AfterValidator(_question)]


class Equal(Block):
    """One value of the answer that must be one of the write's."""

    body: Pointer
    """A JSON pointer into the answer's body; the step ``*`` is every item, of which one is enough."""
    with_: RequestValue = Field(alias="with")
    """The write's value: ``path:order``, ``header:idempotency-key``, ``request:/version``."""


class Applied(Block):
    """What the answer must be for the write to be applied."""

    status: StatusPattern = "2xx"
    """``2xx`` or ``200``. An answer with another status says nothing, unless `absent` names it."""
    equals: tuple[Equal, ...] = ()
    """Values of the answer's JSON body; all must hold. One that is there and differs says that the write is not
    applied; one that is missing says nothing."""


class ReadBack(Block):
    """How to ask a side, by a GET, whether it has applied a write whose answer nobody has."""

    path: QuestionPath
    """Path and query, with places to fill: ``{order}`` of the route's path, ``{header:NAME}``, ``{request:/id}``."""
    candidate: QuestionPath | None = None
    """The same for the candidate, where its path is another one."""
    applied: Applied = Applied()
    """What shows that this very write is applied."""
    absent: tuple[StatusPattern, ...] = ("404", "410")
    """Statuses by which the side says that it has no such thing: the write is not applied."""
    within: Positive | None = None
    """Seconds after which a write that is not applied will not be any more; by default the service's timeout."""
    patience: Positive = 30.0
    """Seconds after `within` that later writes of the key go on waiting for an answer that shows anything."""
    state: Share = 100_000
    """Part of the keys whose state both sides are asked for, and which is compared, once their writes are copied."""

    @model_validator(mode="after")
    def _shows_this_write(self) -> ReadBack:
        if self.applied.equals:
            return self
        own = {place.partition(":")[0] for _, place in places_of(self.path)}
        if not own & {"header", "request", "query"}:
            raise ValueError(
                "shows that something is there, not that this write is applied; add "
                "'applied: {equals: [{body: /last_key, with: header:idempotency-key}]}', say, or ask for the write "
                "itself: 'path: /writes/{header:idempotency-key}'"
            )
        return self
