"""Stores: what every database that keeps one does."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import sys
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
import small_sky
import sqlalchemy as sa
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import MaskedColumn, Table

import galmorph
from galmorph.errors import CatalogError, CheckpointError, ImageError, SchemeError, StoreError, SurveyError
from galmorph.flags import Flag
from galmorph.sky.catalog import Catalog, Provenance, read_catalog, write_catalog
from galmorph.sky.formats.stored import HeldTable
from galmorph.store import schema
from galmorph.store.browsing import RowFilter
from galmorph.store.store import Store

__all__ = ["StoreTests", "assert_same_columns"]

SDSS = {"survey": "sdss", "band": "RGB"}
HEADERS = [small_sky.header(), None, small_sky.header(0.05), small_sky.header(), small_sky.header(filter_name="F125W")]


def fits_of(seed: int, header: fits.Header | None) -> bytes:
    """Return the bytes of a FITS stamp."""
    stream = io.BytesIO()
    fits.PrimaryHDU(small_sky.field(seed=seed)[60:180, 60:180], header).writeto(stream)
    return stream.getvalue()


def png_of(side: int) -> bytes:
    """Return a picture of that many pixels a side, none of which it has."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


def assert_same_columns(table: Table, other: Table) -> None:
    """Compare all columns of the second table, to the last bit and with all that is said of them."""
    for name in other.colnames:
        one, two = table[name], other[name]
        assert one.dtype == two.dtype, name
        assert (one.unit, one.description, one.info.meta or {}) == (two.unit, two.description, two.info.meta or {}), (
            name
        )
        plain = [np.asarray(np.ma.filled(column, 0)) for column in (one, two)]
        assert plain[0].tobytes() == plain[1].tobytes(), name


