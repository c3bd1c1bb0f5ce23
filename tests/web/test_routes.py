"""Galaxies over HTTP: what the service says of one is, bit for bit, what the command says."""

from __future__ import annotations

import asyncio
import gzip
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import small_sky
from astropy.table import Table

import galmorph
from galmorph.flags import Flag

SDSS = {"survey": "sdss", "band": "RGB", "model": "colour"}
H = {"survey": "candels", "band": "H", "model": "grey"}


def row_of(table: Table, number: int = 0) -> dict:
    """Return the new columns of a row as JSON has them."""
    return {
        name: None if isinstance(value := np.asarray(table[name])[number].item(), float) and np.isnan(value) else value
        for name in table.colnames
        if name.startswith("gm_")
    }


def of_file(path):
    return {"image": (path.name, path.read_bytes())}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(6):
        (folder / f"{number}.jpg").write_bytes(small_sky.picture(number, side=160))
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def expected(pictures, checkpoints):
    table = Table({"file": [path.name for path in pictures]})
    return galmorph.classify(table, pictures, survey="sdss", band="RGB", checkpoint=checkpoints[0], engine="local")


def test_a_picture_gets_what_the_command_gives(client, pictures, expected):
    service = client()
    for number, path in enumerate(pictures[:2]):
        answer = service.post("/classify", data={**SDSS, "id": "SDSS J1"}, files=of_file(path))
        assert answer.status_code == 200, answer.text
        reply = answer.json()
        assert reply["columns"] == row_of(expected, number)
        assert reply["id"] == "SDSS J1"
        assert reply["class"] == expected["gm_class"][number]
        assert sum(reply["probabilities"].values()) == pytest.approx(1.0)
        assert reply["radii"]["unit"] == "pixel"
        assert reply["model"] == "colour 0.0"


def test_company_changes_nothing(client, pictures, expected):
    service = client()
    numbers = list(range(len(pictures))) * 3
    with ThreadPoolExecutor(len(numbers)) as clients:
        answers = list(clients.map(lambda n: service.post("/classify", data=SDSS, files=of_file(pictures[n])), numbers))
    assert [answer.json()["columns"] for answer in answers] == [row_of(expected, n) for n in numbers]
    batches = service.app.state.service.batches
    assert batches.batches < batches.galaxies  # some were shown together


def test_a_cutout_and_a_position_get_what_the_command_gives(client, sky, checkpoints):
    expected = galmorph.classify(
        sky.catalog, sky.image, survey="candels", band="H", checkpoint=checkpoints[1], engine="local"
    )
    service = client()
    position = {"ra": float(expected["ra"][2]), "dec": float(expected["dec"][2])}
    reply = service.post("/classify", data={**H, **position}, files=of_file(sky.image)).json()
    assert reply["columns"] == row_of(expected, 2)
    assert reply["radii"]["unit"] == "arcsec"
    assert set(reply["position"]) == {"ra", "dec"}
    packed = {"image": ("image.fits.gz", gzip.compress(sky.image.read_bytes()))}
    assert service.post("/classify", data={**H, **position}, files=packed).json()["columns"] == row_of(expected, 2)


def test_a_pixel_or_the_middle_of_a_cutout_is_a_position(client, sky, checkpoints):
    service = client()
    xy = Table({"x": [float(small_sky.XY[1][0])], "y": [float(small_sky.XY[1][1])]})
    expected = galmorph.classify(xy, sky.image, survey="candels", band="H", checkpoint=checkpoints[1])
    pixel = {"x": str(xy["x"][0]), "y": str(xy["y"][0])}
    reply = service.post("/classify", data={**H, **pixel}, files=of_file(sky.image)).json()
    assert reply["columns"] == row_of(expected)
    middle = service.post("/classify", data=H, files=of_file(sky.image)).json()
    assert middle["columns"]["gm_class"]


def test_a_position_off_the_cutout_comes_back_with_its_reason(client, sky):
    reply = client().post("/classify", data={**H, "ra": "10", "dec": "10"}, files=of_file(sky.image)).json()
    assert reply["flags"] == {
        "number": int(Flag.NO_IMAGE),
        "names": ["NO_IMAGE"],
        "words": ["no image covers the position"],
    }
    assert reply["class"] is None
    assert reply["confidence"] is None
    assert set(reply["probabilities"].values()) == {None}
    assert reply["set"] == []


def test_a_file_alone_is_a_request(client, pictures, expected):
    answer = client().post("/classify", params={**SDSS, "name": "0.jpg"}, content=pictures[0].read_bytes())
    assert answer.json()["columns"] == row_of(expected)


