"""A checkpoint: predicts alike from all sides, survives its file, refuses every other file in one line."""

from __future__ import annotations

import hashlib
import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from galmorph.errors import CheckpointError, OutputError
from galmorph.nets.architecture.layers import conditional_log_probabilities
from galmorph.nets.architecture.network import Ensemble
from galmorph.nets.checkpoint.card import add_to_card, read_card
from galmorph.nets.checkpoint.embedding import Embedding, fit_embedding
from galmorph.nets.checkpoint.envelope import Envelope
from galmorph.nets.checkpoint.file import Checkpoint, load_checkpoint, read_envelope, save_checkpoint
from galmorph.nets.checkpoint.lookup import checkpoint_names, find_checkpoint
from galmorph.nets.checkpoint.prediction_sets import PredictionSets
from galmorph.nets.device import resolve_device

KINDS = {"tree": tiny.TREE, "exclusive": tiny.scheme_of("exclusive"), "independent": tiny.scheme_of("independent")}


# Predicting


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_flips_and_quarter_turns_change_no_prediction(kind, flip, quarters):
    checkpoint = tiny.checkpoint(KINDS[kind])
    stamps = tiny.stamps(5)
    turned = np.rot90(stamps[..., ::-1] if flip else stamps, quarters, (-2, -1)).copy()
    one, other = checkpoint.predict(stamps), checkpoint.predict(turned)
    assert np.abs(one - other).max() < 1e-5
    assert np.ptp(one, axis=0).min() > 1e-4  # the stamps do differ


def test_a_prediction_is_the_mean_over_eight_views_by_hand():
    checkpoint = tiny.checkpoint(temperatures=(1.0, 1.0))
    stamps = tiny.stamps(3)
    total = np.zeros((3, 5))
    with torch.inference_mode():
        for flip in (stamps, stamps[..., ::-1]):
            for k in range(4):
                view = torch.from_numpy(np.rot90(flip, k, (-2, -1)).copy())
                logits = checkpoint.network(view)
                total += conditional_log_probabilities(logits, tiny.TREE.slices, independent=False).exp().numpy()
    assert np.allclose(checkpoint.predict(stamps), total / 8, atol=1e-6)


@pytest.mark.parametrize("kind", ["tree", "exclusive"])
def test_the_answers_of_a_question_sum_to_one(kind):
    scheme = KINDS[kind]
    predicted = tiny.checkpoint(scheme).predict(tiny.stamps(4))
    for where in scheme.slices:
        assert np.allclose(predicted[:, where].sum(axis=1), 1.0)


def test_a_batch_predicts_like_its_stamps_one_by_one():
    checkpoint = tiny.checkpoint()
    stamps = tiny.stamps(70)  # more than one batch
    one_by_one = np.concatenate([checkpoint.predict(stamps[i : i + 1]) for i in range(70)])
    assert np.allclose(checkpoint.predict(stamps), one_by_one, atol=1e-6)


def test_no_stamps_give_no_rows():
    assert tiny.checkpoint().predict(tiny.stamps(0)).shape == (0, 5)


@pytest.mark.parametrize("shape", [(2, 1, 17, 17), (2, 3, 16, 16)])
def test_stamps_of_another_shape_are_refused(shape):
    with pytest.raises(CheckpointError, match=r"expects \(1, 16, 16\)"):
        tiny.checkpoint().predict(np.zeros(shape, np.float32))


def test_a_temperature_of_one_changes_nothing_and_a_high_one_evens_out():
    checkpoint = tiny.checkpoint()
    p = np.array([[0.9, 0.1, 0.6, 0.3, 0.1]])
    assert np.allclose(checkpoint.with_temperatures((1.0, 1.0)).calibrated(p), p)
    softened = checkpoint.with_temperatures((2.0, 1.0)).calibrated(p)
    assert softened[0, :2] == pytest.approx([0.75, 0.25])  # square roots 3 : 1
    assert np.allclose(softened[0, 2:], p[0, 2:])


def test_the_temperature_of_independent_fractions_acts_on_their_odds():
    checkpoint = tiny.checkpoint(KINDS["independent"], temperatures=(2.0,))
    assert checkpoint.calibrated(np.array([[0.8, 0.5, 0.2]]))[0] == pytest.approx([2 / 3, 0.5, 1 / 3])


def test_certain_answers_stay_finite():
    p = tiny.checkpoint(temperatures=(0.3, 0.3)).calibrated(np.array([[1.0, 0.0, 1.0, 0.0, 0.0]]))
    assert np.isfinite(p).all()
    assert p[0, 0] == pytest.approx(1.0)


