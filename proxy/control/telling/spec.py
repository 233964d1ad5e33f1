"""The blocks `webhooks.*` and `notify.*` of the rules file: who is asked, who is told, and of what.

Frozen values that say nothing of their secrets: the URL of a chat's webhook is one too, so neither `repr` nor any
problem shows a URL or a secret.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from rules.names import Block, Name
from rules.quantities import Duration

SHORTEST_SECRET = 16
LONGEST_TIMEOUT = 60.0


class Happening(StrEnum):
    """What a line of the history tells of."""

    PROMOTE = "promote"
    """Another stage, further on."""
    STEP = "step"
    """A larger share within canary."""
    ROLLBACK = "rollback"
    """Less for the candidate: an earlier stage, or a smaller share."""
    FREEZE = "freeze"
    UNFREEZE = "unfreeze"
    VETO = "veto"
    """A webhook stood against a move, or could not be asked."""
    SLO = "slo"
    """An error budget burns fast, is used up, or has recovered."""
    RULES = "rules"
    """What a rules file brought without moving a route: routes that came or left, other candidates."""
    OTHER = "other"
    """All else that people did and the history has: commands to the shadower, approvals."""


FORWARD = frozenset((Happening.PROMOTE, Happening.STEP))
"""Moves that a webhook may stand against."""
Moved = Literal["promote", "step", "rollback", "freeze", "unfreeze"]


def _http(url: str) -> str:
    """Raises ValueError, without the URL: it may be a secret."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("is no http or https URL; write it like https://changes.example/fig, or as a ${VARIABLE}")
    if parts.fragment:
        raise ValueError("has a '#', which is never sent; remove it")
    return url


def _secret(secret: str) -> str:
    if len(secret) < SHORTEST_SECRET:
        raise ValueError(f"is shorter than {SHORTEST_SECRET} characters, which can be guessed; use 32 random ones")
    return secret


Url = Annotated[str, Field(max_length=4096), AfterValidator(_http)]
Secret = Annotated[str, Field(max_length=4096), AfterValidator(_secret)]


class Receiver(Block):
    """Whoever gets POST requests from fig, and how hard fig tries."""

    url: Url = Field(repr=False)
    """Where fig posts to; if it is a secret, a variable: ``${TEAM_CHAT_URL}``."""
    routes: tuple[Name, ...] = ()
    """Only what happens on these routes; without it, on every route."""
    timeout: Duration = 5.0
    """How long one attempt may take as a whole."""
    attempts: int = Field(default=4, ge=1, le=10)
    """How often fig tries, where nobody answers or the answer is 408, 425, 429 or 5xx."""
    backoff: Duration = 0.5
    """The longest wait before the second attempt; it doubles with each further one, and chance takes a part of it."""

    @field_validator("timeout")
    @classmethod
    def _timeout_is_short(cls, timeout: float) -> float:
        if not 0.1 <= timeout <= LONGEST_TIMEOUT:
            raise ValueError("an attempt may take from 100ms to 1m; write it like 5s")
        return timeout

    @field_validator("backoff")
    @classmethod
    def _backoff_is_short(cls, backoff: float) -> float:
        if not 0.01 <= backoff <= 30:
            raise ValueError("the first wait is from 10ms to 30s; write it like 500ms")
        return backoff

    @property
    def place(self) -> str:
        """Where it is, without path, user and password: fit for every screen."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    def concerns(self, route: str) -> bool:
        return not self.routes or route in self.routes


class Webhook(Receiver):
    """A program that is asked before moves, told after them, or both."""

    secret: Secret = Field(repr=False)
    """What requests are signed with; always a variable: ``${FIG_WEBHOOK_SECRET}``."""
    when: tuple[Literal["before", "after"], ...] = Field(default=("before", "after"), min_length=1)
    """`before`: asked whether a move forward may be made; `after`: told of every move."""
    moves: tuple[Moved, ...] = Field(default=("promote", "step", "rollback", "freeze", "unfreeze"), min_length=1)
    """Which moves; only `promote` and `step` are ever asked about."""
    on_failure: Literal["hold", "go"] = "hold"
    """What becomes of a move forward when the webhook cannot be reached."""
    ask_again: Duration = 300.0
    """How long an answer holds for the same move: one that was refused is asked about anew after that time."""

    @field_validator("ask_again")
    @classmethod
    def _answers_hold_a_while(cls, ask_again: float) -> float:
        if not 1 <= ask_again <= 86_400:
            raise ValueError("an answer holds from 1s to 1d; write it like 5m")
        return ask_again

    @model_validator(mode="after")
    def _can_be_asked(self) -> Self:
        if self.when == ("before",) and not FORWARD.intersection(self.moves):
            raise ValueError("is never asked: 'before' is about moves forward only; add promote or step to 'moves'")
        return self


_TOLD = ("promote", "step", "rollback", "freeze", "unfreeze", "veto", "slo")


class Notify(Receiver):
    """People who are told of what happens."""

    form: Literal["json", "slack"] = "json"
    """`slack`: as incoming webhooks of Slack want it, and what imitates them; `json`: fig's own form."""
    secret: Secret | None = Field(default=None, repr=False)
    """`json`: what requests are signed with; always a variable."""
    events: tuple[Happening, ...] = Field(default=tuple(Happening(each) for each in _TOLD), min_length=1)
    """What they are told of."""
    per_minute: int = Field(default=6, ge=1, le=60)
    """Messages a minute at most; what happens meanwhile goes into the next one together."""

    @model_validator(mode="after")
    def _signs_its_own_form(self) -> Self:
        if self.form == "slack" and self.secret is not None:
            raise ValueError("'secret' belongs to form json; nobody would check a signature here, so remove it")
        return self
