"""Benchmark: galmorph, scipy, torch, reproject and OpenCV make the same stamps of galaxies of known truth.

Usage: ``OMP_NUM_THREADS=1 python tests/benchmarks/bench_warp.py [--galaxies N] [--seed S]``. Without options it writes
docs/benchmarks/warp.json. Processor time is counted over all threads.

Noiseless cutouts of 128 × 128 pixels, drawn by GalSim with a Moffat PSF of FWHM 2.9 px, become stamps of 64 × 64 at
random places between the pixels and 0.6 to 4 cutout pixels per stamp pixel. The truth is the same galaxy drawn on the
stamp's grid, with the effective PSF of one of three definitions:

point
    the PSF and a cutout pixel: what an interpolated point stands for;
area
    the PSF, a cutout pixel and a stamp pixel: what the mean of an interpolant over the stamp pixel stands for;
box
    the PSF and the larger of a cutout pixel and a stamp pixel: galmorph's.

Each method is held against the definition that it comes nearest to in the median. Errors are in per cent of the
truth's peak; only stamp pixels that lie on the cutout count.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.metadata
import importlib.util
import json
import platform
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import galsim
import numpy as np
import torch
from astropy.wcs import WCS
from reproject import reproject_adaptive, reproject_exact, reproject_interp
from scipy import ndimage
from torch.nn import functional as F  # noqa: N812 - torch's own convention

from galmorph.stamps.affine import compose, stamp_matrix, turn
from galmorph.stamps.warp import warp

RESULT = Path(__file__).resolve().parents[2] / "docs" / "benchmarks" / "warp.json"
CUTOUT, SIZE, FWHM_PX = 128, 64, 2.9
SCALES = (0.6, 4.0)
REPEATS, SLOW = 9, 8
KINDS = ("0.5", "1", "1.5", "2.5", "4", "clumpy")
REFERENCE = "scipy spline 3"
# Finer than galsim's own: its truth must be a hundred times better than what is judged.
ACCURATE = galsim.GSParams(folding_threshold=1e-3, maxk_threshold=1e-4, kvalue_accuracy=1e-6, maximum_fft_size=16384)


@dataclass(frozen=True)
class Case:
    """A cutout, how its stamp lies on it, and the true stamps of each definition."""

    kind: str
    pixels: np.ndarray  # (128, 128) float32
    x: float
    y: float
    scale: float  # cutout pixels per stamp pixel
    angle: float  # of a second, turned view
    truth: dict[str, np.ndarray]
    turned: np.ndarray

    @property
    def matrix(self) -> np.ndarray:
        """From stamp coordinates to pixels."""
        return stamp_matrix(self.x, self.y, self.scale * SIZE / 2)

    def points(self, n: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Return x and y in cutout pixels of n points along each axis of every stamp pixel."""
        offsets = ((np.arange(SIZE * n) + 0.5) / n - SIZE / 2) * self.scale
        return self.x + offsets, self.y + offsets

    def seen(self, angle: float = 0.0) -> np.ndarray:
        """Tell which stamp pixels lie on the cutout, with two pixels to spare."""
        offsets = (np.arange(SIZE) - (SIZE - 1) / 2) * self.scale
        x = self.x + offsets * np.cos(angle) - offsets[:, None] * np.sin(angle)
        y = self.y + offsets * np.sin(angle) + offsets[:, None] * np.cos(angle)
        margin = self.scale + 2.0
        return (np.minimum(x, y) > margin) & (np.maximum(x, y) < CUTOUT - 1 - margin)


def galaxy(kind: str, rng: np.random.Generator) -> galsim.GSObject:
    """Draw one up to a flux of 1, before the PSF."""
    shape = {"q": rng.uniform(0.3, 1.0), "beta": rng.uniform(0.0, 180.0) * galsim.degrees}
    radius = float(np.exp(rng.uniform(np.log(2.0), np.log(12.0))))
    if kind != "clumpy":
        return galsim.Sersic(float(kind), half_light_radius=radius).shear(**shape)
    parts = [galsim.Exponential(half_light_radius=radius).shear(**shape) * 0.6]
    for x, y in rng.normal(0.0, radius, (8, 2)):
        parts.append(galsim.Gaussian(fwhm=rng.uniform(0.5, 2.0)).shift(x, y) * 0.05)
    return galsim.Sum(parts)


def drawn(scene: galsim.GSObject, boxes: list[float], n: int, scale: float, shift: tuple[float, float]) -> np.ndarray:
    """Draw the surface brightness per cutout pixel of a scene seen through square boxes."""
    through = galsim.Convolve([scene, *(galsim.Pixel(box) for box in boxes)]).withGSParams(ACCURATE)
    image = through.shift(*shift).drawImage(nx=n, ny=n, scale=scale, method="no_pixel", dtype=float)
    return image.array / scale**2


