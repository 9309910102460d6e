"""Drawing: the right colour at the right place, nothing for what is not labelled."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.draw import LEFT, MIDDLE, RIGHT, draw_heatmaps, draw_pose, joint_colour, sheet
from headstart.skeleton import CANONICAL, LSP_14, Skeleton

PAIR = Skeleton("pair", ("left_wrist", "right_wrist"))
ARM = Skeleton("arm", ("left_elbow", "left_wrist", "right_elbow", "right_wrist"))
GREY = np.full((120, 130, 3), 90, np.uint8)


def changed(picture: np.ndarray, ground: np.ndarray = GREY) -> np.ndarray:
    """Rows and columns (N, 2) of the pixels that differ from the ground."""
    return np.argwhere((picture != ground).any(-1))


def looks_like(pixel: np.ndarray, colour: tuple[int, int, int]) -> bool:
    """Edges are anti-aliased: nearer to that colour than to any other or to the ground."""
    return bool(np.abs(pixel.astype(int) - colour).max() <= 32)


def grid(skeleton: Skeleton) -> np.ndarray:
    """Joints (J, 2) px, 24 apart."""
    count = np.arange(len(skeleton))
    return np.stack([14.0 + 24 * (count % 5), 14.0 + 24 * (count // 5)], 1)


class TestDrawPose:
    def test_sides_have_their_colours(self):
        assert {joint: joint_colour(joint) for joint in ("left_eye", "right_hip", "neck")} == {
            "left_eye": LEFT,
            "right_hip": RIGHT,
            "neck": MIDDLE,
        }

    def test_every_joint_is_coloured_at_its_own_place(self):
        picture = draw_pose(GREY, grid(CANONICAL), CANONICAL)
        for joint, (x, y) in zip(CANONICAL.names, grid(CANONICAL).astype(int)):
            assert tuple(picture[y, x]) == joint_colour(joint), joint

    def test_visible_is_filled_and_occluded_is_hollow(self):
        points = np.array([[30.0, 40.0], [90.0, 40.0]])
        picture = draw_pose(GREY, points, PAIR, np.array([2, 1], np.uint8))
        assert tuple(picture[40, 30]) == LEFT
        assert tuple(picture[40, 90]) == (90, 90, 90)
        # The ring has a radius of 3 px at this size.
        assert looks_like(picture[40, 93], RIGHT)
        assert looks_like(picture[37, 90], RIGHT)

    def test_a_bone_skips_the_neck_but_no_elbow(self):
        arms = ("shoulder", "elbow", "wrist")
        sides = [f"{side}_{joint}" for side in ("left", "right") for joint in arms]
        skeleton = Skeleton("half", ("thorax", "neck", "nose", *sides))
        columns, rows = [20.0] * 3 + [60.0] * 3 + [100.0] * 3, [20.0, 40.0, 60.0] * 3
        picture = draw_pose(GREY, np.stack([columns, rows], 1), skeleton, np.array([2, 0, 2] * 3, np.uint8))
        assert looks_like(picture[40, 20], MIDDLE)
        assert tuple(picture[40, 60]) == (90, 90, 90)

    @pytest.mark.parametrize("state", [0, 2])
    def test_unlabelled_or_nan_leaves_no_trace(self, state: int):
        points = np.array([[30.0, 40.0], [0.0, 0.0] if state == 0 else [np.nan, np.nan]])
        picture = draw_pose(GREY, points, PAIR, np.array([2, state], np.uint8))
        places = changed(picture)
        assert len(places) > 0
        assert np.abs(places - (40, 30)).max() <= 4

    def test_nobody_labelled_is_the_picture_itself(self):
        picture = draw_pose(GREY, grid(LSP_14), LSP_14, np.zeros(14, np.uint8))
        np.testing.assert_array_equal(picture, GREY)

    def test_bones_join_their_ends_in_the_colour_of_the_far_one(self):
        points = np.array([[20.0, 20.0], [60.0, 20.0], [20.0, 80.0], [60.0, 80.0]])
        picture = draw_pose(GREY, points, ARM)
        assert looks_like(picture[20, 40], LEFT)
        assert looks_like(picture[80, 40], RIGHT)
        assert tuple(picture[50, 20]) == tuple(picture[50, 60]) == (90, 90, 90)

    def test_a_bone_from_the_middle_has_the_colour_of_its_side(self):
        shoulders = Skeleton("shoulders", ("thorax", "left_shoulder", "right_shoulder"))
        picture = draw_pose(GREY, np.array([[60.0, 20.0], [100.0, 20.0], [20.0, 20.0]]), shoulders)
        assert looks_like(picture[20, 80], LEFT)
        assert looks_like(picture[20, 40], RIGHT)

    def test_a_bone_needs_both_ends(self):
        points = np.array([[20.0, 20.0], [60.0, 20.0], [20.0, 80.0], [60.0, 80.0]])
        picture = draw_pose(GREY, points, ARM, np.array([2, 0, 2, 2]))
        assert tuple(picture[20, 40]) == (90, 90, 90)
        assert looks_like(picture[80, 40], RIGHT)

    def test_the_picture_given_stays_as_it_is(self):
        image = GREY.copy()
        draw_pose(image, grid(LSP_14), LSP_14)
        np.testing.assert_array_equal(image, GREY)

    def test_a_transposed_view_can_be_drawn_on(self):
        view = np.ascontiguousarray(GREY.transpose(2, 0, 1)).transpose(1, 2, 0)
        np.testing.assert_array_equal(draw_pose(view, grid(LSP_14), LSP_14), draw_pose(GREY, grid(LSP_14), LSP_14))

    def test_joints_outside_do_no_harm(self):
        points = np.array([[-500.0, 4000.0], [90.0, 40.0]])
        assert np.abs(changed(draw_pose(GREY, points, PAIR)) - (40, 90)).max() <= 4


class TestDrawHeatmaps:
    def test_the_brightest_map_shows_where_it_is(self):
        maps = np.zeros((2, 30, 32))
        maps[0, 5, 6], maps[1, 20, 25] = 1.0, 1.0
        picture = draw_heatmaps(np.zeros((120, 128, 3), np.uint8), maps).astype(int).sum(-1)
        assert picture.shape == (120, 128)
        # Four image px to a map px: (6, 5) covers x 24-27, y 20-23.
        assert picture[20:24, 24:28].min() > picture[60, 60] + 100
        assert picture[80:84, 100:104].min() > picture[60, 60] + 100

    def test_without_heat_the_picture_is_half_as_bright(self):
        image = np.full((40, 40, 3), 200, np.uint8)
        picture = draw_heatmaps(image, np.zeros((3, 10, 10)))
        assert picture.dtype == np.uint8
        assert np.abs(picture.astype(int) - 100).max() <= 4, "the colour map's darkest is nearly black"

    def test_values_outside_the_range_are_cut(self):
        image = np.zeros((10, 10, 3), np.uint8)
        for inside, outside in ((0.0, -3.0), (1.0, 7.0)):
            maps = [np.full((1, 10, 10), value) for value in (inside, outside)]
            np.testing.assert_array_equal(draw_heatmaps(image, maps[0]), draw_heatmaps(image, maps[1]))


class TestSheet:
    TILES = tuple(np.full((10, 20, 3), 10 * number, np.uint8) for number in range(5))

    def test_rows_of_columns_with_gaps(self):
        picture = sheet(self.TILES, columns=3, gap=4)
        assert picture.shape == (2 * 10 + 4, 3 * 20 + 2 * 4, 3)
        for number in range(5):
            y, x = 14 * (number // 3), 24 * (number % 3)
            assert (picture[y : y + 10, x : x + 20] == 10 * number).all()
        # What no picture covers: the gaps and the sixth place.
        assert (picture == 255).all(-1).sum() == 24 * 68 - 5 * 200
        assert (picture[14:, 48:] == 255).all()

    def test_fewer_pictures_than_columns(self):
        assert sheet(self.TILES[:2], columns=6, gap=4).shape == (10, 44, 3)
        assert sheet(self.TILES[:1]).shape == (10, 20, 3)

    def test_titles_stand_above_their_pictures(self):
        picture = sheet(self.TILES[:2], columns=1, gap=4, titles=("I", "W"))
        assert picture.shape == (2 * (10 + 18) + 4, 20, 3)
        assert (picture[18:28] == 0).all()
        assert (picture[50:60] == 10).all()
        assert (picture[:18] < 128).any()
        assert (picture[32:50] < 128).sum() > (picture[:18] < 128).sum()
