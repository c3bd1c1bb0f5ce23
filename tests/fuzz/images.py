"""Images: FITS images and display stamps, damaged; pixels must be finite or masked, and those that astropy reads."""

from __future__ import annotations

import bz2
import gzip
import io
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from PIL import Image

from galmorph.errors import GalmorphError
from galmorph.sky.cutout import Cutout
from galmorph.sky.images.image_input import ImageInput
from galmorph.sky.images.opening import open_images
from galmorph.sky.images.source import ImageSource
from galmorph.sky.images.tiles import TileSource

from . import cards, damage
from .dice import Dice
from .subject import DifferenceError, Item

SIDE = 64
# Decoders that leave pixels of damaged tiles as the memory happens to be: no two runs agree, of astropy alone either.
_RANDOM = ("HCOMPRESS_1", "PLIO_1")
TILES = 6
"""Tiles of an input that are looked at."""


@dataclass(frozen=True)
class Seen:
    """The middle of a tile as galmorph reads it, and where it lies.

    Parameters
    ----------
    hdu, plane, factor
        Of FITS; `factor` is what pixels were multiplied by.
    """

    cutout: Cutout
    path: Path
    hdu: int = -1
    plane: int | None = None
    factor: float = 1.0


class Images:
    """FITS, plain and compressed, stamps, zips and folders."""

    name = "images"

    def seeds(self) -> list[Item]:
        plain, several, cube = _plain(), _several(), _cube()
        packed = {codec: _tiled(codec) for codec in ("RICE_1", "GZIP_1", "GZIP_2", "PLIO_1", "HCOMPRESS_1")}
        stamps = {"1.jpg": _stamp("JPEG", 1), "2.png": _stamp("PNG", 2), "3.png": _stamp("PNG", 3, grey=True)}
        return [
            Item.of("a.fits", plain),
            Item("b.fits", {"b.fits": plain, "map.fits": _integers()}),
            Item.of("d.fits", several),
            Item.of("c.fits", cube),
            Item.of("i.fits", _integers()),
            Item.of("a.fits.gz", gzip.compress(plain, mtime=0)),
            Item.of("a.fits.bz2", bz2.compress(plain)),
            Item("a.fits.Z", {"a.fits.Z": lzw(_integers())}, is_refused=True),
            *(Item.of(f"{codec}.fits.fz", content) for codec, content in packed.items()),
            Item.of("stamps.zip", zipped(stamps)),
            Item("stamps", {f"stamps/{name}": content for name, content in stamps.items()}),
            Item("tiles", {"tiles/a_sci.fits": plain, "tiles/b_sci.fits": _plain(151.0)}),
        ]

    def damaged(self, dice: Dice, item: Item, items: Sequence[Item]) -> Item:
        others = [content for i in items for content in i.files.values()]
        if item.name == "stamps.zip" and dice.one_in(2):
            return Item.of(item.name, _rezipped(dice, item.files[item.name], others))
        name = dice.choice(list(item.files))
        return item.having(name, _damaged(dice, name, item.files[name], others))

    def examine(self, path: Path, dice: Dice) -> object:
        source = self._opened(path, dice)
        try:
            seen = [_seen(source, tile, dice) for tile in range(min(len(source.tile_names), TILES))]
            if source.has_wcs:
                source.locate([150.0, 0.0, np.nan], [2.0, -90.0, 1.0])
            source.locate_files(["1.jpg", "2"]) if not source.is_linear else source.filter_name()
            return [one for one in seen if one is not None]
        finally:
            source.close()

    def _opened(self, path: Path, dice: Dice) -> ImageSource:
        beside = path.with_name("map.fits")
        if path.suffix == ".zip" or path.name == "stamps":
            return open_images([path])
        kinds = ("weight", "rms", "variance", "segmentation")
        maps = {dice.choice(kinds): [beside]} if beside.exists() else {}
        return ImageInput([path], survey="candels", band="H", **maps).open()

    def compare(self, path: Path, opened: object) -> None:
        del path
        assert isinstance(opened, list)
        for seen in opened:
            theirs = _pixels_of(seen) if seen.hdu >= 0 and not seen.path.name.startswith(_RANDOM) else None
            if theirs is not None:
                _same(seen, theirs)


