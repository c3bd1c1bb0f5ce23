"""Objects are found, told apart and chosen."""

from __future__ import annotations

import numpy as np
import pytest
from galaxies import crowded, galaxy, noise, sersic

from galmorph.stamps.background import clipped_sky, correlation_px
from galmorph.stamps.isophote import OBJECT_DTYPE
from galmorph.stamps.segment import (
    detected,
    divided,
    neighbour_mask,
    pick,
    relative_noise,
    segment,
    usable_pixels,
)


def everywhere(image: np.ndarray) -> np.ndarray:
    return np.ones(image.shape, dtype=np.bool_)


@pytest.fixture(scope="module")
def pair() -> np.ndarray:
    """A galaxy at (40, 48) and a neighbour at (72, 60)."""
    shape = (97, 97)
    one, other = sersic(shape, 40, 48, flux=3000.0), sersic(shape, 72, 60, re=3.0, flux=1500.0)
    return one + other + noise(shape)


def test_two_galaxies_are_two_objects(pair):
    found = segment(pair, everywhere(pair))
    assert len(found.objects) == 2
    assert found.labels[48, 40] != found.labels[60, 72]
    assert {int(found.labels[48, 40]), int(found.labels[60, 72])} == {1, 2}


def test_the_sky_is_measured_outside_the_objects(pair):
    found = segment(pair + np.float32(20.0), everywhere(pair))
    assert found.sky.level == pytest.approx(20.0, abs=0.1)
    assert found.sky.sigma == pytest.approx(1.0, rel=0.05)


def test_blank_sky_has_no_object():
    blank = noise((96, 96), seed=3)
    found = segment(blank, everywhere(blank))
    assert len(found.objects) == 0
    assert not found.labels.any()


def test_unusable_pixels_belong_to_no_object(pair):
    usable = everywhere(pair)
    usable[:, 60:] = False
    broken = pair.copy()
    broken[:, 60:] = np.nan
    found = segment(broken, usable)
    assert len(found.objects) == 1
    assert not found.labels[:, 60:].any()


def test_a_close_pair_is_deblended():
    shape = (97, 97)
    image = sersic(shape, 43, 48, re=3, flux=4000.0) + sersic(shape, 54, 48, re=3, flux=3000.0) + noise(shape)
    found = segment(image, everywhere(image))
    assert len(found.objects) == 2


def test_noise_that_is_larger_in_one_half_makes_no_objects_there():
    shape = (96, 96)
    loud = np.where(np.arange(96)[None, :] < 48, np.float32(1.0), np.float32(4.0)) * np.ones(shape, np.float32)
    image = noise(shape, seed=5) * loud
    typical = np.median(loud)
    aware = segment(image, everywhere(image), relative_noise=(loud / typical).astype(np.float32))
    unaware = segment(image, everywhere(image))
    assert len(aware.objects) < len(unaware.objects)


def test_an_oversampled_image_is_detected_on_binned_pixels_in_its_own_coordinates():
    small = galaxy(97, 41.0, 52.0, flux=4000.0)
    large = np.repeat(np.repeat(small, 4, 0), 4, 1)
    found = segment(large, everywhere(large))
    row = found.objects[pick(found, 41 * 4 + 1.5, 52 * 4 + 1.5)]
    assert found.labels.shape == large.shape
    assert row["x"] == pytest.approx(41 * 4 + 1.5, abs=1.5)
    assert row["y"] == pytest.approx(52 * 4 + 1.5, abs=1.5)
    assert found.labels[round(row["y"]), round(row["x"])] > 0


def test_the_noise_of_an_oversampled_image_is_that_between_its_objects():
    """Peaks of smooth noise are no objects; hiding them would make the rest look quieter."""
    sky = np.repeat(np.repeat(noise((97, 97), seed=3), 2, 0), 2, 1)
    found = segment(sky + sersic(sky.shape, 97, 97, flux=9000.0), everywhere(sky))
    assert found.sky.sigma == pytest.approx(float(sky.std()), rel=0.06)


