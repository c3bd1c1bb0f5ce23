"""Simulated fields: their truth is true, their catalogue is an astronomer's, and a seed repeats them."""

from __future__ import annotations

import dataclasses
import gzip
import shutil
import sys

import numpy as np
import pytest
import sep
from astropy.io import fits
from astropy.io.votable.ucd import check_ucd
from astropy.table import Table
from astropy.wcs import WCS

from galmorph.errors import GalmorphError, OutputError, PipelineError, SurveyError
from galmorph.shipped import named_files, shipped
from galmorph.sky.mock import MockField, simulate
from galmorph.sky.mock.field import _simulate
from galmorph.sky.mock.galaxies import KINDS
from galmorph.sky.mock.light import Shape, Smooth, half_light_arcsec
from galmorph.sky.mock.population import MockSource, draw_rows
from galmorph.sky.mock.render import add_noise, draw_noiseless, make_psf, pixel_rms, weight_map
from galmorph.sky.mock.setting import read_setting
from galmorph.sky.mock.truth import candels_fractions, petrosian_radii
from galmorph.sky.survey import load_survey

galsim = pytest.importorskip("galsim", reason="GalSim, the optional extra 'simulate', is not installed")

FRACTIONS = ["f_spheroid", "f_disk", "f_irregular", "f_point_source", "f_unclassifiable"]
CATALOG = ["id", "ra", "dec", "mag"]


@pytest.fixture(scope="module")
def h_field() -> MockField:
    return simulate("candels", "H", rows=60, seed=4, side_px=800)


@pytest.fixture(scope="module")
def colour_field() -> MockField:
    return simulate("sdss", "gri", rows=30, seed=2, side_px=600)


def test_a_field_has_one_row_per_source_in_catalogue_and_truth(h_field: MockField):
    assert h_field.images["H"].shape == h_field.weights["H"].shape == (800, 800)
    assert h_field.images["H"].dtype == h_field.weights["H"].dtype == np.float32
    assert np.isfinite(h_field.images["H"]).all()
    assert (h_field.weights["H"] > 0).all()
    assert len(h_field.catalog) == len(h_field.truth) == 60
    assert list(h_field.catalog["id"]) == list(h_field.truth["id"]) == list(range(1, 61))


def test_every_kind_of_source_is_there(h_field: MockField, colour_field: MockField):
    assert set(h_field.truth["type"]) == set(colour_field.truth["type"]) == set(KINDS)


def test_the_catalogue_tells_nothing_of_the_truth(h_field: MockField):
    assert h_field.catalog.colnames == CATALOG
    off = 3600 * np.hypot(
        (h_field.catalog["ra"] - h_field.truth["ra"]) * np.cos(np.radians(h_field.truth["dec"])),
        h_field.catalog["dec"] - h_field.truth["dec"],
    )
    assert 0.035 < np.sqrt(np.mean(off**2)) < 0.065  # 0.05 arcsec within 4 sigma of 120 draws
    assert 0.03 < np.std(h_field.catalog["mag"] - h_field.truth["mag"]) < 0.07


def test_world_coordinates_lead_back_to_the_pixels(h_field: MockField):
    x, y = h_field.wcs.all_world2pix(h_field.truth["ra"], h_field.truth["dec"], 0)
    np.testing.assert_allclose(x, h_field.truth["x"], atol=1e-6)
    np.testing.assert_allclose(y, h_field.truth["y"], atol=1e-6)
    from_header = WCS(h_field.headers["H"])
    scale = np.sqrt(abs(np.linalg.det(from_header.wcs.cd))) * 3600
    assert scale == pytest.approx(load_survey("candels").band("H").scale_arcsec, rel=1e-9)
    assert np.linalg.det(from_header.wcs.cd) < 0  # east to the left


