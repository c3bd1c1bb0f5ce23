"""The cross-entropy equals what one computes by hand."""

from __future__ import annotations

import numpy as np
import pytest
from loss_tests import ASKED, LOGITS, VOTES, LossTests, named
from scipy import special


class TestCrossEntropy(LossTests):
    """What every loss keeps."""

    name = "cross_entropy"


def test_cross_entropy_counts_galaxies_alike_however_many_voted():
    """Ten times the votes of one galaxy change nothing."""
    p = [np.concatenate([special.softmax(v[:2]), special.softmax(v[2:])]) for v in LOGITS]
    y = np.array(VOTES) / np.array(ASKED)
    by_hand = -(y * np.log(p)).sum() / 2
    assert named("cross_entropy", LOGITS) == pytest.approx(by_hand)
    more, asked = np.array(VOTES), np.array(ASKED)
    more[0], asked[0] = 10 * more[0], 10 * asked[0]
    assert named("cross_entropy", LOGITS, more, asked) == pytest.approx(by_hand)