def test_the_model_is_the_only_one_or_named(client, checkpoints, pictures):
    one = client(checkpoints=checkpoints[:1])
    assert one.post("/classify", files=of_file(pictures[0])).json()["model"] == "colour 0.0"
    two = client()
    answer = two.post("/classify", files=of_file(pictures[0]))
    assert (answer.status_code, answer.json()["detail"]) == (
        422,
        "no model was named: expected one of colour, grey; name one",
    )
    assert two.post("/classify", data={"model": "colr"}, files=of_file(pictures[0])).status_code == 422


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"ra": "1"}, "one of ra and dec came alone"),
        ({"ra": "1", "dec": "1", "x": "1", "y": "1"}, "ra and dec came with x and y: expected one position"),
        ({"survey": ["sdss", "candels"]}, "field 'survey' came with several values: expected one"),
        ({"ra": "x", "dec": "1"}, "expected a number"),
        ({"ra": "nan", "dec": "1"}, "expected a number"),
        ({"ra": "1", "dec": "91"}, "expected degrees"),
        ({"ra": "1", "dec": "1"}, "'ra' came with a JPEG, which has no coordinates"),
        ({"x": "1", "y": "1"}, "'x' came with a JPEG, which has no coordinates"),
        ({"survey": "sdss", "band": "H"}, "unknown band"),
        ({"survey": "../../etc/passwd"}, "unknown survey"),
        ({"survey": "/etc/passwd.toml"}, "unknown survey"),
        ({"model": "/etc/passwd"}, "unknown model"),
        ({"url": "http://169.254.169.254/"}, "field 'url' has no meaning"),
        ({"rule": "none such"}, "unknown rule"),
        ({"model": "grey", "survey": "sdss", "band": "RGB"}, "takes images of one band"),
    ],
)
def test_what_does_not_fit_is_said(client, pictures, data, words):
    answer = client().post("/classify", data={"model": "colour", **data}, files=of_file(pictures[0]))
    assert answer.status_code == 422, answer.text
    assert words in answer.json()["detail"]


@pytest.mark.parametrize(
    "name", [" .jpg", "a.jpg ", ".jpg", "\u202ea.jpg", "\u00fc.jpg", "u\u0308.jpg", "a.fits", "..\\\\.jpg"]
)
def test_a_picture_is_found_whatever_it_is_called(client, pictures, expected, name):
    """A name that a table would spell otherwise came back as one that no image goes by."""
    answer = client().post("/classify", data=SDSS, files={"image": (name, pictures[0].read_bytes())})
    assert answer.status_code == 200, answer.text
    assert answer.json()["class"] == expected["gm_class"][0]


def test_a_field_of_an_address_that_comes_twice_is_refused(client, pictures):
    asked = "/classify?model=colour&survey=sdss&band=RGB"
    image = {"content": pictures[0].read_bytes(), "headers": {"content-type": "image/jpeg"}}
    assert client().post(f"{asked}&band=RGB", **image).status_code == 200
    assert "'band' came with several values" in client().post(f"{asked}&band=g", **image).json()["detail"]


def test_neither_image_nor_position_is_refused(client):
    assert client().post("/classify", data=SDSS).status_code == 422
    assert client().post("/classify", data={"ra": "1", "dec": "2"}).status_code == 422


def test_models_health_readiness_and_metrics(client, picture):
    service = client()
    models = service.get("/models").json()["models"]
    assert [model["name"] for model in models] == ["colour", "grey"]
    assert models[0]["answers"][0] == "smooth_round"
    assert models[0]["planes"] == 3
    assert service.get("/health").json()["status"] == "alive"
    assert service.get("/ready").json() == {"ready": True}
    service.post("/classify", data=SDSS, files={"image": ("a.jpg", picture)})
    service.get("/no/such/address")
    text = service.get("/metrics").text
    assert 'galmorph_requests_total{method="POST",route="/classify",status="200"}' in text
    assert 'route="none",status="404"' in text
    assert "/no/such" not in text


def test_nothing_is_answered_before_the_models_are_loaded(client, picture, monkeypatch):
    monkeypatch.setattr("galmorph.web.served_models.ServedModels.load", lambda _: time_enough())
    service = client(is_ready=False)
    assert service.get("/health").status_code == 200
    assert service.get("/ready").status_code == 503
    answer = service.post("/classify", data=SDSS, files={"image": ("a.jpg", picture)})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


def time_enough():
    import threading  # noqa: PLC0415

    threading.Event().wait(1.0)


def test_the_addresses_are_described_without_scripts(client):
    service = client()
    paths = service.get("/openapi.json").json()["paths"]
    assert {"/classify", "/models", "/health", "/ready", "/metrics"} <= set(paths)
    page = service.get("/docs").text
    assert "POST /classify" in page
    assert "<script" not in page
    assert "style=" not in page


def test_a_position_alone_asks_the_archive(client, monkeypatch):
    """Which archive that is, the survey says; nothing that came with the request does."""
    asked = []

    def prepare(table, images, **settings):
        asked.append((table.colnames, images, settings["survey"].name, settings["band"], settings["field"]))
        return original(
            Table({"file": ["a.jpg"]}), {"a.jpg": small_sky.picture(0, 160)}, checkpoint=settings["checkpoint"]
        )

    original = galmorph.prepare
    service = client()
    monkeypatch.setattr(galmorph, "prepare", prepare)
    answer = service.post("/classify", data={**SDSS, "ra": "150.1", "dec": "2.2", "field": "cosmos"})
    assert answer.status_code == 200, answer.text
    assert asked == [(["ra", "dec"], (), "sdss", "RGB", "cosmos")]


def test_who_goes_away_while_sending_is_a_request_that_cannot_be_read_and_no_failure(client):
    """In the log of the server it was a traceback for each upload that was cancelled."""
    sent = []

    async def send(message):
        sent.append(message)

    begun = b'--half\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n\xff\xd8\xff'
    parts = iter([{"type": "http.request", "body": begun, "more_body": True}, {"type": "http.disconnect"}])

    async def receive():
        return next(parts)

    headers = [(b"host", b"localhost"), (b"content-type", b"multipart/form-data; boundary=half")]
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http"}
    scope |= {"path": "/classify", "raw_path": b"/classify", "query_string": b"", "headers": headers, "root_path": ""}
    scope |= {"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)}
    asyncio.run(client().app(scope, receive, send))
    assert sent[0]["status"] == 400
