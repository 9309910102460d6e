"""Triangle meshes with the attributes that the renderer needs, and a builder that joins pieces into one mesh."""

from __future__ import annotations

from dataclasses import dataclass, field

import numba
import numpy as np
from numpy.typing import NDArray

from headstart.geometry import Array

#: Who a triangle belongs to.
THING, SUBJECT, OTHER_PERSON = 0, 1, 2
#: ``part`` of triangles that belong to no body.
NO_PART = 255


@dataclass(frozen=True)
class Mesh:
    """V vertices, F triangles. World axes, millimetres, z up."""

    vertices: NDArray[np.float32]
    """(V, 3) mm."""
    normals: NDArray[np.float32]
    """(V, 3) unit."""
    pattern: NDArray[np.float32]
    """(V, 3) metres: position of the surface at rest; textures are laid out there and so move with the surface."""
    tint: NDArray[np.float32]
    """(V, 3) colour that multiplies the material's."""
    cut: NDArray[np.float32]
    """(V,): the surface exists where the interpolated value is at most 0."""
    faces: NDArray[np.int32]
    """(F, 3)."""
    material: NDArray[np.int32]
    """(F,) row of the material table."""
    part: NDArray[np.uint8]
    """(F,) index into body.PARTS, or NO_PART."""
    owner: NDArray[np.uint8]
    """(F,) THING, SUBJECT or OTHER_PERSON."""
    axis: NDArray[np.uint8]
    """(F,) side from which ``pattern`` is projected, see :func:`projection_axis`."""
    casts: NDArray[np.bool_]
    """(F,) whether the triangle casts shadows."""


@dataclass
class MeshBuilder:
    """Collects pieces; :meth:`build` joins them."""

    _pieces: list[dict[str, NDArray]] = field(default_factory=list)
    _vertices: int = 0

    def add(
        self,
        vertices: Array,
        faces: NDArray[np.integer],
        material: int | NDArray[np.int32],
        *,
        pattern: Array | None = None,
        tint: Array | None = None,
        cut: Array | None = None,
        part: int | NDArray[np.uint8] = NO_PART,
        owner: int = THING,
        axis: NDArray[np.uint8] | None = None,
        casts: bool = True,
    ) -> None:
        """Add a piece: vertices (V, 3) mm, faces (F, 3). The rest as in :class:`Mesh`, but ``pattern`` (V, 3) in mm."""
        count, total = len(vertices), len(faces)
        if not total:
            return
        rest = np.asarray(vertices if pattern is None else pattern, np.float32) * np.float32(0.001)
        self._pieces.append(
            {
                "vertices": np.asarray(vertices, np.float32),
                "pattern": rest,
                "tint": np.ones((count, 3), np.float32) if tint is None else np.asarray(tint, np.float32),
                "cut": np.full(count, -1.0, np.float32) if cut is None else np.asarray(cut, np.float32),
                "faces": (faces + self._vertices).astype(np.int32),
                "material": np.broadcast_to(np.asarray(material, np.int32), total),
                "part": np.broadcast_to(np.asarray(part, np.uint8), total),
                "owner": np.full(total, owner, np.uint8),
                "axis": projection_axis(rest, faces) if axis is None else axis,
                "casts": np.full(total, casts),
            }
        )
        self._vertices += count

    def build(self) -> Mesh:
        """All pieces as one mesh, with smooth normals within each piece."""
        joined = {name: np.concatenate([piece[name] for piece in self._pieces]) for name in self._pieces[0]}
        return Mesh(normals=vertex_normals(joined["vertices"], joined["faces"]), **joined)


def some_corner(flags: NDArray[np.bool_], faces: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Faces (F,) with at least one corner of which ``flags`` (V,) is true."""
    return flags[faces[:, 0]] | flags[faces[:, 1]] | flags[faces[:, 2]]


def projection_axis(rest: NDArray[np.float32], faces: NDArray[np.integer]) -> NDArray[np.uint8]:
    """The side (F,) that each triangle faces most in its rest: 0 +x, 1 -y, 2 up or down, 3 -x, 4 +y."""
    corners = rest[faces]
    u, v = (corners[:, 1] - corners[:, 0]).T, (corners[:, 2] - corners[:, 0]).T
    normal = np.stack([u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]])
    axis = np.argmax(np.abs(normal), 0)
    mirrored = ((axis == 0) & (normal[0] < 0)) | ((axis == 1) & (normal[1] > 0))
    return (axis + 3 * mirrored).astype(np.uint8)


def vertex_normals(vertices: NDArray[np.float32], faces: NDArray[np.int32]) -> NDArray[np.float32]:
    """Unit normals (V, 3), the mean of the triangles around each vertex by area."""
    normals = np.zeros((len(vertices), 3), np.float32)
    _accumulate_normals(vertices, faces, normals)
    return normals


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def _accumulate_normals(vertices, faces, normals):  # type: ignore[no-untyped-def]
    for index in range(len(faces)):
        a, b, c = faces[index, 0], faces[index, 1], faces[index, 2]
        ax, ay, az = vertices[a, 0], vertices[a, 1], vertices[a, 2]
        ux, uy, uz = vertices[b, 0] - ax, vertices[b, 1] - ay, vertices[b, 2] - az
        vx, vy, vz = vertices[c, 0] - ax, vertices[c, 1] - ay, vertices[c, 2] - az
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for corner in (a, b, c):
            normals[corner, 0] += nx
            normals[corner, 1] += ny
            normals[corner, 2] += nz
    for index in range(len(normals)):
        x, y, z = normals[index, 0], normals[index, 1], normals[index, 2]
        scale = 1.0 / max(np.sqrt(x * x + y * y + z * z), 1e-12)
        normals[index, 0] = x * scale
        normals[index, 1] = y * scale
        normals[index, 2] = z * scale
