"""A gate's verdict for other rollout controllers: what Argo Rollouts' web provider and Flagger's webhooks ask as they
are. Everything here may be asked with the reading token, and changes nothing.

``GET /api/gates/{route}``              always answers; `verdict` is what ``jsonPath: "{$.verdict}"`` takes
``GET /api/gates/{route}/decision``     answers once the verdict is promote or rollback, 409 before: for Argo that is a
                                        measurement to try again, where an inconclusive one would count as made
``POST /api/gates/{route}/flagger/X``   200 when Flagger may go on at its hook X, 409 with the reason when it may not
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from canary.verdict import Verdict
from proxy.control.guard import GATES, problem

Judge = Callable[[str], dict[str, Any]]
"""Route -> its judgement as JSON has it (canary.report). Raises UnknownRouteError, and MoveError without a gate."""

HOOKS: dict[str, frozenset[Verdict]] = {
    "confirm-rollout": frozenset(Verdict) - {Verdict.ROLLBACK},
    "pre-rollout": frozenset(Verdict) - {Verdict.ROLLBACK},
    "rollout": frozenset({Verdict.PROMOTE, Verdict.KEEP_WATCHING}),
    "confirm-traffic-increase": frozenset({Verdict.PROMOTE, Verdict.KEEP_WATCHING}),
    "confirm-promotion": frozenset({Verdict.PROMOTE}),
    "rollback": frozenset({Verdict.ROLLBACK}),
}
"""Flagger's kinds of webhooks (docs.flagger.app, "Webhooks") -> the verdicts that are answered with 200. Before there
is traffic no evidence can be asked for, only that nothing speaks against it; 200 to `rollback` is what rolls back."""


class FlaggerCall(BaseModel):
    """Body of Flagger's webhooks. Which route is asked about stands in the path; later versions may send more."""

    model_config = ConfigDict(extra="ignore")
    name: str = Field(default="", max_length=253)
    """Of the Canary in Kubernetes."""
    namespace: str = Field(default="", max_length=253)
    phase: str = Field(default="", max_length=100)


def routes(judge: Judge) -> Sequence[web.RouteDef]:
    """The handlers, with their paths."""

    async def standing(request: web.Request) -> web.Response:
        return web.json_response(_short(judge(request.match_info["route"])))

    async def decision(request: web.Request) -> web.Response:
        found = _short(judge(request.match_info["route"]))
        if found["verdict"] in (Verdict.PROMOTE, Verdict.ROLLBACK):
            return web.json_response(found)
        return problem(409, f"no decision yet: {found['verdict']}: {found['reason']}")

    async def flagger(request: web.Request) -> web.Response:
        passing = HOOKS.get(hook := request.match_info["hook"])
        if passing is None:
            return problem(404, f"'{hook:.40}' is no webhook that fig answers; those are {', '.join(HOOKS)}")
        FlaggerCall.model_validate_json(await request.read() or b"{}")
        found = _short(judge(request.match_info["route"]))
        if Verdict(found["verdict"]) in passing:
            return web.json_response(found)
        return problem(
            409, f"{hook}: no, the gate of route '{found['route']}' says {found['verdict']}: {found['reason']}"
        )

    return [
        web.get(GATES + "{route}", standing),
        web.get(GATES + "{route}/decision", decision),
        web.post(GATES + "{route}/flagger/{hook}", flagger),
    ]


def _short(judgement: dict[str, Any]) -> dict[str, Any]:
    """What others decide by; flat, so that any path language finds it."""
    verdict = Verdict(judgement["verdict"])
    return {
        "route": judgement["route"],
        "gate": judgement["gate"],
        "verdict": verdict.value,
        "exit_code": verdict.exit_code,
        "promote": verdict is Verdict.PROMOTE,
        "rollback": verdict is Verdict.ROLLBACK,
        "reason": judgement["reason"],
        "legacy_requests": judgement["legacy_requests"],
        "candidate_requests": judgement["candidate_requests"],
        "at": judgement["at"],
    }