def make_case(kind: str, rng: np.random.Generator) -> Case:
    """Draw a cutout and its true stamps."""
    scene = galsim.Convolve([galaxy(kind, rng), galsim.Moffat(beta=3.5, fwhm=FWHM_PX)])
    middle = (CUTOUT - 1) / 2
    at = rng.uniform(-2.0, 2.0, 2)  # of the galaxy from the cutout's middle
    off = rng.uniform(-0.5, 0.5, 2)  # of the galaxy from the stamp's
    scale, angle = float(rng.uniform(*SCALES)), float(rng.uniform(0.0, 2.0 * np.pi))
    box = max(scale, 1.0)
    boxes = {"point": [1.0], "area": [1.0, scale], "box": [box]}
    truth = {name: drawn(scene, widths, SIZE, scale, tuple(off)) for name, widths in boxes.items()}
    back = scene.shift(*off).rotate(-angle * galsim.radians)
    return Case(
        kind,
        drawn(scene, [1.0], CUTOUT, 1.0, tuple(at)).astype(np.float32),
        *(middle + at - off),
        scale,
        angle,
        truth,
        drawn(back, [box], SIZE, scale, (0.0, 0.0)),
    )


# Methods: each makes one stamp, (64, 64)


def by_galmorph(case: Case) -> np.ndarray:
    """Exact means."""
    return warp(case.pixels[None], case.matrix, SIZE)[0]


def by_galmorph_turned(case: Case) -> np.ndarray:
    """Points, at the case's angle."""
    return warp(case.pixels[None], compose(case.matrix, turn(case.angle)), SIZE)[0]


def by_scipy(case: Case) -> np.ndarray:
    """One point per stamp pixel."""
    x, y = case.points()
    return ndimage.map_coordinates(case.pixels, np.meshgrid(y, x, indexing="ij"), order=3, output=np.float32)


def by_scipy_means(case: Case) -> np.ndarray:
    """Points no further than a cutout pixel apart, averaged."""
    n = max(2, int(np.ceil(case.scale)))
    x, y = case.points(n)
    fine = ndimage.map_coordinates(case.pixels, np.meshgrid(y, x, indexing="ij"), order=3, output=np.float32)
    return fine.reshape(SIZE, n, SIZE, n).mean(axis=(1, 3))


def by_torch(mode: str) -> Callable[[Case], np.ndarray]:
    """One point per stamp pixel."""

    def sampled(case: Case) -> np.ndarray:
        x, y = (torch.from_numpy(v * (2.0 / (CUTOUT - 1)) - 1.0).float() for v in case.points())
        grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)[None]
        image = torch.from_numpy(case.pixels)[None, None]
        return F.grid_sample(image, grid, mode=mode, align_corners=True)[0, 0].numpy()

    return sampled


def by_reproject(function: Callable[..., Any], **options: Any) -> Callable[[Case], np.ndarray]:
    """Between two tangential projections of 0.036 arcsec per cutout pixel."""

    def projected(case: Case) -> np.ndarray:
        source, target = WCS(naxis=2), WCS(naxis=2)
        for wcs, centre, scale in ((source, (case.x, case.y), 1.0), (target, ((SIZE - 1) / 2,) * 2, case.scale)):
            wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
            wcs.wcs.crval = [0.0, 0.0]
            wcs.wcs.crpix = [c + 1.0 for c in centre]
            wcs.wcs.cdelt = [1e-5 * scale, 1e-5 * scale]
        return function((case.pixels, source), target, shape_out=(SIZE, SIZE), return_footprint=False, **options)

    return projected


def by_opencv(case: Case) -> np.ndarray:
    """Lanczos kernel of eight pixels, one point per stamp pixel."""
    import cv2  # noqa: PLC0415 - not installed everywhere

    first = case.points()[0][0], case.points()[1][0]
    matrix = np.array([[case.scale, 0.0, first[0]], [0.0, case.scale, first[1]]])
    flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(case.pixels, matrix, (SIZE, SIZE), flags=flags, borderMode=cv2.BORDER_REFLECT_101)


FAST = {
    "galmorph": by_galmorph,
    REFERENCE: by_scipy,
    "scipy spline 3, n × n means": by_scipy_means,
    "torch bilinear": by_torch("bilinear"),
    "torch bicubic": by_torch("bicubic"),
    **({"OpenCV Lanczos4": by_opencv} if importlib.util.find_spec("cv2") else {}),
}
TURNED = "galmorph, any angle"
RARE = {
    "reproject interp (bicubic)": by_reproject(reproject_interp, order="bicubic"),
    "reproject adaptive": by_reproject(reproject_adaptive),
    "reproject exact": by_reproject(reproject_exact, parallel=False),
}


def error_percent(stamp: np.ndarray, truth: np.ndarray, seen: np.ndarray) -> dict[str, float]:
    """Return the rms over all pixels, that over those brighter than 1 % of the peak, and the largest error."""
    wrong = 100.0 * np.abs(np.nan_to_num(stamp) - truth) / truth.max()
    bright = seen & (truth > 0.01 * truth.max())
    return {
        "rms": float(np.sqrt((wrong[seen] ** 2).mean())),
        "rms_bright": float(np.sqrt((wrong[bright] ** 2).mean())),
        "largest": float(wrong[seen].max()),
    }


