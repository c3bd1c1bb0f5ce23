"""One galaxy is measured: centroid, Petrosian radius, signal-to-noise ratio and flags."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from galaxies import galaxy, noise, sersic

from galmorph.flags import Flag
from galmorph.stamps.measure import Measurement, measure
from galmorph.stamps.petrosian import ETA, petrosian_radius
from galmorph.stamps.profile import radial_profile

PETROSIAN_OF_EXPONENTIAL = 2.113


@pytest.fixture(scope="module")
def plain() -> Measurement:
    return measure(galaxy(97, 48.3, 47.6), 48.0, 48.0)


def test_the_centroid_is_within_its_error_of_the_truth(plain):
    assert np.hypot(plain.x - 48.3, plain.y - 47.6) < 4 * plain.position_err_px
    assert 0.01 < plain.position_err_px < 0.2


def test_the_petrosian_radius_is_within_its_error_of_the_truth(plain):
    truth = PETROSIAN_OF_EXPONENTIAL * 5.0
    assert abs(plain.rpet_px - truth) < 4 * plain.rpet_err_px
    assert plain.rpet_err_px < 0.1 * truth


def test_a_good_galaxy_has_no_flag(plain):
    assert plain.flags == Flag(0)


def test_flux_half_light_radius_and_brightness_belong_together(plain):
    # 86.9 % of an exponential's light lies inside r_P (1 - (1 + x) exp(-x) at x = 1.678 * 2.113), half of that inside
    # 0.88 r_e; three errors of a galaxy of S/N 90.
    assert plain.flux == pytest.approx(0.869 * 2000, rel=0.06)
    assert plain.flux == pytest.approx(0.869 * 2000, abs=3 * plain.flux_err)
    assert plain.r50_px == pytest.approx(0.88 * 5.0, abs=3 * plain.r50_err_px)
    assert plain.r50_err_px < 0.03 * plain.r50_px
    assert plain.mean_brightness == pytest.approx(plain.flux / (np.pi * plain.rpet_px**2))


def test_the_signal_to_noise_ratio_is_that_of_the_aperture(plain):
    assert plain.snr == pytest.approx(plain.flux / (plain.sky_sigma * np.sqrt(np.pi) * plain.rpet_px))
    # Some 8 000 pixels of sky: four errors of the width and of the level.
    assert plain.sky_sigma == pytest.approx(1.0, abs=4 / np.sqrt(2 * 8000))
    assert plain.sky_level == pytest.approx(0.0, abs=4 / np.sqrt(8000))


def test_the_reach_is_the_distance_to_the_nearest_edge():
    assert measure(galaxy(97, 20.0, 48.0), 20.0, 48.0).reach_px == pytest.approx(20.0, abs=0.3)


def test_the_errors_describe_the_scatter():
    """One galaxy in a hundred draws of the noise; those of many galaxies are compared in science/test_error_bars."""
    found = [measure(galaxy(97, 48.3, 47.6, seed=s), 48.0, 48.0) for s in range(2, 102)]
    radius = np.array([m.rpet_px for m in found])
    centres = np.array([(m.x, m.y) for m in found])
    # A standard deviation of a hundred is known to 7 %, one of two hundred to 5 %.
    assert radius.std() == pytest.approx(np.median([m.rpet_err_px for m in found]), rel=0.25)
    assert centres.std(axis=0).mean() == pytest.approx(np.median([m.position_err_px for m in found]), rel=0.2)
    assert centres.mean(axis=0) == pytest.approx((48.3, 47.6), abs=0.4 * found[0].position_err_px)


def test_a_bright_neighbour_is_masked_and_flagged_as_a_blend():
    shape = (97, 97)
    image = galaxy(97) + sersic(shape, 58, 55, re=3, flux=2000)
    found = measure(image, 48, 48)
    assert Flag.BLEND in found.flags
    assert np.hypot(found.x - 48, found.y - 48) < 1.0
    assert found.neighbours[55, 58]


def test_a_distant_neighbour_changes_next_to_nothing():
    alone = measure(galaxy(129), 64, 64)
    beside = measure(galaxy(129) + sersic((129, 129), 112, 64, re=3, flux=3000), 64, 64)
    assert Flag.BLEND not in beside.flags
    assert beside.rpet_px == pytest.approx(alone.rpet_px, rel=0.06)
    assert np.hypot(beside.x - alone.x, beside.y - alone.y) < 0.05


def test_a_catalogue_position_inside_the_galaxy_but_off_its_centre_is_corrected_and_said_so():
    found = measure(galaxy(97), 55.0, 48.0)
    assert found.x == pytest.approx(48.0, abs=0.3)
    assert Flag.CENTROID_MOVED in found.flags


def test_blank_sky_has_no_source_and_only_nans():
    found = measure(noise((97, 97), seed=3), 48, 48)
    assert found.flags == Flag.NO_SOURCE | Flag.NO_CENTROID | Flag.NO_PETROSIAN | Flag.LOW_SNR
    values = dataclasses.asdict(dataclasses.replace(found, segmentation=None, neighbours=None))  # type: ignore[arg-type]
    for name in ("x", "y", "position_err_px", "rpet_px", "rpet_err_px", "r50_px", "flux", "snr", "mean_brightness"):
        assert np.isnan(values[name]), name
    assert found.sky_sigma == pytest.approx(1.0, abs=4 / np.sqrt(2 * 97 * 97))
    assert not found.neighbours.any()


def test_a_faint_galaxy_is_flagged_for_its_signal_to_noise_ratio():
    found = measure(galaxy(97, flux=110.0, re=3.0), 48, 48)
    assert found.snr < 10
    assert Flag.LOW_SNR in found.flags


def test_a_galaxy_that_fills_its_cutout_has_no_radius_that_fits_well_into_it():
    found = measure(galaxy(65, re=40.0, flux=4e5), 32, 32)
    assert np.isnan(found.rpet_px) or 1.5 * found.rpet_px > found.reach_px
    assert np.isfinite(found.flux)


def test_a_strip_too_narrow_for_the_rings_gives_no_petrosian_radius_but_a_flux():
    found = measure(galaxy(97)[46:51], 48, 2)
    assert Flag.NO_PETROSIAN in found.flags
    assert np.isnan(found.rpet_px)
    assert found.flux > 0


def test_a_star_is_unresolved_where_the_psf_is_known_and_only_there():
    star = galaxy(65, re=1.9, n=0.5, flux=3000.0)  # Gaussian of FWHM 3.8 px
    assert Flag.UNRESOLVED in measure(star, 32, 32, psf_fwhm_px=3.8).flags
    assert Flag.UNRESOLVED not in measure(star, 32, 32).flags
    assert Flag.UNRESOLVED not in measure(galaxy(97), 48, 48, psf_fwhm_px=3.8).flags


def test_a_missing_core_falls_back_to_the_detected_position():
    image = galaxy(97)
    image[47:50, 47:50] = np.nan
    found = measure(image, 48, 48)
    assert Flag.NO_CENTROID | Flag.MASKED_PIXELS in found.flags
    assert np.hypot(found.x - 48, found.y - 48) < 1.0
    assert found.rpet_px == pytest.approx(PETROSIAN_OF_EXPONENTIAL * 5, rel=0.15)


def test_pixels_without_weight_are_not_used_and_flagged_only_inside_the_galaxy():
    image = galaxy(97)
    broken = image.copy()
    broken[:, 58:] = 1e4
    weight = np.ones_like(image)
    weight[:, 58:] = 0.0
    found = measure(broken, 48, 48, weight=weight)
    assert Flag.ZERO_WEIGHT in found.flags
    assert found.rpet_px == pytest.approx(PETROSIAN_OF_EXPONENTIAL * 5, rel=0.15)
    weight[:] = 1.0
    weight[:, 80:] = 0.0
    assert Flag.ZERO_WEIGHT not in measure(image, 48, 48, weight=weight).flags


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e9])
def test_the_scale_of_the_weights_does_not_matter(scale):
    image = galaxy(97)
    weight = np.full_like(image, 1.0)
    weight[:, :20] = 0.25
    one, other = (measure(image, 48, 48, weight=(weight * s).astype(np.float32)) for s in (1.0, scale))
    assert (one.x, one.rpet_px, one.snr) == pytest.approx((other.x, other.rpet_px, other.snr), rel=1e-6)
    assert one.flags == other.flags


def test_saturation_is_seen_by_its_level_and_by_its_plateau():
    image = galaxy(97, flux=2e5)
    clipped = np.minimum(image, np.float32(300.0))
    assert Flag.SATURATED not in measure(image, 48, 48).flags
    assert Flag.SATURATED in measure(clipped, 48, 48).flags
    assert Flag.SATURATED in measure(image, 48, 48, saturation=float(image.max())).flags
    star = galaxy(97, flux=2e5, n=3.0)
    narrow = np.minimum(star, np.sort(star.ravel())[-6])  # six pixels share the top
    assert Flag.SATURATED not in measure(star, 48, 48).flags
    assert Flag.SATURATED in measure(narrow, 48, 48).flags


def test_display_images_may_reach_the_top_of_their_range():
    image = np.round(np.clip(galaxy(97, flux=2e4) * 0.5 + 20, 0, 255)).astype(np.float32)
    assert Flag.SATURATED not in measure(image, 48, 48, saturation=np.inf).flags


def test_nothing_is_changed_in_the_arrays_given():
    image, weight = galaxy(97), np.ones((97, 97), np.float32)
    image[3, 3] = np.nan
    before = image.copy(), weight.copy()
    measure(image, 48, 48, weight=weight)
    assert np.array_equal(image, before[0], equal_nan=True)
    assert np.array_equal(weight, before[1])


def test_a_profile_counts_every_good_pixel_once():
    image = noise((41, 41))
    good = np.ones(image.shape, np.bool_)
    good[5:9, 5:9] = False
    profile = radial_profile(image, good, 20.3, 19.8)
    assert profile.used.sum() == pytest.approx(good.sum())
    flux = np.nansum(profile.mean * profile.used)
    assert flux == pytest.approx(image[good].sum(dtype=np.float64), rel=1e-5)
    assert np.allclose(profile.area.sum(), np.pi * profile.edge[-1] ** 2)


def test_a_profile_of_a_flat_image_is_flat():
    profile = radial_profile(np.full((31, 31), 3.0, np.float32), np.ones((31, 31), np.bool_), 15.0, 15.0)
    known = np.isfinite(profile.mean)
    assert known.sum() > 40
    assert np.allclose(profile.mean[known], 3.0)


def test_a_flat_profile_has_no_petrosian_radius():
    profile = radial_profile(np.full((31, 31), 3.0, np.float32), np.ones((31, 31), np.bool_), 15.0, 15.0)
    radius, error, fits = petrosian_radius(profile, 1.0)
    assert np.isnan(radius)
    assert np.isnan(error)
    assert not fits


def test_the_petrosian_ratio_at_the_radius_is_eta():
    image = sersic((161, 161), 80.2, 79.7, re=10.0)
    profile = radial_profile(image, np.ones(image.shape, np.bool_), 80.2, 79.7)
    radius, _, fits = petrosian_radius(profile, 0.0)
    distance = np.hypot(np.arange(161)[:, None] - 79.7, np.arange(161)[None, :] - 80.2)
    ring = (distance > 0.8 * radius) & (distance < 1.25 * radius)
    assert fits
    assert image[ring].mean() / image[distance < radius].mean() == pytest.approx(ETA, rel=0.01)


@pytest.mark.parametrize("offset", [(0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.01, 0.01)])
def test_the_radius_is_found_even_where_a_ring_falls_between_the_pixels(offset):
    # With its centre on a pixel the ring from 9.50 to 9.75 px holds no pixel centre.
    x, y = 64 + offset[0], 64 + offset[1]
    found = measure(sersic((129, 129), x, y, re=8.0, flux=1e5) + noise((129, 129), 0.1), 64, 64)
    assert found.rpet_px == pytest.approx(PETROSIAN_OF_EXPONENTIAL * 8, rel=0.02)


def test_a_segmentation_made_elsewhere_is_used_as_it_is():
    image = galaxy(97) + sersic((97, 97), 75, 70, re=3, flux=1500.0)
    own = measure(image, 48, 48)
    given = measure(image, 48, 48, segmentation=own.segmentation)
    assert given.segmentation is own.segmentation
    assert (given.x, given.y, given.rpet_px, given.flags) == (own.x, own.y, own.rpet_px, own.flags)
    nobody = dataclasses.replace(
        own.segmentation, labels=own.segmentation.labels * 0, objects=own.segmentation.objects[:0]
    )
    assert Flag.NO_SOURCE in measure(image, 48, 48, segmentation=nobody).flags


def test_pixels_that_a_given_segmentation_leaves_out_do_not_count():
    image = galaxy(97, flux=8000.0)
    own = measure(image, 48, 48)
    usable = own.segmentation.usable.copy()
    usable[60:64, 44:52] = False
    broken = image.copy()
    broken[~usable] = 1e5
    found = measure(
        broken, 48, 48, segmentation=dataclasses.replace(own.segmentation, usable=usable), saturation=np.inf
    )
    assert found.rpet_px == pytest.approx(own.rpet_px, rel=0.05)
    assert np.hypot(found.x - own.x, found.y - own.y) < 0.05


def test_every_value_has_a_positive_error():
    found = measure(galaxy(97), 48, 48, psf_fwhm_px=2.0)
    pairs = ("rpet_px", "r20_px", "r50_px", "r80_px", "concentration", "flux", "intrinsic_rpet_px", "asymmetry")
    for name in (*pairs, "ellipticity", "position_angle_deg"):
        error = name.replace("_px", "_err_px") if name.endswith("_px") else f"{name}_err"
        error = "position_angle_err_deg" if name == "position_angle_deg" else error
        assert getattr(found, error) > 0, name
        assert np.isfinite(getattr(found, name)), name
    assert found.r20_px < found.r50_px < found.r80_px < found.rpet_px
    assert found.concentration == pytest.approx(5 * np.log10(found.r80_px / found.r20_px))


def exponential_radius(share: float) -> float:
    """Radius, in half-light radii, of a share of an exponential's light inside its Petrosian radius."""
    grown = lambda x: 1 - (1 + 1.678 * x) * np.exp(-1.678 * x)  # noqa: E731
    x = np.linspace(0.0, PETROSIAN_OF_EXPONENTIAL, 2000)
    return float(np.interp(share * grown(PETROSIAN_OF_EXPONENTIAL), grown(x), x))


def test_the_light_radii_of_an_exponential_disc():
    found = measure(galaxy(161, re=8.0, flux=40000.0), 80, 80)
    # Shares of the 94.6 % of the light inside r_P, from the growth of an exponential.
    assert (found.r20_px, found.r50_px, found.r80_px) == pytest.approx(
        tuple(8 * exponential_radius(s) for s in (0.2, 0.5, 0.8)), rel=0.04
    )
