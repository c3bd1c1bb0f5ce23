"""Other codes: each measures the centre and Petrosian radius of a mock in its own way, from the raw pixels.

Every code estimates the sky, detects and deblends for itself, so that its cost is that of the whole way. A code that is
not installed says so in :meth:`Code.missing` and is left out. Settings are the usual ones of each code's documentation:
detection at 1.5 sigma, at least six pixels.
"""

from __future__ import annotations

import importlib.util
import resource
import shutil
import subprocess
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from mocks import ETA, INNER, OUTER, Mock

DoubleArray = npt.NDArray[np.float64]
_THRESHOLD, _LEAST_AREA = 1.5, 6
_NEAREST_PX = 10.0
NAN = float("nan")


@dataclass(frozen=True)
class Reading:
    """Centre and Petrosian radius in pixels, NaN where there is none.

    `whole` is the code's own object, `raised` the exception that it raised.
    """

    x: float = NAN
    y: float = NAN
    rpet_px: float = NAN
    whole: Any = None
    raised: str = ""


class Code(Protocol):
    """A code: its name, its definition of the Petrosian radius (sdss or local), and what it was asked to do."""

    name: str
    definition: str
    how: str

    def missing(self) -> str | None:
        """Say what is not installed, None if nothing."""

    def measure_all(self, mocks: list[Mock]) -> tuple[list[Reading], list[float]]:
        """Return readings and processor seconds of each."""


class OneByOne:
    """A code in Python that measures one mock after the other."""

    modules: tuple[str, ...] = ()

    def missing(self) -> str | None:
        """Say which module is not installed."""
        absent = [m for m in self.modules if importlib.util.find_spec(m) is None]
        return f"{', '.join(absent)} not installed" if absent else None

    def measure_all(self, mocks: list[Mock]) -> tuple[list[Reading], list[float]]:
        """Measure each; a mock that makes the code raise has no value."""
        readings, seconds = [], []
        for mock in mocks:
            started = time.process_time()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                readings.append(self._measured(mock))
            seconds.append(time.process_time() - started)
        return readings, seconds

    def _measured(self, mock: Mock) -> Reading:
        try:
            return self.measure(mock)
        except ImportError:
            raise
        except Exception as error:  # noqa: BLE001  other people's code raises what it likes; it counts as a failure
            return Reading(raised=f"{type(error).__name__}: {error}")

    def measure(self, mock: Mock) -> Reading:
        """Measure one mock."""
        raise NotImplementedError


class Galmorph(OneByOne):
    """The code of this repository."""

    name, definition = "galmorph", "sdss"
    how = "galmorph.stamps.measure.measure with the width of the point-spread function"
    modules = ("galmorph",)

    def measure(self, mock: Mock) -> Reading:
        """Measure; the reading keeps the whole Measurement."""
        from galmorph.stamps.measure import measure  # noqa: PLC0415

        known = {"weight": mock.weight, "saturation": mock.saturation, "psf_fwhm_px": mock.psf_fwhm_px}
        found = measure(mock.pixels, mock.x, mock.y, **known)
        return Reading(found.x, found.y, found.rpet_px, found)


class SepAnnuli(OneByOne):
    """SEP with neighbours masked to six of their semi-axes and forty annuli."""

    name, definition = "SEP annuli", "sdss"
    how = "Background(64), extract, neighbours masked to 6 (a, b), sum_circann, winpos"
    modules = ("sep",)

    def measure(self, mock: Mock) -> Reading:
        """Measure in annuli, each filled from its own unmasked part."""
        import sep  # noqa: PLC0415

        found = _sep_detected(mock)
        if found is None:
            return Reading()
        clean, bad, objects, labels, chosen = found
        bad |= (labels > 0) & (labels != chosen + 1)
        others = objects[np.arange(len(objects)) != chosen]
        if len(others):
            grown = np.zeros(bad.shape, np.bool_)
            angle = np.clip(others["theta"], -np.pi / 2, np.pi / 2)
            sep.mask_ellipse(grown, others["x"], others["y"], others["a"], others["b"], angle, r=6.0)
            bad |= grown & (labels != chosen + 1)
        x, y = _sep_windowed(clean, bad, objects[chosen])
        edges = np.concatenate([[0.0], _radii(clean.shape, x, y)])
        at = np.full(len(edges) - 1, x), np.full(len(edges) - 1, y)
        rings, _, _ = sep.sum_circann(clean, *at, edges[:-1], edges[1:], mask=bad)
        return Reading(x, y, petrosian_radius(edges[1:], np.cumsum(rings)))


