"""Joining checkpoints from the command line, and classifying with the result."""

from __future__ import annotations

import numpy as np
import small_sky
from astropy.table import Table

from galmorph.nets.checkpoint.file import load_checkpoint


def test_two_checkpoints_become_one_that_classifies(galmorph, sky, h_checkpoint, tmp_path):
    """The same network twice answers as it does alone, to the half precision of its kernels."""
    both = tmp_path / "both.safetensors"
    done = galmorph("ensemble", h_checkpoint, h_checkpoint, "--shares", 1, 2, "--name", "pair", "-o", both)
    assert (done.status, done.out) == (0, f"{both}\n")
    inputs = ("classify", *sky.inputs, "--survey", "candels", "--band", "H")
    for name, checkpoint in (("one", h_checkpoint), ("two", both)):
        assert galmorph(*inputs, "--checkpoint", checkpoint, "-o", tmp_path / f"{name}.fits").status == 0
    one, two = (Table.read(tmp_path / f"{n}.fits") for n in ("one", "two"))
    np.testing.assert_allclose(one["gm_p_disk"], two["gm_p_disk"], atol=5e-3)
    assert str(two["gm_model"][0]).startswith("pair ")


def test_what_does_not_fit_is_one_line(galmorph, h_checkpoint, rgb_checkpoint, tmp_path):
    """Another recipe, an existing file, a single checkpoint: nothing is written."""
    out = tmp_path / "both.safetensors"
    done = galmorph("ensemble", h_checkpoint, rgb_checkpoint, "-o", out)
    assert done.status == 1
    assert "differ in their recipe" in done.err
    assert galmorph("ensemble", h_checkpoint, "-o", out).status == 1
    assert not out.exists()
    out.write_bytes(b"mine")
    assert "exists already" in galmorph("ensemble", h_checkpoint, h_checkpoint, "-o", out).err
    assert out.read_bytes() == b"mine"
    assert galmorph("ensemble", h_checkpoint, h_checkpoint, "--overwrite", "-o", out).status == 0
    assert len(load_checkpoint(out).network.members) == 2


def test_different_splits_leave_only_all(galmorph, tmp_path):
    """Evaluating a part that one may have been trained on is refused; all rows of other labels can be scored."""
    first = small_sky.write_checkpoint(tmp_path / "a.safetensors")
    done = galmorph("ensemble", first, first, "-o", tmp_path / "b.safetensors")
    assert done.status == 0
    assert load_checkpoint(tmp_path / "b.safetensors").split == {}
    small_sky.write_sky(tmp_path / "sky")
    table = Table.read(tmp_path / "sky" / "cat.fits")
    for number, key in enumerate(("spheroid", "disk", "irregular", "point_source", "unclassifiable")):
        table[key] = np.linspace(0, 0.2 * number, len(table))
    table.write(tmp_path / "labels.fits")
    images = ("--image", tmp_path / "sky" / "image.fits")
    refused = galmorph("evaluate", tmp_path / "b.safetensors", tmp_path / "labels.fits", *images)
    assert refused.status == 1
    assert "no test part" in refused.err
    scored = galmorph("evaluate", tmp_path / "b.safetensors", tmp_path / "labels.fits", *images, "--split", "all")
    assert scored.status == 0, scored.err
    assert '"rows": 7' in scored.out
