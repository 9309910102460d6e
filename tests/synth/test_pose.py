"""Poses: recordings keep their directions and splits, bodies rest on what carries them and do not cut themselves."""

import numpy as np
import pytest
from helpers import winding_numbers

from headstart.errors import ConfigError
from headstart.skeleton import CANONICAL
from headstart.synth.body import PARTS, body_points, load_body, sample_shape, skin
from headstart.synth.collide import fit_solids, intersects
from headstart.synth.domains import studio_subject
from headstart.synth.ground import balanced
from headstart.synth.pose import SPLITS, load_library, place_recorded, rest_joints, sample_stance
from headstart.synth.posture import with_arms_apart
from headstart.synth.posture_table import load_postures
from headstart.synth.rig import bone_rotations, make_pose
from headstart.synth.scene import extent


def test_recordings_are_split_by_recording():
    library = load_library()
    recordings = {split: set(library.recording[library.rows(split)]) for split in SPLITS}
    assert all(recordings.values())
    assert not recordings["train"] & recordings["test"]
    assert not recordings["train"] & recordings["val"]
    assert not recordings["val"] & recordings["test"]
    with pytest.raises(ConfigError, match="no recordings"):
        library.rows("train", ("flying",))


def test_no_pose_is_in_two_splits():
    """Recordings of CMU begin with one and the same T-pose, which is left out."""
    library = load_library()
    limbs = library.rotations[:, 1:].reshape(len(library.rotations), -1)
    train, test = (limbs[library.rows(split)] for split in ("train", "test"))
    apart = np.array([np.abs(train - pose).max(1).min() for pose in test])
    assert apart.min() > np.radians(2)


def test_recorded_people_stand_upright_on_the_ground():
    rng = np.random.default_rng(0)
    shape = sample_shape(rng)
    for row in load_library().rows("train", ("walking",))[::40]:
        posed = place_recorded(shape, int(row), rng).posed
        assert extent(posed)[0][2] == pytest.approx(0, abs=12)
        assert posed.joints[CANONICAL.index("head_top"), 2] > 0.85 * shape.stature_mm


def test_every_posture_is_a_full_record():
    postures = load_postures()
    assert {posture.support for posture in postures.values()} == {
        "feet",
        "seat",
        "floor",
        "hands",
        "air",
        "hang",
        "wall",
    }
    assert len(postures) > 40


def test_balance_brings_the_centre_over_the_feet():
    rng = np.random.default_rng(2)
    stance = sample_stance(rng, sample_shape(rng), "train", 1.0)
    points = body_points(balanced(stance.posed, keep=0.0))[::7]
    low = points[points[:, 2] < points[:, 2].min() + 90]
    assert np.linalg.norm((points.mean(0) - low.mean(0))[:2]) < 60


DEEP_MM = 12.0


def buried(vertices, rows):
    """Which of the points lie more than DEEP_MM inside the body's mesh, seen from their own skin outwards."""
    corners = vertices[load_body().faces["body"]]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    own = np.zeros((len(vertices), 3))
    np.add.at(own, load_body().faces["body"].ravel(), np.repeat(normals, 3, 0))
    outward = own[rows] / np.linalg.norm(own[rows], axis=1, keepdims=True)
    return winding_numbers(vertices[rows] + DEEP_MM * outward, corners) > 0.5


@pytest.fixture(scope="module")
def outer_rows():
    """Points of hands, forearms, head, shins and feet that lie on the outside at rest (mouths have an inside)."""
    asset = load_body()
    names = ["head"] + [f"{s}_{p}" for s in ("left", "right") for p in ("hand", "forearm", "shin", "foot")]
    part = asset.part[: asset.naked_vertices]
    rows = np.concatenate([np.flatnonzero(part == PARTS.index(name))[::30] for name in names])
    return rows[~buried(asset.mean[: asset.vertices], rows)]


def penetrating_share(posed, rows) -> float:
    """Share of points inside another part; skin folds at elbows and knees do not count."""
    joints = posed.joints[[CANONICAL.index(f"{s}_{j}") for s in ("left", "right") for j in ("elbow", "knee")]]
    away = np.linalg.norm(posed.vertices[rows][:, None] - joints[None], axis=-1).min(1) > 110
    return float(buried(posed.vertices, rows[away]).mean())


def test_at_least_95_percent_of_poses_do_not_cut_into_themselves(outer_rows):
    rng = np.random.default_rng(5)
    shares = []
    for _ in range(50):
        stance = sample_stance(rng, sample_shape(rng), "train")
        shares.append(penetrating_share(stance.posed, outer_rows))
    assert np.mean(np.array(shares) < 0.03) >= 0.95


def test_stout_people_run_with_their_arms_apart():
    """In every recorded frame of running the forearms of one subject of the studio reach into the belly."""
    shape = studio_subject("S1")
    for name in ("S5", "S6", "S7"):
        shape = max(shape, studio_subject(name), key=lambda one: float(np.ptp(one.rest[:, 1])))
    solids = fit_solids(shape, rest_joints(shape))
    rng = np.random.default_rng(3)
    stances = [sample_stance(rng, shape, "train", 1.0, ("running",)) for _ in range(4)]
    assert {stance.action for stance in stances} == {"running"}
    assert not any(intersects(stance.posed, solids) for stance in stances)


def test_arms_apart_are_turned_outwards_by_the_angle():
    shape = sample_shape(np.random.default_rng(0))
    wide, as_it_was = (
        skin(shape, bone_rotations(with_arms_apart(make_pose({}), degrees))).joints for degrees in (30.0, 0.0)
    )
    for side, outwards in (("left", 1), ("right", -1)):
        ends = CANONICAL.indices((f"{side}_shoulder", f"{side}_elbow"))
        before, after = as_it_was[ends[1]] - as_it_was[ends[0]], wide[ends[1]] - wide[ends[0]]
        angles = [np.degrees(np.arctan2(outwards * arm[0], -arm[2])) for arm in (before, after)]
        assert angles[1] - angles[0] == pytest.approx(30, abs=0.5)
