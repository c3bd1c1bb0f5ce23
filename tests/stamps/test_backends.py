"""Backends: textbook values of other libraries through the same function."""

from __future__ import annotations

import numpy as np
import pytest
from galaxies import noise, sersic

from galmorph.errors import PipelineError
from galmorph.flags import Flag
from galmorph.stamps import backends
from galmorph.stamps.backends import BACKENDS, backend
from galmorph.stamps.backends.growth import growth_of


@pytest.fixture(params=BACKENDS)
def measure(request):
    """Each backend in turn."""
    if request.param == "photutils":
        pytest.importorskip("photutils", reason="photutils is not installed")
    return backend(request.param)


def image(flux: float = 20000.0) -> np.ndarray:
    """An exponential galaxy on a sky of 10, with unit noise."""
    galaxy = sersic((129, 129), 64.3, 63.8, re=6, q=0.6, theta=0.5, flux=flux)
    return galaxy + noise((129, 129)) + np.float32(10)


def test_every_backend_finds_a_bright_isolated_galaxy(measure):
    """At S/N 1000 they agree: centre to .05 px, radius to 2 % of the analytic one, shape to .02, angle to 1 degree."""
    found = measure(image(), 64.0, 64.0)
    assert np.hypot(found.x - 64.3, found.y - 63.8) < 0.05
    # Circular r_P of an exponential disk of q = 0.6, from its noiseless image.
    truth = backend("galmorph")(image(2e6), 64.0, 64.0).rpet_px
    assert abs(found.rpet_px / truth - 1) < 0.02
    assert abs(found.ellipticity - 0.4) < 0.02
    assert abs(found.position_angle_deg - np.degrees(0.5)) < 1.0
    assert abs(found.sky_level - 10) < 0.1
    assert found.flags == 0


def test_every_backend_survives_what_images_hold(measure):
    """NaN, zero weights and an empty sky give flags, not exceptions."""
    holed = image()
    holed[60:64, 70:74] = np.nan
    weight = np.ones_like(holed)
    weight[:, :5] = 0
    assert np.isfinite(measure(holed, 64.0, 64.0, weight=weight).rpet_px)
    assert measure(noise((65, 65)), 32.0, 32.0).flags & Flag.NO_SOURCE
    assert measure(np.full((33, 33), np.nan, np.float32), 16.0, 16.0).flags & Flag.NO_SOURCE


def test_a_segmentation_made_elsewhere_is_used(measure):
    """Nothing is detected again: with an empty map there is no source."""
    pixels = image()
    segmentation = backend("galmorph")(pixels, 64.0, 64.0).segmentation
    assert np.isfinite(measure(pixels, 64.0, 64.0, segmentation=segmentation).rpet_px)


def test_growth_of_a_gaussian_is_analytic():
    """At the radius found, the analytic ratio is 0.2, to the 1 % of its interpolation."""
    sigma = 7.0

    def inside(radius):
        return 1 - np.exp(-0.5 * (radius / sigma) ** 2)

    grown = growth_of(inside, 80.0)
    around = inside(1.25 * grown.rpet_px) - inside(0.8 * grown.rpet_px)
    assert around / (1.25**2 - 0.8**2) / inside(grown.rpet_px) == pytest.approx(0.2, rel=0.01)
    assert inside(grown.light_px[1]) == pytest.approx(0.5 * inside(grown.rpet_px), rel=1e-3)


def test_an_unknown_backend_is_explained():
    """The message names the nearest."""
    with pytest.raises(PipelineError, match="did you mean 'photutils'"):
        backend("photutil")


def test_a_backend_without_its_library_is_explained(monkeypatch):
    """The message says what to install."""
    monkeypatch.setattr(backends.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(PipelineError, match=r"pip install 'galmorph\[photutils\]'"):
        backend("photutils")
