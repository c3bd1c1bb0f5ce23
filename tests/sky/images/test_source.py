"""Image sources: each does what every source does."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import small_sky
from astropy.io import fits
from conformance.image_sources import ImageSourceTests
from PIL import Image

from galmorph.sky.images import ImageSource, open_images
from galmorph.sky.survey import load_survey

CANDELS, SDSS = load_survey("candels"), load_survey("sdss")


class TestTiles(ImageSourceTests):
    def open(self, folder) -> ImageSource:
        sky = small_sky.write_sky(folder)
        return open_images(sky.image, weight=sky.weight, survey=CANDELS, band="H")


class TestTilesOfNoSurvey(ImageSourceTests):
    def open(self, folder) -> ImageSource:
        return open_images(small_sky.write_sky(folder).image)


class TestSeveralTiles(ImageSourceTests):
    """Two images side by side."""

    inside = (1, 40.3, 52.1)

    def open(self, folder) -> ImageSource:
        for number in range(2):
            header = small_sky.header(shift_px=300.0 * number)
            fits.writeto(folder / f"{number}.fits", small_sky.field(seed=number), header)
        return open_images([folder / "0.fits", folder / "1.fits"], survey=CANDELS, band="H")


class TestCompressedTiles(ImageSourceTests):
    def open(self, folder) -> ImageSource:
        fits.CompImageHDU(small_sky.field(), small_sky.header()).writeto(folder / "image.fits")
        return open_images(folder / "image.fits", survey=CANDELS, band="H")


class TestTilesInMemory(ImageSourceTests):
    def open(self, folder) -> ImageSource:
        del folder
        image, weight = (small_sky.field(), small_sky.header()), small_sky.field() ** 2
        return open_images(image, weight=weight, survey=CANDELS, band="H")


class TestTilesWithoutWcs(ImageSourceTests):
    def open(self, folder) -> ImageSource:
        del folder
        return open_images(small_sky.field(), survey=CANDELS, band="H")


class TestColour(ImageSourceTests):
    def open(self, folder) -> ImageSource:
        del folder
        images = {band: (small_sky.field(seed=n), small_sky.header(0.396, None)) for n, band in enumerate("gri")}
        weight = {band: np.full((small_sky.SIDE,) * 2, 1e4, np.float32) for band in images}
        return open_images(images, weight=weight, survey=SDSS, band="gri")


class TestStamps(ImageSourceTests):
    def open(self, folder) -> ImageSource:
        with zipfile.ZipFile(folder / "stamps.zip", "w") as archive:
            for number in range(2):
                archive.writestr(f"{number}.png", self.picture(number))
        return open_images(folder / "stamps.zip", survey=SDSS, band="RGB")

    @staticmethod
    def picture(seed: int) -> bytes:
        stream = io.BytesIO()
        pixels = np.random.default_rng(seed).integers(0, 200, (100, 100, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(stream, "PNG")
        return stream.getvalue()


class TestOneStamp(TestStamps):
    def open(self, folder) -> ImageSource:
        (folder / "0.png").write_bytes(self.picture(0))
        return open_images(folder / "0.png")


class TestStampsInMemory(ImageSourceTests):
    def open(self, folder) -> ImageSource:
        del folder
        return open_images({f"{n}.png": TestStamps.picture(n) for n in range(2)}, survey=SDSS, band="RGB")


class TestFitsStampsInMemory(ImageSourceTests):
    def open(self, folder) -> ImageSource:
        contents = {}
        for number in range(2):
            fits.writeto(folder / "one.fits", small_sky.field(seed=number), small_sky.header(), overwrite=True)
            contents[f"{number}.fits"] = (folder / "one.fits").read_bytes()
        (folder / "one.fits").unlink()
        return open_images({"1.fits": contents["1.fits"]}, survey=CANDELS, band="H")
