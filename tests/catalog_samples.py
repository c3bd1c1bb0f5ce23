"""Samples: small catalogues, and the columns that are appended to them."""

from __future__ import annotations

import numpy as np
from astropy.io import fits
from astropy.table import Table

from galmorph.sky.catalog import Column, Provenance

ROWS = 5
LONG = "the probability that people would call it smooth, from the mean of the eight orientations of the stamp"
PROVENANCE = Provenance(
    (
        ("GMMODEL", "nircam-f200w", "checkpoint"),
        ("GMHASH", "0123456789abcdef" * 8, "SHA-256 of the checkpoint"),
        ("GMQUOTE", "it's a galaxy", ""),
    ),
    ("galmorph classify egs.fits --image " + "a_long_path/" * 12 + "egs.fits", "second line"),
)


def columns(rows: int = ROWS) -> list[Column]:
    """Return one appended column of each type."""
    classes = np.array(["disk", "", "spheroid <&>", 'point "source"', "irregular, very"] * rows)[:rows]
    return [
        Column("gm_class", classes, "", "most probable class", "src.morph.type"),
        Column("gm_p_smooth", _floats(rows, "f4"), "", LONG, "stat.probability;src.morph.type"),
        Column("gm_ra", _floats(rows, "f8"), "deg", "right ascension of the centroid", "pos.eq.ra"),
        Column("gm_rpet", _floats(rows, "f4"), "arcsec", "Petrosian radius", "phys.angSize;src.morph"),
        Column("gm_flags", np.arange(rows, dtype=np.int32), "", "reasons for doubt", "meta.code.qual"),
        Column("gm_count", np.arange(rows, dtype=np.int64) + 2**40, "", "a number", "meta.number"),
    ]


def _floats(rows: int, kind: str) -> np.ndarray:
    values = (np.arange(rows) / 3.0).astype(kind)
    values[1:2] = np.nan
    return values


def table() -> Table:
    """Return a table with a unit, a description, a UCD and header cards."""
    out = Table(
        {
            "source": np.arange(ROWS) + 10**17,
            "ra": np.linspace(10, 50, ROWS),
            "dec": np.linspace(-20, 20, ROWS),
            "mag": np.linspace(20, 24, ROWS).astype("f4"),
            "note": ["a", "b c", "", "d", "e"],
            "good": [True, False, True, True, False],
        }
    )
    out["mag"].unit, out["mag"].description = "mag", "total magnitude"
    out["mag"].meta["ucd"] = "phot.mag"
    out["source"].meta["ucd"] = "meta.id;meta.main"
    out.meta = {"SURVEY": "EGS", "YEAR": 2000.0}
    return out


def fits_with_everything() -> fits.HDUList:
    """Return an image, a catalogue with every kind of column and card, and a second table."""
    lists = np.empty(ROWS, dtype=object)
    for i in range(ROWS):
        lists[i] = np.arange(i, dtype="f4")
    rng = np.random.default_rng(1)
    made = [
        fits.Column("ID", "K", array=np.arange(ROWS) + 10**17),
        fits.Column("RA", "D", unit="deg", array=np.linspace(10, 50, ROWS)),
        fits.Column("DEC", "D", unit="deg", array=np.linspace(-20, 20, ROWS)),
        fits.Column("SPEC", "PE()", array=lists),
        fits.Column("BITS", "11X", array=rng.random((ROWS, 11)) > 0.5),
        fits.Column("SCALED", "E", bscale=0.01, bzero=5, array=np.linspace(5, 6, ROWS)),
        fits.Column("NUL", "J", null=-99, array=np.array([1, -99, 3, -99, 5])),
        fits.Column("U32", "J", bzero=2**31, array=np.array([0, 1, 2**31, 2**32 - 1, 7], dtype="u4")),
        fits.Column("ODD", "E", unit="furlongs/fortnight^2", array=np.arange(ROWS)),
        fits.Column("MAGS", "3E", unit="mag", array=np.arange(3.0 * ROWS).reshape(ROWS, 3)),
        fits.Column("MATRIX", "6D", dim="(2,3)", array=np.arange(6.0 * ROWS).reshape(ROWS, 3, 2)),
        fits.Column("NAME", "8A", array=["a", "bb", "", "NGC 1", "x"]),
        fits.Column("OK", "L", array=np.array([1, 0, 1, 0, 1], bool)),
    ]
    catalogue = fits.BinTableHDU.from_columns(made, name="CAT")
    header = catalogue.header
    header["TCOMM2"], header["TUCD2"], header["TUCD3"] = (
        "right ascension",
        "pos.eq.ra;meta.main",
        "pos.eq.dec;meta.main",
    )
    header["TCOMM10"] = "magnitudes in three apertures, " * 4
    header["LONG"] = "a very long value " * 9
    header["HIERARCH ESO DET NAME"] = "chip 3"
    header["OBS"] = (3.5, "with a comment")
    header.add_history("first step")
    header.add_comment("a comment")
    image = fits.ImageHDU(np.arange(100, dtype="i2").reshape(10, 10), name="IMG")
    other = fits.BinTableHDU.from_columns([fits.Column("q", "J", array=[1, 2])], name="OTHER")
    return fits.HDUList([fits.PrimaryHDU(), image, catalogue, other])


def assert_same_values(one: object, two: object) -> None:
    """Compare two columns: values, nulls; masked and NaN are the same null."""
    first, second = (np.ma.asarray(c) for c in (one, two))
    assert first.shape == second.shape
    if first.dtype.kind == "O":
        assert all(np.array_equal(a, b) for a, b in zip(first.data, second.data, strict=True))
        return
    if first.dtype.kind == "f":
        first, second = (np.ma.asarray(c, dtype=float).filled(np.nan) for c in (first, second))
        np.testing.assert_array_equal(first, second)
        return
    np.testing.assert_array_equal(np.ma.getmaskarray(first), np.ma.getmaskarray(second))
    np.testing.assert_array_equal(first.compressed(), second.compressed())
