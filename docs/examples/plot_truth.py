"""
Probabilities against truth
===========================

The shares that ``candels-h`` predicts for the simulated sample, against those that the simulation planted. It learnt
from real galaxies of GOODS-S, not from these.
"""

import matplotlib.pyplot as plt
import numpy as np
from astropy.table import Table

import galmorph
from galmorph.shipped import shipped

sample = shipped("catalogs") / "samples" / "candels-h"
table = galmorph.classify(sample / "catalog.fits", sample / "image.fits.gz", survey="candels", band="H")
truth = Table.read(sample / "truth.fits")

figure, axes = plt.subplots(1, 3, figsize=(10, 3.6), sharex=True, sharey=True)
for axis, answer in zip(axes, ("spheroid", "disk", "irregular"), strict=True):
    planted, predicted = truth[f"f_{answer}"], table[f"gm_p_{answer}"]
    axis.plot([0, 1], [0, 1], color="0.7")
    axis.scatter(planted, predicted, s=12)
    rmse = np.sqrt(np.nanmean((planted - predicted) ** 2))
    axis.set(title=f"{answer}, RMSE {rmse:.2f}", xlabel="planted share")
axes[0].set_ylabel("predicted share")
figure.tight_layout()
plt.show()
