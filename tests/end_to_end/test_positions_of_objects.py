"""Positions in place of a catalogue: what is printed, and that it is what a catalogue gives."""

from __future__ import annotations

import numpy as np
import small_sky
from astropy.coordinates import SkyCoord
from astropy.table import Table

import galmorph as library

H = ("--survey", "candels", "--band", "H")


def test_an_object_is_measured_and_printed(galmorph, sky):
    ra, dec = small_sky.sky_of(small_sky.XY)
    degrees = f"{ra[0]:.7f} {dec[0]:.7f}"
    sexagesimal = SkyCoord(ra[1], dec[1], unit="deg").to_string("hmsdms", sep=":", precision=4)
    done = galmorph("measure", "--at", degrees, "--image", sky.image, "--weight", sky.weight, *H, "--at", sexagesimal)
    assert done.status == 0, done.err
    lines = {line.split()[0]: line.split()[1:] for line in done.out.splitlines()}
    table = Table.read(sky.catalog)[:2]
    expected = library.measure(table, sky.image, weight=sky.weight, survey="candels", band="H")
    assert np.allclose(np.array(lines["gm_rpet"][:2], float), expected["gm_rpet"], rtol=1e-3)
    assert np.allclose(np.array(lines["gm_racen"][:2], float), expected["gm_racen"], rtol=0, atol=1e-6)
    assert lines["gm_rpet"][2] == "arcsec"
    assert done.err.splitlines() == ["2 rows", "flags: none"]


def test_the_result_may_go_into_a_file(galmorph, sky, h_checkpoint, tmp_path):
    ra, dec = small_sky.sky_of(small_sky.XY)
    words = ("--at", f"{ra[2]},{dec[2]}", "--image", sky.image, *H, "--checkpoint", h_checkpoint)
    done = galmorph("classify", *words, "-o", tmp_path / "out.ecsv")
    assert (done.status, done.out) == (0, f"{tmp_path / 'out.ecsv'}\n"), done.err
    table = Table.read(tmp_path / "out.ecsv")
    assert len(table) == 1
    printed = galmorph("classify", *words)
    assert {line.split()[0] for line in printed.out.splitlines()} == set(table.colnames)
