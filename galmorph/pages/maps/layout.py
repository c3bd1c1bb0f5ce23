"""Layout: where galaxies lie on a map, so that those with like features lie together."""

from __future__ import annotations

import importlib
import json
import math
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from galmorph.errors import CatalogError, PipelineError, unknown_name
from galmorph.likeness.feature_space import FeatureSpace, directions, fit_space
from galmorph.pages.maps.neighbours import nearest, places_among
from galmorph.progress import Progress, silent
from galmorph.sky.boundary import boundary
from galmorph.sky.formats.atomic import replacing

__all__ = ["METHODS", "MapLayout", "check_method", "laid_out", "load_layout"]

FloatArray = npt.NDArray[np.float32]

METHODS = {
    "tsne": "neighbours together: t-SNE by openTSNE",
    "umap": "neighbours together: UMAP by umap-learn",
    "pca": "the two principal components",
}
"""How a map is made."""
_LIBRARIES = {
    "tsne": ("openTSNE", "pip install 'galmorph[likeness]'"),
    "umap": ("umap", "pip install 'galmorph[umap]'"),
}
_FEWEST = 10
_PERPLEXITY = 30.0
_EARLY, _LATE = 250, 500
_EARLY_EXAGGERATION = 12.0
_FFT_FROM = 5000  # rows; of fewer, the sum over all pairs by a tree takes less time
_NEIGHBOURS = 15
_MOST_COMPONENTS = 50
"""Of more, distances hardly change, and neighbours take longer (Kobak & Berens 2019)."""
_FORMAT = "galmorph map 1"
_ARRAYS = ("mean", "axes", "reduced", "places")


