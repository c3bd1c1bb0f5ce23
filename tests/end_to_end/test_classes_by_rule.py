"""Classes by a named rule, from the command line."""

from __future__ import annotations

import numpy as np
from astropy.io import fits
from astropy.table import Table

from galmorph.sky.scheme import load_scheme


def test_a_rule_gives_the_class(classified, tmp_path):
    """Exactly where its condition holds of the columns; probabilities and confidence stay; the header names it."""
    assert classified(tmp_path / "plain.fits").status == 0
    done = classified(tmp_path / "ruled.fits", "--rule", "huertas-company-2015", "--normalise")
    assert done.status == 0, done.err
    plain, ruled = (Table.read(tmp_path / f"{n}.fits") for n in ("plain", "ruled"))
    scheme = load_scheme("candels-visual")
    p = np.stack([np.asarray(plain[n], float) for n in scheme.column_names()], axis=1)
    expected = scheme.rule("huertas-company-2015").apply(p, p, scheme.keys)
    assert [str(c).strip() for c in ruled["gm_class"]] == expected.tolist()
    np.testing.assert_array_equal(plain["gm_conf"], ruled["gm_conf"])
    header = fits.getheader(tmp_path / "ruled.fits", 1)
    assert header["GMRULE"] == "huertas-company-2015"
    assert "Rule huertas-company-2015" in str(header)
    assert fits.getheader(tmp_path / "plain.fits", 1)["GMRULE"] == "likeliest"


def test_an_unknown_rule_is_refused_before_work_starts(classified, tmp_path):
    """The message lists the rules."""
    done = classified(tmp_path / "out.fits", "--rule", "huertas-company")
    assert done.status == 1
    assert "huertas-company-2015" in done.err
    assert not (tmp_path / "out.fits").exists()


def test_show_lists_the_rules(galmorph):
    """With reference, conditions and what is left."""
    shown = galmorph("show", "gz2").out
    assert "rule clean-2013" in shown
    assert "smooth_or_features__smooth >= 0.469" in shown
    assert "unclassified: none of these" in shown
