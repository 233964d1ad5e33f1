"""Made-up attempts: what is broken goes back, what is equal goes live where traffic suffices, and nothing is hidden."""

from __future__ import annotations

import numpy as np
import pytest

from canary.evidence import Evidence
from canary.gate import judge
from canary.plan import RolloutPlan
from canary.simulating.attempts import Outcome, Patience, attempt, play, simulable
from canary.simulating.power import Power, advice, candidates
from canary.simulating.traffic import Candidate, Load, Traffic, worse
from canary.spec import Gate, Metric
from rules.stages import MILLION

LOAD = Load(rate=200.0, median=0.05, p99=0.2, errors=0.002, events={"order": 0.1}, values={"order": 40.0})
GATE = Gate.model_validate(
    {
        "metrics": [
            {"name": "errors", "kind": "error_rate", "margin": "3pp", "critical": True},
            {"name": "p90", "kind": "latency", "quantile": 0.9, "margin": "100%"},
        ]
    }
)
PLAN = RolloutPlan.model_validate({"steps": ["25%", "50%"], "hold": "10s", "gate": "g", "deadline": "5m"})
PATIENCE = Patience(400.0, 200_000)


def test_an_equal_candidate_goes_live_and_a_broken_one_back() -> None:
    equal = attempt(GATE, PLAN, LOAD, Candidate(), 1, PATIENCE)
    broken = attempt(GATE, PLAN, LOAD, Candidate("broken", failing=0.3), 1, PATIENCE)

    assert (equal.outcome, equal.share) == (Outcome.LIVE, 500_000)
    assert (broken.outcome, broken.share) == (Outcome.ROLLED_BACK, 250_000)
    assert broken.seconds < equal.seconds
    assert "'errors' is worse" in broken.why


def test_the_same_seed_is_the_same_attempt() -> None:
    assert attempt(GATE, PLAN, LOAD, Candidate(), 5, PATIENCE) == attempt(GATE, PLAN, LOAD, Candidate(), 5, PATIENCE)


def test_too_little_traffic_is_undecided_within_its_patience() -> None:
    end = attempt(GATE, PLAN, Load(rate=0.2), Candidate(), 1, Patience(300.0))
    assert end.outcome is Outcome.UNDECIDED


def test_an_attempt_that_its_deadline_ends_is_undecided_whatever_becomes_of_the_route() -> None:
    """Else a team would read that its equal candidates are found to be worse."""
    for end in ("freeze", "rollback"):
        plan = RolloutPlan.model_validate({**PLAN.model_dump(mode="json"), "deadline": "30s", "on_deadline": end})
        gate, plan, _ = simulable(GATE, plan)

        found = attempt(gate, plan, Load(rate=0.2), Candidate(), 1, Patience(300.0))

        assert found.outcome is Outcome.UNDECIDED
        assert found.seconds < 300.0


@pytest.mark.parametrize("share", [0, 10_000, 500_000])
def test_traffic_is_what_it_was_asked_to_be(share: int) -> None:
    traffic = Traffic(LOAD, Candidate(failing=0.1, slower=2.0, events={"order": 0.5}), ("order",), 3)
    batches = [traffic.batch(float(second), 1.0, share) for second in range(300)]
    side, seconds, failed = (
        np.concatenate([getattr(each, name) for each in batches]) for name in ("side", "seconds", "failure")
    )
    orders = np.concatenate([each.side[each.events[0][0]] for each in batches])

    assert len(side) == pytest.approx(60_000, rel=0.03)
    assert side.mean() == pytest.approx(share / MILLION, abs=0.02)
    assert np.median(seconds[side == 0]) == pytest.approx(0.05, rel=0.1)
    assert np.quantile(seconds[side == 0], 0.99) == pytest.approx(0.2, rel=0.2)
    assert (failed[side == 0] > 0).mean() == pytest.approx(0.002, abs=0.001)
    assert all((each.clock[:-1] <= each.clock[1:]).all() for each in batches)
    if share == 500_000:
        assert np.median(seconds[side == 1]) == pytest.approx(0.1, rel=0.1)
        assert (failed[side == 1] > 0).mean() == pytest.approx(0.102, abs=0.01)
        assert (orders == 1).sum() / (side == 1).sum() == pytest.approx(0.05 * 0.9, abs=0.005)


@pytest.mark.parametrize("per_unit", [5.0, 200.0])
def test_units_make_as_many_requests_as_they_are_said_to_however_seldom_it_is_looked(per_unit: float) -> None:
    load = Load(rate=200.0, per_unit=per_unit)
    evidence = Evidence("r", "g", GATE, subject="", share=500_000, since=0.0)

    play(evidence, Traffic(load, Candidate(), (), 1), 1000.0, 500.0, 0.25)

    came = evidence.arrivals.seen - 1000  # those that are there from the beginning
    assert came == pytest.approx(evidence.requests.sum() / per_unit, rel=0.1)
    assert evidence.windows > 490


