"""Commands that name a route, against control itself: what is no name moves nothing, above all no other route."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from proxy.cli import app
from proxy.cli.admin import AdminError, of_route
from tests.fakes.running_control import Running, control, write

OTHER = {"name": "b", "match": {"path": "/b/**"}, "candidate": "shop", "unit": {"cookie": "unit"}}
NO_NAMES = [
    "b/../cart",
    "../routes/cart",
    "b/%2e%2e/cart",
    "cart/promote?x=",
    "cart#",
    ".",
    "..",
    "",
    "x" * 65,
    "\udcff",
]


async def fig(running: Running, *words: str) -> Result:
    given = [*words, "--admin", str(running.api.base_url)]
    return await asyncio.to_thread(CliRunner().invoke, app, given)


async def test_no_command_moves_another_route_than_the_one_that_it_names(tmp_path: Path) -> None:
    write(tmp_path, others=[OTHER])
    async with control(tmp_path) as running:
        before = await running.status()
        for name in NO_NAMES:
            for words in (
                *(("stage", name, "canary", "--share", "20%"), ("promote", name), ("rollback", name)),
                *(("approve", name), ("abort", name), ("freeze", name), ("unfreeze", name)),
                *(("canary", "report", name), ("canary", "gate", name)),
            ):
                result = await fig(running, *words)

                said = "say which route" if (*words[:2], name) == ("canary", "gate", "") else "no route '"
                assert (result.exit_code, said in result.stderr) == (2, True), (words, result.output)
                assert "Traceback" not in result.output
        after = await running.status()
        moved = await fig(running, "freeze", "cart")
    assert after["generation"] == before["generation"]
    assert "the move is recorded" in moved.stderr


async def test_an_unknown_name_is_told_with_those_that_exist(tmp_path: Path) -> None:
    write(tmp_path)
    async with control(tmp_path) as running:
        result = await fig(running, "promote", "crat")

    assert (result.exit_code, result.stderr) == (2, "fig: no route 'crat'; there are: cart\n")


@pytest.mark.parametrize("name", ["a", "A.b_c-d", "x" * 64, "..."])
def test_a_name_stands_in_the_path_as_it_is(name: str) -> None:
    assert of_route(name, "gate") == f"/api/routes/{name}/gate"


@pytest.mark.parametrize("name", [name for name in NO_NAMES if name])
def test_what_is_no_name_makes_no_path(name: str) -> None:
    with pytest.raises(AdminError, match="no route '"):
        of_route(name, "gate")


@pytest.mark.parametrize("words", [("promote", "a", "--why", "\udcff"), ("history", "\udcff"), ("slo", "\udcff")])
def test_what_is_no_text_is_refused(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*words, "--admin", "127.0.0.1:9"])

    assert (result.exit_code, result.stderr) == (2, "fig: what was given is not UTF-8 text: it holds \\udcff\n")
