"""Real SDSS galaxies on display images: centres and radii against SExtractor's published table and its own run.

The images are the central 232 of 424 pixels (border 96), 8-bit and compressed for display; the table was made on the
green plane of the whole 424. Its centres are isophotal barycentres in FITS counting, its PETRO_RADIUS is the Petrosian
diameter in units of the semi-axis A_IMAGE.

A centre within 1.5 px of the table's, which is 2 % of the median r_P of 75 px, is not what one definition reaches of
another on such galaxies: SExtractor itself, run on the same 232 px with the settings of the table, comes that near to
the table for 77 % of 416 images, its windowed centre that near to its own barycentre for 64 %. Ours comes that near
to the table for half, within 5 px for nine in ten, within a tenth of r_P for 95 %. Our own barycentres come no nearer
(48 %, within 5 px 84 %): which pixels are the galaxy's decides, not how they are weighed. What is further off are close
pairs and stars in front (another object, or both as one) and lopsided, merging and cut galaxies.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
from pathlib import Path

import fitsio
import numpy as np
import pytest
from astropy.table import Table
from galaxies import FloatArray
from PIL import Image
from scipy import stats

from galmorph.flags import Flag
from galmorph.stamps.measure import measure

WHOLE, SIDE = 424, 232
BORDER = (WHOLE - SIDE) // 2
NEAR_PX = 1.5
STEP = 0.66
"""PETRO_RADIUS comes in such steps."""
EVERY = 5
"""SExtractor is run on every so many of the sample."""
SETTINGS = Path("/usr/share/source-extractor")


def green(archive: zipfile.ZipFile, name: str) -> FloatArray:
    """Read the green plane of a picture, (232, 232)."""
    with Image.open(io.BytesIO(archive.read(name))) as picture:
        return np.asarray(picture.convert("RGB"), dtype=np.float32)[..., 1]


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    """Return the folder of images and table; skip where it is absent."""
    path = shared_data / "sdss_gz2"
    if not (path / "sextractor.csv").is_file():
        pytest.skip("SExtractor's table of the SDSS images (../shared/data/sdss_gz2) is not here")
    return path


@pytest.fixture(scope="module")
def table(folder: Path) -> Table:
    """Return 416 rows spread evenly over the file, positions 0-based on the 232-px image."""
    rows = Table.read(folder / "sextractor.csv", format="ascii.csv")
    rows = rows[:: len(rows) // 405]
    for name in ("x", "y"):
        rows[name] = rows[f"{name}_424"] - 1 - BORDER
    # Half of it times A is the semi-major axis of the Petrosian ellipse; a circle of its area is smaller by sqrt(b/a).
    rows["rpet"] = 0.5 * rows["petro_radius_a"] * np.sqrt(rows["a_image"] * rows["b_image"])
    return rows


@pytest.fixture(scope="module")
def pictures(folder: Path, table: Table) -> list[FloatArray]:
    with zipfile.ZipFile(folder / "images.zip") as archive:
        return [green(archive, str(name)) for name in table["file"]]


@pytest.fixture(scope="module")
def ours(pictures: list[FloatArray]) -> np.ndarray:
    """Our x, y, r_P and whether unflagged, (416, 4)."""
    middle = (SIDE - 1) / 2
    found = [measure(p, middle, middle, saturation=np.inf) for p in pictures]
    return np.array([(m.x, m.y, m.rpet_px, m.flags == Flag(0)) for m in found])


@pytest.fixture(scope="module")
def again(pictures: list[FloatArray], tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """SExtractor's barycentre and windowed centre, 0-based x, y, x, y, of every fifth picture, run here and now.

    The object is chosen as for the table: the largest in area times a Gaussian about the middle of variance 5000 px²,
    detected at two sigma; everything else is SExtractor's default.
    """
    program = shutil.which("source-extractor")
    if program is None or not SETTINGS.is_dir():
        pytest.skip("source-extractor is not installed")
    place = tmp_path_factory.mktemp("sextractor")
    wanted = "X_IMAGE", "Y_IMAGE", "XWIN_IMAGE", "YWIN_IMAGE", "A_IMAGE", "B_IMAGE"
    (place / "p.param").write_text("\n".join(wanted) + "\n")
    options = {
        "PARAMETERS_NAME": "p.param",
        "FILTER_NAME": SETTINGS / "default.conv",
        "STARNNW_NAME": SETTINGS / "default.nnw",
        "DETECT_THRESH": 2.0,
        "CATALOG_NAME": "o.cat",
        "VERBOSE_TYPE": "QUIET",
    }
    command = [program, "i.fits", "-c", SETTINGS / "default.sex"]
    for name, value in options.items():
        command += [f"-{name}", value]
    return np.array([chosen_by_sextractor(p, place, [str(c) for c in command]) for p in pictures[::EVERY]])


def chosen_by_sextractor(picture: FloatArray, place: Path, command: list[str]) -> np.ndarray:
    fitsio.write(place / "i.fits", picture, clobber=True)
    subprocess.run(command, cwd=place, check=True)
    objects = np.loadtxt(place / "o.cat", comments="#", ndmin=2)
    away = (objects[:, 0] - SIDE / 2) ** 2 + (objects[:, 1] - SIDE / 2) ** 2
    salience = objects[:, 4] * objects[:, 5] * np.exp(-away / 5000.0)
    return objects[salience.argmax(), :4] - 1


def offset(table: Table, ours: np.ndarray) -> np.ndarray:
    return np.hypot(ours[:, 0] - table["x"], ours[:, 1] - table["y"])


def share(condition: np.ndarray) -> float:
    return float(np.mean(condition))


def test_the_images_are_the_middle_of_the_tables_frame(table, ours):
    """The border is 96 px and neither axis is turned or swapped: no common shift, and the offsets go together."""
    good = ours[:, 3] > 0
    dx, dy = (ours[:, axis] - np.asarray(table[name]) for axis, name in enumerate("xy"))
    # Measured: 0.0 and -0.1 px; the error of a median is 0.15 px, one pixel off in counting would be seen.
    assert np.hypot(np.median(dx[good]), np.median(dy[good])) < 0.45
    for axis, name in enumerate("xy"):
        # Measured: 0.72 to 0.77 (centres lie within a few pixels, so an offset of two counts). Swapped axes give 0.14
        # and 0.03, turned ones the negative.
        assert stats.spearmanr(ours[good, axis], np.asarray(table[name])[good]).statistic > 0.6


def test_centres_follow_the_barycentres_as_closely_as_the_definitions_allow(table, ours):
    """Half of the centres lie within 1.5 px of SExtractor's, nearly all within a tenth of the Petrosian radius."""
    assert len(table) == 416
    away = offset(table, ours)
    # Measured: 51 to 53, 77 to 80, 89 to 91 and 95 to 97 %, by how close pairs are parted; 416 images leave an error
    # of 2.5, 2, 1.5 and 0.8 %.
    for within, least in ((NEAR_PX, 0.45), (3.0, 0.72), (5.0, 0.85), (10.0, 0.93)):
        assert share(away < within) > least, within
    # Measured: 1.9 % of r_P in the median, 95 % within a tenth.
    known = np.isfinite(ours[:, 2])
    relative = away[known] / ours[known, 2]
    assert np.median(relative) < 0.025
    assert share(relative < 0.1) > 0.91


