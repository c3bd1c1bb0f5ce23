"""The parts of a run that are easier to see from inside than from the command line."""

from __future__ import annotations

from contextlib import closing
from dataclasses import fields, replace

import numpy as np
import pytest
import small_sky
from astropy.io import fits
from astropy.table import Table
from plans import plan_of

import galmorph
from galmorph import open_images
from galmorph.errors import CatalogError, CheckpointError, ImageError, SurveyError
from galmorph.flags import Flag, flag_counts
from galmorph.nets.checkpoint.embedding import fit_embedding
from galmorph.nets.checkpoint.prediction_sets import PredictionSets
from galmorph.runs.classify import classify
from galmorph.runs.gather import Galaxy, gather, stamp_of
from galmorph.runs.predictor import Answerer, Predictor, ShownStamps
from galmorph.runs.results import Results
from galmorph.sky.catalog import catalog_from
from galmorph.sky.survey import load_survey
from galmorph.stamps.recipe import Recipe

H = {"survey": "candels", "band": "H"}


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    return small_sky.write_sky(tmp_path_factory.mktemp("sky"))


@pytest.fixture(scope="module")
def plan(sky):
    """Plan to classify the small sky; its files stay open for all tests."""
    with closing(plan_of(sky.catalog, sky.image, weight=sky.weight, checkpoint=small_sky.checkpoint(), **H)) as plan:
        yield plan


@pytest.fixture(scope="module")
def run(plan):
    return plan.run


def test_a_run_knows_its_survey_and_bands(run):
    assert (run.survey, run.band, run.images.bands) == (load_survey("candels"), "H", ("F160W",))
    assert run.images.psf_fwhm_px == pytest.approx(run.images.band.psf_fwhm_arcsec / 0.06)


def test_galaxies_are_gathered_in_order_or_as_asked(run):
    assert [g.row for g in gather(run.gathering)] == list(range(7))
    assert [g.row for g in gather(run.gathering, np.array([4, 1]))] == [4, 1]


def test_positions_are_located_once(run):
    assert run.gathering.where is run.gathering.where


def test_the_noise_that_fills_neighbours_depends_on_the_place_not_the_row(sky):
    crowd = np.array([(120.0, 120.0), (40.3, 52.1)])
    with_gap = np.array([(300.0, 300.0), (120.0, 120.0), (300.0, 300.0), (40.3, 52.1)])
    recipe = Recipe(size=32, half_width_rpet=6.0)  # wide enough to hold neighbours, which are filled
    stamps = []
    for xy in (crowd, with_gap):
        with closing(plan_of(small_sky.table(xy), sky.image, network=False, **H)) as plan:
            measured = [g for g in gather(plan.run.gathering) if g.measured is not None]
            assert any(g.measured.neighbours.any() for g in measured)
            stamps.append([stamp_of(g, plan.run.images, recipe).pixels for g in measured])
    for one, other in zip(*stamps, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_row_without_image_has_no_stamp(run):
    with pytest.raises(ImageError, match="row 3 has no image"):
        stamp_of(Galaxy(3, Flag.NO_IMAGE), run.images, Recipe())


def test_a_large_galaxy_gets_a_larger_cutout(tmp_path):
    side = 700
    pixels = np.random.default_rng(1).normal(0, 0.01, (side, side)) + small_sky.light((side, side), 350, 350, 25.0, 1.0)
    fits.writeto(tmp_path / "image.fits", pixels.astype(np.float32))
    with closing(plan_of(Table({"x": [350.0], "y": [350.0]}), tmp_path / "image.fits", network=False)) as plan:
        (galaxy,) = gather(plan.run.gathering)
    assert galaxy.cutout.shape == (513, 513)
    # With the sky far away, on 1025 pixels, the radius of this disk is measured as 3.52 scale lengths.
    assert galaxy.measured.rpet_px == pytest.approx(3.52 * 25, rel=0.02)
    assert galaxy.measured.snr > 1500
    assert not galaxy.flags & Flag.CUTOUT_LIMIT


def test_a_galaxy_larger_than_any_cutout_is_flagged(tmp_path):
    side = 900
    light = small_sky.light((side, side), 450, 450, 160.0, 1.0)
    fits.writeto(tmp_path / "image.fits", (light + 0.001).astype(np.float32))
    with closing(plan_of(Table({"x": [450.0], "y": [450.0]}), tmp_path / "image.fits", network=False)) as plan:
        (galaxy,) = gather(plan.run.gathering)
    assert galaxy.flags & Flag.CUTOUT_LIMIT
    assert galaxy.measured is not None


def test_progress_is_reported_and_ends_at_the_number_of_rows(sky):
    calls = []
    with closing(plan_of(small_sky.table(np.tile(small_sky.XY, (10, 1))), sky.image, network=False, **H)) as plan:
        outcome = classify(plan, progress=lambda *call: calls.append(call))
    assert [(stage, done, total) for stage, done, total, *_ in calls] == [("rows", done, 70) for done in (32, 64, 70)]
    assert not outcome.results.classified.any()


def test_batches_do_not_show(run):
    checkpoint = run.checkpoint
    found = []
    for batch in (2, 7, 100):
        results = Results.empty(7, 5)
        with Predictor(Answerer(checkpoint, "cpu", stamps=batch), results) as predictor:
            for galaxy in gather(run.gathering):
                stamp = stamp_of(galaxy, run.images, checkpoint.recipe)
                predictor.show(ShownStamps.of([(galaxy.row, stamp)], checkpoint.recipe))
            predictor.finish()
        found.append(results.conditional)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[0], found[2], atol=2e-6)
    np.testing.assert_allclose(found[1], found[2], atol=2e-6)