class StoreTests:
    """Inherit, and say in the fixture `url` where a new store may be."""

    @pytest.fixture
    def store(self, url) -> Iterator[Store]:
        """Make an empty store."""
        with galmorph.open_store(url, create=True) as store:
            yield store

    @pytest.fixture
    def filled(self, store, table, pictures, network) -> Store:
        """Make a store with a model and the pictures of a table."""
        store.push_model(network)
        assert store.add_images(table, pictures, **SDSS) == len(table)
        return store

    def test_a_store_is_made_only_where_asked(self, url):
        with pytest.raises(StoreError, match="--create"):
            galmorph.open_store(url)
        galmorph.open_store(url, create=True).close()
        galmorph.open_store(url, create=True).close()
        galmorph.open_store(url).close()

    def test_scoring_gives_the_columns_of_classifying_to_the_last_bit(self, filled, table, pictures, network):
        direct = galmorph.classify(table, pictures, checkpoint=network, **SDSS)
        assert filled.score("untaught", chunk=5) == len(table)
        pulled = filled.pull("untaught")
        assert pulled.colnames == direct.colnames
        assert_same_columns(pulled, direct)
        cards = {key: value for key, value in direct.meta.items() if key not in ("HISTORY", "GMDATE")}
        assert {key: pulled.meta[key] for key in cards} == cards
        assert pulled.meta["HISTORY"][-1] == direct.meta["HISTORY"][-1]
        assert pulled["gm_flags"][11] & Flag.FETCH_FAILED
        assert pulled["gm_flags"][12] & Flag.NO_IMAGE

    def test_rows_come_back_before_they_are_scored(self, filled, table):
        assert_same_columns(filled.pull(), table)
        assert filled.pull().colnames == table.colnames
        filled.score("untaught", ids=["id 3", "id 4"])
        pulled = filled.pull("untaught")
        assert len(pulled) == len(table)
        assert [name != "" for name in pulled["gm_class"]] == [n in (3, 4) for n in range(13)]
        assert pulled["gm_flags"].mask.sum() == 11

    def test_a_row_is_scored_once_and_again_where_asked(self, filled):
        assert filled.score("untaught", ids=["id 1", "id 2"]) == 2
        with pytest.raises(StoreError, match="has no image 'id x'"):
            filled.score("untaught", ids=["id 3", "id x"])
        assert filled.score("untaught") == 11
        assert filled.score("untaught") == 0
        assert filled.score("untaught", ids=["id 1"], again=True) == 1
        assert filled.score("untaught", again=True, chunk=4) == 13

    def test_the_company_of_a_row_changes_nothing(self, filled):
        filled.score("untaught", chunk=1)
        alone = filled.pull("untaught")
        filled.score("untaught", again=True)
        assert_same_columns(filled.pull("untaught"), alone)

    def test_progress_counts_rows(self, filled):
        steps = []
        filled.score("untaught", chunk=5, progress=lambda *words: steps.append(words[:3]))
        assert steps == [("rows", 5, 13), ("rows", 10, 13), ("rows", 13, 13)]

    def test_a_model_is_found_by_name_version_and_checksum(self, store, network, tmp_path):
        first = store.push_model(network)
        assert store.push_model(network) == first
        second = store.push_model(small_sky.write_checkpoint(tmp_path / "h.safetensors"))
        assert [str(model) for model in store.models()] == ["untaught@0.0", "untaught@0.0"]
        assert store.model("untaught") == store.model("untaught@0.0") == second
        assert store.model(f"untaught@{first.sha256[:12]}") == first
        assert store.load_model(f"untaught@{first.sha256}").sha256 == first.sha256
        assert store.load_model("untaught") is store.load_model("untaught@0.0")
        assert first.card["title"] == "random weights"
        with pytest.raises(StoreError, match=r"unknown model 'untought'.*untaught@0\.0"):
            store.load_model("untought")

    def test_a_model_that_was_changed_is_refused(self, filled):
        with filled.database.writing() as connection:
            content = connection.scalar(sa.select(schema.MODELS.c.content))
            broken = content[:-1] + bytes([content[-1] ^ 1])
            connection.execute(sa.update(schema.MODELS).values(content=broken))
        with pytest.raises(CheckpointError, match="other bytes than were pushed"):
            filled.score("untaught")

    def test_a_model_that_is_a_pickle_is_refused_and_not_run(self, filled):
        pickle = b"cos\nsystem\n(S'touch /tmp/galmorph-was-here'\ntR."
        values = {"content": pickle, "sha256": hashlib.sha256(pickle).hexdigest()}
        with filled.database.writing() as connection:
            connection.execute(sa.update(schema.MODELS).values(**values))
        with pytest.raises(CheckpointError, match="not one of galmorph's"):
            filled.load_model("untaught")

    def test_a_model_of_other_images_stops_before_anything_is_written(self, filled, tmp_path):
        filled.push_model(small_sky.write_checkpoint(tmp_path / "grey.safetensors"))
        with pytest.raises(CheckpointError, match="one band"):
            filled.score("untaught")
        assert all(count == 0 for _, count in filled.counts())

    def test_ids_are_text_and_nothing_else(self, store, network, tmp_path):
        ids = [
            "'; DROP TABLE gm_images; --",
            "../../etc/passwd",
            "a" * 500,
            "Ωmega",
            "%s{x}\\",
            "..",
            ".hidden",
            "a\nb",
        ]
        store.push_model(network)
        for each in ids:
            store.add_image(each, small_sky.picture(0, 64), **SDSS, columns={"note": "a\u0000b", "mag": 17.5})
        assert store.score("untaught") == len(ids)
        pulled = store.pull("untaught")
        assert pulled["id"].tolist() == ids
        assert pulled["mag"].tolist() == [17.5] * len(ids)
        assert [store.image(each).id for each in ids] == ids
        assert all(store.prediction(each, "untaught")["gm_class"] for each in ids)
        assert store.save_pictures(tmp_path / "out") == len(ids)
        saved = [path for path in tmp_path.rglob("*") if path.is_file() and not path.name.startswith("store.db")]
        assert {path.relative_to(tmp_path).parts[0] for path in saved} == {"out"}
        assert len(saved) == len(ids)

    def test_what_is_no_id_or_no_picture_is_refused(self, store):
        for each in ("", "a\0b", "a" * 501, "\ud800"):
            with pytest.raises(StoreError, match="letters"):
                store.add_image(each, small_sky.picture(0, 64))
        bomb = png_of(30_000)
        for content in (b"", b"GIF89a" + bytes(99), b"\xff\xd8\xff\xe0" + bytes(99), b"SIMPLE" + bytes(99), bomb):
            with pytest.raises(ImageError, match=r"x\."):
                store.add_image("x", content, **SDSS)
        with pytest.raises(SurveyError, match="sdsss"):
            store.add_image("x", small_sky.picture(0, 64), survey="sdsss")
        with pytest.raises(StoreError, match="degrees"):
            store.add_image("x", small_sky.picture(0, 64), ra=float("nan"), dec=0.0)
        assert store.count() == 0

    def test_large_pictures_are_taken_a_few_at_a_time(self, filled, monkeypatch):
        monkeypatch.setattr("galmorph.store.scorer._CHUNK_BYTES", 4000)
        steps = []
        filled.score("untaught", progress=lambda *words: steps.append(words[1]))
        assert steps[-1] == 13
        assert len(steps) == 3

    def test_a_picture_is_replaced_only_where_asked(self, filled):
        filled.score("untaught")
        with pytest.raises(StoreError, match="has an image 'id 1'"):
            filled.add_image("id 1", small_sky.picture(5, 64))
        filled.add_image("id 1", small_sky.picture(5, 64), overwrite=True, **SDSS)
        assert filled.image("id 1").content == small_sky.picture(5, 64)
        assert filled.prediction("id 1", "untaught") == {}
        assert filled.score("untaught") == 1

    def test_adding_a_table_again_adds_what_is_missing(self, store, table, pictures):
        assert store.add_images(table[:5], pictures, **SDSS) == 5
        assert store.add_images(table, pictures, **SDSS) == 8
        assert store.add_images(table, pictures, **SDSS) == 0
        assert store.add_images(table, pictures, **SDSS, overwrite=True) == 13
        assert store.count() == 13

    def test_columns_of_another_kind_are_refused(self, filled):
        with pytest.raises(CatalogError, match="column 'z' is of type"):
            filled.add_images(Table({"objid": ["new"], "z": ["high"], "ra": [1.0], "dec": [1.0]}))
        with pytest.raises(CatalogError, match="twice"):
            filled.add_images(Table({"objid": ["a", "a"], "ra": [1.0, 1.0], "dec": [1.0, 1.0]}))
        assert filled.count() == 13

    def test_every_position_is_pulled_whatever_it_came_with(self, filled, tmp_path):
        filled.add_image("alone", None, ra=10.0, dec=-20.0)
        filled.add_images(Table({"objid": ["vizier"], "RAJ2000": [30.0], "DEJ2000": [40.0]}))
        filled.add_image("nowhere", None)
        filled.pull(output=tmp_path / "rows.fits")
        catalog = read_catalog(tmp_path / "rows.fits")
        listed = filled.images()
        np.testing.assert_array_equal(catalog.ra_deg, listed["ra"])
        np.testing.assert_array_equal(catalog.dec_deg, listed["dec"])
        assert np.isfinite(catalog.ra_deg[-3:]).tolist() == [True, True, False]

    def test_positions_are_columns_of_their_own_where_those_of_the_table_are_hours_or_text(self, store):
        store.add_images(Table({"objid": ["a"], "ra": ["12:30:00"], "dec": ["+01:00:00"]}))
        store.add_image("b", None, ra=10.0, dec=-20.0)
        pulled = store.pull()
        assert pulled["ra"].tolist() == ["12:30:00", ""]
        np.testing.assert_allclose(pulled["ra_"], [187.5, 10.0], rtol=1e-14)
        np.testing.assert_allclose(pulled["dec_"], [1.0, -20.0], rtol=1e-14)

    def test_writers_at_once_widen_columns_and_never_narrow_them(self, store):
        """Each declares its columns while the others do, of which all start together."""
        start = Barrier(6)

        def add(writer):
            kinds = ("f4", np.float32(0.1)) if writer % 2 else ("f8", 0.1)
            start.wait()
            for n in range(4):
                table = Table({"objid": [f"{writer} {n}"], "ra": [1.0], "dec": [1.0], f"of{writer}": [writer]})
                table[f"z{n}"] = np.array([kinds[1]], kinds[0])
                store.add_images(table)

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(add, range(6)))
        pulled = store.pull()
        for n in range(4):
            cells = {
                name: z for name, z in zip(pulled["objid"], pulled[f"z{n}"], strict=True) if name.endswith(f" {n}")
            }
            assert cells == {f"{w} {n}": float(np.float32(0.1)) if w % 2 else 0.1 for w in range(6)}
        with store.database.reading() as connection:
            places = connection.scalars(sa.select(schema.COLUMNS.c.place)).all()
        assert sorted(places) == list(range(len(pulled.colnames)))

    def test_numbers_that_are_masked_in_an_array_stay_masked(self, store):
        masks = [[False, True, False], [True, True, True]]
        table = Table({"objid": ["a", "b"], "ra": [1.0, 2.0], "dec": [1.0, 2.0]})
        table["mag"] = MaskedColumn([[20.0, 99.0, 21.0]] * 2, mask=masks)
        table["counts"] = MaskedColumn([[1, -99, 3]] * 2, mask=masks)
        store.add_images(table)
        pulled = store.pull()
        np.testing.assert_array_equal(pulled["mag"], [[20.0, np.nan, 21.0], [np.nan] * 3])
        assert pulled["counts"].tolist() == [[1, None, 3], [None, None, None]]

    def test_whole_numbers_that_no_type_holds_together_are_refused(self, store):
        one, two = 2**60 + 1, 2**60 + 3
        places = {"ra": [1.0], "dec": [2.0]}
        store.add_images(Table({"objid": np.array([one], np.int64), **places}))
        with pytest.raises(CatalogError, match=r"is of type u8, in the store it is i8: .* convert it to i8"):
            store.add_images(Table({"objid": np.array([two], np.uint64), **places}))
        store.add_images(Table({"objid": np.array([two], np.int64), **places}))
        assert store.pull()["objid"].tolist() == [one, two]

    def test_a_table_whose_names_differ_in_their_letters_size_is_added_again(self, store):
        table = Table({"objid": ["a"], "ra": [1.0], "dec": [1.0], "Z": [0.1], "z": [0.2]})
        assert store.add_images(table) == 1
        assert store.add_images(table) == 0
        assert store.pull()["Z", "z"].as_array().tolist() == [(0.1, 0.2)]
        with pytest.raises(CatalogError, match="'RA': expected a name that no other column has"):
            store.add_images(Table({"objid": ["b"], "RA": [1.0], "dec": [1.0]}))

    def test_columns_and_ids_without_a_place_in_a_store_are_refused_by_name(self, store):
        places = {"ra": [1.0, 2.0], "dec": [1.0, 2.0]}
        with pytest.raises(StoreError, match=r"row 1 of catalog 'in memory' \(the first is 0\): id ''"):
            store.add_images(Table({"objid": MaskedColumn([1, 2], mask=[False, True]), **places}))
        with pytest.raises(CatalogError, match="'gm_x': names with gm_ are of predictions"):
            store.add_images(Table({"objid": [1, 2], "gm_x": [0, 0], **places}))
        if np.dtype(np.longdouble).itemsize > 8:
            with pytest.raises(CatalogError, match="'x' holds Column of float128"):
                store.add_images(Table({"objid": [1, 2], "x": np.ones(2, np.longdouble), **places}))
        assert store.count() == 0

    def test_parts_of_ids_are_found_in_letters_of_any_language(self, store):
        for name in ("Ärger", "été", "100%_x", "o'b"):
            store.add_image(name, None)

        def search(text):
            return list(store.browsing.ids(None, RowFilter(text=text)))

        assert [search(text) for text in ("Ärg", "ÄRGER"[:1], "ÉTÉ", "%_X", "_", "O'B")] == [
            ["Ärger"], ["Ärger"], ["été"], ["100%_x"], ["100%_x"], ["o'b"]
        ]  # fmt: skip

    def test_a_cone_holds_what_is_within_it(self, filled, table):
        places = SkyCoord(table["ra"], table["dec"], unit="deg")
        for cone in ((0, 0, 1), (359.9, -1.5, 0.7), (-0.1, -1.5, 0.7), (0.5, 0, 180), (90, 90, 5), (3, 1, 0)):
            away = places.separation(SkyCoord(*cone[:2], unit="deg")).deg
            assert filled.images(cone=cone)["id"].tolist() == table["objid"][away <= cone[2]].tolist()

    def test_fits_stamps_are_measured_each_by_its_own_scale(self, store, tmp_path):
        """Whatever company they are in: with a WCS, with another, and without one, whose sizes are pixels."""
        model = small_sky.write_checkpoint(tmp_path / "h.safetensors")
        store.push_model(model)
        contents = {f"{n}.fits": fits_of(n, header) for n, header in enumerate(HEADERS)}
        for name, content in contents.items():
            store.add_image(name, content, survey="candels", band="H", file=name)
        store.score("untaught")
        pulled = store.pull("untaught")
        for row, (name, content) in enumerate(contents.items()):
            alone = Table({"file": [name]})
            direct = galmorph.classify(alone, {name: content}, survey="candels", band="H", checkpoint=model)
            for column in direct.colnames[1:]:
                suffix = "_pixel" if f"{column}_pixel" in pulled.colnames and direct[column].unit == "pixel" else ""
                assert pulled[column + suffix][row] == direct[column][0], (name, column)
        assert pulled["gm_rpet"].unit == "arcsec"
        assert pulled["gm_rpet_pixel"].unit == "pixel"

    def test_images_that_others_inserted_are_in_cones_too(self, filled):
        with filled.database.writing() as connection:
            connection.execute(sa.insert(schema.IMAGES).values(id="theirs", ra=120.0, dec=-89.9))
            connection.execute(sa.insert(schema.IMAGES).values(id="nowhere", ra=120.0, dec=-99.0))
        assert filled.images(cone=(300.0, -90.0, 0.2))["id"].tolist() == ["theirs"]

    def test_images_are_listed_in_pages_and_orders(self, filled):
        filled.score("untaught")
        everything = filled.images(model="untaught")
        assert everything["id"].tolist() == [f"id {n}" for n in range(13)]
        assert filled.images(offset=3, limit=2)["id"].tolist() == ["id 3", "id 4"]
        assert filled.images(offset=1, limit=2, cone=(0, 0, 180))["id"].tolist() == ["id 1", "id 2"]
        uncertain = filled.images(model="untaught", order="uncertain")["conf"]
        assert (np.diff(uncertain[:11]) >= 0).all()
        assert np.isnan(uncertain[11:]).all()
        doubts = [int(flags).bit_count() for flags in filled.images(model="untaught", order="doubtful")["flags"]]
        assert doubts == sorted(doubts, reverse=True)
        with pytest.raises(StoreError, match="without a model"):
            filled.images(order="uncertain")
        with pytest.raises(StoreError, match="cone"):
            filled.images(cone=(0, 91, 1))

    def test_predictions_of_a_service_are_those_of_scoring(self, filled, table, pictures, network):
        direct = galmorph.classify(table, pictures, checkpoint=network, **SDSS)
        assert filled.save_predictions(direct, "untaught", id="objid") == 13
        assert_same_columns(filled.pull("untaught"), direct)
        assert filled.score("untaught") == 0
        with pytest.raises(StoreError, match="no image"):
            filled.save_predictions(Table({"id": ["other"], "gm_flags": [0]}), "untaught")
        with pytest.raises(CatalogError, match="gm_flags"):
            filled.save_predictions(Table({"id": ["id 1"]}), "untaught")

    def test_predictions_that_were_read_from_a_file_are_those_that_were_written(
        self, filled, table, pictures, network, tmp_path
    ):
        """Readers mask what is NaN or empty in a file; it was 0 in the store."""
        direct = galmorph.classify(table, pictures, checkpoint=network, **SDSS)
        assert np.isnan(direct["gm_conf"][11])
        for ending in ("fits", "ecsv", "parquet"):
            file = tmp_path / f"result.{ending}"
            write_catalog(Catalog(HeldTable(direct)), (), file, provenance=Provenance())
            assert filled.save_predictions(Table.read(file), "untaught", id="objid") == 13
            pulled = filled.pull("untaught")
            for name in direct.colnames[len(table.colnames) :]:
                if name in pulled.colnames or direct[name].dtype.kind != "U":
                    np.testing.assert_array_equal(pulled[name], direct[name], err_msg=f"{ending} {name}")

    def test_rows_that_a_pulled_table_masks_are_not_predicted(self, filled):
        filled.score("untaught", ids=["id 3"])
        assert filled.save_predictions(filled.pull("untaught"), "untaught", id="objid") == 1
        assert filled.prediction("id 4", "untaught") == {}
        assert filled.score("untaught") == 12

    def test_features_are_kept_with_predictions(self, filled, table, pictures, network):
        direct = galmorph.classify(table, pictures, checkpoint=network, features=True, **SDSS)
        filled.save_predictions(direct, "untaught", id="objid")
        np.testing.assert_array_equal(filled.pull("untaught")["gm_features"], direct["gm_features"])

    def test_predictions_of_another_kind_are_refused_before_they_spoil_the_table(self, filled):
        filled.score("untaught", ids=["id 3"])
        before = filled.pull("untaught")
        with pytest.raises(CatalogError, match="'gm_conf' is of type"):
            filled.save_predictions(Table({"id": ["id 4"], "gm_conf": ["high"], "gm_flags": [0]}), "untaught")
        assert_same_columns(filled.pull("untaught"), before)

    def test_the_last_answer_of_each_author_is_a_vote(self, filled):
        def label(id, answer, author):
            return filled.add_label(id, "gz2-simple", "class", answer, author=author)

        label("id 1", "spiral", "ann")
        label("id 1", "edge_on", "ann")
        label("id 1", "edge_on", "bob")
        number = label("id 2", "spiral", "ann")
        filled.withdraw_label(number, "ann")
        label("id 3", "spiral", "bob")
        labels = filled.labels("gz2-simple")
        assert labels["id"].tolist() == ["id 1", "id 3"]
        assert labels["file"].tolist() == ["g1.jpg", "g3.jpg"]
        assert labels["edge_on"].tolist() == [2.0, 0.0]
        assert labels["spiral"].tolist() == [0.0, 1.0]
        assert filled.labels("gz2-simple", "bob")["edge_on"].tolist() == [1.0, 0.0]
        assert filled.label_counts("gz2-simple") == {"ann": 2, "bob": 2}
        log = filled.label_log()
        assert len(log) == 5
        assert [bool(text) for text in log["withdrawn"]] == [False, False, False, True, False]
        left = filled.images(unlabelled_by="bob", scheme="gz2-simple")["id"]
        assert not {"id 1", "id 3"} & set(left)

    def test_ticks_that_are_independent_are_shares_of_those_asked(self, filled):
        for answer, author in (("disk", "ann"), ("irregular", "ann"), ("disk", "bob")):
            filled.add_label("id 1", "candels-visual", "morphology", answer, author=author)
        labels = filled.labels("candels-visual")
        assert labels["disk"].tolist() == [1.0]
        assert labels["irregular"].tolist() == [0.5]
        assert labels["spheroid"].tolist() == [0.0]

    def test_what_is_no_label_is_refused(self, filled):
        number = filled.add_label("id 1", "gz2-simple", "class", "spiral", author="ann")
        with pytest.raises(StoreError, match="none of bob's"):
            filled.withdraw_label(number, "bob")
        for given, error in (
            (("id 1", "gz2-simple", "class", "spirel"), SchemeError),
            (("id 1", "gz2-simple", "clas", "spiral"), SchemeError),
            (("id 1", "gz9", "class", "spiral"), SchemeError),
            (("id 99", "gz2-simple", "class", "spiral"), StoreError),
        ):
            with pytest.raises(error):
                filled.add_label(*given, author="ann")
        with pytest.raises(StoreError, match="author"):
            filled.add_label("id 1", "gz2-simple", "class", "spiral", author=" ")

    def test_what_no_database_can_hold_is_refused_in_one_line(self, filled):
        for ask in (
            lambda: filled.image("\ud800"),
            lambda: filled.prediction("\ud800", "untaught"),
            lambda: filled.withdraw_label(10**30, "ann"),
            lambda: filled.images(offset=10**30),
            lambda: filled.images(unlabelled_by="\ud800"),
            lambda: filled.add_label("\ud800", "gz2-simple", "class", "spiral", author="ann"),
            lambda: filled.add_label("id 1", "gz2-simple", "class", "spiral", author="ann", at="yesterday"),
        ):
            with pytest.raises(StoreError):
                ask()
        filled.add_image("odd", small_sky.picture(0, 64), file="\ud800\0.jpg", **SDSS)
        assert filled.image("odd").file == "?.jpg"

    def test_labels_are_what_training_reads(self, filled, tmp_path):
        for number in range(4):
            filled.add_label(f"id {number}", "gz2-simple", "class", "spiral" if number % 2 else "edge_on", author="ann")
        filled.labels("gz2-simple", output=tmp_path / "labels.fits")
        filled.save_pictures(tmp_path / "pictures")
        catalog = galmorph.read_catalog(tmp_path / "labels.fits")
        labels = galmorph.load_scheme("gz2-simple").labels(catalog.table)
        assert labels.totals.tolist() == np.ones((4, 5)).tolist()
        assert labels.counts.argmax(axis=1).tolist() == [3, 4, 3, 4]
        measured = galmorph.measure(catalog, tmp_path / "pictures", **SDSS)
        assert np.isfinite(measured["gm_x"]).all()

    def test_jobs_go_through_their_phases_in_turn_and_belong_to_a_service_and_an_owner(self, store):
        jobs, others = store.jobs("here"), store.jobs("elsewhere")
        first, second = (jobs.add("ann", {"format": f, "name": "ö'; --"}, days=1.0) for f in ("fits", "vot"))
        assert first.phase == "PENDING"
        assert jobs.start_next() is None
        assert jobs.queue(second.id)
        assert not jobs.queue(second.id)
        assert jobs.queue(first.id)
        assert not others.queue(first.id)
        assert others.start_next() is None
        taken = jobs.start_next()
        assert (taken.id, taken.phase, taken.parameters) == (first.id, "EXECUTING", first.parameters)
        jobs.set_progress(first.id, 7, 20)
        assert (jobs.get(first.id).done, jobs.get(first.id).total) == (7, 20)
        assert jobs.requeue() == 1
        assert (jobs.start_next().id, jobs.start_next().id) == (first.id, second.id)
        assert jobs.end(first.id, "COMPLETED")
        assert not jobs.end(first.id, "ERROR", "too late")
        assert jobs.get(first.id).phase == "COMPLETED"
        assert jobs.get(first.id, "bob") is None
        assert others.get(first.id) is None
        assert [job.id for job in jobs.all("ann")] == [first.id, second.id]
        assert jobs.expired() == []
        jobs.set_destruction(second.id, "2020-01-01T00:00:00.000Z")
        assert (jobs.expired(), others.expired()) == ([second.id], [])
        jobs.remove(second.id)
        assert jobs.get(second.id) is None

    def test_a_compressed_stamp_is_written_as_it_came(self, store, tmp_path):
        content = gzip.compress(fits_of(1, small_sky.header()))
        store.add_image("h", content, file="h.fits.gz", survey="candels", band="H")
        store.save_pictures(tmp_path / "out")
        assert (tmp_path / "out" / "h.fits.gz").read_bytes() == content

    def test_pictures_are_written_under_the_names_that_labels_have(self, filled, pictures, tmp_path):
        filled.add_image("another", small_sky.picture(9, 64), file="elsewhere/g1.jpg", **SDSS)
        filled.add_label("another", "gz2-simple", "class", "spiral", author="ann")
        filled.add_label("id 1", "gz2-simple", "class", "edge_on", author="ann")
        assert filled.save_pictures(tmp_path / "out") == 13
        labels = filled.labels("gz2-simple", output=tmp_path / "labels.fits")
        by_id = dict(zip(labels["id"], labels["file"], strict=True))
        assert (tmp_path / "out" / by_id["another"]).read_bytes() == small_sky.picture(9, 64)
        assert (tmp_path / "out" / by_id["id 1"]).read_bytes() == pictures["g1.jpg"]
        assert galmorph.read_catalog(tmp_path / "labels.fits").files == labels["file"].tolist()

    def test_a_key_is_known_by_its_hash_and_can_be_withdrawn(self, store):
        secret, other = store.add_key("ann"), store.add_key("bob")
        assert len(secret) > 40
        assert (store.check_key(secret), store.check_key(other)) == ("ann", "bob")
        assert store.check_key("") is store.check_key(secret[:-1]) is store.check_key("\ud800") is None
        with store.database.reading() as connection:
            assert secret not in str(connection.execute(sa.select(schema.KEYS)).all())
        with pytest.raises(StoreError, match="is there already"):
            store.add_key("ann")
        store.withdraw_key("ann")
        assert store.check_key(secret) is None
        assert [bool(withdrawn) for _, _, withdrawn in store.api_keys()] == [True, False]
        with pytest.raises(StoreError, match="unknown key"):
            store.withdraw_key("ann")

    def test_a_newer_store_is_refused(self, store, url):
        with store.database.writing() as connection:
            connection.execute(sa.update(schema.STORE).values(value="99"))
        with pytest.raises(StoreError, match="version 99, this galmorph reads 1: update galmorph"):
            galmorph.open_store(url)

    def test_threads_share_a_store(self, store, pictures):
        def add(number):
            store.add_image(f"t{number}", pictures["g1.jpg"], **SDSS)
            return store.image(f"t{number}").id

        with ThreadPoolExecutor(4) as pool:
            assert sorted(pool.map(add, range(12))) == sorted(f"t{n}" for n in range(12))

    def test_watching_scores_what_is_added(self, filled, url, pictures):
        def add() -> None:
            with galmorph.open_store(url) as other:
                other.add_image("late", pictures["g2.jpg"], **SDSS)

        added = []

        def progress(_stage: str, done: int, _total: int, _remark: str = "") -> None:
            if done == 13 and not added:
                added.append(True)
                add()

        count = filled.watch("untaught", poll_s=0.05, idle_s=0.3, progress=progress)
        assert count == 14
        assert filled.model("untaught").watched
        assert filled.prediction("late", "untaught")["gm_class"]

    def test_a_scorer_that_is_killed_leaves_whole_chunks(self, filled, url, killed_scorer):
        killed_scorer(sys.executable, url, filled)
        before = sum(count for _, count in filled.counts())
        assert before % 3 == 0
        assert 0 < before < 13
        assert filled.score("untaught") == 13 - before
        filled_now = filled.pull("untaught")
        filled.score("untaught", again=True)
        assert_same_columns(filled.pull("untaught"), filled_now)
