"""Inspection: counts by hand, every broken picture named, and sheets that show what the loader gives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from headstart.augment import AugmentConfig
from headstart.draw import LEFT, RIGHT, joint_colour
from headstart.errors import DataError
from headstart.geometry import Camera
from headstart.index import PACKED_SCHEMA, SCHEMA, AnnotationIndex, open_index, to_row, write_index
from headstart.inspection import STATE_COLOURS, picture_of_samples, states_legend, summarise, write_picture
from headstart.records import Annotation
from headstart.skeleton import BODY_18, CANONICAL, WITH_FEET
from headstart.synth.labels import State
from headstart.synthesize import schema_with_states

JOINTS = len(CANONICAL)
LEGEND = len(states_legend(10))
MIRROR = AugmentConfig(
    scale=0,
    rotation_probability=0,
    flip_probability=1,
    shift=0,
    truncation_probability=0,
    brightness=0,
    contrast=0,
    colour=0,
    occluder_probability=0,
)


def person_of(number: int, root: Path, **changes: Any) -> Annotation:
    """Nobody's joint is labelled until a test says so; the box is 80 x 80 px around (49.5, 49.5)."""
    keypoints = np.full((JOINTS, 2), np.nan, np.float32)
    box = np.array([10, 10, 80, 80], np.float32)
    person = Annotation(f"p{number}", root / f"{number}.png", box, keypoints, np.zeros(JOINTS, np.uint8))
    return replace(person, **changes)


def label(person: Annotation, joint: str, x: float, y: float, state: int = 2) -> None:
    number = CANONICAL.index(joint)
    person.keypoints[number], person.visibility[number] = (x, y), state


def index_of(people: list[Annotation], root: Path) -> AnnotationIndex:
    write_index(root / "people.arrow", (to_row(person, root) for person in people), SCHEMA, {})
    return AnnotationIndex([root / "people.arrow"], root)


def grey_pictures(people: list[Annotation]) -> None:
    for person in people:
        cv2.imwrite(str(person.image), np.full((100, 100, 3), 60, np.uint8))


