"""FLIC and FLIC-full, Frames Labeled In Cinema: upper bodies in Hollywood films, 11 joints filled in 2D.

Source: https://bensapp.github.io/flic-dataset.html (Sapp and Taskar 2013), for research; film frames.

Layout under ``root``: ``examples.mat`` with the struct array ``examples``, and ``images/``. FLIC and FLIC-full are two
downloads of the same layout; give the root of the one that the split needs.

* Joints: ``coords`` (2, 29), columns in the order of :data:`SKELETON` (0-based here; the published list counts from 1).
  Only shoulders, elbows, wrists, hips, eyes and nose are ever filled; other columns are NaN. The file's "msho", "mhip",
  "mear", "mtorso" and limb middles keep names of their own, so they never stand in for pelvis or thorax.
  Left and right are the person's own.
* Coordinates: MATLAB pixels, the first pixel is 1; 1 is subtracted (``from_matlab_pixels``) as pixel centres here
  are 0-based.
* Visibility: the file does not tell visible from occluded; what is not NaN counts as visible.
* Box: the labelled joints, extended by body proportions to the top of the head and the soles (which are not labelled)
  and then cut to the picture (``imgdims``), since the film frame shows no more. See :func:`whole_person_box`.
* Splits: ``train`` (istrain, 3,987) and ``test`` (istest, 1,016) from either download; ``full_train`` from FLIC-full
  only: every row that is neither ``isbad`` nor ``isunchecked`` nor ``istest``. FLIC-full shares films and scenes with
  the test frames (Tompson et al. 2014 removed them as FLIC-plus): report no FLIC test score after ``full_train``.
* Key: picture and 0-based row of the file; ``sequence`` is the film, ``frame`` the file's ``currframe``.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.datasets.files import load_mat
from headstart.datasets.labels import field, from_matlab_pixels, is_empty, joints_box, masked, numbers, structs
from headstart.errors import DataError
from headstart.records import Annotation, Visibility
from headstart.skeleton import Skeleton

SKELETON = Skeleton(
    "flic_29",
    (
        "left_shoulder",
        "left_elbow",
        "left_wrist",
        "right_shoulder",
        "right_elbow",
        "right_wrist",
        "left_hip",
        "left_knee",
        "left_ankle",
        "right_hip",
        "right_knee",
        "right_ankle",
        "left_eye",
        "right_eye",
        "left_ear",
        "right_ear",
        "nose",
        "mid_shoulders",
        "mid_hips",
        "mid_ears",
        "mid_torso",
        "left_mid_upper_arm",
        "right_mid_upper_arm",
        "left_mid_lower_arm",
        "right_mid_lower_arm",
        "left_mid_upper_leg",
        "right_mid_upper_leg",
        "left_mid_lower_leg",
        "right_mid_lower_leg",
    ),
)
SPLITS = ("train", "test", "full_train")

# Body proportions (Drillis and Contini 1966, in heights): shoulders 0.818, hips 0.530, eyes 0.936, soles 0, crown 1.
_TORSO = 0.818 - 0.530
_HIPS_TO_SOLES = 0.530 / _TORSO
_EYES_TO_CROWN = (1.0 - 0.936) / _TORSO


def annotations(root: Path, split: str) -> Iterator[Annotation]:
    """Every labelled person of ``split`` in the order of the file."""
    path = root / "examples.mat"
    rows = structs(load_mat(path, "examples", "FLIC's struct array examples"))
    if not rows:
        raise DataError(path, "a struct array 'examples'", found="no struct in it")
    for row, example in enumerate(rows):
        if not _belongs(path, row, example, split):
            continue
        person = _person(path, root, row, example)
        if person.visibility.any():
            yield person


def _belongs(path: Path, row: int, example: Any, split: str) -> bool:
    """Whether a row is of the split."""
    if split != "full_train":
        return _flag(path, row, example, f"is{split}")
    return not any(_flag(path, row, example, name) for name in ("isbad", "isunchecked", "istest"))


def _flag(path: Path, row: int, example: Any, name: str) -> bool:
    """A truth value of a row; an empty one is false."""
    value = field(path, row, example, name)
    return not is_empty(value) and bool(numbers(path, row, name, value, ()))


def _person(path: Path, root: Path, row: int, example: Any) -> Annotation:
    """One row of ``examples``."""
    file_name = str(field(path, row, example, "filepath"))
    coords = numbers(path, row, "coords", field(path, row, example, "coords"), (2, len(SKELETON)), finite=False)
    labelled = np.isfinite(coords).all(0)
    visibility = np.where(labelled, Visibility.VISIBLE, Visibility.UNLABELLED).astype(np.uint8)
    keypoints = masked(from_matlab_pixels(coords.T), visibility)
    height, width = numbers(path, row, "imgdims", field(path, row, example, "imgdims"), (3,))[:2]
    return Annotation(
        key=f"{file_name}#{row}",
        image=root / "images" / file_name,
        bbox_xywh=whole_person_box(keypoints, (width, height)),
        keypoints=keypoints,
        visibility=visibility,
        sequence=str(field(path, row, example, "moviename")),
        frame=int(numbers(path, row, "currframe", field(path, row, example, "currframe"), ())),
    )


def whole_person_box(keypoints: NDArray[np.float32], size: tuple[float, float]) -> NDArray[np.float32]:
    """Box (4,) xywh px around a person of whom only the upper body is labelled, keypoints (29, 2) px, NaN unlabelled.

    From the extent of the labelled joints, the box grows up to the crown (0.22 torso lengths above the eyes) and
    down to the soles of a standing person (1.84 torso lengths below the hips), but not beyond the picture of
    ``size`` (width, height) px; it never loses a labelled joint. A torso is from mid-shoulders to mid-hips or, where
    one of them is unlabelled, half the larger side of the extent.
    """
    if np.isnan(keypoints).all():
        return np.array([0, 0, *size], np.float32)
    x, y, width, height = joints_box(keypoints)
    shoulders, hips, eyes = (_middle(keypoints, part) for part in ("shoulder", "hip", "eye"))
    torso = float(np.linalg.norm(shoulders - hips))
    torso = torso if np.isfinite(torso) else float(max(width, height)) / 2
    crown = np.nan_to_num(eyes[1], nan=y) - _EYES_TO_CROWN * torso
    soles = np.nan_to_num(hips[1], nan=y + height) + _HIPS_TO_SOLES * torso
    top = min(y, max(crown, 0.0))
    bottom = max(y + height, min(soles, size[1]))
    return np.array([x, top, width, bottom - top], np.float32)


def _middle(keypoints: NDArray[np.float32], part: str) -> NDArray[np.float32]:
    """Midpoint (2,) px of the left and right ``part``; NaN unless both are labelled."""
    return keypoints[SKELETON.indices((f"left_{part}", f"right_{part}"))].mean(0)
