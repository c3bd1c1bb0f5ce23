"""The page in a browser: dropped files, sliders, keys, tables on a telephone, and learning from labels."""

from __future__ import annotations

import io
import itertools
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import small_sky
import uvicorn
from astropy.table import Table
from PIL import Image
from playwright.sync_api import Page

import galmorph
from galmorph.nets.checkpoint.file import save_checkpoint
from galmorph.web.app import create_app
from galmorph.web.service_settings import ServiceSettings

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


@contextmanager
def serving(app) -> Iterator[str]:
    """Serve an application at a free port until the end; return its address."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not (server.started and app.state.service.is_ready):
            assert thread.is_alive()
            time.sleep(0.02)
        yield f"http://localhost:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    colour = small_sky.checkpoint(**small_sky.rgb_checkpoint_settings())
    save_checkpoint(colour, folder / f"{colour.name}.safetensors", {"title": "random weights"})
    with galmorph.open_store(folder / "store.db", create=True) as store:
        store.push_model(folder / f"{colour.name}.safetensors")
        yield store


@pytest.fixture(scope="module")
def address(store, tmp_path_factory):
    settings = ServiceSettings(folder=tmp_path_factory.mktemp("kept"), is_open=True)
    with serving(create_app(settings, store)) as address:
        yield address


@pytest.fixture
def page(browser) -> Iterator[Page]:
    """Open a window; whatever it complains of, the content security policy too, fails the test."""
    context = browser.new_context(accept_downloads=True)
    page, complaints = context.new_page(), []
    page.set_default_timeout(20_000)
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []


def pictures(*numbers: int) -> list[dict]:
    return [{"name": f"g{n}.jpg", "mimeType": "image/jpeg", "buffer": small_sky.picture(n, 80)} for n in numbers]


def classify(page: Page, address: str, *numbers: int) -> None:
    page.goto(address)
    page.set_input_files("input[name=images]", pictures(*numbers))
    page.click("form[action='/upload'] .main-button")
    page.wait_for_load_state("networkidle")


def test_a_newcomer_classifies_a_picture_and_labels_it(page, address, store):
    """The short way through everything: the rest of these tests is marked long."""
    started = time.monotonic()
    classify(page, address, 0)
    assert time.monotonic() - started < 60
    assert page.locator("h1").inner_text() == "g0"
    assert page.locator(".chances tr").count() > 1
    before = page.locator("#stretched").get_attribute("src")
    page.focus("input[data-for=white]")
    page.keyboard.press("Home")
    page.wait_for_function("before => document.querySelector('#stretched').getAttribute('src') !== before", arg=before)
    assert "white=" in page.url
    assert not page.locator(".mask").is_visible()
    page.check("#show-mask")
    assert page.locator(".mask").is_visible()
    page.goto(f"{address}/label?author=Ada")
    page.wait_for_load_state()
    page.keyboard.press("1")
    page.wait_for_selector(".last")
    assert store.label_log()["author"][-1] == "Ada"


def shown(page: Page) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(page.locator("#stretched").screenshot())).convert("L"), float)


def ids(page: Page) -> list[str]:
    return page.locator("tbody th a").all_inner_texts()


@pytest.mark.long
def test_files_are_dropped(page, address):
    page.goto(address)
    transfer = page.evaluate_handle(
        """bytes => { const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], 'dropped.jpg', {type: 'image/jpeg'})); return data; }""",
        list(small_sky.picture(5, 80)),
    )
    page.dispatch_event("form[action='/upload'] .drop", "drop", {"dataTransfer": transfer})
    assert page.locator("form[action='/upload'] .chosen").inner_text() == "dropped.jpg"
    page.click("form[action='/upload'] .main-button")
    page.wait_for_load_state()
    assert page.locator("h1").inner_text() == "dropped"


@pytest.mark.long
def test_a_slider_stretches_the_picture(page, address):
    classify(page, address, 1)
    plain = shown(page).mean()
    page.focus("input[data-for=white]")
    with page.expect_response(lambda answer: "/picture" in answer.url):
        page.keyboard.press("Home")
    page.wait_for_load_state("networkidle")
    assert shown(page).mean() > plain + 5
    page.reload()
    page.wait_for_load_state("networkidle")
    assert shown(page).mean() > plain + 5  # the address keeps it


@pytest.mark.long
def test_a_table_is_sorted_filtered_and_downloaded(page, address, tmp_path):
    classify(page, address, 2, 3, 4, 6)
    page.goto(f"{address}/galaxies?text=g")
    page.click("thead a:has-text('galaxy')")
    assert ids(page) == sorted(ids(page))
    page.click("thead a:has-text('galaxy')")
    assert ids(page) == sorted(ids(page), reverse=True)
    page.fill("input[name=text]", "G4")
    page.keyboard.press("Enter")
    page.wait_for_url("**text=G4**")
    assert ids(page) == ["g4"]
    page.select_option(".download select", "csv")
    with page.expect_download() as download:
        page.click(".download button")
    download.value.save_as(tmp_path / "rows.csv")
    assert list(Table.read(tmp_path / "rows.csv")["id"]) == ["g4"]
    page.goto(f"{address}/galaxies?text=g&sort=id")
    page.click("tbody th a")
    first = page.locator("h1").inner_text()
    page.keyboard.press("ArrowRight")
    page.wait_for_load_state()
    assert page.locator("h1").inner_text() > first


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_on_a_telephone_in_light_and_dark(browser, address, scheme):
    context = browser.new_context(**PHONE, color_scheme=scheme)
    page = context.new_page()
    for path in ("/", "/galaxies", "/galaxies/g0", "/label?author=Eve", "/retrain"):
        page.goto(address + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
        ink, paper = page.evaluate(
            "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
        )
        assert abs(luminance(ink) - luminance(paper)) > 0.5
    context.close()


def luminance(colour: str) -> float:
    red, green, blue = (float(c) for c in colour[colour.index("(") + 1 : -1].split(",")[:3])
    return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255


@pytest.mark.long
def test_it_works_without_scripts(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    classify(page, address, 7)
    assert page.locator("h1").inner_text() == "g7"
    page.fill("input[name=white]", "30")
    page.click(".stretch button")
    assert "white=30" in page.url
    page.goto(f"{address}/label?author=Nell")
    page.click(".answers button >> nth=0")
    assert page.locator(".last").count() == 1
    context.close()


@pytest.mark.long
def test_keys_label_skip_and_undo(page, address, store):
    page.goto(f"{address}/label?author=Kay&queue=random")
    first = page.locator("h2").first.inner_text()
    page.keyboard.press("s")
    page.wait_for_function("first => document.querySelector('.labelling h2').innerText !== first", arg=first)
    page.keyboard.press("u")
    page.wait_for_function("first => document.querySelector('.labelling h2').innerText === first", arg=first)
    page.keyboard.press("2")
    page.wait_for_selector(".last")
    assert "etwork" in page.locator(".last h2").inner_text()
    page.keyboard.press("u")
    page.wait_for_function("first => document.querySelector('.labelling h2').innerText === first", arg=first)
    kays = store.label_log(author="Kay")
    assert len(kays) == 1
    assert kays["withdrawn"][0] != ""


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.long
def test_galaxies_chosen_on_the_map_are_labelled(page, store, tmp_path):
    """From the map that the service shows to its labelling page, without a word about who labels."""
    rows = Table({"id": [f"m{n}" for n in range(5)], "file": [f"m{n}.jpg" for n in range(5)], "x": range(5)})
    rows["y"] = rows["x"] ** 2
    stamps = {f"m{n}.jpg": small_sky.picture(n, 80) for n in range(5)}
    store.add_images(rows["id", "file"][:4], stamps, survey="sdss", band="RGB")
    galmorph.map_features(rows, axes=("x", "y"), page=tmp_path / "m.html")
    settings = ServiceSettings(folder=tmp_path / "kept", is_open=True, map=tmp_path / "m.html")
    with serving(create_app(settings, store)) as address:
        page.goto(f"{address}/label?author=Mary")
        page.click("nav a:text-is('Map')")
        page.wait_for_url("**/map#*")
        page.click("#view")
        assert page.locator("#list li").count() == 5
        with page.context.expect_page() as opened:
            page.click("#label")
        label = opened.value
        label.wait_for_load_state()
        assert label.url.startswith(f"{address}/label?only=m0")
        assert label.locator("textarea[name=only]").input_value().split() == rows["id"].tolist()
        assert label.locator("input[name=author]").input_value() == "Mary"
        for _ in range(4):
            assert label.locator(".labelling h2").first.inner_text() in {"m0", "m1", "m2", "m3"}
            with label.expect_navigation():
                label.keyboard.press("s")
        assert label.locator(".labelling").count() == 0


def test_labels_are_exported_and_learnt_from(page, tmp_path):
    """With the checkpoint that ships and its pipeline for labels of one's own, on drawn pictures."""
    with galmorph.open_store(tmp_path / "store.db", create=True) as store:
        store.push_model("sdss-gz2")
        store.add_images(
            Table({"id": [f"g{n}" for n in range(40)], "file": [f"g{n}.jpg" for n in range(40)]}),
            {f"g{n}.jpg": small_sky.picture(n, 80) for n in range(40)},
            survey="sdss",
            band="RGB",
        )
        store.score("sdss-gz2")
        app = create_app(ServiceSettings(folder=tmp_path / "kept", is_open=True), store)
        with serving(app) as address:
            page.goto(f"{address}/label?author=Ada&scheme=gz2")
            keys = itertools.cycle("1121")
            while store.labelling.count("gz2", "Ada") < 40:
                with page.expect_navigation():
                    page.keyboard.press(next(keys))
            with page.expect_download() as download:
                page.click("form[action='/labels'] button")
            download.value.save_as(tmp_path / "labels.ecsv")
            assert len(Table.read(tmp_path / "labels.ecsv")) == 40
            page.click("text=Retrain from them")
            assert page.locator("select[name=pipeline]").input_value() == "sdss-labels"
            page.click(".main-button")
            page.wait_for_selector("td:text-is('COMPLETED'), td:text-is('ERROR')", timeout=400_000)
            assert page.locator("td:text-is('COMPLETED')").count() == 1, page.locator("table").inner_text()
        assert [model.name for model in store.models()] == ["sdss-gz2", "sdss-labels"]
        assert store.prediction("g0", "sdss-labels")["gm_class"]
    shutil.rmtree(tmp_path / "kept")
