"""Tracks by overlap: crossing people, gaps, newcomers."""

from __future__ import annotations

import pytest

from headstart.tracking import Tracker, overlaps


def test_overlaps_worked_out_by_hand() -> None:
    # 10 x 10 boxes: half shifted share 50 of 150; apart none; the same all; empty boxes nothing.
    found = overlaps([(0, 0, 10, 10), (0, 0, 0, 0)], [(5, 0, 10, 10), (20, 20, 5, 5), (0, 0, 10, 10), (0, 0, 0, 0)])
    assert found.ravel().tolist() == pytest.approx([1 / 3, 0, 1, 0, 0, 0, 0, 0])
    assert overlaps([], [(0, 0, 1, 1)]).shape == (0, 1)


def test_people_keep_their_numbers_whatever_the_order_of_the_boxes() -> None:
    tracker = Tracker()
    assert tracker.assign([(0, 0, 10, 20), (100, 0, 10, 20)], 0.0) == [1, 2]
    assert tracker.assign([(99, 1, 10, 20), (1, 1, 10, 20)], 0.1) == [2, 1]


def test_the_best_sum_wins_not_the_first_come() -> None:
    tracker = Tracker(min_overlap=0.1)
    assert tracker.assign([(0, 0, 10, 10), (6, 0, 10, 10)], 0.0) == [1, 2]
    # The first box overlaps both; only track 1 is left for the second box.
    assert tracker.assign([(4, 0, 10, 10), (-3, 0, 10, 10)], 0.1) == [2, 1]


def test_a_short_gap_is_bridged_and_a_long_one_is_not() -> None:
    tracker = Tracker(patience_s=1.0)
    box = (0.0, 0.0, 10.0, 10.0)
    assert tracker.assign([box], 0.0) == [1]
    assert tracker.assign([], 0.5) == []
    assert tracker.assign([box], 1.0) == [1]
    assert tracker.assign([], 2.0) == []
    assert tracker.assign([box], 2.5) == [2]


def test_who_was_in_the_frame_just_before_is_known_however_far_apart_frames_are() -> None:
    """Known defect: below a frame a second everybody was new in every frame."""
    tracker = Tracker(patience_s=1.0)
    box = (0.0, 0.0, 10.0, 10.0)
    assert [tracker.assign([box], time_s) for time_s in (0.0, 2.0, 4.0)] == [[1], [1], [1]]
    assert tracker.assign([], 6.0) == []
    assert tracker.assign([box], 8.0) == [2]


def test_a_newcomer_gets_a_number_of_their_own() -> None:
    tracker = Tracker()
    tracker.assign([(0, 0, 10, 10)], 0.0)
    assert tracker.assign([(50, 50, 10, 10), (0, 0, 10, 10)], 0.1) == [2, 1]
    assert tracker.assign([(0, 8, 10, 10)], 0.2) == [3]


def test_somebody_who_overlaps_too_little_takes_nobodys_number() -> None:
    """Track 1 overlaps the first box by 1/3 and the second by 0.29, track 2 the first by 0.28: the largest sum of all
    would join 1 to the second and 2 to the first, of which neither is enough.
    """
    tracker = Tracker(min_overlap=0.3)
    # Boxes 10 high, so that widths alone count. Track 1: 0 to 10; track 2: 10.6 to 20.6.
    assert tracker.assign([(0, 0, 10, 10), (10.6, 0, 10, 10)], 0.0) == [1, 2]
    # First box: 5 to 15: shares 5 of 15 with track 1, 4.4 of 15.6 with track 2. Second: -5.5 to 4.5: 4.5 of 15.5.
    assert tracker.assign([(5, 0, 10, 10), (-5.5, 0, 10, 10)], 0.1) == [1, 3]


def test_the_least_overlap_itself_is_enough() -> None:
    """10 px of which 5 are shared with 10 others: 5 of 15."""
    tracker = Tracker(min_overlap=1 / 3)
    assert tracker.assign([(0, 0, 10, 10)], 0.0) == [1]
    assert tracker.assign([(5, 0, 10, 10)], 0.1) == [1]
