"""3D labels that cannot be right: every usual mistake is found and named, and sound labels are left alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from headstart.geometry import Camera
from headstart.index import SCHEMA, AnnotationIndex, schema_of, to_row, write_index
from headstart.label_checks import APART, FEWEST_LEGS, HIP_TO_SHOULDER_MM, Checks3D, check_3d
from headstart.records import Annotation
from headstart.skeleton import CANONICAL, WITH_FEET
from sticks import Pose, random_pose

#: Not square, off the middle, with distortion: nothing that a mirrored person would fit by chance.
LENS = Camera(900.0, 920.0, 500.0, 360.0, (-0.2, 0.05, 0.001, -0.002, 0.0))
#: The sticks' world (z up) before the lens, looking along +y: those who face it look along -y.
TO_CAMERA = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
SIDES = list(CANONICAL.flip_index)


def bent_pose(rng: np.random.Generator) -> Pose:
    """A stick person, who faces +y, with knees bent by some 40 degrees: hips and ankles stay, knees go to the front."""
    pose = random_pose(rng)
    angle = rng.uniform(-np.pi, np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    for side, sign in (("left", -1.0), ("right", 1.0)):
        hip = np.array([130 * sign, 0, 880])
        pose[f"{side}_hip"] = hip
        pose[f"{side}_knee"] = hip + np.array([0, 150, -rng.uniform(350, 420)])
        pose[f"{side}_ankle"] = hip + np.array([0, 0, -rng.uniform(740, 800)])
        pose[f"{side}_shoulder"] = np.array([180 * sign, 0, 1370])
        pose[f"{side}_eye"] = pose[f"{side}_ear"] = np.array([30 * sign, 60, 1540])
    return {name: turn @ point for name, point in pose.items()}


@cache
def crowd(people: int = 40) -> tuple[Annotation, ...]:
    """People all around the picture, 4 m away, looking all ways; 2D labels with a pixel of noise."""
    return tuple(_person(number) for number in range(people))


def _person(number: int) -> Annotation:
    rng = np.random.default_rng(number)
    pose = bent_pose(rng)
    world = np.stack([pose[name] for name in CANONICAL.names]) - (0, 0, 900)
    xyz = world @ TO_CAMERA.T + (rng.uniform(-900, 900), rng.uniform(-100, 100), rng.uniform(3500, 4500))
    pixels = LENS.project(xyz) + rng.normal(0, 1, (len(CANONICAL), 2))
    box = np.concatenate([pixels.min(0), np.ptp(pixels, axis=0)]).astype(np.float32)
    states = np.full(len(CANONICAL), 2, np.uint8)
    return Annotation(
        f"p{number}", Path("/a.jpg"), box, pixels.astype(np.float32), states, xyz.astype(np.float32), LENS
    )


def relative(person: Annotation) -> Annotation:
    """The same without a camera."""
    pelvis = person.camera_xyz[CANONICAL.index("pelvis")]
    return replace(person, camera_xyz=person.camera_xyz - pelvis, camera=None)


@pytest.fixture
def checked(tmp_path: Path) -> Callable[[list[Annotation]], Checks3D]:
    def check(people: list[Annotation]) -> Checks3D:
        schema = SCHEMA if len(people[0].visibility) == len(CANONICAL) else schema_of(WITH_FEET)
        write_index(tmp_path / "a.arrow", (to_row(person, Path("/")) for person in people), schema, {})
        return check_3d(AnnotationIndex([tmp_path / "a.arrow"], Path("/")))

    return check


Checked = Callable[[list[Annotation]], Checks3D]
Mistake = Callable[[Annotation], Annotation]


def xyz_by(matrix: list[list[float]]) -> Mistake:
    return lambda person: replace(person, camera_xyz=person.camera_xyz @ np.array(matrix, np.float32).T)


def scaled(factor: float) -> Mistake:
    return lambda person: replace(person, camera_xyz=person.camera_xyz * np.float32(factor))


def sides_exchanged(person: Annotation) -> Annotation:
    return replace(person, camera_xyz=person.camera_xyz[SIDES])


def in_world_axes(person: Annotation) -> Annotation:
    """Camera and labels as a data set with its own world has them, the step between the two forgotten."""
    camera = replace(LENS, rotation=TO_CAMERA, translation_mm=np.array([100.0, 900.0, 4000.0]))
    world = (person.camera_xyz - camera.translation_mm) @ TO_CAMERA
    return replace(person, camera_xyz=world.astype(np.float32), camera=camera)


Y_UP = xyz_by([[1, 0, 0], [0, -1, 0], [0, 0, 1]])
X_MIRRORED = xyz_by([[-1, 0, 0], [0, 1, 0], [0, 0, 1]])
Z_TO_VIEWER = xyz_by([[1, 0, 0], [0, 1, 0], [0, 0, -1]])
OPENGL = xyz_by([[1, 0, 0], [0, -1, 0], [0, 0, -1]])
X_AND_Y = xyz_by([[0, 1, 0], [1, 0, 0], [0, 0, 1]])
Z_UP = xyz_by([[1, 0, 0], [0, 0, 1], [0, -1, 0]])


def test_sound_labels(checked: Checked) -> None:
    """The trunk goes from (130, 880) to (180, 1370): 492.5 mm. A pixel of noise is 0.4 % of a box of 400 px or so."""
    found = checked(list(crowd()))
    assert found.problems == []
    assert found.people == 40
    assert found.hip_to_shoulder_mm == pytest.approx(np.hypot(50, 490), abs=0.1)
    assert found.fitted is None
    assert (found.projected.people, found.projected.people_beyond) == (40, 0)
    assert 0.8 < found.projected.median_px < 1.6, "the median of a Rayleigh distribution is 1.18"
    assert 0.001 < found.projected.median_share < 0.006
    assert (found.bent_legs, found.knees_forward) == (80, 1)


def test_sound_labels_without_a_camera(checked: Checked) -> None:
    """From 4 m, perspective and lens are what a scale cannot undo."""
    found = checked([relative(person) for person in crowd()])
    assert found.problems == []
    assert found.projected is None
    assert found.fitted.people == 40
    assert found.fitted.median_share < 0.03
    assert (found.bent_legs, found.knees_forward) == (80, 1)


@pytest.mark.parametrize("stature", [0.45, 1.0, 1.3])
def test_children_and_giants_are_people(checked: Checked, stature: float) -> None:
    found = checked([scaled(stature)(person) for person in crowd()])
    assert found.problems == []
    assert found.hip_to_shoulder_mm == pytest.approx(stature * np.hypot(50, 490), abs=0.1)


@pytest.mark.parametrize(
    ("mistake", "with_camera", "without"),
    [
        (scaled(1e-3), "likely the labels are in metres", "likely the labels are in metres"),
        (scaled(0.1), "likely the labels are in centimetres", "likely the labels are in centimetres"),
        (scaled(10), "another unit", "another unit"),
        (Y_UP, "likely y points up (camera axes are", "likely y points up"),
        (X_MIRRORED, "likely x is mirrored (camera axes are", "likely x is mirrored"),
        (Z_TO_VIEWER, "likely z points towards the viewer (camera axes", "knees point forward in 0% of 80 bent legs"),
        (OPENGL, "likely y points up and z towards the viewer", "likely y points up"),
        (X_AND_Y, "likely x and y are exchanged", "likely x and y are exchanged"),
        (Z_UP, "likely z points up", "likely z points up"),
        (sides_exchanged, "likely left and right are exchanged", "likely left and right are exchanged"),
        (in_world_axes, "likely world axes, where camera axes are expected", "2D labels"),
        (
            lambda person: replace(person, camera_xyz=person.camera_xyz[::-1]),
            "joints in another order",
            "another order",
        ),
        (lambda person: replace(relative(person), camera=LENS), "relative to a root: such people have no camera", None),
        (
            lambda person: replace(person, camera=replace(LENS, fx=450.0, fy=460.0, cx=250.0, cy=180.0)),
            "of its size",
            None,
        ),
    ],
)
def test_every_mistake_is_named(checked: Checked, mistake: Mistake, with_camera: str, without: str | None) -> None:
    (line,) = checked([mistake(person) for person in crowd()]).problems
    assert with_camera in line
    assert "expected" in line
    if without is not None:
        (line,) = checked([relative(mistake(person)) for person in crowd()]).problems
        assert without in line
        assert "expected" in line


def test_sides_exchanged_in_2d_and_3d_show_by_the_knees(checked: Checked) -> None:
    """The projection hides it: 2D labels of many data sets are made from the 3D ones."""
    both = [replace(sides_exchanged(person), keypoints=person.keypoints[SIDES]) for person in crowd()]
    found = checked(both)
    assert found.projected.median_share < 0.01
    assert found.problems == [
        "knees point forward in 0% of 80 bent legs, expected nearly all; likely left and right are exchanged, or"
        " an axis is reversed, as z towards the viewer (camera axes are x right, y down, z away)"
    ]


def test_few_legs_prove_nothing(checked: Checked) -> None:
    few = [replace(sides_exchanged(person), keypoints=person.keypoints[SIDES]) for person in crowd()]
    assert checked(few[: FEWEST_LEGS // 2 - 1]).problems == []
    assert checked(few[: FEWEST_LEGS // 2]).problems != []


def test_straight_legs_do_not_count(checked: Checked) -> None:
    """Knee halfway between hip and ankle, and 9 % and 11 % of the leg before that."""
    hip, knee, ankle = (CANONICAL.index(f"left_{joint}") for joint in ("hip", "knee", "ankle"))
    for share, bent in ((0.0, 1), (0.09, 1), (0.11, 2)):
        person = replace(crowd()[0], camera_xyz=crowd()[0].camera_xyz.copy())
        leg = person.camera_xyz[ankle] - person.camera_xyz[hip]
        aside = np.cross(leg, np.float32([0, 0, 1]))
        middle = (person.camera_xyz[hip] + person.camera_xyz[ankle]) / 2
        person.camera_xyz[knee] = middle + share * np.linalg.norm(leg) * aside / np.linalg.norm(aside)
        assert checked([person]).bent_legs == bent


def test_what_is_apart_by_little_is_a_mistake_only_if_one_explains_it(checked: Checked) -> None:
    """5 % of the box: a different place of the joints, say, which nothing undoes; 11 % is too much whatever it is."""

    def moved(person: Annotation, share: float) -> Annotation:
        aside = np.float32([share * max(person.bbox_xywh[2:]), 0]) * np.where(np.arange(22) % 2, 1, -1)[:, None]
        return replace(person, keypoints=(person.keypoints + aside).astype(np.float32))

    assert checked([moved(person, 0.05) for person in crowd()]).problems == []
    (line,) = checked([moved(person, 0.11) for person in crowd()]).problems
    assert "lie 11." in line
    assert "joints in another order than SKELETON says, or labels of somebody else" in line


def test_people_beyond_are_counted_where_the_median_is_sound(checked: Checked) -> None:
    people = [Y_UP(person) if number < 10 else person for number, person in enumerate(crowd())]
    found = checked(people)
    assert found.problems == []
    assert found.projected.people_beyond == 10
    assert found.projected.median_share < APART


def test_people_with_and_without_a_camera_are_measured_apart(checked: Checked) -> None:
    found = checked([relative(Y_UP(person)) if number % 4 else person for number, person in enumerate(crowd())])
    assert (found.projected.people, found.fitted.people) == (10, 30)
    (line,) = found.problems
    assert line.startswith("3D joints with x and y scaled onto the 2D labels lie ")
    assert "median of 30 people" in line


def test_joints_behind_the_camera_are_a_box_away(checked: Checked) -> None:
    found = checked([Z_TO_VIEWER(person) for person in crowd()])
    assert found.projected.median_share == 1
    assert found.projected.people_beyond == 40


def test_without_3d_there_is_nothing_to_check(checked: Checked) -> None:
    assert checked([replace(person, camera_xyz=None, camera=None) for person in crowd()]) is None


def test_3d_without_2d_and_without_a_trunk_is_no_mistake(checked: Checked) -> None:
    """A hand alone, and people who are not labelled in their pictures."""
    blank = np.full((22, 2), np.nan, np.float32)
    unseen = [replace(person, keypoints=blank, visibility=np.zeros(22, np.uint8)) for person in crowd()]
    found = checked(unseen)
    assert (found.people, found.projected, found.fitted, found.problems) == (40, None, None, [])
    wrists = CANONICAL.indices(("left_wrist", "left_elbow", "left_shoulder"))
    hands = [replace(person, camera_xyz=np.full((22, 3), np.nan, np.float32)) for person in crowd()]
    for hand, person in zip(hands, crowd()):
        hand.camera_xyz[wrists] = person.camera_xyz[wrists]
    found = checked(hands)
    assert (found.hip_to_shoulder_mm, found.knees_forward, found.bent_legs, found.problems) == (None, None, 0, [])
    assert found.projected is None, "three joints are too few"


def test_one_side_of_a_trunk_is_enough(checked: Checked) -> None:
    half = [replace(person, camera_xyz=person.camera_xyz.copy()) for person in crowd()]
    for person in half:
        person.camera_xyz[CANONICAL.index("left_shoulder")] = np.nan
    assert checked(half).hip_to_shoulder_mm == pytest.approx(np.hypot(50, 490), abs=0.1)
    assert HIP_TO_SHOULDER_MM[0] < 190 < 550 < HIP_TO_SHOULDER_MM[1]


def test_four_joints_are_enough(checked: Checked) -> None:
    """Of which, unlike of three, a median says something."""
    for joints, measured in ((4, True), (3, False)):
        few = [replace(person, visibility=(np.arange(22) < joints).astype(np.uint8) * 2) for person in crowd()]
        found = checked(few).projected
        assert (found.people if found else 0) == (40 if measured else 0)


def test_a_few_strangers_do_not_hide_a_mistake(checked: Checked) -> None:
    """Eight of forty have the 2D labels of somebody ten boxes away: no axis brings theirs together, and the median of
    what is left apart does not mind."""
    aside = [np.float32([10 * max(person.bbox_xywh[2:]) * (number < 8), 0]) for number, person in enumerate(crowd())]
    people = [replace(Y_UP(person), keypoints=person.keypoints + far) for person, far in zip(crowd(), aside)]
    (line,) = checked(people).problems
    assert "likely y points up (camera axes" in line


def test_y_and_z_exchanged_are_named(checked: Checked) -> None:
    exchanged = xyz_by([[1, 0, 0], [0, 0, 1], [0, 1, 0]])
    for people in ([exchanged(person) for person in crowd()], [relative(exchanged(person)) for person in crowd()]):
        (line,) = checked(people).problems
        assert "likely y and z are exchanged (camera axes" in line


def _with_feet(person: Annotation) -> Annotation:
    """Each joint of a foot 80 to 200 mm below its ankle, seen through the person's lens."""
    wide = person.with_feet()
    xyz, keypoints = np.asarray(wide.camera_xyz), wide.keypoints
    for number, joint in enumerate(WITH_FEET.names[22:]):
        ankle = CANONICAL.index(f"{joint.partition('_')[0]}_ankle")
        xyz[22 + number] = xyz[ankle] + (0, 80 + 20 * number, 0)
    keypoints[22:] = LENS.project(xyz[22:].astype(np.float64))
    return replace(wide, keypoints=keypoints, visibility=np.full(28, 2, np.uint8), camera_xyz=xyz)


def test_feet_are_checked_too(checked: Checked) -> None:
    """Sound labels pass; where 3D alone has the sides exchanged, feet and all, that is what is named."""
    people = [_with_feet(person) for person in crowd()]
    sound = checked(people)
    assert not sound.problems
    flip = list(WITH_FEET.flip_index)
    wrong = [replace(one, camera_xyz=np.asarray(one.camera_xyz)[flip]) for one in people]
    assert "left and right" in " ".join(checked(wrong).problems)
