"""Routes on which one always answers: fig itself, or a service that has no candidate beside it. They stand nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proxy.control import standings
from proxy.control.proofs import Proofs
from proxy.control.settling import open_desk
from proxy.control.store import DATABASE, SqlStore
from proxy.wire import Tally
from rules.document import Route
from tests.fakes.running_control import control, write
from tests.fakes.worker_link import workers

GONE = {"name": "gone", "match": {"path": "/old/**"}, "respond": {"status": 410}}
MOVED = {"name": "moved", "match": {"path": "/here"}, "redirect": {"path": "/there"}}
KEPT = {"name": "kept", "match": {"path": "/cart/special"}, "legacy": "monolith"}
OTHERS = (GONE, MOVED, KEPT)


@pytest.mark.parametrize(
    ("route", "expected"),
    [(GONE, "fig itself (respond)"), (MOVED, "fig itself (redirect)"), (KEPT, "the service monolith")],
    ids=["respond", "redirect", "legacy"],
)
def test_it_is_said_who_answers(route: dict[str, Any], expected: str) -> None:
    assert standings.answers(Route.model_validate(route)) == expected


def test_they_have_no_standing_and_no_history(tmp_path: Path) -> None:
    write(tmp_path, others=OTHERS)
    (tmp_path / "state").mkdir()
    store = SqlStore.at(tmp_path / "state" / DATABASE)

    book, _ = open_desk(tmp_path / "fig.yaml", tmp_path / "state", store, strict=True)

    assert list(book.standings) == ["cart"]
    assert list(book.routes) == ["cart", "gone", "moved", "kept"]
    assert [entry.route for entry in store.history()] == ["cart"]
    assert list(store.load().standings) == ["cart"]
    store.close()


async def test_a_move_of_one_is_refused_with_a_sentence(tmp_path: Path) -> None:
    write(tmp_path, others=OTHERS)
    async with control(tmp_path) as running:
        refused = await running.api.post("/api/routes/gone/rollback", json={"to": "legacy"})
        asked = await running.api.get("/api/routes/kept/gate")

        assert (refused.status_code, asked.status_code) == (409, 409)
        assert refused.json()["error"] == (
            "route 'gone' has no sides to choose between: fig itself (respond) always answers"
        )
        assert running.published().generation == 1


async def test_status_tells_who_answers_and_how_often(tmp_path: Path) -> None:
    write(tmp_path, others=OTHERS)
    async with control(tmp_path) as running, workers(running.state, "loaded") as [worker]:
        await worker.told()
        labels = (("reason", ""), ("route", "gone"), ("status", "410"))
        worker.send(Tally(counts=[("own_answers", labels, 3.0)]))

        async def is_counted() -> bool:
            return bool((await running.status())["unsided"][0]["requests"])

        await running.until(is_counted)
        status = await running.status()

    assert [route["name"] for route in status["routes"]] == ["cart"]
    assert status["unsided"] == [
        {"name": "gone", "answers": "fig itself (respond)", "requests": 3},
        {"name": "moved", "answers": "fig itself (redirect)", "requests": 0},
        {"name": "kept", "answers": "the service monolith", "requests": 0},
    ]


async def test_metrics_have_no_stage_of_them(tmp_path: Path) -> None:
    write(tmp_path, others=OTHERS)
    async with control(tmp_path) as running:
        metrics = (await running.api.get("/metrics")).text

    assert 'fig_route_stage{route="cart",stage="shadow"} 1.0' in metrics
    assert 'route="gone"' not in metrics
    assert 'route="kept"' not in metrics


async def test_a_route_that_lost_its_candidate_leaves_and_enters_anew_when_it_has_one_again(tmp_path: Path) -> None:
    cart = {"name": "cart", "match": {"path": "/cart/**"}, "respond": {"status": 503}}
    write(tmp_path, stage="live")
    async with control(tmp_path) as running:
        for routes, generation in ((None, 2), ({"stage": "shadow"}, 3)):
            if routes is None:
                text = (tmp_path / "fig.yaml").read_text()
                (tmp_path / "fig.yaml").write_text(
                    text[: text.index("routes:")]
                    + f"routes: [{cart}]\nversion: 1\n"
                    + ("services: {monolith: {url: 'http://127.0.0.1:9000'}, shop: {url: 'http://127.0.0.1:9001'}}\n")
                )
            else:
                write(tmp_path, **routes)
            running.reload_asked.set()

            async def is_published(wanted: int = generation) -> bool:
                return running.published().generation == wanted

            await running.until(is_published)
        history = (await running.api.get("/api/history")).json()["history"]

    assert [(entry["action"], entry["why"]) for entry in history] == [
        ("enter", "the rules file says shadow"),
        ("leave", "the route has no candidate any more"),
        ("enter", "the rules file says live"),
    ]


async def test_nothing_is_proven_of_them(tmp_path: Path) -> None:
    write(tmp_path, others=OTHERS)
    (tmp_path / "state").mkdir()
    store = SqlStore.at(tmp_path / "state" / DATABASE)
    book, _ = open_desk(tmp_path / "fig.yaml", tmp_path / "state", store, strict=True)
    store.close()
    proofs = Proofs(tmp_path / "state")

    await proofs.refresh(book)

    found = proofs.of("gone")
    assert found is not None
    assert found.reason == "no certificate is asked for"