def test_sources_lie_on_the_image_and_some_on_its_edge(h_field: MockField):
    setting = read_setting("candels", "H")
    rng, scale = np.random.default_rng(9), setting.scale_arcsec
    sources = draw_rows(rng, setting.population, rows=100, side_px=900, scale_arcsec=scale)
    drawn = np.array([(source.x_px, source.y_px) for source in sources])
    for xy, side, on_edge in ((drawn, 900, 2), (np.transpose([h_field.truth["x"], h_field.truth["y"]]), 800, 1)):
        assert ((xy >= 0) & (xy <= side - 1)).all()
        assert (np.minimum(xy, side - 1 - xy).min(axis=1) <= 4).sum() == on_edge


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path):
    one, same, other = (simulate("sdss", "r", rows=8, seed=s, side_px=200) for s in (3, 3, 4))
    assert one.images["r"].tobytes() == same.images["r"].tobytes()
    assert one.images["r"].tobytes() != other.images["r"].tobytes()
    first, second = one.write(tmp_path / "a"), same.write(tmp_path / "b")
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_three_bands_share_positions_and_show_bulges_redder_than_arms(colour_field: MockField):
    assert list(colour_field.images) == ["g", "r", "i"]
    assert colour_field.truth["mag"].tolist() == pytest.approx(colour_field.truth["mag_r"].tolist(), abs=1e-5)
    colour = np.asarray(colour_field.truth["mag_g"] - colour_field.truth["mag_r"])
    kind = np.asarray(colour_field.truth["type"])
    assert colour[kind == "spheroid"].mean() > colour[kind == "spiral"].mean() + 0.15
    assert colour[kind == "spiral"].mean() > colour[kind == "irregular"].mean()
    assert "mag_g" not in colour_field.catalog.colnames


def test_rgb_means_the_usual_three_bands_of_the_survey():
    assert [c.band.name for c in read_setting("sdss", "RGB").bands] == ["g", "r", "i"]
    assert [c.band.name for c in read_setting("legacy", "rgb").bands] == ["g", "r", "z"]


def test_fractions_of_votes_lie_between_0_and_1_and_follow_the_kind(h_field: MockField):
    votes = np.array([h_field.truth[name] for name in FRACTIONS])
    assert ((votes >= 0) & (votes <= 1)).all()
    bright = np.asarray(h_field.truth["snr"]) > 50
    top = np.array([name.removeprefix("f_") for name in FRACTIONS])[votes.argmax(axis=0)]
    expected = {"star": "point_source", "irregular": "irregular", "spiral": "disk", "spheroid": "spheroid"}
    for kind, answer in expected.items():
        rows = bright & (np.asarray(h_field.truth["type"]) == kind)
        assert rows.any()
        assert set(top[rows]) == {answer}


def test_a_source_lost_in_the_noise_is_unclassifiable():
    shape = KINDS["disk"](np.random.default_rng(1), 0.4)
    assert candels_fractions(shape, 2.0)["unclassifiable"] > 0.9
    assert candels_fractions(shape, np.nan)["unclassifiable"] == 1.0
    assert candels_fractions(shape, 100.0)["unclassifiable"] < 0.01


@pytest.mark.parametrize(("n", "ratio"), [(1.0, 2.113), (4.0, 1.714)])
def test_the_petrosian_radius_of_an_analytic_profile_is_the_known_one(n: float, ratio: float):
    r_e_px = 20.0
    profile = galsim.Convolve(galsim.Sersic(n, half_light_radius=r_e_px), galsim.Gaussian(fwhm=1.5))
    stamp = profile.drawImage(nx=401, ny=401, scale=1.0, method="no_pixel", offset=(0.3, -0.2)).array
    found = petrosian_radii(stamp, 200.3, 199.8)
    # The PSF (FWHM 0.075 r_e) and the interpolation between radii leave half a per cent.
    assert found.rpet_px / r_e_px == pytest.approx(ratio, rel=0.006)


def test_half_of_the_petrosian_flux_lies_within_r50():
    stamp = galsim.Exponential(half_light_radius=12.0).drawImage(nx=301, ny=301, scale=1.0, method="no_pixel").array
    found = petrosian_radii(stamp, 150, 150)
    inside, _, _ = sep.sum_circle(stamp, [150.0], [150.0], [found.r50_px], subpix=0)
    assert inside[0] / found.petro_flux == pytest.approx(0.5, abs=0.003)
    assert found.r50_px == pytest.approx(12.0, rel=0.02)  # 2 r_P holds 99.4 % of an exponential disc


