"""Catalogs: tables of every format, damaged; what is read must be what astropy and pyarrow read."""

from __future__ import annotations

import bz2
import gzip
import io
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits
from astropy.io.votable import parse
from astropy.table import MaskedColumn, Table

from galmorph.sky.catalog import Catalog, Column, Provenance, write_catalog
from galmorph.sky.catalog_input import CatalogInput

from . import cards, damage, markup
from .dice import Dice
from .subject import DifferenceError, Item

ROWS = 12
PROVENANCE = Provenance((("GMMODEL", "none", "checkpoint"),), ("galmorph classify",))


@dataclass(frozen=True)
class Read:
    """A catalogue and how it was read: what a text table is by astropy depends on its layout."""

    catalog: Catalog
    ending: str


class Catalogs:
    """FITS, VOTable, Parquet, ECSV, CSV, IPAC, CDS."""

    name = "catalogs"

    def seeds(self) -> list[Item]:
        made = [Item.of(name, content) for name, content in _drawn().items()]
        packed = [Item.of(f"{m.name}.gz", gzip.compress(m.files[m.name], mtime=0)) for m in made[:2] + made[-4:-3]]
        return [*made, *packed, Item.of("a.csv.bz2", bz2.compress(_text_tables()["a.csv"]))]

    def damaged(self, dice: Dice, item: Item, items: Sequence[Item]) -> Item:
        content, name = item.files[item.name], item.name
        others = [i.files[i.name] for i in items]
        if name.endswith(".gz") and dice.one_in(2):
            inner = _damaged(dice, name.removesuffix(".gz"), gzip.decompress(content), others)
            return Item.of(name, gzip.compress(inner, 1, mtime=0))
        return Item.of(name, _damaged(dice, name, content, others))

    def examine(self, path: Path, dice: Dice) -> object:
        catalog = CatalogInput(path).open()
        for part in (catalog.ids, catalog.ra_deg, catalog.dec_deg, catalog.xy, catalog.files):
            assert part is None or len(part) == len(catalog)
        if dice.one_in(3):
            written(
                catalog,
                path.with_name("out" + dice.choice((path.suffix, ".fits", ".vot", ".ecsv", ".csv", ".parquet"))),
            )
        return catalog

    def compare(self, path: Path, opened: object) -> None:
        assert isinstance(opened, Catalog)
        theirs = _reference(path, opened)
        if theirs is not None:
            _same(opened.table, theirs, opened.format)


def written(catalog: Catalog, target: Path) -> None:
    """Write a catalogue with more columns where that is possible."""
    if target.suffix in (".gz", ".bz2", ".tbl", ".mrt", ".dat", ".txt", ".cat"):
        target = target.with_suffix(".csv")
    values = np.arange(len(catalog), dtype=np.float32)
    columns = [
        Column("gm_new", values, "arcsec", "a number", "phys"),
        Column("gm_word", values.astype("U8"), "", "", ""),
    ]
    write_catalog(catalog, columns, target, provenance=PROVENANCE)


def _damaged(dice: Dice, name: str, content: bytes, others: Sequence[bytes]) -> bytes:
    ways = next((ways for ending, ways in _WAYS.items() if name.endswith(ending)), damage.ANY)
    return damage.damaged(dice, content, others, damage.ANY if dice.one_in(4) else ways)


def _footer(dice: Dice, content: bytes, others: Sequence[bytes]) -> bytes:
    """Damage the footer of a Parquet file alone."""
    if len(content) < 12:
        return content
    length = struct.unpack("<I", content[-8:-4])[0]
    start = max(4, len(content) - 8 - length)
    footer = dice.choice((damage.bits, damage.single, damage.sizes, damage.removed, damage.repeated, damage.spliced))(
        dice, content[start:-8] or b"\0", others
    )
    size = len(footer) if not dice.one_in(5) else dice.choice((0, 1, length, 2**31 - 1, 2**32 - 1))
    return content[:start] + footer + struct.pack("<I", size) + content[-4:]


def _metadata(dice: Dice, content: bytes, others: Sequence[bytes]) -> bytes:
    """Put other texts into the metadata of a sound Parquet file."""
    try:
        table = pq.read_table(pa.BufferReader(content), use_threads=False)
    except (pa.ArrowException, OSError):
        return content
    told = dict(table.schema.metadata or {})
    key = dice.choice([*told, b"galmorph", b"IVOA.VOTable-Parquet.content", b"table_meta_yaml", b"pandas"])
    told[key] = markup.tokens(dice, told.get(key) or dice.value().encode(), others)
    fields = [
        f.with_metadata({b"unit": dice.value().encode("utf-8", "replace")}) if dice.one_in(3) else f
        for f in table.schema
    ]
    stream = io.BytesIO()
    pq.write_table(table.cast(pa.schema(fields)).replace_schema_metadata(told), stream)
    return stream.getvalue()


