"""Classifier: linear machines, logistic regression, forests and boosted trees, fitted to features by scikit-learn.

What is fitted becomes the last layer of a network (:class:`Head`), whose numbers answer without scikit-learn. Each
question of a scheme is learnt by itself, of the galaxies that it was asked of: a galaxy counts for each answer with the
share of its votes. Answers that do not exclude each other are questions of yes and no.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy
from scipy import special

from galmorph.errors import PipelineError, unknown_name
from galmorph.interval import COUNT, FRACTION, POSITIVE, Interval, check_numbers
from galmorph.sky.scheme import Scheme

__all__ = ["METHODS", "SHARES", "Classifier", "Head", "ViewSample", "Votes", "dealt", "fit_head", "folds_of"]

FloatArray = npt.NDArray[np.float64]
Single = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
METHODS = ("svm", "logistic", "forest", "boosting")
"""Kinds of classifiers."""
SHARES = ("learnt", "equal")
"""How much each of several counts."""

_USUAL = ("svm", "forest", "boosting")
_ABSENT = -10.0
"""Logit of an answer that nobody gave."""
_FOLDS, _FOLDS_OF_MANY, _MANY = 5, 3, 1000
"""Folds of few galaxies, of which hardly any can be spared, and of so many or more, which take long to learn from."""
_FEW = 4
"""With so many times more features than views, linear machines are fitted in the space that the views span."""
_NUMBERS = {
    **dict.fromkeys(("trees", "leaf", "rounds", "depth"), COUNT),
    **dict.fromkeys(("strength", "logistic", "rate"), POSITIVE),
    "tree_views": Interval(0, whole=True),
    "sampled": Interval(0.0, 1.0, above=True),
    "features": FRACTION,
}
_SCALES = (np.log(1e-2), np.log(1e2))


@dataclass(frozen=True)
class Classifier:
    """The section ``[classifier]``: what learns answers of features.

    Parameters
    ----------
    method
        ``'svm'``, ``'logistic'``, ``'forest'``, ``'boosting'``, or several, whose probabilities are averaged.
    shares
        Of several in their average: ``'learnt'``, those that make the votes on galaxies likeliest which the classifiers
        have not learnt from, by folds; or ``'equal'``.
    strength
        Of support vector machines: the penalty of a galaxy on the wrong side, C, of standardised features.
    logistic
        Of logistic regression: how much the likelihood of a galaxy counts against the squares of the weights, C.
    trees, leaf
        Of forests: their number of trees, and the least number of galaxies in a leaf.
    rounds, rate, depth, sampled
        Of boosting: rounds of a tree for each answer, the share of each that is added, the depth of the trees, and the
        share of the galaxies that each sees.
    tree_views
        Of each galaxy, from which trees learn, which take longer than planes and gain less from more of them; 0 for
        all that there are.
    features
        Share of the features among which trees choose, drawn anew at each node; 0 for the root of their number.
    """

    method: tuple[str, ...] = _USUAL
    shares: str = "learnt"
    strength: float = 3e-4
    logistic: float = 0.015
    trees: int = 300
    leaf: int = 2
    rounds: int = 150
    rate: float = 0.1
    depth: int = 3
    sampled: float = 0.5
    tree_views: int = 0
    features: float = 0.0

    def __post_init__(self) -> None:
        if not self.method or len(set(self.method)) < len(self.method):
            raise PipelineError(f"method = {list(self.method)}: expected one or more, each once")
        if unknown := [name for name in self.method if name not in METHODS]:
            raise PipelineError(unknown_name("method", unknown[0], METHODS))
        if self.shares not in SHARES:
            raise PipelineError(unknown_name("kind of shares", self.shares, SHARES))
        check_numbers(self, _NUMBERS)


@dataclass(frozen=True)
class Votes:
    """What is known of N views of galaxies.

    Parameters
    ----------
    counts, totals
        (N, A) votes for each answer, and of how many people.
    weight
        (N,) of each.
    galaxy
        (N,) which views are of one galaxy.
    """

    counts: FloatArray
    totals: FloatArray
    weight: FloatArray
    galaxy: IntArray


@dataclass(frozen=True)
class ViewSample:
    """N views of galaxies, of which a classifier learns.

    Parameters
    ----------
    features
        (N, F).
    votes
        On the galaxies, a row for each view.
    scheme
        Of the votes.
    parts
        How many features follow each other that are of one kind: all kinds count alike, however many each has; without
        any all are of one.
    """

    features: Single
    votes: Votes
    scheme: Scheme
    parts: Sequence[int] = ()

    @property
    def kinds(self) -> tuple[int, ...]:
        """How many features there are of each kind."""
        return tuple(self.parts) or (self.features.shape[1],)

    def only(self, views: npt.NDArray[np.bool_]) -> ViewSample:
        """Return some of the views, (N,)."""
        of = self.votes
        votes = Votes(of.counts[views], of.totals[views], of.weight[views], of.galaxy[views])
        return replace(self, features=self.features[views], votes=votes)

    def first_views(self, number: int) -> ViewSample:
        """Return so many views of each galaxy, which together weigh what all of them did."""
        galaxy = self.votes.galaxy
        order = np.argsort(galaxy, kind="stable")
        _, begin, views = np.unique(galaxy[order], return_index=True, return_counts=True)
        place = np.empty(len(order), np.intp)
        place[order] = np.arange(len(order)) - np.repeat(begin, views)
        _, number_of = np.unique(galaxy, return_inverse=True)
        weight = self.votes.weight * (views / np.minimum(views, number))[number_of]
        return replace(self, votes=replace(self.votes, weight=weight)).only(place < number)


@dataclass(frozen=True)
class Head:
    """The last layer of a network: as it is written, and its arrays by name.

    `unseen` are the logits, (N, A), that each view would have got from the others' galaxies alone, where fitting told:
    linear machines learn their unit of these. NaN where nobody was asked.
    """

    line: str
    arrays: Mapping[str, npt.NDArray[Any]]
    unseen: FloatArray | None = None


@dataclass(frozen=True)
class _Group:
    """One question: rows of features, the answer of each, from 0, weights, and which rows are of one galaxy.

    `first` is the place of its first answer among all, `answers` their number; where `is_alone` these are no and yes of
    the one answer at `first`.
    """

    rows: IntArray
    answer: IntArray
    weight: FloatArray
    galaxy: IntArray
    first: int
    answers: int
    is_alone: bool

    def places(self) -> slice:
        """Of the logits that it decides."""
        return slice(self.first, self.first + (1 if self.is_alone else self.answers))


def fit_head(method: str, sample: ViewSample, settings: Classifier, *, seed: int = 1, threads: int = 1) -> Head:
    """Fit a classifier to a sample, and write it down as a layer.

    Parameters
    ----------
    seed
        Of all that is drawn.
    threads
        By which forests grow; the trees are the same with any number.

    Raises
    ------
    PipelineError
        If scikit-learn is not installed, or the method is unknown.
    """
    if method not in METHODS:
        raise PipelineError(unknown_name("method", method, METHODS))
    scheme = sample.scheme
    if method in ("svm", "logistic"):
        groups = list(_groups(sample.votes, scheme))
        return _linear(sample.features, groups, scheme, _Machines(method, settings, seed, sample.kinds))
    if settings.tree_views:
        sample = sample.first_views(settings.tree_views)
    columns = _drawn_alike(sample.kinds)
    grow = partial(_forest, threads=threads) if method == "forest" else _boosted
    stand = _Stand(len(scheme.keys), method, scheme.most_exclusive if method == "forest" else 1)
    for group in _groups(sample.votes, scheme):
        grow(stand, sample.features[:, columns], group, settings, seed)
    head = stand.head()
    return Head(head.line, {**head.arrays, "feature": columns[head.arrays["feature"]]})


def folds_of(galaxies: int) -> int:
    """Return to how many folds so many galaxies are dealt."""
    return _FOLDS if galaxies < _MANY else _FOLDS_OF_MANY


def dealt(galaxies: int) -> IntArray:
    """Return the fold of each of some galaxies, (G,)."""
    # Tables may be sorted: they are dealt in an order that is random but always the same.
    return np.asarray(np.random.default_rng(0).permutation(galaxies) % folds_of(galaxies))


def _drawn_alike(parts: Sequence[int]) -> IntArray:
    """Repeat the features of smaller parts: trees, which draw some features at each node, then look at all parts."""
    columns, most = np.arange(sum(parts)), max(parts)
    each = np.split(columns, np.cumsum(parts)[:-1])
    return np.concatenate([np.tile(part, max(1, most // len(part))) for part in each])


def _groups(votes: Votes, scheme: Scheme) -> Iterator[_Group]:
    """Yield the questions; one that nobody was asked has no rows."""
    if scheme.kind == "independent":
        for answer in range(len(scheme.keys)):
            yes, total = votes.counts[:, answer], votes.totals[:, answer]
            yield _group(np.stack([total - yes, yes], axis=1), votes, answer, is_alone=True)
        return
    for where in scheme.slices:
        yield _group(votes.counts[:, where], votes, where.start, is_alone=False)


def _group(counts: FloatArray, votes: Votes, first: int, *, is_alone: bool) -> _Group:
    """Let each view count for every answer that somebody gave, with the share of the votes."""
    total = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
    rows, answer = np.nonzero(shares)
    weight = shares[rows, answer] * votes.weight[rows]
    chosen = weight > 0
    rows, answer, weight = rows[chosen], answer[chosen], weight[chosen]
    return _Group(rows, answer, weight, votes.galaxy[rows], first, counts.shape[1], is_alone)


def _learner(module: str, name: str) -> Any:
    """Return a class of scikit-learn, which only fitting needs."""
    try:
        return getattr(importlib.import_module(f"sklearn.{module}"), name)
    except ImportError as error:
        raise PipelineError("[classifier] needs scikit-learn: pip install 'galmorph[likeness]'") from error


# --- linear ---


@dataclass(frozen=True)
class _Machines:
    """What separates answers by planes: support vector machines, or a logistic regression."""

    method: str
    settings: Classifier
    seed: int
    parts: tuple[int, ...]

    def scale(self) -> FloatArray:
        """Return how much each standardised feature counts, (F,): parts have the same mean square together."""
        widths = np.repeat(self.parts, self.parts)
        return np.sqrt(sum(self.parts) / (len(self.parts) * widths))

    def learner(self) -> Any:
        if self.method == "svm":
            make, strength = _learner("svm", "LinearSVC"), self.settings.strength
            return make(C=strength, dual=True, random_state=self.seed, max_iter=2000)
        return _learner("linear_model", "LogisticRegression")(C=self.settings.logistic, max_iter=1000)

    def planes(self, x: Single, answer: IntArray, weight: FloatArray, answers: int) -> tuple[FloatArray, FloatArray]:
        """Fit them; return (K, F) and (K,)."""
        w, b = np.zeros((answers, x.shape[1])), np.full(answers, _ABSENT)
        present = np.unique(answer)
        if len(present) < 2:
            b[present] = 0.0
            return w, b
        machine, basis = self.learner(), _span(x)
        machine.fit(x if basis is None else x @ basis, answer, sample_weight=weight)
        normals = machine.coef_ if basis is None else machine.coef_ @ basis.T
        if len(present) == 2:
            sides = 0.5 * np.array([-1, 1])
            w[present], b[present] = np.outer(sides, normals[0]), sides * machine.intercept_
        else:
            w[present], b[present] = normals, machine.intercept_
        return w, b


def _span(x: Single) -> Single | None:
    """Return unit vectors that span few rows, (F, N), in which the best weights lie; None where rows are many."""
    return np.asarray(np.linalg.qr(x.T)[0]) if _FEW * len(x) < x.shape[1] else None


def _linear(features: Single, groups: list[_Group], scheme: Scheme, machines: _Machines) -> Head:
    """Fit linear logits of the answers of each group, on standardised features."""
    mean, spread = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    spread = np.where(spread > 1e-6 * spread.max(initial=0.0), spread, np.inf)  # what never varies says nothing
    spread /= machines.scale()
    x = ((features - mean) / spread).astype(np.float32)
    weight, bias = np.zeros((len(scheme.keys), x.shape[1])), np.zeros(len(scheme.keys))
    unseen = np.full((len(x), len(scheme.keys)), np.nan)
    for group in groups:
        w, b, logits = _separated(x, group, machines)
        if group.is_alone:
            w, b, logits = w[1:] - w[:1], b[1:] - b[:1], logits[:, 1:] - logits[:, :1]
        weight[group.places()], bias[group.places()] = w, b
        unseen[group.rows, group.places()] = logits
    weight /= spread
    # Half precision is what files may keep of kernels: rounded now, the bias makes up for it.
    weight = weight.astype(np.float16).astype(np.float64)
    bias -= weight @ mean
    return Head("dense answers", {"weight": weight.astype(np.float32), "bias": bias.astype(np.float32)}, unseen)


def _separated(x: Single, group: _Group, machines: _Machines) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Fit the logits of the answers of a group, (K, F) and (K,): distances in the unit that makes them likeliest.

    The unit is that of galaxies which the planes whose distances it is fitted to have not learnt from; the logits of
    these, (rows, K), are the last that is returned.
    """
    rows, answer, weight = group.rows, group.answer, group.weight
    distances = np.zeros((len(rows), group.answers))
    galaxies, of_row = np.unique(group.galaxy, return_inverse=True)
    fold = dealt(len(galaxies))[of_row]
    for number in range(folds_of(len(galaxies))):
        out = fold == number
        w, b = machines.planes(x[rows[~out]], answer[~out], weight[~out], group.answers)
        distances[out] = x[rows[out]] @ w.T + b
    unit = _unit_of(distances, answer, weight)
    w, b = machines.planes(x[rows], answer, weight, group.answers)
    return unit * w, np.where(b > _ABSENT, unit * b, _ABSENT), unit * distances


