"""Answering: what is measured by itself and shown to the network in company has the bits of a classification."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import small_sky
from astropy.table import Table

import galmorph
from galmorph.errors import CheckpointError, ImageError
from galmorph.flags import Flag
from galmorph.runs.answering import MeasuredRows

SDSS = {"survey": "sdss", "band": "RGB"}
ROWS = 7


@pytest.fixture(scope="module")
def checkpoint():
    return small_sky.checkpoint(**small_sky.rgb_checkpoint_settings())


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(ROWS):
        (folder / f"{number}.jpg").write_bytes(small_sky.picture(number, side=160))
    (folder / "5.jpg").write_bytes((folder / "5.jpg").read_bytes()[:700])  # damaged
    return [folder / f"{number}.jpg" for number in range(ROWS)]


@pytest.fixture(scope="module")
def whole(pictures, checkpoint) -> Table:
    """Classify all pictures in one run."""
    return galmorph.classify(names(pictures), pictures, **SDSS, checkpoint=checkpoint, engine="local")


def names(pictures: list[Path]) -> Table:
    return Table({"file": [path.name for path in pictures]})


def prepared(picture: Path, checkpoint) -> MeasuredRows:
    return galmorph.prepare(names([picture]), [picture], **SDSS, checkpoint=checkpoint)


def assert_rows_of(outcomes, whole: Table, rows) -> None:
    for outcome, row in zip(outcomes, rows, strict=True):
        for column in outcome.columns:
            expected = np.asarray(whole[column.name][row : row + 1])
            np.testing.assert_array_equal(column.values, expected, err_msg=column.name)
            assert column.values.dtype.kind == expected.dtype.kind


@pytest.mark.parametrize("rows", [[3], [5], [5, 6], [6, 0, 2], list(range(ROWS))], ids=str)
def test_the_bits_are_those_of_a_classification_in_whatever_company(pictures, checkpoint, whole, rows):
    batch = [prepared(pictures[row], checkpoint) for row in rows]
    assert_rows_of(galmorph.answer(batch), whole, rows)


def test_many_threads_prepare_at_once(pictures, checkpoint, whole):
    rows = [0, 1, 2, 3, 4, 6] * 3
    with ThreadPoolExecutor(3) as threads:
        batch = list(threads.map(lambda row: prepared(pictures[row], checkpoint), rows))
    assert_rows_of(galmorph.answer(batch), whole, rows)


def test_a_table_is_that_of_a_classification(pictures, checkpoint, whole):
    table = galmorph.answer([prepared(pictures[1], checkpoint)], command="a service")[0].table()
    assert table.colnames == whole.colnames
    assert "a service" in table.meta["comments"][0] if "comments" in table.meta else "a service" in str(table.meta)


def test_several_rows_of_one_image_are_one_of_many(tmp_path, pictures, checkpoint):
    sky = small_sky.write_sky(tmp_path / "sky")
    other = small_sky.checkpoint()
    expected = galmorph.classify(sky.catalog, sky.image, survey="candels", band="H", checkpoint=other, engine="local")
    rows = galmorph.prepare(sky.catalog, sky.image, survey="candels", band="H", checkpoint=other)
    assert len(rows) == len(expected)
    assert rows.batch == 32
    (outcome,) = galmorph.answer([rows])
    for column in outcome.columns:
        np.testing.assert_array_equal(column.values, np.asarray(expected[column.name]))
    with pytest.raises(CheckpointError, match="several checkpoints"):
        galmorph.answer([rows, prepared(pictures[0], checkpoint)])


def test_nothing_is_answered_by_nothing(pictures, checkpoint):
    assert galmorph.answer([]) == []
    row = prepared(pictures[5], checkpoint)
    assert galmorph.answer([row])[0].results.flags[0] == Flag.FETCH_FAILED
    row.close()


def test_what_does_not_fit_leaves_nothing_open(pictures, checkpoint):
    with pytest.raises(ImageError, match="does not exist"):
        galmorph.prepare(names(pictures), "nowhere.zip", **SDSS, checkpoint=checkpoint)
    with pytest.raises(CheckpointError, match="takes images of"):
        galmorph.prepare(names(pictures[:1]), pictures[:1], **SDSS, checkpoint=small_sky.checkpoint())


def test_the_usual_checkpoint_is_that_of_a_classification():
    assert galmorph.usual_checkpoint("candels", "H") == "candels-h"
    with pytest.raises(CheckpointError, match="no survey and band"):
        galmorph.usual_checkpoint()