class SepCircles(OneByOne):
    """SEP with forty circles and its own masking by the segmentation map."""

    name, definition = "SEP circles", "sdss"
    how = "Background(64), extract, sum_circle with the segmentation map, winpos"
    modules = ("sep",)

    def measure(self, mock: Mock) -> Reading:
        """Measure in circles."""
        import sep  # noqa: PLC0415

        found = _sep_detected(mock)
        if found is None:
            return Reading()
        clean, bad, objects, labels, chosen = found
        x, y = _sep_windowed(clean, bad, objects[chosen])
        radii = _radii(clean.shape, x, y)
        at = np.full(len(radii), x), np.full(len(radii), y)
        own = np.full(len(radii), chosen + 1, np.int32)
        flux, _, _ = sep.sum_circle(clean, *at, radii, mask=bad, segmap=labels, seg_id=own)
        return Reading(x, y, petrosian_radius(radii, flux))


def _sep_detected(mock: Mock) -> tuple[Any, Any, Any, Any, int] | None:
    import sep  # noqa: PLC0415

    bad = ~np.isfinite(mock.pixels)
    data = np.where(bad, np.float32(0.0), mock.pixels)
    sky = sep.Background(data, mask=bad, bw=64, bh=64)
    clean = data - sky.back(dtype=np.float32)
    objects, labels = sep.extract(
        clean, _THRESHOLD, err=sky.globalrms, mask=bad, minarea=_LEAST_AREA, segmentation_map=True
    )
    chosen = _pick(labels, objects["x"], objects["y"], mock)
    return None if chosen < 0 else (clean, bad, objects, labels, chosen)


def _sep_windowed(clean: Any, bad: Any, row: Any) -> tuple[float, float]:
    import sep  # noqa: PLC0415

    start = [row["x"]], [row["y"]]
    half, _ = sep.flux_radius(clean, *start, [6.0 * row["a"]], 0.5, mask=bad, subpix=5)
    sigma = 2.0 / 2.35 * max(float(half[0]), 0.5)  # the window of the documentation
    x, y, _ = sep.winpos(clean, *start, [sigma], mask=bad)
    return float(x[0]), float(y[0])


class PhotutilsGrowth(OneByOne):
    """A photutils catalogue of sources and curve of growth."""

    name, definition = "photutils", "sdss"
    how = "clipped sky outside sources, detect_sources, deblend_sources, centroid_win, CurveOfGrowth"
    modules = ("photutils", "astropy")

    def measure(self, mock: Mock) -> Reading:
        """Measure in circles with the other segments masked."""
        from photutils.profiles import CurveOfGrowth  # noqa: PLC0415
        from photutils.segmentation import SourceCatalog  # noqa: PLC0415

        found = _photutils_detected(mock)
        if found is None:
            return Reading()
        clean, bad, _, labels, label = found
        source = SourceCatalog(clean, labels, mask=bad).get_label(label)
        x, y = (float(c) for c in source.centroid_win)
        radii = _radii(clean.shape, x, y)
        others = (labels.data > 0) & (labels.data != label)
        growth = CurveOfGrowth(clean, (x, y), radii, mask=bad | others)
        # the area that was summed is less than the circle's where pixels are masked
        mean = growth.profile / growth.area
        return Reading(x, y, petrosian_radius(radii, mean * np.pi * radii**2))