def test_events_are_told_in_the_window_in_which_they_happen() -> None:
    gate = Gate.model_validate(
        {"metrics": [{"name": "conversion", "kind": "rate", "event": "order", "margin": "10%"}], "window": "1s"}
    )
    evidence = Evidence("r", "g", gate, subject="", share=500_000, since=0.0)
    at_once = Evidence("r", "g", gate, subject="", share=500_000, since=0.0)

    play(evidence, Traffic(LOAD, Candidate(), gate.events, 1), 1000.0, 60.0, 1.0)
    play(at_once, Traffic(LOAD, Candidate(), gate.events, 1), 1000.0, 60.0, 60.0)

    spread, lumped = (judge(gate, each, 1060.0).metrics[0] for each in (evidence, at_once))
    assert spread.estimate is not None
    assert spread.low is not None and spread.high is not None
    assert lumped.high is None or spread.high - spread.low < lumped.high - (lumped.low or -1.0)


def metric(**given: object) -> Metric:
    return Metric.model_validate({"name": "m", **given})


def test_worse_by_its_margin_means_what_the_metric_says() -> None:
    assert worse(metric(kind="error_rate", margin="2pp"), 1, LOAD).failing == pytest.approx(0.02)
    assert worse(metric(kind="error_rate", margin="50%"), 2, LOAD).failing == pytest.approx(0.002)
    assert worse(metric(kind="latency", margin="20%"), 1, LOAD).slower == pytest.approx(1.2)
    assert worse(metric(kind="latency", margin="20ms"), 2, LOAD).later == pytest.approx(0.04)
    assert worse(metric(kind="rate", event="order", margin="10%"), 1, LOAD).events == {"order": pytest.approx(0.9)}
    assert worse(metric(kind="mean_per_event", event="order", margin="10%"), 1, LOAD).values == {
        "order": pytest.approx(0.9)
    }


def test_what_no_candidate_can_do_alone_is_no_candidate() -> None:
    gate = Gate.model_validate({"metrics": [{"name": "served", "kind": "throughput", "margin": "10%"}]})
    assert [each.name for each in candidates(gate, LOAD)] == ["equal", "20% fail", "3 times as slow"]
    with pytest.raises(ValueError, match="not made worse by itself"):
        worse(gate.metrics[0], 1, LOAD)


def test_what_cannot_be_simulated_is_said() -> None:
    plan = PLAN.model_copy(update={"approve_live": True})
    _, plain, notes = simulable(GATE, plan)
    assert not plain.approve_live
    assert any("approvals" in note for note in notes) and any("instant" in note for note in notes)


def test_a_metric_in_which_no_candidate_is_made_worse_is_said() -> None:
    served = metric(kind="throughput", margin="10%")
    gate = GATE.model_copy(update={"metrics": (*GATE.metrics, served)})

    _, _, notes = simulable(gate, PLAN)

    assert [note for note in notes if note.startswith("'m'")] == [
        "'m' is judged, but no candidate is tried that is worse in it alone"
    ]


@pytest.mark.parametrize(
    "given", [{"kind": "throughput", "margin": "0.5 absolute"}, {"kind": "rate", "event": "order", "margin": "1pp"}]
)
def test_of_an_absolute_margin_of_what_units_do_no_candidate_is_made_worse(given: dict[str, str]) -> None:
    asked = metric(**given, within="20s")
    gate = GATE.model_copy(update={"metrics": (*GATE.metrics, asked)})
    _, _, notes = simulable(gate, PLAN)
    assert "'m' is judged, but no candidate is tried that is worse in it alone" in notes
    assert not any(name.name.startswith("m ") for name in candidates(gate, LOAD))


def test_advice_is_about_equal_candidates_and_harm_that_is_not_seen() -> None:
    live = attempt(GATE, PLAN, LOAD, Candidate(), 1, PATIENCE)
    sound = advice([Power("equal", (live,)), Power("errors worse", (live,))])
    assert sound == [
        "an equal candidate goes live in 100% of attempts",
        "not rolled back in half of the attempts or more: errors worse",
    ]


def test_every_metric_is_made_worse_by_one_margin_and_by_two() -> None:
    names = [each.name for each in candidates(GATE, LOAD)]
    assert names[0] == "equal"
    assert names[1:5] == [f"{name} worse by {times} x margin" for name in ("errors", "p90") for times in (1, 2)]