def test_a_stamp_too_small_for_a_petrosian_radius_gives_nan():
    found = petrosian_radii(np.ones((21, 21), dtype=np.float32), 10, 10)
    assert np.isnan([found.rpet_px, found.r50_px, found.petro_flux]).all()
    assert np.isnan(petrosian_radii(np.ones((3, 3), dtype=np.float32), 1, 1).rpet_px)


@pytest.mark.parametrize("n", [0.7, 1.0, 4.0])
def test_the_half_light_radius_of_one_component_is_its_own(n: float):
    light = Smooth(share=1.0, tint=0.5, r_e=0.8, n=n, q=0.4, angle=33.0, x=0.2, y=-0.1)
    assert half_light_arcsec(Shape("disk", (light,), 0.4, 33.0, n, 0.0)) == pytest.approx(0.8, rel=0.005)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_shares_of_every_kind_sum_to_1(kind: str):
    for seed in range(20):
        shape = KINDS[kind](np.random.default_rng(seed), 0.7)
        assert shape.kind == kind
        assert sum(light.share for light in shape.lights) == pytest.approx(1.0)
        assert all(light.share > 0 for light in shape.lights)
        assert sum(light.photons()[2].sum() for light in shape.lights) == pytest.approx(1.0)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"merger", "irregular"}))
def test_a_stamp_holds_the_flux_of_its_magnitude(kind: str):
    setting = read_setting("candels", "H")
    psf = make_psf(galsim, setting.reference, setting.psf)
    source = MockSource(KINDS[kind](np.random.default_rng(6), 0.5), 50.4, 61.2, 21.0)
    stamp = draw_noiseless(galsim, source, setting, 0, psf)
    # The rest lies in the wings that drown in the noise: most for the Sersic index of a bulge.
    lost = 0.08 if kind == "spheroid" else 0.04
    assert 1 - lost < stamp.pixels.sum() / setting.reference.flux(21.0) < 1.001


def test_aperture_sums_agree_with_the_true_flux_within_the_noise():
    setting = read_setting("candels", "H")
    discs = dataclasses.replace(setting.population, neighbours_per_row=0.0, kinds={"disk": 1.0}, mag_range=(20.5, 23.5))
    sparse = dataclasses.replace(setting, population=discs)
    field = _simulate(galsim, sparse, ["H"], rows=16, seed=5, side_px=1800)
    x, y, rpet, mag = (np.asarray(field.truth[k], dtype=float) for k in ("x", "y", "rpet_arcsec", "mag"))
    radius = 2.5 * rpet / 0.06
    apart = np.hypot(x[:, None] - x, y[:, None] - y) + 1e9 * np.eye(len(x))
    whole = (apart > 1.5 * (radius[:, None] + radius)).all(axis=1) & (np.minimum(x, y) > radius)
    assert whole.sum() >= 8
    flux, _, _ = sep.sum_circle(field.images["H"], x, y, radius)
    true = 10 ** (0.4 * (25.9463 - mag))
    header, area = field.headers["H"], np.pi * radius**2
    noise = np.sqrt(1.3 * header["SKYSIGMA"] ** 2 * area + true / header["GAIN"])  # 1.3: where the weight is low
    # Beyond 2.5 r_P lie the wings of the PSF and of the small bulges; the sky keeps a residual of 0.03 sigma.
    tolerance = 3.5 * noise + 0.06 * true + 0.06 * header["SKYRMS"] * area
    assert (np.abs(flux - true) < tolerance)[whole].all()
    assert 0.95 < np.median((flux / true)[whole]) < 1.01


def test_the_noise_is_what_header_and_weight_say():
    setting = read_setting("candels", "H")
    band = setting.reference
    weight = weight_map(setting, band, 600)
    sky = add_noise(np.random.default_rng(1), np.zeros((600, 600)), weight, band, setting.correlation)
    depth = weight * band.sigma**2
    scaled = sky * np.sqrt(depth)
    assert scaled.std() == pytest.approx(pixel_rms(band, setting.correlation), rel=0.02)
    areas = scaled.reshape(20, 30, 20, 30).sum(axis=(1, 3)) / 30
    # Sums over large areas show the full noise: less 4 % at their borders, plus what the sky leaves.
    assert areas.std() == pytest.approx(band.sigma, rel=0.2)
    assert len(np.unique(depth.round(4))) == 4
    right = np.corrcoef(sky[:, 1:].ravel(), sky[:, :-1].ravel())[0, 1]
    assert 0.3 < right < 0.55


