"""The mission's sentence for JWST: compressed mosaics of the DAWN archive, and pointings as MAST has them."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import small_sky
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from loopback import Loopback, serving

import galmorph
from galmorph.cli import main
from galmorph.shipped import shipped

DAWN = "/grizli-v2/JwstMosaics/v7/"
MAST = "/hlsps/ceers/"
XY = small_sky.XY


def header(scale_arcsec: float) -> fits.Header:
    cards = small_sky.header(scale_arcsec, None)
    cards["CRVAL1"], cards["CRVAL2"] = 214.9, 52.88
    return cards


def pixels() -> np.ndarray:
    return 50 * small_sky.field()


def of_dawn() -> dict[str, bytes]:
    """Return image and weight as grizli writes them: 10 nJy, compressed as a whole."""
    cards = header(0.04)
    cards.update({"BUNIT": "10.0*nanoJansky", "PHOTFNU": 1e-8, "FILTER": "F200W", "PUPIL": "CLEAR", "TELESCOP": "JWST"})
    weight = np.full((small_sky.SIDE,) * 2, (50 * small_sky.SIGMA) ** -2, np.float32)
    root = f"{DAWN}ceers-full-grizli-v7.4-f200w-clear_drc_"
    planes = {"sci": pixels(), "wht": weight}
    return {f"{root}{name}.fits.gz": compressed(fits.PrimaryHDU(plane, cards)) for name, plane in planes.items()}


def of_mast() -> dict[str, bytes]:
    """Return a file as the JWST pipeline writes it: several HDUs, MJy/sr."""
    cards = header(0.03)
    cards["BUNIT"] = "MJy/sr"
    primary = fits.PrimaryHDU(header=fits.Header({"FILTER": "F200W", "TELESCOP": "JWST", "INSTRUME": "NIRCAM"}))
    planes = {"SCI": pixels(), "ERR": np.full_like(pixels(), 50 * small_sky.SIGMA), "WHT": np.ones_like(pixels())}
    hdus = [fits.ImageHDU(plane, cards, name=name) for name, plane in planes.items()]
    return {f"{MAST}hlsp_ceers_jwst_nircam_nircam4_f200w_dr0.6_i2d.fits.gz": compressed(primary, *hdus)}


def compressed(*hdus) -> bytes:
    stream = io.BytesIO()
    fits.HDUList(list(hdus)).writeto(stream)
    return gzip.compress(stream.getvalue(), 1)


def rows(scale_arcsec: float) -> Table:
    ra, dec = WCS(header(scale_arcsec)).all_pix2world(XY[:, 0], XY[:, 1], 0)
    return Table({"ra": ra, "dec": dec})


@pytest.fixture
def archive(tmp_path, monkeypatch) -> Iterator[Loopback]:
    monkeypatch.setenv("GALMORPH_CACHE", str(tmp_path / "cache"))
    with serving() as loopback:
        loopback.files |= of_dawn() | of_mast()
        yield loopback


def survey_file(folder: Path, archive: Loopback) -> str:
    text = (shipped("catalogs") / "surveys" / "nircam.toml").read_text(encoding="utf-8")
    for host in ("https://s3.amazonaws.com", "https://archive.stsci.edu"):
        assert host in text
        text = text.replace(host, archive.base)
    path = folder / "nircam.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_mosaics_of_the_dawn_archive_answer_with_the_usual_checkpoint(archive: Loopback, tmp_path):
    rows(0.04).write(tmp_path / "catalog.fits")
    words = ["--survey", survey_file(tmp_path, archive), "--band", "F200W", "-o", str(tmp_path / "out.fits")]
    assert main(["classify", str(tmp_path / "catalog.fits"), *words]) == 0
    out = Table.read(tmp_path / "out.fits")
    assert "nircam-f200w" in out["gm_model"][0]
    assert (np.char.str_len(out["gm_class"].astype(str)) > 0).all()
    assert not any(MAST in request.path for request in archive.requests), "only by name"


@pytest.mark.parametrize(
    ("field", "scale", "mjysr"),
    [(None, 0.04, 1e-14 / ((0.04 * np.pi / 648000) ** 2)), ("ceers-4", 0.03, 1.0)],
    ids=["dawn", "mast"],
)
def test_units_and_values_are_those_of_the_files(archive: Loopback, tmp_path, field, scale, mjysr):
    survey = galmorph.load_survey(survey_file(tmp_path, archive))
    ours = galmorph.measure(rows(scale), survey=survey, band="F200W", field=field)
    for n, (path, content) in enumerate((of_mast() if field else of_dawn()).items()):
        (tmp_path / f"{n}{path.rpartition('_')[2]}").write_bytes(content)
    image = next(tmp_path.glob("0*.fits.gz"))
    weight = next(tmp_path.glob("1*.fits.gz"), ())
    local = galmorph.measure(rows(scale), image, weight=weight, survey="nircam", band="F200W")
    for name in ("gm_rpet", "gm_snr", "gm_flags"):
        np.testing.assert_array_equal(np.asarray(ours[name]), np.asarray(local[name]), err_msg=name)
    source = galmorph.open_images(image, survey=survey, band="F200W")
    assert source.mjysr_per_unit(0) == pytest.approx(mjysr, rel=1e-3)
