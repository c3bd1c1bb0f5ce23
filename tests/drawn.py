"""Drawn: pictures of round and edge-on galaxies, their labels, and a pipeline that learns them in a second."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import small_sky
from astropy.table import Table
from PIL import Image

PIPELINE = """
title = "round and edge-on pictures"
scheme = "gz2-simple"
[images]
survey = "sdss"
band = "RGB"
data = "drawn for a test"
[recipe]
size = 16
planes = 3
stretch = "display"
[network]
layers = '''
conv 8 5x5 stride 2 pad 2 batchnorm relu
residual 8
residual 16 stride 2
globalpool mean maximum
dropout 0.3
dense answers
'''
[augmentation]
zoom = 1.1
[split]
test = 0.25
validation = 0.25
[train]
epochs = 12
batch = 6
learning_rate = 0.01
bfloat16 = false
"""
INPUTS = '[inputs]\nlabels = "labels.csv"\nimages = "images.zip"\n'
"""Where the pipeline finds what :func:`write` writes."""
ROWS = 48
CLASSES = ("smooth_round", "edge_on")


def write(root: Path) -> Path:
    """Write images.zip, labels.csv and tiny.toml into a folder."""
    names, labels = [f"{n}.jpg" for n in range(ROWS)], [CLASSES[n % 2] for n in range(ROWS)]
    with zipfile.ZipFile(root / "images.zip", "w") as archive:
        for number, name in enumerate(names):
            archive.writestr(name, picture(number))
    Table({"file": names, "label": labels}).write(root / "labels.csv", format="ascii.csv")
    (root / "tiny.toml").write_text(PIPELINE)
    return root


def picture(number: int) -> bytes:
    """Draw a galaxy, round where the number is even, as JPEG."""
    side = 64
    noise = np.random.default_rng(number).normal(0, 1.5, (side, side, 3))
    disk = small_sky.light((side, side), 32, 32, 5.0, q=0.95 if number % 2 == 0 else 0.25)
    stream = io.BytesIO()
    pixels = np.clip(6 + noise + 220 * disk[..., None], 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(stream, "JPEG", quality=95)
    return stream.getvalue()
