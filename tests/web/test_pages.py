"""Pages: what people do with a browser, without one: forms, tables, labels, and what is refused."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlencode, urlsplit

import numpy as np
import pytest
import small_sky
from astropy.table import Table
from fastapi.testclient import TestClient
from PIL import Image

import galmorph
from galmorph.errors import PipelineError
from galmorph.flags import Flag
from galmorph.sky.catalog import read_catalog
from galmorph.web.app import create_app
from galmorph.web.form_guard import TOKEN_COOKIE
from galmorph.web.guard import COOKIE
from galmorph.web.served_map import check_map
from galmorph.web.service_settings import ServiceSettings

NASTY = "<script>alert('1')</script> \"&\u2028\u0000ö"


class Page(HTMLParser):
    """The forms, links and words of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data):
        self.words += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def hidden(self) -> dict[str, str]:
        return {i["name"]: i["value"] for i in self.all("input") if i.get("type") == "hidden"}


@pytest.fixture(scope="module")
def store(tmp_path_factory, checkpoints):
    with galmorph.open_store(tmp_path_factory.mktemp("store") / "store.db", create=True) as store:
        store.push_model(checkpoints[0])
        yield store


@contextmanager
def serving(store, checkpoints, folder, **settings) -> Iterator[TestClient]:
    app = create_app(ServiceSettings(checkpoints=checkpoints, folder=folder, **{"is_open": True, **settings}), store)
    with TestClient(app, base_url="http://localhost") as client:
        while not app.state.service.is_ready:
            time.sleep(0.01)
        yield client


@pytest.fixture(scope="module")
def service(store, checkpoints, tmp_path_factory):
    with serving(store, checkpoints, tmp_path_factory.mktemp("kept")) as client:
        yield client


@pytest.fixture(scope="module")
def filled(service):
    """Return the service once pictures were sent by its form."""
    files = [("images", (f"g{n}.jpg", small_sky.picture(n, 80), "image/jpeg")) for n in range(6)]
    answer = sent(service, "/upload", {"model": "colour"}, files)
    assert answer.status_code == 303, answer.text
    return service


def page_of(service, address: str, **options) -> Page:
    answer = service.get(address, **options)
    assert answer.status_code == 200, answer.text
    return Page(answer.text)


def token(service) -> str:
    return page_of(service, "/").hidden()["token"]


def sent(service, address: str, fields: dict, files=None):
    data = {"token": token(service), **fields}
    return service.post(address, data=data, files=files, follow_redirects=False)


def test_every_page_has_a_strict_policy_and_nothing_inline(filled):
    for address in ("/", "/galaxies", "/galaxies/g0", "/label?author=Ada", "/retrain"):
        answer = filled.get(address)
        assert answer.status_code == 200
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        page = Page(answer.text)
        assert not any(
            "style" in attributes or any(a.startswith("on") for a in attributes) for _, attributes in page.tags
        )
        assert not page.all("style")
        assert {s.get("src") for s in page.all("script")} == {"/static/page.js"}
        assert all(i.get("alt") is not None for i in page.all("img"))
        elsewhere = [
            urlsplit(v).netloc for _, a in page.tags for k, v in a.items() if k in {"src", "href"} and "//" in v
        ]
        assert set(elsewhere) <= {"aladin.cds.unistra.fr", "www.legacysurvey.org", "simbad.cds.unistra.fr"}


