"""The map page in a browser, opened from a file: drawn, moved, coloured, searched; a lasso gives the rows in it."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import numpy as np
import pytest
import small_sky
from astropy.table import Table
from PIL import Image
from playwright.sync_api import Page

import galmorph
from galmorph.pages.maps.map_page import _squared

SIZE = {"width": 1200, "height": 760}
CLASSES = ("smooth", "disk", "edge-on, thin", "ring")
WITHOUT_WEBGL = "HTMLCanvasElement.prototype.getContext = new Proxy(HTMLCanvasElement.prototype.getContext, {apply: "
WITHOUT_WEBGL += "(of, self, words) => words[0] === 'webgl2' ? null : Reflect.apply(of, self, words)});"


def table(rows: int) -> Table:
    rng = np.random.default_rng(5)
    kinds = rng.integers(0, len(CLASSES), rows)
    places = rng.normal(size=(rows, 2)) + np.array([(0, 0), (4, 1), (1, 5), (-4, 2)])[kinds]
    out = Table(
        {"id": [f"a, {i}" if i % 50 == 0 else f"g{i}" for i in range(rows)], "file": [f"{i}.jpg" for i in range(rows)]}
    )
    out["ra"], out["dec"] = rng.uniform(0, 360, rows), rng.uniform(-80, 80, rows)
    out["gm_class"], out["gm_conf"] = np.array(CLASSES)[kinds], rng.random(rows).astype(np.float32)
    out["gm_p_smooth"] = (kinds == 0).astype(np.float32)
    out["gm_flags"] = np.where(rng.random(rows) < 0.1, 1 << 10, 0).astype(np.int32)
    for axis, name in enumerate(("gm_map_x", "gm_map_y")):
        out[name] = places[:, axis].astype(np.float32)
        out[name][:3] = np.nan
    return out


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> tuple[Path, Table]:
    """A map of 600 galaxies, of which 40 have a picture."""
    folder = tmp_path_factory.mktemp("map")
    rows = table(600)
    stamps = {f"{i}.jpg": small_sky.picture(i % 12, 80) for i in range(600)}
    settings = {"axes": ("gm_map_x", "gm_map_y"), "pictures": 40, "survey": "sdss", "band": "RGB"}
    galmorph.map_features(rows, stamps, **settings, page=folder / "m.html")
    return folder / "m.html", rows


@pytest.fixture
def page(browser) -> Iterator[Page]:
    """Open a window; a request, or whatever the page complains of, fails the test."""
    context = browser.new_context(accept_downloads=True, viewport=SIZE)
    page, complaints, requests = context.new_page(), [], []
    page.set_default_timeout(30_000)
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    yield page
    assert complaints == []
    assert {url.partition(":")[0] for url in requests} <= {"file", "data", "blob"}
    assert len({url.partition("#")[0] for url in requests if url.startswith("file:")}) == 1
    context.close()


def opened(page: Page, path: Path) -> dict[str, float]:
    """Open a map; return how it lies."""
    page.goto(path.as_uri())
    page.wait_for_url(re.compile("zoom="))
    return view_of(page)


def view_of(page: Page) -> dict[str, float]:
    page.wait_for_timeout(400)
    asked = {name: values[0] for name, values in parse_qs(page.url.partition("#")[2]).items()}
    box = page.locator("#points").bounding_box()
    scale = float(asked["zoom"]) * min(box["width"], box["height"]) / 2.12
    return {"x": float(asked["x"]), "y": float(asked["y"]), "scale": scale, **{f"box_{k}": v for k, v in box.items()}}


def on_screen(view: dict[str, float], places: np.ndarray) -> np.ndarray:
    """Return where points of the page, (N, 2), lie in the window."""
    x = (places[:, 0] - view["x"]) * view["scale"] + view["box_x"] + view["box_width"] / 2
    y = view["box_y"] + view["box_height"] / 2 - (places[:, 1] - view["y"]) * view["scale"]
    return np.stack([x, y], axis=1)


def places_of(rows: Table) -> np.ndarray:
    """Return where the page has its rows: as in the table, between -1 and 1; NaN for those without a place."""
    places = np.stack([rows["gm_map_x"], rows["gm_map_y"]], axis=1)
    has_place = np.isfinite(places).all(axis=1)
    places[has_place] = _squared(places[has_place], np.zeros((0, 2), np.float32))[0]
    return places


def inside(polygon: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Tell which points, (N, 2), lie in a polygon, (M, 2), by how often a ray to the right crosses its sides."""
    odd = np.zeros(len(points), np.bool_)
    for (xa, ya), (xb, yb) in itertools.pairwise([*polygon, polygon[0]]):
        crosses = (ya > points[:, 1]) != (yb > points[:, 1])
        with np.errstate(divide="ignore", invalid="ignore"):
            odd ^= crosses & (points[:, 0] < xa + (xb - xa) * (points[:, 1] - ya) / (yb - ya))
    return odd


