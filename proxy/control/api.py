"""The admin API over HTTP: health, metrics, status, history, and the moves of `fig stage`, `promote`, `rollback`...

Handlers translate: JSON to one call of the desk, what it raises to a status code. They decide nothing.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeVar

import structlog
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import ErrorDetails

from canary.rollout import Rollout, place_text
from proxy.control import gates, interventions, standings
from proxy.control.commanding import AwayError, Commanding
from proxy.control.desk import Decide, Desk, Moved, UnknownRouteError
from proxy.control.explaining import Explaining, Question
from proxy.control.exposition import CONTENT_TYPE
from proxy.control.guard import EXPLAIN, Guard, problem
from proxy.control.metrics import Source, pieces
from proxy.control.records import Standing
from proxy.control.standings import MoveError
from proxy.control.status import entry_document
from proxy.control.store import StoreError
from proxy.control.telling.happenings import Intention
from proxy.slices import in_slices
from proxy.wire import Argument
from rules.document import Route
from rules.effective import Position
from rules.quantities import Share
from rules.stages import MILLION, Stage

log = structlog.get_logger(__name__)

BODY_LIMIT = 64 * 1024
HISTORY_LIMIT = 1000


class Shown(Source, Protocol):
    """What the API shows, besides the desk."""

    @property
    def desk(self) -> Desk: ...

    def readiness(self) -> str:
        """Empty when traffic is served by the effective table; else what is missing."""

    def status(self) -> dict[str, Any]: ...

    def evidence(self, route: str) -> Mapping[str, Any]:
        """What is known for the history when somebody moves the route now."""

    def gate(self, route: str) -> dict[str, Any]:
        """The judgement of the route's gate as it stands. Raises UnknownRouteError, and MoveError without a gate."""

    def course(self, route: str) -> dict[str, Any]:
        """How its attempt goes, or went. Raises as `gate`."""

    def objectives(self, route: str | None = None) -> list[dict[str, Any]]:
        """Service level objectives; of a route, those that can stop it. Raises UnknownRouteError."""

    async def permit(self, intention: Intention, actor: str, why: str) -> bool:
        """Whether webhooks were asked about the move, and allowed it. Raises MoveError where one did not."""

    def goes_past(self, intention: Intention) -> list[str]:
        """What the pilot would have waited for before this move."""


class BodyError(Exception):
    """A request's body that is not JSON."""


class Move(BaseModel):
    """Body of every change."""

    model_config = ConfigDict(extra="forbid")
    why: str = Field(default="", max_length=1000)
    by: str = Field(default="someone", max_length=100)
    """Who asks, as they call themselves; whoever holds the token could say anything."""


class ShadowCommand(Move):
    """Body of a command to the shadower."""

    arguments: dict[str, Argument] = {}
    """As the action wants them (proxy.shadower.commands)."""

    @field_validator("arguments", mode="before")
    @classmethod
    def _check_lists(cls, arguments: object) -> object:
        """Pydantic would read ``true`` in a list as 1: a key that nobody named."""
        for name, value in arguments.items() if isinstance(arguments, dict) else ():
            if isinstance(value, list) and not all(type(each) in (int, str) for each in value):
                raise ValueError(f"'{name}' is to be a list of texts and whole numbers only")
        return arguments


class StageMove(Move):
    stage: Stage
    share: Share | None = None


class RollbackMove(Move):
    to: Stage = Stage.SHADOW


class FreezeMove(Move):
    hold_against_rollback: bool = False


class Approval(Move):
    step: Share | Literal["live"] | None = None
    """Which step is meant; without it the next one."""