# Its file


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save_checkpoint(tiny.checkpoint(), tmp_path / "tiny.safetensors", {"note": "a card"})


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_comes_back_as_it_went(tmp_path, kind):
    given = tiny.checkpoint(KINDS[kind])
    back = load_checkpoint(save_checkpoint(given, tmp_path / "c.safetensors"))
    for name in ("name", "version", "config", "scheme", "recipe", "envelope", "temperatures", "split", "fractions"):
        assert getattr(back, name) == getattr(given, name), name
    assert len(back.sha256) == 64
    stamps = tiny.stamps(3)
    assert np.array_equal(back.predict(stamps), given.predict(stamps))


def test_an_envelope_without_limits_comes_back(tmp_path):
    path = save_checkpoint(tiny.checkpoint(envelope=Envelope()), tmp_path / "c.safetensors")
    envelope = read_envelope(path)
    assert (envelope.survey, envelope.bands) == ("", ())
    assert np.isnan(envelope.scale_arcsec)
    assert envelope.snr[0] == 0.0


def test_the_card_lies_beside_and_knows_the_hash(saved):
    card = read_card(saved)
    assert card["note"] == "a card"
    assert card["sha256"] == load_checkpoint(saved).sha256 == hashlib.sha256(saved.read_bytes()).hexdigest()
    assert sorted(p.name for p in saved.parent.iterdir()) == ["tiny.json", "tiny.safetensors"]


def test_equal_checkpoints_have_equal_checksums_and_others_others(saved, tmp_path):
    again = save_checkpoint(tiny.checkpoint(), tmp_path / "again.safetensors")
    other = save_checkpoint(tiny.checkpoint(temperatures=(1.0, 1.0)), tmp_path / "other.safetensors")
    sums = [load_checkpoint(p).sha256 for p in (saved, again, other)]
    assert sums[0] == sums[1] != sums[2]


def test_scores_are_entered_into_a_card(saved):
    add_to_card(saved.with_suffix(".json"), "test", {"accuracy": 0.5})
    assert read_card(saved)["test"] == {"accuracy": 0.5}
    assert read_card(saved)["note"] == "a card"


def test_a_checkpoint_without_a_card_has_an_empty_one(tmp_path):
    assert read_card(save_checkpoint(tiny.checkpoint(), tmp_path / "c.safetensors")) == {}


def test_saving_over_a_checkpoint_replaces_it(saved):
    other = tiny.checkpoint(version="8")
    save_checkpoint(other, saved, {"note": "new"})
    assert load_checkpoint(saved).version == "8"
    assert read_card(saved)["note"] == "new"


