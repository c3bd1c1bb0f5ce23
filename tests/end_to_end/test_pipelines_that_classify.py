"""Pipelines that classify: run, printed and refused."""

from __future__ import annotations

import pytest
from astropy.io import fits
from astropy.table import Table

import galmorph as package
from galmorph.errors import PipelineError


@pytest.fixture
def pipeline(sky, h_checkpoint, tmp_path):
    """Write a pipeline that classifies the small sky."""
    path = tmp_path / "field.toml"
    path.write_text(
        'kind = "classify"\ntitle = "the small sky"\n'
        f'[inputs]\ncatalog = "{sky.catalog}"\nimages = "{sky.image}"\nweight = "{sky.weight}"\n'
        'survey = "candels"\nband = "H"\n'
        f'[classify]\ncheckpoint = "{h_checkpoint}"\noutput = "classes.fits"\nreport = "report"\nprefix = "my_"\n'
        'normalise = true\ndetect = "cutouts"\n'
    )
    return path


def test_it_gives_what_classify_gives(galmorph, pipeline, sky, h_checkpoint, tmp_path):
    done = galmorph("run", pipeline, "-o", tmp_path / "out")
    assert (done.status, done.out) == (0, f"{tmp_path}/out/classes.fits\n")
    assert "field" in done.err
    table = Table.read(tmp_path / "out" / "classes.fits")
    expected = package.classify(
        sky.catalog,
        sky.image,
        weight=sky.weight,
        survey="candels",
        band="H",
        checkpoint=h_checkpoint,
        prefix="my_",
        normalise=True,
        detect="cutouts",
    )
    assert table.colnames == expected.colnames
    assert (table["my_p_disk"] == expected["my_p_disk"]).all()
    assert (tmp_path / "out" / "report" / "index.html").exists()
    header = fits.getheader(tmp_path / "out" / "classes.fits", 1)
    assert any("galmorph run" in str(value) for value in header.values())


def test_an_existing_result_stays_unless_it_may_be_replaced(galmorph, pipeline, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "classes.fits").write_text("mine")
    assert "exists already" in galmorph("run", pipeline, "-o", tmp_path / "out").err
    assert (tmp_path / "out" / "classes.fits").read_text() == "mine"
    assert galmorph("run", pipeline, "-o", tmp_path / "out", "--overwrite").status == 0


def test_inputs_go_before_those_of_the_file(galmorph, pipeline, tmp_path):
    done = galmorph("run", pipeline, "-o", tmp_path / "out", "--input", "catalog=elsewhere.fits")
    assert done.status == 1
    assert "elsewhere.fits" in done.err


@pytest.mark.parametrize(
    ("words", "name"),
    [(["--epochs", "3"], "epochs"), (["--seed", "3"], "seed"), (["--resume"], "resume"), (["--split", "all"], "split")],
)
def test_what_is_for_training_is_refused(galmorph, pipeline, tmp_path, words, name):
    done = galmorph("run", pipeline, "-o", tmp_path / "out", *words)
    assert done.status == 1
    assert f"{name} is for pipelines that train" in done.err
    assert not (tmp_path / "out").exists()


def test_both_kinds_at_once_are_refused(galmorph, pipeline, tmp_path):
    done = galmorph("run", pipeline, "candels-h", "-o", tmp_path / "out")
    assert "'candels-h' trains, 'field' classifies" in done.err


def test_training_commands_name_the_other(pipeline, tmp_path):
    with pytest.raises(PipelineError, match="see galmorph run"):
        package.train("labels.csv", "stamps.zip", pipeline, tmp_path / "out")
    with pytest.raises(PipelineError, match="see galmorph run"):
        package.tune(package.load_pipeline(pipeline), tmp_path / "out")


@pytest.mark.parametrize("name", ["pipelines/candels-h", "field"])
def test_what_show_prints_is_the_whole_pipeline(galmorph, pipeline, tmp_path, name):
    """It can be written to a file and run; nothing is left to look up."""
    shown = galmorph("show", pipeline if name == "field" else name)
    assert shown.status == 0
    again = tmp_path / "again" / f"{name.rpartition('/')[2]}.toml"
    again.parent.mkdir()
    again.write_text(shown.out)
    assert "extends" not in shown.out
    source = pipeline if name == "field" else name.rpartition("/")[2]
    assert package.load_pipeline(again) == package.load_pipeline(source)


def test_show_takes_files_of_all_kinds(galmorph, h_checkpoint):
    folder = package.shipped.shipped("catalogs")
    for path, word in (
        (folder / "surveys" / "candels.toml", "survey candels: "),
        (folder / "schemes" / "gz2-simple.toml", "scheme gz2-simple: "),
        (folder / "networks" / "plain.toml", "network plain: "),
        (h_checkpoint, "checkpoint untaught: "),
    ):
        assert galmorph("show", path).out.startswith(word)
