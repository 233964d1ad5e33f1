"""After a rollback, through a real `fig serve`: legacy answers for a key once it has what the candidate answered."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.fakes.ledger import Entries, ledger, rules_for
from tests.fakes.ports import free_port
from tests.fakes.served import Served, eventually, serving


class Away:
    """A live route whose candidate has answered one write of the key `k`, while legacy takes no connections."""

    def __init__(self, fig: Served, port: int) -> None:
        self.fig = fig
        self.legacy = Entries()
        self._port = port
        self._stack = contextlib.ExitStack()

    def legacy_is_back(self) -> None:
        self._stack.enter_context(ledger(self.legacy, self._port))

    def roll_back(self, to: str = "shadow") -> None:
        answer = self.fig.admin.post("/api/routes/orders/rollback", json={"to": to, "why": "a test"})
        assert answer.status_code == 200 and answer.json()["acknowledged"], answer.text

    def write(self, key: str, text: str) -> httpx.Response:
        return httpx.post(
            f"http://127.0.0.1:{self.fig.port}/orders/{key}",
            content=text,
            headers={"Idempotency-Key": f"{key}-{text}"},
            timeout=30,
            trust_env=False,
        )

    def end(self) -> None:
        self._stack.close()


@contextlib.contextmanager
def away(folder: Path, settle: str) -> Iterator[Away]:
    port, candidate = free_port(), Entries()
    with ledger(candidate) as service:
        writes = f"dedupe: idempotency-key, settle: {settle}"
        rules = rules_for(f"http://127.0.0.1:{port}", service.url, stage="live", writes=writes)
        (folder / "fig.yaml").write_text(rules)
        with serving(folder, workers=1) as fig:
            eventually(fig.ready, "fig ready")
            scene = Away(fig, port)
            try:
                assert scene.write("k", "first").status_code == 201
                assert candidate.applied == {"k": ["first"]}
                yield scene
            finally:
                scene.end()


@pytest.mark.parametrize("to", ["shadow", "legacy"])
def test_a_write_is_told_to_come_again_while_legacy_lacks_the_former_one(tmp_path: Path, to: str) -> None:
    with away(tmp_path, settle="300ms") as scene:
        scene.roll_back(to)

        refused = scene.write("k", "second")

        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) >= 1
        assert "still being copied" in refused.text
        scene.legacy_is_back()
        eventually(lambda: scene.write("k", "second").status_code == 201, "the write taken")
        assert scene.legacy.applied == {"k": ["first", "second"]}


def test_a_write_waits_until_legacy_has_the_former_one_of_its_key(tmp_path: Path) -> None:
    with away(tmp_path, settle="20s") as scene:
        scene.roll_back()
        # Of another key nothing is owed: legacy is away, and that is all that is the matter.
        assert scene.write("another", "first").status_code == 502
        answers: list[httpx.Response] = []
        waiting = threading.Thread(target=lambda: answers.append(scene.write("k", "second")))
        waiting.start()
        waiting.join(1.0)
        assert waiting.is_alive(), "it did not wait"

        scene.legacy_is_back()

        waiting.join(20)
        assert [answer.status_code for answer in answers] == [201]
        assert scene.legacy.applied == {"k": ["first", "second"]}
