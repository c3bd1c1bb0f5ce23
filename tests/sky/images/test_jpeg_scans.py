"""JPEGs that were cut are told from whole ones, also where an end marker stands behind the cut."""

from __future__ import annotations

import io

import numpy as np
import pytest
import small_sky
from PIL import Image

from galmorph.errors import ImageError
from galmorph.sky.images import open_images
from galmorph.sky.survey import load_survey

KINDS = {
    "usual": {},
    "blocks": {"restart_marker_blocks": 5},
    "fine": {"quality": 95, "subsampling": 0},
    "coarse": {"quality": 20, "subsampling": 2},
    "restarts": {"restart_marker_rows": 1},
    "progressive": {"progressive": True},
    "optimised": {"optimize": True},
}
END = b"\xff\xd9"


def jpeg(kind: str, *, side: int = 122, mode: str = "RGB", flat: bool = False) -> bytes:
    with Image.open(io.BytesIO(small_sky.picture(0, side=side))) as drawn:
        picture = Image.new(mode, drawn.size, 9) if flat else drawn.convert(mode)
    stream = io.BytesIO()
    picture.save(stream, "JPEG", **KINDS[kind])
    return stream.getvalue()


def read(content: bytes) -> np.ndarray:
    source = open_images({"a.jpg": content}, survey=load_survey("sdss"), band="RGB")
    try:
        return source.cutout(0, 50, 50, 30).planes
    finally:
        source.close()


def cut(content: bytes, share: float) -> bytes:
    """Leave so much of the scans, and put an end behind it."""
    first = content.index(b"\xff\xda")
    kept = content[: first + 16 + int(share * (len(content) - first - 18))]
    return kept.removesuffix(b"\xff") + END


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", [120, 121, 129])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_whole_pictures_are_read(kind, side, mode):
    for flat in (False, True):
        content = jpeg(kind, side=side, mode=mode, flat=flat)
        assert np.array_equal(read(content), read(content + b"more" + END))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_pictures_that_were_cut_are_refused(kind, mode):
    content = jpeg(kind, mode=mode)
    # The last scan of a progressive picture has but the last bit of what is there.
    first, last = content.index(b"\xff\xda"), content.rindex(b"\xff\xda")
    most = 0.9 if kind != "progressive" else (last - first) / (len(content) - first) - 0.02
    for share in np.linspace(0.02, most, 80).tolist():
        with pytest.raises(ImageError, match=r"it is cut off|image file is truncated|broken data stream"):
            read(cut(content, share))


def test_a_thumbnail_within_does_not_end_the_picture():
    small = jpeg("usual", side=32)
    content = jpeg("usual", flat=True)
    application = b"\xff\xe1" + (len(small) + 2).to_bytes(2) + small
    assert np.array_equal(read(content[:2] + application + content[2:]), read(content))


@pytest.mark.parametrize("kind", ["usual", "restarts"])
def test_a_scan_that_ends_with_a_whole_row_of_blocks_is_cut_too(kind):
    """Where the picture has restart markers, each stands between two such rows."""
    content = jpeg(kind)
    at = content.index(b"\xff\xd3") if kind == "restarts" else len(content) // 2
    with pytest.raises(ImageError, match="cut off"):
        read(content[:at].removesuffix(b"\xff") + END)
