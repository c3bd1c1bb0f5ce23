"""What is made once and serves all is never written into: neither by us nor by whoever got it."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import pytest

import galmorph
from galmorph.stamps.rings import rings
from galmorph.stamps.shared import read_only, shared
from galmorph.stamps.views import ONE, Views, read_views

# Every function of the package that keeps arrays, with arguments to call it with.
ARRAYS = {
    "galmorph.stamps.filling._noise_field": (2,),
    "galmorph.stamps.library._circles": (),
    "galmorph.stamps.petrosian._sampling": (np.arange(20.0).tobytes(), "sdss"),
    "galmorph.stamps.radii.sampling_of": (12,),
    "galmorph.stamps.rings._near": (1, 2),
    "galmorph.stamps.rings.ring_edges": (12,),
    "galmorph.stamps.rings.rings": (12, 0, 1),
    "galmorph.stamps.spline.running_sum": (),
    "galmorph.stamps.template._grown": (1.0, 0.6),
    "galmorph.stamps.template.templates": (0, 1),
}
# Those of this wing that keep something else.
OTHERS = {
    "galmorph.stamps.compiled.cache_folder",
    "galmorph.stamps.library.wanted_of",
    "galmorph.stamps.template.intrinsic_ratio",
    "galmorph.stamps.views.read_views",
}


def modules() -> Iterator[Any]:
    for module in pkgutil.walk_packages(galmorph.__path__, "galmorph."):
        if not module.name.endswith("__main__"):
            yield importlib.import_module(module.name)


def arrays_of(value: Any) -> Iterator[np.ndarray]:
    """All arrays in a value: in tuples, dataclasses and their cached properties."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from arrays_of(part)
    elif dataclasses.is_dataclass(value):
        names = {f.name for f in dataclasses.fields(value)}
        names |= {n for n, a in vars(type(value)).items() if isinstance(a, cached_property)}
        for name in names:
            yield from arrays_of(getattr(value, name))


def test_every_function_that_keeps_arrays_is_looked_at_here():
    """A new one is named above; here also one that keeps something else, elsewhere if it says that it has arrays."""
    keeping = {
        f"{module.__name__}.{name}": str(value.__annotations__.get("return"))
        for module in modules()
        for name, value in vars(module).items()
        if hasattr(value, "cache_info") and value.__module__ == module.__name__
    }
    here = {name for name in keeping if name.startswith("galmorph.stamps.")}
    assert here == {*ARRAYS, *OTHERS}
    assert not [name for name in keeping.keys() - here if re.search("Array|ndarray", keeping[name])]


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_that_are_kept_cannot_be_written_into(name):
    module, _, function = name.rpartition(".")
    made_once = getattr(importlib.import_module(module), function)
    arrays = list(arrays_of(made_once(*ARRAYS[name])))
    assert arrays
    assert made_once(*ARRAYS[name]) is made_once(*ARRAYS[name])
    for array in arrays:
        with pytest.raises(ValueError, match="read-only"):
            array[...] = array


@pytest.mark.parametrize("views", [ONE, read_views("turns4"), Views((0.0, 10.0), flip=True)])
def test_the_matrices_of_views_cannot_be_written_into(views):
    """Whoever reads views by the same name gets the same object."""
    arrays = list(arrays_of(views))
    assert len(arrays) == 3
    assert not any(array.flags.writeable for array in arrays)


def test_the_others_keep_no_arrays():
    """What they return for arguments that tests give elsewhere."""
    for name in OTHERS - {"galmorph.stamps.views.read_views"}:
        module, _, function = name.rpartition(".")
        arguments = {"intrinsic_ratio": (1.0, 0.6), "wanted_of": (2.5,)}.get(function, ())
        assert list(arrays_of(getattr(importlib.import_module(module), function)(*arguments))) == []


def test_making_read_only_reaches_every_depth():
    """Tuples in named tuples; what is no array stays as it is."""
    circles = rings.__wrapped__(12, 0, 0)
    nested = (1, "two", (np.zeros(2), (np.zeros(3),)), circles)
    assert read_only(nested) is nested
    assert not any(array.flags.writeable for array in arrays_of(nested))


def test_what_is_kept_is_made_once_for_each_argument():
    calls = []

    @shared(maxsize=2)
    def numbers(n: int) -> np.ndarray:
        """Count."""
        calls.append(n)
        return np.arange(n)

    assert numbers(2) is numbers(2)
    assert len(numbers(3)) == 3
    assert calls == [2, 3]
    assert numbers.__name__ == "numbers"
    assert numbers.__doc__ == "Count."