def drag(page: Page, corners: np.ndarray) -> None:
    page.mouse.move(*corners[0])
    page.mouse.down()
    for corner in corners[1:]:
        page.mouse.move(*corner)
    page.mouse.up()


def saved(page: Page) -> list[dict[str, str]]:
    with page.expect_download() as download:
        page.click("#save")
    return list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8"))))


def colours(page: Page) -> np.ndarray:
    """Return the pixels of the map, (H, W, 3)."""
    return np.asarray(Image.open(io.BytesIO(page.locator("#stage").screenshot())).convert("RGB"), int)


def coloured(pixels: np.ndarray) -> int:
    return int((pixels.max(axis=2) - pixels.min(axis=2) > 40).sum())


STAR = np.array([(300, 300), (420, 250), (520, 420), (390, 350), (330, 480), (600, 560), (260, 600)], float)
"""A polygon that crosses itself, in pixels of the window."""
FARTHER = STAR + np.array([150.0, 20.0])
PAN = """() => new Promise(done => {
const points = document.getElementById('points'), started = performance.now();
points.setPointerCapture = () => {};
const send = (kind, x) => points.dispatchEvent(new PointerEvent(kind, {pointerId: 1, clientX: 500 + x, clientY: 400}));
let frames = 0;
const step = () => {
  send('pointermove', ++frames);
  if (performance.now() - started < 2000) { requestAnimationFrame(step); return; }
  send('pointerup', frames);
  done(frames);
};
send('pointerdown', 0);
requestAnimationFrame(step); })"""
"""Moves the map for two seconds; says how many frames that were."""
COUNTED = """window.points = 0; window.draws = 0; window.last = 0;
const draw = WebGL2RenderingContext.prototype.drawElements;
WebGL2RenderingContext.prototype.drawElements = function (kind, count, ...words) {
  if (count) { draws++; points += count; last = count; }
  return draw.call(this, kind, count, ...words);
};"""
"""Counts the frames in which points were drawn, and the points."""


@pytest.mark.parametrize("has_webgl", [True, False])
def test_a_lasso_gives_the_rows_in_it(page, small, has_webgl):
    path, rows = small
    if not has_webgl:
        page.add_init_script(WITHOUT_WEBGL)
    view = opened(page, path)
    assert page.locator("#notice").is_visible() is not has_webgl
    assert coloured(colours(page)) > 1500
    page.click("#lasso")
    drag(page, STAR)
    where = on_screen(view, places_of(rows))
    expected = np.flatnonzero(inside(STAR, where))
    assert len(expected) > 20
    lines = saved(page)
    assert [int(line["row"]) for line in lines] == expected.tolist()
    assert [line["id"] for line in lines] == rows["id"][expected].tolist()
    assert [float(line["ra"]) for line in lines] == rows["ra"][expected].tolist()
    assert page.locator("#count").inner_text().startswith(f"{len(expected)} of 597")
    page.keyboard.down("Shift")
    drag(page, FARTHER)
    page.keyboard.up("Shift")
    both = inside(STAR, where) | inside(FARTHER, where)
    assert [int(line["row"]) for line in saved(page)] == np.flatnonzero(both).tolist()
    page.click("#clear")
    assert page.locator("#save").is_disabled()


def test_the_map_is_moved_coloured_and_searched(page, small):
    path, rows = small
    before = opened(page, path)
    drag(page, np.array([(500, 400), (560, 430), (600, 440)], float))
    after = view_of(page)
    assert (after["x"] - before["x"]) * before["scale"] == pytest.approx(-100, abs=0.1)
    assert (after["y"] - before["y"]) * before["scale"] == pytest.approx(40, abs=0.1)
    page.mouse.move(400, 300)
    page.mouse.wheel(0, -400)
    assert view_of(page)["scale"] > 1.5 * before["scale"]
    first = colours(page)
    page.select_option("#colour", label="gm_conf")
    assert page.locator(".ramp").is_visible()
    page.wait_for_timeout(300)
    assert np.abs(colours(page) - first).max() > 60
    page.fill("#asked", "g123")
    page.press("#asked", "Enter")
    assert page.locator("#galaxy-title").inner_text() == "g123"
    assert page.locator("#facts").inner_text().splitlines()[0].split() == ["row", "123"]
    links = page.locator("#links a").evaluate_all("links => links.map(link => link.href)")
    hosts = [re.search(r"//([^/]+)/", link).group(1).split(".")[-2] for link in links]
    assert hosts == ["unistra", "legacysurvey", "unistra", "caltech"]
    assert f"ra={rows['ra'][123]:.6f}" in links[1]
    view = view_of(page)
    assert (view["x"], view["y"]) == pytest.approx(places_of(rows)[123].tolist(), abs=2e-6)
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    assert page.locator("#galaxy-title").inner_text() == "g123"
    assert view_of(page) == pytest.approx(view, abs=1e-3 * view["scale"])


