"""The same people as both arms see them: photograph with 2D, and 3D from the front and the side, good and bad."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from headstart.draw import draw_pose
from headstart.draw_people import draw_view, write
from headstart.errors import DataError
from headstart.images import encode_image
from headstart.records import RGB
from headstart.report.cells import Cell, Study
from headstart.report.comparison import main_pairs, settings, sources
from headstart.report.document import Gallery, Picture, Section, arm_title, plain
from headstart.skeleton import Skeleton, mirrored_name

_SIDE, _GAP, _TITLE = 220, 6, 24
_INK, _PAPER = (60, 60, 60), 255
_LEAST_HALF_MM = 700.0
_ARRAYS = (
    *("jpegs", "offsets", "keys", "protocol", "joints", "label_2d", "label_visible", "predicted_2d"),
    *("label_3d", "predicted_3d", "error_mm", "error_2d"),
)


@dataclass(frozen=True)
class _Samples:
    """The arrays of one cell's samples.npz: N people, J joints."""

    path: Path
    arrays: dict[str, NDArray[Any]]

    @cached_property
    def rows(self) -> dict[tuple[str, str], int]:
        """(protocol, key) -> row."""
        names = zip(self.arrays["protocol"].tolist(), self.arrays["keys"].tolist())
        return {name: row for row, name in enumerate(names)}

    @cached_property
    def skeleton(self) -> Skeleton:
        """Joints of labels and predictions."""
        return Skeleton("samples", tuple(self.arrays["joints"].tolist()))

    def error(self, row: int) -> float:
        """mm where the person has 3D labels, else px of the crop."""
        in_mm = float(self.arrays["error_mm"][row])
        return in_mm if np.isfinite(in_mm) else float(self.arrays["error_2d"][row])

    def unit(self, row: int) -> str:
        """Of :meth:`error`."""
        return "mm" if np.isfinite(self.arrays["error_mm"][row]) else "px"

    def photo(self, row: int) -> RGB:
        """RGB crop (H, W, 3)."""
        start, stop = self.arrays["offsets"][row : row + 2]
        decoded = cv2.imdecode(self.arrays["jpegs"][start:stop], cv2.IMREAD_COLOR)
        if decoded is None:
            raise DataError(self.path, "a JPEG", record=row, fix="Run the cell again.")
        return np.asarray(decoded[..., ::-1], np.uint8)


def predictions(study: Study) -> Section | None:
    """Best, median and worst person of each test that both arms of the main pair kept pictures of."""
    galleries: list[Gallery] = []
    shown: list[Cell] = []
    for setting in settings(study):
        for first, second in main_pairs(study, setting):
            cells = _first_common(study.variants[second], study.variants[first])
            if cells:
                galleries += _of_pair(cells, setting.title, folded=bool(galleries))
                shown += cells
    if not galleries:
        return None
    text = (
        "Right is orange, left is blue. Above: the photograph with its labels, then each arm's joints. Below, from the "
        "front and from the side (the camera is at the left): labels and each arm's prediction, in a grid of 500 mm. "
        "People are ordered by the mean error of both arms, so that neither chooses the picture."
    )
    return Section("predictions", "What the predictions look like", [text, f"_{sources(shown)}_"], galleries)


def _first_common(baseline: dict[int, Cell], main: dict[int, Cell]) -> tuple[Cell, Cell] | None:
    """Cells of the lowest seed for which both have pictures."""
    for seed, cell in baseline.items():
        if seed in main and all((one.folder / "samples.npz").exists() for one in (cell, main[seed])):
            return cell, main[seed]
    return None


def _of_pair(cells: tuple[Cell, Cell], setting: str, folded: bool) -> list[Gallery]:
    """One gallery a test; all but the very first are folded."""
    first, second = (_load(cell.folder / "samples.npz") for cell in cells)
    common = [name for name in first.rows if name in second.rows]
    galleries: list[Gallery] = []
    for protocol in dict.fromkeys(protocol for protocol, _ in common):
        people = [name for name in common if name[0] == protocol]
        people.sort(key=lambda name: first.error(first.rows[name]) + second.error(second.rows[name]))
        chosen = _chosen(len(people))
        names = {place: f"{words} of {len(people)}" for place, words in chosen.items()}
        pictures = [_picture(cells, (first, second), people[place], words) for place, words in names.items()]
        title = f"Trained on {setting}, tested on {plain(protocol)}, seed {cells[0].seed}"
        galleries.append(Gallery(title, pictures, folded or bool(galleries)))
    return galleries


