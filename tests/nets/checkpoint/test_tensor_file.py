"""Checkpoints that nobody vouches for: each is read, or refused in one line that names the part, in no time."""

from __future__ import annotations

import json
import math
import resource
import struct
import time
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file

from galmorph.errors import CheckpointError
from galmorph.nets.checkpoint.card import read_card
from galmorph.nets.checkpoint.embedding import Embedding
from galmorph.nets.checkpoint.envelope import Envelope
from galmorph.nets.checkpoint.file import Checkpoint, load_checkpoint, read_envelope, save_checkpoint
from galmorph.nets.checkpoint.prediction_sets import PredictionSets
from galmorph.nets.checkpoint.tensor_file import read_tensors, read_texts


def whole() -> Checkpoint:
    """Make a checkpoint that has every part."""
    mean, axes, variances = np.zeros(8, np.float32), np.eye(8, 2, dtype=np.float32), np.ones(3, np.float32)
    embedding = Embedding(mean, axes, variances, 3.0, 0.01)
    envelope = Envelope("sdss", ("r",), 0.396, (10.0, 90.0), (3.0, 40.0), (1.2, 9.0), embedding)
    sets = PredictionSets("lac", 0.9, (0.75, 0.5), rows=31)
    return tiny.checkpoint(maps=(None, np.arange(12, dtype=float).reshape(1, 3, 4)), sets=sets, envelope=envelope)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save_checkpoint(whole(), tmp_path / "whole.safetensors")


def refusal(path: Path) -> str:
    """Return the one line with which a file is refused, within a second."""
    started = time.process_time()
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    assert time.process_time() - started < 5.0
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


def with_weights(path: Path, change) -> Path:
    """Write a copy with other arrays."""
    tensors = load_file(path)
    change(tensors)
    other = path.with_name("other.safetensors")
    save_file(tensors, other, read_texts(path))
    return other


def with_contents(path: Path, change, text=json.dumps) -> Path:
    """Write a copy whose header says something else."""
    contents = json.loads(read_texts(path)["galmorph"])
    change(contents)
    other = path.with_name("other.safetensors")
    save_file(load_file(path), other, {"galmorph": text(contents)})
    return other


def with_header(path: Path, header: bytes, data: bytes = b"", length: int | None = None) -> Path:
    """Write a file with this header."""
    other = path.with_name("other.safetensors")
    other.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + data)
    return other


def test_a_whole_checkpoint_is_read(saved):
    assert load_checkpoint(saved).sets == whole().sets
    assert set(read_tensors(saved).tensors) == set(load_file(saved))


# Numbers


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["layers.0.0.weight", "layers.4.bias", "layers.0.1.running_var", "embedding.mean"])
def test_a_weight_that_is_not_finite_is_refused_by_name(saved, name, value):
    def change(tensors):
        tensors[name].view(-1)[-1] = value

    assert f"NaN or infinite numbers in '{name}'" in refusal(with_weights(saved, change))


def test_negative_counts_are_refused(saved):
    """As bytes of ones are: nothing depends on them, but whoever wrote them wrote others."""

    def change(tensors):
        tensors["layers.0.1.num_batches_tracked"].fill_(-1)

    assert "negative counts in 'layers.0.1.num_batches_tracked'" in refusal(with_weights(saved, change))


def test_huge_weights_are_finite(saved):
    """Though their sum is not."""

    def change(tensors):
        tensors["layers.4.weight"].fill_(3e38)

    assert load_checkpoint(with_weights(saved, change)).name == "tiny"