def test_our_barycentres_follow_sextractors_no_closer(table, pictures):
    """Segments at other thresholds, of other parts: barycentres in ours lie as far from the table's as our centroids.

    Measured on all 416: 48 % within 1.5 px and 84 % within 5 px, against 51 and 89 % of the windowed centroids.
    """
    middle = (SIDE - 1) / 2
    found = [measure(p, middle, middle, saturation=np.inf, centroid="isophotal") for p in pictures[::EVERY]]
    away = offset(table[::EVERY], np.array([(m.x, m.y) for m in found]))
    # 84 of them leave an error of 5 and 4 %.
    assert 0.33 < share(away < NEAR_PX) < 0.63
    assert share(away < 5.0) > 0.72


def test_unflagged_galaxies_agree_better(table, ours):
    """Unflagged centres lie within a tenth of the Petrosian radius of SExtractor's more often than flagged ones."""
    relative, good = offset(table, ours) / ours[:, 2], ours[:, 3] > 0
    # Measured: 96 to 98 % of the unflagged, which are 81 % of all, and 85 % of the flagged (no radius counts as no).
    assert share(relative[good] < 0.1) > 0.94
    assert share(relative[good] < 0.1) > share(relative[~good] < 0.1)
    assert share(good) > 0.7


def test_our_centres_are_nearer_to_the_positions_of_the_survey_than_the_barycentres(table, ours):
    """The images are centred on SDSS's own position, to which the windowed centroid comes nearer than SExtractor."""

    def spread(x: np.ndarray, y: np.ndarray) -> float:
        return float(np.median(np.hypot(x - np.median(x), y - np.median(y))))

    theirs = spread(np.asarray(table["x"]), np.asarray(table["y"]))
    # Measured: 1.95 and 2.47 px; both hold the rounding of the frame.
    assert spread(ours[:, 0], ours[:, 1]) < 0.9 * theirs


