"""Benchmark: the H-band network on fields whose truth is known, on the XDF, and against CANDELS' mean fractions.

Usage: ``python tests/benchmarks/bench_candels.py [--checkpoint C] [--rows N] [--card JSON]``. Simulated H fields of a
seed that no training has used need GalSim; the XDF and the table of real labels need ../shared/data and are left out
without it. Writes docs/benchmarks/candels.json, and with ``--card`` the same into a checkpoint's card.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import sep
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from scipy.stats import spearmanr

import galmorph
from galmorph.nets.checkpoint.card import add_to_card, read_card
from galmorph.sky.scheme import load_scheme

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"
RESULT = ROOT / "docs" / "benchmarks" / "candels.json"
SEED = 101
SCHEME = load_scheme("candels-shares")
FloatArray = npt.NDArray[np.float64]


def answered(table: Table) -> FloatArray:
    """Predicted fractions, (N, 5); NaN where a row has none."""
    return np.stack([np.asarray(table[f"gm_p_{k}"], dtype=np.float64) for k in SCHEME.keys], axis=1)


def real_means() -> FloatArray | None:
    """Mean visual fractions of real CANDELS galaxies in GOODS-S, (5,)."""
    path = SHARED / "candels_labels" / "goodss_visual_fractions.csv"
    if not path.exists():
        return None
    table = Table.read(path)
    return np.array([float(np.nanmean(table[a.source])) for a in SCHEME.answers])


def named(values: npt.ArrayLike, digits: int = 3) -> dict[str, float]:
    """Round values of the five answers and name them."""
    return dict(zip(SCHEME.keys, np.round(np.asarray(values, dtype=np.float64), digits).tolist(), strict=True))


def simulated(checkpoint: str, rows: int, known: FloatArray | None) -> dict[str, Any]:
    """Classify a simulated H field and compare with its truth."""
    with tempfile.TemporaryDirectory() as folder:
        galmorph.simulate("candels", "H", rows=rows, seed=SEED).write(folder)
        found = galmorph.classify(
            Path(folder) / "truth.fits",
            Path(folder) / "image.fits",
            weight=Path(folder) / "weight.fits",
            survey="candels",
            band="H",
            checkpoint=checkpoint,
        )
    p = answered(found)
    seen = np.isfinite(p).all(axis=1)
    p, kinds = p[seen], np.asarray(found["type"]).astype(str)[seen]
    truth = np.stack([np.asarray(found[f"f_{k}"], dtype=np.float64) for k in SCHEME.keys], axis=1)[seen]
    learnt = np.array([read_card(checkpoint)["training_means"][k] for k in SCHEME.keys])
    constants = {"its_own_mean": truth.mean(axis=0), "mean_of_training": learnt}
    if known is not None:
        constants["mean_of_real_labels"] = known
    return {
        "rows": len(p),
        "seed": SEED,
        "rmse": round(rms(p - truth), 4),
        "rmse_of_constants": {name: round(rms(truth - c), 4) for name, c in constants.items()},
        "rmse_of_each": named(np.sqrt(((p - truth) ** 2).mean(axis=0))),
        "spearman": named([spearmanr(p[:, i], truth[:, i]).statistic for i in range(5)], 2),
        "mean_truth": named(truth.mean(axis=0)),
        "mean_predicted": named(p.mean(axis=0)),
        "mean_predicted_of_each_kind": {str(k): named(p[kinds == k].mean(axis=0), 2) for k in np.unique(kinds)},
    }


def rms(values: FloatArray) -> float:
    """Root of the mean square."""
    return float(np.sqrt((values**2).mean()))


def xdf(checkpoint: str) -> dict[str, Any] | None:
    """Classify what SEP detects in a patch of the XDF, which is deeper than anything trained on."""
    image = SHARED / "xdf_f160w" / "xdf_f160w_sci.fits"
    if not image.exists():
        return None
    table = galmorph.classify(
        detected(image),
        image,
        rms=image.with_name("xdf_f160w_rms.fits"),
        survey="candels",
        band="H",
        checkpoint=checkpoint,
    )
    p = answered(table)
    p = p[np.isfinite(p).all(axis=1)]
    likeliest, count = np.unique(np.asarray(SCHEME.keys)[p.argmax(axis=1)], return_counts=True)
    return {
        "sources": len(table),
        "classified": len(p),
        "mean_predicted": named(p.mean(axis=0)),
        "likeliest": dict(zip(likeliest.tolist(), count.tolist(), strict=True)),
    }


def detected(image: Path) -> Table:
    """Positions of what SEP detects on an image."""
    pixels, header = fits.getdata(image).astype("<f4"), fits.getheader(image)
    background = sep.Background(pixels)
    found = sep.extract(pixels - background.back(), 2.0, err=float(background.globalrms))
    ra, dec = WCS(header).celestial.all_pix2world(found["x"], found["y"], 0)
    return Table({"ra": ra, "dec": dec})


def main() -> None:
    """Measure it all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", default="candels-h")
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("--card", type=Path)
    options = parser.parse_args()
    known = real_means()
    result = {
        "simulated_h_to_24.5": simulated(options.checkpoint, options.rows, known),
        "xdf_f160w": xdf(options.checkpoint),
        "mean_of_7567_real_labels": None if known is None else named(known),
    }
    text = json.dumps(result, indent=1)
    print(text)
    RESULT.write_text(text + "\n")
    if options.card:
        add_to_card(options.card, "fields", result)


if __name__ == "__main__":
    main()
