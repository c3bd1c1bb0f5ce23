"""ClassAgreement: counts, shares, kappa and bins, from columns of classes or of shares."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table
from well_formed import parsed

from galmorph import compare
from galmorph.cli import main
from galmorph.errors import CatalogError, OutputError
from galmorph.sky.catalog import read_catalog

CLASSES = ["disk", "spheroid", "irregular"]


def sky(classes: list[str], **columns: object) -> Table:
    """Return galaxies a degree apart, with a class each."""
    table = Table({"ra": np.arange(len(classes), dtype=float), "dec": np.zeros(len(classes)), "type": classes})
    for name, values in columns.items():
        table[name] = values
    return table


def drawn(seed: int, rows: int = 3000) -> tuple[Table, Table]:
    """Return two catalogues whose classes agree for most of the bright galaxies and few of the faint."""
    rng = np.random.default_rng(seed)
    truth, mag = rng.choice(CLASSES, rows), rng.uniform(18, 24, rows)
    wrong = rng.uniform(size=rows) < (mag - 18) / 8
    ours = sky(truth.tolist(), mag=mag)
    ours.rename_column("type", "gm_class")
    theirs = sky(np.where(wrong, rng.choice(CLASSES, rows), truth).tolist())
    ours["ra"], theirs["ra"] = (np.arange(rows) % 360.0 for _ in range(2))
    ours["dec"], theirs["dec"] = (np.arange(rows) // 360 * 1.0 for _ in range(2))
    return ours, theirs


def test_galaxies_are_counted_by_both_classes():
    ours, theirs = sky(["a", "a", "b", "b", ""]), sky(["a", "b", "b", "b", "a"])
    agreement = compare(ours, theirs, radius="1arcsec", ours="type", theirs="type")
    assert agreement.classes == ("a", "b")
    assert agreement.counts.tolist() == [[[1, 0], [1, 2]]]
    assert (agreement.pairs, agreement.galaxies.tolist(), agreement.rows) == (5, [4], (5, 5))
    assert agreement.agreeing.tolist() == [0.75]


def test_kappa_is_that_of_the_definition():
    """The example of Cohen (1960): 20 + 15 of 50 agree, by chance half: kappa .4."""
    ours = sky(["yes"] * 25 + ["no"] * 25)
    theirs = sky(["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15)
    kappa, error = compare(ours, theirs, radius="1arcsec", ours="type", theirs="type").kappa
    assert kappa[0] == pytest.approx(0.4)
    assert error[0] == pytest.approx(np.sqrt(0.7 * 0.3 / 50) / 0.5)


def test_kappa_of_one_class_is_none():
    agreement = compare(sky(["a"]), sky(["a"]), radius="1arcsec", ours="type", theirs="type")
    assert np.isnan(agreement.kappa[0]).all()


def test_of_shares_the_largest_counts_and_two_that_are_equal_are_no_class():
    votes = {"p_s": [0.7, 0.2, 0.5, np.nan, np.nan], "p_f": [0.3, 0.8, 0.5, 0.1, np.nan]}
    theirs = sky([""] * 5, **votes)
    ours = sky(["smooth", "smooth", "smooth", "featured", "smooth"])
    agreement = compare(ours, theirs, radius="1arcsec", ours="type", theirs={"smooth": "p_s", "featured": "p_f"})
    assert agreement.classes == ("featured", "smooth")
    assert agreement.counts[0].tolist() == [[1, 1], [0, 1]]


def test_names_of_either_catalogue_may_stand_for_one_class():
    ours, theirs = sky(["disk", "spheroid", "point"]), sky(["Sb", "E", "S0"])
    names = {"Sb": "late", "disk": "late", "E": "early", "S0": "early", "spheroid": "early"}
    agreement = compare(ours, theirs, radius="1arcsec", ours="type", theirs="type", names=names)
    assert agreement.classes == ("early", "late", "point")
    assert agreement.agreeing[0] == pytest.approx(2 / 3)


def test_bins_of_magnitude_hold_all_galaxies_and_agreement_falls():
    agreement = compare(*drawn(1), radius="1arcsec", theirs="type", magnitude="mag")
    assert agreement.edges.tolist() == [18, 19, 20, 21, 22, 23, 24]
    assert agreement.counts[1:].sum(axis=0).tolist() == agreement.counts[0].tolist()
    assert agreement.agreeing[1] > 0.9
    assert agreement.agreeing[6] < 0.6
    assert agreement.kappa[0][1] > 0.85 > agreement.kappa[0][6]
    named = compare(*drawn(1), radius="1arcsec", theirs="type", magnitude="mag", edges=[20, 21])
    assert named.galaxies[1] == agreement.galaxies[3]


def test_intervals_hold_the_truth_in_two_thirds_of_the_cases():
    inside = []
    for seed in range(60):
        agreement = compare(*drawn(seed, rows=300), radius="1arcsec", theirs="type")
        _, low, high = agreement.shares(ours=True)
        inside += ((low[0] < 1 / 3) & (high[0] > 1 / 3)).tolist()
    assert 0.58 < np.mean(inside) < 0.78


def test_the_table_has_each_pair_of_classes_in_each_bin(tmp_path):
    ours, theirs = drawn(2)
    agreement = compare(
        ours, theirs, radius="1arcsec", theirs="type", magnitude="mag", output=tmp_path / "pairs.fits", command="a test"
    )
    table = read_catalog(tmp_path / "pairs.fits", positions=False).table
    assert len(table) == 7 * 9
    everything = table[np.isnan(table["magnitude_low"])]
    assert everything["n"].tolist() == agreement.counts[0].ravel().tolist()
    assert np.allclose(np.add.reduceat(everything["share"], [0, 3, 6]), 1.0)
    assert np.all((table["share_low"] <= table["share"]) | np.isnan(table["share"]))
    assert table.meta["GMKAPPA"] == pytest.approx(float(agreement.kappa[0][0]))
    assert "a test" in " ".join(table.meta["HISTORY"])


def test_the_page_shows_the_counts_and_a_diagram_for_each_class(tmp_path):
    ours, theirs = drawn(3)
    theirs["type"][theirs["type"] == "disk"] = "<b>disk"
    agreement = compare(ours, theirs, radius="1arcsec", theirs="type", magnitude="mag", report=tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    page = parsed(text)
    assert "<b>disk" not in text
    assert len(page.all("svg")) == 1 + len(agreement.classes)
    words = " ".join(page.words)
    assert f"{agreement.kappa[0][0]:.3f}" in words
    plain = compare(ours, theirs, radius="1arcsec", theirs="type", report=tmp_path / "plain.html")
    assert parsed((tmp_path / "plain.html").read_text(encoding="utf-8")).all("svg") == []
    assert plain.edges.size == 0


def test_the_command_prints_counts_and_agreement(tmp_path, capsys):
    sky(["disk", "spheroid"]).write(tmp_path / "ours.csv")
    sky(["S", "S"]).write(tmp_path / "theirs.csv")
    words = [
        tmp_path / "ours.csv",
        tmp_path / "theirs.csv",
        "--radius",
        "1arcsec",
        "--ours",
        "type",
        "--theirs",
        "type",
    ]
    assert main(["compare", *map(str, words), "--names", "S=disk"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        "theirs \\ ours  disk  spheroid",
        "disk              1         1",
        "spheroid          0         0",
    ]
    assert "2 galaxies in common, 2 with a class in both: the same for 0.500" in printed.err


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"theirs": "klass"}, "no column 'klass'"),
        ({"theirs": {"smooth": "p_smooth"}}, "no column 'p_smooth'"),
        ({"ours": "gm_class"}, "no column 'gm_class'"),
        ({"magnitude": "H"}, "no column 'H'"),
        ({"magnitude": "mag", "edges": [20]}, "at least two"),
        ({"magnitude": "mag", "edges": [20, 19]}, "each larger"),
        ({"edges": [20, 21]}, r"edges \[20, 21\] without a magnitude"),
        ({"radius": "2deg"}, "at most 1 degree"),
        ({"names": {"a": "c", "A": "c"}}, "unknown class 'A': known are a, b; did you mean 'a'.* --names"),
    ],
)
def test_a_mistake_is_said_with_its_remedy(asked, reason):
    table = sky(["a", "b"], mag=[20.0, 21.0])
    with pytest.raises(CatalogError, match=reason):
        compare(table, table, **({"radius": "1arcsec", "ours": "type", "theirs": "type"} | asked))


def test_nothing_in_common_is_an_error():
    table = sky(["a", "b"])
    far = table.copy()
    far["dec"] += 1.0
    with pytest.raises(CatalogError, match="0 galaxies in common"):
        compare(table, far, radius="1arcsec", ours="type", theirs="type")
    with pytest.raises(CatalogError, match="none to which both give a class"):
        compare(table, sky(["", ""]), radius="1arcsec", ours="type", theirs="type")


def test_a_page_that_exists_is_not_replaced(tmp_path):
    (tmp_path / "page.html").write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        compare(sky(["a"]), sky(["a"]), radius="1arcsec", ours="type", theirs="type", report=tmp_path / "page.html")