class TestSummarise:
    def test_counts_by_hand(self, tmp_path: Path):
        first, second = person_of(0, tmp_path), person_of(1, tmp_path, camera_xyz=np.zeros((JOINTS, 3), np.float32))
        # The padded box of 100 px is the crop: x and y from -0.5 to 99.5 are inside.
        label(first, "nose", 0, 0)
        label(first, "neck", 99, 99, 1)
        label(first, "pelvis", 100, 50)
        label(second, "nose", 50, -1)
        label(second, "left_knee", 50, 50)
        second.camera_xyz[5:, 1] = np.nan
        summary = summarise(index_of([first, second], tmp_path), read_images=False)
        assert summary.people == 2
        assert (summary.joints_visible, summary.joints_occluded, summary.joints_3d) == (4, 1, 5)
        assert summary.share_inside_crop == pytest.approx(3 / 5)
        assert summary.unreadable == []
        labelled = {joint: count for joint, count in summary.labels_2d.items() if count}
        assert labelled == {"nose": 2, "neck": 1, "pelvis": 1, "left_knee": 1}
        assert summary.labels_3d == {joint: int(number < 5) for number, joint in enumerate(CANONICAL.names)}

    def test_3d_labels_are_checked_where_there_are_any(self, stick_people_2d: Path, stick_people_3d: Path):
        assert summarise(open_index("lsp_extended", stick_people_2d, "all"), read_images=False).checks_3d is None
        checks = summarise(open_index("h36m", stick_people_3d, "test"), read_images=False).checks_3d
        # Human3.6M's labels in the pictures are the projections; hips 130 mm and shoulders 180 mm aside, 490 mm above.
        assert (checks.people, checks.projected.people, checks.projected.people_beyond) == (8, 8, 0)
        assert checks.projected.median_px == pytest.approx(0, abs=1e-4)
        assert checks.hip_to_shoulder_mm == pytest.approx(np.hypot(50, 490), abs=0.1)
        assert checks.problems == []

    def test_nothing_labelled_is_no_division_by_zero(self, tmp_path: Path):
        assert summarise(index_of([person_of(0, tmp_path)], tmp_path), read_images=False).share_inside_crop == 0

    def test_real_labels_lie_inside_their_crops(self, stick_people_2d: Path):
        summary = summarise(open_index("lsp_extended", stick_people_2d, "all"), read_images=True)
        # 14 joints and two midpoints of each of 20; one ankle of one person is not labelled.
        assert (summary.people, summary.joints_visible, summary.joints_occluded) == (20, 20 * 16 - 1, 0)
        assert summary.share_inside_crop == 1
        assert summary.unreadable == []

    def test_broken_and_missing_pictures_are_named_in_order(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr("headstart.inspection._BLOCK", 2)
        people = [person_of(number, tmp_path) for number in range(5)]
        grey_pictures(people)
        people[1].image.write_bytes(b"")
        people[3].image.unlink()
        index = index_of(people, tmp_path)
        steps: list[int] = []
        unreadable = summarise(index, read_images=True, on_progress=steps.append).unreadable
        assert [Path(line.split(":")[0]).name for line in unreadable] == ["1.png", "3.png"]
        assert steps == [1, 2, 3, 4, 5]
        assert summarise(index, read_images=False).unreadable == []

    def test_packed_pictures_are_looked_at_in_the_pack(self, tmp_path: Path):
        good = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()
        rows = [
            {**to_row(person_of(number, tmp_path), tmp_path), "content": content}
            for number, content in enumerate((good, b"broken"))
        ]
        write_index(tmp_path / "a.arrow", rows, PACKED_SCHEMA, {})
        unreadable = summarise(AnnotationIndex([tmp_path / "a.arrow"], tmp_path), read_images=True).unreadable
        assert len(unreadable) == 1
        assert unreadable[0].startswith("p1: ")


class TestPictureOfSamples:
    def person(self, root: Path) -> AnnotationIndex:
        person = person_of(0, root)
        label(person, "left_wrist", 30, 20)
        label(person, "right_wrist", 70, 20)
        label(person, "left_ankle", 30, 80, 1)
        grey_pictures([person])
        return index_of([person], root)

    def test_labels_stand_where_they_belong(self, tmp_path: Path):
        picture = picture_of_samples(self.person(tmp_path), BODY_18, (100, 100), None, 1, 0)
        assert picture.shape == (100, 100, 3)
        assert tuple(picture[20, 30]) == LEFT
        assert tuple(picture[20, 70]) == RIGHT
        assert tuple(picture[80, 30]) == (60, 60, 60), "occluded: hollow"
        assert np.abs(picture[80, 33].astype(int) - LEFT).max() < 40
        assert tuple(picture[50, 50]) == (60, 60, 60)

    def test_a_mirrored_sample_shows_the_names_it_is_trained_with(self, tmp_path: Path):
        picture = picture_of_samples(self.person(tmp_path), BODY_18, (100, 100), MIRROR, 1, 0)
        # The left wrist of the picture is at 99 - 30 and is called right now.
        assert tuple(picture[20, 69]) == RIGHT
        assert tuple(picture[20, 29]) == LEFT
        assert tuple(picture[80, 69]) == (60, 60, 60)
        assert np.abs(picture[80, 72].astype(int) - RIGHT).max() < 40

    def test_heatmaps_are_bright_at_labelled_joints_only(self, tmp_path: Path):
        picture = picture_of_samples(self.person(tmp_path), BODY_18, (100, 100), None, 1, 0, heatmaps=True)
        bright = picture.astype(int).sum(-1)
        for x, y in ((30, 20), (70, 20), (30, 80)):
            assert bright[y - 1 : y + 2, x - 1 : x + 2].max() > 400
        assert bright[0:4, 0:4].max() < 120, "unlabelled joints have no bump in the corner"
        assert bright[80, 70] < 120

    def test_as_many_as_asked_for_or_as_there_are(self, stick_people_2d: Path):
        index = open_index("lsp_extended", stick_people_2d, "all")
        shapes = [picture_of_samples(index, BODY_18, (64, 64), None, count, 0).shape for count in (1, 6, 7, 99)]
        # Six a row, 4 px between; 20 people are four rows.
        assert shapes == [(64, 64, 3), (64, 404, 3), (132, 404, 3), (268, 404, 3)]

    def test_the_seed_chooses_who(self, stick_people_2d: Path):
        index = open_index("lsp_extended", stick_people_2d, "all")
        pictures = [picture_of_samples(index, BODY_18, (64, 64), None, 3, seed) for seed in (0, 0, 1)]
        np.testing.assert_array_equal(pictures[0], pictures[1])
        assert (pictures[0] != pictures[2]).any()

    def test_every_drawn_joint_has_its_side(self, stick_people_2d: Path):
        picture = picture_of_samples(open_index("lsp_extended", stick_people_2d, "all"), BODY_18, (64, 64), None, 4, 0)
        for colour in {joint_colour(joint) for joint in BODY_18.names}:
            assert (picture == colour).all(-1).sum() > 10


class TestStates:
    """Labels of synthetic people: a pack with columns ``state`` and ``mask``."""

    @pytest.fixture
    def person(self, tmp_path: Path) -> AnnotationIndex:
        states = np.zeros(JOINTS, np.uint8)
        xyz = np.tile(np.array([50, 50, 100], np.float32), (JOINTS, 1))
        # At a depth of 100 mm and a focal length of 100 px, mm are px.
        for state, (joint, x, y) in enumerate(
            [("left_wrist", 30, 20), ("right_wrist", 70, 20), ("left_ankle", 30, 80), ("right_ankle", 130, 80)]
        ):
            xyz[CANONICAL.index(joint), :2] = x, y
            states[CANONICAL.index(joint)] = state
        camera = Camera(100, 100, 0, 0, rotation=np.eye(3), translation_mm=np.zeros(3))
        person = person_of(0, tmp_path, camera_xyz=xyz, camera=camera)
        mask = np.zeros((100, 100), np.uint8)
        mask[60:70, 10:20] = 255
        grey, encoded = cv2.imencode(".png", np.full((100, 100, 3), 60, np.uint8))[1], cv2.imencode(".png", mask)[1]
        row = {**to_row(person, tmp_path), "content": grey.tobytes(), "state": states, "mask": encoded.tobytes()}
        write_index(tmp_path / "a.arrow", [row], schema_with_states(CANONICAL), {})
        return AnnotationIndex([tmp_path / "a.arrow"], tmp_path)

    def test_a_skeleton_with_feet_which_have_no_state(self, person: AnnotationIndex):
        """It could not be drawn: of 22 states the 23rd was asked for."""
        assert picture_of_samples(person, WITH_FEET, (100, 100), None, 1, 0).shape[1] == 100

    def test_joints_have_the_colour_of_their_state(self, person: AnnotationIndex):
        picture = picture_of_samples(person, BODY_18, (100, 100), None, 1, 0)[LEGEND:]
        visible, own, other, outside = STATE_COLOURS.values()
        assert tuple(picture[20, 30]) == visible
        assert tuple(picture[20, 70]) == own
        assert tuple(picture[80, 30]) == other
        assert np.abs(picture[80, 97].astype(int) - outside).max() < 60, "hollow, at the edge"
        assert tuple(picture[65, 15]) == (30, 85, 140), "half of the grey and the tint of the mask"
        assert tuple(picture[90, 15]) == (60, 60, 60)

    def test_a_mirrored_sample_keeps_states_and_mask_with_the_person(self, person: AnnotationIndex):
        picture = picture_of_samples(person, BODY_18, (100, 100), MIRROR, 1, 0)[LEGEND:]
        visible, own, other, _ = STATE_COLOURS.values()
        assert tuple(picture[20, 69]) == visible
        assert tuple(picture[20, 29]) == own
        assert tuple(picture[80, 69]) == other
        assert tuple(picture[65, 84]) == (30, 85, 140)

    def test_colours_stand_in_the_order_of_the_labels(self):
        names = [state.name for state in State]
        assert names == ["VISIBLE", "SELF_OCCLUDED", "OBJECT_OCCLUDED", "OUT_OF_FRAME"]
        assert [name.split()[-1] for name in STATE_COLOURS] == ["visible", "body", "else", "image"]
        assert (states_legend(700)[11, :20] == STATE_COLOURS["visible"]).all(-1).any()

    def test_heatmaps_are_drawn_as_for_any_data(self, person: AnnotationIndex):
        assert picture_of_samples(person, BODY_18, (100, 100), None, 1, 0, heatmaps=True).shape == (100, 100, 3)


class TestWritePicture:
    def test_its_folder_is_made(self, tmp_path: Path):
        picture = np.full((4, 5, 3), 7, np.uint8)
        write_picture(str(tmp_path / "new" / "folder" / "a.png"), picture)
        assert (cv2.imread(str(tmp_path / "new" / "folder" / "a.png")) == 7).all()

    def test_rgb_comes_back(self, tmp_path: Path):
        picture = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
        write_picture(str(tmp_path / "a.png"), picture)
        np.testing.assert_array_equal(cv2.imread(str(tmp_path / "a.png"))[..., ::-1], picture)

    @pytest.mark.parametrize("name", ["a.nothing", "a", "taken/a.png"])
    def test_where_it_cannot_be_written(self, tmp_path: Path, name: str):
        (tmp_path / "taken").write_text("a file, where a folder would have to be")
        with pytest.raises(DataError, match=name):
            write_picture(str(tmp_path / name), np.zeros((4, 4, 3), np.uint8))

    def test_a_suffix_of_no_picture(self, tmp_path: Path):
        with pytest.raises(DataError, match=r"a\.xyz: expected the name of an image, .* found '\.xyz' at its end$"):
            write_picture(str(tmp_path / "a.xyz"), np.zeros((4, 4, 3), np.uint8))

    def test_a_format_that_cannot_hold_so_many_pixels(self, tmp_path: Path):
        with pytest.raises(DataError, match=r"a\.jpg: expected an image of a size .*, found 3 x 65501 px"):
            write_picture(str(tmp_path / "a.jpg"), np.zeros((65501, 3, 3), np.uint8))
        assert not list(tmp_path.iterdir())
