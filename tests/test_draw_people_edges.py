"""Pictures for users, detail by detail: bones and rims, words, grids, whose views are shown."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.draw import LEFT, MIDDLE, RIGHT
from headstart.draw_people import MOST_TEXT, _text_size, draw_people, draw_view, result_picture, write
from headstart.records import RGB, Prediction
from test_draw_people import GREY, someone

COLOURS = {"left": LEFT, "right": RIGHT}


def point(found: Prediction, joint: str) -> np.ndarray:
    return np.array(found.keypoints[joint][:2])


@pytest.mark.parametrize(("sure", "least", "most"), [(0.9, 7, 12), (0.1, 3, 6)])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(("upper", "lower"), [("hip", "knee"), ("knee", "ankle"), ("elbow", "wrist")])
def test_bones_have_the_colour_of_their_side_and_a_dark_rim(
    side: str, upper: str, lower: str, sure: float, least: int, most: int
) -> None:
    """Somebody 1,000 px high: bones 9 px wide, and half of that to an unsure joint."""
    found = someone(scale=0.6, at=(600, 600), sure=sure)
    start, end = point(found, f"{side}_{upper}"), point(found, f"{side}_{lower}")
    across = np.array([start[1] - end[1], end[0] - start[0]]) / np.linalg.norm(end - start)
    picture = draw_people(np.full((1300, 1200, 3), 120, np.uint8), [found])
    line = np.round((start + end) / 2 + np.arange(-12, 12.1, 0.5)[:, None] * across).astype(int)
    values = picture[line[:, 1], line[:, 0]]
    coloured = np.flatnonzero((values == COLOURS[side]).all(-1))
    assert 24 in coloured
    assert least <= np.ptp(coloured) / 2 + 1 <= most
    for beside in (values[coloured[0] - 4 : coloured[0]], values[coloured[-1] + 1 : coloured[-1] + 5]):
        assert (
            beside.mean(-1).min() < 110
        )  # without a rim it lies between the picture's 120 and the bone's 124 and more


def test_a_box_is_a_white_line_with_a_dark_one_on_both_sides() -> None:
    """Of 40 x 50 px at (20, 30): it begins at the pixel (20, 30) and ends at (59, 79). Its joints are in the middle."""
    joints = {"pelvis": (40.0, 50.0, 0.9), "spine": (40.0, 58.0, 0.9)}
    one = Prediction("a.jpg", (20, 30, 40, 50), 1.0, joints, {})
    picture = draw_people(np.full((120, 100, 3), 200, np.uint8), [one])
    across, down = picture[70, :, 0].tolist(), picture[:, 30, 0].tolist()
    assert [k for k, value in enumerate(across) if value > 200] == [20, 59]
    assert [k for k, value in enumerate(down) if value > 200] == [30, 79]
    for line, edges in ((across, (20, 59)), (down, (30, 79))):
        for edge in edges:
            assert max(min(line[edge - 3 : edge]), min(line[edge + 1 : edge + 4])) < 100


def test_words_are_mixed_into_the_picture_by_their_share() -> None:
    """On black every pixel is a share of the colour, and somewhere the whole of it."""
    canvas = np.zeros((30, 80, 3), np.uint8)
    write(canvas, "words", (5, 5), 15, (200, 100, 50))
    assert canvas.max((0, 1)).tolist() == [200, 100, 50]
    np.testing.assert_allclose(canvas[..., 0] / 2.0, canvas[..., 1], atol=0.8)
    np.testing.assert_allclose(canvas[..., 0] / 4.0, canvas[..., 2], atol=0.8)


def test_a_view_has_its_title_at_the_upper_left() -> None:
    pose = someone().xyz_mm
    rows, columns = np.nonzero((draw_view(pose, "front", 300, 1000) != draw_view(pose, "", 300, 1000)).any(-1))
    assert 8 <= rows.min() < rows.max() < 8 + 20
    assert 10 <= columns.min() < columns.max() < 10 + 40


@pytest.mark.parametrize(("side", "vertical"), [(False, [70, 170, 270, 370]), (True, [60, 160, 260, 360])])
def test_grids_go_through_the_pelvis(side: bool, vertical: list[int]) -> None:
    """Of 0.2 px a mm about the middle of the pose, (150, 100, -300): its lines are 100 px apart."""
    pose = {"pelvis": (0.0, 0.0, 0.0), "nose": (300.0, 200.0, -600.0)}
    view = draw_view(pose, "", 400, 1000, side=side)
    for pixels, expected in ((view[5], vertical), (view[:, 5], [80, 180, 280, 380])):
        lines = np.flatnonzero((pixels < 240).any(-1))
        np.testing.assert_allclose(lines[np.diff(lines, prepend=-9) > 1], expected, atol=1)


def column(picture: RGB, place: int) -> tuple[RGB, RGB]:
    """Front and side view (354 x 354 px) at a place beside a picture that is shown as 960 x 720 px."""
    left = 960 + 12 + place * (354 + 12)
    return picture[:354, left : left + 354], picture[366:720, left : left + 354]


def half_extent(people: list[Prediction]) -> float:
    """mm; a margin of 12 % around the largest pose, of at least 600 mm to each side."""
    return 1.12 * max(600.0, *(np.ptp(np.array(list(one.xyz_mm.values())), axis=0).max() / 2 for one in people))


def test_one_person_has_a_front_and_a_side() -> None:
    found = someone(30.0)
    front, side = column(result_picture(GREY, [found]), 0)
    half_mm = half_extent([found])
    np.testing.assert_array_equal(front, draw_view(found.xyz_mm, "front", 354, half_mm))
    np.testing.assert_array_equal(side, draw_view(found.xyz_mm, "side (camera at the left)", 354, half_mm, side=True))


def test_the_four_largest_of_five_are_shown_in_their_order() -> None:
    people = [someone(20.0 * i, scale) for i, scale in enumerate((0.10, 0.04, 0.12, 0.08, 0.11))]
    picture = result_picture(GREY, people)
    shown = [0, 2, 3, 4]
    half_mm = half_extent([people[i] for i in shown])
    for place, number in enumerate(shown):
        front, _ = column(picture, place)
        expected = draw_view(people[number].xyz_mm, f"{number + 1}: front", 354, half_mm, text=MOST_TEXT)
        np.testing.assert_array_equal(front, expected)


def test_the_number_of_a_person_is_white_on_a_dark_patch_in_the_corner_of_the_box() -> None:
    """On a white picture of 300 x 400 px: text of 11 px, so a patch 14 px high that begins where the box does."""
    people = [someone(at=(120, 140)), someone(at=(290, 140))]
    picture = draw_people(np.full((300, 400, 3), 255, np.uint8), people)
    for one in people:
        x, y = (round(value) for value in one.bbox_xywh[:2])
        patch = picture[y + 2 : y + 13, x + 2 : x + 11]
        assert (patch == 60).all(-1).mean() > 0.5
        assert (patch > 200).all(-1).any()


@pytest.mark.parametrize(("width", "text"), [(400, 14), (1000, 14), (1800, 16), (2600, 22), (9000, 22)])
def test_text_grows_with_the_width_of_the_picture(width: int, text: int) -> None:
    assert _text_size(width) == text


def test_the_legend_explains_the_colours_from_left_to_right() -> None:
    """A dot of each colour, and dark words behind each of them."""
    legend = result_picture(GREY, [someone()])[-44:]
    starts = [int(np.flatnonzero((legend[22] == colour).all(-1))[0]) for colour in (RIGHT, LEFT, MIDDLE)]
    assert starts == sorted(starts)
    for start, end in zip(starts, [*starts[1:], starts[2] + 70]):
        words = legend[:, start + 13 : end - 5]
        assert (words < 100).all(-1).any(0).sum() > 20


def test_the_legend_counts_who_has_no_views() -> None:
    people = [someone(at=(60.0 + 60 * i, 140.0)) for i in range(6)]
    four, five, six = (result_picture(GREY, people[:count])[-44:, :960] for count in (4, 5, 6))
    assert (four != five).any()
    assert (five != six).any()


def test_joints_out_of_sight_are_white_in_3d_and_their_bones_thin() -> None:
    """The left leg is sure, the right one is not: its bones are half as wide, its knee is a white disc."""
    pose = {"left_hip": (300.0, -300.0, 0.0), "left_knee": (300.0, 300.0, 0.0)}
    pose |= {"right_hip": (-300.0, -300.0, 0.0), "right_knee": (-300.0, 300.0, 0.0)}
    view = draw_view(pose, "", 400, 500, unsure={"right_knee"}).astype(int)
    row = view[200]  # halfway down the thighs
    wide = {side: (np.abs(row - colour) < 40).all(-1).sum() for side, colour in (("left", LEFT), ("right", RIGHT))}
    assert wide["right"] == pytest.approx(wide["left"] / 2, abs=1.5)
    assert view[320, 80].tolist() == [255, 255, 255]
    assert np.abs(view[320, 320] - LEFT).max() < 12
    assert np.abs(view[80, 80] - RIGHT).max() < 12
    np.testing.assert_array_equal(draw_view(pose, "", 400, 500), draw_view(pose, "", 400, 500, unsure={"nose"}))
