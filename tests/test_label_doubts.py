"""Labels that a model contradicts: which are exchanged, which dropped, and which left alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from headstart.errors import ConfigError
from headstart.label_doubts import DoubtConfig, doubt, trunk_size, without_doubt
from headstart.records import Annotation
from headstart.skeleton import CANONICAL, COCO_17, COCO_23, FEET, WITH_FEET, mirrored_name

#: A person who faces the camera, 100 px high: right is on the left. The trunk's diagonals are 50 px: 30 and 40.
PLACES = {
    "right_shoulder": (35, 20),
    "right_elbow": (25, 35),
    "right_wrist": (15, 50),
    "right_hip": (35, 60),
    "right_knee": (30, 80),
    "right_ankle": (30, 100),
}
PLACES |= {joint.replace("right", "left"): (100 - x, y) for joint, (x, y) in PLACES.items()}
PLACES |= {"head_top": (50, 0)}
SURE = np.full(len(CANONICAL), 0.9, np.float32)


def at(places: dict[str, tuple[float, float]]) -> NDArray[np.float32]:
    """Canonical (J, 2) px, NaN where there is no place."""
    points = np.full((len(CANONICAL), 2), np.nan, np.float32)
    for joint, place in places.items():
        points[CANONICAL.index(joint)] = place
    return points


def person(places: dict[str, tuple[float, float]] = PLACES) -> Annotation:
    points = at(places)
    visibility = (np.isfinite(points[:, 0]) * 2).astype(np.uint8)
    return Annotation("p", Path("p.jpg"), np.array([0, 0, 100, 100], np.float32), points, visibility)


def exchanged(*limbs: str) -> dict[str, tuple[float, float]]:
    """The places with left and right exchanged for joints whose names end so."""
    other = {joint: joint.replace("right", "LEFT").replace("left", "right").lower() for joint in PLACES}
    return {joint: PLACES[other[joint]] if joint.endswith(limbs) else place for joint, place in PLACES.items()}


def named(mask: NDArray[np.bool_]) -> set[str]:
    return {CANONICAL.names[joint] for joint in np.flatnonzero(mask)}


def test_a_label_that_the_model_confirms_is_left_alone() -> None:
    doubted = doubt(person(), at(PLACES), SURE)
    assert not doubted
    assert (without_doubt(person(), doubted).visibility == person().visibility).all()


@pytest.mark.parametrize(
    ("limbs", "names"),
    [
        (("hip", "knee", "ankle"), ("legs",)),
        (("shoulder", "elbow", "wrist"), ("arms",)),
        (("hip", "knee", "ankle", "shoulder", "elbow", "wrist"), ("arms", "legs")),
    ],
)
def test_exchanged_sides_are_put_right(limbs: tuple[str, ...], names: tuple[str, ...]) -> None:
    wrong = person(exchanged(*limbs))
    doubted = doubt(wrong, at(PLACES), SURE)
    assert doubted.exchanged == names
    assert not doubted.dropped.any()
    np.testing.assert_array_equal(without_doubt(wrong, doubted).keypoints, at(PLACES))


def test_sides_gain_is_what_one_works_out_by_hand() -> None:
    """Legs exchanged: each hip is 30 px from its label, knees and ankles 40 px. The labelled trunk runs from a shoulder
    straight down to the exchanged hip, 40 px: (30 + 40 + 40) / 3 / 40 = 0.917."""
    wrong = person(exchanged("hip", "knee", "ankle"))
    assert trunk_size(wrong) == pytest.approx(40)
    assert doubt(wrong, at(PLACES), SURE, DoubtConfig(sides=0.91)).exchanged == ("legs",)
    assert doubt(wrong, at(PLACES), SURE, DoubtConfig(sides=0.92)).exchanged == ()


def test_a_joint_elsewhere_is_dropped_just_beyond_the_distance() -> None:
    """The trunk is 50 px long: half of it is 25 px."""
    assert trunk_size(person()) == pytest.approx(50)
    for shift, dropped in ((24.9, set()), (25.1, {"left_wrist"})):
        seen = {**PLACES, "left_wrist": (85, 50 + shift)}
        assert named(doubt(person(), at(seen), SURE).dropped) == dropped


def test_dropped_joints_have_no_label_left() -> None:
    doubted = doubt(person(), at({**PLACES, "head_top": (50, 90)}), SURE)
    kept = without_doubt(person(), doubted)
    head, wrist = CANONICAL.indices(("head_top", "left_wrist"))
    assert np.isnan(kept.keypoints[head]).all()
    assert (kept.visibility[head], kept.visibility[wrist]) == (0, 2)


def test_3d_goes_along_with_sides_and_drops() -> None:
    xyz = np.random.default_rng(0).normal(size=(len(CANONICAL), 3)).astype(np.float32)
    wrong = replace(person({**exchanged("hip", "knee", "ankle"), "head_top": (50, 80)}), camera_xyz=xyz)
    mended = without_doubt(wrong, doubt(wrong, at(PLACES), SURE)).camera_xyz
    assert mended is not None
    left, right, head = CANONICAL.indices(("left_knee", "right_knee", "head_top"))
    np.testing.assert_array_equal(mended[[left, right]], xyz[[right, left]])
    assert np.isnan(mended[head]).all()


def test_a_model_that_is_not_sure_drops_nothing() -> None:
    seen = at({**PLACES, "left_wrist": (0, 0)})
    assert named(doubt(person(), seen, SURE).dropped) == {"left_wrist"}
    assert not doubt(person(), seen, np.full_like(SURE, 0.34))


def test_what_is_not_predicted_or_not_labelled_is_not_doubted() -> None:
    assert not doubt(person(), at({}), SURE)
    assert not doubt(person({"left_knee": (65, 80)}), at(PLACES), SURE)
    nobody = person({})
    assert trunk_size(nobody) == pytest.approx(20)
    assert not doubt(nobody, at(PLACES), SURE)


def test_sides_that_lie_together_are_not_exchanged() -> None:
    """From the side both legs lie on one another: nearer exchanged or not says nothing."""
    together = {joint: (50.0 + (joint[0] == "l"), y) for joint, (_, y) in PLACES.items()}
    seen = {joint: (50.0 - 5 * (joint[0] == "l"), y) for joint, (_, y) in PLACES.items()}
    assert doubt(person(together), at(seen), SURE, DoubtConfig(sides=0.0)).exchanged == ()


@given(st.integers(0, 2**32 - 1), st.floats(0.2, 5.0), st.floats(-500, 500))
def test_doubts_do_not_depend_on_where_and_how_large(seed: int, scale: float, shift: float) -> None:
    rng = np.random.default_rng(seed)
    labels, seen = (at({joint: tuple(rng.uniform(0, 100, 2)) for joint in PLACES}) for _ in range(2))
    confidence = rng.uniform(0, 1, len(CANONICAL))
    one = person()
    one = replace(one, keypoints=labels)
    far = replace(one, keypoints=labels * scale + shift, bbox_xywh=one.bbox_xywh * scale)
    near = [doubt(one, seen, confidence, DoubtConfig(sides=0.15 + edge)).exchanged for edge in (-1e-3, 1e-3)]
    assume(near[0] == near[1])  # rounding may tip what lies on the edge
    here, there = doubt(one, seen, confidence), doubt(far, seen * scale + shift, confidence)
    assert here.exchanged == there.exchanged
    distances = np.linalg.norm(seen - labels[here.order], axis=-1) / trunk_size(one)
    clear = ~(np.abs(distances - 0.5) < 1e-2)
    np.testing.assert_array_equal(here.dropped[clear], there.dropped[clear])


def test_the_least_trunk_is_a_fifth_of_the_longer_side() -> None:
    """Of somebody who lies, too."""
    for box in ([0, 0, 40, 200], [0, 0, 200, 40]):
        assert trunk_size(replace(person({}), bbox_xywh=np.array(box, np.float32))) == pytest.approx(40)


def test_one_pair_does_not_change_a_limbs_sides_and_two_do() -> None:
    assert doubt(person(exchanged("knee")), at(PLACES), SURE).exchanged == ()
    assert doubt(person(exchanged("knee", "ankle")), at(PLACES), SURE).exchanged == ("legs",)


def test_a_pair_far_apart_counts_for_no_more_than_a_trunk() -> None:
    """Feet 100 px apart, two trunks, and the model sees them exchanged; hips (30 px) and knees (40 px) as labelled:
    (2 x 1 - 2 x 0.6 - 2 x 0.8) / 6 is below 0, while 2 x 2 instead would be 0.2 in favour of an exchange."""
    wide = {**PLACES, "right_ankle": (0, 100), "left_ankle": (100, 100)}
    seen = {**wide, "right_ankle": (100, 100), "left_ankle": (0, 100)}
    assert trunk_size(person(wide)) == pytest.approx(50)
    assert doubt(person(wide), at(seen), SURE).exchanged == ()


def test_sides_change_for_a_gain_of_more_than_015_trunks() -> None:
    """Seen a share t of the way to the other side, of 30 (hips), 40 and 40 px: (2 t - 1) x 36.7 / 50 trunks are gained,
    0.132 for 0.59 and 0.176 for 0.62."""
    for share, names in ((0.59, ()), (0.62, ("legs",))):
        other = exchanged("hip", "knee", "ankle")
        seen = {joint: ((1 - share) * x + share * other[joint][0], y) for joint, (x, y) in PLACES.items()}
        assert doubt(person(), at(seen), SURE).exchanged == names


def test_a_pair_with_one_label_does_not_keep_the_others_from_changing_sides() -> None:
    places = exchanged("hip", "knee", "ankle")
    del places["left_hip"]
    assert doubt(person(places), at(PLACES), SURE).exchanged == ("legs",)


def test_a_model_as_sure_as_asked_for_is_believed() -> None:
    seen = at({**PLACES, "left_wrist": (0, 0)})
    assert named(doubt(person(), seen, np.full(len(CANONICAL), 0.35)).dropped) == {"left_wrist"}


def test_midpoints_go_with_the_joints_that_they_were_made_from() -> None:
    """COCO labels no pelvis: it was made from the hips."""
    labelled = person({**PLACES, "pelvis": (50, 60)})
    seen = at({**PLACES, "pelvis": (50, 60), "left_hip": (95, 60)})
    assert named(doubt(labelled, seen, SURE, source=COCO_17).dropped) == {"left_hip", "pelvis"}
    assert named(doubt(labelled, seen, SURE).dropped) == {"left_hip"}


def test_a_midpoint_without_a_label_is_not_dropped_with_what_it_would_be_made_from() -> None:
    seen = at({**PLACES, "pelvis": (50, 60), "left_hip": (95, 60)})
    assert named(doubt(person(), seen, SURE, source=COCO_17).dropped) == {"left_hip"}


def test_the_least_trunk_is_a_fifth_of_the_boxs_longer_side_wherever_it_lies() -> None:
    one = replace(person({"nose": (350, 450)}), bbox_xywh=np.array([300, 400, 60, 80], np.float32))
    assert trunk_size(one) == pytest.approx(16)


def test_settings_that_exchange_everything_and_believe_only_the_surest() -> None:
    for confidence in (0.0, 1.0):
        assert DoubtConfig(sides=0, confidence=confidence).confidence == confidence


def test_one_dropped_label_is_a_doubt() -> None:
    assert doubt(person(), at({**PLACES, "left_wrist": (0, 0)}), SURE)


def test_hidden_joints_that_are_labelled_change_sides_too() -> None:
    wrong = person(exchanged("hip", "knee", "ankle"))
    assert doubt(replace(wrong, visibility=np.minimum(wrong.visibility, 1)), at(PLACES), SURE).exchanged == ("legs",)


def test_a_pair_far_apart_speaks_against_an_exchange_for_no_more_than_a_trunk() -> None:
    """Hips and knees 40 px apart and exchanged, feet 100 px apart and not; the trunk is 40 px: (2 + 2 - 2) / 6."""
    wide = {**PLACES, "right_hip": (30, 60), "left_hip": (70, 60), "right_ankle": (0, 100), "left_ankle": (100, 100)}
    wrong = {**wide, "right_hip": (70, 60), "left_hip": (30, 60)}
    wrong |= {"right_knee": wide["left_knee"], "left_knee": wide["right_knee"]}
    assert doubt(person(wrong), at(wide), SURE).exchanged == ("legs",)


@pytest.mark.parametrize(
    "wrong", [{"sides": -0.1}, {"sides": np.nan}, {"distance": 0}, {"confidence": 35}, {"confidence": -0.1}]
)
def test_settings_that_cannot_be(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="sides, distance and confidence: expected >= 0, > 0 and 0 to 1, got"):
        DoubtConfig(**wrong)


# --- feet ---

#: Right foot, left foot: big toe, small toe and heel beside their ankles.
FOOT = {f"right_{part}": (28 - 4 * i, 108) for i, part in enumerate(("big_toe", "small_toe", "heel"))}
FOOT |= {joint.replace("right", "left"): (100 - x, y) for joint, (x, y) in FOOT.items()}


def with_feet(feet: dict[str, tuple[float, float]], places: dict[str, tuple[float, float]] = PLACES) -> Annotation:
    wide = person(places).with_feet()
    for joint, place in feet.items():
        wide.keypoints[WITH_FEET.index(joint)] = place
        wide.visibility[WITH_FEET.index(joint)] = 2
    return wide


def test_feet_go_with_their_legs_and_not_with_the_arms() -> None:
    other = {joint: FOOT[mirrored_name(joint)] for joint in FOOT}
    seen, sure = with_feet(FOOT).keypoints, np.full(len(WITH_FEET), 0.9)
    for limbs, feet in ((("hip", "knee", "ankle"), other), (("shoulder", "elbow", "wrist"), FOOT)):
        wrong = with_feet(feet, exchanged(*limbs))
        doubted = doubt(wrong, seen, sure, source=COCO_23)
        assert len(doubted.exchanged) == 1
        assert not doubted.dropped.any()
        np.testing.assert_array_equal(without_doubt(wrong, doubted).keypoints, seen)


def test_a_toe_in_a_wrong_place_is_dropped_and_one_that_the_model_has_not_is_kept() -> None:
    """50 px is the trunk: a toe 30 px away is beyond half of it. The model does not know the small toes."""
    wrong = with_feet({**FOOT, "left_big_toe": (72 + 30, 108), "left_small_toe": (90, 10)})
    seen = with_feet(FOOT).keypoints
    seen[WITH_FEET.indices(("left_small_toe", "right_small_toe"))] = np.nan
    doubted = doubt(wrong, seen, np.full(len(WITH_FEET), 0.9), source=COCO_23)
    assert [WITH_FEET.names[joint] for joint in np.flatnonzero(doubted.dropped)] == ["left_big_toe"]
    assert len(FEET) == (without_doubt(wrong, doubted).visibility[22:] > 0).sum() + 1


def test_labels_that_were_packed_before_feet_were_kept() -> None:
    """Their source has feet, and their index has not."""
    doubted = doubt(person(exchanged("wrist")), at(PLACES), SURE, DoubtConfig(sides=9.0), COCO_23)
    assert named(doubted.dropped) == {"left_wrist", "right_wrist"}
