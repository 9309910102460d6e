"""Layers over the body: helper meshes moved outwards at rest, then skinned as the body is."""

from __future__ import annotations

from headstart.geometry import Array
from headstart.synth.body import load_body, skin_points
from headstart.synth.mesh import some_corner
from headstart.synth.outfit import Person
from headstart.synth.stage import Stage
from headstart.synth.tailor import Helper, rest_normals


def add_layer(stage: Stage, person: Person, piece: Helper, material: int, offset: Array, cut: Array) -> None:
    """A helper mesh ``offset`` (N,) mm outside the body; it exists where ``cut`` (N,) mm is at most 0."""
    rest = person.shape.rest[piece.rows] + rest_normals(person.shape.rest, piece) * offset[:, None]
    add_shaped_layer(stage, person, piece, material, rest, cut)


def add_shaped_layer(
    stage: Stage,
    person: Person,
    piece: Helper,
    material: int,
    rest: Array,
    cut: Array,
    tint: Array | None = None,
) -> None:
    """As :func:`add_layer`, from the helper's vertices at rest (N, 3) mm; ``tint`` (N, 3) multiplies the colour."""
    kept = some_corner(cut <= 0, piece.faces)
    stage.builder.add(
        skin_points(rest, piece.rows, person.posed.transforms),
        piece.faces[kept],
        material,
        pattern=load_body().mean[piece.rows],
        tint=tint,
        cut=cut,
        part=piece.part[kept],
        axis=piece.axis[kept],
        owner=person.owner,
    )
