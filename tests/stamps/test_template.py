"""Templates: the right radii, and the right one found."""

from __future__ import annotations

import numpy as np
import pytest
from galaxies import b_n, noise, sersic
from scipy import ndimage, special

from galmorph.flags import Flag
from galmorph.stamps.measure import measure
from galmorph.stamps.rings import ring_edges
from galmorph.stamps.template import intrinsic_ratio, light_inside, match, plane_of, templates, width_class

TABLE = {0.5: 1.942, 1.0: 2.113, 2.0: 2.117, 4.0: 1.714, 6.0: 1.253}


@pytest.mark.parametrize("n", TABLE)
def test_the_petrosian_radius_without_a_psf_is_the_tabulated_one(n):
    assert intrinsic_ratio(n, 1.0) == pytest.approx(TABLE[n], rel=0.003)


@pytest.mark.parametrize("n", [0.5, 1.0, 4.0])
def test_the_light_inside_circles_is_the_integral(n):
    x = np.array([0.3, 1.0, 3.0])
    assert light_inside(x, n, 1.0) == pytest.approx(special.gammainc(2 * n, b_n(n) * x ** (1 / n)), abs=0.003)


@pytest.mark.parametrize("fwhm", [None, 1.0, 2.9, 6.0])
def test_every_template_keeps_its_light_and_is_wider_than_without_a_psf(fwhm):
    known = templates(width_class(fwhm), 1)
    assert known.ring_flux.sum(axis=1).max() < 1.02
    assert (known.ring_flux >= 0).all()
    # A cusp gains light at a few PSF widths: the mean inside rises, which shortens the radius by up to 4 %.
    assert (known.log_radii[:, 0] > known.log_radii[:, 4] - 0.05).all()
    assert (np.diff(known.log_radii[:, 1:4], axis=1) > 0).all()


def test_a_template_is_found_again_with_its_amplitude_and_sky():
    known = templates(width_class(2.9), 2)
    row = len(known.log_radii) // 2
    edges = ring_edges(64)
    n = len(known.mean)
    area = np.add.reduceat(np.pi * np.diff(edges**2), known.groups)[:n]
    data = 5000.0 * known.mean[:, row] + 0.01
    found = match(known, data, 1.0 / area, 0.02, (40.0, 90.0))
    assert found.mean.rpet == pytest.approx(known.log_radii[row, 0], abs=0.05)
    assert found.ring_flux.sum() == pytest.approx(5000.0, rel=0.05)
    assert found.sky == pytest.approx(0.01, abs=0.01)


def test_nothing_is_found_in_darkness():
    known = templates(width_class(2.9), 1)
    found = match(known, np.full(len(known.mean), -1.0), np.ones(len(known.mean)), 1e-6, (30.0, 60.0))
    assert np.isnan(found.sky)
    assert not found.ring_flux.any()


def test_planes_are_the_nearest():
    assert [plane_of(q) for q in (0.1, 0.55, 1.0)] == [0, 1, 2]


def test_the_intrinsic_radius_is_that_before_the_psf():
    clean = sersic((161, 161), 80, 80, re=4.0, n=1, flux=20000.0)
    blurred = ndimage.gaussian_filter(clean, 2.9 / 2.355) + noise(clean.shape)
    found = measure(blurred, 80, 80, psf_fwhm_px=2.9)
    assert found.rpet_px > 2.113 * 4.0 * 1.05
    # The template's wings are a Moffat profile's, this PSF is a Gaussian: 5 %.
    assert found.intrinsic_rpet_px == pytest.approx(2.113 * 4.0, rel=0.07)
    assert 0 < found.intrinsic_rpet_err_px < found.rpet_px
    assert np.isnan(measure(blurred, 80, 80).intrinsic_rpet_px)


def test_a_faint_galaxy_without_a_crossing_of_its_own_still_has_a_radius():
    found = [
        measure(sersic((129, 129), 64, 64, re=7, flux=700.0) + noise((129, 129), 1.0, s), 64, 64, psf_fwhm_px=1.5)
        for s in range(20)
    ]
    assert sum(Flag.NO_PETROSIAN in m.flags for m in found) <= 1
    radii = np.array([m.rpet_px for m in found])
    assert np.nanmedian(radii) == pytest.approx(2.113 * 7, rel=0.2)
