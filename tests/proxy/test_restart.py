"""Restarting in turn, with fake children under the real supervisor: who is replaced when, and what may go wrong."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from proxy.claims import StartError, hold
from proxy.restart import Report, ask
from tests.fakes.served import PATIENCE, Served, eventually
from tests.proxy.test_supervisor import alive, all_up, answer, events, pids_up, supervised

pytestmark = pytest.mark.timeout(150)


@contextmanager
def held(port: int, pid: int) -> Iterator[socket.socket]:
    """A connection that the worker with this pid accepted and carries."""
    while True:
        connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        if int(connection.makefile().readline()) == pid:
            break
        connection.close()
    with connection:
        yield connection


def ended(served: Served, number: int = 1) -> Report:
    def over() -> Report | None:
        report = Report.read(served.state)
        return report if report.number >= number and not report.running else None

    return eventually(over, f"the end of restart {number}")


def test_a_worker_is_told_to_retire_when_its_successor_is_up_and_ends_with_its_last_connection(tmp_path: Path) -> None:
    with supervised(tmp_path) as served:
        before = all_up(served)
        with held(served.port, before["worker-0"]):
            assert ask(served.state) == served.process.pid

            assert ended(served) == Report(1, False, ["supervisor", "control", "shadower", "worker-0", "worker-1"])
            after = pids_up(served)
            assert not set(before.values()) & set(after.values())
            retired = {(worker, before[worker], "retired") for worker in ("worker-0", "worker-1")}
            eventually(
                lambda: retired <= set(events(served)), "both told to retire"
            )  # each says so when it hears of it
            happened = events(served)
            for worker in ("worker-0", "worker-1"):
                assert happened.index((worker, after[worker], "up")) < happened.index(
                    (worker, before[worker], "retired")
                )
            assert alive(before["worker-0"])
            assert {answer(served.port) for _ in range(30)} <= {after["worker-0"], after["worker-1"]}
        eventually(lambda: not alive(before["worker-0"]), "the end of the former worker")
        assert served.end() == 0


def test_a_successor_that_does_not_come_up_leaves_everyone_as_they_are(tmp_path: Path) -> None:
    failing = tmp_path / "failing"
    with supervised(tmp_path, FAKE_FAILING=str(failing)) as served:
        before = all_up(served)
        failing.write_text("worker-0")
        ask(served.state)

        report = ended(served)

        assert report.restarted == ["supervisor", "control", "shadower"]
        assert report.problem.startswith("worker-0: its successor does not come up")
        assert served.logged("restart stopped", child="worker-0")
        assert {answer(served.port) for _ in range(30)} == {before["worker-0"], before["worker-1"]}

        failing.unlink()
        ask(served.state)
        assert ended(served, 2).problem == ""


def test_code_on_disk_that_does_not_start_changes_nothing(tmp_path: Path) -> None:
    failing = tmp_path / "failing"
    with supervised(tmp_path, FAKE_FAILING=str(failing)) as served:
        before = all_up(served)
        failing.write_text("supervisor")
        ask(served.state)

        report = ended(served)

        assert (report.restarted, report.problem.split(",")[0]) == ([], "supervisor: the code on disk does not start")
        assert pids_up(served) == before
        failing.unlink()
        ask(served.state)
        assert ended(served, 2).problem == ""
        assert served.end() == 0


def test_the_supervisor_becomes_the_program_on_disk_and_keeps_children_sockets_and_lock(tmp_path: Path) -> None:
    with supervised(tmp_path, FIG_LISTEN="127.0.0.1:0") as served:
        before = all_up(served)
        first = Path(f"/proc/{served.process.pid}/environ").read_bytes()
        ask(served.state)

        assert ended(served).problem == ""
        assert served.logged("taken over", pid=served.process.pid)
        assert Path(f"/proc/{served.process.pid}/environ").read_bytes() != first
        assert all(served.logged("stopped", pid=before[child], code=0) for child in ("control", "shadower"))
        with pytest.raises(StartError, match="in use by another"):
            hold(served.state, patience=0)
        # What was adopted twice is still looked after.
        ask(served.state)
        assert ended(served, 2).problem == ""
        killed = pids_up(served)["control"]
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: served.logged("crashed", child="control", pid=killed, code=-9), "the crash noticed")
        eventually(lambda: pids_up(served)["control"] != killed, "another control")
        assert served.end() == 0
        assert not any(alive(pid) for _, pid, event in events(served) if event == "up")


def test_signals_that_come_while_the_supervisor_becomes_another_are_heeded(tmp_path: Path) -> None:
    with supervised(tmp_path) as served:
        control = all_up(served)["control"]
        ask(served.state)
        while not served.logged("taken over"):
            served.process.send_signal(signal.SIGHUP)
            served.process.send_signal(signal.SIGUSR2)

        assert ended(served, 2).problem == ""
        assert ("control", control, "SIGHUP") in events(served)
        assert served.process.poll() is None
        assert served.end() == 0


def test_control_that_does_not_come_up_stops_the_restart_and_is_tried_again(tmp_path: Path) -> None:
    failing = tmp_path / "failing"
    with supervised(tmp_path, FAKE_FAILING=str(failing)) as served:
        before = all_up(served)
        failing.write_text("control")
        ask(served.state)

        assert ended(served).problem.startswith("control: it does not come up")
        assert pids_up(served)["shadower"] == before["shadower"]
        failing.unlink()
        eventually(lambda: pids_up(served)["control"] != before["control"], "control again")


def test_a_worker_that_dies_while_its_successor_comes_up_is_replaced_all_the_same(tmp_path: Path) -> None:
    with supervised(tmp_path, FIG_WORKERS="1") as served:
        before = eventually(lambda: pids if len(pids := pids_up(served)) == 3 else None, "three up")
        ask(served.state)
        eventually(lambda: len(served.logged("started", child="worker-0")) > 1, "a successor")
        os.kill(before["worker-0"], signal.SIGKILL)

        assert ended(served).problem == ""
        # Whoever of the two that may have been coming up stays is the one that answers.
        eventually(lambda: answer(served.port) == pids_up(served)["worker-0"], "its answer")


def test_connections_in_the_queue_of_a_worker_that_is_stopped_are_its_successors(tmp_path: Path) -> None:
    with supervised(tmp_path, FIG_WORKERS="1", FIG_HANDOVER="100ms", FIG_DRAIN="100ms") as served:
        before = eventually(lambda: pids_up(served).get("worker-0"), "the worker")
        os.kill(before, signal.SIGSTOP)
        waiting = [socket.create_connection(("127.0.0.1", served.port), timeout=PATIENCE) for _ in range(50)]
        ask(served.state)

        ended(served)
        now = pids_up(served)["worker-0"]
        for connection in waiting:
            with connection:
                assert int(connection.makefile().readline()) == now
        # It heeds no signal, and its time is over.
        eventually(lambda: served.logged("killed", child="worker-0", pid=before), "the end of the stopped one")


def test_who_is_replaced_a_second_time_is_asked_to_end(tmp_path: Path) -> None:
    with supervised(tmp_path, FIG_WORKERS="1") as served:
        first = eventually(lambda: pids_up(served).get("worker-0"), "the worker")
        eventually(lambda: len(pids_up(served)) == 3, "three up")
        with held(served.port, first):
            ask(served.state)
            ended(served)
            second = pids_up(served)["worker-0"]
            with held(served.port, second):
                ask(served.state)
                ended(served, 2)

                eventually(lambda: not alive(first), "the end of the first")
                assert alive(second)


def test_a_termination_in_the_middle_ends_everyone(tmp_path: Path) -> None:
    with supervised(tmp_path) as served:
        all_up(served)
        ask(served.state)
        eventually(lambda: served.logged("replaced", child="worker-0"), "the first worker's successor")

        assert served.end() == 0

        assert not any(alive(pid) for _, pid, event in events(served) if event == "up")


def test_asking_where_nobody_serves_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="no `fig serve` runs on the state folder"):
        ask(tmp_path)
    (tmp_path / "lock").write_text("not a number")
    with pytest.raises(LookupError, match="no `fig serve` runs"):
        ask(tmp_path)


def test_a_process_that_has_got_the_number_of_a_dead_supervisor_gets_no_signal(tmp_path: Path) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        (tmp_path / "lock").write_text(f"{stranger.pid}\n")
        with pytest.raises(LookupError, match=f"process {stranger.pid} is none"):
            ask(tmp_path)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"number": 1, "more": 2}'])
def test_a_report_that_tells_nothing_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "restart.json").write_text(text)

    assert Report.read(tmp_path) == Report()


def test_a_report_reads_back_as_it_was_written(tmp_path: Path) -> None:
    report = Report(7, True, ["control"], "a problem")
    report.write(tmp_path)

    assert Report.read(tmp_path) == report
    assert json.loads((tmp_path / "restart.json").read_text())["number"] == 7
