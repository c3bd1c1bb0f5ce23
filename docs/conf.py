"""Sphinx: the site, built from these pages, the docstrings and what ships, without a network (`make docs`)."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
# Notebooks call the command `galmorph` of the interpreter that builds the site.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

import galmorph  # noqa: E402 - found by the line above

project = "galmorph"
author = "The galmorph developers"
copyright = author  # noqa: A001 - Sphinx calls it so
release = version = galmorph.__version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "site_parts",
]
source_suffix = {".rst": "restructuredtext", ".md": "myst-nb"}  # the first is what autosummary writes
exclude_patterns = [
    "_build",
    "api_functions.rst",
    "examples",
    "gallery/*.ipynb",
    "gallery/*.py",
    "gallery/*.md5",
    "benchmarks/*.json",
]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
# The documents are read on a forge, too: GitHub's dialect of links and headings.
# Pygments lacks the dollar quotes of PostgreSQL.
suppress_warnings = ["myst.header", "misc.highlighting_failure"]

# Notebooks are executed anew each time, in a folder of their own; one that fails fails the build.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True

autosummary_generate = ["api_functions.rst"]  # of site_parts, since stubs are made before pages are filled
autodoc_preserve_defaults = True
maximum_signature_line_length = 100
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": "/plot_",
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
}

html_theme = "pydata_sphinx_theme"
html_title = f"galmorph {release}"
html_static_path = ["_static"]
html_css_files = ["galmorph.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_nav_level": 2,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_math_renderer = "none"  # of site_parts: there are no formulas, and so no script for them
