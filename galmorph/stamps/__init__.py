"""Stamps: arrays in, arrays out. What is measured of a galaxy on its cutout, and the stamp that a network sees of it.

``measure`` goes through ``scene`` (which pixels count, which object is meant), ``segment`` (objects and the sky between
them), ``galaxy`` (one object with its ``window``, that gives centre and shape, and its ``radii``, from ``profile`` and
``template``) and ``asymmetry``. ``recipe`` chooses the stamp's field, fills what does not belong to the galaxy, and has
``warp`` resample the pixels once, whatever ``views`` are asked for. Nothing here knows files, catalogues or networks.
"""
