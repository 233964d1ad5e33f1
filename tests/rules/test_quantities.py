from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import quantities as q
from rules.quantities import Margin


@pytest.mark.parametrize(
    ("text", "millionths"), [("1%", 10_000), ("0.5%", 5_000), ("100%", 1_000_000), ("0%", 0), ("0.0001%", 1)]
)
def test_a_share_is_a_whole_number_of_millionths(text: str, millionths: int) -> None:
    assert q.parse_share(text) == millionths


@pytest.mark.parametrize("wrong", [5, 0.05, True, "5", "101%", "-1%", "0.00001%", "1e1%", "%", "٥%", "1 000%", None])
def test_what_is_no_share_is_refused_with_an_example(wrong: object) -> None:
    with pytest.raises(ValueError, match="write it like 1%"):
        q.parse_share(wrong)


@pytest.mark.parametrize(
    ("text", "margin"),
    [
        ("10%", Margin(0.10, True)),
        ("0.5pp", Margin(0.005, False)),
        ("20ms", Margin(0.02, False)),
        ("1s", Margin(1, False)),
    ],
)
def test_a_margin_is_relative_or_absolute_as_its_unit_says(text: str, margin: Margin) -> None:
    assert q.parse_margin(text) == margin


@pytest.mark.parametrize(
    ("text", "seconds"), [("250ms", 0.25), ("2s", 2), ("10m", 600), ("24h", 86400), ("7d", 604800)]
)
def test_a_duration_is_seconds(text: str, seconds: float) -> None:
    assert q.parse_duration(text) == seconds


@pytest.mark.parametrize(("text", "size"), [("0B", 0), ("64KB", 65536), ("1MB", 1048576), ("2 GB", 2147483648)])
def test_a_size_is_bytes(text: str, size: int) -> None:
    assert q.parse_size(text) == size


@pytest.mark.parametrize(
    ("parse", "wrong"),
    [
        (q.parse_fraction, "100.1%"),
        (q.parse_fraction, 0.99),
        (q.parse_margin, 0.1),
        (q.parse_margin, "1m"),
        (q.parse_duration, 10),
        (q.parse_duration, "10"),
        (q.parse_duration, "99999d"),
        (q.parse_size, "1mb"),
        (q.parse_size, 1024),
    ],
)
def test_a_quantity_without_its_unit_is_refused(parse: object, wrong: object) -> None:
    with pytest.raises(ValueError, match="write it like"):
        parse(wrong)  # type: ignore[operator]


@given(st.integers(0, 1_000_000))
def test_a_share_survives_writing_and_reading(share: int) -> None:
    assert q.parse_share(q.share_text(share)) == share


@given(st.integers(0, 10**7).map(lambda n: n / 10**7))
def test_a_fraction_survives_writing_and_reading_exactly(fraction: float) -> None:
    assert q.parse_fraction(q.fraction_text(fraction)) == fraction


@given(st.integers(0, 10**9).map(lambda n: n / 1000))
def test_a_duration_survives_writing_and_reading_exactly(seconds: float) -> None:
    if seconds <= q.LONGEST:
        assert q.parse_duration(q.duration_text(seconds)) == seconds


@given(st.integers(0, 2**40))
def test_a_size_survives_writing_and_reading(size: int) -> None:
    assert q.parse_size(q.size_text(size)) == size


@given(st.integers(0, 10**6).map(lambda n: n / 10**5), st.sampled_from(["%", "pp", "s"]))
def test_a_margin_survives_writing_and_reading(value: float, measure: str) -> None:
    margin = Margin(value, measure == "%", measure)
    assert q.parse_margin(q.margin_text(margin)) == margin
