"""The supervisor with fake children: real processes, real signals, real sockets."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import AbstractContextManager
from itertools import pairwise
from pathlib import Path

import pytest

from proxy.children import FIRST_DELAY, LONGEST_DELAY, Child, delay
from proxy.claims import StartError, bind, hold
from proxy.settings import Address
from proxy.supervisor import reserve
from tests.fakes.ports import free_port
from tests.fakes.served import PATIENCE, Served, eventually, serving

pytestmark = pytest.mark.timeout(150)

SUPERVISED = [sys.executable, str(Path(__file__).parents[1] / "fakes" / "supervised.py")]


def supervised(folder: Path, **more: str) -> AbstractContextManager[Served]:
    return serving(folder, SUPERVISED, more=more)


def events(served: Served) -> list[tuple[str, int, str]]:
    """(child, pid, what happened), as the fakes noted it."""
    file = served.state / "events"
    lines = file.read_text().splitlines() if file.exists() else []
    return [(name, int(pid), event) for name, pid, event in (line.split(" ", 2) for line in lines)]


def pids_up(served: Served) -> dict[str, int]:
    return {name: pid for name, pid, event in events(served) if event == "up"}


def all_up(served: Served) -> dict[str, int]:
    return eventually(lambda: pids if len(pids := pids_up(served)) == 4 else None, "four children up")


def alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:  # which may come to be between opening and reading it
        return False


def answer(port: int) -> int:
    """The pid that the answering worker tells."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        return int(connection.makefile().readline())


@pytest.mark.parametrize("child", ["control", "shadower", "worker-0", "worker-1"])
def test_a_killed_process_is_started_again_and_logged(tmp_path: Path, child: str) -> None:
    with supervised(tmp_path) as served:
        first = all_up(served)[child]

        os.kill(first, signal.SIGKILL)

        eventually(lambda: pids_up(served)[child] != first, f"another {child}")
        assert served.logged("crashed", child=child, code=-9)[0]["restart_in"] == 0
        assert all(
            pid == pids_up(served)[name] for name, pid, event in events(served) if name != child and event == "up"
        )


def test_connections_wait_in_the_queue_of_a_worker_that_is_down(tmp_path: Path) -> None:
    with supervised(tmp_path, FIG_WORKERS="1") as served:
        first = eventually(lambda: pids_up(served).get("worker-0"), "the worker")
        os.kill(first, signal.SIGSTOP)
        with socket.create_connection(("127.0.0.1", served.port), timeout=PATIENCE) as waiting:
            os.kill(first, signal.SIGKILL)

            assert int(waiting.makefile().readline()) == eventually(
                lambda: pid if (pid := pids_up(served)["worker-0"]) != first else None, "another worker"
            )


def test_both_workers_get_connections(tmp_path: Path) -> None:
    with supervised(tmp_path) as served:
        workers = {pid for name, pid in all_up(served).items() if name.startswith("worker")}

        assert eventually(lambda: answer(served.port) and {answer(served.port) for _ in range(50)} == workers, "both")


def test_sigterm_drains_workers_then_shadower_then_control_and_exits_0(tmp_path: Path) -> None:
    with supervised(tmp_path) as served:
        all_up(served)

        assert served.end(signal.SIGTERM) == 0

        ends = [name for name, _, event in events(served) if event == "end"]
        assert sorted(ends[:2]) == ["worker-0", "worker-1"]
        assert ends[2:] == ["shadower", "control"]
        with pytest.raises(ConnectionRefusedError):
            answer(served.port)


def test_what_does_not_drain_in_time_is_killed(tmp_path: Path) -> None:
    with supervised(tmp_path, FAKE_STUBBORN="worker", FIG_DRAIN="500ms") as served:
        workers = [pid for name, pid in all_up(served).items() if name.startswith("worker")]

        assert served.end(signal.SIGTERM) == 0

        assert {line["child"] for line in served.logged("killed")} >= {"worker-0", "worker-1"}
        assert not any(alive(pid) for pid in workers)


def test_a_second_interrupt_kills_at_once(tmp_path: Path) -> None:
    with supervised(tmp_path, FAKE_STUBBORN="worker", FIG_DRAIN="1h") as served:
        children = all_up(served).values()
        served.process.send_signal(signal.SIGINT)
        eventually(lambda: served.logged("draining"), "draining")

        assert served.end(signal.SIGINT) == 130

        assert not any(alive(pid) for pid in children)


def test_children_do_not_outlive_a_killed_supervisor(tmp_path: Path) -> None:
    with supervised(tmp_path) as served:
        children = all_up(served).values()

        served.end(signal.SIGKILL)

        eventually(lambda: not any(alive(pid) for pid in children), "the end of every child")
        assert {event for _, _, event in events(served)} == {"up", "the supervisor is gone", "end"}


def test_sighup_reaches_control_alone(tmp_path: Path) -> None:
    with supervised(tmp_path) as served:
        control = all_up(served)["control"]

        served.process.send_signal(signal.SIGHUP)

        eventually(lambda: ("control", control, "SIGHUP") in events(served), "SIGHUP at control")
        assert [name for name, _, event in events(served) if event == "SIGHUP"] == ["control"]