class Api:
    """The handlers, and the application that they make up."""

    def __init__(self, shown: Shown, guard: Guard, commanding: Commanding) -> None:
        self._shown = shown
        self._commanding = commanding
        self._explaining = Explaining(lambda: shown.desk.book.effective)
        self.app = web.Application(middlewares=[_errors, guard.middleware], client_max_size=BODY_LIMIT)
        moves = "/api/routes/{route}"
        self.app.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._metrics),
                web.get("/api/status", self._status),
                web.get("/api/history", self._history),
                web.get("/api/slo", self._slo),
                web.post(EXPLAIN, self._explain),
                web.get(moves + "/gate", self._gate),
                web.get(moves + "/course", self._course),
                web.post(moves + "/stage", self._stage),
                web.post(moves + "/promote", self._promote),
                web.post(moves + "/rollback", self._rollback),
                web.post(moves + "/freeze", self._freeze),
                web.post(moves + "/unfreeze", self._unfreeze),
                web.post(moves + "/approve", self._approve),
                web.post(moves + "/abort", self._abort),
                web.post("/api/shadow/{action}", self._command),
                *gates.routes(shown.gate),
            ]
        )

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def _readyz(self, _: web.Request) -> web.Response:
        missing = self._shown.readiness()
        if missing:
            return web.json_response({"status": "not ready", "missing": missing}, status=503)
        return web.json_response({"status": "ready", "generation": self._shown.desk.book.effective.generation})

    async def _metrics(self, _: web.Request) -> web.Response:
        body = await in_slices(pieces(self._shown), time.monotonic)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})

    async def _status(self, _: web.Request) -> web.Response:
        return web.json_response(self._shown.status())

    async def _history(self, request: web.Request) -> web.Response:
        route = request.query.get("route")
        text = request.query.get("limit", "100")
        if re.fullmatch("[0-9]{1,4}", text) is None or not 1 <= int(text) <= HISTORY_LIMIT:
            return problem(400, f"limit: '{text:.20}' is not a number of lines; write 1 to {HISTORY_LIMIT}")
        entries = await self._shown.desk.history(route, int(text))
        return web.json_response({"history": [entry_document(entry) for entry in entries]})

    async def _slo(self, request: web.Request) -> web.Response:
        return web.json_response({"at": time.time(), "slo": self._shown.objectives(request.query.get("route"))})

    async def _explain(self, request: web.Request) -> web.Response:
        question = await _body(request, Question)
        try:
            return web.json_response(await self._explaining.answer(question))
        except ValueError as exc:
            return problem(400, str(exc))

    async def _gate(self, request: web.Request) -> web.Response:
        return web.json_response(self._shown.gate(request.match_info["route"]))

    async def _course(self, request: web.Request) -> web.Response:
        return web.json_response(self._shown.course(request.match_info["route"]))

    async def _stage(self, request: web.Request) -> web.Response:
        asked = await _body(request, StageMove)

        def decide(route: Route, position: Position, steps: Sequence[int]) -> Position:
            return standings.staged(route, position, asked.stage, asked.share, steps)

        return await self._move(request, "stage", asked, decide)

    async def _promote(self, request: web.Request) -> web.Response:
        return await self._move(request, "promote", await _body(request, Move), standings.promoted)

    async def _rollback(self, request: web.Request) -> web.Response:
        asked = await _body(request, RollbackMove)

        def decide(route: Route, standing: Standing, now: float) -> Rollout:
            return interventions.rolled_back(route, standing, asked.to, asked.by, asked.why, now)

        return await self._intervene(request, "rollback", asked, decide)

    async def _freeze(self, request: web.Request) -> web.Response:
        asked = await _body(request, FreezeMove)
        pinned = asked.hold_against_rollback
        said = "held against rollback too" if pinned else ""
        return await self._intervene(
            request, "freeze", asked, lambda _, standing, __: interventions.frozen(standing, pinned=pinned), said
        )

    async def _unfreeze(self, request: web.Request) -> web.Response:
        asked = await _body(request, Move)
        return await self._intervene(
            request, "unfreeze", asked, lambda _, standing, now: interventions.unfrozen(standing, now)
        )

    async def _approve(self, request: web.Request) -> web.Response:
        asked = await _body(request, Approval)
        share = MILLION if asked.step == "live" else asked.step
        plan = self._shown.desk.plan(request.match_info["route"])
        agreed = interventions.approved(self._shown.desk.standing(request.match_info["route"]), plan, share).approved

        def decide(_: Route, standing: Standing, __: float) -> Rollout:
            return interventions.approved(standing, plan, agreed)

        return await self._intervene(request, "approve", asked, decide, place_text(agreed))

    async def _abort(self, request: web.Request) -> web.Response:
        asked = await _body(request, Move)
        return await self._intervene(
            request, "abort", asked, lambda _, standing, now: interventions.ended(standing, asked.by, asked.why, now)
        )

    async def _command(self, request: web.Request) -> web.Response:
        asked = await _body(request, ShadowCommand)
        action = request.match_info["action"]
        done = await self._commanding.ask(action, asked.arguments, asked.by, asked.why)
        if done.problem:
            return problem(400 if done.malformed else 409, done.problem)
        try:
            for route in done.routes:
                evidence = {"arguments": asked.arguments, "result": done.result}
                await self._shown.desk.note(route, f"shadow {action}", asked.by, asked.why, evidence)
        except (StoreError, OSError) as exc:
            log.exception("a command was carried out and is not in the history", action=action, routes=done.routes)
            return problem(500, f"this was carried out, but the history could not take it: {_short(exc)}")
        return web.json_response(done.result)

    async def _intervene(
        self,
        request: web.Request,
        action: str,
        asked: Move,
        decide: Callable[[Route, Standing, float], Rollout],
        said: str = "",
    ) -> web.Response:
        """As `_move`, for what changes more of a rollout than where it stands; `said` comes before the person's why."""
        route = request.match_info["route"]
        moved = await self._shown.desk.carry_out(
            route,
            decide,
            action=action,
            actor=asked.by,
            why=": ".join(filter(None, (said, asked.why))),
            evidence=self._shown.evidence(route),
        )
        return web.json_response(moved_document(moved))

    async def _move(self, request: web.Request, action: str, asked: Move, decide: Decide) -> web.Response:
        route = request.match_info["route"]
        intention = self._intention(route, decide)
        if await self._shown.permit(intention, asked.by, asked.why):
            decide = _as_allowed(intention, decide)
        past = self._shown.goes_past(intention)
        told = f"past what the pilot waits for: {'; '.join(past)}" if past else ""
        why = "; ".join(filter(None, (asked.why, told)))
        moved = await self._shown.desk.move(
            route, decide, action=action, actor=asked.by, why=why, evidence=self._shown.evidence(route)
        )
        return web.json_response({**moved_document(moved), "went_past": past})

    def _intention(self, route: str, decide: Decide) -> Intention:
        """What `decide` comes to where the route stands now. Raises MoveError."""
        desk = self._shown.desk
        standing = desk.standing(route)
        after = decide(desk.route(route), standing.position, desk.book.steps(route))
        before = Position(standing.rollout.stage, standing.rollout.share)
        return Intention(route, before, standing.rollout.since, Position(after.stage, after.share))