@pytest.mark.parametrize(("name", "kind"), [("page.css", "text/css"), ("page.js", "text/javascript")])
def test_what_pages_load_is_here(service, name, kind):
    answer = service.get(f"/static/{name}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)


@pytest.mark.parametrize("name", ["other.css", "..%2Fpages.py", "%2Fetc%2Fpasswd"])
def test_nothing_else_is(service, name):
    assert service.get(f"/static/{name}").status_code == 404


def test_the_style_is_that_of_reports(service):
    sheet = service.get("/static/page.css").text
    assert "prefers-color-scheme: dark" in sheet
    assert ".petrosian" in sheet
    assert ":focus-visible" in sheet


def test_a_picture_that_is_sent_is_classified_as_by_the_command(filled, store, checkpoints, tmp_path):
    (tmp_path / "g3.jpg").write_bytes(small_sky.picture(3, 80))
    table = galmorph.classify(
        Table({"file": ["g3.jpg"]}), [tmp_path], survey="sdss", band="RGB", checkpoint=checkpoints[0], engine="local"
    )
    columns = store.prediction("g3", "colour")
    assert columns["gm_class"] == table["gm_class"][0]
    assert np.float32(columns["gm_conf"]) == table["gm_conf"][0]
    page = page_of(filled, "/galaxies/g3")
    assert f"{100 * float(table['gm_conf'][0]):.0f}" in page.words


def test_one_picture_leads_to_its_page_and_a_name_that_is_taken_gets_a_number(filled):
    answer = sent(filled, "/upload", {"model": "colour"}, [("images", ("g0.jpg", small_sky.picture(8, 80)))])
    assert urlsplit(answer.headers["location"]).path == "/galaxies/g0-2"
    page = page_of(filled, answer.headers["location"])
    assert "What the network saw" in page.words
    assert "Petrosian radius" in page.words
    pictures = [i["src"] for i in page.all("img")]
    assert len(pictures) == 3
    for address in pictures:
        png = filled.get(address)
        assert png.headers["content-type"] == "image/png"
        Image.open(io.BytesIO(png.content)).verify()


@pytest.mark.parametrize(
    "name", ["../../x.jpg", NASTY.replace("\u0000", "") + ".jpg", "..jpg", "a/b\\c.jpg", "x" * 500 + ".jpg"]
)
def test_names_become_neither_paths_nor_markup(filled, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = sent(filled, "/upload", {"model": "colour"}, [("images", (name, small_sky.picture(1, 80)))])
    assert answer.status_code == 303
    page = filled.get(answer.headers["location"])
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert not list(tmp_path.iterdir())


def test_what_is_no_picture_is_refused_in_words(filled, store):
    before = store.count()
    answer = sent(filled, "/upload", {"model": "colour"}, [("images", ("a.jpg", b"<html>"))])
    assert answer.status_code == 415
    assert "neither JPEG, PNG nor FITS" in Page(answer.text).words
    answer = sent(filled, "/upload", {"model": "colour"}, [("images", ("a.jpg", b"\xff\xd8\xff\xff\xd9"))])
    assert answer.status_code == 422
    assert store.count() == before


@pytest.mark.parametrize(
    ("address", "fields"), [("/upload", {}), ("/label", {"step": "undo"}), ("/retrain", {}), ("/catalogue", {})]
)
@pytest.mark.parametrize("case", ["no token", "wrong token", "other site"])
def test_forms_of_other_sites_are_refused(filled, address, fields, case):
    own = token(filled)
    sent_token = {"no token": "", "wrong token": "x" * 43, "other site": own}[case]
    headers = {"origin": "https://example.org"} if case == "other site" else {}
    answer = filled.post(address, data={"token": sent_token, **fields}, headers=headers, follow_redirects=False)
    assert answer.status_code == 403


def test_the_token_is_in_a_cookie_that_no_other_site_sends(filled):
    filled.cookies.delete(TOKEN_COOKIE)
    cookie = next(c for c in filled.get("/").headers.get_list("set-cookie") if c.startswith(TOKEN_COOKIE))
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie


def ids(page: Page) -> list[str]:
    links = [a["href"] for a in page.all("a") if a.get("href", "").startswith("/galaxies/") and "tabindex" not in a]
    return [urlsplit(link).path.rpartition("/")[2] for link in links]


def test_a_table_sorts_filters_and_keeps_that_in_its_address(filled, store):
    assert ids(page_of(filled, "/galaxies?text=G&sort=id"))[:3] == ["g0", "g0-2", "g1"]
    assert ids(page_of(filled, "/galaxies?text=g1&sort=-id")) == ["g1"]
    page = page_of(filled, "/galaxies?sort=-confidence")
    shares = [float(s) for s in re.findall(r"([\d.]+)\u202f%", page.words)]
    assert shares == sorted(shares, reverse=True)
    assert len(shares) > 6
    assert [h.get("aria-sort") for h in page.all("th")].count("descending") == 1
    of_rows = {each: store.prediction(each, "colour")["gm_conf"] for each in ("g0", "g1", "g2", "g3", "g4")}
    middle = sorted(of_rows.values())[2]
    above = set(ids(page_of(filled, f"/galaxies?least={middle}")))
    assert above & of_rows.keys() == {each for each, share in of_rows.items() if share >= middle}
    below = set(ids(page_of(filled, f"/galaxies?most={middle}")))
    assert below & of_rows.keys() == {each for each, share in of_rows.items() if share <= middle}
    assert ids(page_of(filled, "/galaxies?text=%25")) == []  # no wildcard


def test_flags_filter_rows(filled):
    names = [flag.name for flag in Flag]
    with_flag = {name: set(ids(page_of(filled, f"/galaxies?flag={name}"))) for name in names}
    without = {name: set(ids(page_of(filled, f"/galaxies?without={name}"))) for name in names}
    every = set(ids(page_of(filled, "/galaxies")))
    assert all(with_flag[name] | without[name] == every for name in names)
    assert all(with_flag[name].isdisjoint(without[name]) for name in names)


def test_previous_and_next_follow_the_table(filled):
    order = ids(page_of(filled, "/galaxies?text=g&sort=-confidence"))
    page = page_of(filled, f"/galaxies/{order[1]}?text=g&sort=-confidence")
    steps = {a["rel"]: urlsplit(a["href"]) for a in page.all("a") if a.get("rel") in {"prev", "next"}}
    assert [steps[rel].path.rpartition("/")[2] for rel in ("prev", "next")] == [order[0], order[2]]
    assert parse_qs(steps["next"].query)["sort"] == ["-confidence"]


@pytest.mark.parametrize("ending", ["fits", "ecsv", "csv", "vot", "parquet"])
def test_the_rows_that_are_shown_are_downloaded(filled, tmp_path, ending):
    answer = filled.get(f"/galaxies/table?format={ending}&text=g1")
    assert answer.headers["content-disposition"] == f'attachment; filename="galaxies.{ending}"'
    path = tmp_path / f"galaxies.{ending}"
    path.write_bytes(answer.content)
    table = read_catalog(path, positions=False).table
    assert [str(each) for each in table["id"]] == ["g1"]
    assert "gm_class" in table.colnames


@pytest.mark.parametrize(
    "address",
    [
        "/galaxies/nobody",
        "/galaxy?id=..",
        "/galaxies?model=nobody",
        "/galaxies/table?format=exe",
        "/label?author=A&scheme=nobody",
        "/label?author=A&queue=nobody",
        "/label?author=A&id=nobody",
        "/labels?scheme=nobody",
        "/picture?id=nobody",
    ],
)
def test_what_is_not_there_is_said_so_on_a_page(filled, address):
    answer = filled.get(address)
    assert answer.status_code in {404, 422}
    assert Page(answer.text).all("main")


@pytest.mark.parametrize(
    "query", ["page=-1", "page=99999999999999", "sort=;drop", "least=nan", "flag=NOBODY", "most=1e999"]
)
def test_nonsense_in_an_address_is_passed_over(filled, query):
    assert filled.get(f"/galaxies?{query}").status_code == 200


def test_a_stretch_is_part_of_the_address(filled):
    page = page_of(filled, "/galaxies/g1?black=5&white=50&softening=10")
    numbers = {i["name"]: i["value"] for i in page.all("input") if i.get("type") == "number"}
    assert numbers == {"black": "5", "white": "50", "softening": "10"}
    shown = next(i["src"] for i in page.all("img") if i.get("id") == "stretched")
    plain = filled.get(shown.partition("&black")[0]).content
    assert filled.get(shown).content != plain


def answered(service, page: Page, **fields) -> str:
    names = {
        key: value
        for key, value in page.hidden().items()
        if key in {"token", "scheme", "queue", "id", "question", "shown"}
    }
    answer = service.post("/label", data={**names, **fields}, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def test_labels_are_saved_shown_beside_the_network_undone_and_exported(filled, store):
    page = page_of(filled, "/label?author=Ada&queue=uncertain")
    first = page.hidden()["id"]
    assert "network agrees" not in page.words
    assert "Network:" not in page.words
    answers = [b["value"] for b in page.all("button") if b.get("name") == "answer"]
    assert [b["data-key"] for b in page.all("button") if b.get("name") == "answer"] == list("123456789")[: len(answers)]
    after = page_of(filled, answered(filled, page, answer=answers[0]))
    assert re.search(r"The network agrees|Network: ", after.words)
    assert after.hidden()["id"] != first
    log = store.label_log()
    assert [log[name][-1] for name in ("id", "answer", "author")] == [first, answers[0], "Ada"]
    assert log["created"][-1].endswith("Z")
    assert 0 <= log["seconds"][-1] < 60
    answered(filled, after, step="skip")
    skipped = page_of(filled, "/label")
    assert skipped.hidden()["id"] not in {first, after.hidden()["id"]}
    assert parse_qs(urlsplit(answered(filled, skipped, step="undo")).query)["id"] == [after.hidden()["id"]]
    assert parse_qs(urlsplit(answered(filled, skipped, step="undo")).query)["id"] == [first]
    assert store.label_log()["withdrawn"][-1] != ""
    answered(filled, page_of(filled, f"/label?id={first}"), answer=answers[1])
    scheme = page.hidden()["scheme"]
    exported = Table.read(filled.get(f"/labels?scheme={scheme}&format=ecsv").text, format="ascii.ecsv")
    assert list(exported["id"]) == [first]
    assert exported[answers[1]][0] == 1
    assert exported[answers[0]][0] == 0


def test_a_list_of_galaxies_is_labelled_and_no_others(filled, store):
    """As a map sends those that were chosen on it: in an address, which goes on with every answer."""
    listed = store.pull()["id"][:2].tolist()
    page = page_of(filled, "/label?" + urlencode({"author": "Lena", "only": "\r\n".join([listed[1], "no such", ""])}))
    assert page.hidden()["id"] == listed[1]
    assert "2 listed" in page.words
    location = answered(filled, page, step="skip", only=page.hidden()["only"])
    assert parse_qs(urlsplit(location).query)["only"] == [f"{listed[1]}\nno such"]
    assert "Every galaxy of the list that is in this store is labelled" in page_of(filled, location).words
    assert "id" in page_of(filled, "/label?" + urlencode({"author": "Lena", "only": listed[0]})).hidden()


def test_an_answer_that_was_not_asked_for_is_refused(filled):
    page = page_of(filled, "/label?author=Ada")
    names = {key: value for key, value in page.hidden().items() if key != "shown"}
    answer = filled.post("/label", data={**names, "answer": "nonsense"}, follow_redirects=False)
    assert answer.status_code == 422


def test_whoever_has_a_key_labels_by_its_name(store, checkpoints, tmp_path):
    headers = {"authorization": f"Bearer {store.add_key('observatory')}"}
    with serving(store, checkpoints, tmp_path, is_open=False) as service:
        assert service.get("/label", headers={"accept": "text/html"}, follow_redirects=False).status_code == 303
        page = page_of(service, "/label?author=Mallory", headers=headers)
    assert "observatory" in page.words
    assert "Mallory" not in page.words


def test_a_catalogue_joins_the_store_and_what_is_no_table_is_refused(filled, store, tmp_path):
    (tmp_path / "a.csv").write_text("id,ra,dec\nfar,10.0,20.0\n")
    answer = sent(
        filled,
        "/catalogue",
        {"model": "colour"},
        [("catalog", ("../a.csv", (tmp_path / "a.csv").read_bytes()))],
    )
    assert answer.status_code == 303, answer.text
    assert store.image("far").ra == 10.0
    for _ in range(100):
        page = page_of(filled, answer.headers["location"])
        if not [m for m in page.all("meta") if m.get("http-equiv") == "refresh"]:
            break
    assert "far" in ids(page)
    refused = sent(filled, "/catalogue", {"model": "colour"}, [("catalog", ("a.exe", b"MZ"))])
    assert refused.status_code == 422


def test_a_service_without_a_store_says_so(checkpoints, tmp_path):
    with serving(None, checkpoints, tmp_path) as service:
        answer = service.get("/galaxies")
    assert answer.status_code == 404
    assert "no store" in Page(answer.text).words


def test_a_browser_keeps_a_key_until_it_is_told_to_forget_it(checkpoints, tmp_path):
    with galmorph.open_store(tmp_path / "store.db", create=True) as store:
        key = store.add_key("Ada Ångström")
        with serving(store, checkpoints, tmp_path / "kept", is_open=False) as client:
            refused = client.get("/", headers={"accept": "text/html"}, follow_redirects=False)
            assert (refused.status_code, refused.headers["location"]) == (303, "/login")
            form = client.get("/login")
            assert "Log out" not in form.text
            fields = Page(form.text).hidden()
            wrong = client.post("/login", data={**fields, "key": key[:-1] + "?"}, follow_redirects=False)
            assert wrong.status_code == 403
            assert "no key of this service" in wrong.text
            assert COOKIE not in client.cookies
            assert client.post("/login", data={"key": key}, follow_redirects=False).status_code == 403
            entered = client.post("/login", data={**fields, "key": f" {key}"}, follow_redirects=False)
            assert (entered.status_code, entered.headers["location"]) == (303, "/")
            assert key not in client.get("/").text
            home = client.get("/", headers={"accept": "text/html"})
            assert "Log out Ada Ångström" in home.text
            left = client.post("/logout", data=Page(home.text).hidden(), follow_redirects=False)
            assert (left.status_code, left.headers["location"]) == (303, "/login")
            assert client.get("/galaxies", follow_redirects=False).status_code == 401


def test_an_open_service_asks_for_no_key(service):
    answer = service.get("/login", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_a_map_of_the_galaxies_is_one_of_the_pages(service, store, checkpoints, tmp_path):
    assert service.get("/map").status_code == 404
    assert 'href="/map"' not in service.get("/galaxies").text
    path = tmp_path / "m.html"
    galmorph.map_features(Table({"id": ["g1", "g2"], "x": [1.0, 2.0], "y": [3.0, 1.0]}), axes=("x", "y"), page=path)
    check_map(path)
    with serving(store, checkpoints, tmp_path / "kept", map=path) as client:
        assert 'href="/map"' in client.get("/galaxies").text
        answer = client.get("/map")
        assert answer.content == path.read_bytes()
        policy = answer.headers["content-security-policy"]
        assert re.search(r"script-src ('sha256-[^']+');", policy)[1] in answer.text
        path.write_text("<script>steal()</script>")
        assert client.get("/map").headers["content-security-policy"] == policy, "nothing else runs"
    with pytest.raises(PipelineError, match="no map that this version wrote"):
        check_map(path)
    with pytest.raises(PipelineError, match="cannot be read"):
        check_map(tmp_path / "none.html")


def test_the_pages_of_a_store_without_models_and_galaxies_are_shown(client, tmp_path):
    """Each that the bar of the page leads to."""
    with galmorph.open_store(tmp_path / "empty.db", create=True) as store:
        service = client(store=store)
        for address in ("/", "/galaxies", "/label", "/retrain"):
            answer = service.get(address)
            assert answer.status_code == 200, answer.text
            assert "That did not work" not in answer.text
