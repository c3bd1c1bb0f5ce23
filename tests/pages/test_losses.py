"""Curves of losses as a picture: what is in it, and what cannot be drawn."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from galmorph.errors import OutputError
from galmorph.pages.losses import draw_losses

BLUE, ORANGE = (0x2F, 0x6D, 0xB5), (0xC2, 0x61, 0x1A)


def history(losses, train=None):
    """Make epochs of a network."""
    both = zip(losses, losses if train is None else train, strict=True)
    return [{"epoch": n, "validation_loss": v, "train_loss": t} for n, (v, t) in enumerate(both, 1)]


def drawn(path, *histories) -> np.ndarray:
    draw_losses(path, histories)
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image)


def places(pixels: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Return where a colour is on the plot, below the words, (N, 2) of y and x."""
    found = np.argwhere((pixels == colour).all(axis=2))
    return found[found[:, 0] > 60]


def test_a_falling_loss_falls_from_left_to_right(tmp_path):
    """The curve is lowest in the picture at its last epoch, where its dot is."""
    pixels = drawn(tmp_path / "a.png", history(np.geomspace(3.0, 0.3, 20)))
    found = places(pixels, BLUE)
    left, right = found[found[:, 1] < 300], found[found[:, 1] > 600]
    assert left[:, 0].max() < right[:, 0].min()
    assert found[:, 1].max() > 690


def test_every_network_has_its_colour_and_words(tmp_path):
    """A second network adds a colour and a line of words, and leaves the first its own."""
    one, two = history([0.9, 0.5, 0.4]), history([0.8, 0.6, 0.45])
    alone, both = drawn(tmp_path / "a.png", one), drawn(tmp_path / "b.png", one, two)
    assert not len(places(alone, ORANGE))
    assert len(places(both, ORANGE)) > 50
    words = slice(34, 52), slice(300, 720)
    assert (alone[words] == 255).mean() > (both[words] == 255).mean() + 0.02


def test_a_single_epoch_is_a_dot(tmp_path):
    """One epoch has no line, but is to be seen."""
    assert len(places(drawn(tmp_path / "a.png", history([0.5])), BLUE)) > 20


@pytest.mark.parametrize("losses", [[np.nan], [np.inf, np.nan], [0.0, 0.0], [-1.0, -3.0], [1e300, 1e-300, 1.0]])
def test_what_is_no_ordinary_loss_does_not_stop_a_run(tmp_path, losses):
    """Losses that are not finite, zero, negative or far apart still give a picture."""
    assert drawn(tmp_path / "a.png", history(losses), []).shape == (440, 720, 3)


def test_a_picture_that_cannot_be_written_says_so(tmp_path):
    """A missing folder is named."""
    with pytest.raises(OutputError, match=r"none/a\.png"):
        draw_losses(tmp_path / "none" / "a.png", [history([1.0, 0.5])])