class Statmorph(OneByOne):
    """statmorph (Rodriguez-Gomez et al. 2019) on a segmentation by photutils."""

    name, definition = "statmorph", "local"
    how = "the same detection by photutils, SourceMorphology with its defaults; asymmetry centre, rpetro_circ"
    modules = ("statmorph", "photutils")

    def measure(self, mock: Mock) -> Reading:
        """Measure with all of statmorph's quantities: it has no way to leave some out."""
        from statmorph import SourceMorphology  # noqa: PLC0415

        found = _photutils_detected(mock)
        if found is None:
            return Reading()
        clean, bad, sigma, labels, label = found
        noise = np.full(clean.shape, sigma)
        source = SourceMorphology(clean, labels, label, mask=bad, weightmap=noise)
        if source.flag >= 4 or not source.rpetro_circ > 0:
            return Reading()
        return Reading(float(source.xc_asymmetry), float(source.yc_asymmetry), float(source.rpetro_circ), source)


def _photutils_detected(mock: Mock) -> tuple[Any, Any, float, Any, int] | None:
    from astropy.convolution import convolve  # noqa: PLC0415
    from astropy.stats import sigma_clipped_stats  # noqa: PLC0415
    from photutils.segmentation import deblend_sources, detect_sources, make_2dgaussian_kernel  # noqa: PLC0415

    bad = ~np.isfinite(mock.pixels)
    _, level, sigma = sigma_clipped_stats(mock.pixels, mask=bad)
    kernel = make_2dgaussian_kernel(3.0, size=5)
    smooth = convolve(mock.pixels, kernel, mask=bad, normalize_kernel=True)
    first = detect_sources(smooth, level + _THRESHOLD * sigma, _LEAST_AREA, mask=bad)
    if first is None:
        return None
    sources = first.make_source_mask(size=11)
    _, level, sigma = sigma_clipped_stats(mock.pixels, mask=bad | sources)
    labels = detect_sources(smooth, level + _THRESHOLD * sigma, _LEAST_AREA, mask=bad)
    if labels is None:
        return None
    labels = deblend_sources(smooth - level, labels, _LEAST_AREA, n_levels=32, contrast=0.005, progress_bar=False)
    centres = [_middle(labels.data[s], s) for s in labels.slices]
    chosen = _pick_label(labels, centres, mock)
    clean = np.where(bad, 0.0, mock.pixels - level).astype(np.float64)
    return None if chosen is None else (clean, bad, float(sigma), labels, chosen)


def _middle(_: Any, window: tuple[slice, slice]) -> tuple[float, float]:
    rows, columns = window
    return 0.5 * (columns.start + columns.stop - 1), 0.5 * (rows.start + rows.stop - 1)


def _pick_label(labels: Any, centres: list[tuple[float, float]], mock: Mock) -> int | None:
    here = int(labels.data[_pixel(labels.data, mock)])
    if here > 0:
        return here
    away = [np.hypot(x - mock.x, y - mock.y) for x, y in centres]
    nearest = int(np.argmin(away))
    return int(labels.labels[nearest]) if away[nearest] < _NEAREST_PX else None


def _pixel(labels: Any, mock: Mock) -> tuple[int, int]:
    height, width = labels.shape
    return min(max(round(mock.y), 0), height - 1), min(max(round(mock.x), 0), width - 1)


def _pick(labels: Any, x: Any, y: Any, mock: Mock) -> int:
    """Choose the object whose pixels hold the position, else the nearest within ten pixels."""
    here = int(labels[_pixel(labels, mock)])
    if here > 0:
        return here - 1
    away = np.hypot(x - mock.x, y - mock.y)
    return int(np.argmin(away)) if len(away) and away.min() < _NEAREST_PX else -1


def _radii(shape: tuple[int, ...], x: float, y: float) -> DoubleArray:
    farthest = max(min(x, y, shape[1] - 1 - x, shape[0] - 1 - y), 4.0)
    return np.geomspace(1.0, farthest, 40)