def test_the_psf_has_the_width_of_the_band():
    for name, band in (("candels", "H"), ("sdss", "r")):
        setting = read_setting(name, band)
        psf = make_psf(galsim, setting.reference, setting.psf)
        expected = load_survey(name).band(band).psf_fwhm_arcsec
        assert psf.profile.calculateFWHM() == pytest.approx(expected, rel=0.01)
        assert psf.reach_px(1e-6) > psf.reach_px(1e-3) > 0


def test_position_angles_run_from_north_to_east(h_field: MockField):
    field = h_field
    elongated = np.isin(field.truth["type"], ["edge_on", "disk"]) & (np.asarray(field.truth["axis_ratio"]) < 0.5)
    rows = np.flatnonzero(elongated & (np.asarray(field.truth["snr"]) > 40))
    assert len(rows)
    for i in rows:
        pa, reach = np.radians(field.truth["pa_deg"][i]), 1 / 3600
        ra, dec = field.truth["ra"][i], field.truth["dec"][i]
        x, y = field.wcs.all_world2pix(ra + reach * np.sin(pa) / np.cos(np.radians(dec)), dec + reach * np.cos(pa), 0)
        along = np.array([x - field.truth["x"][i], y - field.truth["y"][i]])
        along /= np.hypot(*along)
        on, off = (_brightness(field, i, 6 * direction) for direction in (along, along[::-1] * [1, -1]))
        assert on > off


def _brightness(field: MockField, row: int, step: np.ndarray) -> float:
    """Flux in two small circles to both sides of a source."""
    x = field.truth["x"][row] + np.array([1, -1]) * step[0]
    y = field.truth["y"][row] + np.array([1, -1]) * step[1]
    return float(sep.sum_circle(field.images["H"], x, y, 2.0)[0].sum())


@pytest.mark.parametrize("name", named_files(shipped("catalogs") / "mocks", ".toml"))
def test_a_survey_with_a_file_in_mocks_can_be_simulated(name: str):
    band = load_survey(name).bands[1].name
    field = simulate(name, band, rows=9, seed=1, side_px=150)
    assert field.headers[band]["MAGZERO"] == load_survey(name).band(band).zero_point_ab
    assert set(field.truth["type"]) <= set(KINDS)


