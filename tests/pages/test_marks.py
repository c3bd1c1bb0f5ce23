"""Classes are told apart without colours, and by their colours with any colour vision."""

from __future__ import annotations

import itertools
import re
import string

import numpy as np
import pytest

from galmorph.pages.look import source
from galmorph.pages.marks import N_COLOURS, colour_of, letter_of, mark_path, swatch

LEAST_DELTA_E = 12.0
"""In CIEDE2000 units, of which one is just noticed side by side; ten are a different colour at a glance."""
LEAST_CONTRAST = 3.0
"""Of graphical objects (WCAG 2.2, 1.4.11)."""

# Machado, Oliveira & Fernandes (2009, IEEE TVCG 15, 1291), table 1, severity 1: on linear RGB.
VISIONS = {
    "normal": np.eye(3),
    "protanope": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranope": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
SRGB_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def palettes() -> dict[str, dict[str, str]]:
    light, dark = source("palette.css").split("@media")
    return {name: dict(re.findall(r"--([\w-]+): (#\w{6})", text)) for name, text in (("light", light), ("dark", dark))}


def linear(colour: str) -> np.ndarray:
    share = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear sRGB, white D65."""
    shares = SRGB_TO_XYZ @ rgb / np.array([0.95047, 1.0, 1.08883])
    f = np.where(shares > (6 / 29) ** 3, np.cbrt(shares), shares * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def delta_e(one: np.ndarray, other: np.ndarray) -> float:
    """CIEDE2000 (Sharma, Wu & Dalal 2005, Color Res. Appl. 30, 21)."""
    chroma = np.mean([np.hypot(*one[1:]), np.hypot(*other[1:])]) ** 7
    stretch = 1 + 0.5 * (1 - np.sqrt(chroma / (chroma + 25.0**7)))
    a, b = np.array([one[1], other[1]]) * stretch, np.array([one[2], other[2]])
    c, h = np.hypot(a, b), np.degrees(np.arctan2(b, a)) % 360
    turn = (h[1] - h[0] + 180) % 360 - 180
    d_l, d_c, d_h = other[0] - one[0], c[1] - c[0], 2 * np.sqrt(c[0] * c[1]) * np.sin(np.radians(turn / 2))
    mean_l, mean_c, mean_h = (one[0] + other[0]) / 2, c.mean(), np.radians(h[0] + turn / 2)
    t = (
        1
        - 0.17 * np.cos(mean_h - np.radians(30))
        + 0.24 * np.cos(2 * mean_h)
        + 0.32 * np.cos(3 * mean_h + np.radians(6))
        - 0.20 * np.cos(4 * mean_h - np.radians(63))
    )
    s_l = 1 + 0.015 * (mean_l - 50) ** 2 / np.sqrt(20 + (mean_l - 50) ** 2)
    s_c, s_h = 1 + 0.045 * mean_c, 1 + 0.015 * mean_c * t
    blue = np.radians(30) * np.exp(-((((np.degrees(mean_h) % 360) - 275) / 25) ** 2))
    turned = -np.sin(2 * blue) * 2 * np.sqrt(mean_c**7 / (mean_c**7 + 25.0**7))
    terms = d_l / s_l, d_c / s_c, d_h / s_h
    return float(np.sqrt(sum(term**2 for term in terms) + turned * terms[1] * terms[2]))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [  # pairs 1, 7, 17 and 25 of the authors' table
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, 0.0, 0.0), (50.0, -1.0, 2.0), 2.3669),
        ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ],
)
def test_the_distance_of_colours_is_that_of_its_authors(one, other, expected):
    assert delta_e(np.array(one), np.array(other)) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_colours_of_classes_are_far_apart_with_any_colour_vision(mode, vision):
    colours = [palettes()[mode][f"c{number}"] for number in range(N_COLOURS)]
    seen = [lab(np.clip(VISIONS[vision] @ linear(colour), 0, 1)) for colour in colours]
    assert min(delta_e(*pair) for pair in itertools.combinations(seen, 2)) >= LEAST_DELTA_E


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_colours_of_classes_stand_out_from_what_is_behind_them(mode):
    palette = palettes()[mode]
    for ground, number in itertools.product(("paper", "panel"), range(N_COLOURS)):
        one, other = sorted(SRGB_TO_XYZ[1] @ linear(palette[name]) + 0.05 for name in (ground, f"c{number}"))
        assert other / one >= LEAST_CONTRAST, (ground, number)


def test_every_class_has_a_mark_of_its_own():
    marks = [str(swatch(number)) for number in range(26)]
    shapes = [re.sub(r" c\w+", "", mark) for mark in marks]  # as somebody sees it who sees no colours
    assert len(set(shapes)) == 26
    assert all(f">{letter_of(number)}</text>" in marks[number] for number in range(N_COLOURS, 26))
    assert [letter_of(number) for number in range(26)] == list(string.ascii_uppercase)
    assert [colour_of(number) for number in (0, N_COLOURS - 1, N_COLOURS)] == [0, N_COLOURS - 1, -1]


def area(path: str) -> float:
    """Area inside the corners of a path; of an hourglass both halves."""
    x, y = np.array([[float(n) for n in corner.split()] for corner in path.strip("Mz").split("L")]).T
    return abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))) / 2


def test_marks_are_about_as_large_as_one_another():
    areas = [area(mark_path(number, radius=5.0)) for number in range(1, N_COLOURS - 1)]
    assert min(areas) > 0.5 * np.pi * 25
    assert max(areas) < np.pi * 25
    for number in range(1, N_COLOURS):
        places = re.findall(r"(-?[\d.]+) (-?[\d.]+)", mark_path(number, 30.0, 20.0, 5.0))
        assert all(abs(float(x) - 30) < 6.5 and abs(float(y) - 20) < 6.5 for x, y in places)