def test_an_error_of_the_network_stops_the_run(run):
    class Failing:
        """A checkpoint whose network fails."""

        recipe = run.checkpoint.recipe

        def answer(self, stamps, shares, *, device, **_others):  # noqa: ARG002
            raise CheckpointError(f"{len(stamps)} stamps on {device}")

    galaxy = next(gather(run.gathering))
    stamp = stamp_of(galaxy, run.images, Failing.recipe)
    with Predictor(Answerer(Failing(), "cpu", stamps=2), Results.empty(7, 5)) as predictor:
        predictor.show(ShownStamps.of([(0, stamp)], Failing.recipe))
        predictor.show(ShownStamps.of([(1, stamp)], Failing.recipe))
        with pytest.raises(CheckpointError, match="2 stamps on cpu"):
            predictor.finish()


def test_column_names_follow_the_scheme_and_the_prefix(sky):
    with closing(plan_of(sky.catalog, sky.image, prefix="x_", checkpoint=small_sky.checkpoint())) as plan:
        names = [column.name for column in classify(plan).columns]
    assert names[:2] == ["x_class", "x_p_spheroid"]
    assert names[-10:] == [
        f"x_{n}" for n in ("set", "racen", "deccen", "pos_err", "rpet", "rpet_err", "r50", "snr", "flags", "model")
    ]


def test_sets_follow_the_confidence_and_their_type_never_depends_on_values(sky):
    """With a checkpoint that has sets and with one that has none; independent fractions are normalised first."""
    plain = small_sky.checkpoint()
    empty = galmorph.classify(sky.catalog, sky.image, survey="candels", band="H", checkpoint=plain, device="cpu")
    assert set(empty["gm_set"]) == {""}
    sets = PredictionSets("aps", 0.8, (0.5,) * 5, rows=100)
    full = galmorph.classify(
        sky.catalog, sky.image, survey="candels", band="H", checkpoint=replace(plain, sets=sets), device="cpu"
    )
    names = full.colnames
    assert names.index("gm_set") == names.index("gm_conf") + 1
    assert full["gm_set"].dtype == empty["gm_set"].dtype
    assert full["gm_set"].description != empty["gm_set"].description
    for row in full:
        answers = row["gm_set"].split("|") if row["gm_set"] else []
        assert answers[:1] == ([row["gm_class"]] if row["gm_class"] else [])
        assert [row[f"gm_p_{a}"] for a in answers] == sorted((row[f"gm_p_{a}"] for a in answers), reverse=True)
    assert any("|" in text for text in full["gm_set"])
    normalised = galmorph.classify(
        sky.catalog,
        sky.image,
        survey="candels",
        band="H",
        checkpoint=replace(plain, sets=sets),
        device="cpu",
        normalise=True,
    )
    assert list(normalised["gm_set"]) == list(full["gm_set"])


