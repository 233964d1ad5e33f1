"""`fig serve` told to end while a copy is under way, in a short drain: the copy is finished, not made a doubt."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import httpx

from shadow.journal.reader import read_standing
from shadow.journal.writes import Standing
from tests.fakes.ledger import Entries, ledger, rules_for
from tests.fakes.served import eventually, serving


def test_a_copy_under_way_has_what_the_workers_left_of_a_short_drain(tmp_path: Path) -> None:
    candidate = Entries()
    with ledger(Entries()) as legacy, ledger(candidate) as slow:
        (tmp_path / "fig.yaml").write_text(rules_for(legacy.url, slow.url))
        with serving(tmp_path, more={"FIG_DRAIN": "3s"}) as fig:
            eventually(fig.ready, "fig ready")
            with candidate.lock:  # its answer waits for this
                answer = httpx.post(f"http://127.0.0.1:{fig.port}/orders/k", content="first", trust_env=False)
                assert answer.status_code == 201
                ending = threading.Thread(target=fig.end, args=(signal.SIGTERM,))
                ending.start()
                eventually(lambda: fig.logged("draining", process="shadower"), "the shadower draining")
                time.sleep(0.7)  # longer than the fifth of the drain that shadower and control once had
            ending.join(20)

        assert fig.process.returncode == 0
        assert candidate.applied == {"k": ["first"]}
        assert read_standing(tmp_path / "state" / "journal.db").get("orders", Standing()) == Standing()
