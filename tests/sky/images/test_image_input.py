"""ImageInput: what may stand for images, and what is refused rather than ignored."""

from __future__ import annotations

import pickle
from contextlib import closing

import pytest
import small_sky

from galmorph.errors import GalmorphError, ImageError, SurveyError
from galmorph.sky.images import ImageInput, open_images
from galmorph.sky.survey import load_survey


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    """Write the files of a small sky."""
    return small_sky.write_sky(tmp_path_factory.mktemp("sky"))


@pytest.fixture(scope="module")
def source(sky):
    """Open the image of a small sky."""
    with closing(open_images(sky.image, survey=load_survey("candels"), band="H")) as opened:
        yield opened


def test_files_are_opened_with_survey_and_band_by_name(sky):
    asked = ImageInput(sky.image, weight=sky.weight, survey="candels", band="h", hdu=0)
    assert asked.known_bands() == ("F160W",)
    with closing(asked.open()) as opened:
        assert opened.survey == load_survey("candels") == asked.known_survey()
        assert opened.band == load_survey("candels").band("F160W")
        assert opened.cutout(0, 40.0, 50.0, 8).weight is not None


def test_an_input_is_opened_in_another_process_as_here(sky):
    asked = ImageInput([str(sky.image)], rms=(str(sky.weight),), survey=load_survey("candels"), band="H")
    copy = pickle.loads(pickle.dumps(asked))
    assert copy == asked
    with closing(asked.open()) as here, closing(copy.open()) as there:
        assert (here.cutout(0, 40.0, 50.0, 8).planes == there.cutout(0, 40.0, 50.0, 8).planes).all()


def test_an_open_source_stays_as_it_is(source):
    for asked in (ImageInput(source), ImageInput(source, survey="CANDELS", band="H"), ImageInput(source, band="F160W")):
        assert asked.open() is source
        assert asked.known_survey() == load_survey("candels")
        assert asked.known_bands() == ("F160W",)


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"weight": "missing.fits"}, ImageError, "weight was given for images that are open already"),
        ({"rms": ["missing.fits"]}, ImageError, "rms was given for images that are open already"),
        ({"segmentation": "missing.fits"}, ImageError, "segmentation was given for images that are open already"),
        ({"hdu": 0}, ImageError, "hdu was given for images that are open already"),
        ({"survey": "sdss"}, SurveyError, "survey 'sdss' was asked for, but the images were opened with 'candels'"),
        ({"band": "J"}, SurveyError, "band 'J' was asked for, but the images were opened with F160W"),
        ({"band": "F16W"}, SurveyError, "unknown band"),
    ],
)
def test_what_does_not_apply_to_an_open_source_is_refused(source, change, kind, message):
    with pytest.raises(kind, match=message):
        ImageInput(source, **change).open()


def test_a_source_of_no_survey_is_not_said_to_be_of_one(sky):
    with closing(open_images(sky.image)) as bare:
        assert ImageInput(bare).open() is bare
        assert (ImageInput(bare).known_survey(), ImageInput(bare).known_bands()) == (None, ())
        with pytest.raises(SurveyError, match="survey 'candels' was asked for, but the images were opened with no"):
            ImageInput(bare, survey="candels").open()


def test_a_band_needs_a_survey(sky):
    with pytest.raises(GalmorphError, match="band 'H' without a survey: name its --survey, one of "):
        ImageInput(sky.image, band="H").open()


@pytest.mark.parametrize("name", ["images", "weight", "rms", "variance", "segmentation"])
@pytest.mark.parametrize("nothing", [[], {}])
def test_a_list_of_no_images_is_no_wish_for_those_of_an_archive(sky, name, nothing):
    """It is what a pattern gives that finds no file."""
    asked = {"images": sky.image, name: nothing}
    with pytest.raises(ImageError, match=f"{name} is an empty (list|dict): expected at least one image"):
        ImageInput(**asked, survey="candels", band="H")
