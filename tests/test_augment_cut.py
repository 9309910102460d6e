"""Images that end within a person: where, what remains, and that nothing else changes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.augment import AugmentConfig, Cut, cut_off, sample_cut
from headstart.records import Annotation
from headstart.skeleton import CANONICAL

INFINITE = float("inf")
STILL = AugmentConfig(
    scale=0, rotation_probability=0, flip_probability=0, shift=0, truncation_probability=0, occluder_probability=0
)
CUT = replace(STILL, cut_probability=1.0)
#: A person who stands: joints (x, y) px; all others lie at the pelvis.
STANDING = {
    "head_top": (50, 10),
    "neck": (50, 28),
    "left_shoulder": (60, 30),
    "right_shoulder": (40, 30),
    "left_elbow": (65, 45),
    "right_elbow": (35, 45),
    "left_wrist": (70, 60),
    "right_wrist": (30, 60),
    "left_hip": (55, 70),
    "right_hip": (45, 70),
    "left_ankle": (55, 130),
    "right_ankle": (45, 130),
}


def person(turns: int = 0, **changes: object) -> Annotation:
    """STANDING in an image of 140 x 140 px, turned clockwise by so many right angles."""
    points = np.tile([50.0, 70.0], (len(CANONICAL), 1))
    for name, place in STANDING.items():
        points[CANONICAL.index(name)] = place
    for _ in range(turns):
        points = np.stack([139 - points[:, 1], points[:, 0]], 1)
    visibility = np.zeros(len(CANONICAL), np.uint8)
    visibility[CANONICAL.indices(STANDING)] = 2
    low, high = points.min(0) + 0.5, points.max(0) + 0.5
    box = np.concatenate([low, high - low]).astype(np.float32)
    image = Path("0.png")
    return replace(Annotation("0", image, box, points.astype(np.float32), visibility, None), **changes)


def cuts(turns: int = 0, count: int = 200) -> list[Cut]:
    rng = np.random.default_rng(0)
    return [cut for cut in (sample_cut(rng, person(turns), CUT) for _ in range(count)) if cut is not None]


class TestSampleCut:
    @pytest.mark.parametrize("turns", [0, 1, 2, 3])
    def test_the_feet_go_and_the_head_stays(self, turns: int):
        """Upright, the image mostly ends below the person; turned by a right angle, left of them; and so on."""
        side = [3, 0, 1, 2][turns]
        ended = np.array([np.isfinite(cut.frame) for cut in cuts(turns)])
        assert (ended.sum(1) == 1).all()
        assert ended[:, side].mean() > 0.85
        for cut in cuts(turns):
            if np.isfinite(cut.frame[side]):
                x, y = person(turns).keypoints[CANONICAL.index("head_top")] + 0.5
                left, top, w, h = cut.bbox_xywh
                assert left <= x <= left + w
                assert top <= y <= top + h

    def test_it_ends_between_shoulders_and_feet(self):
        """Shoulders at 30.5 and the box's end at 130.5 px: from 5 to 95 % of these 100 px."""
        ends = np.array([cut.frame[3] for cut in cuts() if np.isfinite(cut.frame[3])])
        assert 35.5 <= ends.min() < 40
        assert 120 < ends.max() <= 125.5
        assert np.median(ends) == pytest.approx(80, abs=12)

    def test_how_often(self):
        rng = np.random.default_rng(0)
        config = replace(STILL, cut_probability=0.3)
        cut = [sample_cut(rng, person(), config) is not None for _ in range(500)]
        assert np.mean(cut) == pytest.approx(0.3, abs=0.06)

    @pytest.mark.parametrize("config", [None, STILL, AugmentConfig()])
    def test_by_default_nothing_is_cut_and_nothing_drawn(self, config: AugmentConfig | None):
        """The streams of recipes that were trained before it existed stay as they were."""
        rng = np.random.default_rng(0)
        before = rng.bit_generator.state
        assert sample_cut(rng, person(), config) is None
        assert rng.bit_generator.state == before

    @pytest.mark.parametrize("missing", [("left_shoulder", "right_shoulder"), ("left_hip", "right_hip")])
    def test_without_shoulders_or_hips_a_person_stays_whole(self, missing: tuple[str, str]):
        visibility = person().visibility.copy()
        visibility[CANONICAL.indices(missing)] = 0
        one_left = visibility.copy()
        one_left[CANONICAL.index(missing[0])] = 2
        rng = np.random.default_rng(0)
        whole = [sample_cut(rng, person(visibility=visibility), CUT) is None for _ in range(50)]
        cut = [sample_cut(rng, person(visibility=one_left), CUT) is not None for _ in range(50)]
        assert all(whole)
        assert sum(cut) > 25


class TestCutOff:
    def test_the_box_is_around_what_remains_up_to_the_frame(self):
        """Below 65 px are hips and ankles; wrists at 30 and 70, the head at 10 px; half a pixel to edges."""
        cut = cut_off(person(), np.array([-INFINITE, -INFINITE, INFINITE, 65.0]))
        assert cut is not None
        np.testing.assert_allclose(cut.bbox_xywh, [30.5, 10.5, 40, 54.5])

    @settings(max_examples=40)
    @given(st.floats(0, 140))
    def test_four_joints_must_remain(self, at: float):
        cut = cut_off(person(), np.array([-INFINITE, -INFINITE, INFINITE, at]))
        heights = sorted(y + 0.5 for _, y in STANDING.values())
        assert (cut is None) == (sum(height <= at for height in heights) < 4)

    @pytest.mark.parametrize(
        ("frame", "black"),
        [
            ([-INFINITE, -INFINITE, INFINITE, 2.4], np.s_[2:]),
            ([-INFINITE, 1.6, INFINITE, INFINITE], np.s_[:2]),
            ([-INFINITE, -INFINITE, 3.0, INFINITE], np.s_[:, 3:]),
            ([4.0, -INFINITE, INFINITE, INFINITE], np.s_[:, :4]),
            ([-INFINITE, -INFINITE, INFINITE, -3.0], np.s_[:]),
            ([-INFINITE, -INFINITE, INFINITE, 99.0], np.s_[:0]),
        ],
    )
    def test_beyond_the_frame_is_black_or_something_else(self, frame: list[float], black: tuple[slice, ...]):
        image = np.random.default_rng(0).integers(100, 200, (6, 8, 3), dtype=np.uint8)
        before, hidden, kinds = image.copy(), np.zeros((6, 8), bool), []
        hidden[black] = True
        for seed in range(40):
            seen = Cut(np.array(frame), np.zeros(4)).hide(image, np.random.default_rng(seed))
            np.testing.assert_array_equal(seen[~hidden], image[~hidden])
            kinds.append(
                "black" if not seen[hidden].any() else "flat" if not np.ptp(seen[hidden], 0).any() else "piece"
            )
            assert not hidden.any() or kinds[-1] == "black" or (seen[hidden] != image[hidden]).mean() > 0.8
        np.testing.assert_array_equal(image, before)
        if hidden.any():
            assert 12 <= kinds.count("black") <= 28
            assert min(kinds.count("flat"), kinds.count("piece")) >= 4
