"""Small sky: an image of a few galaxies with its catalogue, and checkpoints that have learnt nothing.

Runs over them take a fraction of a second and say as much about rows, files and messages as large ones do.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from PIL import Image

from galmorph.nets.architecture.network import Network, NetworkConfig
from galmorph.nets.checkpoint.envelope import Envelope
from galmorph.nets.checkpoint.file import Checkpoint, save_checkpoint
from galmorph.sky.scheme import load_scheme
from galmorph.stamps.recipe import Recipe

SIDE = 240
SIGMA = 0.01
XY = np.array(
    [(40.3, 52.1), (180.7, 41.2), (120.0, 120.0), (60.5, 190.25), (199.1, 178.8), (118.4, 33.9), (35.0, 120.6)]
)
"""Where the galaxies are: 0-based pixels, (N, 2)."""


def light(shape: tuple[int, int], x: float, y: float, scale: float, q: float = 0.7) -> np.ndarray:
    """Return an exponential disk of central brightness 1, (H, W)."""
    yy, xx = np.indices(shape)
    return np.exp(-np.hypot(xx - x, (yy - y) / q) / scale)


def field(seed: int = 1, gain: float = 1.0) -> np.ndarray:
    """Render the galaxies and white noise, (SIDE, SIDE) float32."""
    image = np.random.default_rng(seed).normal(0, SIGMA, (SIDE, SIDE))
    for number, (x, y) in enumerate(XY):
        image += gain * light((SIDE, SIDE), x, y, 2.0 + 0.4 * number)
    return image.astype(np.float32)


def picture(number: int, side: int = 424) -> bytes:
    """Draw a galaxy, edge-on where the number is odd, in the middle of a JPEG of the size of Galaxy Zoo's."""
    noise = np.random.default_rng(number).normal(0, 1.5, (side, side, 3))
    disk = light((side, side), side / 2, side / 2, 22.0, q=0.25 if number % 2 else 0.95)
    stream = io.BytesIO()
    Image.fromarray(np.clip(6 + noise + 220 * disk[..., None], 0, 255).astype(np.uint8)).save(stream, "JPEG")
    return stream.getvalue()


def header(scale_arcsec: float = 0.06, filter_name: str | None = "F160W", shift_px: float = 0.0) -> fits.Header:
    """Return a header with a tangential WCS and perhaps a filter."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [215.0, 52.9]
    wcs.wcs.crpix = [SIDE / 2 + shift_px, SIDE / 2 + shift_px]
    wcs.wcs.cdelt = [-scale_arcsec / 3600, scale_arcsec / 3600]
    made = wcs.to_header()
    if filter_name is not None:
        made["FILTER"] = filter_name
    return made


def sky_of(xy: np.ndarray, scale_arcsec: float = 0.06) -> tuple[np.ndarray, np.ndarray]:
    """Return right ascension and declination, degrees, of pixels."""
    ra, dec = WCS(header(scale_arcsec)).all_pix2world(xy[:, 0], xy[:, 1], 0)
    return ra, dec


def table(xy: np.ndarray = XY, scale_arcsec: float = 0.06) -> Table:
    """Return a catalogue with columns of several types, units, descriptions and a UCD."""
    ra, dec = sky_of(np.asarray(xy, float), scale_arcsec)
    n = len(ra)
    made = Table(
        {
            "id": np.arange(n, dtype=np.int64) + 9_007_199_254_740_993,  # not a float64
            "ra": ra,
            "dec": dec,
            "mag": (20.0 + np.arange(n) / 7).astype("f4"),
            "note": np.array(["", "a b", "c,d", 'e"f', "g", "h", "i"] * (n // 7 + 1))[:n],
            "star": np.arange(n) % 2 == 0,
            "field": (np.arange(n) % 3).astype("i2"),
        }
    )
    made["ra"].unit = made["dec"].unit = "deg"
    made["mag"].unit, made["mag"].description = "mag", "total magnitude in H"
    made["mag"].info.meta = {"ucd": "phot.mag;em.IR.H"}
    made.meta["ORIGIN"] = "small sky"
    return made


@dataclass(frozen=True)
class Sky:
    """Files of a small sky."""

    folder: Path
    image: Path
    weight: Path
    catalog: Path

    @property
    def inputs(self) -> list[str]:
        """The arguments of a command that name the files."""
        return [str(self.catalog), "--image", str(self.image), "--weight", str(self.weight)]


def write_sky(folder: Path, *, ending: str = ".fits") -> Sky:
    """Write image, weight and catalogue into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    sky = Sky(folder, folder / "image.fits", folder / "weight.fits", folder / f"cat{ending}")
    fits.writeto(sky.image, field(), header())
    fits.writeto(sky.weight, np.full((SIDE, SIDE), SIGMA**-2, np.float32), header())
    write_table(table(), sky.catalog)
    return sky


def write_table(made: Table, path: Path) -> Path:
    """Write a table in the format of the ending of `path`, with other people's writers."""
    if path.suffix == ".vot":
        made.write(path, format="votable")
    elif path.suffix == ".csv":
        made.write(path, format="ascii.csv")
    elif path.suffix == ".ecsv":
        made.write(path, format="ascii.ecsv")
    elif path.suffix == ".parquet":
        made.to_pandas().to_parquet(path)
    else:
        made.write(path, format="fits")
    return path


LAYERS = """
conv 8 5x5 stride 2 pad 2 batchnorm relu
residual 8
residual 16 stride 2
globalpool mean maximum
dense answers
"""


def checkpoint(
    *,
    scheme: str = "candels-visual",
    planes: int = 1,
    survey: str = "candels",
    bands: tuple[str, ...] = ("F160W",),
    scale_arcsec: float = 0.06,
    snr: tuple[float, float] = (0.0, float("inf")),
) -> Checkpoint:
    """Make a checkpoint with random weights, always the same ones."""
    torch.set_num_threads(1)
    torch.manual_seed(3)
    tree = load_scheme(scheme)
    stretch = "display" if planes == 3 else "asinh"
    recipe = Recipe(size=32, planes=planes, stretch=stretch)
    config = NetworkConfig(LAYERS)
    network = Network(config, recipe, tree).eval()
    envelope = Envelope(survey, bands, scale_arcsec, snr)
    temperatures = (1.0,) * len(tree.questions)
    return Checkpoint(
        name="untaught",
        version="0.0",
        network=network,
        scheme=tree,
        recipe=recipe,
        envelope=envelope,
        temperatures=temperatures,
    )


def write_checkpoint(path: Path, **settings) -> Path:
    """Write a checkpoint with random weights."""
    return save_checkpoint(checkpoint(**settings), path, {"title": "random weights"})


def rgb_checkpoint_settings() -> dict:
    """Settings of a checkpoint for SDSS colour images."""
    return {
        "scheme": "gz2-simple",
        "planes": 3,
        "survey": "sdss",
        "bands": ("i", "r", "g"),
        "scale_arcsec": 0.396,
    }
