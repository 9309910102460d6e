"""Pixels to millimetres: exact where the projection is, and stated where it cannot be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.errors import ConfigError
from headstart.geometry import Camera
from headstart.lifting import BONE_FRACTIONS, TRUNK_FRACTION, lift, mm_per_unit, pelvis_of
from headstart.skeleton import BODY_18, COCO_17, MODEL_SKELETONS, Skeleton
from oracle import person, seen_by, stature

CAMERA = Camera(1100.0, 1100.0, 640.0, 360.0)
SURE = np.ones(18)


def test_fractions_are_those_of_the_table() -> None:
    # Winter 2009, figure 4.1: heights of knee, hip and shoulder over the floor.
    assert sum(BONE_FRACTIONS.values()) == pytest.approx(2 * (0.530 - 0.285 + 0.285 - 0.039 + 0.186 + 0.146))
    assert pytest.approx(0.818 - 0.530) == TRUNK_FRACTION


def test_a_body_worked_out_by_hand() -> None:
    """Every bone 10 units: nine of them should be (1.646 + 0.288) x 1700 mm."""
    points = np.zeros((18, 3))
    names = {name: i for i, name in enumerate(BODY_18.names)}
    for side in ("left", "right"):
        points[names[f"{side}_knee"]] = (0, 10, 0)
        points[names[f"{side}_ankle"]] = (0, 10, 10)
        points[names[f"{side}_shoulder"]] = (0, -10, 0)
        points[names[f"{side}_elbow"]] = (10, -10, 0)
        points[names[f"{side}_wrist"]] = (10, -10, -10)
    assert mm_per_unit(points, SURE, BODY_18, 1700.0) == pytest.approx(1700 * 1.934 / 90)


@pytest.mark.parametrize("turn", [0, 35, 90, 180])
def test_weak_perspective_is_exact(turn: float) -> None:
    truth = person(turn)
    lifted = lift(truth * 0.37 + np.array([300.0, 200.0, 0.0]), SURE, BODY_18, stature(truth))
    np.testing.assert_allclose(lifted.relative_mm, truth, atol=1e-9)
    assert lifted.camera_mm is None


@pytest.mark.parametrize("turn", [0, 35, 90, 180])
@pytest.mark.parametrize("distortion", [(0.0, 0.0, 0.0, 0.0, 0.0), (-0.1, 0.02, 1e-3, -1e-3, 0.0)])
def test_perspective_is_exact_near_and_off_the_axis(turn: float, distortion: tuple[float, ...]) -> None:
    camera = Camera(1100.0, 1100.0, 640.0, 360.0, distortion)  # type: ignore[arg-type]
    truth = person(turn) + np.array([900.0, -250.0, 2500.0])
    lifted = lift(seen_by(camera, truth), SURE, BODY_18, stature(truth), camera)
    assert lifted.camera_mm is not None
    np.testing.assert_allclose(lifted.camera_mm, truth, atol=1e-3)
    np.testing.assert_allclose(lifted.relative_mm, truth - truth[BODY_18.index("pelvis")], atol=1e-3)


def test_joints_that_are_far_off_do_not_set_the_scale_when_unsure() -> None:
    truth = person()
    broken, confidence = truth.copy(), SURE.copy()
    for joint in ("left_knee", "left_ankle"):
        broken[BODY_18.index(joint)] *= 6
        confidence[BODY_18.index(joint)] = 0.0
    sure = lift(broken, SURE, BODY_18, stature(truth)).relative_mm[BODY_18.index("right_wrist")]
    unsure = lift(broken, confidence, BODY_18, stature(truth)).relative_mm[BODY_18.index("right_wrist")]
    wanted = np.linalg.norm(truth[BODY_18.index("right_wrist")])
    assert np.linalg.norm(sure) < 0.8 * wanted
    assert np.linalg.norm(unsure) == pytest.approx(wanted, rel=0.06)


@given(st.floats(900, 2300), st.floats(0.01, 50), st.floats(-180, 180))
def test_stature_alone_sets_the_size(height: float, pixels_per_mm: float, turn: float) -> None:
    truth = person(turn)
    small, large = (lift(truth * s, SURE, BODY_18, height).relative_mm for s in (pixels_per_mm, 1.0))
    np.testing.assert_allclose(small, large, atol=1e-6 * height)
    np.testing.assert_allclose(large * stature(truth) / height, truth, atol=1e-6)


@pytest.mark.parametrize("skeleton", MODEL_SKELETONS.values(), ids=MODEL_SKELETONS)
def test_every_skeleton_that_a_model_may_have_can_be_lifted(skeleton: Skeleton) -> None:
    points = np.random.default_rng(0).normal(size=(len(skeleton), 3)) * 100
    lifted = lift(points, np.ones(len(skeleton)), skeleton, 1700.0, CAMERA)
    np.testing.assert_allclose(pelvis_of(lifted.relative_mm, skeleton), 0, atol=1e-6)


def test_without_a_pelvis_the_middle_of_the_hips_is_the_origin() -> None:
    points = np.random.default_rng(1).normal(size=(17, 3)) * 100
    hips = lift(points, np.ones(17), COCO_17, 1700.0).relative_mm[COCO_17.indices(("left_hip", "right_hip"))]
    np.testing.assert_allclose(hips.sum(0), 0, atol=1e-9)


def test_a_point_instead_of_a_person_stays_finite() -> None:
    assert np.isfinite(lift(np.zeros((18, 3)), np.zeros(18), BODY_18, 1700.0).relative_mm).all()


def test_wild_depths_stay_in_front_of_the_camera() -> None:
    pixels = np.concatenate([np.random.default_rng(2).uniform(0, 500, (18, 2)), np.full((18, 1), -5000.0)], 1)
    pixels[BODY_18.index("pelvis"), 2] = 0
    camera_mm = lift(pixels, SURE, BODY_18, 1700.0, CAMERA).camera_mm
    assert camera_mm is not None
    assert (camera_mm[:, 2] > 0).all()


def test_a_skeleton_without_limbs_is_refused() -> None:
    with pytest.raises(ConfigError, match="joints nose, left_hip, right_hip: expected both ends of a limb"):
        lift(np.zeros((3, 3)), np.ones(3), Skeleton("dots", ("nose", "left_hip", "right_hip")), 1700.0)


@pytest.mark.parametrize("camera", [None, CAMERA], ids=["weak", "perspective"])
@pytest.mark.parametrize("missing", [("knee", "ankle"), ("hip",), ("wrist", "elbow", "shoulder"), ("hip", "shoulder")])
def test_bones_that_a_skeleton_lacks_do_not_count(missing: tuple[str, ...], camera: Camera | None) -> None:
    """The pose is that of all joints, at the scale that gives the bones that are left their share of the stature."""
    kept = [number for number, name in enumerate(BODY_18.names) if not name.endswith(missing)]
    skeleton = Skeleton("some", tuple(BODY_18.names[number] for number in kept))
    truth = person(35) + np.array([300.0, -250.0, 2500.0])
    pixels = truth * 0.37 if camera is None else seen_by(camera, truth)
    found = lift(pixels[kept], SURE[kept], skeleton, 1000.0, camera).relative_mm
    whole = lift(pixels, SURE, BODY_18, 1000.0, camera).relative_mm[kept]
    np.testing.assert_allclose(found, whole * (np.linalg.norm(found) / np.linalg.norm(whole)), atol=1e-6)
    shares = {bone: share for bone, share in BONE_FRACTIONS.items() if {*bone} <= {*skeleton.names}}
    lengths = [np.linalg.norm(found[skeleton.index(one)] - found[skeleton.index(other)]) for one, other in shares]
    trunk = 0.0
    if "hip" not in missing and "shoulder" not in missing:
        ends = (found[skeleton.indices((f"left_{joint}", f"right_{joint}"))].mean(0) for joint in ("hip", "shoulder"))
        lengths.append(np.linalg.norm(np.subtract(*ends)))
        trunk = TRUNK_FRACTION
    assert sum(lengths) == pytest.approx(1000 * (sum(shares.values()) + trunk))


def test_pixels_that_are_not_square_and_a_depth_that_counts_from_elsewhere() -> None:
    """Depth in px is mm times the mean focal length over the pelvis' distance, and counts from the pelvis alone."""
    camera = Camera(1400.0, 800.0, 640.0, 360.0)
    truth = person(35) + np.array([300.0, -250.0, 2500.0])
    joints = seen_by(camera, truth)
    joints[:, 2] += 77.0
    lifted = lift(joints, SURE, BODY_18, stature(truth), camera)
    np.testing.assert_allclose(lifted.camera_mm, truth, atol=1e-3)


