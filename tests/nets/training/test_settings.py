"""What a pipeline may say about training is read; what makes no sense is refused."""

from __future__ import annotations

import pytest

from galmorph.errors import PipelineError
from galmorph.nets.training.settings import Augmentation, EnsembleSettings, Observation, Unlabelled
from galmorph.stamps.recipe import Recipe
from galmorph.toml import build


def test_settings_are_read_and_unknown_ones_named():
    observation = {
        "psf_fwhm_arcsec": 0.17,
        "native_fwhm_arcsec": 0.07,
        "scale_arcsec": 0.06,
        "rpet_arcsec": [0.3, 1.0],
        "snr": [5.0, 50.0],
    }
    made = build(Augmentation, {"zoom": 1.5, "observation": observation}, "pipeline")
    assert made.zoom == 1.5
    assert made.observation == Observation(0.17, 0.07, 0.06, (0.3, 1.0), (5.0, 50.0))
    with pytest.raises(PipelineError, match="did you mean 'zoom'"):
        build(Augmentation, {"zoon": 1.0}, "pipeline")
    with pytest.raises(PipelineError, match=r"\[observation\]: unknown key 'psf'"):
        build(Augmentation, {"observation": {**observation, "psf": 1.0}}, "pipeline")
    made = build(Observation, {**observation, "scale_arcsec": [0.05, 0.1], "pixels": True}, "pipeline")
    assert made.scale_arcsec == (0.05, 0.1)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"snr": 5.0}, "snr = 5.0, expected a pair of numbers"),
        ({"snr": [50.0, 5.0]}, "snr = .50.0, 5.0.: expected"),
        ({"psf_fwhm_arcsec": -1.0}, "a positive number or a pair"),
        ({"softening": [0.0, 1.0]}, "softening"),
    ],
)
def test_impossible_ranges_are_refused(changed, words):
    """Falling, negative, or one number where a range is needed."""
    observation = {"psf_fwhm_arcsec": 0.17, "native_fwhm_arcsec": 0.07, "scale_arcsec": 0.06}
    given = {**observation, "rpet_arcsec": [0.3, 1.0], "snr": [5.0, 50.0], **changed}
    with pytest.raises(PipelineError, match=words):
        build(Augmentation, {"observation": given}, "pipeline")


def test_what_does_not_fit_the_stamps_is_refused():
    """One tint for each plane, and no observation of pictures whose light is compressed."""
    colour = Recipe(size=16, planes=3, stretch="display")
    with pytest.raises(PipelineError, match="tint has 2 values for 3 plane"):
        Augmentation(tint=(0.1, 0.2)).check(colour)
    with pytest.raises(PipelineError, match="needs linear light"):
        Augmentation(observation=Observation(0.1, 0.1, 0.06, (0.6, 0.6), (10.0, 10.0))).check(colour)
    Augmentation(tint=(0.1, 0.2, 0.3)).check(colour)


@pytest.mark.parametrize(
    ("kind", "changed", "words"),
    [
        # Each of the first two kept a network as it was drawn by lot, without a word.
        (EnsembleSettings, {"epochs": 0}, "epochs = 0: expected a whole number from 1"),
        (EnsembleSettings, {"patience": 0}, "patience = 0: expected a whole number from 1"),
        (EnsembleSettings, {"batch": 0}, "batch = 0: expected a whole number from 1"),
        (EnsembleSettings, {"batch": -3}, "batch = -3: expected a whole number from 1"),
        (EnsembleSettings, {"learning_rate": 0.0}, "learning_rate = 0.0: expected a number above 0"),
        (EnsembleSettings, {"learning_rate": -1.0}, "learning_rate = -1.0: expected a number above 0"),
        (EnsembleSettings, {"weight_decay": -0.1}, "weight_decay = -0.1: expected a number from 0"),
        (EnsembleSettings, {"smoothing": 1.0}, "smoothing = 1.0: expected a number from 0 to less than 1"),
        (EnsembleSettings, {"average": 2.0}, "average = 2.0: expected a number from 0 to less than 1"),
        (EnsembleSettings, {"seed": -1}, "seed = -1: expected a whole number from 0"),
        (EnsembleSettings, {"seed": 2**63}, "expected a whole number from 0 to"),
        (Unlabelled, {"warmup": 1.5}, "warmup = 1.5: expected a number from 0 to 1"),
        (Unlabelled, {"temperature": 0.0}, "temperature = 0.0: expected a number above 0"),
        (Augmentation, {"zoom": 0.0}, "zoom = 0.0: expected a number from 1"),
        (Augmentation, {"noise": -0.1}, "noise = -0.1: expected a number from 0"),
        (Augmentation, {"absent": 1.1}, "absent = 1.1: expected a number from 0 to 1"),
    ],
)
def test_impossible_numbers_are_refused(kind, changed, words):
    with pytest.raises(PipelineError, match=words):
        build(kind, changed, "pipeline")


def test_what_is_no_number_is_refused_where_settings_are_made_by_hand():
    with pytest.raises(PipelineError, match="learning_rate = nan: expected a number above 0"):
        EnsembleSettings(learning_rate=float("nan"))
