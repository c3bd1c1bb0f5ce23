"""What a card tells of a checkpoint's errors, and cards that are broken."""

from __future__ import annotations

import json

import pytest

from galmorph.errors import CheckpointError
from galmorph.nets.checkpoint.card import read_card
from galmorph.nets.checkpoint.lookup import checkpoint_names, find_checkpoint
from galmorph.nets.checkpoint.track_record import NO_RECORD, TrackRecord
from galmorph.sky.scheme import load_scheme


@pytest.mark.parametrize("name", checkpoint_names())
def test_every_card_that_ships_can_be_counted_with(name):
    card = read_card(name)
    scheme = load_scheme(card["scheme"])
    record = TrackRecord.of(name, scheme)
    assert (record.name, record.version, record.sha256) == (name, card["version"], card["sha256"])
    assert set(record.galaxies) == set(record.rmse) == {q.name for q in scheme.questions}
    for where in scheme.slices:
        assert record.shares(scheme.keys[where]).sum() == pytest.approx(1.0)
    first = scheme.questions[0].name
    galaxies = sum(card[part]["questions"][first]["rows"] for part in ("validation", "test"))
    assert record.confusion[first].galaxies == pytest.approx(galaxies, abs=0.01)
    assert record.confusion[first].matrix.sum(axis=1) == pytest.approx(1.0, abs=1e-3)


def test_nobody_s_record_tells_nothing():
    assert NO_RECORD.shares(("a", "b")) is None


@pytest.fixture
def carded(tmp_path):
    """Write a checkpoint whose card is changed; return a function that reads its record."""
    path = tmp_path / "candels-h.safetensors"
    path.write_bytes(b"weights")
    card = read_card(find_checkpoint("candels-h"))

    def read(**changed):
        contents = {k: v for k, v in card.items() if k != "sha256"} | changed
        path.with_suffix(".json").write_text(json.dumps(contents))
        return TrackRecord.of(path, load_scheme("candels-shares"))

    return read


def test_a_card_without_scores_tells_less(carded):
    record = carded(validation={}, test={}, training_means={})
    assert (record.means, record.confusion, record.galaxies) == (None, {}, {})
    assert carded(test={}).confusion["morphology"].galaxies == pytest.approx(227, abs=0.01)


@pytest.mark.parametrize(
    "changed",
    [
        {"training_means": {"disk": "much"}},
        {"training_means": [1, 2]},
        {"validation": {"questions": {"morphology": {"rows": 9, "rmse": True}}}},
        {"test": {"soft_confusion": {"morphology": {"labels": [[1, 2], [3]], "said": [], "modes": []}}}},
        {"test": {"soft_confusion": {"morphology": {"labels": [[1, 2], [3, 4]], "said": [[1, 2], [3, 4]]}}}},
        {"test": {"soft_confusion": {"looks": {}}}},
    ],
)
def test_a_broken_card_is_refused_in_one_line(carded, changed):
    with pytest.raises(CheckpointError):
        carded(**changed)
