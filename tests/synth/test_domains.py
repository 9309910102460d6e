"""Labels against independent geometry; determinism; splits that share nothing."""

import subprocess
import sys
import zlib
from dataclasses import replace

import numpy as np
import pytest
from helpers import first_hit, winding_numbers

from headstart.errors import ConfigError
from headstart.skeleton import CANONICAL, LSP_14, WITH_FEET
from headstart.synth import domains
from headstart.synth.body import load_body
from headstart.synth.domains import DOMAINS, STUDIO_SUBJECTS, compose, generate, studio_cameras
from headstart.synth.feet import foot_points
from headstart.synth.labels import State, shown_by
from headstart.synth.mesh import SUBJECT
from headstart.synth.shot import textures_of

SIZE = 128
CASES = [
    ("wild", 0),
    ("wild", 1),
    ("wild", 2),
    ("wild", 3),
    ("studio", 0),
    ("studio", 6),
    ("occluded", 0),
    ("occluded", 9),
]


@pytest.fixture(scope="module")
def shots():
    return {case: compose(case[0], "train", 0, case[1], SIZE) for case in CASES}


@pytest.fixture(scope="module")
def images():
    return {case: generate(case[0], "train", 0, case[1], SIZE) for case in CASES}


def joints_of(shot):
    """All joints (28, 3) in world axes."""
    return np.concatenate([shot.stance.posed.joints, foot_points(shot.stance.posed)])


@pytest.mark.parametrize("case", CASES)
def test_joints_project_on_their_pixels(images, case):
    image = images[case]
    camera, xyz = image.camera, image.camera_xyz
    expected = np.stack(
        [camera.fx * xyz[:, 0] / xyz[:, 2] + camera.cx, camera.fy * xyz[:, 1] / xyz[:, 2] + camera.cy], 1
    )
    np.testing.assert_allclose(image.keypoints, expected, atol=0.01)
    assert np.linalg.det(camera.rotation) == pytest.approx(1)
    np.testing.assert_allclose(camera.rotation @ camera.rotation.T, np.eye(3), atol=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_world_joints_through_the_extrinsics_are_the_camera_joints(shots, images, case):
    image = images[case]
    through = joints_of(shots[case]) @ image.camera.rotation.T + image.camera.translation_mm
    np.testing.assert_allclose(through, image.camera_xyz, atol=1e-6)
    assert (image.camera_xyz[:, 2] > 0).all()


def test_joints_lie_inside_the_body(shots):
    names = [
        name for name in CANONICAL.names if name not in ("nose", "head_top") and "eye" not in name and "ear" not in name
    ]
    for shot in list(shots.values())[:5]:
        posed = shot.stance.posed
        inside = winding_numbers(
            posed.joints[CANONICAL.indices(tuple(names))], posed.vertices[load_body().faces["body"]]
        )
        assert (inside > 0.5).all(), [name for name, w in zip(names, inside) if w < 0.5]


def state_by_ray(shot, joint):
    """The same question asked with a ray in the world instead of triangles in the picture."""
    mesh, camera = shot.scene.mesh, shot.camera
    x, y = shot.keypoints[joint]
    if not (-0.5 <= x < SIZE - 0.5 and -0.5 <= y < SIZE - 0.5):
        return State.OUT_OF_FRAME
    eye = -camera.rotation.T @ camera.translation_mm
    target = joints_of(shot)[joint]
    away = np.linalg.norm(target - eye)
    corners, cut = mesh.vertices[mesh.faces].astype(np.float64), mesh.cut[mesh.faces]
    # From just beyond the least distance at which the camera draws.
    near = 60 / shot.camera_xyz[joint, 2]
    face, distance = first_hit(eye + near * (target - eye), (target - eye) / away, corners, cut)
    if face < 0 or distance + near * away >= away:
        return State.VISIBLE
    if mesh.owner[face] != SUBJECT:
        return State.OBJECT_OCCLUDED
    shows, reach = shown_by()
    buried = (1 - (distance / away + near)) * shot.camera_xyz[joint, 2]
    return State.VISIBLE if shows[joint, mesh.part[face]] and buried <= reach[joint] else State.SELF_OCCLUDED


def test_states_agree_with_an_independent_ray_cast(shots):
    agree = [
        state_by_ray(shot, joint) == shot.states[joint] for shot in shots.values() for joint in range(len(WITH_FEET))
    ]
    assert np.mean(agree) >= 0.99


def test_occluders_hide_joints_and_visible_joints_lie_on_the_person():
    shots = [generate("occluded", "train", 1, index, 96) for index in range(8)]
    states = np.concatenate([shot.states for shot in shots])
    assert (states == State.OBJECT_OCCLUDED).mean() > 0.05
    assert (states == State.SELF_OCCLUDED).mean() > 0.05
    for shot in shots:
        pixels = np.round(shot.keypoints[shot.states == State.VISIBLE]).astype(int).clip(0, 95)
        assert shot.mask[pixels[:, 1], pixels[:, 0]].mean() > 0.8


@pytest.mark.parametrize("case", CASES)
def test_left_is_left(images, case):
    joints = images[case].camera_xyz
    at = {name: joints[CANONICAL.index(name)] for name in CANONICAL.names}
    up, front = at["head_top"] - at["neck"], at["nose"] - (at["left_ear"] + at["right_ear"]) / 2
    # Both bases are right-handed, so up x front is the person's left in camera axes, too.
    left = np.cross(up, front)
    assert (at["left_ear"] - at["right_ear"]) @ left > 0
    assert (at["left_eye"] - at["right_eye"]) @ left > 0
    # The hips follow the head, unless the neck is turned by more than a right angle.
    assert (at["left_shoulder"] - at["right_shoulder"]) @ np.cross(at["head_top"] - at["thorax"], front) > 0


@pytest.mark.parametrize("case", CASES)
def test_feet_are_on_their_side(images, case):
    """Of the left foot, the small toe lies to the left of the line from heel to big toe, as its person sees it."""
    joints = images[case].camera_xyz
    for side, outwards in (("left", 1), ("right", -1)):
        big, small, heel, ankle = joints[
            WITH_FEET.indices(tuple(f"{side}_{name}" for name in ("big_toe", "small_toe", "heel", "ankle")))
        ]
        to_left = np.cross(ankle - heel, big - heel)
        assert outwards * (small - heel) @ to_left / np.linalg.norm(to_left) > 30


@pytest.mark.parametrize("case", CASES)
def test_box_mask_and_picture_fit(images, case):
    image = images[case]
    assert image.image.shape == (SIZE, SIZE, 3)
    assert image.image.dtype == np.uint8
    assert image.image.std() > 5
    rows, columns = np.nonzero(image.mask)
    x, y, width, height = image.bbox_xywh
    slack = 0.16 * max(width, height) + 4
    assert x - slack < columns.min()
    assert columns.max() < x + width + slack
    assert y - slack < rows.min()
    assert rows.max() < y + height + slack
    assert x >= 0
    assert y + height <= SIZE


@pytest.mark.parametrize("case", CASES)
def test_the_box_is_tight_around_the_joints_that_photographs_label(images, case):
    image = images[case]
    joints = image.keypoints[CANONICAL.indices(LSP_14.names)].clip(-0.5, SIZE - 0.5)
    x, y, width, height = image.bbox_xywh
    np.testing.assert_allclose([x - 0.5, y - 0.5], joints.min(0), atol=1e-9)
    np.testing.assert_allclose([x + width - 0.5, y + height - 0.5], joints.max(0), atol=1e-9)


def test_boxes_end_with_the_picture():
    """Of the first person of whom a part lies 8 px and more outside of 32 x 32 px."""
    cut_off = next(i for i in range(60) if compose("wild", "train", 0, i, 32).keypoints.max() > 40)
    x, y, width, height = generate("wild", "train", 0, cut_off, 32).bbox_xywh
    assert min(x, y) >= 0
    assert max(x + width, y + height) <= 32


@pytest.mark.parametrize("domain", list(DOMAINS))
def test_same_arguments_same_bytes_whatever_came_before(domain):
    first = generate(domain, "val", 4, 5, 64)
    generate(domain, "train", 4, 6, 64)
    domains._studio_moment.cache_clear()
    domains._ring_moment.cache_clear()
    second = generate(domain, "val", 4, 5, 64)
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.camera_xyz, second.camera_xyz)
    assert first.key == second.key == f"{domain}-val-4-0000005"
    other = generate(domain, "val", 5, 5, 64)
    assert (other.image != first.image).mean() > 0.3


