"""Colour of every pixel: texture, sun with soft shadows, fill light, sky as far as it is seen. Numba, one thread.

A pixel is shaded once for each surface among its samples, so pixels at edges cost about twice as much as others.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from headstart.geometry import Camera
from headstart.synth.light import LightMaps, Lights
from headstart.synth.mesh import Mesh
from headstart.synth.raster import Samples
from headstart.synth.surface import albedo, inlined, project, tilt_normal
from headstart.synth.texture import TextureSet

#: Digest of surface.py, which is inlined here: numba's cache only notices changes of this file, so this one must change
#: with it.
SURFACE_DIGEST = "b8f8ef728e3435bf"

_LOOKS = 9
_FIRST_LOOKS = 3
#: Points of the unit disc, evenly spread (golden angle), the outermost first.
_SPIRAL = np.array(
    [
        np.sqrt((k + 0.5) / _LOOKS) * np.array([np.cos(2.39996 * k), np.sin(2.39996 * k)])
        for k in reversed(range(_LOOKS))
    ],
    np.float32,
)


def shade(
    mesh: Mesh,
    materials: NDArray[np.float32],
    textures: TextureSet,
    lights: Lights,
    maps: LightMaps,
    camera: Camera,
    samples: Samples,
    backdrop: NDArray[np.float32],
    scale: int,
) -> NDArray[np.float32]:
    """Linear picture (H, W, 3); ``backdrop`` (H, W, 3) shows where there is no triangle."""
    picture = np.empty_like(backdrop)
    eye = -np.asarray(camera.rotation).T @ np.asarray(camera.translation_mm)
    lens = np.array([camera.fx, camera.fy, camera.cx, camera.cy, scale], np.float32)
    light = np.stack(
        [
            lights.sun_direction,
            lights.sun_colour,
            lights.fill_direction,
            lights.fill_colour,
            lights.sky_colour,
            lights.bounce_colour,
        ]
    ).astype(np.float32)
    _shade_all(
        (mesh.vertices, mesh.normals, mesh.pattern, mesh.tint),
        (mesh.faces, mesh.material, mesh.axis),
        materials,
        (textures.texels, textures.starts, textures.sizes),
        (
            light,
            np.float32(lights.softness),
            np.append(lights.centre, 1.3 * lights.reach_mm).astype(np.float32),
            np.asarray(lights.shading_balls, np.float32),
        ),
        (maps.near, maps.near_matrix, maps.far, maps.far_matrix, maps.sky, maps.sky_matrices, maps.sky_directions),
        (np.asarray(camera.rotation, np.float32), eye.astype(np.float32), lens),
        (samples.face, samples.nearness, samples.first, samples.second),
        backdrop,
        picture,
    )
    return picture


@inlined
def _dither(x, y):  # type: ignore[no-untyped-def]
    """A number in 0..1 that differs much between neighbours (Jimenez 2014), so that a lens blurs the pattern away."""
    value = np.float32(0.06711056) * x + np.float32(0.00583715) * y
    value = np.float32(52.9829189) * (value - np.floor(value))
    return np.float32(value - np.floor(value))


@inlined
def _height(matrix, x, y, z, row):  # type: ignore[no-untyped-def]
    return matrix[row, 0] * x + matrix[row, 1] * y + matrix[row, 2] * z + matrix[row, 3]


@inlined
def _coarsely_lit(far, row, column, height):  # type: ignore[no-untyped-def]
    """Share of the four texels around a place of the coarse map that are lit, weighted by nearness."""
    size = len(far)
    if not (0 <= row < size - 1 and 0 <= column < size - 1):
        return np.float32(1)
    i, j = int(row), int(column)
    down, right = row - i, column - j
    upper = (far[i, j] <= height) * (1 - right) + (far[i, j + 1] <= height) * right
    lower = (far[i + 1, j] <= height) * (1 - right) + (far[i + 1, j + 1] <= height) * right
    return np.float32(upper * (1 - down) + lower * down)


@numba.njit(cache=True, fastmath=True, forceinline=True, error_model="numpy")
def _sunlit(maps, point, normal, softness, x, y):  # type: ignore[no-untyped-def]
    """Share of the sun that reaches a point: several looks at the sharp map, or one at the coarse one."""
    near, matrix, far, far_matrix = maps[0], maps[1], maps[2], maps[3]
    px, py, pz = point[0] + 12 * normal[0], point[1] + 12 * normal[1], point[2] + 12 * normal[2]
    size = len(near)
    column, row, height = _height(matrix, px, py, pz, 0), _height(matrix, px, py, pz, 1), _height(matrix, px, py, pz, 2)
    if 2 < column < size - 3 and 2 < row < size - 3:
        texels = np.sqrt(matrix[0, 0] ** 2 + matrix[0, 1] ** 2 + matrix[0, 2] ** 2)
        angle, lit = _dither(x, y) * np.float32(6.2832), np.float32(0)
        radius = max(softness * texels, np.float32(0.7))
        cosine, sine = radius * np.cos(angle), radius * np.sin(angle)
        for k in range(_LOOKS):
            # Where a third of the looks agree that all is lit, or nothing, the others would.
            if k == _FIRST_LOOKS and (lit <= 0 or lit >= _FIRST_LOOKS * np.float32(0.999 / _LOOKS)):
                return lit * np.float32(_LOOKS / _FIRST_LOOKS)
            i = int(row + sine * _SPIRAL[k, 0] + cosine * _SPIRAL[k, 1])
            j = int(column + cosine * _SPIRAL[k, 0] - sine * _SPIRAL[k, 1])
            i, j = min(max(i, 0), size - 1), min(max(j, 0), size - 1)
            # Depth is compared softly, or the few looks would show as speckle.
            above = (near[i, j] - height - 8 - softness * np.float32(0.3)) / (10 + softness * np.float32(0.7))
            lit += np.float32(1 / _LOOKS) * (1 - min(max(above, np.float32(0)), np.float32(1)))
        return lit
    px, py, pz = point[0] + 80 * normal[0], point[1] + 80 * normal[1], point[2] + 80 * normal[2]
    column, row = _height(far_matrix, px, py, pz, 0), _height(far_matrix, px, py, pz, 1)
    return _coarsely_lit(far, row - np.float32(0.5), column - np.float32(0.5), _height(far_matrix, px, py, pz, 2) + 60)


@numba.njit(cache=True, fastmath=True, forceinline=True, error_model="numpy")
def _sky_seen(maps, reach, point, normal):  # type: ignore[no-untyped-def]
    """Share of the sky in front of a surface that is not hidden by something near; ``reach`` is centre and radius."""
    dx, dy, dz = point[0] - reach[0], point[1] - reach[1], point[2] - reach[2]
    if dx * dx + dy * dy + dz * dz > reach[3] * reach[3]:
        return np.float32(1)
    sky, matrices, directions = maps[4], maps[5], maps[6]
    size = sky.shape[1]
    seen, total = np.float32(0.02), np.float32(0.02)
    px, py, pz = point[0] + 22 * normal[0], point[1] + 22 * normal[1], point[2] + 22 * normal[2]
    for k in range(len(sky)):
        facing = directions[k, 0] * normal[0] + directions[k, 1] * normal[1] + directions[k, 2] * normal[2]
        facing = facing * np.float32(0.8) + np.float32(0.2)
        if facing <= 0:
            continue
        total += facing
        column = _height(matrices[k], px, py, pz, 0) - np.float32(0.5)
        row = _height(matrices[k], px, py, pz, 1) - np.float32(0.5)
        if not (0 <= row < size - 1 and 0 <= column < size - 1):
            seen += facing
            continue
        i, j = int(row), int(column)
        down, right = row - i, column - j
        highest = (sky[k, i, j] * (1 - right) + sky[k, i, j + 1] * right) * (1 - down)
        highest += (sky[k, i + 1, j] * (1 - right) + sky[k, i + 1, j + 1] * right) * down
        above = (highest - _height(matrices[k], px, py, pz, 2) - 12) / 40
        seen += facing * (1 - min(max(above, np.float32(0)), np.float32(1)))
    return seen / total


@numba.njit(cache=True, fastmath=True, forceinline=True, error_model="numpy")
def _left_open(balls, reach, point, normal):  # type: ignore[no-untyped-def]
    """Share of a surface's half space that balls (K, 4) leave open: the maps of the sky are too coarse for contact."""
    dx, dy, dz = point[0] - reach[0], point[1] - reach[1], point[2] - reach[2]
    if dx * dx + dy * dy + dz * dz > reach[3] * reach[3]:
        return np.float32(1)
    share = np.float32(1)
    for k in range(len(balls)):
        dx, dy, dz = balls[k, 0] - point[0], balls[k, 1] - point[1], balls[k, 2] - point[2]
        facing = dx * normal[0] + dy * normal[1] + dz * normal[2]
        away, radius = dx * dx + dy * dy + dz * dz, balls[k, 3] * balls[k, 3]
        # Farther off than six radii a ball takes less than a twentieth.
        if facing > 0 and away < 36 * radius:
            hidden = np.float32(1.8) * facing / np.sqrt(away + 1) * radius / max(away, radius)
            share *= 1 - min(hidden, np.float32(0.9))
    return share


