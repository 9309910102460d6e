"""Clothes and hair: layers lie where they should, and whoever draws a person decides alone how they look."""

import numpy as np
import pytest

from headstart.synth.body import PARTS, load_body, sample_shape, skin
from headstart.synth.dress import add_person
from headstart.synth.layer import add_layer
from headstart.synth.material import Palette
from headstart.synth.mesh import OTHER_PERSON, MeshBuilder
from headstart.synth.outfit import Person, draw_outfit
from headstart.synth.stage import Stage
from headstart.synth.tailor import helper
from headstart.synth.texture import load_textures


@pytest.fixture(scope="module")
def person():
    rng = np.random.default_rng(4)
    shape = sample_shape(rng)
    still = np.tile(np.eye(3), (len(load_body().bones), 1, 1))
    return Person(shape, skin(shape, still), draw_outfit(rng, load_textures(1), shape.woman), OTHER_PERSON)


def stage(seed: int = 0) -> Stage:
    return Stage(MeshBuilder(), Palette(), load_textures(1), np.random.default_rng(seed), 0.0)


def test_a_layer_lies_outside_the_body_at_rest_and_ends_at_its_cut(person):
    piece, place = helper("tights"), stage()
    points = person.shape.rest[piece.rows]
    knee = 500.0 + points[:, 2].min()
    add_layer(place, person, piece, 0, np.full(len(points), 12.0, np.float32), points[:, 2] - knee)
    mesh = place.builder.build()
    np.testing.assert_allclose(np.linalg.norm(mesh.vertices - points, axis=1), 12, atol=0.01)
    assert 0 < len(mesh.faces) < len(piece.faces)
    assert (points[mesh.faces][:, :, 2].min(1) <= knee).all()
    assert (mesh.owner == OTHER_PERSON).all()


def test_long_hair_is_of_the_head_wherever_it_hangs():
    piece = helper("hair")
    assert np.ptp(load_body().mean[piece.rows, 2]) > 250
    assert (piece.part == PARTS.index("head")).all()


def test_the_same_person_looks_the_same_on_any_stage(person):
    first, second, other = (stage(seed) for seed in (1, 2, 1))
    for place, seed in ((first, 7), (second, 7), (other, 8)):
        add_person(place, person, np.random.default_rng(seed))
    np.testing.assert_array_equal(first.builder.build().vertices, second.builder.build().vertices)
    np.testing.assert_array_equal(first.palette.table(), second.palette.table())
    assert not np.array_equal(first.palette.table(), other.palette.table())