def test_an_unsure_trunk_does_not_set_the_scale() -> None:
    truth = person()
    broken, confidence = truth.copy(), SURE.copy()
    for side in ("left", "right"):  # whole arms six times as far up
        for joint in ("shoulder", "elbow", "wrist"):
            broken[BODY_18.index(f"{side}_{joint}"), 1] -= 3000
        confidence[BODY_18.index(f"{side}_shoulder")] = 0.0
    knee = BODY_18.index("right_knee")
    found = lift(broken, confidence, BODY_18, stature(truth)).relative_mm[knee]
    np.testing.assert_allclose(found, truth[knee], rtol=0.1)


def test_bones_of_no_confidence_count_a_thousandth() -> None:
    """The left shank is ten times too long and unsure: against eight sure bones it moves the scale by less than 1 %."""
    truth = person()
    broken, confidence = truth.copy(), SURE.copy()
    ankle, knee = BODY_18.indices(("left_ankle", "left_knee"))
    broken[ankle] = truth[knee] + 10 * (truth[ankle] - truth[knee])
    confidence[ankle] = 0.0
    wrist = BODY_18.index("right_wrist")
    found = lift(broken, confidence, BODY_18, stature(truth)).relative_mm[wrist]
    wanted = lift(truth, confidence, BODY_18, stature(truth)).relative_mm[wrist]
    np.testing.assert_allclose(found, wanted, rtol=0.01)