def test_control_alone_is_told_the_secrets(tmp_path: Path) -> None:
    with supervised(
        tmp_path, FIG_ADMIN_TOKEN="changing", FIG_READ_TOKEN="reading", OTEL_EXPORTER_OTLP_HEADERS="key=secret"
    ) as served:
        all_up(served)

        for told in ("knows the token", "knows the collector's secret"):
            assert [name for name, _, event in events(served) if event == told] == ["control"]


def test_broken_rules_start_nothing_and_exit_2(tmp_path: Path) -> None:
    with supervised(tmp_path, FAKE_CHECK="2") as served:
        assert served.process.wait(PATIENCE) == 2
        assert events(served) == []


def test_a_state_folder_in_use_is_refused_with_the_holders_number(tmp_path: Path) -> None:
    with supervised(tmp_path) as first:
        all_up(first)
        with supervised(tmp_path) as second:
            assert second.process.wait(PATIENCE) == 2
            assert f"in use by another `fig serve` (process {first.process.pid})" in second.log[-1]["text"]


def test_a_port_in_use_is_refused_even_when_its_holder_would_share_it(tmp_path: Path) -> None:
    with supervised(tmp_path) as first:
        all_up(first)
        with supervised(tmp_path, FIG_STATE=str(tmp_path / "other"), FIG_LISTEN=f"127.0.0.1:{first.port}") as second:
            assert second.process.wait(PATIENCE) == 2
            assert f"cannot listen on 127.0.0.1:{first.port}: Address already in use" in second.log[-1]["text"]


def test_a_successor_waits_until_the_children_of_a_killed_supervisor_have_drained(tmp_path: Path) -> None:
    ours = hold(tmp_path, patience=0)  # by a process that has ended since, as far as the folder can tell
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    gone.wait()
    os.pwrite(ours, f"{gone.pid}\n".encode(), 0)
    with pytest.raises(StartError, match="in use"):
        hold(tmp_path, patience=0.1)
    os.close(ours)

    os.close(hold(tmp_path, patience=0.1))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::"])
def test_every_socket_of_an_address_gets_the_same_port(host: str) -> None:
    try:
        sockets = bind(Address(host, 0), 3)
    except StartError as exc:
        pytest.skip(f"this machine has no IPv6: {exc}")
    try:
        assert len({one.getsockname()[1] for one in sockets}) == 1
    finally:
        for one in sockets:
            one.close()


def test_a_name_that_means_nothing_is_said_so() -> None:
    with pytest.raises(StartError, match=r"cannot listen on no\.such\.invalid"):
        bind(Address("no.such.invalid", free_port()), 1)


def test_the_first_restart_is_at_once_and_then_the_back_off_doubles_up_to_its_longest() -> None:
    first, *delays = [delay(failures) for failures in range(1, 20)]

    assert first == 0
    assert delays[0] == FIRST_DELAY
    assert all(later in (2 * earlier, LONGEST_DELAY) for earlier, later in pairwise(delays))
    assert delays[-1] == LONGEST_DELAY


def test_a_reload_asked_for_before_a_process_can_heed_it_waits_there(tmp_path: Path) -> None:
    told = tmp_path / "told"
    code = f"import pathlib, signal; pathlib.Path({str(told)!r}).write_text(str(signal.sigpending()))"
    child = Child("control", ["-c", code], ())
    child.start()
    child.send(signal.SIGHUP)

    child.wait()

    assert "SIGHUP" in told.read_text()
    assert signal.SIGHUP not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_reload_asked_for_in_the_first_moments_of_fig_serve_does_not_end_it() -> None:
    hasty = (
        "import os, signal; import proxy.cli, proxy.cli.serve as serve; alone = serve.alone;"
        "serve.alone = lambda: (os.kill(os.getpid(), signal.SIGHUP), alone()); proxy.cli.main()"
    )
    command = [sys.executable, "-P", "-c", hasty, "serve", "--drain", "wrong"]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 2, done.stderr
    assert "is not a duration" in done.stderr


def test_a_process_that_cannot_be_started_now_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    child = Child("worker-0", ["-c", "pass"], ())
    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", full)
        child.start()
    assert not child.alive
    assert child.due is not None

    child.start()

    assert child.alive
    child.wait()


@pytest.mark.parametrize("drain", [0.1, 0.5, 1.0, 2.0, 5.0, 30.0, 600.0])
def test_workers_get_most_of_a_long_drain_and_the_others_enough_of_a_short_one(drain: float) -> None:
    assert reserve(drain) >= min(1.0, drain / 2)
    assert drain - reserve(drain) >= drain / 2


def test_a_shadower_that_needs_longer_is_told_to_hurry_before_it_is_killed(tmp_path: Path) -> None:
    with supervised(tmp_path, FAKE_STUBBORN="shadower", FIG_DRAIN="1s") as served:
        shadower = all_up(served)["shadower"]

        assert served.end(signal.SIGTERM) == 0

        assert events(served).count(("shadower", shadower, "SIGTERM")) == 2
        assert [line["child"] for line in served.logged("killed")] == ["shadower"]
