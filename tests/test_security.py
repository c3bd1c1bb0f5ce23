"""What SECURITY.md promises: each promise names tests that exist, and those that belong to no module are here."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import onnx
import pytest
import small_sky
from astropy.table import Table
from drawn import picture

from galmorph.api import measure
from galmorph.errors import CatalogError, CheckpointError, GalmorphError
from galmorph.nets.checkpoint.file import load_checkpoint
from galmorph.nets.checkpoint.onnx_file import with_onnx, write_onnx
from galmorph.sky.catalog import read_catalog
from galmorph.sky.images.opening import open_images

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
PROMISES = [row.split(" | ") for row in re.findall(r"^\| (.*) \|$", TEXT, flags=re.MULTILINE)[1:]]


@pytest.mark.parametrize(("promise", "tests"), PROMISES)
def test_every_promise_is_held_by_tests(promise, tests):
    source = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests").rglob("*.py")))
    names = re.findall(r"`(test_\w+)`", tests)
    assert names, promise
    assert [name for name in names if f"def {name}(" not in source] == []


def test_promises_are_found():
    assert len(PROMISES) >= 10


@pytest.fixture
def offline(monkeypatch):
    """Note every connection that is tried, and refuse it."""
    tried = []

    def connect(_, address):
        tried.append(address)
        raise OSError("no network")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *address, **_: connect(None, address))
    return tried


VOTABLE = """<?xml version="1.0"?>{doctype}
<VOTABLE version="1.4"><RESOURCE><TABLE><FIELD name="ra" datatype="double"/><FIELD name="dec" datatype="double"/>
<DATA>{data}</DATA></TABLE></RESOURCE></VOTABLE>"""
ROW = "<TABLEDATA><TR><TD>1</TD><TD>{cell}</TD></TR></TABLEDATA>"


def test_nothing_is_fetched(offline, tmp_path):
    sky = small_sky.write_sky(tmp_path)
    measure(sky.catalog, sky.image, weight=sky.weight, survey="candels", band="H")
    path = tmp_path / "a.vot"
    for address in ("http://localhost/rows", "https://localhost/rows", "ftp://localhost/rows"):
        path.write_text(VOTABLE.format(doctype="", data=f'<BINARY><STREAM href="{address}"/></BINARY>'))
        with pytest.raises(CatalogError):
            read_catalog(path)
        for read in (read_catalog, lambda name: open_images([name]), load_checkpoint):
            with pytest.raises(GalmorphError):
                read(address)
    path.write_text(
        VOTABLE.format(doctype='<!DOCTYPE VOTABLE SYSTEM "http://localhost/a.dtd">', data=ROW.format(cell=2))
    )
    assert len(read_catalog(path)) == 1
    assert offline == []


def test_code_in_files_is_not_run(tmp_path):
    trap, secret = tmp_path / "trap", tmp_path / "secret"
    secret.write_text("12.5")
    ecsv = tmp_path / "a.ecsv"
    ecsv.write_text(
        "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: ra, datatype: float64}\n# - {name: dec, datatype: float64}\n"
        f"# meta: !!python/object/apply:os.system ['touch {trap}']\nra dec\n1 2\n"
    )
    vot = tmp_path / "a.vot"
    entity = f'<!DOCTYPE VOTABLE [<!ENTITY x SYSTEM "{secret.as_uri()}">]>'
    vot.write_text(VOTABLE.format(doctype=entity, data=ROW.format(cell="&x;")))
    for path in (ecsv, vot):
        try:
            catalog = read_catalog(path)
        except CatalogError:
            continue
        assert 12.5 not in catalog.dec_deg
    assert not trap.exists()


def test_weights_in_another_file_are_not_followed(tmp_path):
    saved = load_checkpoint(small_sky.write_checkpoint(tmp_path / "a.safetensors"))
    path, _ = write_onnx(saved, tmp_path / "a.onnx")
    model = onnx.load_model(path)
    weight = next(w for w in model.graph.initializer if w.raw_data)
    (tmp_path / "outside.bin").write_bytes(weight.raw_data)
    (tmp_path / "inner").mkdir()
    entry = weight.external_data.add()
    entry.key, entry.value = "location", "../outside.bin"
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.ClearField("raw_data")
    (tmp_path / "inner" / "b.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(CheckpointError):
        with_onnx(saved, tmp_path / "inner" / "b.onnx")


def test_stamps_outside_their_folder_are_not_read(tmp_path):
    (tmp_path / "stamps").mkdir()
    (tmp_path / "stamps" / "in.jpg").write_bytes(picture(0))
    (tmp_path / "out.jpg").write_bytes(picture(1))
    source = open_images([tmp_path / "stamps"])
    names = ["in.jpg", "../out.jpg", str(tmp_path / "out.jpg"), "stamps/../../out.jpg"]
    assert source.locate_files(names).tile.tolist() == [0, -1, -1, -1]
    source.close()


def test_a_table_of_names_alone_reads_no_files(tmp_path):
    Table({"file": ["/etc/passwd", "../../etc/passwd"]}).write(tmp_path / "a.csv", format="ascii.csv")
    catalog = read_catalog(tmp_path / "a.csv")
    assert catalog.files == ["/etc/passwd", "../../etc/passwd"]
