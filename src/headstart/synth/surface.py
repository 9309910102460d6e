"""Colour and bumps of a surface from its material and the texture set. Numba, inlined into the shader."""

from __future__ import annotations

import numba
import numpy as np

#: Decorator of what is inlined before it is compiled.
inlined = numba.njit(cache=True, fastmath=True, error_model="numpy", inline="always")


@numba.njit(cache=True, fastmath=True, forceinline=True, error_model="numpy")
def _texel(textures, number, u, v, footprint):  # type: ignore[no-untyped-def]
    """Bilinear colour at (u, v) in repeats, from the level whose texels are about ``footprint`` repeats wide."""
    texels, starts, sizes = textures
    level = int(np.log2(max(footprint * sizes[0], 1.0)) + 0.35)
    level = min(level, len(sizes) - 1)
    size = sizes[level]
    x, y = (u - np.floor(u)) * size - np.float32(0.5), (v - np.floor(v)) * size - np.float32(0.5)
    x0, y0 = int(np.floor(x)), int(np.floor(y))
    fx, fy = x - x0, y - y0
    left, right = x0 & (size - 1), (x0 + 1) & (size - 1)
    top, bottom = (
        starts[number, level] + (y0 & (size - 1)) * size,
        starts[number, level] + ((y0 + 1) & (size - 1)) * size,
    )
    a, b, c, d = (1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy
    p, q, r, s = texels[top + left], texels[top + right], texels[bottom + left], texels[bottom + right]
    k = np.float32(1 / 255)
    return (
        (a * p[0] + b * q[0] + c * r[0] + d * s[0]) * k,
        (a * p[1] + b * q[1] + c * r[1] + d * s[1]) * k,
        (a * p[2] + b * q[2] + c * r[2] + d * s[2]) * k,
    )


@numba.njit(cache=True, fastmath=True, forceinline=True, error_model="numpy")
def albedo(material, textures, u, v, footprint):  # type: ignore[no-untyped-def]
    """Linear RGB at pattern coordinates (u, v) in metres, averaged over ``footprint`` metres."""
    red, green, blue = material[5], material[6], material[7]
    if material[0] < 0:
        return red, green, blue
    cosine, sine = material[1], material[2]
    m, n, grain = _texel(
        textures,
        int(material[0]),
        u * cosine - v * sine + material[3],
        u * sine + v * cosine + material[4],
        footprint * np.sqrt(cosine * cosine + sine * sine),
    )
    shine = 1 + material[14] * (2 * grain - 1)
    red = (red * (1 - m) + material[8] * m) * (1 - n) + material[11] * n
    green = (green * (1 - m) + material[9] * m) * (1 - n) + material[12] * n
    blue = (blue * (1 - m) + material[10] * m) * (1 - n) + material[13] * n
    return red * shine, green * shine, blue * shine


@inlined
def project(point, axis):  # type: ignore[no-untyped-def]
    """Pattern coordinates to the right and down, as seen from outside, of a surface that faces ``axis``."""
    if axis == 0:
        return point[1], -point[2]
    if axis == 1:
        return point[0], -point[2]
    if axis == 2:
        return point[0], point[1]
    if axis == 3:
        return -point[1], -point[2]
    return -point[0], -point[2]


@numba.njit(cache=True, fastmath=True, forceinline=True, error_model="numpy")
def tilt_normal(normal, corners, patterns, axis, material, textures, u, v, footprint):  # type: ignore[no-untyped-def]
    """The normal (3,) tilted by the bump texture along the surface's own pattern directions."""
    ua, va = project(patterns[0], axis)
    ub, vb = project(patterns[1], axis)
    uc, vc = project(patterns[2], axis)
    du1, dv1, du2, dv2 = ub - ua, vb - va, uc - ua, vc - va
    det = du1 * dv2 - du2 * dv1
    if abs(det) < 1e-12:
        return
    frequency = material[18]
    gu, gv, _ = _texel(textures, int(material[17]), u * frequency, v * frequency, footprint * frequency)
    gu, gv = (gu - np.float32(0.5)) * material[19], (gv - np.float32(0.5)) * material[19]
    length_u, length_v = np.float32(0), np.float32(0)
    for k in range(3):
        along_u = ((corners[1][k] - corners[0][k]) * dv2 - (corners[2][k] - corners[0][k]) * dv1) / det
        along_v = ((corners[2][k] - corners[0][k]) * du1 - (corners[1][k] - corners[0][k]) * du2) / det
        length_u += along_u * along_u
        length_v += along_v * along_v
    scale_u, scale_v = gu / np.sqrt(length_u + 1e-9), gv / np.sqrt(length_v + 1e-9)
    for k in range(3):
        along_u = ((corners[1][k] - corners[0][k]) * dv2 - (corners[2][k] - corners[0][k]) * dv1) / det
        along_v = ((corners[2][k] - corners[0][k]) * du1 - (corners[1][k] - corners[0][k]) * du2) / det
        normal[k] -= along_u * scale_u + along_v * scale_v
    scale = 1 / np.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2)
    for k in range(3):
        normal[k] *= scale
