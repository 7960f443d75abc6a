"""Make colour profiles of what files say in a few numbers: gAMA and cHRM of PNG, and CICP codes.

Source: PNG (third edition), 11.3.2; ITU-T H.273 (CICP), tables 2 and 3; for primaries and whites
see also CSS Color 4, 10.2 and 11.
"""

import struct

import numpy as np
from numpy.typing import NDArray

from moderator.decoding.icc import D50, LEVELS, Profile, from_curve

SRGB_PRIMARIES = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
"""White, red, green, blue, each as x and y."""

PRIMARIES = {
    1: SRGB_PRIMARIES,
    4: (0.31, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (0.3127, 0.329, 0.64, 0.33, 0.29, 0.6, 0.15, 0.06),
    6: (0.3127, 0.329, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    7: (0.3127, 0.329, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    8: (0.31, 0.316, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: (0.3127, 0.329, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),
    10: (1 / 3, 1 / 3, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0),
    11: (0.314, 0.351, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    12: (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    22: (0.3127, 0.329, 0.63, 0.34, 0.295, 0.605, 0.155, 0.077),
}
"""Primaries by their code."""

BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)

TONE = (
    (0.0, 0.55, 0.63, 0.936, 1.083, 1.397, 1.934, 2.10, 2.46),
    (0.0, 0.55, 0.597, 0.723, 0.768, 0.847, 0.939, 0.956, 1.0),
)
"""How Chromium 156 brings high dynamic range into 0..1, measured: light in, light out."""

PQ_WHITE, HLG_WHITE = 406.0, 1 / 2.45
"""What 1 on the scale of ``TONE`` is: candela a square metre, and a share of the brightest."""


def coded(primaries: int, transfer: int, *, video: bool = True) -> Profile | None:
    """Return the profile of CICP codes; None where they are unspecified or not known to browsers.

    Args:
        primaries: The code of its primaries.
        transfer: The code of its curve.
        video: Whether the curves of video (1, 6, 11, 14, 15) are a screen's (2.4), as browsers
            have it for PNG; else they are sRGB's, as for AVIF.
    """
    curve, points = CURVES.get(transfer), PRIMARIES.get(primaries)
    if transfer in VIDEO:
        curve = LEVELS**2.4 if video else CURVES[13]
    matrix = primaries_to_xyz(points) if points else None
    return None if curve is None or matrix is None else from_curve(matrix, curve)


def measured(gamma: bytes | None, chromaticities: bytes | None) -> Profile | None:
    """Return the profile of the bodies of a PNG's gAMA and cHRM chunks; None where it has none.

    One without the other means sRGB's primaries, or its curve.
    """
    if gamma is None or len(gamma) != 4:
        return None
    exponent = int.from_bytes(gamma, "big") / 100_000
    if not 0 < exponent < 2**31 / 100_000:
        return None
    points = SRGB_PRIMARIES
    if chromaticities is not None and len(chromaticities) == 32:
        points = tuple(value / 100_000 for value in struct.unpack(">8i", chromaticities))
    matrix = primaries_to_xyz(points)
    return None if matrix is None else from_curve(matrix, LEVELS ** (1 / exponent))


def primaries_to_xyz(points: tuple[float, ...]) -> NDArray[np.float64] | None:
    """Return float[3, 3] from linear RGB of primaries to XYZ of D50; None where there is none."""
    white, *colours = (np.array(points[at : at + 2]) for at in range(0, 8, 2))
    if not all(0 <= value <= 1 for value in points) or white[1] <= 0:
        return None
    columns = np.array([[x, y, 1 - x - y] for x, y in colours]).T
    target = np.array([white[0], white[1], 1 - white.sum()]) / white[1]
    if abs(np.linalg.det(columns)) < 1e-6:
        return None
    matrix = columns * np.linalg.solve(columns, target)
    cones = BRADFORD @ target
    if (cones <= 0).any():
        return None
    adapted = np.linalg.inv(BRADFORD) @ np.diag(BRADFORD @ D50 / cones) @ BRADFORD
    return np.asarray(adapted @ matrix)


def srgb_linear(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the linear values of sRGB's, all 0..1."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def srgb_encoded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sRGB's values of linear ones; both are cut to 0..1."""
    linear = values.clip(0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def _pq(v: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = v ** (1 / 78.84375)
    return np.asarray(
        (np.maximum(powers - 0.8359375, 0) / (18.8515625 - 18.6875 * powers))
        ** (1 / 0.1593017578125)
    )


def _hlg(v: NDArray[np.float64]) -> NDArray[np.float64]:
    high = (np.exp((v - 0.55991073) / 0.17883277) + 0.28466892) / 12
    return np.where(v <= 0.5, v**2 / 3, high) ** 1.2


CURVES = {
    4: LEVELS**2.2,
    5: LEVELS**2.8,
    7: np.where(LEVELS < 0.0913, LEVELS / 4, ((LEVELS + 0.1115) / 1.1115) ** (1 / 0.45)),
    8: LEVELS,
    13: srgb_linear(LEVELS),
    16: np.interp(_pq(LEVELS) * 10_000 / PQ_WHITE, *TONE),
    17: LEVELS**2.6 * 52.37 / 48,
    18: np.interp(_hlg(LEVELS) / HLG_WHITE, *TONE),
}
"""The linear value of every level by the code of its curve, besides those of video."""

VIDEO = (1, 6, 11, 14, 15)
"""Codes of curves that are a screen's or sRGB's, as the format has it."""

SRGB_TO_XYZ = np.array(
    [[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]]
)
"""Linear sRGB to XYZ of D50, as profiles of it have it."""
