"""The shadower: reads are mirrored and compared, bounded, and never while the sides know different writes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from proxy.link import Link, listen
from proxy.wire import Hello, Load, Loaded, Record, Tally
from shadow.delivery.adapted import Adapted
from shadow.pairs.reader import PairReader
from tests.fakes.shadowing import ROUTE, Service, Worker, effective, eventually, shadowing


class Control:
    """Control's end of the link: sums what it is told."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        self.gauges: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        self.generations: list[int] = []
        self.links: list[Link] = []
        self._server: Any = None

    async def listen(self, state: Path) -> None:
        self._server = await listen(state / "control.sock", lambda: Link(self._take, self.links.append))

    def close(self) -> None:
        self._server.close()
        for link in self.links:
            link.close()

    def count(self, name: str, **labels: str) -> float:
        return sum(v for (n, found), v in self.counts.items() if n == name and labels.items() <= dict(found).items())

    def _take(self, link: Link, record: Record) -> None:
        if isinstance(record, Hello | Loaded):
            self.generations.append(record.generation)
        elif isinstance(record, Tally):
            for name, labels, amount in record.counts:
                key = (name, tuple((k, v) for k, v in labels))
                self.counts[key] = self.counts.get(key, 0) + amount
            self.gauges |= {(name, tuple((k, v) for k, v in labels)): value for name, labels, value in record.gauges}


async def test_a_read_is_copied_compared_and_counted(tmp_path: Path, candidate: Service) -> None:
    control = Control()
    await control.listen(tmp_path)
    async with shadowing(tmp_path, effective(candidate.port)), Worker(tmp_path) as worker:
        worker.mirror("/orders/17")
        worker.mirror("/orders/18", answer_body=b'{"target":"other"}')

        await eventually(lambda: control.count("shadow_pairs", result="different") == 1, "the difference counted")
        await eventually(lambda: control.count("shadow_pairs", result="equal") == 1, "the equal pair counted")
        assert control.count("shadow_mirrored", route=ROUTE) == 2
        assert candidate.requests[0][1]["x-fig-copy"] == "shadow"
        assert "idempotency-key" not in candidate.requests[0][1]
        with PairReader(tmp_path / "pairs.db") as reader:
            (window,) = reader.windows(ROUTE)
            assert (window.pairs, window.differing) == (2, 1)
    control.close()


async def test_a_copy_says_what_was_recorded_for_its_side_and_is_compared_as_a_client_would_get_it(
    tmp_path: Path,
) -> None:
    candidate = await Service(body=lambda target: b'{"same":1}').up()
    control = Control()
    await control.listen(tmp_path)
    copy = Adapted(
        "/v2/17?a=1",
        "inside.example",
        [(b"X-Tenant", b"shop")],
        ["content-type", "x-from"],
        [(b"Content-Type", b"application/vnd.shop+json"), (b"X-From", b"candidate")],
    )
    got = [(b"Content-Type", b"application/vnd.shop+json"), (b"X-From", b"candidate")]
    async with shadowing(tmp_path, effective(candidate.port)), Worker(tmp_path) as worker:
        worker.mirror("/orders/17", answer_body=b'{"same":1}', answer_headers=got, copy=copy)
        await eventually(lambda: control.count("shadow_pairs", result="equal") == 1, "the equal pair")
        worker.mirror("/orders/17", answer_body=b'{"same":1}', answer_headers=got)
        await eventually(lambda: control.count("shadow_pairs", result="different") == 1, "the pair without changes")

        (target, headers, _), (plain, _, _) = candidate.requests
        assert (target, headers["host"], headers["x-tenant"]) == ("/v2/17?a=1", "inside.example", "shop")
        assert plain == "/orders/17"
    control.close()
    await candidate.down()


async def test_a_read_of_which_the_rules_make_no_request_is_a_difference_and_is_not_sent(
    tmp_path: Path, candidate: Service
) -> None:
    control = Control()
    await control.listen(tmp_path)
    async with shadowing(tmp_path, effective(candidate.port)), Worker(tmp_path) as worker:
        worker.mirror("/orders/17", unwritable="the path has no single reading")

        await eventually(lambda: control.count("shadow_pairs", result="different") == 1, "the difference counted")
        assert candidate.requests == []
        assert control.count("shadow_mirrored") == 0
    control.close()


