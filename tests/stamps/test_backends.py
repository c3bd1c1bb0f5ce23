"""Backends: textbook values of other libraries through the same function."""

from __future__ import annotations

import numpy as np
import pytest
from conformance.backends import BackendTests

from galmorph.errors import PipelineError
from galmorph.stamps import backends
from galmorph.stamps.backends import BACKENDS, backend
from galmorph.stamps.backends.growth import growth_of


class TestGalmorph(BackendTests):
    """Our own way."""

    has_errors = True

    def backend(self):
        """No library."""
        return backend("galmorph")


class TestSep(BackendTests):
    """SEP's textbook values."""

    def backend(self):
        """SEP."""
        return backend("sep")


class TestPhotutils(BackendTests):
    """The textbook values of photutils."""

    def backend(self):
        """Photutils, where it is installed."""
        pytest.importorskip("photutils", reason="photutils is not installed")
        return backend("photutils")


def test_every_backend_inherits_the_tests_of_all():
    """A new one has a class here."""
    classes = [c for c in globals().values() if isinstance(c, type) and issubclass(c, BackendTests)]
    assert {c.__name__.removeprefix("Test").lower() for c in classes} >= set(BACKENDS)


def test_growth_of_a_gaussian_is_analytic():
    """At the radius found, the analytic ratio is 0.2, to the 1 % of its interpolation."""
    sigma = 7.0

    def inside(radius):
        return 1 - np.exp(-0.5 * (radius / sigma) ** 2)

    grown = growth_of(inside, 80.0)
    around = inside(1.25 * grown.rpet_px) - inside(0.8 * grown.rpet_px)
    assert around / (1.25**2 - 0.8**2) / inside(grown.rpet_px) == pytest.approx(0.2, rel=0.01)
    assert inside(grown.light_px[1]) == pytest.approx(0.5 * inside(grown.rpet_px), rel=1e-3)


def test_an_unknown_backend_is_explained():
    """The message names the nearest."""
    with pytest.raises(PipelineError, match="did you mean 'photutils'"):
        backend("photutil")


def test_a_backend_without_its_library_is_explained(monkeypatch):
    """The message says what to install."""
    monkeypatch.setattr(backends.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(PipelineError, match=r"pip install 'galmorph\[photutils\]'"):
        backend("photutils")
