"""Classes by a named rule, from the command line."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import small_sky
from astropy.io import fits
from astropy.table import Table

from galmorph import classify
from galmorph.sky.scheme import load_scheme


def test_a_rule_gives_the_class(classified, tmp_path):
    """In a column of its own, where its condition holds of the fractions; all else stays; the header names it."""
    assert classified(tmp_path / "plain.fits").status == 0
    done = classified(tmp_path / "ruled.fits", "--rule", "huertas-company-2015", "--normalise")
    assert done.status == 0, done.err
    plain, ruled = (Table.read(tmp_path / f"{n}.fits") for n in ("plain", "ruled"))
    scheme = load_scheme("candels-visual")
    p = np.stack([np.asarray(plain[n], float) for n in scheme.column_names()], axis=1)
    expected = scheme.rule("huertas-company-2015").apply(p, p, scheme.keys)
    assert [str(c).strip() for c in ruled["gm_rule"]] == expected.tolist()
    assert "gm_rule" not in plain.colnames
    for name in ("gm_class", "gm_conf"):
        np.testing.assert_array_equal(plain[name], ruled[name])
    header = fits.getheader(tmp_path / "ruled.fits", 1)
    assert header["GMRULE"] == "huertas-company-2015"
    assert "Class by the rule huertas-company-2015" in str(header)
    assert "GMRULE" not in fits.getheader(tmp_path / "plain.fits", 1)


def test_the_default_rule_of_a_scheme_has_a_column_unless_the_likeliest_answer_is_asked_for(tmp_path):
    sky = small_sky.write_sky(tmp_path / "sky")
    scheme = replace(load_scheme("candels-visual"), default_rule="huertas-company-2015")
    checkpoint = replace(small_sky.checkpoint(), scheme=scheme)
    how = {"survey": "candels", "band": "H", "checkpoint": checkpoint, "device": "cpu"}
    plain, likeliest = (classify(sky.catalog, sky.image, **how, rule=rule) for rule in ("", "likeliest"))
    assert set(plain["gm_rule"]) <= {kind.name for kind in scheme.rules[0].classes} | {"unclassified"}
    assert [n for n in plain.colnames if n != "gm_rule"] == likeliest.colnames


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
