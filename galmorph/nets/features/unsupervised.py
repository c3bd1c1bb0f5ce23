"""UnsupervisedFeatures: networks of features that are learnt without labels, and of classifiers on them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F  # noqa: N812 - torch's own convention

from galmorph.nets.architecture.centroids import CentroidEncoding, LightPool, RingPool
from galmorph.nets.architecture.layers import conditional_log_probabilities
from galmorph.nets.architecture.network import Network, NetworkConfig, channels_last
from galmorph.nets.checkpoint.blend import mean_log_likelihood
from galmorph.nets.features.classifier import Classifier, Head, ViewSample, Votes, fit_head
from galmorph.nets.features.dictionary import KMeansFeatures, draw_patches
from galmorph.nets.features.learnt_shares import learnt_shares
from galmorph.nets.features.spherical_kmeans import fit_whitening, normalised_patches, spherical_kmeans
from galmorph.nets.training.settings import Augmentation
from galmorph.nets.training.training_set import TrainingSet
from galmorph.progress import Progress, silent
from galmorph.sky.scheme import Labels, Scheme

__all__ = ["feature_network", "feature_parts", "learn_dictionary", "learn_networks", "upright_losses"]

Single = npt.NDArray[np.float32]
_BATCH = 64
_MOST_STAMPS = 10_000
"""Stamps that patches are drawn from; more say nothing new."""


def feature_network(settings: KMeansFeatures, head: str = "dense answers", views: str = "") -> NetworkConfig:
    """Write the network of these features, with a last layer."""
    views = views or ("one" if settings.square else "eight")
    return NetworkConfig(f"{settings.layers()}\n{head}", name="kmeans", title="Features by k-means", views=views)


def learn_networks(
    training: TrainingSet,
    scheme: Scheme,
    settings: KMeansFeatures,
    classifier: Classifier,
    ranges: Augmentation,
    *,
    seed: int = 1,
    device: str = "cpu",
    progress: Progress = silent,
) -> tuple[list[Network], list[float]]:
    """Learn features of the stamps of a training set, and answers of these by each of the classifiers.

    Returns
    -------
    Networks in evaluation mode that have their features in common, one for each method; and the share of each in their
    average, with sum 1.

    Raises
    ------
    PipelineError
        If scikit-learn is not installed, or the stamps are too small for the features.
    """
    encoder = Network(feature_network(settings), training.recipe, scheme).eval()
    _learn_features(encoder, training, settings, seed, progress)
    rows = training.labelled
    features, galaxy = _seen_features(encoder, training, rows, settings, ranges, seed, device, progress)
    chosen = rows.numpy()[galaxy]
    weight = np.ones(len(training)) if training.weight is None else training.weight.double().cpu().numpy()
    counts, totals = (values.double().cpu().numpy()[chosen] for values in (training.counts, training.totals))
    votes = Votes(counts, totals, weight[chosen] / settings.views, galaxy)
    sample, count = ViewSample(features, votes, scheme, feature_parts(encoder)), len(classifier.method)
    heads = []
    for number, method in enumerate(classifier.method, 1):
        progress("fitting", number, count, method)
        heads.append(fit_head(method, sample, classifier, seed=seed, threads=torch.get_num_threads()))
    shares = [1.0 / count] * count
    if count > 1 and classifier.shares == "learnt":

        def fitting(method: str) -> None:
            progress("folds", classifier.method.index(method) + 1, count, method)

        shares = learnt_shares(heads, sample, classifier, seed=seed, fitting=fitting)
    return [_network(encoder, *each) for each in zip(classifier.method, heads, strict=True)], shares


def _network(encoder: Network, method: str, head: Head) -> Network:
    """Set the layer that a classifier becomes below the layers of the encoder."""
    *above, _ = encoder.config.layers.splitlines()
    config = NetworkConfig(
        "\n".join([*above, head.line]), name=f"kmeans-{method}", title=encoder.config.title, views=encoder.views
    )
    network = Network(config, encoder.recipe, encoder.scheme)
    last = len(network.layers) - 1
    own = {name: value for name, value in encoder.state_dict().items() if not encoder.is_answering(name)}
    fitted = {f"layers.{last}.{name}": torch.from_numpy(np.asarray(array)) for name, array in head.arrays.items()}
    network.load_state_dict(own | fitted)
    return channels_last(network).eval()


def feature_parts(encoder: Network) -> list[int]:
    """Count the features by centroids, and those of light."""
    pairs = zip(encoder.layers, encoder.outline, strict=True)
    ends = [shape.maps for layer, (_, shape) in pairs if isinstance(layer, RingPool | LightPool)]
    return [end - begin for begin, end in pairwise([0, *ends])]


def _learn_features(
    encoder: Network, training: TrainingSet, settings: KMeansFeatures, seed: int, progress: Progress
) -> None:
    """Learn the dictionary of upright stamps, with a label or without."""
    rows = torch.arange(len(training)) if settings.unlabelled else training.labelled
    rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))][:_MOST_STAMPS]
    per_batch = -(-settings.patches * _BATCH // len(rows))
    patches: list[Single] = []
    for number, batch in enumerate(rows.split(_BATCH)):  # type: ignore[no-untyped-call]
        stamps = training.stamps(batch, None, torch.Generator()).cpu()
        if settings.reduced > 1:
            stamps = F.avg_pool2d(stamps, settings.reduced)
        share = -(-per_batch * len(batch) // _BATCH)
        patches.append(draw_patches(stamps.numpy(), settings.patch, share, seed + number))
        progress("patches", min((number + 1) * _BATCH, len(rows)), len(rows))
    progress("clustering", 0, 1)
    for layer in encoder.layers:
        if isinstance(layer, CentroidEncoding):
            learn_dictionary(layer, np.concatenate(patches)[: settings.patches], settings, seed=seed)
    progress("clustering", 1, 1)


@torch.no_grad()
def learn_dictionary(encoding: CentroidEncoding, patches: Single, settings: KMeansFeatures, *, seed: int = 1) -> None:
    """Learn centroids of patches, (N, C · patch²), and write them into a layer.

    Kernels are rounded to half precision, in which files may keep them, before anything learns from what they give.
    """
    normalised = normalised_patches(patches, settings.contrast)
    whitening = fit_whitening(normalised, regulariser=settings.regulariser)
    centroids = spherical_kmeans(
        whitening(normalised),
        settings.centroids,
        iterations=settings.iterations,
        damping=settings.damping,
        seed=seed,
    )
    kernels = centroids @ whitening.matrix.T  # (centroids, C · patch²)
    offset = kernels @ whitening.mean
    kernels = (kernels - kernels.mean(axis=1, keepdims=True)).astype(np.float16).astype(np.float32)
    weight = encoding.convolution.weight
    weight.copy_(torch.from_numpy(kernels).reshape(weight.shape))  # type: ignore[operator, arg-type]
    encoding.offset.copy_(torch.from_numpy(offset))
    encoding.contrast.fill_(settings.contrast)


def _seen_features(
    encoder: Network,
    training: TrainingSet,
    rows: torch.Tensor,
    settings: KMeansFeatures,
    ranges: Augmentation,
    seed: int,
    device: str,
    progress: Progress,
) -> tuple[Single, npt.NDArray[np.int64]]:
    """Encode views of rows, the upright one first; return features, (N · V, F), and the place of each galaxy."""
    degraded = ranges.observation is not None
    encoded = []
    for number in range(settings.views):
        generator = torch.Generator().manual_seed(seed * 100_003 + number)
        how = ranges if number or degraded else None
        encoded.append(_encoded(encoder, training, rows, how, generator, device, progress, f"view {number + 1}"))
    return np.concatenate(encoded), np.tile(np.arange(len(rows)), settings.views)


def upright_losses(networks: Sequence[Network], part: TrainingSet, device: str = "cpu") -> list[float]:
    """Return the negative log likelihood of a vote on an upright stamp for each of networks with the same features."""
    rows = part.labelled
    features = _encoded(networks[0], part, rows, None, torch.Generator(), device, silent, "")
    counts, totals = (values[rows.to(values.device)].double().cpu().numpy() for values in (part.counts, part.totals))
    losses = []
    for network in networks:
        logits = network.answers(torch.from_numpy(features))
        log_p = conditional_log_probabilities(
            logits, network.scheme.slices, independent=network.scheme.kind == "independent"
        )
        p = log_p.exp().detach().double().numpy()
        losses.append(-mean_log_likelihood([p], [1.0], Labels(counts, totals), network.scheme))
    return losses


def _encoded(
    encoder: Network,
    part: TrainingSet,
    rows: torch.Tensor,
    ranges: Augmentation | None,
    generator: torch.Generator,
    device: str,
    progress: Progress,
    remark: str,
) -> Single:
    network = encoder.to(device)
    encoded: list[Single] = []
    done = 0
    with torch.inference_mode():
        for batch in rows.split(_BATCH):  # type: ignore[no-untyped-call]
            stamps = part.stamps(batch, ranges, generator).to(device)
            encoded.append(network.features(stamps).float().cpu().numpy())
            done += len(batch)
            progress("encoding", done, len(rows), remark)
    encoder.to("cpu")
    return np.concatenate(encoded)
