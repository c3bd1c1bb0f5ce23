"""The same rows in the same order with all their columns, whatever format they come in and go out."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess

import fitsio
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import small_sky
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.io.votable import parse
from astropy.table import Table

import galmorph
from galmorph.errors import CatalogError
from galmorph.flags import MEANINGS, decode
from galmorph.sky.catalog import read_catalog

ENDINGS = (".fits", ".vot", ".ecsv", ".csv", ".parquet")
CARDS = ("GMVERS", "GMDATE", "GMSURVEY", "GMBAND", "GMMODEL", "GMMODVER", "GMSHA256", "GMRECIPE", "GMSCHEME")
H = {"survey": "candels", "band": "H"}
_ANSWERS = ("spheroid", "disk", "irregular", "point_source", "unclassifiable")
UCDS = {
    "gm_class": "src.morph.type",
    **{f"gm_p_{answer}": "stat.probability;src.morph.type" for answer in _ANSWERS},
    "gm_conf": "stat.confidenceLevel",
    "gm_set": "src.morph.type",
    "gm_racen": "pos.eq.ra",
    "gm_deccen": "pos.eq.dec",
    "gm_pos_err": "stat.error;pos",
    "gm_rpet": "phys.angSize;src.morph",
    "gm_rpet_err": "stat.error;phys.angSize",
    "gm_r50": "phys.angSize;src.morph",
    "gm_snr": "stat.snr",
    "gm_flags": "meta.code.qual",
    "gm_model": "meta.version;meta.software",
}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory, sky, h_checkpoint):
    """Classify the small sky from every format into its own and, from FITS, into every other one."""
    folder = tmp_path_factory.mktemp("formats")
    made = {}
    for source, target in [(e, e) for e in ENDINGS] + [(".fits", e) for e in ENDINGS[1:]]:
        path = folder / f"cat{source}"
        if not path.exists():
            small_sky.write_table(small_sky.table(), path)
        output = folder / f"{source[1:]}_to{target}"
        galmorph.classify(path, sky.image, weight=sky.weight, checkpoint=h_checkpoint, output=output, **H)
        made[source, target] = output
    return made


def cells(column) -> list:
    """Return the cells of a column as plain values, exact to the last bit."""
    values = [v.item() if hasattr(v, "item") else v for v in column]
    return [v.decode() if isinstance(v, bytes) else v for v in values]


def as_numbers(values: list) -> list:
    """CSV knows no types: ``True`` and ``1`` there are what they were."""
    return [{"True": True, "False": False}.get(v, v) if isinstance(v, str) else v for v in values]


@pytest.mark.parametrize("ending", ENDINGS)
def test_input_columns_come_back_to_the_last_bit(outputs, ending):
    path = outputs[ending, ending]
    before = read_catalog(path.parent / f"cat{ending}").table
    after = read_catalog(path).table
    assert after.colnames[: len(before.colnames)] == before.colnames
    assert len(after) == len(before) == len(small_sky.XY)
    for name in before.colnames:
        assert after[name].dtype == before[name].dtype, name
        assert cells(after[name]) == cells(before[name]), name
        assert after[name].unit == before[name].unit, name
        assert after[name].description == before[name].description, name


@pytest.mark.parametrize("ending", ENDINGS[1:])
def test_fits_goes_into_every_other_format_with_all_its_values(outputs, ending):
    made = small_sky.table()
    after = read_catalog(outputs[".fits", ending]).table
    assert after.colnames[: len(made.colnames)] == made.colnames
    for name in made.colnames:
        if made[name].dtype == np.float32:
            assert np.float32(after[name]).tolist() == made[name].tolist(), name
        else:
            assert as_numbers(cells(after[name])) == cells(made[name]), name
    if ending != ".csv":
        assert str(after["mag"].unit) == "mag"
        assert after["mag"].description == "total magnitude in H"


@pytest.mark.parametrize("ending", ENDINGS)
def test_new_columns_are_the_same_in_every_format(outputs, ending):
    expected = read_catalog(outputs[".fits", ".fits"]).table
    for path in (outputs[ending, ending], outputs.get((".fits", ending))):
        if path is None:
            continue
        found = read_catalog(path).table
        for name in [n for n in expected.colnames if n.startswith("gm_")]:
            if expected[name].dtype.kind == "f":
                np.testing.assert_allclose(found[name], expected[name], rtol=1e-6, atol=0, err_msg=name)
            else:
                assert cells(found[name]) == cells(expected[name]), name


def test_columns_of_fits_and_votable_have_units_descriptions_and_ucds(outputs):
    for path in (outputs[".fits", ".fits"], outputs[".vot", ".vot"], outputs[".fits", ".vot"]):
        table = read_catalog(path).table
        new = [n for n in table.colnames if n.startswith("gm_")]
        assert all(table[n].description for n in new)
        assert {n: table[n].info.meta["ucd"] for n in new} == UCDS
        units = {n: str(table[n].unit) for n in new if table[n].unit is not None}
        in_arcsec = dict.fromkeys(("gm_pos_err", "gm_rpet", "gm_rpet_err", "gm_r50"), "arcsec")
        assert units == {"gm_racen": "deg", "gm_deccen": "deg", **in_arcsec}
        assert table["mag"].description == "total magnitude in H"


def test_fits_rows_are_the_bytes_of_the_input(outputs):
    path = outputs[".fits", ".fits"]
    before, after = (fitsio.read(p, ext=1) for p in (path.parent / "cat.fits", path))
    for name in before.dtype.names:
        assert before[name].tobytes() == after[name].tobytes(), name


def test_fits_headers_keep_their_cards_and_gain_the_provenance(outputs, h_checkpoint):
    with fits.open(outputs[".fits", ".fits"], checksum=True) as hdus:
        header = hdus[1].header
        hdus.verify("exception")
    assert header["ORIGIN"] == "small sky"
    assert all(card in header for card in CARDS)
    assert header["GMMODEL"] == "untaught"
    assert header["GMSHA256"] == galmorph.load_checkpoint(h_checkpoint).sha256
    assert (header["GMSURVEY"], header["GMBAND"], header["GMSCHEME"]) == ("candels", "H", "candels-visual")
    assert [header[f"GMFLAG{n:02d}"] for n in range(len(MEANINGS))] == [f.name for f in MEANINGS]
    history = squeezed("".join(header["HISTORY"]))
    assert "galmorph.classify" in history
    assert "catalog:cat.fitssha256" in history
    assert "image:image.fits" in history
    assert all(squeezed(meaning) in history for meaning in MEANINGS.values())


def squeezed(text: str) -> str:
    """Leave out spaces: long lines are broken at some of them."""
    return "".join(text.split())


def test_other_formats_carry_the_provenance_too(outputs):
    votable = parse(outputs[".vot", ".vot"])
    infos = {i.name for i in [*votable.infos, *votable.resources[0].infos, *votable.get_first_table().infos]}
    assert {"GMMODEL", "GMSHA256"} <= infos
    assert "untaught" in outputs[".ecsv", ".ecsv"].read_text()
    metadata = b" ".join(b" ".join(pair) for pair in pq.read_schema(outputs[".parquet", ".parquet"]).metadata.items())
    assert b"GMMODEL" in metadata
    assert b"untaught" in metadata


def test_the_command_line_is_in_the_history_as_it_can_be_typed_again(classified, tmp_path):
    output = tmp_path / "a result.fits"
    assert classified(output).status == 0
    history = squeezed("".join(fits.getheader(output, 1)["HISTORY"]))
    assert "galmorphclassify" in history
    assert squeezed(f"-o '{output}'") in history


def test_a_name_with_accents_is_no_obstacle(classified, sky, tmp_path):
    folder = tmp_path / "été"
    folder.mkdir()
    for ending in ENDINGS:
        path = small_sky.write_table(small_sky.table(), folder / f"données{ending}")
        done = classified(folder / f"résultat{ending}", catalog=path)
        assert done.status == 0, done.err
        assert len(read_catalog(folder / f"résultat{ending}").table) == len(small_sky.XY)
    assert sky.catalog.exists()


def test_a_gzip_catalogue_gives_a_plain_one_named_after_it(galmorph, sky, h_checkpoint, tmp_path, monkeypatch):
    (tmp_path / "egs.fits.gz").write_bytes(gzip.compress(sky.catalog.read_bytes()))
    monkeypatch.chdir(tmp_path)
    done = galmorph(
        *("classify", "egs.fits.gz", "--image", sky.image, "--survey", "candels", "--band", "H"),
        *("--checkpoint", h_checkpoint),
    )
    assert (done.status, done.out) == (0, "egs.galmorph.fits\n")
    assert len(fits.getdata(tmp_path / "egs.galmorph.fits", 1)) == len(small_sky.XY)


@pytest.mark.parametrize(("name", "result"), [("egs.dat", "egs.galmorph.fits"), ("a.b.csv", "a.b.galmorph.csv")])
def test_results_are_named_after_the_catalogue(galmorph, sky, tmp_path, monkeypatch, name, result):
    Table({"x": small_sky.XY[:, 0], "y": small_sky.XY[:, 1]}).write(tmp_path / name, format="ascii.csv")
    monkeypatch.chdir(tmp_path)
    done = galmorph("measure", name, "--image", sky.image)
    assert (done.status, done.out) == (0, f"{result}\n")
    assert len(read_catalog(tmp_path / result).table) == len(small_sky.XY)


def test_a_result_is_never_written_over_its_own_catalogue(galmorph, sky, tmp_path):
    path = small_sky.write_table(small_sky.table(), tmp_path / "cat.fits")
    before = path.read_bytes()
    done = galmorph("measure", path, "--image", sky.image, "-o", path, "--overwrite")
    assert done.status == 1
    assert "never replaces its input" in done.err
    assert path.read_bytes() == before


def test_pandas_in_pandas_out(sky, h_checkpoint):
    frame = small_sky.table().to_pandas()
    frame.index = [f"row {n}" for n in range(len(frame))]
    frame.attrs["origin"] = "here"
    before = frame.copy(deep=True)
    out = galmorph.classify(frame, sky.image, checkpoint=h_checkpoint, **H)
    pd.testing.assert_frame_equal(frame, before)
    assert frame.attrs == {"origin": "here"}
    assert isinstance(out, pd.DataFrame)
    pd.testing.assert_frame_equal(out[list(frame.columns)], before)
    assert out.attrs["GMMODEL"] == "untaught"
    assert out.attrs["origin"] == "here"
    assert out["gm_class"].iloc[0] in {"spheroid", "disk", "irregular", "point_source", "unclassifiable"}
    assert out["gm_flags"].dtype == np.int32


def test_features_are_cells_of_a_frame_and_new_columns_alone_a_frame_too(sky, h_checkpoint):
    """Several numbers in each row ended in a traceback, after all of the work."""
    table = small_sky.table()
    frame = table.to_pandas().set_axis([f"row {n}" for n in range(len(table))])
    features = galmorph.embed(table, sky.image, checkpoint=h_checkpoint, **H)["gm_features"]
    for whole in (True, False):
        out = galmorph.embed(frame, sky.image, checkpoint=h_checkpoint, whole=whole, **H)
        assert isinstance(out, pd.DataFrame)
        assert out.index.tolist() == frame.index.tolist()
        assert list(out.columns[:2]) == (list(frame.columns[:2]) if whole else ["gm_racen", "gm_deccen"])
        np.testing.assert_array_equal(np.stack(out["gm_features"]), features)
        assert out.attrs["GMMODEL"] == "untaught"
    some = frame.assign(gm_features=out["gm_features"])
    assert len(galmorph.outliers(some)) == len(frame)


def test_a_retry_makes_the_table_anew_and_has_no_new_columns_alone(sky, h_checkpoint):
    with pytest.raises(CatalogError, match="whole = False was given with retry"):
        galmorph.classify(small_sky.table(), sky.image, checkpoint=h_checkpoint, retry=True, whole=False, **H)


def test_a_frame_with_repeated_index_keeps_its_rows(sky, h_checkpoint):
    frame = small_sky.table().to_pandas()
    frame.index = [0] * len(frame)
    out = galmorph.classify(frame, sky.image, checkpoint=h_checkpoint, **H)
    assert out["id"].tolist() == frame["id"].tolist()
    assert out["gm_conf"].notna().all()


def test_astropy_in_astropy_out(sky, h_checkpoint):
    table = small_sky.table()
    out = galmorph.classify(table, sky.image, checkpoint=h_checkpoint, **H)
    assert isinstance(out, Table)
    assert table.colnames == small_sky.table().colnames
    assert table.meta == {"ORIGIN": "small sky"}
    assert out.meta["ORIGIN"] == "small sky"
    assert out.meta["GMMODEL"] == "untaught"
    assert str(out["gm_rpet"].unit) == "arcsec"
    for name in table.colnames:
        assert cells(out[name]) == cells(small_sky.table()[name])
    out["mag"][0] = 99
    assert table["mag"][0] == 20.0


def test_a_masked_table_and_a_quantity_column_survive(sky, h_checkpoint):
    table = Table(small_sky.table(), masked=True)
    table["mag"].mask[2] = True
    out = galmorph.classify(table, sky.image, checkpoint=h_checkpoint, **H)
    assert out["mag"].mask.tolist() == table["mag"].mask.tolist()
    assert np.isfinite(out["gm_conf"]).all()


def header_of(path) -> dict[str, str]:
    """Read the cards of an output by astropy alone."""
    if path.suffix != ".vot":
        return {key: str(value) for key, value in Table.read(path).meta.items()}
    document = parse(path)
    places = [document, *document.resources, *(t for r in document.resources for t in r.tables)]
    return {info.name: str(info.value) for place in places for info in place.infos}


@pytest.mark.parametrize("ending", [e for e in ENDINGS if e != ".csv"])
def test_the_flags_of_every_output_decode_themselves(outputs, ending):
    """Names of bits are in the header, so that a script needs no galmorph."""
    cards = header_of(outputs[".fits", ending])
    names = {int(key[6:]): value for key, value in cards.items() if re.fullmatch(r"GMFLAG\d\d", key)}
    assert names == {bit: flag.name for bit, flag in enumerate(MEANINGS)}
    assert "GMALLROW" in cards
    flags = np.asarray(Table.read(outputs[".fits", ending])["gm_flags"])
    assert [[n for b, n in names.items() if value >> b & 1] for value in flags.tolist()] == decode(flags)


@pytest.mark.parametrize("ending", ENDINGS)
def test_astropy_guesses_the_positions_of_every_output(outputs, ending):
    """Those of the input, not the measured ones."""
    table = Table.read(outputs[".fits", ending])
    guessed = SkyCoord.guess_from_table(table, unit="deg")
    expected = small_sky.table()
    apart = guessed.separation(SkyCoord(expected["ra"], expected["dec"], unit="deg"))
    assert apart.arcsec.max() < 1e-6


def test_what_astropy_guesses_of_an_input_it_guesses_of_its_output(sky, h_checkpoint):
    """Whatever else the input has: several positions, errors, other frames."""
    source = small_sky.table()
    others = ("pm_ra", "RA_err", "l", "b", "glon", "racen", "x", "my_dec", "ra2", "distance")
    for names in ((), *((name,) for name in others), others):
        table = source.copy()
        for name in names:
            table[name] = np.linspace(1.0, 2.0, len(table))
        result = galmorph.classify(table, sky.image, checkpoint=h_checkpoint, ra="ra", dec="dec", workers=1, **H)
        assert guessed_or_why(result) == guessed_or_why(table), names


def guessed_or_why(table) -> object:
    """Return the positions that astropy guesses, or why it does not."""
    try:
        guessed = SkyCoord.guess_from_table(table, unit="deg")
    except (ValueError, u.UnitsError) as error:
        return type(error)
    return guessed.ra.deg.tolist(), guessed.dec.deg.tolist()


@pytest.mark.skipif(shutil.which("fitsverify") is None, reason="fitsverify is not installed")
def test_fitsverify_finds_no_fault(outputs):
    done = subprocess.run(
        ["fitsverify", "-q", str(outputs[".fits", ".fits"])], capture_output=True, text=True, check=False, timeout=60
    )
    assert "OK" in done.stdout, done.stdout
