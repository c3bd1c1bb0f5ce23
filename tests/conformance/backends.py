"""Backends: what everything that measures a galaxy on a cutout does."""

from __future__ import annotations

import dataclasses
import inspect
import math
from typing import Any, ClassVar

import numpy as np
import pytest
from galaxies import FloatArray, noise, sersic

from galmorph.flags import Flag
from galmorph.stamps.backends import Measure
from galmorph.stamps.measure import Measurement, measure
from galmorph.stamps.segment import Segmentation

__all__ = ["BackendTests"]

SHAPE = (129, 131)
X, Y = 64.3, 63.8
SKY = 10.0
RE = 6.0
# A circular exponential disc in half-light radii: r_P (SDSS definition, eta = 0.2); the share of its light inside r_P;
# and the circles with 20, 50 and 80 % of that, from 1 - (1 + x) exp(-x) with x = 1.678 r / r_e.
EXPONENTIAL, INSIDE = 2.113, 0.869
LIGHT = {"r20_px": 0.448, "r50_px": 0.880, "r80_px": 1.440}
NOTHING = Flag.NO_SOURCE | Flag.NO_CENTROID | Flag.NO_PETROSIAN | Flag.LOW_SNR
MAPS = "segmentation", "neighbours"
PLAIN = {"reach_px", "sky_level", "sky_sigma", "flags", *MAPS}
"""Fields that are known without a source."""


def disc(q: float = 0.6, flux: float = 20000.0, x: float = X, y: float = Y) -> FloatArray:
    """Draw an exponential disc on a sky of 10, with unit noise: S/N 800."""
    return sersic(SHAPE, x, y, re=RE, q=q, theta=0.5, flux=flux) + noise(SHAPE) + np.float32(SKY)


def numbers(measurement: Measurement) -> dict[str, float]:
    """All fields that are numbers, by name."""
    names = [f.name for f in dataclasses.fields(measurement) if f.name not in {"flags", *MAPS}]
    return {name: getattr(measurement, name) for name in names}


def same(one: Measurement, other: Measurement) -> bool:
    """Tell whether two measurements agree to the last bit."""
    values = [np.array(list(numbers(m).values())) for m in (one, other)]
    return np.array_equal(*values, equal_nan=True) and one.flags == other.flags