def petrosian_radius(radius: DoubleArray, flux: DoubleArray) -> float:
    """Find the first crossing of the SDSS ratio on a growth curve (interpolated in area)."""
    area = np.concatenate([[0.0], radius**2])
    grown = np.concatenate([[0.0], flux])
    at = np.geomspace(1.0, radius[-1] / OUTER, 200)
    ring = np.interp((OUTER * at) ** 2, area, grown) - np.interp((INNER * at) ** 2, area, grown)
    inside = np.interp(at**2, area, grown)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(inside > 0, ring / (OUTER**2 - INNER**2) / inside, 0.0)
    falls = np.flatnonzero((ratio[:-1] >= ETA) & (ratio[1:] < ETA))
    if len(falls) == 0:
        return NAN
    i = int(falls[0])
    return float(at[i] + (at[i + 1] - at[i]) * (ratio[i] - ETA) / (ratio[i] - ratio[i + 1]))


class SourceExtractor:
    """SExtractor in one process over a file of many extensions; its start is shared by all mocks."""

    name, definition = "SExtractor", "sdss"
    how = "one process over all mocks; PETRO_RADIUS sqrt(A B) / 2, XWIN; the writing of its input is not charged"
    columns = ("EXT_NUMBER", "X_IMAGE", "Y_IMAGE", "XWIN_IMAGE", "YWIN_IMAGE", "A_IMAGE", "B_IMAGE", "PETRO_RADIUS")

    def missing(self) -> str | None:
        """Look for the program under both of its names."""
        return None if self._program() else "source-extractor not installed"

    def _program(self) -> str | None:
        return shutil.which("source-extractor") or shutil.which("sex")

    def measure_all(self, mocks: list[Mock]) -> tuple[list[Reading], list[float]]:
        """Measure all in one run; each is charged the mean."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            self._write(folder, mocks)
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            command = [str(self._program()), "mocks.fits", "-c", "default.sex"]
            subprocess.run(command, cwd=folder, check=True, capture_output=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            table = np.loadtxt(folder / "found.cat", ndmin=2)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        readings = [self._nearest(table[table[:, 0] == i + 1], mock) for i, mock in enumerate(mocks)]
        return readings, [spent / len(mocks)] * len(mocks)

    def _write(self, folder: Path, mocks: list[Mock]) -> None:
        from astropy.io import fits  # noqa: PLC0415

        layers = [fits.ImageHDU(np.nan_to_num(mock.pixels)) for mock in mocks]
        fits.HDUList([fits.PrimaryHDU(), *layers]).writeto(folder / "mocks.fits")
        (folder / "default.param").write_text("\n".join(self.columns) + "\n")
        kernel = np.outer([1, 2, 1], [1, 2, 1])
        rows = "\n".join(" ".join(map(str, row)) for row in kernel)
        (folder / "default.conv").write_text(f"CONV NORM\n{rows}\n")
        settings = {
            "CATALOG_NAME": "found.cat",
            "CATALOG_TYPE": "ASCII",
            "PARAMETERS_NAME": "default.param",
            "FILTER_NAME": "default.conv",
            "DETECT_MINAREA": _LEAST_AREA,
            "DETECT_THRESH": _THRESHOLD,
            "ANALYSIS_THRESH": _THRESHOLD,
            "BACK_SIZE": 64,
            "PETRO_PARAMS": "2.0,3.5",
            "VERBOSE_TYPE": "QUIET",
            "NTHREADS": 1,
        }
        (folder / "default.sex").write_text("\n".join(f"{k} {v}" for k, v in settings.items()) + "\n")

    def _nearest(self, rows: DoubleArray, mock: Mock) -> Reading:
        away = np.hypot(rows[:, 1] - 1.0 - mock.x, rows[:, 2] - 1.0 - mock.y)
        if len(away) == 0 or away.min() > _NEAREST_PX:
            return Reading()
        _, _, _, x, y, a, b, petro = rows[int(np.argmin(away))]
        # twice r_P in units of the semi-major axis; zero where SExtractor has none
        radius = 0.5 * petro * np.sqrt(a * b)
        return Reading(x - 1.0, y - 1.0, float(radius) if petro > 0 else NAN)


CODES: tuple[Code, ...] = (
    Galmorph(),
    SepAnnuli(),
    SepCircles(),
    PhotutilsGrowth(),
    SourceExtractor(),
    Statmorph(),
)