def _unit_of(distances: FloatArray, answer: IntArray, weight: FloatArray) -> float:
    if not len(answer):
        return 1.0

    def unlikelihood(log_unit: float) -> float:
        log_p = special.log_softmax(np.exp(log_unit) * distances, axis=1)
        return float(-(weight * log_p[np.arange(len(answer)), answer]).sum())

    best = scipy.optimize.minimize_scalar(unlikelihood, bounds=_SCALES, method="bounded")
    return float(np.exp(best.x))


# --- trees ---


@dataclass
class _Stand:
    """Trees that are gathered, node after node."""

    answers: int
    method: str
    width: int
    parts: dict[str, list[npt.NDArray[Any]]] = field(default_factory=dict)
    nodes: int = 0
    depth: int = 0
    start: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        self.start = np.zeros(self.answers)
        names = ("feature", "threshold", "left", "right", "value", "root", "answer")
        self.parts = {name: [] for name in names}

    def add(self, tree: Any, values: FloatArray, answer: int) -> None:
        """Add a tree of scikit-learn, whose leaves hold `values`, (nodes, K), for the answers from `answer` on."""
        own, is_leaf = np.arange(tree.node_count), tree.children_left < 0
        for name, children in (("left", tree.children_left), ("right", tree.children_right)):
            self.parts[name].append(np.where(is_leaf, own, children) + self.nodes)
        self.parts["feature"].append(np.where(is_leaf, 0, tree.feature))
        self.parts["threshold"].append(np.where(is_leaf, 0.0, _not_above(tree.threshold)))
        self.parts["value"].append(values)
        self.parts["root"].append(np.array([self.nodes]))
        self.parts["answer"].append(np.array([answer]))
        self.nodes += int(tree.node_count)
        self.depth = max(self.depth, int(tree.max_depth))

    def leaf(self, answer: int) -> None:
        """Add a tree that is one leaf of nothing: a layer has at least one."""
        self.add(_Leaf(), np.zeros((1, 1)), answer)

    def head(self) -> Head:
        """Write all trees down."""
        if not self.nodes:
            self.leaf(0)
        wide = [np.pad(values, ((0, 0), (0, self.width - values.shape[1]))) for values in self.parts["value"]]
        arrays = {name: np.concatenate(parts) for name, parts in self.parts.items() if name != "value"}
        arrays |= {"value": np.concatenate(wide).ravel(), "start": self.start}
        kinds = {name: np.float32 if name in ("threshold", "value", "start") else np.int64 for name in arrays}
        line = f"{self.method} {len(arrays['root'])} {self.nodes} {self.depth}"
        return Head(line, {name: array.astype(kinds[name]) for name, array in arrays.items()})


