"""Pair: a row of one catalogue and a row of another that are near one another on the sky.

Positions become unit vectors, among which two k-d trees (scipy) look for all within a distance, so that there is no
seam at right ascension 0 and no crowding at the poles; what is so near is then measured exactly. Where there would be
too many pairs at once, bands of declination of the first catalogue are taken one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace

import numpy as np
import scipy

from galmorph.errors import CatalogError
from galmorph.limits import LIMITS
from galmorph.sky.matching.position_errors import normalised
from galmorph.sky.matching.separations import (
    BoolArray,
    FloatArray,
    IntArray,
    SkyPositions,
    chord_of,
    separations_arcsec,
    unit_vectors,
)

__all__ = ["Pairs", "Reach", "pairs_within", "tree_of"]

_SAMPLE = 1000
"""Rows of which neighbours are counted, to know how many pairs there will be."""
_AT_ONCE = 1_500_000
"""Pairs that are looked at together: some 200 MB, twice that where bands are unlike."""


@dataclass(frozen=True)
class Reach:
    """How far apart the rows of a pair may be.

    Parameters
    ----------
    radius_arcsec
        At most.
    sigmas
        And at most so many times the combined error of both positions, where they have errors.
    """

    radius_arcsec: float
    sigmas: float = np.inf


@dataclass(frozen=True)
class Pairs:
    """Rows of two catalogues that belong together, by row of the first, then of the second.

    Parameters
    ----------
    first, second
        Row numbers, (M,).
    separation_arcsec
        Angle between the two.
    sigmas
        The same in units of their combined error; None where positions have no errors.
    """

    first: IntArray
    second: IntArray
    separation_arcsec: FloatArray
    sigmas: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, which: BoolArray | IntArray) -> Pairs:
        sigmas = None if self.sigmas is None else self.sigmas[which]
        return Pairs(self.first[which], self.second[which], self.separation_arcsec[which], sigmas)

    @property
    def score(self) -> FloatArray:
        """What the better of two pairs has less of."""
        return self.separation_arcsec if self.sigmas is None else self.sigmas

    @property
    def mirrored(self) -> Pairs:
        """The same pairs of the catalogues in the other order."""
        order = np.argsort(self.first, kind="stable")
        order = order[np.argsort(self.second[order], kind="stable")]
        return replace(self, first=self.second, second=self.first)[order]


def pairs_within(
    first: SkyPositions,
    second: SkyPositions,
    reach: Reach,
    keep: Callable[[Pairs], Pairs] | None = None,
) -> Pairs:
    """Return all pairs within reach.

    Parameters
    ----------
    first, second
        Positions of both catalogues.
    reach
        How far apart they may be, the edge included.
    keep
        What to leave of all pairs of some rows of the first catalogue, where not all are wanted.

    Raises
    ------
    CatalogError
        If there are more than ``--limit match_pairs``.
    """
    rows1, rows2 = first.finite_rows, second.finite_rows
    if not len(rows1) or not len(rows2):
        return _joined([])
    near = first if len(rows1) == len(first) else first[rows1]
    far = second if len(rows2) == len(second) else second[rows2]
    tree = tree_of(far)
    parts, count = [], 0
    for band in _bands(near, tree, reach.radius_arcsec):
        pairs = _pairs_of(near[band], far, tree, reach)
        pairs = replace(pairs, first=rows1[band[pairs.first]], second=rows2[pairs.second])
        parts.append(pairs if keep is None else keep(pairs))
        count += len(parts[-1])
        _check_count(count)
    return _joined(parts)


def _pairs_of(first: SkyPositions, second: SkyPositions, tree: scipy.spatial.cKDTree, reach: Reach) -> Pairs:
    """Return the pairs of some rows of the first with all rows of the second, whose tree is given, in order."""
    chord = chord_of(reach.radius_arcsec)
    near = tree_of(first).sparse_distance_matrix(tree, chord, output_type="ndarray")
    order = np.argsort(near["i"] * np.int64(len(second)) + near["j"])
    i, j = near["i"][order], near["j"][order]
    separation = separations_arcsec(first[i], second[j])
    pairs = Pairs(i, j, separation, normalised(first[i], second[j], separation))
    is_near = separation <= reach.radius_arcsec
    return pairs[is_near if pairs.sigmas is None else is_near & (pairs.sigmas <= reach.sigmas)]


def tree_of(positions: SkyPositions) -> scipy.spatial.cKDTree:
    """Return the tree of the unit vectors of positions, all of which are finite."""
    # Half the time of a balanced one, and pairs are found as fast.
    return scipy.spatial.cKDTree(
        unit_vectors(positions.ra_deg, positions.dec_deg), balanced_tree=False, compact_nodes=False
    )


def _bands(first: SkyPositions, tree: scipy.spatial.cKDTree, radius_arcsec: float) -> Iterator[IntArray]:
    """Yield rows of the first catalogue that are looked at together: all, or bands of declination."""
    rows = np.arange(len(first))
    sample = rows[:: max(len(rows) // _SAMPLE, 1)]
    vectors = unit_vectors(first.ra_deg[sample], first.dec_deg[sample])
    counts = tree.query_ball_point(vectors, chord_of(radius_arcsec), return_length=True)
    expected = float(np.mean(counts)) * len(rows)
    if expected <= _AT_ONCE:
        yield rows
        return
    yield from np.array_split(np.argsort(first.dec_deg, kind="stable"), min(int(expected / _AT_ONCE) + 1, len(rows)))


def _check_count(count: int) -> None:
    limit = LIMITS["match_pairs"]
    if count > limit.number:
        raise CatalogError(
            f"More than {limit} pairs lie within the radius: expected fewer; give a smaller --radius, or --find best1"
        )


def _joined(parts: list[Pairs]) -> Pairs:
    """Put the pairs of several bands together, in order."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return Pairs(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0))
    first, second, separation, sigmas = ([getattr(p, f.name) for p in parts] for f in fields(Pairs))
    with_errors = None if sigmas[0] is None else np.concatenate(sigmas)
    pairs = Pairs(np.concatenate(first), np.concatenate(second), np.concatenate(separation), with_errors)
    return pairs[np.lexsort((pairs.second, pairs.first))]