@dataclass(frozen=True)
class MapLayout:
    """A map: galaxies, and where they lie; with all that is needed to place others on it.

    Parameters
    ----------
    space
        The principal axes of unit vectors, so that distances are those of directions.
    reduced
        (N, K) the galaxies' features, laid out in it.
    places
        (N, 2).
    method
        One of :data:`METHODS`.
    features
        Name of the column.
    seed
        Of the method.
    model
        What made the features; '' where the table did not say.
    """

    space: FeatureSpace
    reduced: FloatArray
    places: FloatArray
    method: str
    features: str
    seed: int
    model: str = ""

    def placed(self, features: FloatArray) -> FloatArray:
        """Place other galaxies on the map, whose own stay where they are.

        By principal components, as its own were; else among the 15 galaxies that are most like each.

        Parameters
        ----------
        features
            (M, D), all of them usable.

        Returns
        -------
        (M, 2)

        Raises
        ------
        CatalogError
            If they are of another length.
        """
        length = len(self.space.mean)
        if features.shape[1] != length:
            raise CatalogError(
                f"features of {features.shape[1]} numbers were given for a map of {length}: expected those of the same "
                "checkpoint; choose that with galmorph embed"
            )
        reduced = self.space.placed(directions(features))
        if self.method == "pca":
            return np.ascontiguousarray(reduced[:, :2])
        numbers, distances = nearest(self.reduced, reduced, min(_NEIGHBOURS, len(self.reduced)))
        return places_among(self.places[numbers], distances)

    def save(self, path: Path, *, overwrite: bool) -> None:
        """Write arrays, and words about them, as NumPy's ``.npz``.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        arrays = {"reduced": self.reduced, "places": self.places, **asdict(self.space)}
        facts = {"format": _FORMAT, "method": self.method, "features": self.features, "seed": self.seed}
        facts |= {"model": self.model} if self.model else {}
        words = np.frombuffer(json.dumps(facts).encode(), np.uint8)
        with replacing(path, overwrite=overwrite) as temporary, temporary.open("wb") as stream:
            np.savez(stream, facts=words, **arrays)

    @classmethod
    def of_arrays(cls, arrays: dict[str, FloatArray], facts: dict[str, Any]) -> Self:
        """Make it of what a file holds.

        Raises
        ------
        KeyError, TypeError, ValueError
            If something is missing, or does not fit.
        """
        space = FeatureSpace(arrays["mean"], arrays["axes"])
        told = facts["method"], facts["features"], facts["seed"], facts.get("model", "")
        layout = cls(space, arrays["reduced"], arrays["places"], *told)
        layout.check()
        return layout

    def check(self) -> None:
        """Refuse arrays that do not belong together.

        Raises
        ------
        ValueError
            If they do not.
        """
        length, count = (0, 0) if self.space.axes is None else self.space.axes.shape
        shapes = [self.space.mean.shape, self.reduced.shape, self.places.shape]
        if shapes != [(length,), (len(self.places), count), (len(self.places), 2)]:
            raise ValueError(f"its arrays have shapes {shapes}")
        if self.method not in METHODS or not all(
            isinstance(each, str) for each in (self.method, self.features, self.model)
        ):
            raise ValueError("its method is unknown")
        if len(self.places) < _FEWEST or not all(np.isfinite(each).all() for each in (self.reduced, self.places)):
            raise ValueError("its arrays are too short, or hold what is no number")


def load_layout(path: str | Path) -> MapLayout:
    """Read a map; nothing in the file is run.

    Raises
    ------
    CatalogError
        If it is none.
    """
    with boundary(
        lambda reason: CatalogError(f"'{path}' is no map ({reason}): expected a file of galmorph map --save")
    ):
        with zipfile.ZipFile(path) as archive:
            # Stored as they are, as they are written: so no file holds more than its own size.
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise zipfile.BadZipFile("its arrays are compressed")
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: np.asarray(file[name], np.float32) for name in _ARRAYS}
            return MapLayout.of_arrays(arrays, _facts(np.asarray(file["facts"], np.uint8).tobytes()))


def _facts(words: bytes) -> dict[str, Any]:
    """Return what a file says of its map; refuse those of other formats."""
    facts = json.loads(words)
    if not isinstance(facts, dict) or facts.get("format") != _FORMAT:
        raise ValueError("its format is another one")
    return facts


def check_method(method: str) -> None:
    """Refuse a method that there is not, or whose library is missing, before any work.

    Raises
    ------
    PipelineError
        If so.
    """
    if method not in METHODS:
        raise PipelineError(unknown_name("method", method, METHODS))
    if method in _LIBRARIES:
        _library(method)


def _library(method: str) -> ModuleType:
    name, remedy = _LIBRARIES[method]
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise PipelineError(f"method '{method}' needs {name}: {remedy}, or choose --method pca") from error


def laid_out(
    features: FloatArray, *, method: str, name: str = "gm_features", seed: int = 0, progress: Progress = silent
) -> MapLayout:
    """Make a map. The same features, method and seed give the same map, whatever else the machine does.

    Parameters
    ----------
    features
        (N, D), all of them usable.
    method
        One of :data:`METHODS`.
    name
        Of the column of features.
    seed
        Of what is drawn by lot.
    progress
        Is told how far it is.

    Raises
    ------
    CatalogError
        If there are too few rows.
    PipelineError
        If there is no such method, or its library is missing.
    """
    if len(features) < _FEWEST:
        raise CatalogError(
            f"{len(features)} rows have features: expected {_FEWEST} or more to make a map of; give more"
        )
    check_method(method)
    units = directions(features)
    space = fit_space(units, dimensions=min(_MOST_COMPONENTS, units.shape[1]))
    reduced = space.placed(units)
    if method == "pca":
        places = reduced[:, :2]
    elif method == "umap":
        places = _umap(reduced, seed)
    else:
        places = _tsne(reduced, seed, progress)
    return MapLayout(space, reduced, np.ascontiguousarray(places, np.float32), method, name, seed)


def exaggeration(rows: int) -> float:
    """Return how much attraction is enlarged to the end: 1 to 10 000 rows, 2 for 100 000, 3 for a million.

    Without it islands of large maps grow into one another (Kobak & Berens 2019, Nat. Commun. 10, 5416; Böhm et al.
    2022, JMLR 23, 95).
    """
    return float(np.clip(1.0 + math.log10(max(rows, 1) / 1e4), 1.0, 4.0))


def _tsne(reduced: FloatArray, seed: int, progress: Progress) -> npt.NDArray[Any]:
    """Lay out by t-SNE, from principal components, with a step of N over the exaggeration (Belkina et al. 2019)."""
    library = _library("tsne")
    affinities = importlib.import_module("openTSNE.affinity").PerplexityBasedNN(
        reduced, perplexity=min(_PERPLEXITY, (len(reduced) - 1) / 3.0), n_jobs=1, random_state=seed
    )
    start = reduced[:, :2].astype(np.float64)
    # One thread: sums in another order would lead to another map.
    embedding = library.TSNEEmbedding(
        start / max(float(start[:, 0].std()), 1e-30) * 1e-4,
        affinities,
        negative_gradient_method="fft" if len(reduced) >= _FFT_FROM else "bh",
        n_jobs=1,
        random_state=seed,
    )

    def report(done: int, before: int) -> bool:
        progress("laying out", before + done, _EARLY + _LATE)
        return False

    for before, steps, stretch, momentum in (
        (0, _EARLY, _EARLY_EXAGGERATION, 0.5),
        (_EARLY, _LATE, exaggeration(len(reduced)), 0.8),
    ):
        embedding = embedding.optimize(
            n_iter=steps,
            exaggeration=stretch,
            momentum=momentum,
            learning_rate="auto",
            callbacks=lambda done, _error, _embedding, before=before: report(done, before),
            callbacks_every_iters=10,
        )
    return np.asarray(embedding)


def _umap(reduced: FloatArray, seed: int) -> npt.NDArray[Any]:
    neighbours = min(_NEIGHBOURS, len(reduced) - 1)
    start = reduced[:, :2] / max(float(np.abs(reduced[:, :2]).max()), 1e-30) * 10.0
    model = _library("umap").UMAP(n_neighbors=neighbours, init=start, random_state=seed, n_jobs=1)
    return np.asarray(model.fit_transform(reduced))