def _as_allowed(intention: Intention, decide: Decide) -> Decide:
    """The same decision, bound to what webhooks have allowed. Raises MoveError."""

    def bound(route: Route, position: Position, steps: Sequence[int]) -> Position:
        found = decide(route, position, steps)
        before, after = (Position(each.stage, each.share) for each in (position, found))
        if (before, after) != (intention.before, intention.after):
            raise MoveError(f"route '{route.name}' was moved while webhooks were asked; look, and ask again")
        return found

    return bound


def moved_document(moved: Moved) -> dict[str, Any]:
    answer = moved.acknowledgement
    return {
        **entry_document(moved.entry),
        "acknowledged": not answer.missing,
        "workers": answer.workers,
        "missing": list(answer.missing),
    }


Body = TypeVar("Body", bound=BaseModel)


async def _body(request: web.Request, model: type[Body]) -> Body:
    """The request's JSON as `model`; an empty body is an empty object. Raises BodyError, ValidationError."""
    raw = await request.read()
    try:
        given = json.loads(raw) if raw.strip() else {}
    except (ValueError, RecursionError) as exc:
        raise BodyError(f"the body is not JSON: {exc}") from exc
    return model.model_validate(given)


def _sentence(error: ErrorDetails) -> str:
    """``share: '7' is not a share; write it like 1%``."""
    where = ".".join(map(str, error["loc"])) or "body"
    what = error["msg"].removeprefix("Value error, ")
    return f"{where}: unknown key" if error["type"] == "extra_forbidden" else f"{where}: {what}"


def _short(exc: Exception) -> str:
    """What went wrong, without the statement that SQLAlchemy shows below it."""
    return str(exc).partition("\n")[0]


@web.middleware
async def _errors(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Any:
    """What handlers raise, as status codes with a sentence."""
    try:
        return await handler(request)
    except UnknownRouteError as exc:
        return problem(404, str(exc))
    except MoveError as exc:
        return problem(409, str(exc))
    except ValidationError as exc:
        return problem(400, "; ".join(_sentence(error) for error in exc.errors()))
    except BodyError as exc:
        return problem(400, str(exc))
    except AwayError as exc:
        return problem(503, str(exc))
    except web.HTTPException as exc:
        if exc.status >= 400:
            return problem(exc.status, exc.reason)
        raise
    except (StoreError, OSError) as exc:
        log.exception("not recorded", path=request.path)
        return problem(503, f"nothing was changed, because it cannot be recorded: {_short(exc)}")
    except Exception:
        log.exception("a request failed", path=request.path)
        return problem(500, "control failed on this request; its log says why")
