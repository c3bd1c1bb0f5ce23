"""Rows outside the training envelope: sizes, signal-to-noise ratios and strange stamps, each alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import small_sky

from galmorph.flags import Flag
from galmorph.nets.checkpoint.embedding import Embedding
from galmorph.runs.mismatch import mark_mismatches
from galmorph.runs.results import Results
from galmorph.sky.survey import load_survey

ROWS = 4


class Images:
    """Images in CANDELS' H band without a filter in their headers."""

    survey = load_survey("candels")
    bands = ("F160W",)
    n_planes = 1
    is_linear = True

    def filter_name(self) -> None:
        return None


@pytest.fixture
def results() -> Results:
    """Four galaxies of the usual size and depth."""
    made = Results.empty(ROWS, 5)
    made.conditional[:] = 0.2
    made.scale_arcsec[:], made.rpet_px[:], made.snr[:], made.distance[:] = 0.06, 10.0, 50.0, 3.0
    return made


def marked(results: Results, **envelope) -> list[bool]:
    """Tell which rows a checkpoint with this envelope flags."""
    checkpoint = small_sky.checkpoint()
    checkpoint = replace(checkpoint, envelope=replace(checkpoint.envelope, **envelope))
    mark_mismatches(results, checkpoint, Images())
    return ((results.flags & int(Flag.OUT_OF_ENVELOPE)) != 0).tolist()


def embedding(limit: float) -> Embedding:
    return Embedding(np.zeros(2, np.float32), np.eye(2, dtype=np.float32), np.ones(3, np.float32), limit, 0.01)


def test_usual_galaxies_are_inside(results):
    assert marked(results, snr=(10, 90), rpet_px=(5, 20), rpet_psf=(2, 9), embedding=embedding(5.0)) == [False] * 4


def test_each_range_marks_the_rows_beyond_it(results):
    """In pixels; in widths of the F160W PSF, .17 arcsec or 2.83 pixels; in signal-to-noise ratio.

    More pixels and less noise than in training are no reason for doubt.
    """
    results.rpet_px[:] = [4, 10, 21, np.nan]
    assert marked(results, rpet_px=(5, 20)) == [True, False, False, False]
    results.flags[:] = 0
    assert marked(results, rpet_psf=(2.0, 7.0)) == [True, False, True, False]
    results.flags[:] = 0
    results.snr[:] = [5, 50, 500, np.nan]
    assert marked(results, snr=(10, 90)) == [True, False, False, False]


def test_display_pixels_are_no_measure_of_size(results):
    results.scale_arcsec[:] = np.nan
    assert marked(results, rpet_px=(50, 60), rpet_psf=(50, 60)) == [False] * 4


def test_strange_stamps_are_marked(results):
    results.distance[:] = [3, 5.1, np.nan, 50]
    assert marked(results, embedding=embedding(5.0)) == [False, True, False, True]


def test_without_an_embedding_distances_mean_nothing(results):
    results.distance[:] = 1e9
    assert marked(results) == [False] * 4


def test_a_row_without_probabilities_is_not_outside(results):
    results.conditional[0] = np.nan
    results.snr[:] = 1.0
    assert marked(results, snr=(10, 90)) == [False, True, True, True]