def test_another_process_makes_the_same_bytes():
    code = (
        "import zlib; from headstart.synth.domains import generate;"
        "print(zlib.crc32(generate('wild', 'test', 2, 3, 64).image.tobytes()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == zlib.crc32(generate("wild", "test", 2, 3, 64).image.tobytes())


def test_splits_share_nothing():
    for domain in DOMAINS:
        textures = [textures_of(domain, split).texels[:4096] for split in ("train", "val", "test")]
        assert all((textures[a] != textures[b]).mean() > 0.5 for a, b in ((0, 1), (0, 2), (1, 2)))
    names = [set(STUDIO_SUBJECTS[split]) for split in ("train", "val", "test")]
    assert len(set.union(*names)) == sum(map(len, names)) == 7
    centres = [camera.translation_mm for split in ("train", "val", "test") for camera in studio_cameras(split, SIZE)]
    assert len({tuple(np.round(centre, 3)) for centre in centres}) == 12
    for domain in DOMAINS:
        train, test = (compose(domain, split, 0, 0, 64) for split in ("train", "test"))
        assert train.subject != test.subject
        assert not np.allclose(train.stance.posed.joints, test.stance.posed.joints)


@pytest.mark.parametrize("domain", ["wild", "occluded"])
def test_people_of_one_number_have_other_bodies_in_other_splits(domain):
    """By the length of a thigh, which no pose changes."""
    hip, knee = CANONICAL.indices(("left_hip", "left_knee"))
    joints = [compose(domain, split, 0, 0, 64).stance.posed.joints for split in ("train", "val", "test")]
    thighs = sorted(float(np.linalg.norm(one[hip] - one[knee])) for one in joints)
    assert min(np.diff(thighs)) > 0.5


def test_four_studio_cameras_see_one_moment():
    views = [compose("studio", "train", 0, index, SIZE) for index in range(4)]
    for view in views[1:]:
        np.testing.assert_array_equal(view.stance.posed.joints, views[0].stance.posed.joints)
        assert view.subject == views[0].subject
    eyes = {tuple(np.round(-v.camera.rotation.T @ v.camera.translation_mm)) for v in views}
    assert len(eyes) == 4


def test_a_new_domain_is_one_function(monkeypatch):
    def closeup(split, seed, index, size):
        return replace(DOMAINS["wild"](split, seed, index, size), subject="me")

    monkeypatch.setitem(DOMAINS, "closeup", closeup)
    assert generate("closeup", "train", 0, 0, 64).subject == "me"


def test_unknown_domains_and_splits_are_named():
    with pytest.raises(ConfigError, match="wild, studio, occluded"):
        generate("moon", "train", 0, 0)
    with pytest.raises(ConfigError, match="train, val, test"):
        generate("wild", "dev", 0, 0)