def test_strange_stamps_are_flagged_from_end_to_end(sky):
    """With a limit of 0 every stamp that is seen is strange, with an infinite one none."""
    plain = small_sky.checkpoint()
    wide = plain.answer(np.zeros((1, 1, 1, 32, 32), np.float32)).features.shape[1]
    rng = np.random.default_rng(1)
    found = fit_embedding(rng.normal(0, 1, (40, wide)), rng.normal(0, 1, (40, wide)))
    flagged = {}
    for limit in (0.0, float("inf")):
        envelope = replace(plain.envelope, embedding=replace(found, limit=limit))
        table = galmorph.classify(
            sky.catalog,
            sky.image,
            survey="candels",
            band="H",
            checkpoint=replace(plain, envelope=envelope),
            device="cpu",
        )
        flagged[limit] = (np.asarray(table["gm_flags"]) & int(Flag.OUT_OF_ENVELOPE)) != 0
        classified = np.array([c != "" for c in table["gm_class"]])
    assert np.array_equal(flagged[0.0], classified)
    assert not flagged[float("inf")].any()


def test_flags_are_counted():
    flags = np.array([0, 3, 1, int(Flag.BLEND)], np.int32)
    assert flag_counts(flags) == {Flag.NO_POSITION: 2, Flag.NO_IMAGE: 1, Flag.BLEND: 1}


def test_an_image_that_fails_while_it_is_read_is_a_flagged_row(sky):
    source = open_images(sky.image, survey=load_survey("candels"), band="H")

    class Failing:
        """An image whose reading fails on the right-hand side."""

        def __getattr__(self, name):
            return getattr(source, name)

        def cutout(self, tile, x, y, half_px):
            if x > 150:
                raise OSError(5, "Input/output error")
            return source.cutout(tile, x, y, half_px)

    results = classify(plan_of(sky.catalog, Failing(), checkpoint=small_sky.checkpoint())).results
    source.close()
    right = small_sky.XY[:, 0] > 150
    assert right.sum() == 2
    np.testing.assert_array_equal(results.flags[right], int(Flag.FETCH_FAILED))
    np.testing.assert_array_equal(results.classified, ~right)


def test_images_are_closed_when_a_run_cannot_start(sky, monkeypatch):
    closed = []
    monkeypatch.setattr("galmorph.sky.images.tiles.TileSource.close", lambda source: closed.append(source.tile_names))
    colour = small_sky.checkpoint(**small_sky.rgb_checkpoint_settings())
    with pytest.raises(CheckpointError, match="three bands"):
        plan_of(sky.catalog, sky.image, checkpoint=colour, **H).check()
    assert closed == [["image.fits"]]


def test_a_catalogue_of_nothing_but_files_does_not_go_with_fits(sky):
    with pytest.raises(CatalogError, match="no positions that the images understand"):
        plan_of(catalog_from(Table({"file": ["a.jpg"]})), sky.image, network=False).check()


def test_a_band_needs_its_survey(sky):
    with pytest.raises(SurveyError, match="band 'H' without a survey"):
        plan_of(sky.catalog, sky.image, band="H", network=False).check()


def test_a_row_whose_probabilities_are_not_finite_is_flagged(sky):
    """It has none at all then, also of the answers that came out finite; nothing else about it changes."""
    sound = small_sky.checkpoint()

    class Odd(type(sound)):
        """Answers half of the stamps with a number that is none."""

        def answer(self, stamps, *rest, **options):
            answers = super().answer(stamps, *rest, **options)
            answers.conditional[::2, 0] = np.nan
            return answers

    odd = Odd(**{each.name: getattr(sound, each.name) for each in fields(sound)})
    with closing(plan_of(sky.catalog, sky.image, weight=sky.weight, checkpoint=odd, **H)) as plan:
        outcome = classify(plan).results
    with closing(plan_of(sky.catalog, sky.image, weight=sky.weight, checkpoint=sound, **H)) as plan:
        usual = classify(plan).results
    lost = usual.classified & ~outcome.classified
    assert lost.any()
    assert (outcome.flags[lost] & int(Flag.NO_ANSWER)).all()
    assert not (outcome.flags[~lost] & int(Flag.NO_ANSWER)).any()
    assert np.isnan(outcome.conditional[lost]).all()
    assert (outcome.flags[~outcome.classified] != 0).all()
    np.testing.assert_array_equal(outcome.rpet_px, usual.rpet_px)
