"""Cases of troublesome files beside the project: each comes out right, or is refused in one line before work."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from galmorph.shipped import shipped
from galmorph.sky.catalog import read_catalog

pytestmark = pytest.mark.long
CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"
SAMPLE = shipped("catalogs") / "samples" / "candels-h"
H_IMAGE = f"--image {SAMPLE}/image.fits.gz --survey candels --band H"
TOLERANCE = {"rpet": 0.01, "r50": 0.01, "snr": 0.07, "ell": 0.01}
"""Relative: objects were detected on cutouts where the right values come from, which changes what counts as sky."""


@dataclass(frozen=True)
class Case:
    """One command in a folder of cases.

    Parameters
    ----------
    folder
        Its name.
    arguments
        Without the output.
    refused
        What the line says, where it must be refused; None where the values of the folder are right.
    rows
        How many there must be, where the folder gives no values.
    output
        File.
    """

    folder: str
    arguments: str
    refused: str | None = None
    rows: int = 0
    output: str = "out.fits"


MEASURE = "measure catalog.csv --image image.fits"
BY_VALUE = [
    Case("reports/01-weight-hdu-wgt", "measure catalog.csv --image tile.fits --weight tile.fits"),
    Case("reports/05-sentinel-for-no-data", MEASURE),
    Case("reports/06-folder-of-a-release", "measure catalog.csv --image coadd"),
    Case("reports/08-cgs-units-with-rms", f"{MEASURE} --rms rms.fits"),
    Case("reports/10-ps1-asinh-pixels", "measure catalog.csv --image rings.v3.skycell.stk.r.unconv.fits"),
    Case("reports/13-wcs-in-the-primary-header", MEASURE),
    Case("reports/14-radesys-not-in-the-standard", MEASURE),
    Case("reports/16-cunit-degree", MEASURE),
    Case("reports/17-nan-card-in-a-catalogue", "measure catalog.fits --image image.fits"),
    Case("reports/18-unquoted-filter-in-an-image", MEASURE),
    Case("reports/19-ldac-catalogue", "measure catalog.cat --image image.fits"),
    Case("reports/20-right-ascension-in-15deg", "measure catalog.vot --image image.fits"),
    Case("reports/25-accents-lost-in-fits", MEASURE),
    Case("reports/26-ipac-table-as-txt", "measure catalog.txt --image image.fits"),
    Case("reports/27-cds-split-positions", MEASURE),
    Case("reports/30-x-image-dbl-counts-from-one", f"{MEASURE} --x X_IMAGE_DBL --y Y_IMAGE_DBL"),
    Case("reports/32-trailing-and-decimal-commas", MEASURE),
    Case("reports/32-trailing-and-decimal-commas", "measure decimal.csv --image image.fits"),
    Case("reports/PASS-01-casjobs-csv", MEASURE),
    Case("reports/PASS-02-old-mac-line-ends", MEASURE),
    Case("reports/PASS-03-hats-partition", "measure Npix=5.parquet --image image.fits"),
    Case("reports/PASS-04-nested-parquet", "measure catalog.parquet --image image.fits"),
    Case("reports/PASS-05-odd-fits-table", "measure catalog.fits --image image.fits"),
    Case("reports/PASS-06-jwst-source-catalogue", "measure x_cat.ecsv --image image.fits"),
    Case("reports/PASS-07-pc001001", MEASURE),
    Case("reports/PASS-09-mirrored-image", MEASURE),
    Case("reports/PASS-11-i2d-with-err-and-wht", "measure catalog.csv --image x_i2d.fits --rms x_i2d.fits"),
    Case("reports/PASS-12-votable-with-a-prefix", "measure catalog.vot --image image.fits"),
]
MEASURED = [
    Case(
        "reports/11-unit-per-square-arcsec",
        "classify catalog.csv --image uJy_arcsec2.fits --survey nircam --band F200W",
        rows=5,
    ),
    Case("reports/12-several-chips-in-one-file", "measure catalog.csv --image x_flc.fits", rows=5),
    Case("reports/23-labels-of-64-bits", f"{MEASURE} --segmentation segmap.fits", rows=5),
    Case(
        "reports/28-names-that-pandas-made-floats",
        "classify labels.csv --image stamps --survey sdss --band RGB --file GalaxyID",
        rows=2,
    ),
    Case("reports/29-names-decomposed-by-macos", "classify labels.csv --image stamps --survey sdss --band RGB", rows=2),
    Case("reports/PASS-13-odd-pictures", "classify labels.csv --image stamps --survey sdss --band RGB", rows=6),
    Case("reports/31-cube-of-three-bands", "measure catalog.csv --image cutout.fits --survey legacy --band r", rows=5),
]
COUNTED = [
    Case("faults/01-ecsv-hash-rows-lost", f"measure hash.fits {H_IMAGE}", rows=3, output="o.ecsv"),
    Case("faults/08-csv-cell-over-131072", f"measure long.csv {H_IMAGE}", rows=1, output="o.csv"),
    Case("faults/13-refused-only-after-the-work", f"measure uni.csv {H_IMAGE}", rows=1),
]
REFUSED = [
    Case("reports/03-rms-asked-but-none-there", "measure catalog.csv --image x_i2d.fits --rms x_i2d.fits", "SCI"),
    Case("reports/09-pixels-not-square-on-the-sky", "measure catalog.csv --image car.fits", "not square"),
    Case("reports/21-votable-with-external-stream", "measure catalog.vot --image image.fits", "STREAM"),
    Case("reports/22-lzw-compressed-image", "measure catalog.csv --image image.fits.Z", "uncompress"),
    Case("reports/24-too-wide-found-at-the-end", "measure catalog.fits --image image.fits", "999"),
    Case(
        "faults/03-overwrite-replaces-an-image",
        "measure cat.fits --image sci.fits[0] --survey candels --band H",
        "image",
        output="sci.fits",
    ),
    Case(
        "faults/06-fz-corrupted-tile", "measure cat.fits --image segv.fits.fz --survey candels --band H", "segv.fits.fz"
    ),
    Case("faults/09-fits-negative-size-endless", f"measure neg.fits {H_IMAGE}", "neg.fits"),
    Case("faults/09-fits-negative-size-endless", f"measure neg2.fits {H_IMAGE}", "neg2.fits"),
    Case("faults/10-fits-huge-counts-endless", f"measure naxis.fits {H_IMAGE}", "999"),
    Case("faults/10-fits-huge-counts-endless", f"measure tfields.fits {H_IMAGE}", "999"),
    Case("faults/10-fits-huge-counts-endless", "measure cat.fits --image image.fits --survey candels --band H", "999"),
    Case(
        "faults/22-small-tracebacks",
        f"measure {SAMPLE}/catalog.fits --image {SAMPLE}/image.fits.gz --survey survey.toml --band H",
        "survey.toml",
    ),
]
EITHER = [
    Case("faults/06-fz-corrupted-tile", "measure cat.fits --image corrupt.fits.fz --survey candels --band H"),
    Case("faults/12-angle-regex-quadratic", f"measure redos.csv {H_IMAGE}", output="o.csv"),
    Case("faults/13-refused-only-after-the-work", f"measure recur.ecsv {H_IMAGE}"),
    *(
        Case("faults/14-fits-card-types-traceback", f"measure {name}.fits {H_IMAGE}")
        for name in ("corrupthdu", "gz", "null", "tbcol", "toolong", "ttype", "tunit")
    ),
    *(
        Case("faults/15-parquet-metadata-traceback", f"measure {name}.parquet {H_IMAGE}", output="o.parquet")
        for name in ("content", "unit", "yaml")
    ),
    *(
        Case("faults/16-votable-traceback", f"measure {name}.vot {H_IMAGE}", output="o.vot")
        for name in ("doctype", "nest", "unpack")
    ),
    *(
        Case("faults/21-image-header-types-traceback", f"measure cat.fits --image {name} --survey candels --band H")
        for name in ("ctype.fits.fz", "cpdis.fits.fz", "radesys.fits")
    ),
    Case(
        "faults/21-image-header-types-traceback",
        "measure xy.csv --image radii.fits --x px --y py --survey candels --band H",
    ),
]
HELD = {
    "faults/04-output-replaces-device-node": "test_a_pipe_or_a_loop_of_links_is_refused",
    "faults/05-image-shrinks-sigbus": "test_a_file_cut_short_while_it_is_read_loses_only_what_is_gone",
    "faults/07-nan-weights-not-flagged": "test_a_weight_that_is_not_finite_is_refused_by_name",
    "faults/18-killed-leaves-files": "test_what_a_killed_run_left_is_removed_and_nothing_of_the_living_or_of_other_"
    "hosts",
    "faults/19-fifo-and-endless-files": "test_what_is_no_file_is_refused",
    "faults/20-bombs-memoryerror": "test_a_member_of_a_zip_that_expands_too_far_is_not_expanded",
    "faults/23-two-writers": "test_the_second_of_two_writers_is_told",
    "faults/24-answer-depends-on-other-rows": "test_rows_of_a_tile_of_many_blocks",
    "faults/25-onnx-weights-not-checked": "test_a_file_with_other_weights_is_refused",
}
"""Those that are no files but races, kills and nodes, and which test of the project holds their kind."""


@pytest.fixture
def run(galmorph, tmp_path, monkeypatch):
    """Run a case in a copy of its folder."""

    def command(case: Case):
        if not (CASES / case.folder).is_dir():
            pytest.skip("the folder of troublesome files (../shared/cases) is not here")
        folder = shutil.copytree(CASES / case.folder, tmp_path / "case")
        monkeypatch.chdir(folder)
        overwrite = ["--overwrite"] if Path(case.output).exists() else []
        return galmorph(*case.arguments.split(), "-o", case.output, *overwrite)

    return command


def identified(case: Case) -> str:
    return f"{case.folder}-{case.arguments.split()[1]}"


def right_values(text: str) -> list[dict[str, float]]:
    """Return the values that a folder says are right; where it says none, those that came out were."""
    part = text.partition("Right values")[2] or text.partition("What came out")[2]
    lines = re.findall(r"^ +(rpet=.*)$", part, flags=re.MULTILINE)
    return [{key: float(value) for key, value in re.findall(r"(\w+)=(\S+)", line)} for line in lines]


def written(case: Case):
    return read_catalog(case.output).table


@pytest.mark.parametrize("case", BY_VALUE, ids=identified)
def test_values_are_right(case, run):
    outcome = run(case)
    assert outcome.status == 0, outcome.err
    made, right = written(case), right_values(Path("README.md").read_text(encoding="utf-8"))
    assert len(made) == len(right)
    for key, tolerance in TOLERANCE.items():
        expected = np.array([row.get(key, np.nan) for row in right])
        values = np.ma.filled(np.ma.asarray(made[f"gm_{key}"], dtype=float), np.nan)
        known = np.isfinite(expected)
        close = np.isclose(values, expected, rtol=tolerance, atol=0.005 if key == "ell" else 0)
        assert close[known].all(), f"{key}: {values}, right are {expected}"


@pytest.mark.parametrize("case", MEASURED, ids=identified)
def test_all_rows_are_measured(case, run):
    outcome = run(case)
    assert outcome.status == 0, outcome.err
    assert len(written(case)) == case.rows
    assert np.isfinite(np.ma.filled(np.ma.asarray(written(case)["gm_rpet"], dtype=float), np.nan)).all()


@pytest.mark.parametrize("case", COUNTED, ids=identified)
def test_no_row_is_lost(case, run):
    outcome = run(case)
    assert outcome.status == 0, outcome.err
    assert len(written(case)) == case.rows


@pytest.mark.parametrize("case", REFUSED, ids=identified)
def test_what_cannot_be_right_is_refused_in_one_line(case, run):
    outcome = run(case)
    assert outcome.status == 1, outcome.err
    last = outcome.err.strip().splitlines()[-1]
    assert last.startswith("galmorph: ")
    assert re.search(case.refused or "", last), last
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize("case", EITHER, ids=identified)
def test_the_rest_is_measured_or_refused_in_one_line(case, run):
    outcome = run(case)
    assert outcome.status in (0, 1), outcome.err
    assert "Traceback" not in outcome.err
    if outcome.status == 1:
        assert outcome.err.strip().splitlines()[-1].startswith("galmorph: "), outcome.err
    assert Path(case.output).exists() == (outcome.status == 0)


def test_every_folder_is_tried_or_held_by_a_test_of_its_kind():
    if not CASES.is_dir():
        pytest.skip("the folder of troublesome files (../shared/cases) is not here")
    tried = {case.folder for case in (*BY_VALUE, *MEASURED, *COUNTED, *REFUSED, *EITHER)} | HELD.keys()
    present = {path.parent.relative_to(CASES).as_posix() for path in CASES.glob("*/*/README.md")}
    assert present - tried == set()


def test_tests_that_hold_a_kind_exist():
    tests = "\n".join(p.read_text(encoding="utf-8") for p in Path(__file__).parents[1].rglob("test_*.py"))
    assert [name for name in HELD.values() if f"def {name}(" not in tests] == []
