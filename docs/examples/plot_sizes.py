"""
Measured sizes against truth
============================

Petrosian radii of the sample with their errors, against those of the noiseless images, after the point-spread function.
"""

import matplotlib.pyplot as plt
import numpy as np
from astropy.table import Table

import galmorph
from galmorph.flags import Flag
from galmorph.shipped import shipped

sample = shipped("catalogs") / "samples" / "candels-h"
table = galmorph.measure(sample / "catalog.fits", sample / "image.fits.gz", survey="candels", band="H")
truth = Table.read(sample / "truth.fits")
is_blended = (table["gm_flags"] & int(Flag.BLEND)) != 0

figure, axis = plt.subplots(figsize=(5.5, 5))
for rows, label, marker in ((~is_blended, "alone", "o"), (is_blended, "with a neighbour (BLEND)", "x")):
    axis.errorbar(
        truth["rpet_arcsec"][rows],
        table["gm_rpet"][rows],
        table["gm_rpet_err"][rows],
        fmt=marker,
        ms=4,
        lw=0.8,
        label=label,
    )
limits = np.array([0.2, 4.0])
axis.plot(limits, limits, color="0.7")
axis.set(
    xscale="log",
    yscale="log",
    xlim=limits,
    ylim=limits,
    xlabel="true Petrosian radius / arcsec",
    ylabel="measured / arcsec",
)
ticks = [0.2, 0.5, 1, 2, 4]
axis.set_xticks(ticks, ticks, minor=False)
axis.set_yticks(ticks, ticks, minor=False)
axis.minorticks_off()
axis.legend()
plt.show()