class _Leaf:
    """A tree of one node, as scikit-learn lays it out."""

    node_count, max_depth = 1, 0
    children_left = children_right = np.array([-1])
    feature, threshold = np.array([-2]), np.array([-2.0])


def _not_above(thresholds: FloatArray) -> Single:
    """Round down to single precision: features of single precision then lie on the same sides."""
    rounded = thresholds.astype(np.float32)
    return np.where(rounded > thresholds, np.nextafter(rounded, np.float32(-np.inf)), rounded)


def _among(settings: Classifier) -> float | str:
    return settings.features or "sqrt"


def _forest(stand: _Stand, features: Single, group: _Group, settings: Classifier, seed: int, *, threads: int) -> None:
    """Grow a forest (Breiman 2001, Mach. Learn. 45, 5)."""
    present = np.unique(group.answer)
    if len(present) < 2:
        stand.start[group.places()] = _alone(group, present, stand.method)
        return
    forest = _learner("ensemble", "RandomForestClassifier")(
        settings.trees,
        min_samples_leaf=settings.leaf,
        max_features=_among(settings),
        random_state=seed,
        n_jobs=threads,
    )
    forest.fit(features[group.rows], group.answer, sample_weight=group.weight)
    for estimator in forest.estimators_:
        values = np.zeros((estimator.tree_.node_count, group.answers))
        values[:, present] = estimator.tree_.value[:, 0]
        values /= values.sum(axis=1, keepdims=True) * len(forest.estimators_)
        stand.add(estimator.tree_, values[:, 1:] if group.is_alone else values, group.first)