def test_classes_are_hidden_and_a_hidden_galaxy_is_not_chosen(page, small):
    path, rows = small
    opened(page, path)
    full = coloured(colours(page))
    page.uncheck(".marks li:has-text('ring') input")
    page.wait_for_timeout(300)
    assert coloured(colours(page)) < 0.9 * full
    page.click("#view")
    placed = np.isfinite(rows["gm_map_x"])
    assert len(saved(page)) == int((placed & (rows["gm_class"] != "ring")).sum())
    page.select_option(
        "#colour", label="OUT_OF_ENVELOPE" if page.locator("option:text-is('OUT_OF_ENVELOPE')").count() else "any flag"
    )
    flagged = int((placed & (rows["gm_flags"] != 0)).sum())
    assert page.locator(".marks li:has-text('with ')").last.inner_text().split()[-1] == str(flagged)


def test_the_galaxy_under_the_mouse_and_the_keys(page, small):
    path, rows = small
    view = opened(page, path)
    pictured = page.evaluate("head => JSON.parse(document.getElementById('head').textContent).pictures.side")
    assert pictured == 64
    places = places_of(rows)
    where = on_screen(view, places)
    placed = np.flatnonzero(np.isfinite(where[:, 0]))
    apart = np.linalg.norm(where[placed][:, None] - where[placed][None], axis=2)
    np.fill_diagonal(apart, np.inf)
    alone = int(placed[apart.min(axis=1).argmax()])
    page.mouse.move(*where[alone].tolist())
    page.wait_for_selector("#hover:not([hidden])")
    assert page.locator("#hover strong").inner_text() == rows["id"][alone]
    assert f"gm_class: {rows['gm_class'][alone]}" in page.locator("#hover").inner_text()
    page.focus("#points")
    for key in ("ArrowLeft", "+", "Enter", " "):
        page.keyboard.press(key)
    view = view_of(page)
    off = np.hypot(*(places - [view["x"], view["y"]]).T)
    assert page.locator("#galaxy-title").inner_text() == rows["id"][int(np.nanargmin(off))]
    assert page.locator("#list li").count() == 1
    page.keyboard.press("Escape")
    assert page.locator("#list li").count() == 0
    page.check("#stamps")
    page.wait_for_timeout(400)


def test_chosen_galaxies_are_sent_to_the_labelling_page(page, tmp_path):
    rows = table(60)
    galmorph.map_features(
        rows, axes=("gm_map_x", "gm_map_y"), page=tmp_path / "m.html", service="http://localhost:8000"
    )
    page.add_init_script("window.asked = []; window.open = (...words) => { asked.push(words); };")
    opened(page, tmp_path / "m.html")
    assert page.locator("#label").is_disabled()
    page.click("#view")
    page.click("#label")
    address, where, features = page.evaluate("() => asked[0]")
    assert (where, features) == ("_blank", "noopener")
    server, _, query = address.partition("?")
    assert server == "http://localhost:8000/label"
    assert parse_qs(query)["only"] == ["\n".join(rows["id"][3:])]


@pytest.mark.long
@pytest.mark.slow
def test_a_hundred_thousand_galaxies_are_drawn_and_chosen(page, tmp_path):
    rows = table(100_000)
    page.add_init_script(COUNTED)
    galmorph.map_features(rows, axes=("gm_map_x", "gm_map_y"), page=tmp_path / "m.html")
    assert (tmp_path / "m.html").stat().st_size < 20e6
    view = opened(page, tmp_path / "m.html")
    first = colours(page)
    assert coloured(first) > 20_000
    assert page.evaluate("() => last") == 100_000 - 3
    assert page.evaluate(PAN) > 2
    page.wait_for_timeout(500)
    assert page.evaluate("() => last") == 100_000 - 3, "all points are drawn once the map rests"
    assert np.abs(colours(page) - first).max() > 60
    view = view_of(page)
    assert view["x"] < -0.001
    page.click("#lasso")
    drag(page, STAR)
    where = on_screen(view, places_of(rows))
    assert [int(line["row"]) for line in saved(page)] == np.flatnonzero(inside(STAR, where)).tolist()
