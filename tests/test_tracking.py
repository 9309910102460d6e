"""Tracks by overlap: crossing people, gaps, newcomers."""

from __future__ import annotations

import pytest

from headstart.geometry import Box
from headstart.tracking import Track, Tracker, box_within, overlaps


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


def test_a_track_goes_on_as_it_went() -> None:
    """40 px in 0.4 s, as long as velocity is averaged over: half of 100 px/s counts, then half of 100 and of 50."""
    track = Track(1, (0, 0, 10, 20), 0.0)
    track.move((40, 0, 10, 20), 0.4, alone=True)
    assert track.velocity == pytest.approx((50, 0))
    assert track.expected(1.4) == pytest.approx((90, 0, 10, 20))
    track.move((80, 8, 10, 20), 0.8, alone=True)
    assert track.velocity == pytest.approx((75, 10))
    # Wider by 10 px to the left: the middle has moved by 5 px to the left. Beside somebody else it does not count.
    track.move((70, 8, 20, 20), 0.8, alone=True)
    track.move((0, 0, 20, 20), 0.9, alone=False)
    assert track.velocity == pytest.approx((75, 10))
    assert track.box == (0, 0, 20, 20)
    track.move((0, 0, 10, 20), 1.3, alone=True)
    assert track.velocity == pytest.approx((0.5 * 75 - 0.5 * 5 / 0.4, 5))


def boxes_of(*middles: float) -> list[Box]:
    return [(middle - 20, 0, 40, 100) for middle in middles]


def test_people_who_cross_keep_their_numbers() -> None:
    """Known defect: they changed numbers. At 25 frames a second, 5 px a frame towards each other, one hidden while
    more than half covered: at the crossing each was nearer to where the other had been.
    """
    tracker = Tracker()
    for number in range(40):
        first, second = 100 + 5 * number, 300 - 5 * number
        seen = boxes_of(first, second) if abs(first - second) > 15 else boxes_of(first)
        expected = [1, 2][: len(seen)]
        assert tracker.assign(seen, number / 25) == expected, number


def test_who_walks_on_behind_a_post_is_found_again() -> None:
    """Known defect: ten frames out of sight at 5 px a frame, a box's width and a quarter, and it was somebody else."""
    tracker = Tracker()
    for number in range(50):
        seen = [] if 25 <= number < 35 else boxes_of(100 + 5 * number)
        assert tracker.assign(seen, number / 25) == [1] * len(seen), number


def test_who_stops_behind_a_post_is_found_again() -> None:
    tracker = Tracker()
    for number in range(50):
        seen = [] if 25 <= number < 35 else boxes_of(100 + 5 * min(number, 25))
        assert tracker.assign(seen, number / 25) == [1] * len(seen), number


def test_those_who_overlap_keep_the_velocity_that_they_had() -> None:
    """Two who stand close: boxes that jump to each other's side do not say that anybody moves."""
    tracker = Tracker()
    tracker.assign(boxes_of(100, 115), 0.0)
    tracker.assign(boxes_of(105, 110), 0.1)
    assert [track.velocity for track in tracker.tracks] == [(0, 0), (0, 0)]
    tracker.assign(boxes_of(85, 128), 0.2)
    assert all(track.velocity != (0, 0) for track in tracker.tracks)


def test_a_box_that_grows_moves_by_its_middle() -> None:
    """20 px higher, all of it downwards: the middle falls by 10 px in 0.4 s, of which half counts."""
    track = Track(1, (0, 0, 10, 20), 0.0)
    track.move((0, 0, 10, 40), 0.4, alone=True)
    assert track.velocity == pytest.approx((0, 12.5))
    track.move((-5, -5, 20, 50), 0.8, alone=True)
    assert track.velocity == pytest.approx((0, 6.25))


def test_where_a_track_should_be_by_now() -> None:
    """50 px a second to the right and 30 up, for half a second and for two."""
    track = Track(1, (0, 0, 10, 20), 1.0, velocity=(50.0, -30.0))
    assert track.expected(1.5) == pytest.approx((25, -15, 10, 20))
    assert track.expected(3.0) == pytest.approx((100, -60, 10, 20))


def test_a_box_ends_at_the_edges_of_the_picture() -> None:
    assert box_within((-5.0, 2.0, 30.0, 50.0), 20, 40) == (0, 2, 20, 38)
    assert box_within((30.0, 2.0, 35.0, 9.0), 20, 40) == (20, 2, 0, 7)