def test_a_file_in_mocks_draws_known_kinds_in_shares_that_sum_to_1():
    found = [read_setting(n, load_survey(n).bands[0].name) for n in named_files(shipped("catalogs") / "mocks", ".toml")]
    assert {s.survey for s in found} >= {"candels", "sdss"}
    for setting in found:
        assert set(setting.population.kinds) == set(KINDS)
        assert sum(setting.population.kinds.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_few_rows_are_enough(rows: int):
    field = simulate("sdss", "r", rows=rows, seed=1)
    assert len(field.catalog) == rows
    assert field.images["r"].shape[0] >= 100


def test_magnitudes_keep_to_the_range_that_was_asked_for():
    field = simulate("candels", "H", rows=12, seed=1, side_px=100, mag_range=(23.0, 24.0))
    assert 23.0 <= field.truth["mag"].min() <= field.truth["mag"].max() <= 24.0
    assert "23.0, 24.0" in str(field.headers["H"]["HISTORY"]).replace("\n", "")


def test_written_files_are_read_by_astropy_with_units_descriptions_and_ucds(tmp_path, colour_field: MockField):
    paths = colour_field.write(tmp_path / "new" / "folder")
    names = ["g.fits", "g_weight.fits", "r.fits", "r_weight.fits", "i.fits", "i_weight.fits"]
    assert [p.name for p in paths] == [*names, "catalog.fits", "truth.fits"]
    assert Table.read(paths[-2]).colnames == CATALOG
    truth = Table.read(paths[-1])
    assert truth["rpet_arcsec"].unit == "arcsec"
    np.testing.assert_array_equal(truth["type"], colour_field.truth["type"])
    header = fits.getheader(paths[-1], 1)
    for number in range(1, header["TFIELDS"] + 1):
        assert check_ucd(header[f"TUCD{number}"], check_controlled_vocabulary=True)
        assert 5 < len(header[f"TCOMM{number}"]) <= 68
    for name, band in (("g", "g.fits"), ("i", "i.fits")):
        pixels, header = fits.getdata(tmp_path / "new" / "folder" / band, header=True)
        np.testing.assert_array_equal(pixels, colour_field.images[name])
        assert (header["FILTER"], header["MAGZERO"], header["BUNIT"]) == (name, 22.5, "nanomaggy")
        assert "galmorph simulate --survey sdss --band gri --rows 30 --seed 2 --side 600" in str(
            header["HISTORY"]
        ).replace("\n", "")


def test_one_band_is_written_as_image_and_weight(tmp_path, h_field: MockField):
    assert [p.name for p in h_field.write(tmp_path)] == [
        "image.fits",
        "weight.fits",
        "catalog.fits",
        "truth.fits",
    ]


def test_files_that_exist_are_only_replaced_when_asked(tmp_path, h_field: MockField):
    h_field.write(tmp_path)
    (tmp_path / "image.fits").write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"exists already.*--overwrite"):
        h_field.write(tmp_path)
    assert (tmp_path / "image.fits").read_bytes() == b"mine"
    h_field.write(tmp_path, overwrite=True)
    assert fits.getdata(tmp_path / "image.fits").shape == (800, 800)


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path, h_field: MockField):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written") as caught:
        h_field.write(tmp_path / "file" / "below")
    assert "\n" not in str(caught.value)


def test_without_galsim_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "galsim", None)
    with pytest.raises(GalmorphError, match=r"pip install 'galmorph\[simulate\]'") as caught:
        simulate("candels", "H", rows=2)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rows": 0}, "0 rows"),
        ({"rows": 10**9}, "1000000000 rows: expected 1 to 1000000"),
        ({"seed": -1}, "seed -1"),
        ({"side_px": 5}, "a side of 5 pixels"),
        ({"side_px": 10**6}, "a side of 1000000 pixels"),
        ({"mag_range": (24.0, 20.0)}, "magnitudes from 24.0 to 20.0"),
        ({"mag_range": (float("nan"), 20.0)}, "magnitudes from nan"),
    ],
)
def test_impossible_settings_are_named(given: dict, message: str):
    with pytest.raises(PipelineError, match=message):
        simulate("candels", "H", **given)


def test_a_wrong_survey_or_band_lists_what_exists():
    with pytest.raises(SurveyError, match="candels"):
        simulate("candle", "H")
    with pytest.raises(SurveyError, match="F160W"):
        simulate("candels", "F16W")
    with pytest.raises(SurveyError, match="band"):
        simulate("sdss", "grx")


@pytest.mark.parametrize(
    ("sample", "bands", "least"), [("candels-h", ["image", "weight"], 120), ("sdss-gri", ["g", "r", "i"], 40)]
)
def test_the_samples_that_ship_are_whole(sample: str, bands: list[str], least: int, tmp_path):
    folder = shipped("catalogs") / "samples" / sample
    catalog, truth = Table.read(folder / "catalog.fits"), Table.read(folder / "truth.fits")
    assert len(catalog) == len(truth) >= least
    assert catalog.colnames == CATALOG
    assert set(truth["type"]) == set(KINDS)
    for band in bands:
        plain = tmp_path / f"{band}.fits"
        with gzip.open(folder / f"{band}.fits.gz") as packed, plain.open("wb") as out:
            shutil.copyfileobj(packed, out)
        pixels, header = fits.getdata(plain, header=True)
        assert pixels.dtype == ">f4"
        assert np.isfinite(pixels).all()
        assert "Simulated, not observed: galmorph simulate" in str(header["HISTORY"])


def test_the_samples_that_ship_are_small():
    folder = shipped("catalogs") / "samples"
    assert 1e6 < sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) < 6e6