def _chosen(count: int) -> dict[int, str]:
    """Place in the order of errors -> what it is called."""
    if count < 3:
        return {0: "best", 1: "worst"} if count == 2 else {0: "only"}
    return {0: "best", count // 2: "median", count - 1: "worst"}


def _picture(cells: tuple[Cell, Cell], both: tuple[_Samples, _Samples], name: tuple[str, str], place: str) -> Picture:
    titles = [arm_title(cell.variant.arm) for cell in cells]
    errors = [(one.error(one.rows[name]), one.unit(one.rows[name])) for one in both]
    figures = [f"{title} {error:.0f} {unit}" for title, (error, unit) in zip(titles, errors)]
    encoded = encode_image(_sheet(both, name, figures)[..., ::-1], 85)
    caption = f"{place.capitalize()} people: mean error {' and '.join(figures)}."
    variant = cells[1].variant
    file = f"people-{variant.three_d}-{variant.two_d}-{name[0]}-{place.split()[0]}".replace("_", "-")
    return Picture(file, encoded, f"Photograph and skeletons. {caption}", caption)


def _sheet(both: tuple[_Samples, _Samples], name: tuple[str, str], figures: Sequence[str]) -> RGB:
    """Photographs in the first row, skeletons below where there are 3D labels."""
    first, second = ((one, one.rows[name]) for one in both)
    rows = [[_labelled(*first, "labels"), *(_predicted(*one, title) for one, title in zip((first, second), figures))]]
    truth = first[0].arrays["label_3d"][first[1]]
    if np.isfinite(truth).any():
        poses = [truth, *(samples.arrays["predicted_3d"][row] for samples, row in (first, second))]
        half = max(_LEAST_HALF_MM, *(1.1 * float(np.nanmax(np.ptp(_known(pose), axis=0))) / 2 for pose in poses))
        for side, view in ((False, "front"), (True, "side")):
            rows.append([_view(first[0].skeleton, pose, view, half, side) for pose in poses])
    gap = np.full((rows[0][0].shape[0], _GAP, 3), _PAPER, np.uint8)
    lines = [np.hstack([tile for one in row for tile in (one, gap[: one.shape[0]])][:-1]) for row in rows]
    rule = np.full((_GAP, lines[0].shape[1], 3), _PAPER, np.uint8)
    return np.vstack([part for line in lines for part in (line, rule)][:-1])


def _labelled(samples: _Samples, row: int, title: str) -> RGB:
    return _photo(samples, row, title, samples.arrays["label_2d"][row], samples.arrays["label_visible"][row])


def _predicted(samples: _Samples, row: int, title: str) -> RGB:
    return _photo(samples, row, title, samples.arrays["predicted_2d"][row], None)


def _photo(samples: _Samples, row: int, title: str, points: NDArray[Any], visible: NDArray[Any] | None) -> RGB:
    """The crop at the size of a tile with joints on it, under its title."""
    photo = samples.photo(row)
    factor = _SIDE / photo.shape[1]
    size = (_SIDE, round(photo.shape[0] * factor))
    large = np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    drawn = draw_pose(large, (points + 0.5) * factor - 0.5, samples.skeleton, visible)
    header = np.full((_TITLE, _SIDE, 3), _PAPER, np.uint8)
    write(header, title, (2, 3), 14, _INK)
    return np.vstack([header, drawn])


def _view(skeleton: Skeleton, pose: NDArray[Any], title: str, half_mm: float, side: bool) -> RGB:
    finite = np.isfinite(pose).all(1)
    known = {name: tuple(point) for name, point, is_known in zip(skeleton.names, pose.tolist(), finite) if is_known}
    # A bone needs both sides of each pair: a joint without its mirror image is left out with it.
    kept = {name: point for name, point in known.items() if mirrored_name(name) in known}
    return draw_view(kept, title, _SIDE, half_mm, side)


def _known(pose: NDArray[Any]) -> NDArray[Any]:
    return pose[np.isfinite(pose).all(1)]


def _load(path: Path) -> _Samples:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return _Samples(path, {name: archive[name] for name in _ARRAYS})
    except (OSError, ValueError, KeyError) as error:
        raise DataError(path, f"arrays {', '.join(_ARRAYS)}", found=str(error)) from error
