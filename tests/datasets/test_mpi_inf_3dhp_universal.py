"""MPI-INF-3DHP in the universal size: the files of test_mpi_inf_3dhp.py, of people at 0.9 of their size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from test_mpi_inf_3dhp import assert_projects, pose, write_test, write_train

from headstart.datasets import iter_annotations
from headstart.errors import DataError
from headstart.evaluate import protocol_rows, score
from headstart.index import AnnotationIndex, open_index
from headstart.label_checks import check_3d
from headstart.predictions import Predictions
from headstart.protocols import protocol
from headstart.records import Annotation
from headstart.results import Scores
from headstart.skeleton import CANONICAL

OWN, UNIVERSAL = "mpi_inf_3dhp", "mpi_inf_3dhp_universal"


def read(root: Path, split: str, name: str = UNIVERSAL) -> list[Annotation]:
    return list(iter_annotations(name, root, split))


def test_a_joint_worked_out_by_hand(tmp_path: Path) -> None:
    """The head top of camera 4, frame 1: 30, -90, 6 mm from the pelvis, which is at -59, 284, 3009."""
    write_train(tmp_path)
    person = read(tmp_path, "train")[3 * 3 + 1]
    assert person.key == "S1_Seq1_4_000001"
    assert person.camera_xyz is not None
    np.testing.assert_allclose(person.camera_xyz[14], [-53.1, 255.6, 2708.1], rtol=1e-6)  # 0.9 of the pelvis
    np.testing.assert_allclose(person.camera_xyz[0] - person.camera_xyz[14], [27, -81, 5.4], atol=1e-3)


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_pose_is_that_of_the_file_and_stays_on_its_pixels(tmp_path: Path, split: str) -> None:
    write_train(tmp_path)
    write_test(tmp_path)
    for own, scaled in zip(read(tmp_path, split, OWN), read(tmp_path, split), strict=True):
        assert_projects(scaled)
        assert own.camera_xyz is not None
        assert scaled.camera_xyz is not None
        np.testing.assert_allclose(scaled.camera_xyz, 0.9 * own.camera_xyz, rtol=1e-5, atol=1e-3)
        for field in ("keypoints", "visibility", "bbox_xywh"):
            np.testing.assert_array_equal(getattr(scaled, field), getattr(own, field))
        for field in ("key", "image", "subject", "action", "sequence", "frame"):
            assert getattr(scaled, field) == getattr(own, field)


def test_relative_to_the_pelvis_it_is_the_official_truth(tmp_path: Path) -> None:
    write_test(tmp_path)
    with h5py.File(tmp_path / "TS3" / "annot_data.mat") as file:
        official = file["univ_annot3"][3, 0]
    (person,) = [one for one in read(tmp_path, "test") if one.key == "TS3_000003"]
    assert person.camera_xyz is not None
    np.testing.assert_allclose(person.camera_xyz - person.camera_xyz[14], official - official[14], atol=1e-3)


def test_without_a_camera_it_is_relative_to_the_pelvis(tmp_path: Path) -> None:
    write_test(tmp_path, frames=40)
    noise = np.random.default_rng(0).normal(0, 30, (40, 1, 17, 2))
    with h5py.File(tmp_path / "TS1" / "annot_data.mat", "r+") as file:
        file["annot2"][...] += noise
    person = read(tmp_path, "test")[0]
    assert person.camera is None
    assert person.camera_xyz is not None
    xyz, _ = pose(1, 1, 17)
    np.testing.assert_allclose(person.camera_xyz, 0.9 * (xyz - xyz[14]), atol=1e-3)


def test_frames_that_are_not_valid_are_not_looked_at(tmp_path: Path) -> None:
    write_test(tmp_path)
    with h5py.File(tmp_path / "TS1" / "annot_data.mat", "r+") as file:
        file["univ_annot3"][0] = np.nan
    assert len(read(tmp_path, "test")) == 12


def test_labels_that_are_not_of_the_same_pose_are_refused(tmp_path: Path) -> None:
    folder = write_train(tmp_path)
    write_test(tmp_path)
    with h5py.File(tmp_path / "TS2" / "annot_data.mat", "r+") as file:
        file["univ_annot3"][3, 0, 5] += [0, 0, 20]
    with pytest.raises(
        DataError, match=r"TS2/annot_data\.mat, record univ_annot3: .* one factor.* joints up to \d+ mm"
    ):
        read(tmp_path, "test")
    content = scipy.io.loadmat(folder / "annot.mat")
    content["univ_annot3"][4, 0][2, 21] -= 20
    scipy.io.savemat(folder / "annot.mat", {name: content[name] for name in ("annot2", "annot3", "univ_annot3")})
    with pytest.raises(DataError, match=r"annot\.mat, record camera 4: expected univ_annot3 to be annot3 times one f"):
        read(tmp_path, "train")
    content["univ_annot3"][4, 0] = content["univ_annot3"][4, 0][:2]
    scipy.io.savemat(folder / "annot.mat", {name: content[name] for name in ("annot2", "annot3", "univ_annot3")})
    with pytest.raises(DataError, match="camera 4: expected univ_annot3 and annot3 alike, found 2 and 3 frames"):
        read(tmp_path, "train")
    assert len(read(tmp_path, "train", OWN)) == 24  # which does not read them


def test_files_without_universal_labels_are_named(tmp_path: Path) -> None:
    folder = write_train(tmp_path)
    write_test(tmp_path)
    content = scipy.io.loadmat(folder / "annot.mat")
    scipy.io.savemat(folder / "annot.mat", {name: content[name] for name in ("annot2", "annot3")})
    with pytest.raises(DataError, match=r"annot\.mat: expected variable 'univ_annot3'"):
        read(tmp_path, "train")
    with h5py.File(tmp_path / "TS1" / "annot_data.mat", "r+") as file:
        del file["univ_annot3"]
    with pytest.raises(DataError, match=r"TS1/annot_data\.mat.*univ_annot3"):
        read(tmp_path, "test")
    assert len(read(tmp_path, "train", OWN)) == 24
    assert len(read(tmp_path, "test", OWN)) == 12


@pytest.fixture
def indexes(tmp_path: Path) -> dict[str, AnnotationIndex]:
    """Both data sets of one folder and one cache."""
    write_test(tmp_path / "data")
    return {name: open_index(name, tmp_path / "data", "test", tmp_path / "cache") for name in (OWN, UNIVERSAL)}


def scored(indexes: dict[str, AnnotationIndex], name: str, predicted: Predictions) -> Scores:
    wanted = protocol(name)
    return score(predicted, indexes[name], wanted, protocol_rows(indexes[name], wanted))


def labels(index: AnnotationIndex) -> Predictions:
    """The labels themselves as another system's poses: in mm, in px, and their depth in px."""
    people = [index[row] for row in range(len(index))]
    joints = (*protocol(OWN).joints, "pelvis")
    columns = CANONICAL.indices(joints)
    xyz = np.array([person.camera_xyz for person in people])[:, columns]
    pixels, focal_length = [], []
    for person, points in zip(people, xyz):
        assert person.camera is not None
        pixels.append(person.camera.project(points))
        focal_length.append((person.camera.fx + person.camera.fy) / 2)
    root = xyz[:, -1:, 2]
    depth = (xyz[..., 2] - root) * np.array(focal_length)[:, None] / root
    keys, sure = [person.key for person in people], np.ones(depth.shape, np.float32)
    return Predictions(keys, joints, np.array(pixels, np.float32), depth.astype(np.float32), sure, {}, xyz)


