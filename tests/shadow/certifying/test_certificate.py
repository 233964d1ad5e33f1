"""When pairs are proof enough: the bound, the pre-set number, and what blocks it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binom

from shadow.certifying.certificate import (
    Certificate,
    CertificateVerdict,
    Evidence,
    allowed_differences,
    judge_certificate,
    shown_alone,
    upper_bound,
)
from shadow.certifying.strata import Stratum, StratumKind
from shadow.spec import CertificateTarget

DEFAULT = CertificateTarget()
THOUSAND = CertificateTarget.model_validate({"accuracy": "99%", "pairs": 1000})
SOME_MAY = CertificateTarget.model_validate({"accuracy": "99%", "pairs": 1000, "differences": "allowed"})
DELETES = CertificateTarget.model_validate({"strata": [{"method": "DELETE", "kind": "write", "pairs": 300}]})


def verdict(target: CertificateTarget = DEFAULT, **evidence: int) -> CertificateVerdict:
    return judge_certificate(Evidence(**({"differing": 0, "differing_first": 0} | evidence)), target).verdict


def test_the_bound_is_clopper_and_pearsons() -> None:
    assert upper_bound(200_000, 0, 0.95) == pytest.approx(1.498e-5, rel=1e-3)
    assert upper_bound(300, 0, 0.95) == pytest.approx(1 - 0.05 ** (1 / 300))
    assert upper_bound(1000, 7, 0.99) == pytest.approx(beta.ppf(0.99, 8, 993))
    assert upper_bound(0, 0, 0.95) == upper_bound(5, 5, 0.95) == 1.0


@given(st.integers(1, 400), st.floats(0.5, 0.999), st.data())
def test_at_the_bound_seeing_so_few_differences_is_as_rare_as_promised(
    pairs: int, confidence: float, data: st.DataObject
) -> None:
    differing = data.draw(st.integers(0, pairs - 1))
    bound = upper_bound(pairs, differing, confidence)
    assert binom.cdf(differing, pairs, bound) == pytest.approx(1 - confidence, rel=1e-6)


def test_as_many_differences_are_allowed_as_the_accuracy_leaves_room_for() -> None:
    assert allowed_differences(DEFAULT) == 0
    assert allowed_differences(THOUSAND) == 0
    allowed = allowed_differences(SOME_MAY)
    assert upper_bound(1000, allowed, 0.95) <= 0.01 < upper_bound(1000, allowed + 1, 0.95)


def test_enough_pairs_without_a_difference_are_go() -> None:
    certificate = judge_certificate(Evidence(300, 0, 0), DEFAULT)
    assert certificate.verdict is CertificateVerdict.GO
    assert certificate.bound <= 0.01
    assert (
        certificate.reason
        == "none of the first 300 pairs differs: with 95% confidence at least 99% of all answers agree"
    )


def test_too_few_pairs_are_not_judged() -> None:
    assert verdict(pairs=0) is verdict(pairs=299) is CertificateVerdict.TOO_FEW


def test_more_differences_than_the_target_can_take_are_no_go_at_once() -> None:
    assert verdict(pairs=10, differing=1, differing_first=1) is CertificateVerdict.NO_GO
    assert verdict(SOME_MAY, pairs=10, differing=1, differing_first=1) is CertificateVerdict.TOO_FEW


def test_any_difference_is_no_go_whenever_it_came() -> None:
    for pairs, first in ((10, 1), (1000, 1), (100_000, 1), (100_000, 0)):
        assert verdict(THOUSAND, pairs=pairs, differing=1, differing_first=first) is CertificateVerdict.NO_GO
    certificate = judge_certificate(Evidence(100_000, 1, 0), THOUSAND)
    assert certificate.reason.startswith("1 of 100,000 pairs differs, and any difference is NO-GO")


def test_where_some_may_differ_the_first_pairs_make_the_claim_but_later_ones_can_break_it() -> None:
    assert verdict(SOME_MAY, pairs=10_000, differing=5, differing_first=0) is CertificateVerdict.GO
    assert verdict(SOME_MAY, pairs=10_000, differing=101, differing_first=0) is CertificateVerdict.NO_GO
    assert verdict(SOME_MAY, pairs=10_000, differing=20, differing_first=20) is CertificateVerdict.NO_GO


def of_strata(*strata: Stratum) -> Certificate:
    pairs = sum(each.pairs for each in strata if each.kind.compared)
    return judge_certificate(Evidence(pairs, 0, 0, strata=strata), DELETES)


def test_a_stratum_with_a_target_of_its_own_holds_a_go_back_until_it_is_met() -> None:
    reads = Stratum("GET", "2xx", StratumKind.READ, 100_000)
    few = of_strata(reads, Stratum("DELETE", "2xx", StratumKind.WRITE, 298))
    assert few.verdict is CertificateVerdict.TOO_FEW
    assert "298 of the 300 pairs of DELETE (write) that it takes are compared" in few.reason

    enough = of_strata(
        reads, Stratum("DELETE", "2xx", StratumKind.WRITE, 298), Stratum("DELETE", "4xx", StratumKind.WRITE, 2)
    )
    assert enough.verdict is CertificateVerdict.GO
    assert [(shown.pairs, shown.proven) for shown in enough.strata] == [(300, True)]
    apart = of_strata(reads, Stratum("DELETE", "2xx", StratumKind.NO_PAIR, 300))
    assert apart.verdict is CertificateVerdict.TOO_FEW


def test_what_shows_little_on_its_own_is_named_and_what_has_no_pair_shows_nothing() -> None:
    shown = shown_alone(
        [
            Stratum("GET", "2xx", StratumKind.READ, 5000),
            Stratum("DELETE", "2xx", StratumKind.WRITE, 3),
            Stratum("POST", "5xx", StratumKind.NO_PAIR, 7),
        ],
        THOUSAND,
    )
    assert [(one.name, one.pairs, one.proven) for one in shown] == [
        ("DELETE 2xx", 3, False),
        ("GET 2xx", 5000, True),
        ("POST 5xx", 0, False),
    ]
    assert shown[0].bound == pytest.approx(1 - 0.05 ** (1 / 3))


def test_a_stratum_that_its_pairs_cannot_prove_or_that_names_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="10 pairs of DELETE cannot show 99% at 95% confidence; it takes at least 299"):
        CertificateTarget.model_validate({"strata": [{"method": "DELETE", "pairs": 10}]})
    with pytest.raises(ValueError, match="names no stratum; give 'method', 'status' or 'kind'"):
        CertificateTarget.model_validate({"strata": [{"pairs": 300}]})


@pytest.mark.parametrize("blocking", ["gaps", "doubts", "dead"])
def test_gaps_doubts_and_dead_copies_block_whatever_the_pairs_say(blocking: str) -> None:
    for pairs in (0, 100, 300):
        assert verdict(pairs=pairs, **{blocking: 1}) is CertificateVerdict.FAULT


def test_writes_that_are_overdue_hold_a_go_back() -> None:
    assert verdict(pairs=300, overdue=1) is CertificateVerdict.TOO_FEW


@given(
    st.integers(0, 2000),
    st.integers(0, 60),
    st.integers(0, 60),
    st.integers(0, 1),
    st.integers(0, 1),
    st.integers(0, 1),
)
def test_nothing_is_go_unless_everything_is_in_order(
    pairs: int, first: int, later: int, gaps: int, doubts: int, overdue: int
) -> None:
    evidence = Evidence(pairs, first + later, first, gaps, doubts, overdue)
    certificate = judge_certificate(evidence, SOME_MAY)
    if certificate.verdict is CertificateVerdict.GO:
        assert pairs >= 1000
        assert upper_bound(1000, first, 0.95) <= 0.01
        assert not (gaps or doubts or overdue)
    assert certificate.reason
    assert certificate.verdict.exit_code in (0, 1, 3, 4)


def test_a_target_that_its_pairs_cannot_reach_is_refused_with_what_would() -> None:
    with pytest.raises(ValueError, match=r"200 pairs cannot show 99.99% .* at least 29956"):
        CertificateTarget.model_validate({"accuracy": "99.99%", "pairs": 200})
    assert CertificateTarget.model_validate({"accuracy": "99.99%", "pairs": 29_956}).least_pairs == 29_956
