"""The rasteriser against geometry that can be reckoned by hand."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from headstart.geometry import Camera
from headstart.synth import surface
from headstart.synth.light import Lights, cast_light
from headstart.synth.material import Material, Palette
from headstart.synth.mesh import SUBJECT, MeshBuilder
from headstart.synth.primitives import ball, box, cylinder, quad
from headstart.synth.raster import rasterise
from headstart.synth.render import Scene, render
from headstart.synth.rotation import unit
from headstart.synth.shade import SURFACE_DIGEST
from headstart.synth.texture import load_textures

SIZE = 32
#: World x right, y away, z up; one metre is 32 px at two metres.
CAMERA = Camera(64, 64, 15.5, 15.5, rotation=np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]), translation_mm=np.zeros(3))


def wall(builder, away, half, material=0, owner=SUBJECT, cut=None):
    points, faces, _ = quad((-half, away, -half), (2 * half, 0, 0), (0, 0, 2 * half))
    builder.add(points, faces, material, owner=owner, cut=cut)


def covered(mesh):
    return rasterise(mesh, CAMERA, SIZE, SIZE, 2)


def test_a_square_covers_the_pixels_that_it_should():
    builder = MeshBuilder()
    wall(builder, 2000, 250)
    face = covered(builder.build()).face
    rows, columns = np.nonzero(face >= 0)
    # +-250 mm at 2 m is +-8 px around the pixel coordinate 15.5: pixels 8 to 23 and all their samples.
    assert (rows.min() // 2, rows.max() // 2, columns.min() // 2, columns.max() // 2) == (8, 23, 8, 23)
    assert (face >= 0).sum() == 4 * 16 * 16


def test_the_nearer_surface_hides_the_farther_and_depth_is_z():
    builder = MeshBuilder()
    wall(builder, 3000, 2000)
    wall(builder, 2000, 100)
    samples = covered(builder.build())
    assert samples.face[32, 32] in (2, 3)
    assert 1 / samples.nearness[32, 32] == pytest.approx(2000, rel=1e-4)
    assert 1 / samples.nearness[2, 2] == pytest.approx(3000, rel=1e-4)


def test_ground_under_the_camera_is_drawn_up_to_the_horizon():
    builder = MeshBuilder()
    points, faces, _ = quad((-9e5, -9e5, -1500), (18e5, 0, 0), (0, 18e5, 0))
    builder.add(points, faces, 0)
    face = covered(builder.build()).face
    assert (face[34:] >= 0).all()
    assert (face[:30] < 0).all()


def test_cut_ends_a_surface_where_it_crosses_zero():
    builder = MeshBuilder()
    wall(builder, 2000, 250, cut=np.array([-1.0, 1, 1, -1]))
    columns = np.nonzero((covered(builder.build()).face >= 0).any(0))[0]
    assert columns.max() == 31


@pytest.mark.parametrize(
    "solid", [box((200, 300, 400)), cylinder((0, 0, 0), (0, 0, 500), 50), ball(np.random.default_rng(0), (1, 2, 3))]
)
def test_solids_are_closed(solid):
    """Every edge belongs to two triangles, whichever corners lie at one place."""
    points, faces = solid
    assert np.isfinite(points).all()
    corners = np.unique(points.round(6), axis=0, return_inverse=True)[1].reshape(-1)[faces]
    corners = corners[[len(set(one)) == 3 for one in corners.tolist()]]  # those at the poles of a ball are lines
    edges = np.sort(np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]]), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()


def lit_scene(builder, palette):
    mesh = builder.build()
    sky = np.full(3, 0.1)
    lights = Lights(
        unit([0, -1, 0.2]), np.ones(3), 5.0, unit([0, -1, 0]), np.zeros(3), sky, sky, np.array([0, 2000.0, 0]), 1500.0
    )
    maps = cast_light(mesh, lights, np.random.default_rng(0))
    return Scene(mesh, palette.table(), load_textures(1), lights, maps)


def picture(scene):
    return render(scene, CAMERA, SIZE, SIZE, lambda: np.full((SIZE, SIZE, 3), 0.7, np.float32))


def test_the_shader_is_compiled_anew_when_surfaces_change():
    """numba's cache would go on with the old ones: a user's, too."""
    text = Path(surface.__file__).read_text(encoding="utf-8")
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert digest == SURFACE_DIGEST, "synth/surface.py has changed: write this into synth/shade.py"


def test_shadow_falls_behind_what_casts_it():
    palette = Palette()
    white = palette.add(Material((0.8, 0.8, 0.8)))
    alone, shaded = MeshBuilder(), MeshBuilder()
    wall(alone, 2600, 900, white)
    wall(shaded, 2600, 900, white)
    # Stands between the sun and the middle of the wall, above the line of sight.
    points, faces, _ = quad((-300, 1500, 150), (600, 0, 0), (0, 0, 300))
    shaded.add(points, faces, white)
    bright, dark = (picture(lit_scene(builder, palette)).linear for builder in (alone, shaded))
    assert dark[16, 16].mean() < 0.5 * bright[16, 16].mean()
    assert dark[28, 16].mean() == pytest.approx(bright[28, 16].mean(), rel=0.2)


def test_edges_are_smooth_and_the_backdrop_shows_beside_them():
    palette = Palette()
    black = palette.add(Material((0.0, 0.0, 0.0)))
    builder = MeshBuilder()
    wall(builder, 2000, 257, black)
    rendered = picture(lit_scene(builder, palette))
    assert rendered.linear[1, 1].mean() == pytest.approx(0.7)
    assert rendered.subject[16, 16]
    assert not rendered.subject[1, 1]
    assert np.isinf(rendered.depth[1, 1])


def test_a_ball_near_a_wall_takes_its_share_of_the_sky():
    palette = Palette()
    white = palette.add(Material((0.8, 0.8, 0.8)))
    builder = MeshBuilder()
    wall(builder, 2600, 900, white)
    scene = lit_scene(builder, palette)
    # 120 mm before the wall, where the ray through pixel 16 (20 mm beside the middle) meets it.
    ball_at = np.array([[20.3, 2480, -20.3, 60]], np.float32)
    open_view, shaded = (
        picture(replace(scene, lights=replace(scene.lights, sun_colour=np.zeros(3), shading_balls=balls))).linear
        for balls in (np.zeros((0, 4), np.float32), ball_at)
    )
    # 1.8 times the solid angle 60 ** 2 / 120 ** 2 is hidden; 0.12 of the sky reaches any corner.
    assert shaded[16, 16] / open_view[16, 16] == pytest.approx(0.12 + 0.88 * (1 - 1.8 * 0.25), rel=0.02)
    assert shaded[28, 28] / open_view[28, 28] == pytest.approx(1, abs=0.02)