_WAYS: dict[str, tuple[damage.Damage, ...]] = {
    ".fits": (cards.recarded, cards.recarded, cards.reordered, cards.disturbed, damage.bits),
    ".vot": (markup.tags, markup.attributes, markup.tokens, markup.nested),
    ".parquet": (_footer, _footer, _metadata, damage.bits),
    ".ecsv": markup.TEXT,
    ".csv": markup.TEXT,
    ".tbl": markup.TEXT,
    ".txt": markup.TEXT,
    ".mrt": markup.TEXT,
    ".cat": markup.TEXT,
}


def table() -> Table:
    """Draw a table with columns of many kinds."""
    n = np.arange(ROWS)
    out = Table({"id": n + 10**15, "ra": 150.0 + n / 7, "dec": -2.0 + n / 9, "mag": (20 + n / 3).astype("f4")})
    out["note"] = ["a", "b c", "", "é", 'q"q', "x,y", "#z", " s", "1", "nan", "<&>", "end"]
    out["good"] = n % 2 == 0
    out["count"] = MaskedColumn(n.astype("i4"), mask=n % 5 == 1)
    out["ra"].unit = out["dec"].unit = "deg"
    out["mag"].unit, out["mag"].description = "mag", "total magnitude"
    out["mag"].meta["ucd"] = "phot.mag"
    out.meta = {"SURVEY": "EGS", "YEAR": 2000.0}
    return out


def _drawn() -> dict[str, bytes]:
    base = table()
    with_vectors = base["id", "ra", "dec"]
    with_vectors["mags"] = np.arange(3.0 * ROWS).reshape(ROWS, 3)
    return {
        "a.fits": _fits(),
        "b.fits": _written(base["id", "ra", "dec", "mag", "good", "count"], "fits"),
        "a.vot": _written(base, "votable", tabledata_format="tabledata"),
        "b.vot": _written(with_vectors, "votable", tabledata_format="binary2"),
        "c.vot": _written(with_vectors, "votable", tabledata_format="binary"),
        "a.parquet": _parquet(base),
        "a.ecsv": _written(base, "ascii.ecsv"),
        "b.ecsv": _written(with_vectors, "ascii.ecsv", delimiter=","),
        **_text_tables(),
    }


def _written(drawn: Table, form: str, **settings: Any) -> bytes:
    if form.startswith("ascii"):
        text = io.StringIO()
        drawn.write(text, format=form, **settings)
        return text.getvalue().encode()
    stream = io.BytesIO()
    drawn.write(stream, format=form, **settings)
    return stream.getvalue()


def _text_tables() -> dict[str, bytes]:
    base = table()
    simple = base["id", "ra", "dec", "mag", "count"]
    simple.meta = {}
    return {
        "a.csv": _written(base, "ascii.csv"),
        "a.txt": _written(simple, "ascii.commented_header"),
        "a.tbl": _written(simple, "ascii.ipac"),
        "a.mrt": _MRT.encode(),
        "a.cat": _sextractor(),
    }


_RULE = "-" * 80
_MRT = "\n".join(
    [
        "Title: Drawn sources",
        "Authors: Nobody",
        "Table: Positions",
        "=" * 80,
        "Byte-by-byte Description of file: table.dat",
        _RULE,
        "   Bytes Format Units  Label     Explanations",
        _RULE,
        "   1-  4  I4    ---    ID        Number",
        "   6-  7  I2    h      RAh       Hour of right ascension",
        "   9- 10  I2    min    RAm       Minute",
        "  12- 16  F5.2  s      RAs       Second",
        "      18  A1    ---    DE-       Sign",
        "  19- 20  I2    deg    DEd       Degree of declination",
        "  22- 23  I2    arcmin DEm       Minute",
        "  25- 28  F4.1  arcsec DEs       Second",
        "  30- 34  F5.2  mag    Vmag      ? Magnitude",
        _RULE,
        "Note (1): drawn.",
        _RULE,
        *(f"{n:4d} 10 {n:02d} {n * 3.5:05.2f} - 2 {n:02d} {n * 4.5:04.1f} {20 + n / 3:5.2f}" for n in range(ROWS)),
        "",
    ]
)


def _sextractor() -> bytes:
    head = [
        "NUMBER Number [count]",
        "ALPHA_J2000 Right ascension [deg]",
        "DELTA_J2000 Declination [deg]",
        "X_IMAGE X [pixel]",
        "Y_IMAGE Y [pixel]",
    ]
    lines = [f"#{n:4d} {text}" for n, text in enumerate(head, start=1)]
    lines += [f"{n:5d} {150 + n / 7:.7f} {2 + n / 9:.7f} {n * 3.5:.3f} {n * 2.5:.3f}" for n in range(ROWS)]
    return ("\n".join(lines) + "\n").encode()


