"""Image sources: what everything that pixels come from does."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from typing import ClassVar

import numpy as np
import pytest

from galmorph.errors import ImageError
from galmorph.sky.images import ImageInput, ImageSource, Located, is_open
from galmorph.sky.survey import Band, Survey

__all__ = ["ImageSourceTests"]


class ImageSourceTests:
    """Inherit, and say in :meth:`open` how such a source is opened.

    Attributes
    ----------
    inside
        Tile, x and y of a pixel position in the middle of a tile, at least 12 pixels from its edges.
    """

    inside: ClassVar[tuple[int, float, float]] = (0, 40.3, 52.1)

    def open(self, folder) -> ImageSource:
        """Write files into a folder and open them."""
        raise NotImplementedError

    @pytest.fixture
    def source(self, tmp_path) -> Iterator[ImageSource]:
        """Open the source for one test."""
        with closing(self.open(tmp_path)) as opened:
            yield opened

    def test_it_says_what_it_is(self, source):
        assert source.survey is None or isinstance(source.survey, Survey)
        assert isinstance(source.bands, tuple)
        assert all(isinstance(name, str) for name in source.bands)
        assert source.n_planes in (1, 3)
        assert [type(word) for word in (source.is_linear, source.by_name, source.has_edges)] == [bool] * 3
        assert isinstance(source.has_wcs, bool)
        assert len(source.tile_names) > 0
        assert source.scale_arcsec > 0 or math.isnan(source.scale_arcsec)
        assert source.filter_name() is None or source.filter_name()

    def test_its_band_is_the_one_of_linear_images_of_one_band(self, source):
        one = source.is_linear and source.n_planes == 1 and len(source.bands) == 1
        assert (source.band is not None) == one
        if isinstance(source.band, Band):
            assert source.bands == (source.band.name,)
            assert source.survey is not None
            assert source.survey.band(source.band.name) == source.band

    def test_psf_and_saturation_are_widths_and_fluxes_or_unknown(self, source):
        assert source.psf_fwhm_px is None or source.psf_fwhm_px > 0
        assert source.saturation is None or source.saturation > 0
        if source.band is not None and math.isfinite(source.scale_arcsec):
            assert source.psf_fwhm_px == source.band.psf_fwhm_arcsec / source.scale_arcsec
        if not source.is_linear:
            assert (source.psf_fwhm_px, source.saturation) == (None, math.inf)

    def test_the_rest_of_galmorph_takes_it_for_open(self, source):
        assert is_open(source)
        assert ImageInput(source).open() is source
        assert ImageInput(source).known_bands() == source.bands

    def test_its_files_are_paths(self, source):
        assert all(path.is_file() for path in source.files(*self.inside))

    def test_a_cutout_holds_the_pixels_about_a_place(self, source):
        tile, x, y = self.inside
        cutout = source.cutout(tile, x, y, 8)
        height, width = cutout.shape
        assert cutout.planes.shape == (source.n_planes, height, width)
        assert cutout.planes.dtype == cutout.detection.dtype == np.dtype(np.float32)
        assert cutout.planes.dtype.isnative
        assert np.isfinite(cutout.planes).any()
        assert (cutout.x + cutout.origin[0], cutout.y + cutout.origin[1]) == pytest.approx((x, y), abs=1e-9)
        assert cutout.tile == tile
        assert not np.isinf(cutout.detection).any()
        if source.has_edges:
            assert cutout.shape == (17, 17)
            assert cutout.clipped == (False,) * 4

    def test_weights_are_inverse_variances_or_none(self, source):
        cutout = source.cutout(*self.inside, 8)
        if cutout.weight is not None:
            assert cutout.weight.shape == cutout.shape
            assert cutout.weight.dtype == np.float32
            assert (cutout.weight >= 0).all()
            assert np.isfinite(cutout.weight).all()
            assert (cutout.weight[~np.isfinite(cutout.detection)] == 0).all()

    def test_the_same_place_has_the_same_pixels_in_every_cutout(self, source):
        tile, x, y = self.inside
        small, large = source.cutout(tile, x, y, 5), source.cutout(tile, x, y, 11)
        left, bottom = (a - b for a, b in zip(small.origin, large.origin, strict=True))
        height, width = small.shape
        again = source.cutout(tile, x, y, 5)
        np.testing.assert_array_equal(small.planes, again.planes)
        # The sky that is subtracted from colour is measured on each cutout.
        if source.n_planes == 1 or not source.is_linear:
            window = large.planes[:, bottom : bottom + height, left : left + width]
            np.testing.assert_array_equal(small.planes, window)

    def test_cutouts_are_the_caller_s_to_change(self, source):
        first = source.cutout(*self.inside, 5)
        kept = first.planes.copy()
        first.planes[:] = 0
        np.testing.assert_array_equal(source.cutout(*self.inside, 5).planes, kept)

    def test_a_cutout_is_clipped_at_the_edge_of_the_image(self, source):
        tile, _, y = self.inside
        cutout = source.cutout(tile, 2.0, y, 8)
        assert cutout.clipped[0]
        if source.has_edges:
            assert cutout.origin[0] == 0
            assert cutout.shape == (17, 11)

    def test_there_is_no_cutout_beyond_an_image(self, source):
        if not source.has_edges:
            pytest.skip("its cutout is the whole stamp")
        with pytest.raises(ImageError, match="outside image"):
            source.cutout(self.inside[0], -1000.0, -1000.0, 8)

    def test_sky_positions_are_found_where_they_are(self, source):
        tile, x, y = self.inside
        ra, dec = source.sky(tile, x, y)
        assert (ra.shape, dec.shape) == ((1,), (1,))
        if not source.has_wcs:
            assert np.isnan([ra[0], dec[0]]).all()
            with pytest.raises(ImageError, match="no celestial WCS"):
                source.locate(10.0, 10.0)
            return
        where = source.locate([ra[0], np.nan, ra[0] - 180], [dec[0], dec[0], -dec[0]])
        self.check(where, 3)
        assert where.tile.tolist() == [tile, -1, -1]
        assert (where.x[0], where.y[0]) == pytest.approx((x, y), abs=1e-6)

    def test_pixel_positions_are_found_on_the_only_tile(self, source):
        tile, x, y = self.inside
        if len(source.tile_names) > 1:
            with pytest.raises(ImageError, match="expected a single image"):
                source.locate_pixels([(x, y)])
            return
        where = source.locate_pixels([(x, y), (-5.0, y), (np.nan, y)])
        self.check(where, 3)
        assert where.tile.tolist() == [tile, -1, -1]

    def test_files_are_found_by_name_or_refused(self, source):
        if source.is_linear and not source.by_name:
            with pytest.raises(ImageError, match="rows name image files"):
                source.locate_files(["a.fits"])
            return
        where = source.locate_files([source.tile_names[-1], "no such stamp"])
        self.check(where, 2)
        assert where.tile.tolist() == [len(source.tile_names) - 1, -1]

    @staticmethod
    def check(where: Located, n: int) -> None:
        """Check the types of positions, and that nothing lies nowhere."""
        assert (where.tile.dtype, where.x.dtype, where.y.dtype) == (np.int32, np.float64, np.float64)
        assert len(where.tile) == len(where.x) == len(where.y) == n
        nowhere = where.tile < 0
        assert np.isnan(where.x[nowhere]).all()
        assert np.isnan(where.y[nowhere]).all()

    def test_a_unit_is_a_brightness_or_unknown(self, source):
        brightness = source.mjysr_per_unit(self.inside[0])
        assert brightness > 0 or math.isnan(brightness)

    def test_what_is_fetched_is_what_is_read(self, source):
        assert isinstance(source.is_here, bool)
        before = source.cutout(*self.inside, 5).planes
        source.fetch(*self.inside, 5)
        np.testing.assert_array_equal(source.cutout(*self.inside, 5).planes, before)

    def test_closing_keeps_what_was_read_and_may_be_repeated(self, source):
        cutout = source.cutout(*self.inside, 5)
        pixels = cutout.planes.copy()
        source.close()
        source.close()
        np.testing.assert_array_equal(cutout.planes, pixels)