@numba.njit(cache=True, fastmath=True, forceinline=True, error_model="numpy")
def _surface(geometry, topology, materials, textures, lighting, maps, view, hit, scratch, out):  # type: ignore[no-untyped-def]
    """Colour ``out`` (3,) of one sample; ``hit`` is (triangle, nearness, first, second, column, row in samples)."""
    vertices, normals, pattern, tint = geometry
    faces, material_of, axes = topology
    light, softness, reach, balls = lighting
    rotation, eye, lens = view
    face, near, wa, wb, column, row = hit
    a, b, c = faces[face]
    wc = 1 - wa - wb
    material = materials[material_of[face]]
    normal, point, rest, ray = scratch[0], scratch[1], scratch[2], scratch[3]
    dx = ((column + np.float32(0.5)) / lens[4] - np.float32(0.5) - lens[2]) / lens[0]
    dy = ((row + np.float32(0.5)) / lens[4] - np.float32(0.5) - lens[3]) / lens[1]
    for k in range(3):
        normal[k] = normals[a, k] * wa + normals[b, k] * wb + normals[c, k] * wc
        rest[k] = pattern[a, k] * wa + pattern[b, k] * wb + pattern[c, k] * wc
        ray[k] = rotation[0, k] * dx + rotation[1, k] * dy + rotation[2, k]
        point[k] = eye[k] + ray[k] / near
    length = np.sqrt(ray[0] ** 2 + ray[1] ** 2 + ray[2] ** 2)
    scale = 1 / np.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2 + np.float32(1e-12))
    facing = (normal[0] * ray[0] + normal[1] * ray[1] + normal[2] * ray[2]) * scale / length
    if facing > 0:
        scale = -scale
    for k in range(3):
        normal[k] *= scale
    # Metres of surface that one pixel covers, less than half as wide as long at grazing angles.
    footprint = np.float32(0.001) / (near * lens[0] * max(abs(facing), np.float32(0.12)) ** np.float32(0.7))
    axis = axes[face]
    u, v = project(rest, axis)
    red, green, blue = albedo(material, textures, u, v, footprint)
    if material[17] >= 0:
        corners = (vertices[a], vertices[b], vertices[c])
        tilt_normal(normal, corners, (pattern[a], pattern[b], pattern[c]), axis, material, textures, u, v, footprint)
    red *= tint[a, 0] * wa + tint[b, 0] * wb + tint[c, 0] * wc
    green *= tint[a, 1] * wa + tint[b, 1] * wb + tint[c, 1] * wc
    blue *= tint[a, 2] * wa + tint[b, 2] * wb + tint[c, 2] * wc
    sun = light[0, 0] * normal[0] + light[0, 1] * normal[1] + light[0, 2] * normal[2]
    shine, lit = np.float32(0), np.float32(0)
    if sun > 0:
        lit = _sunlit(maps, point, normal, softness, column, row)
        if material[15] > 0 and lit > 0:
            # Blinn: between the ways to the light and to the eye.
            hx, hy, hz = light[0, 0] - ray[0] / length, light[0, 1] - ray[1] / length, light[0, 2] - ray[2] / length
            near_half = normal[0] * hx + normal[1] * hy + normal[2] * hz
            if near_half > 0:
                shine = material[15] * (near_half / np.sqrt(hx * hx + hy * hy + hz * hz)) ** material[16] * lit
    lit *= max(sun, np.float32(0))
    fill = max(light[2, 0] * normal[0] + light[2, 1] * normal[1] + light[2, 2] * normal[2], np.float32(0))
    seen = _sky_seen(maps, reach, point, normal) * _left_open(balls, reach, point, normal)
    up = np.float32(0.5) + np.float32(0.5) * normal[2]
    rim = np.float32(0.25) * material[15] * (1 + facing if facing < 0 else 1 - facing) ** 4 * seen
    closeness = np.float32(0.12) + np.float32(0.88) * seen
    colours = (red, green, blue)
    for k in range(3):
        sky = (light[4, k] * up + light[5, k] * (1 - up)) * closeness
        out[k] = (
            colours[k] * (sky + light[1, k] * lit + light[3, k] * fill * closeness + material[20])
            + light[1, k] * shine
            + light[4, k] * rim
        )


