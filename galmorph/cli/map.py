"""Command map: galaxies laid out by likeness."""

from __future__ import annotations

from argparse import Namespace

import galmorph
from galmorph.cli import options as shared
from galmorph.cli.parser import Parser, arguments
from galmorph.cli.printing import print_answer, showing
from galmorph.errors import OutputError

__all__ = ["EXAMPLES", "add_options", "do"]

EXAMPLES = {
    "places on a map, and a page with pictures": (
        "galmorph map features.fits -o mapped.fits --page field.html --image stamps.zip"
    ),
    "a map to place others on, later": "galmorph map old.fits --save field.npz",
    "new galaxies on that map": "galmorph map new.fits --onto field.npz --page new.html",
    "two columns of any table against each other": "galmorph map out.fits --axes gm_rpet gm_conf --page plane.html",
}


def add_options(command: Parser) -> None:
    """Add what the command takes."""
    command.add_argument("catalog", metavar="TABLE", help="with features, as 'galmorph embed' writes them")
    _add_layout(command)
    command.add_argument("-o", "--output", metavar="OUT", help="the table with gm_map_x and gm_map_y: .fits .parquet …")
    command.add_argument("--save", metavar="MAP.npz", help="the map, on which others can be placed later")
    _add_page(command)
    command.add_argument("--prefix", metavar="P", help="of galmorph's columns (default: gm_)")
    shared.add_overwrite(command, "file")
    shared.add_columns(command)


def _add_layout(command: Parser) -> None:
    group = command.add_argument_group("how rows are laid out")
    group.add_argument("--features", metavar="COL", help="column of vectors (default: the one called ...features)")
    group.add_argument(
        "--method", choices=("tsne", "umap", "pca"), help="how rows are laid out (default: tsne, by openTSNE)"
    )
    group.add_argument("--onto", metavar="MAP", help="place the rows on this map, of an earlier --save")
    group.add_argument("--axes", nargs=2, metavar="COL", help="show two columns of the table against each other")
    group.add_argument("--seed", type=int, metavar="N", help="of what is drawn by lot (default: 0)")


def _add_page(command: Parser) -> None:
    page = command.add_argument_group("page")
    page.add_argument(
        "--page", metavar="MAP.html", help="a page on which the map is looked through, complete in itself"
    )
    page.add_argument("--colours", nargs="+", metavar="COL", help="columns to colour by, beside the usual ones")
    page.add_argument("--image", nargs="+", dest="images", metavar="IMG", help="images from which pictures are cut")
    page.add_argument("--pictures", type=int, metavar="N", help="galaxies with a picture (default: 2000)")
    page.add_argument("--survey", metavar="S", help="survey of the images; see 'galmorph list surveys'")
    page.add_argument("--band", metavar="B", help="band of the images")
    page.add_argument("--service", metavar="URL", help="of a 'galmorph serve', to which chosen galaxies are sent")


def do(options: Namespace) -> None:
    """Make the map, and print the names of the files."""
    chosen = arguments(options)
    files = [chosen[name] for name in ("output", "save", "page") if name in chosen]
    if not files:
        raise OutputError("nothing was asked for: expected -o, --page or --save; name one")
    with showing(options) as progress:
        table = galmorph.map_features(**chosen, progress=progress, command=options.command_line)
    print_answer(options, "\n".join(map(str, files)), {"files": files, "rows": len(table)})