def test_an_unwritable_place_is_an_output_error_and_leaves_nothing(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        save_checkpoint(tiny.checkpoint(), tmp_path / "missing" / "c.safetensors")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", [None, "{", "\xff"])
def test_a_card_that_cannot_be_read_is_said_so(tmp_path, text):
    path = tmp_path / "card.json"
    if text is not None:
        path.write_bytes(text.encode("latin-1"))
    with pytest.raises(CheckpointError, match="cannot be changed"):
        add_to_card(path, "test", {})


# Other files


class Trap:
    """Writes a file when a pickle of it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, (f"open({str(self.path)!r}, 'w').close()",)


def header_of(path: Path) -> dict:
    """Read what a checkpoint says of itself."""
    with safe_open(path, framework="pt") as stream:
        return json.loads(stream.metadata()["galmorph"])


def rewritten(path: Path, change) -> Path:
    """Write a copy of a checkpoint with a changed header."""
    with safe_open(path, framework="pt") as stream:
        header = stream.metadata()
    contents = json.loads(header["galmorph"])
    change(header, contents)
    if "galmorph" in header:
        header["galmorph"] = json.dumps(contents)
    other = path.with_name("other.safetensors")
    save_file(load_file(path), other, header)
    return other


def assert_refused(path: Path, words: str) -> None:
    with pytest.raises(CheckpointError, match=words) as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("keep", [0, 1, 7, 8, 200, -1, -500])
def test_a_truncated_file_is_refused(saved, keep):
    data = saved.read_bytes()
    saved.write_bytes(data[:keep])
    assert_refused(saved, "corrupt|truncated")


@pytest.mark.parametrize("at", [0, 3, 9, 40])
def test_a_damaged_header_is_refused(saved, at):
    data = bytearray(saved.read_bytes())
    data[at] ^= 0xFF
    saved.write_bytes(bytes(data))
    assert_refused(saved, "corrupt|truncated|contradicts itself")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x00" * 4096, b"\xff" * 4096, b"PK\x03\x04" * 100])
def test_a_file_of_another_kind_is_refused(tmp_path, content):
    path = tmp_path / "c.safetensors"
    path.write_bytes(content)
    assert_refused(path, "corrupt or not one of galmorph's")


def test_a_pickle_is_refused_and_never_run(tmp_path):
    trace = tmp_path / "trace"
    for name, write in {
        "plain": lambda p: p.write_bytes(pickle.dumps(Trap(trace))),
        "torch": lambda p: torch.save(Trap(trace), p),
    }.items():
        path = tmp_path / f"{name}.safetensors"
        write(path)
        assert_refused(path, "corrupt or not one of galmorph's")
    assert not trace.exists()
    pickle.loads((tmp_path / "plain.safetensors").read_bytes())  # the trap does work
    assert trace.exists()


def test_weights_of_another_project_are_refused(tmp_path):
    path = tmp_path / "foreign.safetensors"
    for header in (None, {"format": "pt"}, {"format": "1", "galmorph": "no json"}):
        save_file({"w": torch.zeros(3)}, path, header)
        assert_refused(path, "corrupt or not one of galmorph's")


def test_a_newer_format_asks_for_an_update(saved):
    assert_refused(rewritten(saved, lambda _, c: c.update(format="4")), "has format 4, expected 2 or 3: update")


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.pop("scheme"),
        lambda c: c.pop("envelope"),
        lambda c: c["network"].update(channels=[5]),
        lambda c: c["network"].update(surprise=1),
        lambda c: c["network"].pop("layers"),
        lambda c: c["network"].update(layers="dense answers"),
        lambda c: c["recipe"].update(planes=2),
        lambda c: c["recipe"].update(planes=3),
        lambda c: c["scheme"].update(kind="forest"),
        lambda c: c["scheme"]["questions"].pop(),
        lambda c: c.update(temperatures=[1.0]),
        lambda c: c["envelope"].update(snr=[1.0]),
        lambda c: c.update(recipe=[]),
    ],
    ids=[
        "no scheme",
        "no envelope",
        "channels",
        "setting",
        "no layers",
        "other layers",
        "planes 2",
        "planes 3",
        "kind",
        "a question less",
        "temperatures",
        "envelope",
        "recipe",
    ],
)
def test_contents_that_contradict_each_other_are_refused(saved, change):
    assert_refused(rewritten(saved, lambda _, c: change(c)), "contradicts itself")


def test_the_text_of_the_network_is_inside(saved):
    contents = header_of(saved)
    assert contents["network"] == tiny.CONFIG.to_dict()
    assert "# halves" in contents["network"]["layers"]


def test_a_file_of_the_first_format_says_which_galmorph_reads_it(saved):
    """It had settings of a residual network instead of the text of any network; nothing that ships has it."""
    first = rewritten(saved, lambda _, c: c.update(format="1", network={"channels": [4], "blocks": [1]}))
    assert_refused(
        first, r"has format 1, expected 2 or 3: use it with galmorph 0\.1\.0, which reads it, or train it again"
    )
    with pytest.raises(CheckpointError, match="has format 1"):
        read_envelope(first)


def test_maps_of_a_header_that_calls_them_calibration_are_read(tmp_path):
    """As that of nircam-f200w does."""
    path = save_checkpoint(fitted(), tmp_path / "c.safetensors")
    older = rewritten(path, lambda _, c: c.update(calibration=c.pop("maps")))
    assert "maps" not in header_of(older)
    assert np.array_equal(load_checkpoint(older).predict(tiny.stamps(4)), fitted().predict(tiny.stamps(4)))


def test_the_parts_of_a_checkpoint_are_named_where_one_is_made():
    """None is told from another by its place."""
    with pytest.raises(TypeError, match="positional"):
        Checkpoint("tiny", "7")


def test_an_unknown_name_lists_what_exists(tmp_path):
    with pytest.raises(CheckpointError, match="unknown checkpoint 'nothing': known are"):
        load_checkpoint("nothing")
    with pytest.raises(CheckpointError, match="unknown checkpoint"):
        find_checkpoint(tmp_path / "absent.safetensors")


def test_a_version_that_does_not_ship_is_told_with_the_one_that_does():
    """What ships answers to its own version; another is one line that says which there is."""
    path = find_checkpoint("candels-h")
    version = read_card("candels-h")["version"]
    assert find_checkpoint(f"candels-h@{version}") == path
    with pytest.raises(CheckpointError, match=rf"has version {version} here, expected '0\.1\.0'") as stopped:
        load_checkpoint("candels-h@0.1.0")
    assert "\n" not in str(stopped.value)
    with pytest.raises(CheckpointError, match="unknown checkpoint 'candels@1': known are"):
        find_checkpoint("candels@1")


def test_a_file_with_an_at_sign_is_a_file(tmp_path):
    path = save_checkpoint(tiny.checkpoint(), tmp_path / "candels-h@0.1.0")
    assert find_checkpoint(path) == path


@pytest.mark.parametrize(
    "name", checkpoint_names() or [pytest.param("", marks=pytest.mark.skip("no checkpoint ships yet"))]
)
def test_a_shipped_checkpoint_loads_and_has_a_card(name):
    checkpoint = load_checkpoint(name)
    assert isinstance(checkpoint, Checkpoint)
    card = read_card(name)
    assert card["sha256"] == checkpoint.sha256 == hashlib.sha256(find_checkpoint(name).read_bytes()).hexdigest()
    shape = (1, checkpoint.recipe.planes, checkpoint.recipe.size, checkpoint.recipe.size)
    assert np.isfinite(checkpoint.predict(np.zeros(shape, np.float32))).all()


def test_devices_are_resolved():
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(CheckpointError, match=r"did you mean 'cpu'|known are auto, cpu, cuda"):
        resolve_device("gpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_missing_cuda_device_is_said_so():
    with pytest.raises(CheckpointError, match="use --device cpu"):
        resolve_device("cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_the_gpu_predicts_what_the_cpu_predicts():
    checkpoint = tiny.checkpoint()
    stamps = tiny.stamps(8)
    on_cpu = checkpoint.predict(stamps)
    assert np.allclose(checkpoint.predict(stamps, device="cuda"), on_cpu, atol=1e-4)


# What was fitted to a calibration part


def fitted() -> Checkpoint:
    """Make a checkpoint with maps, sets and an embedding."""
    plain = tiny.checkpoint()
    features = np.random.default_rng(1).normal(0, 1, (60, plain.answer(tiny.stamps(1)[:, None]).features.shape[1]))
    envelope = Envelope("sdss", ("r",), 0.396, (10.0, 90.0), (3.0, 40.0), (1.2, float("inf")), embedding(features))
    return replace(
        plain,
        maps=(None, np.arange(12, dtype=float).reshape(1, 3, 4)),
        sets=PredictionSets("lac", 0.9, (0.75, float("inf")), rows=31),
        envelope=envelope,
    )


def embedding(features: np.ndarray) -> Embedding:
    made = fit_embedding(features[:30], features[30:])
    assert made is not None
    return made


def test_calibration_sets_and_embedding_come_back_as_they_went(tmp_path):
    given = fitted()
    back = load_checkpoint(save_checkpoint(given, tmp_path / "c.safetensors"))
    stamps = tiny.stamps(3)
    answers = back.answer(stamps[:, None])
    assert np.array_equal(answers.conditional, given.predict(stamps))
    assert back.sets == given.sets
    assert (back.envelope.rpet_px, back.envelope.rpet_psf) == ((3.0, 40.0), (1.2, float("inf")))
    distances = [c.envelope.embedding.distance(answers.features) for c in (back, given)]
    assert np.array_equal(*distances)
    assert read_envelope(tmp_path / "c.safetensors").rpet_px == (3.0, 40.0)


def test_a_file_without_them_has_none(saved):
    assert {"maps", "sets"} & set(header_of(saved)) == set()
    back = load_checkpoint(saved)
    assert (back.maps, back.sets, back.envelope.embedding) == ((), None, None)
    stripped = rewritten(saved, lambda _, c: [c["envelope"].pop(k) for k in ("rpet_px", "rpet_psf")])
    assert load_checkpoint(stripped).envelope.rpet_px == (0.0, float("inf"))


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["sets"].update(kind="best"),
        lambda c: c["sets"].update(thresholds=[0.5]),
        lambda c: c["maps"].pop(),
        lambda c: c["envelope"]["embedding"].pop("limit"),
    ],
    ids=["kind", "thresholds", "maps", "embedding"],
)
def test_fits_that_contradict_the_scheme_are_refused(tmp_path, change):
    path = save_checkpoint(fitted(), tmp_path / "c.safetensors")
    assert_refused(rewritten(path, lambda _, c: change(c)), "contradicts itself")


def test_an_embedding_whose_arrays_are_gone_is_refused(tmp_path):
    path = save_checkpoint(fitted(), tmp_path / "c.safetensors")
    with safe_open(path, framework="pt") as stream:
        header = stream.metadata()
    save_file({k: v for k, v in load_file(path).items() if k != "embedding.axes"}, path, header)
    assert_refused(path, "contradicts itself")


def test_features_are_those_of_the_first_member_over_its_views():
    networks = [tiny.network(seed) for seed in range(2)]
    both = tiny.checkpoint(network=Ensemble(networks))
    stamps = tiny.stamps(2)
    features = both.answer(stamps[:, None]).features
    with torch.inference_mode():
        each = [
            networks[0].features(torch.from_numpy(np.rot90(side, k, (-2, -1)).copy())).numpy()
            for side in (stamps, stamps[..., ::-1])
            for k in range(4)
        ]
    assert np.allclose(features, np.mean(each, axis=0), atol=1e-6)
    assert both.answer(stamps[:0, None]).features.shape[0] == 0