def errors(method: Callable[[Case], np.ndarray], cases: list[Case]) -> dict[str, Any]:
    """Hold a method against the definition that it comes nearest to."""
    stamps = [method(case) for case in cases]
    found = {
        name: [error_percent(s, c.truth[name], c.seen()) for s, c in zip(stamps, cases, strict=True)]
        for name in ("point", "area", "box")
    }
    nearest = min(found, key=lambda name: np.median([e["rms"] for e in found[name]]))
    return {"definition": nearest, **summary(found[nearest], cases)}


def summary(found: list[dict[str, float]], cases: list[Case]) -> dict[str, Any]:
    """Return medians over cases, the worst case, and medians for each kind of galaxy."""
    medians = {f"{key}_percent": rounded(np.median([e[key] for e in found])) for key in found[0]}
    by_kind = {
        kind: rounded(np.median([e["rms"] for e, c in zip(found, cases, strict=True) if c.kind == kind]))
        for kind in KINDS
        if any(c.kind == kind for c in cases)
    }
    return {**medians, "worst_rms_percent": rounded(max(e["rms"] for e in found)), "rms_percent_by_kind": by_kind}


def turned_errors(cases: list[Case]) -> dict[str, Any]:
    """Hold galmorph's views of any angle against galaxies drawn at that angle."""
    found = [error_percent(by_galmorph_turned(c), c.turned, c.seen(c.angle)) for c in cases]
    return {"definition": "box", **summary(found, cases)}


def rounded(value: float) -> float:
    """Three significant digits."""
    return float(f"{value:.3g}")


def costs(methods: dict[str, Callable[[Case], Any]], cases: list[Case], repeats: int) -> dict[str, list[float]]:
    """Return milliseconds of processor time per case, the methods in turn on each."""
    spent: dict[str, list[float]] = {name: [] for name in methods}
    for case in cases:
        for name, method in methods.items():
            spent[name].append(timed(method, case, repeats))
    return spent


def timed(method: Callable[[Any], Any], argument: Any, repeats: int) -> float:
    """Milliseconds of processor time of one call: the median over calls one after the other."""
    spent = []
    for _ in range(repeats):
        started = time.process_time()
        method(argument)
        spent.append(1e3 * (time.process_time() - started))
    return float(np.median(spent))


def measured(cases: list[Case]) -> dict[str, Any]:
    """Return errors and costs of all methods."""
    fast = costs({**FAST, TURNED: by_galmorph_turned}, cases, REPEATS)
    rare = costs(RARE, cases[:SLOW], 1)
    scipy = float(np.median(fast[REFERENCE]))
    rows = {name: {**errors(method, cases), "ms": np.median(fast[name])} for name, method in FAST.items()}
    rows[TURNED] = {**turned_errors(cases), "ms": np.median(fast[TURNED])}
    for name, method in RARE.items():
        rows[name] = {**errors(method, cases[:SLOW]), "ms": np.median(rare[name]), "cases": SLOW}
    for row in rows.values():
        row["time_over_scipy"] = rounded(row["ms"] / scipy)
        row["ms"] = rounded(row["ms"])
    return rows


def print_table(rows: dict[str, Any]) -> None:
    """Print one line per method."""
    print(f"{'method':32}{'definition':>12}{'rms %':>9}{'bright %':>9}{'largest %':>10}{'ms':>8}{'/ scipy':>8}")
    for name, row in rows.items():
        numbers = f"{row['rms_percent']:9.3g}{row['rms_bright_percent']:9.3g}{row['largest_percent']:10.3g}"
        print(f"{name:32}{row['definition']:>12}{numbers}{row['ms']:8.3g}{row['time_over_scipy']:8.3g}")


def main() -> int:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--galaxies", type=int, help="so many instead of 192; nothing is recorded")
    parser.add_argument("--seed", type=int, help="of the galaxies; nothing is recorded")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(1 if options.seed is None else options.seed)
    n = options.galaxies or 192
    cases = [make_case(KINDS[i % len(KINDS)], rng) for i in range(n)]
    rows = measured(cases)
    print_table(rows)
    result = {
        "cutout_px": CUTOUT,
        "stamp_px": SIZE,
        "psf": f"Moffat, beta 3.5, FWHM {FWHM_PX} px",
        "cutout_px_per_stamp_px": list(SCALES),
        "galaxies": n,
        "errors": "per cent of the truth's peak, medians over galaxies",
        "definitions": {
            "point": "PSF, cutout pixel",
            "area": "PSF, cutout pixel, stamp pixel",
            "box": "PSF, the larger of cutout pixel and stamp pixel",
        },
        "methods": rows,
        "versions": {p: importlib.metadata.version(p) for p in ("numpy", "scipy", "torch", "reproject", "galsim")},
        "python": platform.python_version(),
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
    }
    if options.galaxies is None and options.seed is None:
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