def test_sextractor_itself_does_not_come_nearer_than_its_definition_allows(table, again):
    """The program that made the table is within 1.5 px of it for four in five, having less of the frame."""
    x, y = (np.asarray(table[name])[::EVERY] for name in "xy")
    barycentre = np.hypot(again[:, 0] - x, again[:, 1] - y)
    # Measured on all 416: 77 %; on these 84 the error is 5 %. Were it 98 %, the recipe above were at fault, not ours.
    assert 0.65 < share(barycentre < NEAR_PX) < 0.95
    assert np.median(barycentre) < 1.0
    # Its own two centres differ as much as ours and the table's: measured 64 %.
    own = np.hypot(again[:, 0] - again[:, 2], again[:, 1] - again[:, 3])
    assert 0.45 < share(own < NEAR_PX) < 0.85


def test_windowed_centres_agree_with_windowed_centres(table, ours, again):
    """Like with like: our centroid lies within 1.5 px of SExtractor's windowed one where that program is certain."""
    mine, x, y = ours[::EVERY], *(np.asarray(table[name])[::EVERY] for name in "xy")
    windowed = np.hypot(mine[:, 0] - again[:, 2], mine[:, 1] - again[:, 3])
    # Measured on all 416: median 0.6 px, 71 to 74 % within 1.5 px.
    assert np.median(windowed) < 1.0
    assert share(windowed < NEAR_PX) > 0.62
    certain = np.hypot(again[:, 0] - x, again[:, 1] - y) < 1.0
    certain &= np.hypot(again[:, 0] - again[:, 2], again[:, 1] - again[:, 3]) < 1.0
    certain &= mine[:, 3] > 0
    assert certain.sum() >= 12
    # Isolated, symmetric, repeatable; measured on all 416 (120 of them): 84 to 89 % within 1.5 px of the table, 98 to
    # 100 % within a tenth of r_P.
    table_offset = np.hypot(mine[:, 0] - x, mine[:, 1] - y)[certain]
    assert share(table_offset < NEAR_PX) > 0.7
    assert share(table_offset / mine[certain, 2] < 0.1) > 0.92


def test_the_radius_of_the_table_comes_in_four_steps(table):
    """PETRO_RADIUS is a whole number of steps of 0.66, most often eight: a rounding error of 3.6 % (r.m.s.)."""
    steps = np.asarray(table["petro_radius_a"]) / STEP
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-3)
    assert set(np.round(steps).astype(int)) <= {7, 8, 9, 10}


def test_petrosian_radii_are_half_of_sextractors_diameter(table, ours):
    """Our r_P is PETRO_RADIUS / 2 times the geometric mean of A and B: half the diameter, as a circle of equal area.

    PETRO_RADIUS is twice the Petrosian radius (PHOT_PETROPARAMS 2.0), in units of A_IMAGE, measured in elliptical
    annuli. The ranks agree no better because the steps of PETRO_RADIUS hardly vary (78 % are one value), so that the
    table's radius is in effect a multiple of A, and a display image compresses cores; a close pair is one object to
    one code and two to the other.
    """
    good = (ours[:, 3] > 0) & np.isfinite(ours[:, 2])
    rpet, expected = ours[good, 2], np.asarray(table["rpet"])[good]
    # Measured: median 1.03, 16 to 84 % from 0.94 to 1.17; Spearman 0.72.
    assert np.median(rpet / expected) == pytest.approx(1.0, abs=0.06)
    low, high = np.percentile(rpet / expected, [16, 84])
    assert low > 0.85
    assert high < 1.25
    assert stats.spearmanr(rpet, expected).statistic > 0.65


def test_circles_about_thin_galaxies_are_larger_than_circles_of_equal_area(table, ours):
    """The ratio of the radii falls with the axis ratio, from 1.2 to 0.97: circular annuli do not know of thinness."""
    good = (ours[:, 3] > 0) & np.isfinite(ours[:, 2])
    q = (np.asarray(table["b_image"]) / np.asarray(table["a_image"]))[good]
    ratio = ours[good, 2] / np.asarray(table["rpet"])[good]
    thin, round_ = np.median(ratio[q < 0.5]), np.median(ratio[q > 0.85])
    # Measured: 1.21 of 50 and 0.97 of 81; each known to 0.03.
    assert 1.1 < thin < 1.3
    assert 0.9 < round_ < 1.04