def test_pixels_without_weight_in_smooth_noise_warn_of_nothing():
    """Where four pixels become one, some of these have no noise to be divided by (warnings are errors here)."""
    sky = np.repeat(np.repeat(noise((97, 97), seed=3), 2, 0), 2, 1)
    image = sky + sersic(sky.shape, 97, 97, flux=9000.0)
    weight = np.linspace(0.5, 2.0, 194, dtype=np.float32) * np.ones_like(image)
    weight[:, :8] = 0.0
    usable = usable_pixels(image, weight)
    found = segment(image, usable, relative_noise=relative_noise(weight, usable))
    assert pick(found, 97, 97) >= 0
    assert not found.labels[:, :8].any()


def test_a_close_pair_in_smooth_noise_is_deblended():
    """On averages of four pixels, as an enlarged picture is."""
    shape = (97, 97)
    image = sersic(shape, 43, 48, re=3, flux=4000.0) + sersic(shape, 54, 48, re=3, flux=3000.0) + noise(shape)
    found = segment(image.repeat(2, 0).repeat(2, 1), np.ones((194, 194), np.bool_))
    assert found.correlation_px >= 2.0
    assert found.labels[97, 87] != found.labels[97, 109]
    assert min(found.labels[97, 87], found.labels[97, 109]) > 0
    assert found.sky.level == pytest.approx(0.0, abs=0.1)


def test_wide_wings_in_white_noise_are_not_taken_for_smooth_noise():
    """The image is as sharp as its pixels, and is detected on these."""
    image = noise((200, 200), seed=4) + sersic((200, 200), 100, 100, re=45.0, n=4.0, flux=2e5)
    assert correlation_px(image, everywhere(image), clipped_sky(image, None)) >= 2.0  # as long as no object is known
    found = segment(image, everywhere(image))
    assert found.correlation_px == 1.0
    assert (found.labels[::2, ::2] != found.labels[1::2, 1::2]).any()


def test_too_few_pixels_give_no_object_and_no_error():
    image = noise((4, 4))
    found = segment(image, everywhere(image))
    assert len(found.objects) == 0
    assert found.objects.dtype == OBJECT_DTYPE


def test_an_image_that_overflows_seps_buffer_is_segmented_at_a_higher_threshold():
    image = noise((1000, 1000))
    image[:400] += 4.0  # 400 000 connected pixels; SEP stops at 300 000
    image += sersic(image.shape, 500, 700, flux=1e5, fine=1)
    found = segment(image, everywhere(image))
    assert found.objects[pick(found, 500, 700)]["y"] == pytest.approx(700, abs=1)


def test_an_image_that_overflows_at_every_threshold_has_no_objects():
    image = noise((1000, 1000), 0.01)
    image[:400] += 100.0
    found = segment(image, everywhere(image))
    assert len(found.objects) == found.labels.max() == 0


def test_the_object_under_the_position_is_picked_even_when_another_is_brighter(pair):
    found = segment(pair, everywhere(pair))
    assert found.objects[pick(found, 72, 60)]["x"] == pytest.approx(72, abs=1)
    assert found.objects[pick(found, 40, 48)]["x"] == pytest.approx(40, abs=1)


def test_a_position_just_off_an_object_picks_it_and_one_far_off_picks_nothing(pair):
    found = segment(pair, everywhere(pair))
    row = pick(found, 72, 60)
    edge = 60 + 3.0 * float(np.sqrt(found.objects["a"][row] * found.objects["b"][row]))
    assert pick(found, 72, edge + 3.0) == row
    assert pick(found, 8, 8) == -1


@pytest.mark.parametrize("position", [(np.nan, 3.0), (3.0, np.inf), (-1e300, 0.0), (1e9, 1e9)])
def test_an_impossible_position_picks_nothing(pair, position):
    assert pick(segment(pair, everywhere(pair)), *position) == -1


def test_neighbours_are_masked_beyond_their_isophote_but_never_inside_the_chosen_one(pair):
    found = segment(pair, everywhere(pair))
    chosen = pick(found, 40, 48)
    mask = neighbour_mask(found, chosen)
    own, other = found.labels == chosen + 1, (found.labels > 0) & (found.labels != chosen + 1)
    assert mask[other].all()
    assert not mask[own].any()
    assert mask.sum() > 1.5 * other.sum()


def test_without_a_chosen_object_all_are_neighbours(pair):
    found = segment(pair, everywhere(pair))
    assert neighbour_mask(found, -1)[found.labels > 0].all()