def _boosted(stand: _Stand, features: Single, group: _Group, settings: Classifier, seed: int) -> None:
    """Boost trees (Friedman 2001, Ann. Stat. 29, 1189)."""
    present = np.unique(group.answer)
    if len(present) < 2:
        stand.start[group.places()] = _alone(group, present, stand.method)
        return
    boosting = _learner("ensemble", "GradientBoostingClassifier")(
        n_estimators=settings.rounds,
        learning_rate=settings.rate,
        max_depth=settings.depth,
        subsample=settings.sampled,
        max_features=_among(settings),
        min_samples_leaf=settings.leaf,
        random_state=seed,
    )
    boosting.fit(features[group.rows], group.answer, sample_weight=group.weight)
    logs = np.log(np.clip(boosting.init_.class_prior_, np.finfo(np.float32).eps, 1.0))
    start = np.full(group.answers, _ABSENT)
    start[present] = [0.0, logs[1] - logs[0]] if len(present) == 2 else logs
    stand.start[group.places()] = start[1:] if group.is_alone else start
    # Two answers share one logit: that of the second against the first.
    places = group.places().start + (present[1:] if len(present) == 2 else present) - (1 if group.is_alone else 0)
    for of_round in boosting.estimators_:
        for place, estimator in zip(places, of_round, strict=True):
            stand.add(estimator.tree_, settings.rate * estimator.tree_.value[:, 0], int(place))


def _alone(group: _Group, present: IntArray, method: str) -> FloatArray:
    """Return what stands where all gave the same answer, or nobody any: shares of a forest, or logits."""
    likely = np.zeros(group.answers) if len(present) else np.ones(group.answers)
    likely[present] = 1.0
    if method == "forest":
        shares: FloatArray = likely / likely.sum()
        return shares[1:] if group.is_alone else shares
    logits: FloatArray = np.where(likely > 0, 0.0, _ABSENT)
    return np.asarray(logits[1:] - logits[:1]) if group.is_alone else logits