def test_near_joints_lie_where_they_are_seen_up_to_a_twentieth_of_the_distance() -> None:
    """A hand a metre before a pelvis that is 1.2 m away: a sixth of the distance, which is not cut off."""
    truth = person(0) + np.array([0.0, 0.0, 1200.0])
    wrist = BODY_18.index("left_wrist")
    truth[wrist] = (100.0, -200.0, 200.0)
    lifted = lift(seen_by(CAMERA, truth), SURE, BODY_18, stature(truth), CAMERA)
    np.testing.assert_allclose(lifted.camera_mm[wrist], truth[wrist], atol=1e-3)


def both_sides(*joints: str) -> Skeleton:
    return Skeleton("some", tuple(f"{side}_{joint}" for side in ("left", "right") for joint in joints))


@pytest.mark.parametrize(
    ("confidence", "thigh", "shank"),
    [((0.8, 0.8, 0.2), 0.8, 0.2), ((0.2, 0.8, 0.8), 0.2, 0.8), ((1.0, 1.0, 0.0), 1.0, 0.001), ((0.0, 0.0, 0.0), 1, 1)],
)
def test_a_bone_counts_by_its_less_certain_end(confidence: tuple[float, ...], thigh: float, shank: float) -> None:
    """Thighs of 10 units, shanks of 20: they should be 245 and 246 mm of 1 m."""
    points = np.array([[0.0, 0.0, 0.0], [0.0, 10.0, 0.0], [0.0, 10.0, 20.0]] * 2)
    wanted = (thigh * 245 + shank * 246) / (thigh * 10 + shank * 20)
    found = mm_per_unit(points, np.array(confidence * 2), both_sides("hip", "knee", "ankle"), 1000.0)
    assert found == pytest.approx(wanted)


def test_a_trunk_alone_sets_the_scale() -> None:
    """From (0, 0, 0) to (0, -8, 6): 10 units of 288 mm."""
    points = np.array([[1.0, 0.0, 0.0], [2.0, -8.0, 6.0], [-1.0, 0.0, 0.0], [-2.0, -8.0, 6.0]])
    assert mm_per_unit(points, np.ones(4), both_sides("hip", "shoulder"), 1000.0) == pytest.approx(28.8)


def test_without_hips_the_middle_of_all_joints_is_the_origin() -> None:
    points = np.array([[0.0, 0.0, 4.0], [6.0, 0.0, 0.0], [0.0, 8.0, 0.0], [2.0, 0.0, 0.0]])
    np.testing.assert_allclose(pelvis_of(points, both_sides("elbow", "wrist")), (2, 2, 1))


def test_a_wild_depth_ends_at_a_twentieth_of_the_distance() -> None:
    pixels = seen_by(CAMERA, person(0) + np.array([0.0, 0.0, 2500.0]))
    wrist, pelvis = BODY_18.indices(("left_wrist", "pelvis"))
    pixels[wrist, 2] = -5000.0
    camera_mm = lift(pixels, SURE, BODY_18, 1700.0, CAMERA).camera_mm
    assert camera_mm is not None
    assert camera_mm[wrist, 2] == pytest.approx(camera_mm[pelvis, 2] / 20)
