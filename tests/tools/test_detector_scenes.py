"""tools/detector: boxes of scenes are where people are, and targets and losses say what they should."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from detector import scenes, targets
from detector.scenes import NOBODY, Cutout, Photo, Scene
from detector.targets import PeopleTargets

from headstart.datasets.lsp_extended import annotations
from headstart.models.person_detector_net import PeopleMaps

RED, GREEN = (255, 0, 0), (0, 255, 0)


def extent(image: NDArray[np.uint8], channel: int) -> NDArray[np.float64]:
    """Corners (4,) of what has this colour."""
    others = image.astype(int).sum(2) - image[..., channel]
    rows, columns = np.nonzero((image[..., channel] > 160) & (others < 120))
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], float)


@pytest.fixture
def photo(tmp_path: Path) -> Photo:
    """A red person of 30 x 60 px in a grey photo of 120 x 90 px."""
    image = np.full((90, 120, 3), 128, np.uint8)
    image[20:80, 50:80] = RED
    cv2.imwrite(str(tmp_path / "a.png"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return Photo(tmp_path / "a.png", np.array([[50.0, 20, 80, 80]]), NOBODY, np.array([50.0, 20, 80, 50]))


@pytest.fixture
def cutout() -> Cutout:
    """A green person of 20 x 40 px in an image of 64 px."""
    image, mask = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), np.uint8)
    image[10:50, 30:50], mask[10:50, 30:50] = GREEN, 255
    return Cutout(cv2.imencode(".png", image)[1].tobytes(), cv2.imencode(".png", mask)[1].tobytes())


def empty(size: int = 128) -> Scene:
    return Scene(np.full((size, size, 3), 90, np.uint8), NOBODY, NOBODY)


@pytest.mark.parametrize("seed", range(12))
def test_a_photos_box_is_where_its_person_came_to_lie(photo: Photo, seed: int) -> None:
    scene = empty()
    scenes._fill(scene, (16, 0, 128, 112), photo, np.random.default_rng(seed))
    for box in (*scene.boxes, *scene.unsure):
        assert np.abs(box - extent(scene.image, 0)).max() <= 2
    assert len(scene.boxes) + len(scene.unsure) <= 1


@pytest.mark.parametrize("seed", range(12))
def test_a_pasted_persons_box_is_where_they_are(cutout: Cutout, seed: int) -> None:
    scene = empty()
    scenes._paste(scene, cutout, np.random.default_rng(seed))
    assert len(scene.boxes) + len(scene.unsure) == 1
    for box in (*scene.boxes, *scene.unsure):
        assert np.abs(box - extent(scene.image, 1)).max() <= 2.5


def test_a_pasted_thing_is_no_person_and_hides_whom_it_covers(cutout: Cutout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "PASTED_PX", (400.0, 400.0))  # larger than the scene
    scene = empty()
    scene.boxes = np.array([[60.0, 60, 70, 70]])
    scenes._paste(scene, dataclasses.replace(cutout, is_person=False), np.random.default_rng(0))
    assert len(scene.boxes) == 0
    assert scene.unsure.tolist() == [[60, 60, 70, 70]]
    assert scene.image[65, 65].tolist() == list(GREEN)


def test_stamps_keep_their_colours_and_outline_and_people_are_left_out(tmp_path: Path) -> None:
    stamp = np.zeros((100, 900, 4), np.uint8)
    stamp[:, 300:600] = (0, 255, 0, 255)
    for name in ("animals/zebra.png", "people/fireman.png", "animals/cartoon/cow.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / name), stamp)
    cv2.imwrite(str(tmp_path / "animals" / "opaque.png"), stamp[..., :3])
    (thing,) = scenes.load_things(tmp_path)
    assert not thing.is_person
    colour = cv2.imdecode(np.frombuffer(thing.image, np.uint8), cv2.IMREAD_COLOR)
    mask = cv2.imdecode(np.frombuffer(thing.mask, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert colour.shape == (44, 400, 3)  # as large as things are pasted at most
    assert mask.shape == (44, 400)
    assert colour[22, 200].tolist() == [0, 255, 0]
    assert abs(int((mask[22] > 127).sum()) - 400 / 3) <= 1


def test_whole_scenes_keep_their_boxes_on_people_mirrored_too(photo: Photo, cutout: Cutout) -> None:
    """In the middle of each box that is not covered are the colours of a person, whatever the camera made of them."""
    hits = []
    for seed in range(30):
        scene = scenes.build_scene(np.random.default_rng(seed), [photo], [cutout], [], 160)
        for left, top, right, bottom in scene.boxes:
            pixel = scene.image[int((top + bottom) / 2), int((left + right) / 2)].astype(int)
            hits.append(max(pixel) - min(pixel) > 40)
    assert len(hits) > 60
    assert np.mean(hits) > 0.8  # a tenth of the scenes is grey


def test_a_body_reaches_beyond_its_joints() -> None:
    """By a tenth of the mean of 40 and 80 px; a joint without a place does not count."""
    joints = np.array([[10.0, 20], [50, 100], [np.nan, np.nan]])
    assert scenes.body_corners(joints).tolist() == [[4, 14, 56, 106]]


def test_what_was_found_earlier_is_a_person_or_perhaps_one(
    stick_people_2d: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scenes, "annotations", lambda root, split: annotations(root, "all"))  # 20 people have no split
    first, second = scenes.load_photos(stick_people_2d, None, slice(0, 2))
    found = {first.path.name: [[1, 2, 3, 4, 0.33], [5, 6, 7, 8, 0.32]]}
    (tmp_path / "found.json").write_text(json.dumps(found))
    more, same = scenes.load_photos(stick_people_2d, tmp_path / "found.json", slice(0, 2))
    assert more.boxes.tolist() == [*first.boxes.tolist(), [1, 2, 3, 4]]
    assert more.unsure.tolist() == [[5, 6, 7, 8]]
    assert (same.boxes.tolist(), same.unsure.tolist()) == (second.boxes.tolist(), [])


def test_cells_cover_a_scene_once() -> None:
    layouts = set()
    for seed in range(60):
        covered = np.zeros((100, 100), int)
        cells = scenes._cells(np.random.default_rng(seed), 100)
        for left, top, right, bottom in cells:
            covered[top:bottom, left:right] += 1
        assert (covered == 1).all()
        layouts.add(len(cells))
    assert layouts == {1, 2, 4, 9}


def test_another_camera_leaves_a_middle_grey_within_30_of_itself() -> None:
    grey = np.full((16, 16, 3), 128, np.uint8)
    seen = [scenes._as_another_camera(grey, np.random.default_rng(seed)) for seed in range(40)]
    assert min(one.min() for one in seen) >= 96  # rounding, and JPEG's
    assert max(one.max() for one in seen) <= 160
    assert np.ptp([one.mean() for one in seen]) > 40


def test_a_person_who_is_mostly_hidden_does_not_count(cutout: Cutout) -> None:
    scene = empty()
    scene.boxes = np.array([[10.0, 10, 30, 30], [10, 10, 100, 100], [100, 100, 110, 110]])
    scenes._hide(scene, np.array([0.0, 0, 28, 40]))  # nine tenths of the first, nothing of the last
    assert scene.boxes.tolist() == [[10, 10, 100, 100], [100, 100, 110, 110]]
    assert scene.unsure.tolist() == [[10, 10, 30, 30]]


def test_less_than_three_tenths_in_view_do_not_count() -> None:
    scene = empty()
    boxes = np.array([[-70.0, 0, 30, 50], [-71.0, 0, 29, 50], [200, 200, 220, 220]])
    scenes._add(scene, boxes, (0, 0, 128, 128), 0.3)
    assert scene.boxes.tolist() == [[0, 0, 30, 50]]
    assert scene.unsure.tolist() == [[0, 0, 29, 50]]


def test_cutouts_at_the_edge_are_left_out(tmp_path: Path, cutout: Cutout) -> None:
    import pyarrow as pa

    touching = np.zeros((64, 64), np.uint8)
    touching[40:64, 10:20] = 255
    masks = [cutout.mask, cv2.imencode(".png", touching)[1].tobytes()]
    table = pa.table({"content": [cutout.image] * 2, "mask": masks})
    with pa.OSFile(str(tmp_path / "shard-00000.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    assert scenes.load_cutouts(tmp_path) == [cutout]


def test_the_middle_of_each_box_is_a_peak_and_its_cells_learn_the_box() -> None:
    """In a picture of 8 x 8 cells: a box of 4 x 6 cells with its middle in the cell (3, 4)."""
    made = targets.encode(Scene(np.zeros((64, 64, 3), np.uint8), np.array([[8.0, 8, 40, 56]]), NOBODY))
    assert (made.heat == 1).nonzero().tolist() == [[4, 3]]
    assert made.corners[:, 4, 3].tolist() == [8, 8, 40, 56]
    assert made.weight.sum().item() == pytest.approx(np.log(32 * 48), rel=1e-5)
    assert made.counts.all()
    # Standard deviation across 0.36 cells, down 0.54: half as far in deviations, so higher.
    assert made.heat[4, 4] == pytest.approx(np.exp(-1 / (2 * 0.36**2)), rel=1e-4)
    assert made.heat[5, 3] == pytest.approx(np.exp(-1 / (2 * 0.54**2)), rel=1e-4)


def test_the_cells_that_learn_a_box_are_those_where_its_gaussian_is_high() -> None:
    """8 x 6 cells around the cell (4, 4): standard deviations of 0.72 cells across and 0.54 down. A cell beside it has
    exp(-1 / 1.0368) = 0.381, above 0.3, and one below it exp(-1 / 0.5832) = 0.180."""
    made = targets.encode(Scene(np.zeros((64, 64, 3), np.uint8), np.array([[0.0, 8, 64, 56]]), NOBODY))
    assert made.weight.nonzero().tolist() == [[4, 3], [4, 4], [4, 5]]
    beside = np.exp(-1 / 1.0368)
    assert made.weight[4, 4].item() == pytest.approx(np.log(64 * 48) / (1 + 2 * beside), rel=1e-5)
    assert made.heat[4, 6].item() == pytest.approx(beside**4, rel=1e-4)
    assert made.heat[6, 4].item() == pytest.approx(np.exp(-4 / 0.5832), rel=1e-4)


def test_the_smaller_one_has_less_area_however_high_it_is() -> None:
    """64 x 16 and 24 x 32 px, both with their middle in the cell (4, 3)."""
    both = np.array([[0.0, 16, 64, 32], [22, 8, 46, 40]])
    for boxes in (both, both[::-1]):
        made = targets.encode(Scene(np.zeros((64, 64, 3), np.uint8), boxes, NOBODY))
        assert made.corners[:, 3, 4].tolist() == [22, 8, 46, 40]


def test_the_smaller_of_two_people_has_the_cells_they_share() -> None:
    both = np.array([[24.0, 24, 40, 40], [0, 0, 64, 64]])
    made = targets.encode(Scene(np.zeros((64, 64, 3), np.uint8), both, NOBODY))
    assert made.corners[:, 4, 4].tolist() == [24, 24, 40, 40]


def test_places_that_may_be_people_teach_nothing_unless_they_are_some() -> None:
    scene = Scene(np.zeros((64, 64, 3), np.uint8), np.array([[0.0, 0, 32, 32]]), np.array([[0.0, 0, 64, 20]]))
    made = targets.encode(scene)
    assert not made.counts[0, 5]
    assert made.counts[2, 2]  # the person's middle
    assert made.counts[5, 5]


def perfect(made: PeopleTargets) -> tuple[PeopleMaps, PeopleTargets]:
    """Maps that say what is wanted, and the targets as a batch of one."""
    batch = PeopleTargets(*(part[None] for part in made))
    height, width = made.heat.shape
    x, y = (torch.arange(width) + 0.5) * 8, (torch.arange(height)[:, None] + 0.5) * 8
    left, top, right, bottom = made.corners
    sides = torch.stack([x - left, y - top, right - x, bottom - y])[None].float()
    return PeopleMaps(torch.where(batch.heat == 1, 20.0, -20.0), sides), batch


def test_perfect_maps_cost_nothing_and_each_error_costs() -> None:
    made = targets.encode(Scene(np.zeros((64, 64, 3), np.uint8), np.array([[8.0, 8, 40, 56]]), NOBODY))
    maps, batch = perfect(made)
    assert targets.total(maps, batch)[0].item() == pytest.approx(0, abs=1e-5)
    assert targets.heat_loss(-maps.heat, batch).item() > 10
    # A box that is 10 px too low of 32 x 48 px: 38 of 58 px in common, and no hull beyond the union's height.
    shifted = maps.sides + torch.tensor([0.0, -10, 0, 10]).view(1, 4, 1, 1)
    lost = targets.box_loss(maps._replace(sides=shifted), batch)
    assert lost.item() == pytest.approx(1 - 38 / 58, abs=1e-4)


def test_the_heatmaps_loss_by_hand() -> None:
    """Scores 0.8, 0.8 and 0.2 where 1, 0.5 and 0 are wanted, and 0.8 where nothing is: of a person, beside them at a
    sixteenth, elsewhere, and where it does not count."""
    heat, counts = torch.tensor([[1.0, 0.5, 0.0, 0.0]]), torch.tensor([[True, True, True, False]])
    logits = torch.tensor([[4.0, 4.0, 0.25, 4.0]]).log()
    made = PeopleTargets(heat, counts, torch.zeros(4, 1, 4), torch.zeros(1, 4))
    batch = PeopleTargets(*(part[None] for part in made))
    wanted = 0.2**2 * np.log(1.25) + 0.8**2 * np.log(5) / 16 + 0.2**2 * np.log(1.25)
    assert targets.heat_loss(logits[None], batch).item() == pytest.approx(wanted, rel=1e-5)
    two = PeopleTargets(*(torch.cat([part, part]) for part in batch))  # the mean over people
    assert targets.heat_loss(torch.stack([logits, logits]), two).item() == pytest.approx(wanted, rel=1e-5)


def test_boxes_apart_cost_more_the_farther_they_are() -> None:
    """10 x 10 px each with a gap of 10 px: nothing in common, and a third of their hull is neither's."""
    sides = torch.tensor([4.0, 4, 6, 6]).view(1, 4, 1, 1)  # of the cell whose middle is (4, 4)
    wanted = torch.tensor([20.0, 0, 30, 10]).view(1, 4, 1, 1)
    one = torch.ones(1, 1, 1)
    lost = targets.box_loss(PeopleMaps(one, sides), PeopleTargets(one, one > 0, wanted, one))
    assert lost.item() == pytest.approx(1 + 1 / 3)


def test_a_scene_without_people_is_finite() -> None:
    maps, batch = perfect(targets.encode(Scene(np.zeros((64, 64, 3), np.uint8), NOBODY, NOBODY)))
    loss, parts = targets.total(maps, batch)
    assert loss.item() == pytest.approx(0, abs=1e-5)
    assert parts["box"] == 0
