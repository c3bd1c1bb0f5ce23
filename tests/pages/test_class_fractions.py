"""Class fractions by ``galmorph.count``: which rows, which bins, which questions, and what is written."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from astropy import units as u
from astropy.io.votable import ucd
from astropy.table import QTable, Table

import galmorph
from galmorph.cli import main
from galmorph.errors import CatalogError, CheckpointError, OutputError, SchemeError, UnknownNameError
from galmorph.flags import Flag
from galmorph.pages.class_fractions import ClassFractions
from galmorph.sky.catalog import read_catalog
from galmorph.sky.scheme import load_scheme

CLASSES = load_scheme("gz2-simple").keys
TREE = load_scheme("gz-ceers")


def result(rows: int = 300, seed: int = 1, **columns: object) -> Table:
    """Return a result of the five classes, whose spirals are among the bright."""
    rng = np.random.default_rng(seed)
    mag = rng.uniform(14.0, 17.0, rows)
    p = rng.dirichlet(np.full(len(CLASSES), 0.3), rows)
    p[:, -1] += np.where(mag < 15.5, 2.0, 0.0)
    p /= p.sum(axis=1, keepdims=True)
    table = Table({"mag": mag, "z": rng.uniform(0.0, 0.1, rows)})
    table["mag"].unit, table["mag"].info.meta = u.mag, {"ucd": "phot.mag;em.opt.R"}
    for name, values in zip(CLASSES, p.T, strict=True):
        table[f"gm_p_{name}"] = values.astype(np.float32)
    table["gm_flags"] = np.zeros(rows, np.int32)
    for name, values in columns.items():
        table[name] = values
    table.meta |= {"GMMODEL": "sdss-rgb", "GMSCHEME": "gz2-simple"}
    return table


def count(table: object, **arguments: Any) -> ClassFractions:
    """Count with fewer draws than usual."""
    return galmorph.count(table, **{"draws": 100, **arguments})


def test_the_mean_probability_is_that_of_the_rows_and_counts_are_of_the_likeliest():
    table = result()
    fractions = count(table)
    p = np.stack([table[f"gm_p_{name}"] for name in CLASSES], axis=1)
    assert fractions.table["answer"].tolist() == list(CLASSES)
    assert fractions.table["prob"] == pytest.approx(p.mean(axis=0), abs=1e-6)
    counts = np.bincount(p.argmax(axis=1), minlength=len(CLASSES))
    assert fractions.table["count"].tolist() == counts.tolist()
    assert fractions.table["raw"] == pytest.approx(counts / len(table))
    assert set(fractions.table["n"]) == {300}
    for method in ("raw", "prob", "pacc"):
        assert fractions.table[method].sum() == pytest.approx(1.0)
        ends = [fractions.table[f"{method}{end}"] for end in ("_low95", "_low", "", "_high", "_high95")]
        assert (np.diff(np.array(ends)[[0, 1, 3, 4]], axis=0) >= 0).all()


def test_binomial_limits_are_those_of_wilson():
    """Of 8 of 10, 68 %: Wilson (1927) with z = 1."""
    table = result(10)
    for i, name in enumerate(CLASSES):
        table[f"gm_p_{name}"] = np.where(np.arange(10) < 8, float(i == 0), float(i == 1))
    row = count(table).table[0]
    assert row["raw"] == 0.8
    assert row["raw_low"] == pytest.approx((0.8 + 0.05 - np.sqrt(0.016 + 0.0025)) / 1.1)
    assert row["raw_low95"] == pytest.approx(0.490, abs=0.001)
    assert row["raw_high95"] == pytest.approx(0.943, abs=0.001)


def test_rows_without_probabilities_and_flagged_rows_are_never_counted_silently():
    table = result(100)
    table["gm_flags"][:10] = int(Flag.OFF_EDGE | Flag.LOW_SNR)
    table["gm_flags"][10:20] = int(Flag.BAND_MISMATCH | Flag.BLEND)
    for name in CLASSES:
        table[f"gm_p_{name}"][5:25] = np.nan
    table["mag"][25:30] = np.nan
    fractions = count(table, by="mag", bins={"mag": [14.0, 15.0, 16.0]})
    outside = int((table["mag"][30:] > 16.0).sum())
    expected = {"cut by flags": 10, "no probabilities": 15, "no value of mag": 5, "outside the bins": outside}
    assert fractions.left_out == expected
    assert fractions.cut_by == {Flag.OFF_EDGE: 10, Flag.LOW_SNR: 10}
    assert fractions.counted + sum(fractions.left_out.values()) == fractions.rows == 100
    assert "10 left out: cut by flags (OFF_EDGE 10, LOW_SNR 10)" in fractions.remarks()
    assert count(table, cut="none").left_out == {"no probabilities": 20}
    assert count(table, cut="BLEND").left_out == {"cut by flags": 10, "no probabilities": 10}


def test_bins_hold_all_galaxies_and_follow_a_trend():
    fractions = count(result(1000), by="mag", bins={"mag": 4})
    table = fractions.table[fractions.table["answer"] == "spiral"]
    assert table["n"].tolist() == [250] * 4
    assert table["prob"][0] > 0.7
    assert table["prob"][3] < 0.4
    assert (table["mag_low"][1:] == table["mag_high"][:-1]).all()
    assert ((table["mag_low"] < table["mag_mean"]) & (table["mag_mean"] < table["mag_high"])).all()
    assert (table["mag_low"].unit, table["mag_low"].info.meta["ucd"]) == (u.mag, "phot.mag;em.opt.R;stat.min")


def test_bins_in_two_columns_are_all_pairs():
    table = result(400)
    fractions = count(table, by=["mag", "z"], bins={"mag": [14.0, 15.0, 17.0], "z": 2})
    rows = fractions.table[fractions.table["answer"] == "spiral"]
    assert rows["n"].sum() == 400
    assert len(rows) == len(fractions.bins) == 4
    for row in rows:
        inside = (table["mag"] >= row["mag_low"]) & (table["mag"] < row["mag_high"])
        inside &= (table["z"] >= row["z_low"]) & ((table["z"] < row["z_high"]) | (row["z_high"] == table["z"].max()))
        assert row["n"] == inside.sum()
        assert row["prob"] == pytest.approx(table["gm_p_spiral"][inside].mean(), abs=1e-6)


def test_an_empty_bin_has_no_shares():
    table = count(result(50), by="mag", bins={"mag": [10.0, 11.0, 17.0]}).table
    empty = table[table["n"] == 0]
    assert len(empty) == len(CLASSES)
    assert np.isnan(empty["prob"]).all()
    assert np.isnan(empty["mag_mean"]).all()


def test_weights_count_and_widen_errors():
    table = result(400)
    table["w"] = np.where(np.arange(400) % 2, 1.0, 9.0)
    table["w"][:4] = [0.0, -1.0, np.nan, 1.0]
    fractions = count(table, weight="w")
    assert fractions.left_out == {"no positive w": 3}
    w = np.asarray(table["w"][3:])
    assert fractions.table["prob"][-1] == pytest.approx(np.average(table["gm_p_spiral"][3:], weights=w), abs=1e-6)
    plain = count(table[3:])
    assert fractions.table["prob_err_galaxies"][-1] > 1.1 * plain.table["prob_err_galaxies"][-1]
    assert fractions.table["raw_err"][-1] > plain.table["raw_err"][-1]


def test_the_same_seed_gives_the_same_errors():
    one, again, other = (count(result(), seed=seed).table["pacc_err"].tolist() for seed in (3, 3, 4))
    assert one == again != other


def tree_result(rows: int = 500) -> Table:
    rng = np.random.default_rng(2)
    conditional = np.concatenate([rng.dirichlet(np.ones(len(q.answers)), rows) for q in TREE.questions], axis=1)
    table = Table({"mag": rng.uniform(20, 25, rows)}, meta={"GMMODEL": "nircam-f200w"})
    for name, values in zip(TREE.column_names(), TREE.marginals(conditional).T, strict=True):
        table[name] = values
    table["gm_flags"] = np.zeros(rows, np.int32)
    return table


def test_each_question_of_a_tree_is_counted_among_those_of_whom_it_is_asked():
    table = tree_result()
    fractions = count(table).table
    assert list(dict.fromkeys(fractions["question"].tolist())) == [q.name for q in TREE.questions]
    for question, where, parents in zip(TREE.questions, TREE.slices, TREE.parents, strict=True):
        rows = fractions[fractions["question"] == question.name]
        names = [TREE.column_names()[i] for i in range(where.start, where.stop)]
        sums = np.array([table[name].sum() for name in names])
        assert rows["prob"] == pytest.approx(sums / sums.sum(), abs=1e-6)
        asked = sum(table[TREE.column_names()[p]].sum() for p in parents) if parents else len(table)
        assert rows["asked"] == pytest.approx(asked)
        assert rows["count"].sum() == rows["reached"][0] <= rows["n"][0] == 500
        if parents:
            assert np.isnan(rows["pacc"]).all()  # of a question that is asked of some a card says nothing
        else:
            assert rows["pacc"].sum() == pytest.approx(1.0)
    first = fractions[fractions["question"] == TREE.questions[0].name]
    assert first["reached"][0] == 500
    only = count(table, question=TREE.questions[1].name).table
    assert set(only["question"]) == {TREE.questions[1].name}
    assert "of the question that everybody is asked" in count(table, question=TREE.questions[1].name).remarks()[-1]


def test_independent_answers_are_counted_one_by_one():
    keys = load_scheme("candels-visual").keys
    rng = np.random.default_rng(3)
    table = Table({f"gm_p_{key}": rng.uniform(0, 1, 200) for key in keys})
    table["gm_flags"] = np.zeros(200, np.int32)
    fractions = count(table, scheme="candels-visual", priors=dict.fromkeys(keys, 0.4)).table
    assert fractions["answer"].tolist() == list(keys)
    assert fractions["prob"] == pytest.approx([table[f"gm_p_{key}"].mean() for key in keys])
    assert fractions["raw"] == pytest.approx([(table[f"gm_p_{key}"] >= 0.5).mean() for key in keys])
    assert np.isfinite(fractions["prob_err"]).all()
    assert np.isnan(fractions["pacc"]).all()


@pytest.mark.parametrize("ending", [".fits", ".vot", ".ecsv", ".parquet", ".csv"])
def test_the_table_is_written_with_units_descriptions_and_provenance(tmp_path, ending):
    path = tmp_path / f"fractions{ending}"
    fractions = count(result(), by="mag", output=path, command="the command")
    written = read_catalog(path, positions=False).table
    assert written.colnames == fractions.table.colnames
    assert np.allclose(written["pacc_high95"], fractions.table["pacc_high95"], equal_nan=True)
    if ending == ".csv":
        return
    assert str(written["mag_low"].unit) == "mag"
    assert written["pacc"].description == fractions.table["pacc"].description
    meta = json.dumps(written.meta, default=str)
    assert all(word in meta for word in ("the command", "sdss-rgb", "300 of 300 rows counted"))
    if ending != ".csv":
        assert written.meta["GMCOUNT"] == "300"


def test_every_column_has_a_description_and_a_ucd_of_the_list():
    table = count(result(), by="mag").table
    for name in table.colnames:
        assert table[name].description, name
        assert ucd.check_ucd(table[name].info.meta["ucd"], check_controlled_vocabulary=True), name


def test_the_drawing_is_a_picture_of_its_own(tmp_path):
    path = tmp_path / "f.svg"
    count(result(), by=["mag", "z"], method="pacc", plot=path)
    text = path.read_text()
    root = ET.fromstring(text)
    assert root.tag.endswith("svg")
    assert "var(" not in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert all(name in text for name in CLASSES)
    assert "adjusted mean probability" in text
    with pytest.raises(OutputError, match="exists already"):
        count(result(), plot=path)
    count(result(), plot=path, overwrite=True)
    with pytest.raises(OutputError, match=r"ends in \.svg"):
        count(result(), plot=tmp_path / "f.png")


def test_a_hostile_name_does_not_break_the_drawing(tmp_path):
    table = result()
    table.rename_column("mag", "<b>&mag")
    count(table, by="<b>&mag", plot=tmp_path / "f.svg")
    ET.parse(tmp_path / "f.svg")


def test_quantities_are_counted_like_columns():
    table = result()
    one, other = (count(each, by="mag").table["pacc"].tolist() for each in (table, QTable(table)))
    assert one == pytest.approx(other)


def test_priors_are_those_that_are_given():
    table = result()
    same = dict.fromkeys(CLASSES, 0.2)
    usual, given = count(table), count(table, priors=same)
    assert given.table["prob_err"].tolist() != usual.table["prob_err"].tolist()
    assert given.table["prob"].tolist() == usual.table["prob"].tolist()


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"by": "magnitude"}, CatalogError, "no column 'magnitude'"),
        ({"by": ["mag", "z", "mag"]}, CatalogError, "one or two columns"),
        ({"by": "mag", "bins": {"z": 3}}, CatalogError, "add it to --by"),
        ({"by": "mag", "bins": {"mag": [15.0, 14.0]}}, CatalogError, "numbers that increase"),
        ({"by": "mag", "bins": {"mag": 0}}, CatalogError, "at least 1"),
        ({"by": "mag", "bins": {"mag": 5000}}, CatalogError, "at most 1000"),
        ({"weight": "w"}, CatalogError, "no column 'w'"),
        ({"cut": "BLENDED"}, UnknownNameError, "did you mean 'BLEND'"),
        ({"question": "bars"}, SchemeError, "unknown question"),
        ({"scheme": "gz1"}, CatalogError, "--scheme"),
        ({"prefix": "my_"}, CatalogError, "no column my_p_smooth_round"),
        ({"checkpoint": "sdss-rbg"}, CheckpointError, "did you mean 'sdss-rgb'"),
        ({"method": "mle"}, CheckpointError, "unknown method"),
        ({"priors": {"spiral": 1.0}}, SchemeError, "expected one for each answer"),
        ({"priors": {"spirals": 1.0}}, SchemeError, "did you mean 'spiral'"),
        ({"priors": dict.fromkeys(CLASSES, 2.0)}, SchemeError, "from 0 to 1"),
        ({"draws": 3}, CatalogError, "--draws"),
        ({"seed": -3}, CatalogError, "--seed"),
    ],
)
def test_mistakes_name_the_remedy(arguments, error, words):
    with pytest.raises(error, match=words):
        count(result(40), **arguments)


@pytest.mark.parametrize("role", ["by", "weight"])
def test_columns_without_numbers_are_refused(role):
    """All bins were empty, and all shares NaN."""
    table = result(40)
    table["name"] = "a"
    with pytest.raises(CatalogError, match="column 'name' has no numbers"):
        count(table, **{role: "name"})


def test_a_table_that_says_nothing_asks_for_the_scheme_and_pacc_for_a_card():
    table = result(40)
    table.meta.clear()
    with pytest.raises(SchemeError, match="name --checkpoint or --scheme"):
        count(table)
    without = count(table, scheme="gz2-simple")
    assert np.isnan(without.table["pacc"]).all()
    assert "galmorph evaluate --card enters it" in without.remarks()[-1]
    with pytest.raises(CheckpointError, match="whose card has it"):
        count(table, scheme="gz2-simple", method="pacc")


def test_a_checkpoint_that_is_not_here_and_another_version_are_said(caplog):
    table = result(40)
    table.meta |= {"GMSHA256": "0" * 64}
    count(table)
    assert "another version" in caplog.text
    table.meta["GMMODEL"] = "my-net"
    fractions = count(table)
    assert "name its file with --checkpoint" in caplog.text
    assert np.isnan(fractions.table["pacc"]).all()


def test_the_command_prints_a_line_for_each_bin_and_answer(tmp_path, capsys):
    result().write(tmp_path / "r.fits")
    words = ["count", str(tmp_path / "r.fits"), "--by", "mag", "--bins", "mag=14,15,17", "--method", "pacc"]
    assert main(words) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[0].split() == ["mag", "answer", "n", "raw", "pacc", "-", "+"]
    assert len(lines) == 1 + 2 * len(CLASSES)
    assert "300 of 300 rows counted" in printed.err
    assert main([*words, "--json"]) == 0
    read = json.loads(capsys.readouterr().out)
    assert (read["counted"], len(read["fractions"])) == (300, 10)
    assert read["fractions"][0]["answer"] == CLASSES[0]


def test_shares_by_prob_and_pacc_that_contradict_each_other_are_said():
    """Of galaxies of which is said what is said of spheroids, a third is not something else."""
    scheme, chances = load_scheme("candels-shares"), np.random.default_rng(4).dirichlet([6.0, 2.0, 0.2, 1.5, 0.1], 2000)
    table = Table({name: chances[:, i] for i, name in enumerate(scheme.column_names())})
    table["gm_flags"] = np.zeros(len(table), np.int32)
    doubt = count(table, checkpoint="candels-h").remarks()[-1]
    assert "by prob and by pacc differ by more than 3 errors, spheroid most" in doubt


def test_the_table_goes_to_standard_output(tmp_path, capsys):
    result().write(tmp_path / "r.fits")
    assert main(["count", str(tmp_path / "r.fits"), "-o", "-"]) == 0
    printed = capsys.readouterr()
    lines = [line for line in printed.out.splitlines() if not line.startswith("#")]
    assert lines[0].startswith("question")
    assert len(lines) == 1 + len(CLASSES)
    assert "300 of 300 rows counted" in printed.err
