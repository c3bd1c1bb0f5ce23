"""Centre and shape of the light in a window."""

from __future__ import annotations

import numpy as np
import pytest
from galaxies import galaxy, noise, sersic
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from galmorph.stamps.frame import NONE_BAD
from galmorph.stamps.library import library_with
from galmorph.stamps.measure import measure
from galmorph.stamps.window import Ellipse, Fill, Window, ellipse_of, fit_window, no_fill, sharpest


def fitted(
    image: np.ndarray,
    bad: np.ndarray | None,
    start: tuple[float, float],
    ellipse: Ellipse,
    noise: float,
    fill: tuple[np.ndarray, np.ndarray] | None = None,
) -> Window:
    """Fit a window; None where all pixels count, and for a profile that is not known."""
    circles = library_with((1,)).circles
    profile = no_fill() if fill is None else Fill(*fill)
    return fit_window(image, NONE_BAD if bad is None else bad, start, ellipse, noise, profile, circles)


@pytest.mark.parametrize("q", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("theta_deg", [-80.0, -20.0, 0.0, 45.0])
def test_axis_ratio_and_direction_of_a_clean_ellipse(q, theta_deg):
    image = sersic((129, 129), 64.3, 63.6, re=12, n=1, q=q, theta=np.radians(theta_deg), flux=1e4)
    found = fitted(image, None, (63.0, 64.5), round_ellipse(8.0), 0.01)
    assert found.converged
    assert (found.x, found.y) == pytest.approx((64.3, 63.6), abs=0.01)
    assert found.ellipse.axis_ratio == pytest.approx(q, abs=0.02)
    turn = (found.ellipse.angle_deg - theta_deg + 90.0) % 180.0 - 90.0
    assert abs(turn) < 1.0
    assert found.ellipse.sigma_px == pytest.approx(8.0)


def round_ellipse(sigma: float) -> Ellipse:
    """Return a circle."""
    return ellipse_of(1.0, 1.0, 0.0, sigma)


def test_the_errors_are_those_of_many_realisations():
    clean = sersic((97, 97), 48.2, 47.9, re=5, n=1, q=0.6, theta=0.4, flux=2000.0)
    start = ellipse_of(1.0, 0.7, 0.3, 4.0)
    found = [fitted(clean + noise((97, 97), 1.0, s), None, (48.0, 48.0), start, 1.0) for s in range(120)]
    spread = np.std([f.x - 48.2 for f in found] + [f.y - 47.9 for f in found])
    assert spread == pytest.approx(np.median([f.position_err_px for f in found]), rel=0.15)
    assert np.std([f.ellipticity for f in found]) == pytest.approx(
        np.median([f.ellipticity_err for f in found]), rel=0.3
    )
    assert np.std([f.ellipse.angle_deg for f in found]) == pytest.approx(
        np.median([f.angle_err_deg for f in found]), rel=0.3
    )


def test_a_round_galaxy_has_no_direction():
    found = fitted(sersic((97, 97), 48, 48, flux=1000.0), None, (48.0, 48.0), round_ellipse(4.0), 1.0)
    assert found.ellipticity < 0.01
    assert found.angle_err_deg > 45.0


def test_a_masked_side_is_taken_from_the_other():
    image = sersic((97, 97), 48, 48, re=6, flux=5000.0)
    bad = np.zeros(image.shape, np.bool_)
    bad[:, 53:] = True
    image[bad] = 1e5
    found = fitted(image, bad, (48.0, 48.0), round_ellipse(5.0), 1.0)
    assert (found.x, found.y) == pytest.approx((48.0, 48.0), abs=0.05)


HOLES = {
    "column": np.s_[:, 46],
    "columns beside the core": np.s_[:, 51:54],
    "half of it": np.s_[51:, :],
    "a corner": np.s_[:46, :46],
}


@pytest.mark.parametrize("hole", HOLES)
@pytest.mark.parametrize("start", [(48.0, 48.0), (49.0, 47.0), (47.6, 48.4)])
def test_pixels_that_do_not_count_are_mirrored_about_the_centre_itself(hole, start):
    """Whatever is masked on one side and wherever the fit starts, a symmetric galaxy's centre stays where it is."""
    image = sersic((97, 97), 48.4, 47.6, re=6, q=0.7, theta=0.5, flux=5000.0)
    bad = np.zeros(image.shape, np.bool_)
    bad[HOLES[hole]] = True
    found = fitted(image, bad, start, round_ellipse(5.0), 1.0)
    whole = fitted(image, None, start, round_ellipse(5.0), 1.0)
    assert found.converged
    # Measured: 0.021 px at most, for half a galaxy: interpolation smooths the substitutes a little.
    assert (found.x, found.y) == pytest.approx((whole.x, whole.y), abs=0.03)
    assert found.ellipticity == pytest.approx(whole.ellipticity, abs=0.03)


@pytest.mark.parametrize("margin", [2.5, 4.0, 7.3])
def test_a_galaxy_past_the_edge_keeps_its_centre(margin):
    """Pixels beyond the edge are mirrored too: the centre is that of the whole galaxy."""
    image = sersic((97, 97), 48.3, 48.0 + margin, re=5, flux=5000.0)[48:]
    found = fitted(image, None, (48.0, margin + 0.4), round_ellipse(4.0), 1.0)
    assert found.converged
    assert (found.x, found.y) == pytest.approx((48.3, margin), abs=0.02)


def test_pixels_without_an_opposite_take_the_value_of_their_ring():
    """Where both sides are masked the profile fills them, given or measured about the start."""
    image = sersic((97, 97), 48.4, 47.6, re=6, flux=5000.0)
    bad = np.zeros(image.shape, np.bool_)
    bad[:, 44:46] = bad[:, 50:53] = True
    radius = np.arange(1.0, 40.0)
    fill = radius + 0.5, np.interp(radius, np.arange(49.0), image[48, 48:])
    for drawn in (None, fill):
        found = fitted(image, bad, (48.0, 48.0), round_ellipse(5.0), 1.0, drawn)
        assert found.converged
        assert (found.x, found.y) == pytest.approx((48.4, 47.6), abs=0.1)


def test_an_empty_mask_changes_nothing():
    """A mask without a masked pixel gives the very numbers of no mask."""
    image = galaxy(97, 48.3, 47.6, flux=3000.0)
    given = (48.0, 48.0), round_ellipse(5.0), 1.0
    assert fitted(image, np.zeros(image.shape, np.bool_), *given) == fitted(image, None, *given)


def test_no_light_does_not_converge():
    assert not fitted(noise((65, 65)) - np.float32(9.0), None, (32.0, 32.0), round_ellipse(3.0), 1.0).converged


def test_a_measured_galaxy_carries_its_shape():
    found = measure(galaxy(129, re=8.0, q=0.5, theta=0.5, flux=20000.0), 64, 64)
    assert found.ellipticity == pytest.approx(0.5, abs=0.05)
    assert found.position_angle_deg == pytest.approx(np.degrees(0.5), abs=3.0)
    assert 0 < found.ellipticity_err < 0.05
    assert 0 < found.position_angle_err_deg < 5.0


def test_the_best_window_of_a_gaussian_is_the_gaussian():
    """The matched filter: a window as wide as a Gaussian's light, not the half-light window, nor a narrow one."""
    yy, xx = np.indices((97, 97))
    image = (100.0 * np.exp(-0.5 * np.hypot(xx - 48.0, yy - 48.0) ** 2 / 4.0**2)).astype(np.float32)
    wide = fitted(image, None, (48.0, 48.0), round_ellipse(8.0), 0.1)
    assert sharpest(image, NONE_BAD, wide, 1.5) == pytest.approx(4.0, rel=0.2)


@given(n=st.floats(2.0, 5.0), re=st.floats(5.0, 9.0), q=st.floats(0.5, 1.0), factor=st.sampled_from([0.5, 1.0, 20.0]))
@settings(max_examples=25, deadline=None)
def test_the_best_window_knows_the_position_best(n, re, q, factor):
    """Of any concentrated galaxy, however bright: no other size has a smaller error by more than a step's share."""
    image = factor * sersic((129, 129), 64.2, 63.7, n=n, re=re, q=q, flux=1e4, fine=3)
    image = gaussian_filter(image, 1.3).astype(np.float32)
    wide = fitted(image, None, (64.0, 64.0), ellipse_of(1.0, q, 0.0, 0.8 * re), 0.1)
    best = sharpest(image, NONE_BAD, wide, 1.5)
    assert 1.5 <= best < wide.ellipse.sigma_px
    errors = {s: fitted(image, None, (64.0, 64.0), wide.ellipse.resized(s), 0.1).position_err_px for s in (best, 1.5)}
    assert errors[best] < 1.06 * min(*errors.values(), wide.position_err_px)
    assert errors[best] < wide.position_err_px


def test_pinpointed_positions_are_nearer_and_their_errors_are_right():
    """A concentrated galaxy in noise: the scatter about the centre falls by a third at least, as the errors say."""
    clean = gaussian_filter(sersic((129, 129), 64.0, 64.0, n=4, re=8, flux=6000.0), 1.3)
    found = [measure(clean + noise((129, 129), 1.0, s), 64.5, 63.6, psf_fwhm_px=3.0) for s in range(60)]
    spread = np.std([f.x - 64.0 for f in found] + [f.y - 64.0 for f in found])
    assert spread == pytest.approx(np.median([f.position_err_px for f in found]), rel=0.25)
    wide = [
        fitted(clean + noise((129, 129), 1.0, s), None, (64.5, 63.6), round_ellipse(0.8 * 8.0), 1.0) for s in range(60)
    ]
    assert spread < 0.67 * np.std([f.x - 64.0 for f in wide] + [f.y - 64.0 for f in wide])