def test_one_index_is_never_taken_for_the_other(indexes: dict[str, AnnotationIndex]) -> None:
    own, universal = (indexes[name] for name in (OWN, UNIVERSAL))
    assert own.files != universal.files
    assert own.digest(CANONICAL.names) != universal.digest(CANONICAL.names)
    np.testing.assert_allclose(universal.column("xyz"), 0.9 * np.asarray(own.column("xyz")), rtol=1e-5, atol=1e-3)


def test_scores_in_mm_are_of_the_size_that_is_scored(indexes: dict[str, AnnotationIndex]) -> None:
    """People in their true size: joint j is 31.686 mm * (14 - j) from the pelvis, 7.5 times that in the mean."""
    tenth = 0.1 * np.sqrt(10**2 + 30**2 + 2**2) * 7.5
    for name, other in ((OWN, UNIVERSAL), (UNIVERSAL, OWN)):
        assert scored(indexes, name, labels(indexes[name])).others["mpjpe_mm"] == pytest.approx(0, abs=1e-3)
        found = scored(indexes, other, labels(indexes[name])).others
        assert found["mpjpe_mm"] == pytest.approx(tenth, rel=1e-4)
        assert found["n_mpjpe_mm"] == pytest.approx(0, abs=1e-2)


def test_a_pose_in_pixels_gets_the_size_that_is_scored(indexes: dict[str, AnnotationIndex]) -> None:
    """Pixels and depth in pixels are the same in either size: who is right in one is right in the other."""
    own, universal = (replace(labels(indexes[name]), xyz_mm=None) for name in (OWN, UNIVERSAL))
    np.testing.assert_allclose(own.keypoints, universal.keypoints, atol=1e-2)
    np.testing.assert_allclose(own.depth, universal.depth, atol=1e-2)
    for name in (OWN, UNIVERSAL):
        assert scored(indexes, name, own).others["mpjpe_mm"] == pytest.approx(0, abs=0.05)


def test_the_label_checks_find_nothing_wrong(tmp_path: Path) -> None:
    write_train(tmp_path / "data")
    found = check_3d(open_index(UNIVERSAL, tmp_path / "data", "train", tmp_path / "cache"))
    assert found is not None
    assert found.projected is not None
    assert found.projected.median_share < 1e-4
    assert not any("2D labels" in problem for problem in found.problems)
