"""Headers: the FITS header and the world coordinates of a simulated image."""

from __future__ import annotations

import math

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from galmorph.sky.mock.render import Psf, pixel_rms
from galmorph.sky.mock.setting import Conditions, Setting

__all__ = ["image_header", "tangent_wcs"]


def tangent_wcs(setting: Setting, side_px: int) -> WCS:
    """Make the tangential projection about the middle of the field, east to the left, turned a little."""
    wcs = WCS(naxis=2)
    step, turn = setting.scale_arcsec / 3600, math.radians(setting.rotation_deg)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.crval = [setting.ra_deg, setting.dec_deg]
    wcs.wcs.crpix = [(side_px + 1) / 2, (side_px + 1) / 2]
    wcs.wcs.cd = step * np.array([[-math.cos(turn), math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    wcs.wcs.radesys = "ICRS"
    wcs.wcs.set()
    return wcs


def image_header(wcs: WCS, conditions: Conditions, psf: Psf, setting: Setting) -> fits.Header:
    """Make the header of an image: where it lies, what its units are, and its noise and PSF."""
    band = conditions.band
    header: fits.Header = wcs.to_header()
    for name in ("MJDREF", "DATEREF", "PC1_1", "PC1_2", "PC2_1", "PC2_2", "CDELT1", "CDELT2"):
        header.remove(name, ignore_missing=True)
    for (i, j), value in np.ndenumerate(wcs.wcs.cd):
        header[f"CD{i + 1}_{j + 1}"] = value
    header["BUNIT"] = (band.unit, "sky subtracted")
    header["MAGZERO"] = (conditions.zero_point_ab, "AB magnitude of one unit")
    header["FILTER"] = (band.name, "passband")
    header["SURVEY"] = (setting.survey, "that the simulation imitates")
    header["SKYRMS"] = (pixel_rms(conditions, setting.correlation), "noise of single pixels at full depth")
    header["SKYSIGMA"] = (conditions.sigma, "noise of areas, per pixel, at full depth")
    header["GAIN"] = (conditions.electrons_per_unit, "electrons per unit")
    header["PSFMODEL"] = (psf.model, "point-spread function")
    header["PSFFWHM"] = (psf.fwhm_arcsec, "[arcsec] its full width at half maximum")
    return header
