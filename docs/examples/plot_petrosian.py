"""
Petrosian circles
=================

Galaxies of the sample with the circle of their Petrosian radius: ``galmorph.view`` cuts each out, with the stretch of
the report.
"""

import io

import matplotlib.pyplot as plt

import galmorph
from galmorph.shipped import shipped

sample = shipped("catalogs") / "samples" / "candels-h"
images = galmorph.open_images(sample / "image.fits.gz", survey="candels", band="H")

figure, axes = plt.subplots(2, 5, figsize=(10, 4.2))
for row, axis in enumerate(axes.flat):
    view = galmorph.view(sample / "catalog.fits", images, row=row)
    axis.imshow(plt.imread(io.BytesIO(view.png())), cmap="gray", extent=(-100, 100, 100, -100))
    if view.sketch.radius is not None:
        axis.add_patch(plt.Circle((0, 0), view.sketch.radius, fill=False, color="tab:orange"))
    axis.set_title(f"row {row}", fontsize=9)
    axis.axis("off")
images.close()
figure.tight_layout()
plt.show()
