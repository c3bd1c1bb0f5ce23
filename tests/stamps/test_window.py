"""Centre and shape of the light in a window."""

from __future__ import annotations

import numpy as np
import pytest
from galaxies import galaxy, noise, sersic

from galmorph.stamps.measure import measure
from galmorph.stamps.window import ellipse_of, fit_window, round_ellipse


@pytest.mark.parametrize("q", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("theta_deg", [-80.0, -20.0, 0.0, 45.0])
def test_axis_ratio_and_direction_of_a_clean_ellipse(q, theta_deg):
    image = sersic((129, 129), 64.3, 63.6, re=12, n=1, q=q, theta=np.radians(theta_deg), flux=1e4)
    found = fit_window(image, None, (63.0, 64.5), round_ellipse(8.0), 0.01)
    assert found.converged
    assert (found.x, found.y) == pytest.approx((64.3, 63.6), abs=0.01)
    assert found.ellipse.axis_ratio == pytest.approx(q, abs=0.02)
    turn = (found.ellipse.angle_deg - theta_deg + 90.0) % 180.0 - 90.0
    assert abs(turn) < 1.0
    assert found.ellipse.sigma_px == pytest.approx(8.0)


def test_the_errors_are_those_of_many_realisations():
    clean = sersic((97, 97), 48.2, 47.9, re=5, n=1, q=0.6, theta=0.4, flux=2000.0)
    start = ellipse_of(1.0, 0.7, 0.3, 4.0)
    found = [fit_window(clean + noise((97, 97), 1.0, s), None, (48.0, 48.0), start, 1.0) for s in range(120)]
    spread = np.std([f.x - 48.2 for f in found] + [f.y - 47.9 for f in found])
    assert spread == pytest.approx(np.median([f.position_err_px for f in found]), rel=0.15)
    assert np.std([f.ellipticity for f in found]) == pytest.approx(
        np.median([f.ellipticity_err for f in found]), rel=0.3
    )
    assert np.std([f.ellipse.angle_deg for f in found]) == pytest.approx(
        np.median([f.angle_err_deg for f in found]), rel=0.3
    )


def test_a_round_galaxy_has_no_direction():
    found = fit_window(sersic((97, 97), 48, 48, flux=1000.0), None, (48.0, 48.0), round_ellipse(4.0), 1.0)
    assert found.ellipticity < 0.01
    assert found.angle_err_deg > 45.0


def test_a_masked_side_is_taken_from_the_other():
    image = sersic((97, 97), 48, 48, re=6, flux=5000.0)
    bad = np.zeros(image.shape, np.bool_)
    bad[:, 53:] = True
    image[bad] = 1e5
    found = fit_window(image, bad, (48.0, 48.0), round_ellipse(5.0), 1.0)
    assert (found.x, found.y) == pytest.approx((48.0, 48.0), abs=0.05)


def test_no_light_does_not_converge():
    assert not fit_window(noise((65, 65)) - np.float32(9.0), None, (32.0, 32.0), round_ellipse(3.0), 1.0).converged


def test_a_measured_galaxy_carries_its_shape():
    found = measure(galaxy(129, re=8.0, q=0.5, theta=0.5, flux=20000.0), 64, 64)
    assert found.ellipticity == pytest.approx(0.5, abs=0.05)
    assert found.position_angle_deg == pytest.approx(np.degrees(0.5), abs=3.0)
    assert 0 < found.ellipticity_err < 0.05
    assert 0 < found.position_angle_err_deg < 5.0
