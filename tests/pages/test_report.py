"""The report page is whole, safe, small and true."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from PIL import Image
from plans import plan_of
from well_formed import parsed

import galmorph
from galmorph.errors import OutputError
from galmorph.flags import MEANINGS, Flag
from galmorph.nets.architecture.network import Network, NetworkConfig
from galmorph.nets.checkpoint.envelope import Envelope
from galmorph.nets.checkpoint.file import Checkpoint
from galmorph.pages.contact import Findings, Spots, select
from galmorph.pages.figures import Axis, Mark, count_text, histogram, scatter
from galmorph.pages.pictures import picture_of
from galmorph.pages.report import check_report, write_report
from galmorph.runs.classify import classify
from galmorph.runs.gather import gather
from galmorph.runs.plan import Run
from galmorph.runs.results import Results
from galmorph.sky.catalog import read_catalog
from galmorph.sky.scheme import load_scheme
from galmorph.stamps.recipe import Recipe

SCALE_ARCSEC = 0.1
SIDE = 260
PLACES = [(60, 60), (140, 60), (200, 70), (70, 150), (150, 150), (200, 200)]


def tiny_checkpoint(scheme: str = "candels-visual", **recipe: object) -> Checkpoint:
    torch.manual_seed(1)
    tree, config = load_scheme(scheme), NetworkConfig("conv 8 5x5 stride 2 relu\nglobalpool mean\ndense answers")
    made = Recipe(size=32, **recipe)  # type: ignore[arg-type]
    network = Network(config, made, tree).eval()
    envelope = Envelope("nircam", ("F115W",), SCALE_ARCSEC, (1.0, 1e5))
    return Checkpoint(
        name="tiny",
        version="0.0",
        network=network,
        scheme=tree,
        recipe=made,
        envelope=envelope,
        temperatures=(1.0,) * len(tree.questions),
    )


def make_tile(path: Path) -> WCS:
    """Six round galaxies of different sizes on noise, north up, with a corner that has no data."""
    y, x = np.mgrid[:SIDE, :SIDE]
    image = np.random.default_rng(4).normal(0.0, 1.0, (SIDE, SIDE))
    for number, (column, row) in enumerate(PLACES):
        width = 2.5 + 0.5 * number
        image += 90.0 * np.exp(-0.5 * ((x - column) ** 2 + (y - row) ** 2) / width**2)
    image[:20, :20] = np.nan
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = [150.0, 2.0], [SIDE / 2, SIDE / 2]
    wcs.wcs.cdelt = [-SCALE_ARCSEC / 3600, SCALE_ARCSEC / 3600]
    fits.writeto(path, image.astype(np.float32), wcs.to_header())
    return wcs


def make_catalog(wcs: WCS) -> Table:
    """The six, one a little off its centre, one outside the image, one without position; ids that are HTML."""
    shifted = [(x + 3.0 * (i == 1), y) for i, (x, y) in enumerate(PLACES)]
    ra, dec = wcs.wcs_pix2world([*shifted, (-900, 40)], 0).T
    ids = [f"<b>{i}</b>&\"'" for i in range(6)] + ["<script>alert(1)</script>", "lost"]
    return Table({"id": ids, "ra": [*ra, np.nan], "dec": [*dec, np.nan]})


@pytest.fixture
def field(tmp_path: Path) -> tuple[Table, Path]:
    tile = tmp_path / "tile.fits"
    return make_catalog(make_tile(tile)), tile


def finished(catalog: object, image: object, **settings: object) -> tuple[Run, Results]:
    plan = plan_of(catalog, image, **settings)
    return plan.run, classify(plan).results


def page_of(run: Run, results: Results, folder: Path, **settings: Any) -> str:
    return write_report(run, results, folder, **settings).read_text(encoding="utf-8")


@pytest.fixture
def page(field: tuple[Table, Path], tmp_path: Path) -> str:
    run, results = finished(*field, survey="nircam", band="F115W", checkpoint=tiny_checkpoint())
    assert results.classified.sum() == 6
    return page_of(run, results, tmp_path / "report")


def test_page_is_one_well_formed_document_that_requests_nothing(page: str) -> None:
    found = parsed(page)
    # Addresses of services are data, from which the script makes links that open only when a person follows them.
    assert not re.search(r"@import|<iframe|<object|<embed|\bfetch\(|XMLHttpRequest|WebSocket|import\(|sendBeacon", page)
    assert not re.search(r"(src|srcset|action|data|poster|background)=[\"']?(https?:)?//", page)
    sources = [a["src"] for a in found.all("img")] + [a["href"] for a in found.all("link")]
    assert len(sources) > 6
    assert all(str(s).startswith("data:") for s in sources)
    targets = {a["href"] for a in found.all("a")}
    assert targets <= {f"#{a['id']}" for _, a in found.tags if "id" in a} | {f"#row={row}" for row in range(8)}


def test_policy_of_the_page_allows_its_own_style_and_script_alone(page: str) -> None:
    found = parsed(page)
    policy = next(a for a in found.all("meta") if a.get("http-equiv") == "Content-Security-Policy")["content"]
    rules = dict(rule.strip().split(" ", 1) for rule in str(policy).split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    assert "unsafe" not in str(policy)
    for name, rule in (("style", "style-src"), ("script", "script-src")):
        (text,) = re.findall(rf"<{name}>(.*?)</{name}>", page, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    assert not any(name == "style" or name.startswith("on") for _, a in found.tags for name in a)
    assert [a.get("type") for a in found.all("script")] == ["application/json", "application/json", None]


def test_page_tells_the_catalogue_survey_band_checkpoint_and_numbers(page: str) -> None:
    words = " ".join("".join(parsed(page).words).split())
    for expected in ("in memory", "nircam F115W", "tiny, version 0.0", "tile.fits", galmorph.__version__):
        assert expected in words
    assert re.search(r"rows in the catalogue\s*8\b", words)
    assert re.search(r"classified\s*6\b", words)


def test_ids_are_shown_as_text_whatever_they_hold(page: str) -> None:
    headings = "".join(parsed(page).words)
    assert "<script>alert(1)</script>" in headings
    assert all(f"<b>{i}</b>&\"'" in headings for i in range(6))
    assert "<b>" not in page


def test_every_flag_has_its_bit_meaning_and_count(page: str) -> None:
    cells = r'number">(\d+)</td><th[^>]*><code>(\w+)</code></th><td>([^<]*)</td><td class="number">(\d+)'
    rows = re.findall(cells, page)
    assert [int(bit) for bit, *_ in rows] == [int(f) for f in MEANINGS]
    counted = {name: int(count) for _, name, _, count in rows}
    assert counted["NO_POSITION"] == 1
    assert counted["NO_IMAGE"] == 1
    assert all(meaning.startswith(MEANINGS[Flag[name]].partition("'")[0]) for _, name, meaning, _ in rows)


def test_cards_show_each_galaxy_once_and_empty_tiles_say_why(page: str) -> None:
    found = parsed(page)
    assert len(found.all("article")) == 8
    stamps = [a for a in found.all("img") if str(a["alt"]).startswith("Stamp of <")]
    assert len(stamps) == 6
    assert MEANINGS[Flag.NO_IMAGE] in page
    assert page.count('class="view empty"') == 2  # and one that waits to be opened, which is large


def test_every_picture_has_a_text_and_every_table_a_caption_and_headings(page: str) -> None:
    found = parsed(page)
    assert all(a.get("alt") for a in found.all("img"))
    assert all(a.get("aria-label") or a.get("aria-hidden") == "true" for a in found.all("svg"))
    assert len(found.all("caption")) == len(found.all("table")) > 6
    assert all(a.get("scope") in ("row", "col") for a in found.all("th"))


def test_probabilities_on_the_cards_are_those_of_the_table(field: tuple[Table, Path], tmp_path: Path) -> None:
    run, results = finished(*field, survey="nircam", band="F115W", checkpoint=tiny_checkpoint(), normalise=True)
    text = page_of(run, results, tmp_path / "r")
    scheme = run.checkpoint.scheme  # type: ignore[union-attr]
    expected = scheme.normalised(scheme.marginals(results.conditional))[0]
    card = next(part for part in text.split("<article")[1:] if "&lt;b&gt;0&lt;" in part)
    shown = [int(n) for n in re.findall(r'<td class="number">(\d+)', card)]
    assert shown == [round(100 * p) for p in expected]


def test_circle_and_cross_lie_where_radius_and_catalogue_position_are(field: tuple[Table, Path]) -> None:
    checkpoint = tiny_checkpoint()
    run, results = finished(*field, survey="nircam", band="F115W", checkpoint=checkpoint)
    galaxy = next(gather(run.gathering, np.array([1])))
    picture = picture_of(galaxy, run.images, checkpoint.recipe)
    assert picture is not None
    assert picture.sketch.radius == pytest.approx(50.0)
    half_px = 2.0 * results.rpet_px[1]
    # Row 1 was shifted by 3 pixels to the right of its galaxy, whose centroid has an error of about 0.1 pixels.
    assert picture.sketch.catalog_x == pytest.approx(100 * 3.0 / half_px, abs=100 * 0.2 / half_px)
    assert picture.sketch.catalog_y == pytest.approx(0.0, abs=100 * 0.2 / half_px)
    assert picture.sketch.north == pytest.approx((0.0, -1.0), abs=1e-3)
    assert picture.sketch.east == pytest.approx((-1.0, 0.0), abs=1e-3)
    length_arcsec = float(picture.sketch.bar_title.rstrip("″"))
    assert picture.sketch.bar * half_px * SCALE_ARCSEC / 100 == pytest.approx(length_arcsec, rel=1e-3)


def test_stamp_of_a_fits_image_has_its_first_row_at_the_bottom(field: tuple[Table, Path]) -> None:
    checkpoint = tiny_checkpoint()
    run, _ = finished(*field, survey="nircam", band="F115W", checkpoint=checkpoint)
    cutout = run.images.cutout(0, 60.0, 60.0, 64)
    galaxy = next(gather(run.gathering, np.array([0])))
    cutout.planes[:, :60] = 0.0
    shown = picture_of(type(galaxy)(0, galaxy.flags, cutout, galaxy.measured), run.images, checkpoint.recipe)
    assert shown is not None
    pixels = decoded(shown.uri)
    assert pixels[20:60].std() > 3 * pixels[-40:].std()


def decoded(uri: str) -> np.ndarray:  # type: ignore[type-arg]
    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as image:
        return np.asarray(image).astype(float)


def test_pixels_without_data_are_transparent(field: tuple[Table, Path]) -> None:
    catalog, tile = field
    with fits.open(tile, mode="update", memmap=False) as hdus:
        hdus[0].data[:, 64:] = np.nan
    checkpoint = tiny_checkpoint()
    run, _ = finished(catalog[:1], tile, survey="nircam", band="F115W", checkpoint=checkpoint)
    picture = picture_of(next(gather(run.gathering)), run.images, checkpoint.recipe)
    assert picture is not None
    assert picture.partly
    pixels = decoded(picture.uri)
    assert (pixels[:, -20:] == 0).all()
    assert (pixels[:, :40] > 0).all()


def test_galaxies_cut_out_again_are_only_those_on_the_page(
    field: tuple[Table, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog, tile = field
    many = Table({name: np.tile(np.asarray(catalog[name])[:6], 40) for name in catalog.colnames})
    run, results = finished(many, tile, survey="nircam", band="F115W", checkpoint=tiny_checkpoint(), detect="cutouts")
    cut: list[int] = []
    original = type(run.images).cutout

    def counted(self: object, tile: int, *rest: object) -> object:
        cut.append(tile)
        return original(self, tile, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(type(run.images), "cutout", counted)
    text = page_of(run, results, tmp_path / "r", pictures=0)
    # 240 rows lead to six galaxies, each of which is shown once; a galaxy may be cut twice if it is large.
    assert text.count("<article") == 6
    assert 6 <= len(cut) <= 18


def test_tree_scheme_shows_the_mean_of_every_question(field: tuple[Table, Path], tmp_path: Path) -> None:
    run, results = finished(*field, survey="nircam", band="F115W", checkpoint=tiny_checkpoint("gz-ceers"))
    text = page_of(run, results, tmp_path / "r")
    scheme = run.checkpoint.scheme  # type: ignore[union-attr]
    assert text.count('<div class="question">') == len(scheme.questions)
    first = text.partition('<div class="question">')[2].partition("</table>")[0]
    shown = [int(n) for n in re.findall(r'class="number">(\d+)', first)]
    means = scheme.marginals(results.conditional[:6])[:, scheme.slices[0]].mean(axis=0)
    assert shown == [round(100 * m) for m in means]
    parsed(text)


def test_flags_that_all_rows_share_are_a_notice_and_not_on_the_cards(field: tuple[Table, Path], tmp_path: Path) -> None:
    run, results = finished(*field, survey="nircam", band="F200W", checkpoint=tiny_checkpoint())
    assert ((results.flags[:6] & Flag.BAND_MISMATCH) != 0).all()
    text = page_of(run, results, tmp_path / "r")
    assert "<strong>BAND_MISMATCH</strong> concerns the whole run" in text
    assert "BAND_MISMATCH</li>" not in text
    assert "NO_IMAGE</li>" in text


@pytest.mark.parametrize("rows", [[], [6, 7], [0]])
def test_page_of_no_row_no_classified_row_or_one_row_is_whole(
    field: tuple[Table, Path], tmp_path: Path, rows: list[int]
) -> None:
    catalog, tile = field
    run, results = finished(catalog[rows], tile, survey="nircam", band="F115W", checkpoint=tiny_checkpoint("gz-ceers"))
    text = page_of(run, results, tmp_path / "r")
    found = parsed(text)
    assert len(found.all("article")) == len(rows)
    assert len(found.all("h2")) >= 7


def test_run_without_network_has_a_page_too(field: tuple[Table, Path], tmp_path: Path) -> None:
    run, results = finished(*field, survey="nircam", band="F115W", network=False)
    found = parsed(page_of(run, results, tmp_path / "r"))
    assert "classes" not in {a.get("id") for _, a in found.tags}
    assert len(found.all("svg")) >= 4


def test_colour_stamps_by_file_are_shown_in_pixels_with_what_the_network_sees(tmp_path: Path) -> None:
    y, x = np.mgrid[:120, :120]
    glow = np.exp(-np.hypot(x - 60, y - 58) / 9.0)
    noise = np.random.default_rng(2).normal(0.03, 0.01, (120, 120))
    picture = np.stack([200 * glow, 150 * glow, 90 * glow], axis=-1) + 255 * noise[:, :, None]
    Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(tmp_path / "one.png")
    checkpoint = tiny_checkpoint("gz2-simple", planes=3, stretch="display")
    run, results = finished(
        Table({"file": ["one.png", "absent.png"]}), tmp_path, survey="sdss", band="RGB", checkpoint=checkpoint
    )
    text = page_of(run, results, tmp_path / "r")
    found = parsed(text)
    assert len([a for a in found.all("img") if str(a["src"]).startswith("data:image")]) == 2
    assert "as the network sees it" in text
    assert "\u202fpx</span>" in text
    assert "one.png" in found.words


def test_page_that_exists_is_kept_unless_overwriting_is_allowed(field: tuple[Table, Path], tmp_path: Path) -> None:
    run, results = finished(*field, survey="nircam", band="F115W", checkpoint=tiny_checkpoint())
    folder = tmp_path / "a" / "b"
    check_report(folder, overwrite=False)
    assert not folder.parent.exists()
    page = write_report(run, results, folder)
    before = page.read_bytes()
    with pytest.raises(OutputError, match=r"exists already.*--overwrite"):
        check_report(folder, overwrite=False)
    with pytest.raises(OutputError, match="exists already"):
        write_report(run, results, folder)
    assert page.read_bytes() == before
    check_report(folder, overwrite=True)
    write_report(run, results, folder, overwrite=True)
    assert [p.name for p in folder.iterdir()] == ["index.html"]


def test_folder_that_cannot_be_written_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("")
    (tmp_path / "full" / "index.html").mkdir(parents=True)
    for folder in (taken, taken / "below", tmp_path / "full", Path("/proc/galmorph-report")):
        with pytest.raises(OutputError) as caught:
            check_report(folder, overwrite=folder != tmp_path / "full")
        assert "\n" not in str(caught.value)
        assert str(folder) in str(caught.value)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["full", "index.html", "taken"]


def test_failure_while_writing_leaves_the_old_page(
    field: tuple[Table, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, results = finished(*field, survey="nircam", band="F115W", checkpoint=tiny_checkpoint())
    page = write_report(run, results, tmp_path / "r")
    before = page.read_bytes()

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(OutputError, match="No space left"):
        write_report(run, results, tmp_path / "r", overwrite=True)
    assert page.read_bytes() == before
    assert len(list(page.parent.iterdir())) == 1


def chances(classes: list[int], confidence: list[float]) -> Findings:
    return Findings(None, np.array(classes), np.array(confidence), np.zeros((len(classes), 0)), Flag(0))


def apart(n: int) -> Spots:
    return Spots(np.zeros(n, np.int32), np.arange(n) * 50.0, np.zeros(n))


def test_most_certain_galaxies_come_from_all_classes_and_least_certain_are_lowest() -> None:
    rng = np.random.default_rng(0)
    classes = np.where(np.arange(900) < 880, 0, 1 + np.arange(900) % 2)
    found = chances(classes.tolist(), rng.uniform(0.3, 1.0, 900).tolist())
    chosen = select(found, np.zeros(900, np.int32), apart(900))
    assert np.bincount(classes[chosen.certain]).tolist() == [8, 8, 8]
    for number in range(3):
        mine = found.confidence[classes == number]
        assert set(found.confidence[chosen.certain][classes[chosen.certain] == number]) == set(np.sort(mine)[-8:])
    assert set(found.confidence[chosen.uncertain]) == set(np.sort(found.confidence)[:24])
    assert chosen.flagged.size == 0


def test_flagged_galaxies_show_rare_flags_and_few_empty_tiles() -> None:
    n = 600
    flags = np.full(n, int(Flag.LOW_SNR), np.int32)
    flags[300:] |= int(Flag.NO_IMAGE)
    flags[17] |= int(Flag.SATURATED)
    classes = [0] * 300 + [-1] * 300
    confidence = np.where(np.arange(n) < 300, np.linspace(0.2, 0.9, n), np.nan)
    chosen = select(chances(classes, confidence.tolist()), flags, apart(n))
    assert len(chosen.flagged) == 24
    assert 17 in chosen.rows
    assert ((flags[chosen.flagged] & int(Flag.NO_IMAGE)) != 0).sum() == 2
    assert len(np.unique(chosen.rows)) == 72


def test_rows_with_the_same_centroid_are_shown_once() -> None:
    spots = Spots(np.zeros(40, np.int32), np.repeat([10.0, 300.0], 20), np.full(40, 5.0))
    chosen = select(chances([0] * 40, np.linspace(0.4, 0.9, 40).tolist()), np.ones(40, np.int32), spots)
    assert chosen.rows.size == 2


def test_histogram_counts_every_value_on_its_axis() -> None:
    values = np.array([0.1, 0.1, 0.5, 3.0, 10.0, np.nan])
    axis = Axis.over("radius <px>", values, log=True)
    svg = str(histogram(axis, values, marks=[Mark(1.0, "a & b"), Mark(1e9, "beyond")]))
    assert sum(int(n) for n in re.findall(r": (\d+) rows</title>", svg)) == 5
    assert "radius &lt;px&gt;" in svg
    assert "a &amp; b" in svg
    assert "beyond" not in svg


@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize("values", [[], [np.nan], [0.0, 0.0], [7.0], [1e-7, 1e8], [-5.0, -1.0]])
def test_axes_of_odd_values_have_ends_and_ticks(values: list[float], log: bool) -> None:
    axis = Axis.over("x", np.array(values, dtype=float), log=log)
    assert np.isfinite([axis.low, axis.high]).all()
    assert axis.low < axis.high
    ticks = axis.ticks()
    assert len(ticks) <= 16
    assert len({text for _, text in ticks}) == len(ticks) > 0
    assert histogram(axis, np.array(values, dtype=float)).startswith("<svg")


def test_crowded_scatter_shades_cells_instead_of_drawing_dots() -> None:
    rng = np.random.default_rng(5)
    x, y, axis = rng.uniform(0, 1, 50_000), rng.uniform(0, 1, 50_000), Axis("v", 0.0, 1.0)
    few = scatter(axis, axis, x[:50], y[:50], np.zeros(50, np.intp))
    many = scatter(axis, axis, x, y, np.zeros(50_000, np.intp))
    assert few.count('<path class="dot') == 50
    assert 'class="dot' not in many
    assert 1000 < many.count('class="cell"') <= 56 * 32
    assert len(many) < 300_000


def test_counts_are_grouped_by_thousands() -> None:
    assert [count_text(n) for n in (7, 40118, 1234567)] == ["7", "40\u202f118", "1\u202f234\u202f567"]


def test_report_of_a_real_image_is_small_and_shows_real_galaxies(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "uds_f115w"
    catalog = read_catalog(folder / "uds_photometry.ecsv").table
    brightest = np.sort(np.argsort(-np.nan_to_num(np.asarray(catalog["kron_flux"], dtype=float)))[:60])
    run, results = finished(
        catalog[brightest],
        folder / "uds_f115w_sci.fits",
        weight=folder / "uds_f115w_wht.fits",
        survey="nircam",
        band="F115W",
        checkpoint=tiny_checkpoint("gz-ceers"),
    )
    assert results.classified.sum() > 50
    text = page_of(run, results, tmp_path / "r")
    assert 20 <= text.count("<article") <= 72
    assert len(text) < 3_000_000
    uris = re.findall(r'<img src="(data:image/png[^"]+)" width="172"', text)
    assert len(uris) > 15
    # A galaxy is bright in the middle of its stamp: the network's pixels would be no use to anybody otherwise.
    brighter = [decoded(u)[56:72, 56:72].mean() > np.median(decoded(u)) for u in uris]
    assert np.mean(brighter) > 0.85
