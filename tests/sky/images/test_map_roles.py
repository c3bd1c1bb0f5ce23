"""What HDUs and files are for: the words of releases, and cards that say it."""

from __future__ import annotations

import pytest

from galmorph.sky.images.map_roles import role_of_file, role_of_hdu
from galmorph.sky.images.paths import role_of_name

# Release by release: names of HDUs, or of files, and what they are.
HDUS = {
    "HST": {"SCI": "image", "WHT": "weight", "CTX": "other", "HDRLET": "other"},
    "JWST": {"SCI": "image", "ERR": "rms", "CON": "other", "WHT": "weight", "DQ": "other", "AREA": "other"},
    "parts of a variance": {"VAR_POISSON": "other", "VAR_RNOISE": "other", "VAR_FLAT": "other"},
    "DES": {"SCI": "image", "MSK": "other", "WGT": "weight"},
    "HSC and LSST": {"IMAGE": "image", "MASK": "other", "VARIANCE": "variance"},
    "Legacy Surveys": {"IMAGE": "image", "INVVAR": "weight", "MASKBITS": "other"},
    "Euclid": {"CHIP1.SCI": "image", "3-4-F.SCI": "image", "3-4-F.RMS": "rms", "3-4-F.FLG": "other"},
    "CCDData": {"MASK": "other", "UNCERT": "rms"},
    "numbered": {"SCI1": "image", "WHT2": "weight", "SCI_12": "image", "ERR_1": "rms"},
    "detectors": {"S29": None, "N4": None, "CCD12": None, "": None, "PRIMARY": None, "AMP1": None},
    "others": {"IVAR": "weight", "SEGMAP": "segmentation", "SEGM": "segmentation", "SIGMA": "rms", "VAR": "variance"},
}
FILES = {
    "Legacy Surveys": {
        "legacysurvey-1500p020-image-r.fits.fz": "image",
        "legacysurvey-1500p020-invvar-r.fits.fz": "weight",
        **{
            f"legacysurvey-1500p020-{word}-r.fits.fz": "other" for word in ("chi2", "model", "nexp", "depth", "psfsize")
        },
        "legacysurvey-1500p020-maskbits.fits.fz": "other",
    },
    "KiDS": {
        "KiDS_DR4.0_130.0_0.5_r_sci.fits": "image",
        "KiDS_DR4.0_130.0_0.5_r_wei.fits": "weight",
        "KiDS_DR4.0_130.0_0.5_r_msk.fits": "other",
    },
    "Spitzer": {
        **{f"SPITZER_I1_4571_0000_5_E8_{word}.fits": role for word, role in (("maic", "image"), ("cov", "other"))},
        "SPITZER_I1_4571_0000_5_E8_munc.fits": "rms",
        "r123.I1.unc.fits": "rms",
    },
    "HLF": {
        "hlsp_hlf_hst_wfc3-60mas_goodss_f160w_v2.0_sci.fits": "image",
        "hlsp_hlf_hst_wfc3-60mas_goodss_f160w_v2.0_wht.fits": "weight",
    },
    "JWST": {"hlsp_ceers_jwst_nircam_nircam4_f200w_dr0.5_i2d.fits.gz": "image", "ceers_f200w_bkg.fits": "other"},
    "CANDELS": {"hlsp_candels_hst_wfc3_gs-tot_f160w_v1.0_rms.fits": "rms", "gs_f160w_psf_matched_drz.fits": "image"},
    "PS1": {
        "rings.v3.skycell.1405.053.stk.r.unconv.fits": None,
        "rings.v3.skycell.1405.053.stk.r.unconv.wt.fits": "variance",
    },
    "SDSS": {"frame-r-002728-3-0154.fits.bz2": None, "fpC-002728-r3-0154.fit.gz": None},
    "a galaxy": {"ngc1365.fits": None, "M31.fits": None, "field_7.fits": None},
}


@pytest.mark.parametrize("release", HDUS)
def test_names_of_hdus_say_what_they_are_for(release):
    assert {name: role_of_hdu(name, {}) for name in HDUS[release]} == HDUS[release]


@pytest.mark.parametrize("release", FILES)
def test_names_of_files_say_what_they_are_for(release):
    assert {name: role_of_name(name) for name in FILES[release]} == FILES[release]


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ({"EXTTYPE": "IMAGE"}, "image"),
        ({"EXTTYPE": "VARIANCE"}, "variance"),
        ({"EXTTYPE": "MASK"}, "other"),
        ({"HDUCLAS2": "DATA"}, "image"),
        ({"HDUCLAS2": "ERROR"}, "rms"),
        ({"HDUCLAS2": "ERROR", "HDUCLAS3": "MSE"}, "variance"),
        ({"HDUCLAS2": "ERROR", "HDUCLAS3": "INVMSE"}, "weight"),
        ({"HDUCLAS2": "ERROR", "HDUCLAS3": "RMSE"}, "rms"),
        ({"HDUCLAS2": "QUALITY", "HDUCLAS3": "FLAG32BIT"}, "other"),
        ({"UTYPE": "StdDevUncertainty"}, "rms"),
        ({"UTYPE": "InverseVariance"}, "weight"),
        ({"EXTTYPE": 3, "HDUCLAS2": True}, None),
        ({"HDUCLAS2": "nonsense"}, None),
    ],
    ids=str,
)
def test_cards_say_what_an_hdu_is_for_where_its_name_does_not(cards, expected):
    assert role_of_hdu("CHIP7", cards) == expected


def test_cards_go_before_the_name():
    assert role_of_hdu("SCI", {"HDUCLAS2": "ERROR", "HDUCLAS3": "MSE"}) == "variance"
    assert role_of_hdu("UNCERT", {"UTYPE": "VarianceUncertainty"}) == "variance"


def test_the_words_of_a_file_do_not_depend_on_their_order():
    assert role_of_file(["r", "wht", "sci"]) == role_of_file(["sci", "wht", "r"]) == "weight"
