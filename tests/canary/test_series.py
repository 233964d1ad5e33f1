"""Series: points of both sides at the same times."""

from __future__ import annotations

import numpy as np
import pytest

from canary.series import Series


def test_a_series_cannot_be_changed_not_even_through_what_it_was_made_from() -> None:
    times = np.array([1.0, 2.0])
    series = Series(times, np.array([3.0, 4.0]), np.array([5.0, np.nan]))
    times[0] = 9

    assert series.times[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        series.legacy[0] = 0


def test_whole_leaves_out_points_that_lack_a_side() -> None:
    series = Series(np.array([1.0, 2.0, 3.0]), np.array([np.nan, 4.0, 5.0]), np.array([5.0, np.nan, 6.0]))

    assert series.whole().times.tolist() == [3.0]


@pytest.mark.parametrize(
    ("times", "legacy"), [([1.0, 2.0], [1.0]), ([2.0, 1.0], [1.0, 1.0]), ([1.0, np.nan], [1.0, 1.0])]
)
def test_a_series_whose_parts_do_not_fit_is_refused(times: list[float], legacy: list[float]) -> None:
    with pytest.raises(ValueError, match="series"):
        Series(np.array(times), np.array(legacy), np.array(legacy))