def test_negative_variances_are_refused(saved):
    def change(tensors):
        tensors["layers.0.1.running_var"][0] = -1.0

    assert "variances in 'layers.0.1.running_var' are negative" in refusal(with_weights(saved, change))


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e999])
@pytest.mark.parametrize(
    ("place", "change"),
    [
        ("temperatures.1", lambda c, v: c["temperatures"].__setitem__(1, v)),
        ("maps.1.0.0.2", lambda c, v: c["maps"][1][0][0].__setitem__(2, v)),
        ("sets.thresholds.0", lambda c, v: c["sets"]["thresholds"].__setitem__(0, v)),
        ("envelope.snr.0", lambda c, v: c["envelope"]["snr"].__setitem__(0, v)),
        ("envelope.embedding.limit", lambda c, v: c["envelope"]["embedding"].__setitem__("limit", v)),
        ("recipe.gain", lambda c, v: c["recipe"].__setitem__("gain", v)),
    ],
)
def test_a_figure_that_is_not_finite_is_refused_by_its_place(saved, place, change, value):
    """In JSON, where 1e999 is a number that Python reads as infinite, and as NaN, which is no JSON."""
    path = with_contents(saved, lambda c: change(c, -54321.5), lambda c: json.dumps(c).replace("-54321.5", "1e999"))
    assert f"{place} is inf, expected a finite number" in refusal(path)
    assert "expected finite numbers" in refusal(with_contents(saved, lambda c: change(c, value)))


@pytest.mark.parametrize(
    ("said", "change"),
    [
        ("temperatures", lambda c: c.update(temperatures=[0.0, 1.0])),
        ("temperatures", lambda c: c.update(temperatures=[1.0, -2.0])),
        ("temperatures = 'warm'", lambda c: c.update(temperatures="warm")),
        ("coverage of 1.5", lambda c: c["sets"].update(coverage=1.5)),
        ("thresholds = 'many'", lambda c: c["sets"].update(thresholds="many")),
        ("lacks 'rows'", lambda c: c["sets"].pop("rows")),
        ("false_alarms 7.0", lambda c: c["envelope"]["embedding"].update(false_alarms=7)),
        ("snr of its envelope is from 9 to 3", lambda c: c["envelope"].update(snr=[9, 3])),
        ("scale_arcsec of its envelope is -1", lambda c: c["envelope"].update(scale_arcsec=-1)),
        ("'many' in its envelope", lambda c: c["envelope"].update(rpet_px=["many", None])),
        ("survey and bands of its envelope", lambda c: c["envelope"].update(survey=7)),
        ("name = 3, expected a text", lambda c: c.update(name=3)),
        ("members = 1000000000", lambda c: c.update(members=10**9)),
        ("members = True", lambda c: c.update(members=True)),
        ("calibration does not fit", lambda c: c.update(maps=[[[[1.0]]], None])),
        ("unknown key 'surprise'", lambda c: c.update(surprise=1)),
        ("scheme = 5", lambda c: c.update(scheme=5)),
        ("questions", lambda c: c["scheme"].update(questions=3)),
    ],
)
def test_a_part_that_cannot_be_is_named(saved, said, change):
    assert said in refusal(with_contents(saved, change))


# Sizes


@pytest.mark.parametrize(
    ("said", "change"),
    [
        ("size = 1000000000: expected a number from 8 to 1024", lambda c: c["recipe"].update(size=10**9)),
        ("half_width_rpet = 1000000000.0", lambda c: c["recipe"].update(half_width_rpet=1e9)),
        ("half_width_arcsec = 1e+18", lambda c: c["recipe"].update(half_width_arcsec=1e18)),
        ("expected at most 1024", lambda c: c["recipe"].update(views="angles = 100000000")),
        ("line 1 ('conv 1000000000 3x3", lambda c: c["network"].update(layers="conv 1000000000 3x3\ndense answers")),
        ("kernels have more numbers", lambda c: c["network"].update(layers="conv 64 9x9 pad 4\ndense answers")),
        ("kernels have more numbers", lambda c: c["network"].update(layers="dense 1000000000\ndense answers")),
        ("kernels have more numbers", lambda c: c["network"].update(layers=f"conv 1 {10**9}x{10**9} pad {10**9}")),
        ("kernels have more numbers", lambda c: c["network"].update(layers="conv 1 3x3 pad 900000 untied")),
        ("expected at most 16777216 numbers for a stamp", lambda c: c["network"].update(layers="conv 1 1x1 pad 9999")),
        ("has 50001 layers", lambda c: c["network"].update(layers="dropout 0.1\n" * 50_000 + "dense answers")),
        ("0 groups", lambda c: c["network"].update(layers="conv 4 3x3 groups 0\ndense answers")),
    ],
)
def test_sizes_are_refused_before_there_is_room_for_them(saved, said, change):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert said in refusal(with_contents(saved, change))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB


# Headers


@pytest.mark.parametrize("length", [2**63, 2**40, 10**9, 2**64 - 1])
def test_a_header_longer_than_the_file_is_refused(saved, length):
    assert f"its header has {length} bytes" in refusal(with_header(saved, b"{}", length=length))


ARRAY = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


@pytest.mark.parametrize(
    ("said", "header", "data"),
    [
        ("is there twice", b'{"a": 1, "a": 2}', b""),
        ("nested more than 32 deep", b'{"a": ' + b"[" * 100 + b"]" * 100 + b"}", b""),
        ("nested more than 32 deep", b"[" * 100_000 + b"]" * 100_000, b""),
        ("its header is no table", b"[1]", b""),
        ("no texts", b'{"__metadata__": {"galmorph": 3}}', b""),
        ("is of type 'C64'", {"a": ARRAY | {"dtype": "C64"}}, bytes(8)),
        ("is of type 'BOOL'", {"a": ARRAY | {"dtype": "BOOL"}}, bytes(1)),
        ("expected a few whole numbers", {"a": ARRAY | {"shape": [-1]}}, bytes(4)),
        ("expected a few whole numbers", {"a": ARRAY | {"shape": [1] * 40}}, bytes(4)),
        ("expected a few whole numbers", {"a": ARRAY | {"shape": 1}}, bytes(4)),
        ("lies at [0, 4] of 4 bytes", {"a": ARRAY | {"shape": [2**40, 2**40]}}, bytes(4)),
        ("lies at [0, 4] of 2 bytes", {"a": ARRAY}, bytes(2)),
        ("its arrays have 4 bytes, the file has 9", {"a": ARRAY}, bytes(9)),
        ("lacks dtype", {"a": {"shape": [1]}}, bytes(4)),
        ("arrays, expected at most 100000", {f"a{n}": 0 for n in range(100_001)}, b""),
    ],
)
def test_a_header_that_cannot_be_is_refused(saved, said, header, data):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    assert said in refusal(with_header(saved, text, data))


@pytest.mark.parametrize("text", ["3", "[1]", '"a"', "null", "{", '{"format": [2]}', '{"format": "2"}', "[" * 5000])
def test_a_text_that_is_no_contents_is_refused_for_envelope_and_network_alike(saved, text):
    path = with_contents(saved, lambda _: None, lambda _: text)
    assert "corrupt" in refusal(path) or "expected" in refusal(path) or "lacks" in refusal(path)
    with pytest.raises(CheckpointError):
        read_envelope(path)


def test_two_arrays_in_one_place_are_refused(saved):
    """Which the library that reads them says itself."""
    header = json.dumps({"a": ARRAY, "b": ARRAY}).encode()
    assert "corrupt" in refusal(with_header(saved, header, bytes(8)))


def test_weights_of_another_shape_or_number_are_refused(saved):
    def narrower(tensors):
        tensors["layers.4.weight"] = tensors["layers.4.weight"][:, :4].contiguous()

    def fewer(tensors):
        del tensors["layers.4.bias"]

    def more(tensors):
        tensors["layers.9.bias"] = torch.zeros(3)

    for change in (narrower, fewer, more):
        assert "contradicts itself" in refusal(with_weights(saved, change))


def test_a_card_of_another_checkpoint_is_refused(saved):
    """It would tell of scores and images that are not this network's."""
    card = saved.with_suffix(".json")
    card.write_text(json.dumps({"sha256": "0" * 64}))
    with pytest.raises(CheckpointError, match="is that of a checkpoint with sha256 00000000"):
        read_card(saved)
    for text in (
        '{"title": 3}',
        '{"test": [1]}',
        '{"test": {"questions": {"a": 5}}}',
        '{"test": {"accuracy": "high"}}',
    ):
        card.write_text(text)
        with pytest.raises(CheckpointError, match=r"expected|holds no table"):
            read_card(saved)
    for text in ("[1]", "3", '{"a": NaN}', '{"a": 1, "a": 2}', "", "[" * 9999):
        card.write_text(text)
        with pytest.raises(CheckpointError, match="is no JSON") as caught:
            read_card(saved)
        assert "\n" not in str(caught.value)
