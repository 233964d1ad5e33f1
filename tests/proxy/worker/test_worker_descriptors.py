"""How many clients a worker takes on with the file descriptors that it is given."""

from __future__ import annotations

import json
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from proxy.worker.descriptors import MOST, needed, room

ASK = """
import resource, sys
from proxy import logs
from proxy.worker.descriptors import enough_for
soft, hard, wanted = (int(text) for text in sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
logs.configure("worker-0")
print(enough_for(wanted or None), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def ask(soft: int, hard: int, wanted: int) -> tuple[list[int], list[dict[str, object]]]:
    """What is held, the limits afterwards, and what was logged."""
    command = [sys.executable, "-P", "-c", ASK, *map(str, (soft, hard, wanted))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=True)
    return [int(text) for text in done.stdout.split()], [json.loads(line) for line in done.stderr.splitlines()]


@given(st.integers(1, 1_000_000))
def test_what_is_needed_for_so_many_clients_has_room_for_them_and_for_no_more(clients: int) -> None:
    assert room(needed(clients)) == clients
    assert room(needed(clients) - 1) == max(clients - 1, 1)


def test_the_soft_limit_becomes_the_hard_one() -> None:
    assert ask(soft=256, hard=2_256, wanted=1_000) == ([1_000, 2_256, 2_256], [])


def test_more_clients_than_descriptors_are_warned_of_with_what_is_needed() -> None:
    held, (warning,) = ask(soft=256, hard=2_256, wanted=12_000)

    assert held == [1_000, 2_256, 2_256]
    assert (warning["limit"], warning["needed"], warning["used_instead"]) == (2_256, 24_256, 1_000)
    assert "ulimit -Hn" in str(warning["event"])


def test_whoever_leaves_it_to_fig_is_not_warned() -> None:
    assert ask(soft=256, hard=2_256, wanted=0) == ([1_000, 2_256, 2_256], [])
    assert room(10**6) > MOST