def test_no_objects_no_neighbours():
    blank = noise((96, 96), seed=3)
    assert not neighbour_mask(segment(blank, everywhere(blank)), -1).any()


def test_an_upright_needle_beside_the_galaxy_is_masked():
    # SEP's angle of a vertical object can come out a hair above pi / 2, which its own ellipse routine refuses.
    shape = (97, 97)
    for theta in (np.pi / 2, np.nextafter(np.float32(np.pi / 2), np.float32(4.0)), -np.pi / 2):
        needle = sersic(shape, 75, 48, re=10, q=0.1, theta=float(theta), flux=3000.0)
        image = sersic(shape, 35, 48, flux=3000.0) + needle + noise(shape)
        found = segment(image, everywhere(image))
        found.objects["theta"] = theta
        assert neighbour_mask(found, pick(found, 35, 48))[48, 75]


def blobs(*placed: tuple[float, float, float, float]) -> np.ndarray:
    """Gaussians (x, y, width, peak) in noise of one."""
    y, x = np.mgrid[:129, :129]
    noise = np.random.default_rng(5).standard_normal((129, 129))
    light = [peak * np.exp(-0.5 * ((x - at) ** 2 + (y - up) ** 2) / width**2) for at, up, width, peak in placed]
    return (noise + sum(light)).astype(np.float32)


def test_a_clump_belongs_to_its_galaxy_and_a_neighbour_does_not():
    """A peak well inside a galaxy is joined to it; one of the same brightness outside stays an object of its own."""
    galaxy = (64.0, 64.0, 9.0, 60.0)
    everywhere = np.ones((129, 129), np.bool_)
    inside, outside = blobs(galaxy, (80.0, 64.0, 2.2, 120.0)), blobs(galaxy, (104.0, 64.0, 2.2, 120.0))
    assert len(segment(inside, everywhere, join_clumps=False).objects) == 2
    joined = segment(inside, everywhere)
    assert len(joined.objects) == joined.labels.max() == 1
    assert len(segment(outside, everywhere).objects) == 2


@pytest.fixture(scope="module")
def crowd() -> np.ndarray:
    """Ninety galaxies of all sizes, many of which touch, on a field of 400 pixels."""
    return crowded(90, edge=10, largest=6.0)


@pytest.mark.parametrize("is_smooth", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_the_objects_of_a_window_are_the_same_whatever_other_windows_there_are(crowd, seed, is_smooth):
    """And those of the whole image; also where detection is on binned pixels, of an odd number."""
    image = crowd.repeat(2, 0).repeat(2, 1)[:-1, :-3] if is_smooth else crowd
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, np.array(image.shape) - 90, (5, 2))
    windows = np.concatenate([corners, rng.integers(30, 90, (5, 2))], axis=1)
    detection = detected(image, everywhere(image))
    assert detection.halvings == is_smooth
    whole, some = (divided(detection, image, everywhere(image), windows=w) for w in (None, windows))
    assert len(some.objects) < len(whole.objects)
    seen = 0
    for top, left, height, width in windows.tolist():
        here = slice(top, top + height), slice(left, left + width)
        theirs, ours = whole.labels[here], some.labels[here]
        assert np.array_equal(theirs > 0, ours > 0)
        pairs = np.unique(np.stack([theirs[theirs > 0], ours[ours > 0]]), axis=1)
        assert len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]
        assert np.array_equal(whole.objects[pairs[0] - 1], some.objects[pairs[1] - 1])
        seen += pairs.shape[1]
    assert seen > 2


def test_without_windows_nothing_is_an_object(crowd):
    detection = detected(crowd, everywhere(crowd))
    found = divided(detection, crowd, everywhere(crowd), windows=np.array([[0, 0, 0, 0]]))
    assert len(found.objects) == found.labels.max() == 0
    assert found.sky == detection.sky


def test_a_part_of_a_segmentation_has_its_own_sky(pair):
    found = segment(pair, everywhere(pair))
    sky = found.sky._replace(level=7.0)
    part = found.part([30, 20, 40, 60], sky)
    assert part.sky.level == 7.0
    assert part.corner == (30, 20)
    assert np.array_equal(part.labels, found.labels[30:70, 20:80])
    assert pick(part, 40 - 20, 48 - 30) == pick(found, 40, 48)
