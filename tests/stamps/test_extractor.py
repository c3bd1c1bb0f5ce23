"""SEP as others use it is not touched, whatever is detected beside them."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.machinery import ExtensionFileLoader

import numpy as np
import pytest
import sep
from galaxies import noise, sersic

from galmorph.stamps import extractor
from galmorph.stamps.extractor import extract, object_dtype
from galmorph.stamps.segment import segment

SHAPE = (97, 97)


@pytest.fixture(scope="module")
def pair() -> np.ndarray:
    """A galaxy and a neighbour in unit noise."""
    return sersic(SHAPE, 40, 48, flux=3000.0) + sersic(SHAPE, 72, 60, re=3.0, flux=1500.0) + noise(SHAPE)


@pytest.fixture
def stack():
    """SEP's room for pixels, set to a number of the caller's own, and put back after the test."""
    usual = sep.get_extract_pixstack()
    sep.set_extract_pixstack(123_456)
    yield 123_456
    sep.set_extract_pixstack(usual)


@pytest.fixture(params=["own", "shared"])
def library(request, monkeypatch):
    """Our own copy of SEP; or SEP itself, as where code in the temporary folder may not be run."""
    if request.param == "shared":
        monkeypatch.setattr(extractor, "_own_library", lambda: sep)
    return request.param


def everywhere(image: np.ndarray) -> np.ndarray:
    return np.ones(image.shape, dtype=np.bool_)


def test_our_own_library_detects_what_sep_detects(pair):
    """To the last bit, objects and labels."""
    objects, labels = extract(pair, 1.5, 1.0, None, min_area=6, contrast=0.02)
    known = sep.extract(
        pair, 1.5, err=1.0, minarea=6, filter_type="conv", deblend_nthresh=16, deblend_cont=0.02, segmentation_map=True
    )
    assert np.array_equal(objects, known[0])
    assert np.array_equal(labels, known[1])
    assert objects.dtype == object_dtype()


def test_our_own_library_is_loaded_once_and_is_another_one():
    assert extractor._own_library() is extractor._own_library()
    assert extractor._own_library() is not sep
    assert sys.modules["sep"] is sep


@pytest.mark.usefixtures("library")
def test_the_callers_setting_is_as_before(pair, stack):
    segment(pair, everywhere(pair))
    assert sep.get_extract_pixstack() == stack


@pytest.mark.usefixtures("library")
def test_the_callers_setting_is_as_before_where_sep_fails(pair, stack):
    """A mask of another shape is an error of SEP's own."""
    with pytest.raises(ValueError, match="must match data"):
        extract(pair, 1.5, 1.0, np.zeros((3, 3), np.bool_), min_area=6, contrast=0.02)
    assert sep.get_extract_pixstack() == stack


@pytest.fixture
def impatient():
    """Let threads take turns as often as they can."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("impatient", "library")
def test_another_thread_never_sees_sep_set_otherwise_than_it_set_it(pair, stack):
    """Neither room that is too small for it, nor its own change undone, while others detect."""
    surprises, done = [], threading.Event()

    def use_sep():
        own = stack
        while not done.is_set():
            surprises.extend({sep.get_extract_pixstack() for _ in range(20)} - {own})
            own = 200_000 if own == stack else stack
            sep.set_extract_pixstack(own)

    caller = threading.Thread(target=use_sep)
    caller.start()
    for _ in range(300):
        segment(pair, everywhere(pair))
    done.set()
    caller.join()
    assert surprises == []


@pytest.mark.usefixtures("impatient", "library")
def test_threads_that_detect_on_images_of_different_sizes_do_not_disturb_each_other():
    """A small image's room would overflow on a large one: each thread finds what it finds alone."""
    images = [noise((side, side)) + np.float32(4.0) for side in (20, 100)] * 2
    alone = [extract(image, 1.5, 1.0, None, min_area=6, contrast=1.0)[1] for image in images]

    def again(number: int) -> bool:
        labels = (extract(images[number], 1.5, 1.0, None, min_area=6, contrast=1.0)[1] for _ in range(20))
        return all(np.array_equal(one, alone[number]) for one in labels)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(again, range(4)))


@pytest.mark.parametrize("error", [ImportError("failed to map segment"), PermissionError("noexec")])
def test_where_a_copy_cannot_be_loaded_sep_itself_detects(pair, stack, monkeypatch, error):
    """The objects are the same, and its setting is left alone."""
    monkeypatch.setattr(extractor, "_loaded", lambda _: (_ for _ in ()).throw(error))
    library = extractor._own_library.__wrapped__()
    assert library is sep
    monkeypatch.setattr(extractor, "_own_library", lambda: library)
    assert len(segment(pair, everywhere(pair)).objects) == 2
    assert sep.get_extract_pixstack() == stack


def test_a_sep_that_is_not_one_file_is_not_copied(monkeypatch):
    """A later SEP may be a folder of modules."""
    monkeypatch.setattr(sep, "__spec__", type("Spec", (), {"loader": None}))
    assert not isinstance(sep.__spec__.loader, ExtensionFileLoader)
    assert extractor._own_library.__wrapped__() is sep