def _seen(source: ImageSource, tile: int, dice: Dice) -> Seen | None:
    """Read a window of one tile; None where it cannot be read, which costs rows and not the run."""
    height, width = source.tiles[tile].image.shape if isinstance(source, TileSource) else (SIDE, SIDE)
    x, y = dice.choice(((width / 2, height / 2), (0.0, 0.0), (width - 1.0, height - 1.0)))
    try:
        cutout = source.cutout(tile, x, y, dice.choice((1, 20, 60)))
        source.sky([tile], [x], [y])
        source.mjysr_per_unit(tile)
    except GalmorphError as error:
        if len(str(error).splitlines()) != 1:
            raise
        return None
    _check(cutout)
    if not isinstance(source, TileSource):
        return Seen(cutout, Path())
    image = source.tiles[tile].image
    factor = source._scaling_of(image).factor
    return Seen(cutout, image.path, image.hdu, image.plane, factor)


def _check(cutout: Cutout) -> None:
    planes, weight = cutout.planes, cutout.weight
    assert planes.dtype == np.float32, planes.dtype
    assert not np.isinf(planes).any(), "a pixel is infinite"
    assert not np.isinf(cutout.detection).any(), "a pixel is infinite"
    assert weight is None or (np.isfinite(weight).all() and (weight >= 0).all()), "a weight is negative or not finite"
    assert cutout.labels is None or (cutout.labels >= 0).all(), "a label is negative"


def _pixels_of(seen: Seen) -> np.ndarray | None:
    """The same pixels as astropy reads them; None where it does not."""
    y, x = seen.cutout.origin[1], seen.cutout.origin[0]
    height, width = seen.cutout.detection.shape
    try:
        with fits.open(seen.path, memmap=False) as hdus:
            data = hdus[seen.hdu].data
            if any(card in hdus[n].header for n in (0, seen.hdu) for card in ("BSOFTEN", "BOFFSET")):
                return None
            data = data.reshape(-1, *data.shape[-2:])[seen.plane or 0]
            return np.asarray(data[y : y + height, x : x + width], dtype=np.float64)
    except Exception:  # noqa: BLE001  (then there is nothing to compare with)
        return None


def _same(seen: Seen, theirs: np.ndarray) -> None:
    ours = seen.cutout.detection.astype(np.float64)
    if ours.shape != theirs.shape:
        raise DifferenceError(f"shape: {ours.shape}, others read {theirs.shape}")
    with np.errstate(all="ignore"):
        expected = (theirs * seen.factor).astype(np.float32).astype(np.float64)
    alike = np.isnan(ours) | np.isclose(ours, expected, rtol=1e-5, atol=1e-30)
    if not alike.all():
        at = tuple(int(n) for n in np.argwhere(~alike)[0])
        kind = "compressed" if seen.path.suffix == ".fz" else "plain"
        where = f"{at} of {seen.path.name}[{seen.hdu}]"
        raise DifferenceError(f"pixels of {kind}: {where} is {ours[at]}, others read {expected[at]}")


def _damaged(dice: Dice, name: str, content: bytes, others: Sequence[bytes]) -> bytes:
    ways = (cards.recarded, cards.recarded, cards.reordered, cards.disturbed)
    fine = name.endswith((".fits", ".fz")) and not dice.one_in(3)
    if name.endswith((".gz", ".bz2")) and dice.one_in(2):
        unpack, pack = (gzip.decompress, gzip.compress) if name.endswith(".gz") else (bz2.decompress, bz2.compress)
        return pack(damage.damaged(dice, unpack(content), others, ways), 1)
    return damage.damaged(dice, content, others, ways if fine else damage.ANY)