class BackendTests:
    """Inherit, and say in :meth:`backend` what measures.

    Attributes
    ----------
    radius_error
        Relative error of the radii and of the flux of a bright exponential disc, at most: its own noise is half a per
        cent.
    centre_error_px
        Error of its centre, at most.
    has_errors
        Whether a number is unknown only where there is no galaxy.
    """

    radius_error: ClassVar[float] = 0.01
    centre_error_px: ClassVar[float] = 0.05
    has_errors: ClassVar[bool] = False

    def backend(self) -> Measure:
        """Return the function under test."""
        raise NotImplementedError

    def measure(self, pixels: FloatArray, x: float = 64.0, y: float = 64.0, **settings: Any) -> Measurement:
        """Measure with it."""
        return self.backend()(pixels, x, y, **settings)

    def test_it_takes_what_every_backend_takes(self):
        expected = list(inspect.signature(Measure.__call__).parameters.values())[1:]
        assert list(inspect.signature(self.backend()).parameters.values()) == expected

    def test_what_it_says_has_the_types_that_are_promised(self):
        measurement = self.measure(disc())
        assert {type(value) for value in numbers(measurement).values()} == {float}
        assert isinstance(measurement.flags, Flag)
        assert isinstance(measurement.segmentation, Segmentation)
        assert measurement.segmentation.labels.shape == SHAPE
        assert measurement.segmentation.labels.dtype == np.int32
        assert (measurement.neighbours.shape, measurement.neighbours.dtype) == (SHAPE, np.bool_)

    def test_a_bright_isolated_galaxy_is_measured_right(self):
        """Centre, radius of the circular profile, shape, sky; and it is flagged for nothing."""
        measurement = self.measure(disc())
        assert math.hypot(measurement.x - X, measurement.y - Y) < self.centre_error_px
        # The circular r_P of a disc of q = .6 is that of its image without noise.
        truth = measure(disc(flux=2e6), 64.0, 64.0).rpet_px
        assert measurement.rpet_px == pytest.approx(truth, rel=self.radius_error)
        assert measurement.ellipticity == pytest.approx(0.4, abs=0.02)
        assert measurement.position_angle_deg == pytest.approx(math.degrees(0.5), abs=1.0)
        assert measurement.sky_level == pytest.approx(SKY, abs=0.1)
        assert measurement.sky_sigma == pytest.approx(1.0, rel=0.05)
        assert -90.0 <= measurement.position_angle_deg <= 90.0
        assert measurement.flags == Flag(0)
        if self.has_errors:
            assert all(math.isfinite(v) for name, v in numbers(measurement).items() if not name.startswith("intrinsic"))

    def test_a_round_disc_has_the_analytic_radius(self):
        measurement = self.measure(disc(q=1.0))
        assert measurement.rpet_px == pytest.approx(EXPONENTIAL * RE, rel=self.radius_error)
        for name, radius in LIGHT.items():
            assert getattr(measurement, name) == pytest.approx(radius * RE, rel=self.radius_error), name
        assert measurement.flux == pytest.approx(INSIDE * 20000.0, rel=self.radius_error)
        assert measurement.ellipticity < 0.05

    def test_what_follows_from_other_values_agrees_with_them(self):
        measurement = self.measure(disc())
        assert measurement.mean_brightness == pytest.approx(measurement.flux / (math.pi * measurement.rpet_px**2))
        assert measurement.concentration == pytest.approx(5.0 * math.log10(measurement.r80_px / measurement.r20_px))
        noise_inside = math.sqrt(math.pi) * measurement.rpet_px * measurement.sky_sigma
        assert measurement.snr == pytest.approx(measurement.flux / noise_inside)
        height, width = SHAPE
        edges = measurement.x, measurement.y, width - 1 - measurement.x, height - 1 - measurement.y
        assert measurement.reach_px == pytest.approx(min(edges))

    @pytest.mark.parametrize("power", [-40, 7])
    def test_the_unit_of_the_pixels_is_that_of_the_fluxes(self, power):
        """Flux times k, with weights over k squared, changes the fluxes by k and nothing else."""
        k, weight = 2.0**power, np.full(SHAPE, 1.0, np.float32)
        one = self.measure(disc(), weight=weight)
        other = self.measure(disc() * np.float32(k), weight=weight / np.float32(k**2))
        for name, value in numbers(one).items():
            scale = k if name in {"flux", "flux_err", "mean_brightness", "sky_level", "sky_sigma"} else 1.0
            assert getattr(other, name) == pytest.approx(scale * value, rel=1e-3, abs=1e-4 * scale, nan_ok=True), name
        assert one.flags == other.flags

    def test_the_galaxy_is_where_the_pixels_are(self):
        """On a window of the image its centre is shifted by whole pixels, and its size is the same."""
        image = disc()
        whole, window = self.measure(image), self.measure(image[5:, 7:].copy(), 57.0, 59.0)
        assert (window.x, window.y) == pytest.approx((whole.x - 7.0, whole.y - 5.0), abs=0.01)
        assert window.rpet_px == pytest.approx(whole.rpet_px, rel=0.02)

    @pytest.mark.parametrize("centroid", ["windowed", "isophotal"])
    def test_the_centroid_is_the_one_that_is_asked_for(self, centroid):
        """Both lie in the middle of a symmetric galaxy; a lopsided one tells them apart."""
        assert math.hypot(*(v - c for v, c in zip(self.centre(disc(), centroid), (X, Y), strict=True))) < 0.1
        lopsided = disc() + sersic(SHAPE, X + 6.0, Y, re=4.0, flux=6000.0)
        other = "isophotal" if centroid == "windowed" else "windowed"
        assert math.dist(self.centre(lopsided, centroid), self.centre(lopsided, other)) > 0.05

    def centre(self, pixels: FloatArray, centroid: str) -> tuple[float, float]:
        """Return the centre of the galaxy."""
        measurement = self.measure(pixels, centroid=centroid)
        return measurement.x, measurement.y

    def test_nothing_that_it_is_handed_is_changed(self):
        """Pixels, weights and maps may be read-only."""
        pixels, weight = disc(), np.ones(SHAPE, np.float32)
        segmentation = measure(pixels, 64.0, 64.0).segmentation
        before = [a.copy() for a in (pixels, weight, segmentation.labels, segmentation.objects, segmentation.usable)]
        arrays = pixels, weight, segmentation.labels, segmentation.objects, segmentation.usable
        for array in arrays:
            array.flags.writeable = False
        self.measure(pixels, weight=weight)
        self.measure(pixels, weight=weight, segmentation=segmentation)
        for now, then in zip(arrays, before, strict=True):
            assert np.array_equal(now, then)

    def test_the_same_pixels_give_the_same_measurement(self):
        assert same(self.measure(disc()), self.measure(disc()))

    @pytest.mark.parametrize("kind", [">f4", "<f8", ">f8"])
    def test_other_kinds_of_numbers_are_measured_alike(self, kind):
        one, other = self.measure(disc()), self.measure(disc().astype(kind))
        assert (other.x, other.y, other.rpet_px) == pytest.approx((one.x, one.y, one.rpet_px), rel=1e-4)

    def test_a_segmentation_made_elsewhere_is_used(self):
        """Its objects are the only ones, and it comes back as it is."""
        pixels = disc()
        segmentation = measure(pixels, 64.0, 64.0).segmentation
        measurement = self.measure(pixels, segmentation=segmentation)
        assert measurement.segmentation is segmentation
        assert math.isfinite(measurement.rpet_px)
        empty = dataclasses.replace(
            segmentation, labels=np.zeros(SHAPE, np.int32), objects=segmentation.objects[:0].copy()
        )
        assert Flag.NO_SOURCE in self.measure(pixels, segmentation=empty).flags

    def test_pixels_without_data_or_weight_do_not_count(self):
        """A hole beside the galaxy, and a border without weight as bright as can be, move it by less than 2 %."""
        holed, weight = disc(), np.ones(SHAPE, np.float32)
        holed[60:64, 90:94] = np.nan
        holed[:, :9], weight[:, :9] = 1e6, 0.0
        one, other = self.measure(disc()), self.measure(holed, weight=weight)
        assert math.hypot(other.x - one.x, other.y - one.y) < 0.02
        assert other.rpet_px == pytest.approx(one.rpet_px, rel=0.02)

    @pytest.mark.parametrize(
        ("pixels", "settings"),
        [
            (noise((65, 65)), {}),
            (np.zeros((65, 65), np.float32), {}),
            (np.full((33, 33), np.nan, np.float32), {}),
            (disc(), {"weight": np.zeros(SHAPE, np.float32)}),
        ],
        ids=["sky", "zeros", "no data", "no weight"],
    )
    def test_where_no_galaxy_is_there_is_no_source(self, pixels, settings):
        """It says so, every value but the sky's is NaN, and nothing is raised or warned of."""
        height, width = pixels.shape
        measurement = self.measure(pixels, width // 2, height // 2, **settings)
        assert NOTHING in measurement.flags
        assert all(math.isnan(value) for name, value in numbers(measurement).items() if name not in PLAIN)
        assert measurement.reach_px == min(width // 2, height // 2, width - 1 - width // 2, height - 1 - height // 2)

    @pytest.mark.parametrize("position", [(-50.0, 20.0), (1e6, 1e6), (np.nan, 3.0)])
    def test_a_position_where_no_pixel_is_has_no_source(self, position):
        assert NOTHING in self.measure(disc(), *position).flags

    @pytest.mark.parametrize("theta", [-1.5, -0.8, 0.0, 0.8, 1.5])
    def test_the_position_angle_lies_within_a_right_angle_of_the_x_axis(self, theta):
        """From +x towards +y; a hair off the y axis it is near 90 degrees or near -90."""
        image = sersic(SHAPE, X, Y, re=RE, q=0.5, theta=theta, flux=20000.0) + noise(SHAPE)
        angle = self.measure(image).position_angle_deg
        assert -90.0 <= angle <= 90.0
        assert (angle - math.degrees(theta) + 90.0) % 180.0 - 90.0 == pytest.approx(0.0, abs=1.0)

    def test_a_faint_galaxy_is_said_to_be_faint(self):
        """Its S/N is below ten."""
        measurement = self.measure(disc(q=1.0, flux=200.0))
        assert Flag.LOW_SNR in measurement.flags
        assert not measurement.snr >= 10.0
