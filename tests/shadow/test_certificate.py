"""When pairs are proof enough: the bound, the pre-set number, and what blocks it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binom

from shadow.certificate import CertificateVerdict, Evidence, allowed_differences, judge_certificate, upper_bound
from shadow.spec import CertificateTarget

DEFAULT = CertificateTarget()
THOUSAND = CertificateTarget.model_validate({"accuracy": "99%", "pairs": 1000})


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
    allowed = allowed_differences(THOUSAND)
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
    assert verdict(THOUSAND, pairs=10, differing=1, differing_first=1) is CertificateVerdict.TOO_FEW


def test_only_the_first_pairs_make_the_claim_but_later_ones_can_break_it() -> None:
    assert verdict(pairs=10_000, differing=5, differing_first=0) is CertificateVerdict.GO
    assert verdict(pairs=10_000, differing=101, differing_first=0) is CertificateVerdict.NO_GO
    assert verdict(pairs=10_000, differing=1, differing_first=1) is CertificateVerdict.NO_GO


@pytest.mark.parametrize("blocking", ["gaps", "doubts"])
def test_gaps_and_doubts_block_whatever_the_pairs_say(blocking: str) -> None:
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
    certificate = judge_certificate(evidence, THOUSAND)
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