def _rezipped(dice: Dice, content: bytes, others: Sequence[bytes]) -> bytes:
    """Damage what is in a zip file, or how it is called, and pack it again."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = [(name, archive.read(name)) for name in archive.namelist()]
    for _ in range(dice.few(4)):
        at = dice.randrange(len(files))
        name, inner = files[at]
        if dice.one_in(3):
            name = dice.choice(
                ("../1.jpg", "/1.jpg", "1.jpg", "é.png", "e\u0301.png", "a\\1.jpg", ".1.jpg", "a/1.JPG", "1.0.png")
            )
        else:
            inner = damage.damaged(dice, inner, others)
        files[at] = (name, inner)
        if dice.one_in(5):
            files.append(files[at])
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", dice.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for name, inner in files:
            archive.writestr(zipfile.ZipInfo(name), inner)
    return stream.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return stream.getvalue()


def _light() -> np.ndarray:
    yy, xx = np.indices((SIDE, SIDE))
    noise = np.random.default_rng(1).normal(0, 0.01, (SIDE, SIDE))
    return (np.exp(-np.hypot(xx - 30.5, yy - 33) / 4) + noise).astype(np.float32)


def _header() -> fits.Header:
    sky = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.0, "CRVAL2": 2.0, "CRPIX1": 32.0, "CRPIX2": 32.0}
    scale = 0.06 / 3600
    return fits.Header({**sky, "CD1_1": -scale, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": scale, "RADESYS": "ICRS",
                        "BUNIT": "electron/s", "FILTER": "F160W", "EXPTIME": 100.0, "MAGZERO": 25.9})  # fmt: skip


def _bytes(*hdus: fits.hdu.base.ExtensionHDU | fits.PrimaryHDU) -> bytes:
    stream = io.BytesIO()
    fits.HDUList(list(hdus)).writeto(stream)
    return stream.getvalue()


def _plain(ra: float = 150.0) -> bytes:
    header = _header()
    header["CRVAL1"] = ra
    return _bytes(fits.PrimaryHDU(_light(), header))


def _several() -> bytes:
    """Two chips with distortion, errors and weights."""
    header = _header()
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN-SIP", "DEC--TAN-SIP"
    for key, value in {"A_ORDER": 2, "B_ORDER": 2, "A_2_0": 1e-6, "B_0_2": -1e-6}.items():
        header[key] = value
    light, other = _light(), header.copy()
    other["CRVAL2"] = 2.01
    return _bytes(
        fits.PrimaryHDU(),
        fits.ImageHDU(light, header, name="SCI", ver=1),
        fits.ImageHDU(np.full_like(light, 0.01), header, name="ERR", ver=1),
        fits.ImageHDU(np.full_like(light, 1e4), header, name="WHT", ver=1),
        fits.ImageHDU(light[::-1], other, name="SCI", ver=2),
    )


def _cube() -> bytes:
    header = _header()
    header["BANDS"] = "HJV"
    return _bytes(fits.PrimaryHDU(np.stack([_light(), 2 * _light(), 3 * _light()]), header))


def _integers() -> bytes:
    header = _header()
    header["BLANK"] = -32768
    pixels = (1000 * _light()).astype("i2")
    pixels[:3] = -32768
    return _bytes(fits.PrimaryHDU(pixels, header))


def _tiled(codec: str) -> bytes:
    pixels = (1000 * np.clip(_light(), 0, None)).astype("i4") if codec in ("PLIO_1", "HCOMPRESS_1") else _light()
    settings = {"tile_shape": (16, SIDE)} if codec != "PLIO_1" else {}
    made = _bytes(fits.PrimaryHDU(), fits.CompImageHDU(pixels, _header(), compression_type=codec, **settings))
    return re.sub(rb"(\x1f\x8b\x08\0)....", rb"\1\0\0\0\0", made, flags=re.DOTALL)  # the time of packing


def _stamp(form: str, seed: int, *, grey: bool = False) -> bytes:
    noise = np.random.default_rng(seed).normal(0, 3, (SIDE, SIDE, 3))
    pixels = np.clip(200 * _light()[..., np.newaxis] + noise + 10, 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels[..., 0] if grey else pixels).save(stream, form)
    return stream.getvalue()


def lzw(content: bytes) -> bytes:
    """Pack as `compress` does, with codes of nine bits only: the table is cleared before it needs ten."""
    codes: list[int] = []
    table: dict[bytes, int] = {}
    word, free = b"", 257
    for number in content:
        longer = word + bytes([number])
        if len(longer) == 1 or longer in table:
            word = longer
            continue
        codes.append(table.get(word, word[0]))
        table[longer], free, word = free, free + 1, bytes([number])
        if free == 511:
            codes.append(256)
            codes += [0] * (-len(codes) % 8)  # codes after a clearing begin at the next group of eight
            table, free = {}, 257
    codes.append(table.get(word, word[0]))
    bits = sum(code << 9 * n for n, code in enumerate(codes))
    return b"\x1f\x9d\x90" + bits.to_bytes(-(-9 * len(codes) // 8), "little")
