"""Role: what the plane of an HDU or a file is for, as its header, its name and the habits of releases say it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

__all__ = ["SUPPORT", "Role", "plain_words", "role_of_file", "role_of_hdu", "titles"]

Role = Literal["image", "weight", "rms", "variance", "segmentation", "other"]
"""Light, or one of the maps that go with it; ``other`` is a map that nothing here uses."""

SUPPORT: tuple[Role, ...] = ("weight", "rms", "variance", "segmentation", "other")

titles: dict[Role, str] = {
    "image": "image",
    "weight": "weight image",
    "rms": "noise image",
    "variance": "variance image",
    "segmentation": "segmentation map",
    "other": "other map",
}
"""What each is called in messages."""

# The words of releases: HST (DRZ, WHT, CTX), JWST (SCI, ERR, CON, WHT, VAR_*), HSC and LSST (MASK, VARIANCE), DES (MSK,
# WGT), DESI Legacy Surveys (image, invvar, chi2, model, nexp, maskbits, depth, psfsize), KiDS (wei, msk), Spitzer
# (maic, mcov, munc), Euclid (RMS, FLG, BKG), PS1 (wt, num, expwt), CASU (conf), astropy (UNCERT), SExtractor and SCAMP.
_LISTS: dict[Role, str] = {
    "image": "sci science drz drc i2d img image mosaic maic mosaics",
    "weight": "wht wt weight weights weightmap wgt wei ivar invvar invvariance inversevariance",
    "rms": "rms err error errors sigma unc munc uncert uncertainty stddev std noise rmsmap errmap",
    "variance": "var variance variances varmap",
    "segmentation": "seg segm segmap segmentation",
    "other": """
        mask msk maskbits dq bpm badpix flag flags flg quality con ctx context exp nexp expmap exposure expwt num cov
        mcov coverage conf confidence chi2 model blobmodel resid residual depth galdepth psfdepth psfsize psf bkg
        background area rnoise poisson flat dark hdrlet
    """,
}
_WORDS: dict[Role, frozenset[str]] = {role: frozenset(words.split()) for role, words in _LISTS.items()}
# These say that a file is an image even where another word names what was done to it, as in "psf_matched_drz".
_PLAINLY_IMAGE = frozenset({"sci", "science", "drz", "drc", "i2d"})
# A segmentation of an image, a weight of a mosaic, a part of a variance: the second word counts.
_ORDER: tuple[Role, ...] = ("segmentation", "other", "weight", "rms", "variance", "image")

# HDUCLAS2 and HDUCLAS3 of images with errors and quality planes (ESO, "FITS extensions for ancillary data").
_CLASSES: dict[str, Role] = {
    "DATA": "image",
    "ERROR": "rms",
    "QUALITY": "other",
    "MSE": "variance",
    "RMSE": "rms",
    "INVMSE": "weight",
    "INVRMSE": "other",
}
_UNCERTAINTIES: dict[str, Role] = {
    "STDDEVUNCERTAINTY": "rms",
    "VARIANCEUNCERTAINTY": "variance",
    "INVERSEVARIANCE": "weight",
}
"""UTYPE of the HDU into which astropy's CCDData puts its uncertainty."""
_IMAGE_TYPES: dict[str, Role] = {"INVVAR": "weight", "MASKBITS": "other"}
"""IMAGETYP of cutouts of the Legacy Surveys; elsewhere the card says what was exposed."""


def role_of_hdu(name: str, header: Mapping[str, Any]) -> Role | None:
    """Return what an HDU is for, as its name and its header say it; None where they do not.

    Examples
    --------
    >>> role_of_hdu("WGT", {}), role_of_hdu("VAR_POISSON", {}), role_of_hdu("S29", {})
    ('weight', 'other', None)
    >>> role_of_hdu("", {"EXTTYPE": "VARIANCE"}), role_of_hdu("CHIP1", {"HDUCLAS2": "ERROR", "HDUCLAS3": "MSE"})
    ('variance', 'variance')
    """
    for card in ("HDUCLAS3", "HDUCLAS2"):
        if role := _CLASSES.get(_text(header, card)):
            return role
    if role := _UNCERTAINTIES.get(_text(header, "UTYPE")):
        return role
    if role := _IMAGE_TYPES.get(_text(header, "IMAGETYP")):
        return role
    return _role_of(plain_words(_text(header, "EXTTYPE"))) or _role_of(plain_words(name))


def role_of_file(words: Iterable[str]) -> Role | None:
    """Return what a file is for, as the words of its name say it; None where they do not.

    Examples
    --------
    >>> role_of_file(["legacysurvey", "0001p000", "invvar", "r"]), role_of_file(["psf", "matched", "drz"])
    ('weight', 'image')
    """
    return _role_of(list(words))


def plain_words(text: str) -> list[str]:
    """Divide a name into small words without the numbers at their ends.

    Examples
    --------
    >>> plain_words("SCI_2"), plain_words("WHT1"), plain_words("3-4-F.RMS"), plain_words("chi2")
    (['sci'], ['wht'], ['f', 'rms'], ['chi2'])
    """
    words = [word for word in re.split(r"[^a-z0-9]+", text.lower()) if word]
    short = [word if word in _WORDS["other"] | _PLAINLY_IMAGE else word.rstrip("0123456789") for word in words]
    return [word for word in short if word]


def _role_of(words: list[str]) -> Role | None:
    present = set(words)
    if {"skycell", "wt"} <= present:  # what PS1 calls a weight (Waters et al. 2020, ApJS 251, 4, section 3)
        return "variance"
    roles = [role for role in _ORDER if present & _WORDS[role]]
    if present & _PLAINLY_IMAGE and set(roles) <= {"other", "image"}:
        return "image"
    return roles[0] if roles else None


def _text(header: Mapping[str, Any], card: str) -> str:
    value = header.get(card, "")
    return value.strip().upper() if isinstance(value, str) else ""