@inlined
def _alike(first, second, first_near, second_near, material_of):  # type: ignore[no-untyped-def]
    """Whether two samples show the same surface, so that one colour serves both."""
    if first < 0 or second < 0:
        return first < 0 and second < 0
    far, near = min(first_near, second_near), max(first_near, second_near)
    return material_of[first] == material_of[second] and near < far * np.float32(1.03)


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def _shade_all(geometry, topology, materials, textures, lighting, maps, view, samples, backdrop, picture):  # type: ignore[no-untyped-def]
    face, near, first, second = samples
    material_of = topology[1]
    scale = face.shape[0] // picture.shape[0]
    share = np.float32(1.0 / (scale * scale))
    colour, scratch = np.empty(3, np.float32), np.empty((4, 3), np.float32)
    done = np.empty(scale * scale, np.bool_)
    for y in range(picture.shape[0]):
        for x in range(picture.shape[1]):
            row, column = y * scale, x * scale
            picture[y, x] = 0
            done[:] = False
            for sample in range(scale * scale):
                if done[sample]:
                    continue
                i, j = row + sample // scale, column + sample % scale
                this, weight = face[i, j], np.float32(0)
                for other in range(sample, scale * scale):
                    k, m = row + other // scale, column + other % scale
                    if not done[other] and _alike(this, face[k, m], near[i, j], near[k, m], material_of):
                        done[other] = True
                        weight += share
                if this < 0:
                    colour[:] = backdrop[y, x]
                else:
                    hit = (this, near[i, j], first[i, j], second[i, j], j, i)
                    _surface(geometry, topology, materials, textures, lighting, maps, view, hit, scratch, colour)
                for channel in range(3):
                    picture[y, x, channel] += weight * colour[channel]
