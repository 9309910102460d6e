"""What a study keeps of a cell's predictions: pictures in their own colours, labels and predictions on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from headstart.checkpoint import save_checkpoint
from headstart.errors import DataError
from headstart.experiment import as_json
from headstart.geometry import Crop
from headstart.index import AnnotationIndex
from headstart.models.pose_net import PoseNet
from headstart.protocols import protocol
from headstart.samples import PEOPLE, SIDE, write_samples
from headstart.skeleton import CANONICAL
from tiny import MODEL, experiment, mpjpe_of, stage_2d

PROTOCOL = "h36m_standard"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, stick_people_3d: Path) -> dict[str, NDArray[Any]]:
    folder = tmp_path_factory.mktemp("samples")
    torch.manual_seed(0)
    network = PoseNet(MODEL)
    settings = experiment(stage_2d(stick_people_3d), validation=(mpjpe_of(stick_people_3d),))
    tensors = {f"ema.{name}": tensor for name, tensor in network.state_dict().items()}
    header = {"model": as_json(settings)["model"], "backbone_config": network.backbone.config}
    save_checkpoint(folder / "last.safetensors", tensors, header)
    write_samples(folder / "last.safetensors", settings, (PROTOCOL,), folder / "samples.npz")
    with np.load(folder / "samples.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def file_of(kept: dict[str, NDArray[Any]], row: int) -> NDArray[np.uint8]:
    """The picture as any viewer opens the file, BGR."""
    start, stop = kept["offsets"][row : row + 2]
    return cv2.imdecode(kept["jpegs"][start:stop], cv2.IMREAD_COLOR)


def test_pictures_keep_their_colours(kept: dict[str, NDArray[Any]], index_3d: AnnotationIndex) -> None:
    rows = {index_3d[row].key: row for row in range(len(index_3d))}
    for number, key in enumerate(kept["keys"].tolist()):
        row = rows[key]
        expected = Crop.from_box(index_3d[row].bbox_xywh, (SIDE, SIDE)).warp(index_3d.image(row)).astype(int)
        found = file_of(kept, number).astype(int)
        assert np.abs(found - expected).mean() < 4
        # Stick people have red and blue limbs, so exchanged channels are far off.
        assert np.abs(found[..., ::-1] - expected).mean() > 8


def test_labels_lie_on_the_picture_and_errors_are_those_of_the_arrays(
    kept: dict[str, NDArray[Any]], index_3d: AnnotationIndex
) -> None:
    assert 0 < len(kept["keys"]) <= PEOPLE
    assert set(kept["protocol"].tolist()) == {protocol(PROTOCOL).name}
    person = next(one for one in index_3d if one.key == kept["keys"][0])
    crop = Crop.from_box(person.bbox_xywh, (SIDE, SIDE))
    columns = CANONICAL.indices(tuple(kept["joints"].tolist()))
    np.testing.assert_allclose(kept["label_2d"][0], crop.to_crop(person.keypoints[columns]), atol=1e-3)
    distances = np.linalg.norm(kept["label_3d"] - kept["predicted_3d"], axis=-1)
    np.testing.assert_allclose(kept["error_mm"], np.nanmean(distances, 1), rtol=1e-4)
    pelvis = kept["joints"].tolist().index("pelvis")
    np.testing.assert_allclose(kept["predicted_3d"][:, pelvis], 0, atol=1e-4)


@pytest.mark.parametrize("array", [False, True])
def test_a_file_that_holds_no_samples(array: bool, tmp_path: Path) -> None:
    """An empty one, and a lone array."""
    path = tmp_path / "samples.npz"
    with path.open("wb") as stream:
        if array:
            np.save(stream, np.zeros(3))
    with pytest.raises(DataError, match=r"samples\.npz: expected samples of a cell, .*Remove it and run"):
        write_samples(tmp_path / "unread", experiment(), (PROTOCOL,), path, add=True)