def _parquet(drawn: Table) -> bytes:
    stream = io.BytesIO()
    columns = {name: pa.array(np.ma.filled(drawn[name], 0).tolist()) for name in drawn.colnames}
    columns["list"] = pa.array([[1.0] * (n % 3) for n in range(ROWS)])
    columns["null"] = pa.array([None if n % 4 == 1 else n for n in range(ROWS)])
    made = pa.table(columns)
    pq.write_table(
        made.replace_schema_metadata({"table_meta_yaml": "- {unit: deg}", "SURVEY": "EGS"}), stream, row_group_size=5
    )
    return stream.getvalue()


def _fits() -> bytes:
    rng, n = np.random.default_rng(1), np.arange(ROWS)
    lists = np.empty(ROWS, dtype=object)
    for i in n:
        lists[i] = np.arange(i % 3, dtype="f4")
    hdu = fits.BinTableHDU.from_columns(
        [
            fits.Column("ID", "K", array=n + 10**15),
            fits.Column("RA", "D", unit="deg", array=150 + n / 7),
            fits.Column("DEC", "D", unit="deg", array=2 + n / 9),
            fits.Column("SPEC", "PE()", array=lists),
            fits.Column("BITS", "11X", array=rng.random((ROWS, 11)) > 0.5),
            fits.Column("SCALED", "E", bscale=0.01, bzero=5, array=np.linspace(5, 6, ROWS)),
            fits.Column("NUL", "J", null=-99, array=np.where(n % 2, n, -99)),
            fits.Column("U32", "J", bzero=2**31, array=n.astype("u4")),
            fits.Column("MATRIX", "6E", dim="(2,3)", array=np.arange(6.0 * ROWS).reshape(ROWS, 3, 2)),
            fits.Column("NAME", "8A", array=np.array(["a", "bb", "", "NGC 1"] * 3)),
            fits.Column("OK", "L", array=n % 2 == 0),
        ],
        name="CAT",
    )
    hdu.header["TUCD2"], hdu.header["OBS"] = "pos.eq.ra;meta.main", (3.5, "a comment")
    hdu.header.add_history("first step")
    image = fits.ImageHDU(np.arange(100, dtype="i2").reshape(10, 10), name="IMG")
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), image, hdu]).writeto(stream)
    return stream.getvalue()


def _reference(path: Path, catalog: Catalog) -> Table | None:
    """The same table as others read it; None where they do not."""
    read: Callable[[], Table] | None = {
        "fits": lambda: Table.read(path, format="fits", hdu=catalog.hdu, character_as_bytes=False),
        "votable": lambda: _votable(path, catalog.hdu or 0),
        "ecsv": lambda: Table.read(path, format="ascii.ecsv"),
        "parquet": lambda: _arrow(path),
    }.get(catalog.format)
    if read is None:
        return None
    try:
        return read()
    except Exception:  # noqa: BLE001  (then there is nothing to compare with)
        return None


def _votable(path: Path, number: int) -> Table:
    return list(parse(path).iter_tables())[number].to_table()


def _arrow(path: Path) -> Table:
    frame = pq.read_table(path, use_threads=False)
    return Table(
        {name: frame[name].to_numpy() for name in frame.column_names if pa.types.is_primitive(frame[name].type)},
        meta={"rows": frame.num_rows},
    )


def _same(ours: Table, theirs: Table, form: str) -> None:
    """Compare the number of rows, and the numbers in columns that both have."""
    rows = theirs.meta.get("rows", len(theirs)) if form == "parquet" else len(theirs)
    if len(ours) != rows:
        raise DifferenceError(f"{form} rows: {len(ours)}, others read {rows}")
    for name in set(ours.colnames) & set(theirs.colnames):
        _same_cells(ours[name], theirs[name], f"{form} cells", name)


def _same_cells(ours: Any, theirs: Any, what: str, name: str) -> None:
    one, two = _numbers(ours), _numbers(theirs)
    if one is None or two is None or one.shape != two.shape:
        return
    alike = (one == two) | np.isnan(one) | np.isnan(two)
    if not alike.all():
        at = tuple(int(n) for n in np.argwhere(~alike)[0])
        raise DifferenceError(f"{what}: {name}{list(at)} is {one[at]}, others read {two[at]}")


def _numbers(column: Any) -> np.ndarray | None:
    plain = np.ma.asarray(getattr(column, "value", column))
    if plain.dtype.kind not in "iufb":
        return None
    return np.ma.filled(plain.astype(float), np.nan)
