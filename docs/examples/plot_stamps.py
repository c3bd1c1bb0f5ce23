"""
What the network sees
=====================

Stamps of the colour sample as ``sdss-rgb`` is shown them: recentred, rescaled to the Petrosian radius, composed as the
survey's own pictures are.
"""

import matplotlib.pyplot as plt
import numpy as np

import galmorph
from galmorph.shipped import shipped

sample = shipped("catalogs") / "samples" / "sdss-gri"
images = galmorph.open_images({band: sample / f"{band}.fits.gz" for band in "gri"}, survey="sdss", band="gri")
checkpoint = galmorph.load_checkpoint("sdss-rgb")

figure, axes = plt.subplots(2, 6, figsize=(10, 3.6))
for row, axis in enumerate(axes.flat):
    view = galmorph.view(sample / "catalog.fits", images, row=row, checkpoint=checkpoint)
    axis.imshow(np.moveaxis(view.network, 0, -1))
    axis.axis("off")
images.close()
figure.tight_layout()
plt.show()
