"""Draw docs/architecture.svg: the layers of galmorph as its imports make them, and a catalogue's way through them.

``python docs/draw_architecture.py`` writes the file beside this script; ``--check`` fails where it is out of date. The
modules of each box are read from the package, so that the drawing cannot name one that is gone.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DRAWING = ROOT / "docs" / "architecture.svg"

WIDTH, LEFT, TOP, LINE = 980, 24, 128, 17
CHARACTER = 6.35  # of 11-px Menlo and its relatives


@dataclass(frozen=True)
class Layer:
    """A box: a folder of the package, or its modules beside the folders."""

    name: str
    about: str


# From the ground up; a module imports its own layer and those below.
LAYERS = (
    Layer("cli", "one module a command: parse, call api, print"),
    Layer("api", "every public function, its parameters written once"),
    Layer("store", "SQL: models, images, predictions and labels, scored beside them"),
    Layer("pages", "what people look at: report, inspection"),
    Layer("learning", "labels in, checkpoints out"),
    Layer("runs", "a catalogue's way; knows nothing of learning or pages"),
    Layer("nets", "the only layer that imports torch"),
    Layer("stamps", "arrays in, arrays out: detect, measure, warp"),
    Layer("likeness", "tables with vectors: what is alike, what is odd"),
    Layer("sky", "positions, files, labels: nothing measured yet"),
    Layer("", "beside the folders: what all may use"),
)
# A catalogue's way: what flows, and the function that makes it of what stands before it.
FLOW = (
    ("Catalog", "CatalogInput.open"),
    ("Cutout", "ImageSource.cutout"),
    ("Measurement", "stamps.measure"),
    ("Stamp", "make_views"),
    ("Predictions", "Checkpoint.answer"),
    ("Catalog", "write_catalog"),
)


def modules(layer: Layer) -> list[str]:
    """Name the modules of a layer, those of its folders as ``folder/``."""
    package = ROOT / "galmorph"
    if layer.name == "api":
        return []
    if not layer.name:
        return [p.stem for p in sorted(package.glob("*.py")) if p.stem not in {"__init__", "__main__", "api"}]
    folder = package / layer.name
    names = [p.stem for p in folder.glob("*.py") if p.stem != "__init__"]
    return sorted(names) + sorted(f"{p.name}/" for p in folder.iterdir() if (p / "__init__.py").exists())


def lines(words: list[str], room: float) -> list[str]:
    """Divide words into lines that fit into so many pixels."""
    rows: list[str] = [""]
    for word in words:
        longer = f"{rows[-1]}  {word}".strip()
        if len(longer) * CHARACTER > room:
            rows.append(word)
        else:
            rows[-1] = longer
    return rows


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    """Return one line of text."""
    return f'<text x="{x:g}" y="{y:g}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


def flow() -> list[str]:
    """Draw what flows, from left to right."""
    step, parts = (WIDTH - 2 * LEFT) / len(FLOW), []
    for n, (noun, maker) in enumerate(FLOW):
        x = LEFT + n * step
        parts.append(f'<rect x="{x:g}" y="46" width="{step - 34:g}" height="30" rx="6" class="noun"/>')
        parts.append(text(x + (step - 34) / 2, 65.5, noun, "name", "middle"))
        parts.append(text(x + (step - 34) / 2, 94, maker, "maker", "middle"))
        if n:
            parts.append(f'<path d="M{x - 32:g} 61h24m-6 -5l7 5l-7 5" class="arrow"/>')
    return parts


def layer_box(layer: Layer, y: float) -> tuple[list[str], float]:
    """Draw a layer; return it and where the next begins."""
    left = LEFT + 400
    rows = lines(modules(layer), WIDTH - LEFT - left - 14)
    height = len(rows) * LINE + 14
    box = f'<rect x="{LEFT}" y="{y:g}" width="{WIDTH - 2 * LEFT}" height="{height:g}" rx="6" class="layer"/>'
    parts = [box, text(LEFT + 12, y + 21, layer.name + "/" if layer.name not in {"", "api"} else layer.name, "name")]
    parts.append(text(LEFT + 12 + (0 if not layer.name else 76), y + 21, layer.about, "about"))
    parts += [text(left, y + 21 + n * LINE, row, "module") for n, row in enumerate(rows)]
    return parts, y + height + 6


def drawing() -> str:
    """Return the whole drawing."""
    y, boxes = float(TOP), []
    for layer in LAYERS:
        parts, y = layer_box(layer, y)
        boxes += parts
    style = (
        "text{font:11px Menlo,Consolas,monospace;fill:#1c2430}.name{font-weight:bold;font-size:13px}"
        ".about,.maker,.head{font:11px system-ui,sans-serif;fill:#51606f}.head{font-size:12px}"
        ".noun{fill:#e3edf8;stroke:#3f6ea5}.layer{fill:#f6f7f9;stroke:#b9c2cc}"
        ".arrow{fill:none;stroke:#3f6ea5;stroke-width:1.6}"
    )
    head = [
        text(LEFT, 28, "A catalogue's way, one part of its rows at a time (runs.classify.classify_part)", "head"),
        text(LEFT, TOP - 10, "Layers: a module imports its own and those below it (tests/test_layers.py)", "head"),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 8:g}" viewBox="0 0 {WIDTH} {y + 8:g}">'
        f"<title>galmorph: flow and layers</title><style>{style}</style>"
        '<rect width="100%" height="100%" fill="#fff"/>\n' + "\n".join([*head, *flow(), *boxes]) + "\n</svg>\n"
    )


def main() -> int:
    """Write the drawing, or say whether it is out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where it is out of date")
    if parser.parse_args().check:
        return int(not DRAWING.exists() or DRAWING.read_text(encoding="utf-8") != drawing())
    DRAWING.write_text(drawing(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
