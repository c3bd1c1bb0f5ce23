"""Curves of losses as a picture: what is in it, and what cannot be drawn."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from galmorph.errors import OutputError
from galmorph.pages.losses import draw_losses, loss_curves

SVG = "{http://www.w3.org/2000/svg}"


def history(losses, train=None):
    """Make epochs of a network."""
    both = zip(losses, losses if train is None else train, strict=True)
    return [{"epoch": n, "validation_loss": v, "train_loss": t} for n, (v, t) in enumerate(both, 1)]


def drawn(path, *histories) -> ET.Element:
    draw_losses(path, histories)
    return ET.parse(path).getroot()


def line(picture: ET.Element, style: str) -> np.ndarray:
    """Return the points of a line, (N, 2) of x and y."""
    (one,) = (e for e in picture.iter(f"{SVG}polyline") if e.get("class") == style)
    return np.array([[float(v) for v in p.split(",")] for p in one.get("points", "").split()]).reshape(-1, 2)


def words(picture: ET.Element) -> list[str]:
    return [e.text or "" for e in picture.iter(f"{SVG}text") if (e.get("class") or "").startswith("reached")]


def test_a_falling_loss_falls_from_left_to_right(tmp_path):
    """The curve goes right and down with every epoch; its dot is at the last."""
    picture = drawn(tmp_path / "a.svg", history(np.geomspace(3.0, 0.3, 20)))
    points = line(picture, "curve c0")
    assert len(points) == 20
    assert (np.diff(points, axis=0) > 0).all()
    (dot,) = picture.iter(f"{SVG}circle")
    assert [float(dot.get("cx")), float(dot.get("cy"))] == points[-1].tolist()


def test_every_network_has_its_colour_and_words(tmp_path):
    """A second network adds lines of its colour and what it has reached, and leaves the first its own."""
    one, two = history([0.9, 0.5, 0.4]), history([0.8, 0.6, 0.45], train=[0.7, 0.5, 0.3])
    both = drawn(tmp_path / "b.svg", one, two)
    assert words(drawn(tmp_path / "a.svg", one))[:1] == words(both)[:1] == ["network 1: 0.4 at epoch 3"]
    assert words(both)[1] == "network 2: 0.45 at epoch 3"
    assert line(both, "curve dotted c1")[-1, 1] > line(both, "curve c1")[-1, 1]


def test_a_single_epoch_is_a_dot(tmp_path):
    """One epoch has no line, but is to be seen."""
    assert len(list(drawn(tmp_path / "a.svg", history([0.5])).iter(f"{SVG}circle"))) == 1


@pytest.mark.parametrize("losses", [[np.nan], [np.inf, np.nan], [0.0, 0.0], [-1.0, -3.0], [1e300, 1e-300, 1.0]])
def test_what_is_no_ordinary_loss_does_not_stop_a_run(tmp_path, losses):
    """Losses that are not finite, zero, negative or far apart still give a picture, all of it inside the frame."""
    picture = drawn(tmp_path / "a.svg", history(losses), [])
    _, _, width, height = (float(v) for v in picture.get("viewBox").split())
    for points in (line(picture, "curve c0"), line(picture, "curve dotted c0")):
        assert np.isfinite(points).all()
        assert ((points >= 0) & (points <= [width, height])).all()
    assert len(words(picture)) == 3


def test_the_picture_needs_nothing_else(tmp_path):
    """Colours are written out, since not every viewer looks up custom properties; nothing is loaded."""
    drawn(tmp_path / "a.svg", history([2.0, 1.0]))
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert "var(" not in text
    assert re.search(r"\.c0 \{ color: #[0-9a-f]{6}; \}", text)
    assert set(re.findall(r"https?://[^\"]+", text)) == {"http://www.w3.org/2000/svg"}


def test_a_page_has_the_same_lines_without_the_words(tmp_path):
    """One function draws both."""
    histories = [history([2.0, 1.0, 1.5]), history([2.0, 0.5])]
    draw_losses(tmp_path / "a.svg", histories)
    page, picture = loss_curves(histories), (tmp_path / "a.svg").read_text(encoding="utf-8")
    lines = re.findall("<polyline[^>]*>", page)
    assert len(lines) == 4
    assert lines == re.findall("<polyline[^>]*>", picture)
    assert "reached" not in page


def test_a_picture_that_cannot_be_written_says_so(tmp_path):
    """A missing folder is named."""
    with pytest.raises(OutputError, match=r"none/a\.svg"):
        draw_losses(tmp_path / "none" / "a.svg", [history([1.0, 0.5])])