async def test_a_candidate_that_does_not_answer_is_a_difference(tmp_path: Path) -> None:
    candidate = await Service().up()
    await candidate.down()
    control = Control()
    await control.listen(tmp_path)
    async with shadowing(tmp_path, effective(candidate.port)), Worker(tmp_path) as worker:
        worker.mirror()

        await eventually(lambda: control.count("shadow_pairs", result="different") == 1, "the difference counted")
    control.close()


async def test_reads_while_a_write_of_the_route_is_on_its_way_are_unsettled(tmp_path: Path, candidate: Service) -> None:
    control = Control()
    await control.listen(tmp_path)
    async with shadowing(tmp_path, effective(candidate.port)) as fig, Worker(tmp_path) as worker:
        before = time.time()
        granted = await worker.intend("17")
        worker.mirror("/orders/17")  # while it is in flight
        await eventually(lambda: control.count("shadow_pairs", result="unsettled") == 1, "unsettled in flight")
        worker.send(worker.outcome(granted.sequence))  # type: ignore[union-attr]
        await eventually(lambda: not fig.standing.intended and not fig.standing.undelivered, "delivered")
        worker.mirror("/orders/17", started=before)  # begun before the write
        await eventually(lambda: control.count("shadow_pairs", result="unsettled") == 2, "unsettled before")
        worker.mirror("/orders/17")

        await eventually(lambda: control.count("shadow_mirrored") == 1, "the last one mirrored")
    control.close()


async def test_a_candidate_that_hangs_costs_mirrors_and_nothing_else(tmp_path: Path) -> None:
    hung = await Service(behave=lambda number: "hang").up()
    control = Control()
    await control.listen(tmp_path)
    async with shadowing(tmp_path, effective(hung.port), drain=0.2) as fig, Worker(tmp_path) as worker:
        for number in range(400):
            worker.mirror(f"/orders/{number}")

        await eventually(
            lambda: control.count("shadow_dropped", reason="crowded") == 400 - 256 - 16, "the surplus dropped"
        )
        assert len(hung.requests) <= 16 * 20
        assert await fig.end() == 0
    control.close()
    await hung.down()


async def test_a_new_table_is_loaded_when_control_says_so_and_pairs_are_counted_anew(tmp_path: Path) -> None:
    one, other = await Service().up(), await Service().up()
    control = Control()
    await control.listen(tmp_path)
    async with shadowing(tmp_path, effective(one.port)) as fig, Worker(tmp_path) as worker:
        await eventually(lambda: control.generations == [1], "hello")
        worker.mirror()
        await eventually(lambda: control.count("shadow_pairs") == 1, "the first pair")
        fig.publish(effective(other.port, generation=2))
        control.links[0].send(Load(2))
        await eventually(lambda: control.generations == [1, 2], "loaded")
        worker.mirror()
        await eventually(lambda: control.count("shadow_pairs") == 2, "the second pair")

        assert len(other.requests) == 1
        with PairReader(tmp_path / "pairs.db") as reader:
            assert [window.pairs for window in reader.windows(ROUTE)] == [1, 1]
    control.close()
    await one.down()
    await other.down()


async def test_a_table_that_cannot_be_read_leaves_the_former_one_in_force(tmp_path: Path, candidate: Service) -> None:
    control = Control()
    await control.listen(tmp_path)
    async with shadowing(tmp_path, effective(candidate.port)), Worker(tmp_path) as worker:
        await eventually(lambda: control.generations == [1], "hello")
        (tmp_path / "effective.json").write_text("{")
        control.links[0].send(Load(2))
        await eventually(lambda: control.generations == [1, 1], "refused")
        worker.mirror()

        await eventually(lambda: len(candidate.requests) == 1, "mirrored by the former table")
    control.close()
