"""Galaxies: draws the shape of each kind of source, one short function per kind.

Every function takes random numbers and a half-light semi-major axis in arcsec and returns a `Shape`. Bulges
are old and red, discs younger, arms, clumps and tails young and blue.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from galmorph.sky.mock.light import Light, Point, Shape, Smooth, Texture
from galmorph.sky.mock.texture import HALF_WIDTH, spiral_arms, tidal_tail

__all__ = ["KINDS", "SIZE_FACTOR", "faint_neighbour"]

Rng = np.random.Generator


def _angle(rng: Rng) -> float:
    return float(rng.uniform(0, 180))


def _tint(rng: Rng, middle: float, scatter: float = 0.12) -> float:
    return float(rng.normal(middle, scatter))


def _within(rng: Rng, middle: float, scatter: float, low: float, high: float) -> float:
    return float(np.clip(rng.normal(middle, scatter), low, high))


def star(rng: Rng, r_e: float) -> Shape:  # noqa: ARG001 (a star has no size)
    """Draw a point source, of any colour between an F and an M star."""
    return Shape("star", (Point(tint=float(rng.uniform(0.1, 1.7))),), 1.0, 0.0, np.nan, 0.0)


def spheroid(rng: Rng, r_e: float) -> Shape:
    """Draw a bulge without a disc."""
    n, q, angle = _within(rng, 3.9, 0.6, 2.5, 5.5), float(rng.uniform(0.55, 1.0)), _angle(rng)
    light = Smooth(share=1.0, tint=_tint(rng, 1.0, 0.06), r_e=r_e, n=n, q=q, angle=angle)
    return Shape("spheroid", (light,), q, angle, n, 1.0)


def disk(rng: Rng, r_e: float) -> Shape:
    """Draw a smooth disc with a small bulge."""
    return _bulge_and_disc(rng, "disk", r_e, share=float(rng.uniform(0.0, 0.1)), q=_inclined(rng, 0.35))


def bulge_disk(rng: Rng, r_e: float) -> Shape:
    """Draw a smooth disc with a large bulge."""
    return _bulge_and_disc(rng, "bulge_disk", r_e, share=float(rng.uniform(0.3, 0.6)), q=_inclined(rng, 0.3))


def edge_on(rng: Rng, r_e: float) -> Shape:
    """Draw a thin disc seen from the side, with or without a bulge."""
    share = float(rng.choice([0.0, rng.uniform(0.06, 0.22)]))
    return _bulge_and_disc(rng, "edge_on", r_e, share=share, q=float(rng.uniform(0.11, 0.22)))


def _inclined(rng: Rng, lowest: float) -> float:
    """Axis ratio of a randomly inclined disc, not thinner than `lowest`."""
    return float(rng.uniform(lowest, 1.0))


def _bulge_and_disc(rng: Rng, kind: str, r_e: float, *, share: float, q: float) -> Shape:
    angle, tint = _angle(rng), _tint(rng, 0.55, 0.15)
    n = _within(rng, 1.0, 0.12, 0.7, 1.3)
    disc = Smooth(share=1 - share, tint=tint, r_e=r_e, n=n, q=q, angle=angle)
    lights: tuple[Light, ...] = (disc,)
    if share > 0:
        lights = (disc, _bulge(rng, share, r_e * rng.uniform(0.18, 0.32), max(q, 0.6), angle))
    return Shape(kind, lights, q, angle, n, share)


def _bulge(rng: Rng, share: float, r_e: float, q: float, angle: float) -> Smooth:
    n = _within(rng, 2.8, 0.7, 1.5, 4.0)
    flattened = float(rng.uniform(max(q, 0.6), 1.0))
    return Smooth(share=share, tint=_tint(rng, 0.95, 0.08), r_e=float(r_e), n=n, q=flattened, angle=angle)


def spiral(rng: Rng, r_e: float) -> Shape:
    """Draw a disc with a bulge, two to four arms and, in two of five, a bar."""
    q, angle, tint = float(rng.uniform(0.45, 1.0)), _angle(rng), _tint(rng, 0.45, 0.15)
    bulge, arms = float(rng.uniform(0.06, 0.25)), float(rng.uniform(0.24, 0.44))
    barred = bool(rng.uniform() < 0.4)
    bar = float(rng.uniform(0.08, 0.15)) if barred else 0.0
    start = float(rng.uniform(0.55, 0.75) if barred else rng.uniform(0.3, 0.45))
    picture = spiral_arms(rng, start=start, handed=int(rng.choice([-1, 1])))
    disc = 1 - bulge - arms - bar
    lights: list[Light] = [
        Smooth(share=disc, tint=tint + 0.12, r_e=r_e, n=1.0, q=q, angle=angle),
        _bulge(rng, bulge, r_e * rng.uniform(0.12, 0.22), q, angle),
        Texture(share=arms, tint=tint - 0.22, picture=picture, half_width=HALF_WIDTH * r_e, q=q, angle=angle),
    ]
    if barred:
        along = angle + float(rng.uniform(-35, 35))
        lights.append(Smooth(share=bar, tint=0.8, r_e=0.5 * start * r_e, n=0.5, q=0.33, angle=along))
    return Shape("spiral", tuple(lights), q, angle, 1.0, bulge)


def irregular(rng: Rng, r_e: float) -> Shape:
    """Draw a faint lopsided body with three to eight clumps."""
    q, angle, tint = float(rng.uniform(0.4, 0.9)), _angle(rng), _tint(rng, 0.18, 0.12)
    clumps = int(rng.integers(3, 9))
    in_clumps = float(rng.uniform(0.20, 0.42))
    shares = in_clumps * rng.dirichlet(np.full(clumps, 1.2))
    n = _within(rng, 0.8, 0.15, 0.5, 1.1)
    off = rng.normal(0, 0.25 * r_e, 2)
    body = Smooth(share=1 - in_clumps, tint=tint + 0.15, r_e=r_e, n=n, q=q, angle=angle, x=off[0], y=off[1])
    lumps = [_clump(rng, float(s), r_e, q=q, angle=angle, tint=tint) for s in shares]
    return Shape("irregular", (body, *lumps), q, angle, n, 0.0)


def _clump(rng: Rng, share: float, r_e: float, *, q: float, angle: float, tint: float) -> Smooth:
    radius, turn = r_e * 1.1 * rng.uniform() ** 0.6, rng.uniform(0, 2 * np.pi)
    major = np.radians(angle)
    u, v = radius * np.cos(turn), q * radius * np.sin(turn)
    return Smooth(
        share=share,
        tint=tint + float(rng.normal(-0.1, 0.15)),
        r_e=float(r_e * rng.uniform(0.10, 0.28)),
        n=0.7,
        q=float(rng.uniform(0.6, 1.0)),
        angle=_angle(rng),
        x=float(u * np.cos(major) - v * np.sin(major)),
        y=float(u * np.sin(major) + v * np.cos(major)),
    )


def merger(rng: Rng, r_e: float) -> Shape:
    """Draw two galaxies about r_e apart, a bridge between them, and a tidal tail."""
    q, angle, tint = float(rng.uniform(0.5, 0.9)), _angle(rng), _tint(rng, 0.45, 0.2)
    n = float(rng.choice([1.0, 1.3, 2.5]))
    second, tail, bridge = float(rng.uniform(0.22, 0.36)), float(rng.uniform(0.12, 0.2)), 0.06
    apart, towards = r_e * rng.uniform(1.0, 1.8), rng.uniform(0, 2 * np.pi)
    x, y = float(apart * np.cos(towards)), float(apart * np.sin(towards))
    main = Smooth(share=1 - second - tail - bridge, tint=tint + 0.2, r_e=0.75 * r_e, n=n, q=q, angle=angle)
    lights: tuple[Light, ...] = (
        main,
        Smooth(
            share=second,
            tint=tint + float(rng.normal(0.1, 0.25)),
            r_e=float(r_e * rng.uniform(0.3, 0.5)),
            n=float(rng.choice([1.0, 2.0])),
            q=float(rng.uniform(0.4, 0.95)),
            angle=_angle(rng),
            x=x,
            y=y,
        ),
        Smooth(
            share=bridge,
            tint=tint - 0.1,
            r_e=0.6 * float(apart),
            n=0.5,
            q=0.35,
            angle=float(np.degrees(towards)),
            x=x / 2,
            y=y / 2,
        ),
        Texture(
            share=tail,
            tint=tint - 0.15,
            picture=tidal_tail(rng),
            half_width=HALF_WIDTH * r_e,
            q=float(rng.uniform(0.6, 1.0)),
            angle=_angle(rng),
        ),
    )
    return Shape("merger", lights, q, angle, n, 0.0)


def faint_neighbour(rng: Rng, r_e: float) -> Shape:
    """Draw a small galaxy that the catalogue does not list."""
    n, q, angle = float(rng.choice([1.0, 1.0, 2.5])), float(rng.uniform(0.35, 1.0)), _angle(rng)
    light = Smooth(share=1.0, tint=float(rng.uniform(0.1, 1.1)), r_e=r_e, n=n, q=q, angle=angle)
    return Shape("neighbour", (light,), q, angle, n, 0.0)


KINDS: dict[str, Callable[[Rng, float], Shape]] = {
    "spheroid": spheroid,
    "disk": disk,
    "spiral": spiral,
    "edge_on": edge_on,
    "bulge_disk": bulge_disk,
    "irregular": irregular,
    "merger": merger,
    "star": star,
}

SIZE_FACTOR: dict[str, float] = {
    "spheroid": 0.7,
    "disk": 1.0,
    "spiral": 1.2,
    "edge_on": 1.5,
    "bulge_disk": 1.1,
    "irregular": 1.1,
    "merger": 1.2,
    "star": 0.0,
}
"""Size of each kind relative to a disc of the same magnitude."""
