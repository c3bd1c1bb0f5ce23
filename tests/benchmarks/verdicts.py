"""Verdicts: bias, scatter, failures, centroids and pulls of codes that measured mocks."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import numpy.typing as npt
from limits import centroid_limit
from mocks import SKY_SIGMA, Mock
from other_codes import Code, Reading

DoubleArray = npt.NDArray[np.float64]
FAILED = 0.5
OUTLIER_SIGMA = 5.0
_ERROR_FIELD = re.compile(r"^(?P<stem>.+)_err(?P<unit>_px|_deg)?$")


@dataclasses.dataclass(frozen=True)
class Sample:
    """Mocks of one kind and what each code read from them."""

    name: str
    mocks: list[Mock]
    readings: dict[str, list[Reading]]
    seconds: dict[str, list[float]]

    def off(self, code: Code) -> DoubleArray:
        """Return r_P / truth - 1 of each mock, each code against the truth in its own definition."""
        own = [m.true_rpet_local_px if code.definition == "local" else m.true_rpet_px for m in self.mocks]
        return np.array([r.rpet_px for r in self.readings[code.name]]) / np.array(own) - 1.0

    def away(self, code: Code) -> DoubleArray:
        """Return the distance of each centroid from the true centre in pixels."""
        pairs = zip(self.readings[code.name], self.mocks, strict=True)
        return np.array([np.hypot(r.x - m.true_x, r.y - m.true_y) for r, m in pairs])

    @property
    def neighbours(self) -> npt.NDArray[np.bool_]:
        """Tell which mocks have neighbours."""
        return np.array([m.has_neighbours for m in self.mocks])


def half_width(values: DoubleArray) -> float:
    """Return half the range from the 16th to the 84th percentile of the finite values."""
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, [15.865, 84.135]) if len(finite) else (np.nan, np.nan)
    return float(high - low) / 2.0


def judged(off: DoubleArray) -> dict[str, float]:
    """Return bias and scatter of those with a value, and failures: none, or more than half wrong; all in per cent."""
    return {
        "bias_percent": round(100.0 * float(np.nanmedian(off)), 2),
        "scatter_percent": round(100.0 * half_width(off), 2),
        "fail_percent": round(100.0 * float(np.mean(~(np.abs(off) <= FAILED))), 2),
        "no_value_percent": round(100.0 * float(np.mean(~np.isfinite(off))), 2),
    }


def verdict(sample: Sample, code: Code) -> dict[str, Any]:
    """Judge one code on one kind of mock."""
    off, away, near = sample.off(code), sample.away(code), sample.neighbours
    limit = np.array([centroid_limit(m) for m in sample.mocks])
    return {
        **judged(off),
        "with_neighbours": judged(off[near]),
        "isolated": judged(off[~near]),
        "centroid_median_px": round(float(np.nanmedian(away)), 4),
        "centroid_over_limit": round(float(np.nanmedian(away / limit)), 3),
        "raised": sum(bool(r.raised) for r in sample.readings[code.name]),
        "ms_each_all_sizes": round(1e3 * float(np.mean(sample.seconds[code.name])), 3),
    }


def error_fields(found: Any) -> dict[str, str]:
    """Return which field holds the error of which value, for every `..._err` of a Measurement."""
    names = [f.name for f in dataclasses.fields(found)]
    pairs: dict[str, str] = {}
    for name in names:
        match = _ERROR_FIELD.match(name)
        if match is None:
            continue
        stem, unit = match["stem"], match["unit"] or ""
        values = ("x", "y") if stem == "position" else (stem + unit, stem)
        pairs |= {value: name for value in values if value in names and value not in pairs}
    return pairs


def known_truth(mock: Mock, value: str) -> float | None:
    """Return the truth of a value that the mock knows, None otherwise."""
    if "intrinsic" in value:
        return mock.parameters["re_px"] if "r50" in value and "n" in mock.parameters else None
    known = {"x": mock.true_x, "y": mock.true_y, "flux": mock.true_flux, "concentration": mock.true_concentration}
    truth = known.get(value, getattr(mock, f"true_{value}", None))
    return None if truth is None else float(truth)


def without_noise(mock: Mock) -> Mock:
    """Return the galaxy alone, in noise a hundred times less than its own."""
    noise = np.random.default_rng(0).standard_normal(mock.noiseless.shape)
    pixels = (mock.noiseless + mock.sky_level + 0.01 * SKY_SIGMA * noise).astype(np.float32)
    return dataclasses.replace(mock, pixels=pixels, sky_sigma=0.01 * SKY_SIGMA)


def pulls(sample: Sample, code: Code) -> dict[str, tuple[str, DoubleArray]]:
    """Return (value - truth) / error of every value with an error bar, and what stood for the truth.

    Where the mock does not know a value (shape, asymmetry; the centroid of clumps), the truth is what galmorph itself
    measures of the galaxy alone almost without noise.
    """
    found = [r.whole for r in sample.readings[code.name]]
    fields = next((error_fields(f) for f in found if f is not None), {})
    clean = [r.whole for r in code.measure_all([without_noise(m) for m in sample.mocks])[0]]
    result = {}
    for value, error in fields.items():
        lopsided = value in ("x", "y") and sample.name.startswith("B")
        known = [None if lopsided else known_truth(m, value) for m in sample.mocks]
        own = any(k is None for k in known)
        truths = [getattr(c, value, np.nan) for c in clean] if own else known
        result[value] = ("itself" if own else "mock"), _pull(found, truths, value, error)
    return result


def _pull(found: list[Any], truths: list[Any], value: str, error: str) -> DoubleArray:
    measured = np.array([getattr(f, value, np.nan) for f in found], np.float64)
    errors = np.array([getattr(f, error, np.nan) for f in found], np.float64)
    off = measured - np.array(truths, np.float64)
    if value.startswith("position_angle"):
        half_turn = 180.0 if value.endswith("_deg") else np.pi
        off = (off + 0.5 * half_turn) % half_turn - 0.5 * half_turn
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(errors > 0, off / errors, np.nan)


def pull_width(pull: DoubleArray) -> dict[str, float]:
    """Return the mean and standard deviation after clipping at five, the half width, and how many there are."""
    finite = pull[np.isfinite(pull)]
    kept = finite[np.abs(finite) <= OUTLIER_SIGMA]
    return {
        "median": round(float(np.median(finite)), 3) if len(finite) else float("nan"),
        "std_clipped": round(float(kept.std()), 3) if len(kept) else float("nan"),
        "half_16_84": round(half_width(finite), 3),
        "beyond_5_percent": round(100.0 * (1.0 - len(kept) / max(len(finite), 1)), 2),
        "number": len(finite),
    }
